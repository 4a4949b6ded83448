// SPDX-License-Identifier: MIT
/*
 * Whom a connection talks to: endpoint, name, ALPN and scope, checked and
 * frozen, and their hash together with the configuration's. That hash is the
 * inventory's key. A resumed session inherits the verification of the one
 * that made it, so two connections may share sessions only if everything
 * here is the same. Immutable after origin_init(); any thread.
 */
#include "origin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "config.h"
#include "digest.h"
#include "limit.h"
#include "mem.h"

#define CONN_FLAGS \
	(KTC_CONN_NO_RESUME | KTC_CONN_NO_TICKETS | KTC_CONN_RECV_PAUSED)

#define LABEL_MAX 63	/* RFC 1035 section 2.3.4 */

/* The fields of the identity. */
enum {
	FIELD_CONFIG = 1,
	FIELD_SCOPE,
	FIELD_NAME,
	FIELD_PORT,
	FIELD_ALPN,
};

/* An endpoint's place in the inventory; a unix path may hold any bytes. */
struct scope {
	char bytes[LIMIT_SCOPE];
	size_t len;
};

/*
 * An IP literal, IPv6 with or without brackets (RFC 3986 section 3.2.2). No
 * zone: a name to verify has none, and a link-local server is reached by
 * opts->addr.
 */
static bool parse_ip(const char *text, uint8_t ip[16], uint8_t *ip_len)
{
	char plain[INET6_ADDRSTRLEN];
	size_t len = strlen(text);
	bool brackets = len > 2 && text[0] == '[' && text[len - 1] == ']';

	if (brackets) {
		text++;
		len -= 2;
	}
	if (len >= sizeof(plain))
		return false;
	memcpy(plain, text, len);
	plain[len] = '\0';
	if (!brackets && inet_pton(AF_INET, plain, ip) == 1) {
		*ip_len = 4;
		return true;
	}
	if (inet_pton(AF_INET6, plain, ip) == 1) {
		*ip_len = 16;
		return true;
	}
	return false;
}

static bool is_ldh(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
	       c == '_';
}

static bool label_is_good(const char *label, size_t len)
{
	size_t i;

	if (!len || len > LABEL_MAX)
		return false;
	/* RFC 5890 section 2.3.1: no hyphen at either end */
	if (label[0] == '-' || label[len - 1] == '-')
		return false;
	for (i = 0; i < len; i++)
		if (!is_ldh(label[i]))
			return false;
	return true;
}

/*
 * RFC 1123 section 2.1: the last label of a name is never a number. What ends
 * in one is an address in a form that some resolvers read ("127.1",
 * "0x7f000001"), and nobody could have a certificate for it.
 */
static bool is_number(const char *label)
{
	if (label[0] == '0' && label[1] == 'x')
		return !label[2 + strspn(label + 2, "0123456789abcdef")];
	return !label[strspn(label, "0123456789")];
}

/*
 * The one form of a DNS name: lower case, without the root's dot. Labels are
 * of letters, digits, hyphens, and of underscores, which RFC 1123 lacks and
 * private networks use. Other scripts must come as A-labels ("xn--").
 */
static bool normalise_name(const char *text, char out[LIMIT_NAME + 1])
{
	size_t len = strlen(text), i;
	char *label, *dot;

	if (len && text[len - 1] == '.')
		len--;
	if (!len || len > LIMIT_NAME)
		return false;
	for (i = 0; i < len; i++)
		out[i] = text[i] >= 'A' && text[i] <= 'Z' ?
			 (char)(text[i] - 'A' + 'a') : text[i];
	out[len] = '\0';
	for (label = out; (dot = strchr(label, '.')); label = dot + 1)
		if (!label_is_good(label, (size_t)(dot - label)))
			return false;
	return label_is_good(label, strlen(label)) && !is_number(label);
}

/* A name or an address in its one form: no brackets, lower case. */
static int normalise_host(const char *text, char out[LIMIT_NAME + 1],
			  uint8_t ip[16], uint8_t *ip_len)
{
	*ip_len = 0;
	if (parse_ip(text, ip, ip_len))
		return inet_ntop(*ip_len == 4 ? AF_INET : AF_INET6, ip, out,
				 LIMIT_NAME + 1) ? 0 : -KTC_E_INTERNAL;
	return normalise_name(text, out) ? 0 : -KTC_E_OPTION;
}

