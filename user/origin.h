/* SPDX-License-Identifier: MIT */
#ifndef KTC_ORIGIN_H
#define KTC_ORIGIN_H

#include <ktlsclient.h>

#include <string.h>

#include "digest.h"
#include "keyhash.h"

struct config;

/*
 * An identity: a SHA-256 sum, the same in every process, and a hash of it
 * under this process's key, by which tables place it.
 */
#define ORIGIN_SUM_LEN DIGEST_LEN
#define ORIGIN_ID_LEN (ORIGIN_SUM_LEN + KEYHASH_LEN)

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
	/* over all of it and the config's digest: the inventory's key */
	uint8_t id[ORIGIN_ID_LEN];
};

/* Fills in the second part of an id from the first. -KTC_E_OPENSSL. */
static inline int origin_id_place(uint8_t id[ORIGIN_ID_LEN])
{
	return keyhash(id, ORIGIN_SUM_LEN, id + ORIGIN_SUM_LEN);
}

static inline uint64_t origin_id_hash(const uint8_t id[ORIGIN_ID_LEN])
{
	uint64_t hash;

	memcpy(&hash, id + ORIGIN_SUM_LEN, sizeof(hash));
	return hash;
}

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
