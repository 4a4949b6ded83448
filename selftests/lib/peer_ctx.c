// SPDX-License-Identifier: MIT
/*
 * The peer's TLS context, and what its callbacks learn: the server's traffic
 * secret (for re-framing), alerts, KeyUpdates, tickets, and from the
 * ClientHello the name and the ticket offered. The callbacks run in the
 * connection's thread.
 */
#include "peer_conn.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#define MSG_CLIENT_HELLO	1
#define EXT_SERVER_NAME		0
#define EXT_PRE_SHARED_KEY	41

struct suite_names {
	const char *tls12;
	const char *tls13;
};

static const struct suite_names suites[] = {
	[PEER_SUITE_ANY] = {
		"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
		"ECDHE-ECDSA-CHACHA20-POLY1305",
		"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
		"TLS_CHACHA20_POLY1305_SHA256" },
	[PEER_SUITE_AES128] = { "ECDHE-ECDSA-AES128-GCM-SHA256",
				"TLS_AES_128_GCM_SHA256" },
	[PEER_SUITE_AES256] = { "ECDHE-ECDSA-AES256-GCM-SHA384",
				"TLS_AES_256_GCM_SHA384" },
	[PEER_SUITE_CHACHA20] = { "ECDHE-ECDSA-CHACHA20-POLY1305",
				  "TLS_CHACHA20_POLY1305_SHA256" },
};

static const char *const cert_names[] = {
	[PEER_CERT_GOOD] = "server",
	[PEER_CERT_OTHER] = "other",
	[PEER_CERT_EXPIRED] = "expired",
	[PEER_CERT_UNKNOWN_CA] = "unknown",
	[PEER_CERT_REVOKED] = "revoked",
};

/* ------------------------------------------------------ ClientHello -- */

struct view {
	const uint8_t *p;
	size_t len;
};

/* Takes a vector with a length field of @width bytes off @v. */
static bool view_vector(struct view *v, size_t width, struct view *out)
{
	size_t len = 0;

	if (v->len < width)
		return false;
	for (size_t i = 0; i < width; i++)
		len = len << 8 | v->p[i];
	if (v->len - width < len)
		return false;
	*out = (struct view){ v->p + width, len };
	v->p += width + len;
	v->len -= width + len;
	return true;
}

static bool view_skip(struct view *v, size_t len)
{
	if (v->len < len)
		return false;
	v->p += len;
	v->len -= len;
	return true;
}

/* FNV-1a: enough to tell the random tickets of a test apart. */
static uint64_t view_hash(const struct view *v)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (size_t i = 0; i < v->len; i++)
		hash = (hash ^ v->p[i]) * 0x100000001b3u;
	return hash;
}

static void note_server_name(struct peer_conn *c, struct view ext)
{
	struct view list, name;

	if (!view_vector(&ext, 2, &list) || !view_skip(&list, 1) ||
	    !view_vector(&list, 2, &name) ||
	    name.len >= sizeof(c->res.server_name))
		return;
	memcpy(c->res.server_name, name.p, name.len);
	c->res.server_name[name.len] = '\0';
}

static void note_psk(struct peer_conn *c, struct view ext)
{
	struct view list, identity;

	/* After a HelloRetryRequest the same ticket comes again, rightly. */
	if (c->res.offered_psk)
		return;
	if (!view_vector(&ext, 2, &list) || !view_vector(&list, 2, &identity))
		return;
	c->res.offered_psk = true;
	pconn_note_psk(c, view_hash(&identity));
}

static void note_client_hello(struct peer_conn *c, const void *msg, size_t len)
{
	struct view v = { msg, len }, skipped, exts, ext;

	/* Header, version, random; session id, suites, compression. */
	if (!view_skip(&v, 4 + 2 + 32) || !view_vector(&v, 1, &skipped) ||
	    !view_vector(&v, 2, &skipped) || !view_vector(&v, 1, &skipped) ||
	    !view_vector(&v, 2, &exts))
		return;
	while (exts.len >= 4) {
		unsigned int type = (unsigned int)exts.p[0] << 8 | exts.p[1];

		if (!view_skip(&exts, 2) || !view_vector(&exts, 2, &ext))
			return;
		if (type == EXT_SERVER_NAME)
			note_server_name(c, ext);
		else if (type == EXT_PRE_SHARED_KEY)
			note_psk(c, ext);
	}
}

/* -------------------------------------------------------- callbacks -- */