static int set_name(struct origin *origin, const char *text)
{
	char name[LIMIT_NAME + 1];
	int err;

	err = normalise_host(text, name, origin->name_ip,
			     &origin->name_ip_len);
	if (err)
		return err;
	origin->name_is_ip = origin->name_ip_len > 0;
	origin->name = mem_strdup(name);
	return origin->name ? 0 : -ENOMEM;
}

static void scope_print(struct scope *scope, const char *host, bool brackets,
			uint16_t port)
{
	/* Fits: a name has LIMIT_NAME characters at most. */
	scope->len = (size_t)snprintf(scope->bytes, sizeof(scope->bytes),
				      brackets ? "[%s]:%u" : "%s:%u", host,
				      port);
}

static void scope_unix(struct scope *scope, const struct sockaddr_un *sun,
		       socklen_t len)
{
	static const char prefix[] = "unix:";
	const size_t head = sizeof(prefix) - 1;
	size_t path = (size_t)len - offsetof(struct sockaddr_un, sun_path);

	/*
	 * An abstract name is all bytes that len covers and begins with NUL,
	 * which no path does. A path ends at its NUL.
	 */
	if (path && sun->sun_path[0])
		path = strnlen(sun->sun_path, path);
	memcpy(scope->bytes, prefix, head);
	memcpy(scope->bytes + head, sun->sun_path, path);
	scope->len = head + path;
}

/*
 * Scope and port of a socket address. What has neither, such as one end of a
 * socketpair, shares one scope: its sessions are still kept apart by name.
 */
static int scope_addr(struct scope *scope, uint16_t *port,
		      const struct sockaddr *addr, socklen_t len)
{
	char text[INET6_ADDRSTRLEN + sizeof("%4294967295")];
	const struct sockaddr_in6 *in6;
	const struct sockaddr_in *in;
	size_t used;

	if (len < sizeof(addr->sa_family) ||
	    len > sizeof(struct sockaddr_storage))
		return -KTC_E_OPTION;
	switch (addr->sa_family) {
	case AF_INET:
		in = (const struct sockaddr_in *)addr;
		if (len < sizeof(*in))
			return -KTC_E_OPTION;
		if (!inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)))
			return -KTC_E_INTERNAL;
		*port = ntohs(in->sin_port);
		scope_print(scope, text, false, *port);
		return *port ? 0 : -KTC_E_OPTION;
	case AF_INET6:
		in6 = (const struct sockaddr_in6 *)addr;
		if (len < sizeof(*in6))
			return -KTC_E_OPTION;
		if (!inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text)))
			return -KTC_E_INTERNAL;
		used = strlen(text);
		/* The same link-local address on two links: two servers. */
		if (in6->sin6_scope_id)
			(void)snprintf(text + used, sizeof(text) - used, "%%%u",
				       in6->sin6_scope_id); /* has room */
		*port = ntohs(in6->sin6_port);
		scope_print(scope, text, true, *port);
		return *port ? 0 : -KTC_E_OPTION;
	case AF_UNIX:
		if (len > sizeof(struct sockaddr_un))
			return -KTC_E_OPTION;
		*port = 0;
		scope_unix(scope, (const struct sockaddr_un *)addr, len);
		return 0;
	default:
		return -KTC_E_OPTION;
	}
}

static int use_host(struct origin *origin, const struct ktc_conn_opts *opts,
		    struct scope *scope)
{
	char host[LIMIT_NAME + 1];
	uint8_t ip[16], ip_len;
	int err;

	if (!opts->port)
		return -KTC_E_OPTION;
	err = normalise_host(opts->host, host, ip, &ip_len);
	if (err)
		return err;
	origin->port = opts->port;
	/*
	 * The resolver gets a name as it was given, for a dot at its end keeps
	 * it from being searched in other domains.
	 */
	origin->host = mem_strdup(ip_len ? host : opts->host);
	if (!origin->host)
		return -ENOMEM;
	scope_print(scope, host, ip_len == 16, opts->port);
	return 0;
}

static int use_addr(struct origin *origin, const struct ktc_conn_opts *opts,
		    struct scope *scope)
{
	int err;

	if (opts->port)
		return -KTC_E_OPTION;	/* it is in the address */
	err = scope_addr(scope, &origin->port, opts->addr, opts->addr_len);
	if (err)
		return err;
	/* Nothing to connect to: a unix address without a path. */
	if (opts->addr->sa_family == AF_UNIX &&
	    scope->len == sizeof("unix:") - 1)
		return -KTC_E_OPTION;
	memcpy(&origin->addr, opts->addr, opts->addr_len);
	origin->addr_len = opts->addr_len;
	return 0;
}

