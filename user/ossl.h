/* SPDX-License-Identifier: MIT */
/*
 * OpenSSL as a machine: bytes in, bytes out, no socket. One record goes in per
 * call, so the sequence numbers of both directions are always known, and with
 * them the keys can be handed to the kernel.
 */
#ifndef KTC_OSSL_H
#define KTC_OSSL_H

#include <ktlsclient.h>

#include "mem.h"
#include "ossl_bio.h"
#include "suite.h"

#include <sys/types.h>

struct config;
struct origin;
struct ossl;
struct ossl_ctx;
struct ticket;

int ossl_ctx_new(const struct config *config, struct ossl_ctx **out, char *why,
		 size_t why_len);
void ossl_ctx_free(struct ossl_ctx *ctx);	/* takes NULL */

/* Upcalls, from inside the calls below. */
struct ossl_hooks {
	/*
	 * A TLS 1.3 ticket came, or a TLS 1.2 session was made or renewed;
	 * the reference is the callee's.
	 */
	void (*session)(void *arg, struct ticket *take);
	/* new keys in a direction (KTC_RX, KTC_TX) by KeyUpdate */
	void (*rekeyed)(void *arg, int dir);
};

/* Where what is here lives: it holds secrets. One thread's. */
struct ossl_pool {
	struct mem_pool objects;
	struct bio_pool buffers;
};

void ossl_pool_init(struct ossl_pool *pool);
void ossl_pool_fini(struct ossl_pool *pool);

/* ticket is offered with SSL_set_session(), or NULL; borrowed for the call. */
int ossl_new(struct ossl_ctx *ctx, struct ossl_pool *pool,
	     const struct origin *origin,
	     const struct ticket *ticket, const struct ossl_hooks *hooks,
	     void *arg, struct ossl **out);
void ossl_free(struct ossl *o);			/* takes NULL */

/* Before the first ossl_handshake(): bytes that go out ahead, as they are. */
int ossl_preamble(struct ossl *o, const void *bytes, size_t len);

/*
 * Lends bytes of the peer, up to the end of the current record. Returns how
 * many and sets *whole at a record's end. Whole or not, ossl_handshake() or
 * ossl_read() must be called until they want more, before the next bytes and
 * before these go away.
 */
ssize_t ossl_feed(struct ossl *o, const uint8_t *p, size_t len, bool *whole);
/* Bytes missing to the next record boundary; 0 at one. */
size_t ossl_missing(const struct ossl *o);

/* 1 when the handshake is done, 0 for more input, -KTC_E_*. Start with it. */
int ossl_handshake(struct ossl *o);

/*
 * Bytes of application data into buf; 0: feed more; -KTC_E_*; close_notify
 * is 0 with ossl_closed().
 */
ssize_t ossl_read(struct ossl *o, uint8_t *buf, size_t len);
bool ossl_closed(const struct ossl *o);

/* Seals; what comes out is taken with ossl_out(). */
int ossl_write(struct ossl *o, const void *buf, size_t len);
int ossl_key_update(struct ossl *o, bool request_peer);
int ossl_close_notify(struct ossl *o);

/*
 * What is to be sent. ossl_out() lends all bytes made so far; they stay put
 * until ossl_out_done(), while new ones gather elsewhere. Not to be called
 * again before that.
 */
size_t ossl_out_pending(const struct ossl *o);
size_t ossl_out(struct ossl *o, const uint8_t **p);
void ossl_out_done(struct ossl *o);

/* All that kernel TLS needs, at a record boundary. Secret: wipe it. */
struct ossl_secrets {
	const struct suite *suite;
	uint8_t secret[2][SUITE_SECRET_MAX];	/* TLS 1.3, by direction */
	uint8_t master[48];			/* TLS 1.2 */
	size_t master_len;
	uint8_t client_random[32];
	uint8_t server_random[32];
	uint8_t explicit_nonce[8];	/* TLS 1.2 GCM: the next to send */
	uint64_t seq[2];		/* the next record's number */
};

int ossl_secrets(const struct ossl *o, struct ossl_secrets *out);

/* The keys are the kernel's: keeps the session resumable whatever comes. */
void ossl_handed_over(struct ossl *o);

/*
 * A complete NewSessionTicket message that the kernel has opened: sealed
 * again under OpenSSL's own receive key and fed to it. hooks->session has
 * fired on return.
 */
int ossl_ingest(struct ossl *o, const uint8_t *msg, size_t len);

/* After the handshake. The strings are static or live as long as o. */
struct ossl_info {
	uint16_t version;
	uint16_t suite_id;
	const char *cipher;
	const uint8_t *alpn;
	size_t alpn_len;
	bool resumed;
	long verify_result;
};

void ossl_info(const struct ossl *o, struct ossl_info *out);

/* What the last failure was about. text is static. */
struct ossl_fault {
	const char *text;	/* OpenSSL's reason, or NULL */
	int alert;		/* or -1 */
	bool alert_sent;
	long verify_result;
};

void ossl_fault(const struct ossl *o, struct ossl_fault *out);

#endif /* KTC_OSSL_H */