static void note_sent(struct peer_conn *c, int type, const uint8_t *msg)
{
	if (type != SSL3_RT_HANDSHAKE)
		return;
	if (msg[0] == MSG_NEW_SESSION_TICKET)
		c->res.tickets++;
	else if (msg[0] == MSG_KEY_UPDATE)
		c->res.key_updates_sent++;
}

static void note_received(struct peer_conn *c, int type, const uint8_t *msg,
			  size_t len)
{
	if (type == SSL3_RT_HEADER) {
		c->res.records_received++;
	} else if (type == SSL3_RT_ALERT && len == 2) {
		if (msg[1] == SSL3_AD_CLOSE_NOTIFY) {
			c->res.close_notify = true;
		} else {
			c->res.alert_level = msg[0];
			c->res.alert = msg[1];
		}
	} else if (type == SSL3_RT_HANDSHAKE) {
		if (msg[0] == MSG_CLIENT_HELLO)
			note_client_hello(c, msg, len);
		else if (msg[0] == MSG_KEY_UPDATE)
			c->res.key_updates_received++;
	}
}

static void on_message(int sent, int version, int type, const void *msg,
		       size_t len, SSL *ssl, void *arg)
{
	(void)version;
	(void)ssl;
	if (!len)
		return;
	if (sent)
		note_sent(arg, type, msg);
	else
		note_received(arg, type, msg, len);
}

static int hex_digit(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	if (ch >= 'a' && ch <= 'f')
		return ch - 'a' + 10;
	if (ch >= 'A' && ch <= 'F')
		return ch - 'A' + 10;
	return -1;
}

/* "LABEL client-random secret"; later generations are derived, not read. */
static void on_keylog(const SSL *ssl, const char *line)
{
	static const char label[] = "SERVER_TRAFFIC_SECRET_0 ";
	struct peer_conn *c = SSL_get_app_data(ssl);
	const char *hex;
	size_t n = 0;

	if (strncmp(line, label, sizeof(label) - 1))
		return;
	hex = strrchr(line, ' ') + 1;
	while (n < sizeof(c->secret) && hex_digit(hex[0]) >= 0 &&
	       hex_digit(hex[1]) >= 0) {
		c->secret[n++] = (uint8_t)(hex_digit(hex[0]) << 4 |
					   hex_digit(hex[1]));
		hex += 2;
	}
	c->secret_len = n;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		   const unsigned char *in, unsigned int in_len, void *arg)
{
	const struct peer_alpn *alpn = arg;
	unsigned char *chosen;

	(void)ssl;
	if (SSL_select_next_proto(&chosen, out_len, alpn->wire, alpn->len, in,
				  in_len) == OPENSSL_NPN_NEGOTIATED) {
		*out = chosen;
		return SSL_TLSEXT_ERR_OK;
	}
	return alpn->required ? SSL_TLSEXT_ERR_ALERT_FATAL :
				SSL_TLSEXT_ERR_NOACK;
}

/* ---------------------------------------------------------- context -- */

static int use_certificate(SSL_CTX *ctx, const struct peer_opts *opts)
{
	const char *name = cert_names[opts->cert];
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s.pem", opts->cert_dir, name);
	if (SSL_CTX_use_certificate_chain_file(ctx, path) <= 0)
		return -EIO;
	snprintf(path, sizeof(path), "%s/%s.key", opts->cert_dir, name);
	if (SSL_CTX_use_PrivateKey_file(ctx, path, SSL_FILETYPE_PEM) <= 0)
		return -EIO;
	if (!(opts->flags & PEER_WANT_CLIENT_CERT))
		return 0;

	snprintf(path, sizeof(path), "%s/ca.pem", opts->cert_dir);
	if (SSL_CTX_load_verify_file(ctx, path) <= 0)
		return -EIO;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER |
			   SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return 0;
}

static int use_alpn(SSL_CTX *ctx, const struct peer_opts *opts,
		    struct peer_alpn *alpn)
{
	const char *p = opts->alpn;

	if (!p)
		return 0;
	while (*p) {
		size_t len = strcspn(p, ",");

		if (!len || len > 255 ||
		    alpn->len + 1 + len > sizeof(alpn->wire))
			return -EINVAL;
		alpn->wire[alpn->len] = (uint8_t)len;
		memcpy(alpn->wire + alpn->len + 1, p, len);
		alpn->len += 1 + (unsigned int)len;
		p += len;
		p += *p == ',';
	}
	alpn->required = opts->flags & PEER_ALPN_REQUIRED;
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, alpn);
	return 0;
}