static int use_fd(struct origin *origin, const struct ktc_conn_opts *opts,
		  const struct sockaddr *peer, socklen_t peer_len,
		  struct scope *scope)
{
	if (opts->port)
		return -KTC_E_OPTION;	/* it is connected */
	if (peer)
		return scope_addr(scope, &origin->port, peer, peer_len);
	scope->len = (size_t)snprintf(scope->bytes, sizeof(scope->bytes),
				      "peer:unnamed");
	return 0;
}

/* Exactly one of host, addr and fd. */
static int use_endpoint(struct origin *origin,
			const struct ktc_conn_opts *opts,
			const struct sockaddr *peer, socklen_t peer_len,
			struct scope *scope)
{
	bool other = opts->host || opts->addr;
	bool fd = opts->fd > 0 || (opts->fd == 0 && !other);

	if (opts->fd < -1 || (opts->host && opts->addr) || (fd && other) ||
	    (!fd && !other))
		return -KTC_E_OPTION;
	if (!opts->addr && opts->addr_len)
		return -KTC_E_OPTION;
	if (opts->host)
		return use_host(origin, opts, scope);
	if (opts->addr)
		return use_addr(origin, opts, scope);
	return use_fd(origin, opts, peer, peer_len, scope);
}

static int use_name(struct origin *origin, const struct config *config,
		    const struct ktc_conn_opts *opts)
{
	if (opts->server_name)
		return set_name(origin, opts->server_name);
	if (opts->host)
		return set_name(origin, opts->host);
	/* A chain that is verified for no name proves nothing. */
	return config->flags & KTC_CLIENT_INSECURE_NO_VERIFY ?
	       0 : -KTC_E_OPTION;
}

static int use_alpn(struct origin *origin, const struct config *config,
		    const struct ktc_conn_opts *opts)
{
	if (opts->alpn)
		return config_alpn(opts->alpn, &origin->alpn,
				   &origin->alpn_len);
	if (!config->alpn)
		return 0;
	origin->alpn = mem_dup(config->alpn, config->alpn_len);
	if (!origin->alpn)
		return -ENOMEM;
	origin->alpn_len = config->alpn_len;
	return 0;
}

static int use_scope(const struct ktc_conn_opts *opts, struct scope *scope)
{
	size_t len;

	if (!opts->scope)
		return 0;
	len = strnlen(opts->scope, LIMIT_SCOPE + 1);
	if (!len || len > LIMIT_SCOPE)
		return -KTC_E_OPTION;
	memcpy(scope->bytes, opts->scope, len);
	scope->len = len;
	return 0;
}

/* Exported sessions carry it: whoever changes it raises seal.c's version. */
static int identify(struct origin *origin, const struct config *config,
		    const struct scope *scope)
{
	struct digest digest;
	int err;

	digest_init(&digest);
	digest_field(&digest, FIELD_CONFIG, config->digest,
		     sizeof(config->digest));
	digest_field(&digest, FIELD_SCOPE, scope->bytes, scope->len);
	digest_field(&digest, FIELD_NAME, origin->name,
		     origin->name ? strlen(origin->name) : 0);
	digest_number(&digest, FIELD_PORT, origin->port);
	digest_field(&digest, FIELD_ALPN, origin->alpn, origin->alpn_len);
	err = digest_fini(&digest, origin->id);
	return err ? err : origin_id_place(origin->id);
}

static int check_flags(const struct ktc_conn_opts *opts)
{
	if (opts->flags & ~CONN_FLAGS || opts->reserved0 || opts->reserved1 ||
	    (unsigned int)opts->policy > KTC_POLICY_NEVER)
		return -KTC_E_OPTION;
	return 0;
}

int origin_init(struct origin *origin, const struct config *config,
		const struct ktc_conn_opts *opts, const struct sockaddr *peer,
		socklen_t peer_len)
{
	struct origin made = { 0 };
	struct scope scope = { .len = 0 };
	int err;

	err = check_flags(opts);
	if (!err)
		err = use_endpoint(&made, opts, peer, peer_len, &scope);
	if (!err)
		err = use_name(&made, config, opts);
	if (!err)
		err = use_alpn(&made, config, opts);
	if (!err)
		err = use_scope(opts, &scope);
	if (!err)
		err = identify(&made, config, &scope);
	if (err)
		origin_fini(&made);
	else
		*origin = made;
	return err;
}

void origin_fini(struct origin *origin)
{
	mem_free(origin->host);
	mem_free(origin->name);
	mem_free(origin->alpn);
	memset(origin, 0, sizeof(*origin));
}
