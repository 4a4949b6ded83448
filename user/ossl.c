// SPDX-License-Identifier: MIT
/*
 * OpenSSL behind a seam. With ossl_ctx.c and ticket.c the only file that
 * includes OpenSSL's TLS headers; public API only. What an SSL reads and
 * writes goes through ossl_bio.c.
 *
 * Sequence numbers. TLS 1.3 (RFC 8446 5.3): zero whenever a traffic secret is
 * installed, then one per protected record; OpenSSL tells of each secret by
 * the key log callback, after everything under the old key is in the BIO.
 * TLS 1.2: zero at ChangeCipherSpec, then one per record; both are seen in
 * the record headers. OpenSSL's error queue is empty on return from every
 * function here.
 *
 * One SSL belongs to one thread. An SSL_CTX is shared and not changed after
 * ossl_ctx_new().
 */
#include "ossl.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "config.h"
#include "frame.h"
#include "keysched.h"
#include "limit.h"
#include "mem.h"
#include "origin.h"
#include "ossl_bio.h"
#include "ossl_ctx.h"
#include "sys.h"
#include "ticket.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct ossl {
	struct ossl_pool *pool;	/* it came from there */
	SSL *ssl;
	struct ossl_ctx *ctx;
	struct ossl_bio bio;
	bool done;		/* handshake */
	bool closed;		/* close_notify came */
	bool tls13;
	bool rx_protected;	/* 1.2: after the peer's ChangeCipherSpec */
	bool tx_protected;
	bool rx_new_key;	/* the record being read installed one */
	bool drained;		/* all data of the record has been read */
	const struct ossl_hooks *hooks;
	void *arg;
	const struct suite *suite;
	SSL_SESSION *offered;	/* 1.2: to notice a renewed ticket */
	struct frame rx_frame;
	struct frame tx_frame;
	size_t preamble_left;	/* of what comes out next: no record */
	uint64_t tx_made;	/* bytes that ever came out */
	uint64_t tx_key_from;	/* of those, where the current key begins */
	uint64_t seq[2];
	uint32_t handshake_bytes;
	uint8_t secret[2][SUITE_SECRET_MAX];
	uint8_t explicit_nonce[8];
	/* failure */
	const char *text;
	int alert;
	bool alert_sent;
};

/* --------------------------------------------------------- callbacks -- */

static int hex_nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The secret is the third word of a key log line. 0 when it is malformed. */
static size_t keylog_secret(const char *line, uint8_t *out, size_t max)
{
	const char *p = strrchr(line, ' ');
	size_t n = 0;

	if (!p)
		return 0;
	for (p++; p[0] && p[1]; p += 2) {
		int hi = hex_nibble(p[0]);
		int lo = hex_nibble(p[1]);

		if (hi < 0 || lo < 0 || n == max)
			return 0;
		out[n++] = hi << 4 | lo;
	}
	return n;
}

static void ossl_new_secret(struct ossl *o, int dir, const char *line,
			    bool update)
{
	if (!keylog_secret(line, o->secret[dir], SUITE_SECRET_MAX))
		return;
	if (dir == KTC_RX) {
		o->rx_new_key = true;
	} else {
		/* what is in the BIO by now went out under the old key */
		o->seq[KTC_TX] = 0;
		o->tx_key_from = o->tx_made + ossl_bio_pending(&o->bio);
	}
	if (update && o->hooks->rekeyed)
		o->hooks->rekeyed(o->arg, dir);
}

static void keylog_file(int fd, const char *line)
{
	char buf[512];
	int n = snprintf(buf, sizeof(buf), "%s\n", line);

	/* one write to an O_APPEND file: lines of threads do not mix */
	if (n > 0 && (size_t)n < sizeof(buf))
		(void)!write(fd, buf, n); /* a log that fails stops nobody */
	mem_wipe(buf, sizeof(buf));
}

void ossl_on_keylog(const SSL *ssl, const char *line)
{
	static const char client[] = "CLIENT_TRAFFIC_SECRET_";
	static const char server[] = "SERVER_TRAFFIC_SECRET_";
	struct ossl *o = SSL_get_ex_data(ssl, ossl_index);
	const struct config *config;

	if (!o)
		return;
	config = o->ctx->config;
	if (!strncmp(line, client, sizeof(client) - 1))
		ossl_new_secret(o, KTC_TX, line,
				line[sizeof(client) - 1] != '0');
	else if (!strncmp(line, server, sizeof(server) - 1))
		ossl_new_secret(o, KTC_RX, line,
				line[sizeof(server) - 1] != '0');
	if (config->keylog)
		config->keylog(config->keylog_arg, line);
	if (o->ctx->keylog_fd >= 0)
		keylog_file(o->ctx->keylog_fd, line);
}

