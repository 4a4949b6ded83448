// SPDX-License-Identifier: MIT
/*
 * OpenSSL's own session cache as a store: the table inside an SSL_CTX, with
 * its lock and its list, which OpenSSL itself looks into only as a server.
 *
 * Its public functions cannot all that a client needs: a session is found by
 * its whole id or not at all, there is one to an id, and none of them both
 * looks up a session and gives it to the caller. So the work is measured that
 * the cache would have, in the way that is best for it:
 *
 * - take+give is SSL_CTX_remove_session() and SSL_CTX_add_session(). The
 *   caller has the object already, each thread its own of every origin, with
 *   an id made of the origin's and the thread's number. All sessions have one
 *   time and life, so that the list is never searched for a place.
 * - share is SSL_has_matching_session_id(), which looks up under the lock for
 *   reading, then a reference to the session that it found, and back.
 *
 * Neither checks if the session has expired.
 */
#include <errno.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "cache_store.h"

#define LIFE_S (24 * 3600)

/**
 * struct ossl - the store
 * @sessions: a reference to each: @per_origin of the first origin, and so on;
 *	NULL if it was not made
 * @ssl: one for each thread, to look up with
 */
struct ossl {
	struct ssl_ctx_st *ctx;
	struct ssl_session_st **sessions;
	struct ssl_st **ssl;
	uint32_t session_count;
	uint32_t ssl_count;
	uint32_t per_origin;
};

static bool ossl_take_give(void *store, uint32_t thread,
			   const struct cache_key *key)
{
	struct ossl *o = store;
	SSL_SESSION *session = o->sessions[key->index * o->per_origin + thread];
	bool hit = SSL_CTX_remove_session(o->ctx, session);

	return SSL_CTX_add_session(o->ctx, session) && hit;
}

static bool ossl_share(void *store, uint32_t thread,
		       const struct cache_key *key)
{
	struct ossl *o = store;
	SSL_SESSION *session = o->sessions[key->index * o->per_origin];

	if (!SSL_has_matching_session_id(o->ssl[thread], key->id,
					 SSL_MAX_SSL_SESSION_ID_LENGTH))
		return false;
	if (!SSL_SESSION_up_ref(session))
		return false;
	SSL_SESSION_free(session);
	return true;
}

static void ossl_fini(void *store)
{
	struct ossl *o = store;
	uint32_t i;

	if (o->sessions)
		for (i = 0; i < o->session_count; i++)
			SSL_SESSION_free(o->sessions[i]);
	if (o->ssl)
		for (i = 0; i < o->ssl_count; i++)
			SSL_free(o->ssl[i]);
	free(o->sessions);
	free(o->ssl);
	SSL_CTX_free(o->ctx);
	free(o);
}

/* number n of an origin; number 0 has the origin's own id */
static SSL_SESSION *session_new(const struct cache_key *key, uint32_t n,
				int version)
{
	uint8_t id[SSL_MAX_SSL_SESSION_ID_LENGTH];
	SSL_SESSION *session = SSL_SESSION_new();
	uint32_t head;

	if (!session)
		return NULL;
	/* The first four bytes: OpenSSL's table has them for a hash. */
	memcpy(id, key->id, sizeof(id));
	memcpy(&head, id, sizeof(head));
	head ^= n;
	memcpy(id, &head, sizeof(head));
	/* 1: any time will do, if it is the same for all */
	if (SSL_SESSION_set1_id(session, id, sizeof(id)) &&
	    SSL_SESSION_set_protocol_version(session, version) &&
	    SSL_SESSION_set_time(session, 1) &&
	    SSL_SESSION_set_timeout(session, LIFE_S))
		return session;
	SSL_SESSION_free(session);
	return NULL;
}

static int fill_up(struct ossl *o, const struct cache_fill *fill)
{
	/* A look-up asks for the version that the SSL has. */
	int version = SSL_version(o->ssl[0]);
	uint32_t i, n;

	/* as the other stores get theirs */
	for (n = 0; n < o->per_origin; n++) {
		for (i = 0; i < fill->origins; i++) {
			SSL_SESSION *session =
				session_new(&fill->keys[i], n, version);

			if (!session)
				return -ENOMEM;
			o->sessions[i * o->per_origin + n] = session;
			if (!SSL_CTX_add_session(o->ctx, session))
				return -ENOMEM;
		}
	}
	return 0;
}

static int ctx_init(struct ossl *o, const struct cache_fill *fill)
{
	o->ctx = SSL_CTX_new(TLS_server_method());
	if (!o->ctx)
		return -ENOMEM;
	/* The modes and sizes before; neither call fails. */
	(void)SSL_CTX_set_session_cache_mode(
		o->ctx, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_AUTO_CLEAR);
	(void)SSL_CTX_sess_set_cache_size(o->ctx, 0); /* no limit */
	for (o->ssl_count = 0; o->ssl_count < fill->threads; o->ssl_count++) {
		o->ssl[o->ssl_count] = SSL_new(o->ctx);
		if (!o->ssl[o->ssl_count])
			return -ENOMEM;
	}
	return 0;
}

static int ossl_init(const struct cache_fill *fill, void **out)
{
	struct ossl *o = calloc(1, sizeof(*o));
	int err = -ENOMEM;

	if (!o)
		return -ENOMEM;
	o->per_origin = fill->op == CACHE_SHARE ? 1 : fill->tickets;
	o->ssl = calloc(fill->threads, sizeof(SSL *));
	o->session_count = fill->origins * o->per_origin;
	o->sessions = calloc(o->session_count, sizeof(SSL_SESSION *));
	if (o->ssl && o->sessions)
		err = ctx_init(o, fill);
	if (!err)
		err = fill_up(o, fill);
	if (err)
		ossl_fini(o);
	else
		*out = o;
	return err;
}

const struct cache_store cache_store_openssl = {
	.name = "openssl",
	.init = ossl_init,
	.op = {
		[CACHE_TAKE_GIVE] = ossl_take_give,
		[CACHE_SHARE] = ossl_share,
	},
	.fini = ossl_fini,
};