static int use_ticket_seed(SSL_CTX *ctx, uint64_t seed)
{
	long len = SSL_CTX_get_tlsext_ticket_keys(ctx, NULL, 0);
	uint8_t keys[256];

	if (!seed)
		return 0;
	if (len <= 0 || len > (long)sizeof(keys))
		return -EIO;
	peer_pattern_fill(keys, seed * sizeof(keys), (size_t)len);
	return SSL_CTX_set_tlsext_ticket_keys(ctx, keys, len) > 0 ? 0 : -EIO;
}

/* Called when the version is known, before the ServerHello. */
static int on_certificate(SSL *ssl, void *arg)
{
	(void)arg;
	/* In TLS 1.3 the option would make PEER_TICKETS stateful instead. */
	if (SSL_version(ssl) == TLS1_2_VERSION)
		SSL_set_options(ssl, SSL_OP_NO_TICKET);
	return 1;
}

static int use_sessions(SSL_CTX *ctx, const struct peer_opts *opts)
{
	static const unsigned char id[] = "peer";
	size_t tickets = opts->tickets == PEER_NO_TICKETS ? 0 : opts->tickets;

	SSL_CTX_set_timeout(ctx, opts->ticket_lifetime_s);
	if (opts->flags & PEER_STATEFUL_TICKETS) {
		/* TLS 1.3 tickets then name an entry of the cache. */
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	} else if (!tickets) {
		SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
		SSL_CTX_set_cert_cb(ctx, on_certificate, NULL);
	}
	if (SSL_CTX_set_num_tickets(ctx, tickets) <= 0 ||
	    SSL_CTX_set_session_id_context(ctx, id, sizeof(id) - 1) <= 0)
		return -EIO;
	return use_ticket_seed(ctx, opts->ticket_seed);
}

SSL_CTX *peer_ctx_new(const struct peer_opts *opts, struct peer_alpn *alpn)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx)
		return NULL;
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_keylog_callback(ctx, on_keylog);
	if (SSL_CTX_set_min_proto_version(ctx, opts->version_min) <= 0 ||
	    SSL_CTX_set_max_proto_version(ctx, opts->version_max) <= 0 ||
	    SSL_CTX_set_cipher_list(ctx, suites[opts->suite].tls12) <= 0 ||
	    SSL_CTX_set_ciphersuites(ctx, suites[opts->suite].tls13) <= 0 ||
	    (opts->groups &&
	     SSL_CTX_set1_groups_list(ctx, opts->groups) <= 0) ||
	    (opts->pad_block &&
	     SSL_CTX_set_block_padding(ctx, opts->pad_block) <= 0) ||
	    use_sessions(ctx, opts) || use_certificate(ctx, opts) ||
	    use_alpn(ctx, opts, alpn)) {
		ERR_print_errors_fp(stderr);
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

int pconn_ssl_init(struct peer_conn *c, SSL_CTX *ctx)
{
	SSL *ssl = SSL_new(ctx);
	BIO *rbio = BIO_new(BIO_s_mem());
	BIO *wbio = BIO_new(BIO_s_mem());

	if (!ssl || !rbio || !wbio) {
		SSL_free(ssl);
		BIO_free(rbio);
		BIO_free(wbio);
		return -ENOMEM;
	}
	BIO_set_mem_eof_return(rbio, -1);
	BIO_set_mem_eof_return(wbio, -1);
	SSL_set_bio(ssl, rbio, wbio);
	SSL_set_accept_state(ssl);
	SSL_set_app_data(ssl, c);
	SSL_set_msg_callback(ssl, on_message);
	SSL_set_msg_callback_arg(ssl, c);
	c->ssl = ssl;
	c->rbio = rbio;
	c->wbio = wbio;
	return 0;
}

void pconn_note_handshake(struct peer_conn *c)
{
	X509 *cert = SSL_get0_peer_certificate(c->ssl);
	const unsigned char *alpn;
	unsigned int len;

	c->res.handshake_done = true;
	c->res.resumed = SSL_session_reused(c->ssl);
	c->res.version = (uint16_t)SSL_version(c->ssl);
	c->res.cipher = (uint16_t)SSL_CIPHER_get_protocol_id(
		SSL_get_current_cipher(c->ssl));
	SSL_get0_alpn_selected(c->ssl, &alpn, &len);
	if (len && len < sizeof(c->res.alpn))
		memcpy(c->res.alpn, alpn, len);
	if (cert)
		X509_NAME_get_text_by_NID(X509_get_subject_name(cert),
					  NID_commonName, c->res.client_cert,
					  sizeof(c->res.client_cert));
}
