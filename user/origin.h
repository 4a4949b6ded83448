/* SPDX-License-Identifier: MIT */
#ifndef KTC_ORIGIN_H
#define KTC_ORIGIN_H

#include <ktlsclient.h>

struct config;

#define ORIGIN_ID_LEN 32

/* The whole identity of a server and of how it is verified; frozen. */
struct origin {
	char *host;		/* to resolve, as given; or NULL */
	/* SNI and verification: lower case, no trailing dot; NULL: neither */
	char *name;
	bool name_is_ip;	/* name is an IPv4 or IPv6 literal: no SNI */
	uint8_t name_ip[16];	/* then its bytes */
	uint8_t name_ip_len;
	uint16_t port;		/* host byte order, 0 if there is none */
	struct sockaddr_storage addr; /* addr_len 0: to be resolved, or fd */
	socklen_t addr_len;
	uint8_t *alpn;		/* wire form; NULL: none */
	size_t alpn_len;
	/* SHA-256 over all of it and the config's: the inventory's key */
	uint8_t id[ORIGIN_ID_LEN];
};

/*
 * Checks opts (already copied to full size) and freezes them. A default scope
 * is "host:port", "address:port" or "unix:path". peer is the
 * address of opts->fd, used for its scope, or NULL. -KTC_E_OPTION, -ENOMEM.
 */
int origin_init(struct origin *origin, const struct config *config,
		const struct ktc_conn_opts *opts, const struct sockaddr *peer,
		socklen_t peer_len);
void origin_fini(struct origin *origin);

#endif /* KTC_ORIGIN_H */