void ossl_on_info(const SSL *ssl, int where, int ret)
{
	struct ossl *o = SSL_get_ex_data(ssl, ossl_index);

	/* close_notify and user_canceled are no failures */
	if (!o || !(where & SSL_CB_ALERT) || (ret & 0xff) == 0 ||
	    (ret & 0xff) == SSL_AD_USER_CANCELLED)
		return;
	o->alert = ret & 0xff;
	o->alert_sent = where & SSL_CB_WRITE;
}

static void ossl_give_session(struct ossl *o, SSL_SESSION *take)
{
	struct ticket *ticket;

	if (ticket_new(take, sys->time_s(), &ticket)) {
		SSL_SESSION_free(take);
		return;
	}
	if (o->hooks->session)
		o->hooks->session(o->arg, ticket);
	else
		ticket_put(ticket);
}

int ossl_on_session(SSL *ssl, SSL_SESSION *session)
{
	struct ossl *o = SSL_get_ex_data(ssl, ossl_index);

	/*
	 * TLS 1.2 sessions are fetched after the handshake: for a renewed
	 * ticket of a resumed session this callback does not fire.
	 */
	if (!o || SSL_version(ssl) < TLS1_3_VERSION)
		return 0;
	ossl_give_session(o, session);
	return 1;
}

/* ----------------------------------------------------------- connection -- */

static bool ossl_set_name(SSL *ssl, const struct origin *origin)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	if (!origin->name)
		return true;
	if (origin->name_is_ip)
		return X509_VERIFY_PARAM_set1_ip(param, origin->name_ip,
						 origin->name_ip_len) == 1;
	X509_VERIFY_PARAM_set_hostflags(param,
					X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set_tlsext_host_name(ssl, origin->name) == 1 &&
	       X509_VERIFY_PARAM_set1_host(param, origin->name, 0) == 1;
}

void ossl_pool_init(struct ossl_pool *pool)
{
	mem_pool_init(&pool->objects, sizeof(struct ossl));
	bio_pool_init(&pool->buffers);
}

void ossl_pool_fini(struct ossl_pool *pool)
{
	mem_pool_fini(&pool->objects);
	bio_pool_fini(&pool->buffers);
}

/*
 * Every call into OpenSSL begins with an empty error queue, for SSL_get_error()
 * looks there. It nearly always is: emptying it writes all its places.
 */
static void ossl_forget_errors(void)
{
	if (ERR_peek_error())
		ERR_clear_error();
}

int ossl_new(struct ossl_ctx *ctx, struct ossl_pool *pool,
	     const struct origin *origin, const struct ticket *ticket,
	     const struct ossl_hooks *hooks, void *arg, struct ossl **out)
{
	struct ossl *o = mem_pool_get(&pool->objects);
	SSL *ssl;
	BIO *bio;

	if (!o)
		return -ENOMEM;
	o->pool = pool;
	o->ctx = ctx;
	o->hooks = hooks;
	o->arg = arg;
	o->alert = -1;
	o->ssl = ssl = SSL_new(ctx->ssl_ctx);
	bio = ossl_bio_new(&o->bio, &pool->buffers);
	if (!ssl || !bio) {
		BIO_free(bio);
		goto out_free;
	}
	SSL_set_bio(ssl, bio, bio); /* it is the SSL's now */
	if (SSL_set_ex_data(ssl, ossl_index, o) != 1)
		goto out_free;
	SSL_set_connect_state(ssl);
	if (!ossl_set_name(ssl, origin))
		goto out_free;
	if (origin->alpn &&
	    SSL_set_alpn_protos(ssl, origin->alpn, origin->alpn_len))
		goto out_free;
	if (ticket) {
		if (SSL_set_session(ssl, ticket->session) != 1)
			goto out_free;
		SSL_SESSION_up_ref(ticket->session);
		o->offered = ticket->session;
	}
	ERR_clear_error();
	*out = o;
	return 0;

out_free:
	ERR_clear_error();
	ossl_free(o);
	return -ENOMEM;
}

void ossl_free(struct ossl *o)
{
	if (!o)
		return;
	/*
	 * An SSL that goes away open marks its session as not resumable. Only
	 * SENT says "closed" without a byte on the wire.
	 */
	if (o->ssl && o->done)
		SSL_set_shutdown(o->ssl, SSL_get_shutdown(o->ssl) |
						 SSL_SENT_SHUTDOWN);
	SSL_free(o->ssl);
	ossl_bio_fini(&o->bio);
	SSL_SESSION_free(o->offered);
	ERR_clear_error();
	mem_pool_put(&o->pool->objects, o);
}

int ossl_preamble(struct ossl *o, const void *bytes, size_t len)
{
	if (!ossl_bio_put(&o->bio, bytes, len))
		return -ENOMEM;
	o->preamble_left = len;
	return 0;
}

static int verify_error(long result)
{
	switch (result) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return -KTC_E_VERIFY_HOST;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return -KTC_E_VERIFY_EXPIRED;
	case X509_V_ERR_CERT_REVOKED:
		return -KTC_E_VERIFY_REVOKED;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_CERT_UNTRUSTED:
		return -KTC_E_VERIFY_CA;
	default:
		return -KTC_E_VERIFY;
	}
}

/*
 * The entry that says what happened: the TLS layer's, where there is one. A
 * provider may have put its own before it.
 */
static unsigned long ossl_error_entry(void)
{
	unsigned long first = ERR_get_error();
	unsigned long e = first;

	while (e && ERR_GET_LIB(e) != ERR_LIB_SSL)
		e = ERR_get_error();
	return e ? e : first;
}

/* What OpenSSL's queue says, as one of our codes. Empties the queue. */
static int ossl_error(struct ossl *o)
{
	unsigned long e = ossl_error_entry();
	int reason = ERR_GET_REASON(e);
	int err = o->done ? -KTC_E_UNEXPECTED : -KTC_E_HANDSHAKE;

	if (o->bio.no_memory || reason == ERR_R_MALLOC_FAILURE) {
		err = -ENOMEM;
	} else if (ERR_GET_LIB(e) != ERR_LIB_SSL) {
		err = -KTC_E_OPENSSL;
	} else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
		err = verify_error(SSL_get_verify_result(o->ssl));
	} else if (reason >= SSL_AD_REASON_OFFSET &&
		   reason < SSL_AD_REASON_OFFSET + 256) {
		o->alert = reason - SSL_AD_REASON_OFFSET;
		o->alert_sent = false;
		err = -KTC_E_ALERT;
	} else if (reason == SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC) {
		err = -KTC_E_DECRYPT;
	} else if (reason == SSL_R_RECORD_TOO_SMALL ||
		   reason == SSL_R_TOO_MANY_WARN_ALERTS ||
		   reason == SSL_R_TOO_MANY_KEY_UPDATES) {
		/* the first is what it says of many empty records */
		err = -KTC_E_FLOOD;
	}
	o->text = ERR_reason_error_string(e);
	ERR_clear_error();
	return err;
}

ssize_t ossl_feed(struct ossl *o, const uint8_t *p, size_t len, bool *whole)
{
	ssize_t n = frame_take(&o->rx_frame, p, len, whole);

	if (n < 0) {
		o->text = "not a TLS record";
		return n;
	}
	if (!o->done) {
		o->handshake_bytes += n;
		if (o->handshake_bytes > LIMIT_HANDSHAKE_BYTES) {
			o->text = "handshake larger than the limit";
			return -KTC_E_HANDSHAKE;
		}
	}
	ossl_bio_lend(&o->bio, p, n);
	return n;
}

size_t ossl_missing(const struct ossl *o)
{
	return frame_missing(&o->rx_frame);
}

/* The record in rx_frame has been processed: its number is used up. */
static void ossl_record_read(struct ossl *o)
{
	uint8_t type = o->rx_frame.head[0];

	if (o->rx_frame.head_len < FRAME_HEAD || o->rx_frame.body_left)
		return;
	if (o->rx_new_key) {
		o->rx_new_key = false;
		o->rx_protected = true;
		o->seq[KTC_RX] = 0;
	} else if (o->tls13) {
		if (o->rx_protected && type == RECORD_DATA)
			o->seq[KTC_RX]++;
	} else if (type == RECORD_CCS) {
		o->rx_protected = true;
		o->seq[KTC_RX] = 0;
	} else if (o->rx_protected) {
		o->seq[KTC_RX]++;
	}
	o->rx_frame.head_len = 0;
}

/*
 * TLS 1.2: the session of this handshake, if it is not the one offered. The
 * one way to learn of a renewed ticket too.
 */
static void ossl_fetch_session(struct ossl *o)
{
	SSL_SESSION *session = SSL_get1_session(o->ssl);

	if (!session)
		return;
	if (session != o->offered && SSL_SESSION_is_resumable(session))
		ossl_give_session(o, session);
	else
		SSL_SESSION_free(session);
}

static int ossl_handshake_done(struct ossl *o)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(o->ssl);
	long verify = SSL_get_verify_result(o->ssl);

	o->done = true;
	o->suite = suite_find(SSL_version(o->ssl),
			      SSL_CIPHER_get_protocol_id(cipher));
	/*
	 * A resumed session carries the verdict of the handshake that made
	 * it: it is looked at again, not believed.
	 */
	if (!(o->ctx->config->flags & KTC_CLIENT_INSECURE_NO_VERIFY) &&
	    verify != X509_V_OK) {
		o->text = X509_verify_cert_error_string(verify);
		return verify_error(verify);
	}
	if (!o->tls13)
		ossl_fetch_session(o);
	SSL_SESSION_free(o->offered);
	o->offered = NULL;
	return 1;
}

int ossl_handshake(struct ossl *o)
{
	int err, ret;

	ossl_forget_errors();
	ret = SSL_do_handshake(o->ssl);
	o->tls13 = SSL_version(o->ssl) >= TLS1_3_VERSION;
	ossl_record_read(o);
	if (ret == 1)
		return ossl_handshake_done(o);
	err = SSL_get_error(o->ssl, ret);
	if (err == SSL_ERROR_WANT_READ)
		return 0;
	if (err == SSL_ERROR_ZERO_RETURN) {
		o->text = "closed by the peer";
		return -KTC_E_HANDSHAKE;
	}
	return ossl_error(o);
}

int ossl_key_update(struct ossl *o, bool request_peer)
{
	ossl_forget_errors();
	if (SSL_key_update(o->ssl, request_peer ?
					   SSL_KEY_UPDATE_REQUESTED :
					   SSL_KEY_UPDATE_NOT_REQUESTED) != 1 ||
	    SSL_do_handshake(o->ssl) != 1)
		return ossl_error(o);
	return 0;
}

/*
 * A KeyUpdate that asks for ours: OpenSSL would answer with the next write,
 * which may never come.
 */
static int ossl_answer_key_update(struct ossl *o)
{
	if (!o->tls13 || SSL_get_key_update_type(o->ssl) == SSL_KEY_UPDATE_NONE)
		return 0;
	if (SSL_get_shutdown(o->ssl) & SSL_SENT_SHUTDOWN)
		return 0; /* close_notify was our last word */
	return ossl_key_update(o, false);
}

ssize_t ossl_read(struct ossl *o, uint8_t *buf, size_t len)
{
	size_t n;
	int err;

	if (o->drained) {
		o->drained = false;
		return 0;
	}
	ossl_forget_errors();
	if (SSL_read_ex(o->ssl, buf, len, &n) == 1) {
		/* data fills its record: nothing else can be in it */
		o->drained = !SSL_has_pending(o->ssl) && !o->bio.in_len;
		if (o->drained)
			ossl_record_read(o);
		return n;
	}
	err = SSL_get_error(o->ssl, 0);
	ossl_record_read(o);
	if (err == SSL_ERROR_WANT_READ)
		return ossl_answer_key_update(o);
	/* OpenSSL 3.5 says SYSCALL for close_notify after user_canceled */
	if (err == SSL_ERROR_ZERO_RETURN ||
	    (err == SSL_ERROR_SYSCALL &&
	     SSL_get_shutdown(o->ssl) & SSL_RECEIVED_SHUTDOWN)) {
		o->closed = true;
		return 0;
	}
	return ossl_error(o);
}

bool ossl_closed(const struct ossl *o)
{
	return o->closed;
}

int ossl_write(struct ossl *o, const void *buf, size_t len)
{
	size_t n;

	ossl_forget_errors();
	/* our BIO takes everything: it is all or an error */
	if (SSL_write_ex(o->ssl, buf, len, &n) == 1 && n == len)
		return 0;
	return ossl_error(o);
}

int ossl_close_notify(struct ossl *o)
{
	ossl_forget_errors();
	if (SSL_shutdown(o->ssl) < 0)
		return ossl_error(o);
	ERR_clear_error();
	return 0;
}

/* --------------------------------------------------------------- output -- */

size_t ossl_out_pending(const struct ossl *o)
{
	return ossl_bio_pending(&o->bio);
}

/* Counts the records that leave, and keeps the last explicit nonce (1.2). */
static void ossl_count_out(struct ossl *o, const uint8_t *p, size_t len)
{
	size_t off = MIN(o->preamble_left, len);

	o->preamble_left -= off;
	while (off < len) {
		uint64_t at = o->tx_made + off;
		const uint8_t *head = p + off;
		uint8_t type = head[0];
		bool whole;
		ssize_t n;

		/* OpenSSL writes whole records only */
		n = frame_take(&o->tx_frame, head, len - off, &whole);
		if (n <= 0)
			break;
		off += n;
		if (o->tls13) {
			o->seq[KTC_TX] += type == RECORD_DATA &&
					  at >= o->tx_key_from;
		} else if (type == RECORD_CCS) {
			o->tx_protected = true;
			o->seq[KTC_TX] = 0;
		} else if (o->tx_protected) {
			o->seq[KTC_TX]++;
			if (n >= FRAME_HEAD + 8)
				memcpy(o->explicit_nonce, head + FRAME_HEAD, 8);
		}
	}
	o->tx_made += len;
}

size_t ossl_out(struct ossl *o, const uint8_t **p)
{
	size_t len = ossl_bio_take(&o->bio, p);

	if (len)
		ossl_count_out(o, *p, len);
	return len;
}

void ossl_out_done(struct ossl *o)
{
	ossl_bio_done(&o->bio);
}

/* ------------------------------------------------------------- handover -- */

static void nonce_increment(uint8_t nonce[8])
{
	int i;

	for (i = 7; i >= 0 && !++nonce[i]; i--)
		;
}

int ossl_secrets(const struct ossl *o, struct ossl_secrets *out)
{
	SSL_SESSION *session = SSL_get_session(o->ssl);

	if (!o->suite)
		return -KTC_E_UNSUPPORTED;
	if (!session || !o->done)
		return -KTC_E_INTERNAL;
	memset(out, 0, sizeof(*out));
	out->suite = o->suite;
	out->seq[KTC_RX] = o->seq[KTC_RX];
	out->seq[KTC_TX] = o->seq[KTC_TX];
	if (o->tls13) {
		memcpy(out->secret, o->secret, sizeof(out->secret));
		return 0;
	}
	out->master_len = SSL_SESSION_get_master_key(session, out->master,
						     sizeof(out->master));
	SSL_get_client_random(o->ssl, out->client_random, 32);
	SSL_get_server_random(o->ssl, out->server_random, 32);
	/* the kernel goes on where OpenSSL stopped: a nonce is used once */
	memcpy(out->explicit_nonce, o->explicit_nonce, 8);
	nonce_increment(out->explicit_nonce);
	return out->master_len ? 0 : -KTC_E_INTERNAL;
}

void ossl_handed_over(struct ossl *o)
{
	/*
	 * Nobody will call SSL_shutdown(): without this the session would be
	 * spoilt by SSL_free(). RECEIVED must not be set, it would stop the
	 * tickets that are still to come.
	 */
	SSL_set_shutdown(o->ssl, SSL_SENT_SHUTDOWN);
}

int ossl_ingest(struct ossl *o, const uint8_t *msg, size_t len)
{
	uint8_t buf[FRAME_HEAD + LIMIT_RECORD_PLAIN + 1 + 16];
	struct keys keys;
	size_t sealed;
	uint8_t none;
	ssize_t n;
	bool whole;
	int err;

	if (!o->tls13 || !o->suite || len > LIMIT_RECORD_PLAIN)
		return -KTC_E_UNSUPPORTED;
	err = keysched_traffic(o->suite, o->secret[KTC_RX], &keys);
	if (!err)
		err = keysched_seal13(o->suite, &keys, o->seq[KTC_RX],
				      RECORD_HANDSHAKE, msg, len, buf, &sealed);
	if (!err) {
		n = ossl_feed(o, buf, sealed, &whole);
		err = n < 0 ? (int)n : 0;
	}
	if (!err) {
		n = ossl_read(o, &none, sizeof(none));
		err = n < 0 ? (int)n : 0;
	}
	/* anything it would answer is not ours to send */
	ossl_bio_drop(&o->bio);
	ossl_bio_lend(&o->bio, NULL, 0);
	mem_wipe(&keys, sizeof(keys));
	mem_wipe(buf, sizeof(buf));
	return err;
}

/* ---------------------------------------------------------- information -- */

void ossl_info(const struct ossl *o, struct ossl_info *out)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(o->ssl);
	unsigned int alpn_len;

	out->version = SSL_version(o->ssl);
	out->suite_id = cipher ? SSL_CIPHER_get_protocol_id(cipher) : 0;
	out->cipher = cipher ? SSL_CIPHER_get_name(cipher) : "";
	SSL_get0_alpn_selected(o->ssl, &out->alpn, &alpn_len);
	out->alpn_len = alpn_len;
	out->resumed = SSL_session_reused(o->ssl);
	out->verify_result = SSL_get_verify_result(o->ssl);
}

void ossl_fault(const struct ossl *o, struct ossl_fault *out)
{
	out->text = o->text;
	out->alert = o->alert;
	out->alert_sent = o->alert_sent;
	out->verify_result = SSL_get_verify_result(o->ssl);
}
