// SPDX-License-Identifier: MIT
/*
 * Record protection of TLS 1.2 and 1.3 for the three AEADs, and on top of it
 * the re-framing of a server's output.
 *
 * Invariant: as long as a reframe has not diverged, @in and @out are equal, so
 * records pass unchanged. Where OpenSSL's first application record is cannot
 * be told from the outside (TLS 1.3 handshake records look alike), so each
 * record is tried under the application keys until one opens; an AEAD does
 * not open by accident.
 */
#include "reframe.h"

#include <errno.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#define SALT_LEN		4
#define EXPLICIT_NONCE_LEN	8
/* No KeyUpdate without padding is longer: 5 + 5 + 1 + 16. */
#define KEY_UPDATE_RECORD_MAX	64

/* An opened record. @inner holds content, and for TLS 1.3 type and padding. */
struct plain {
	uint8_t inner[RECORD_BUF_LEN];
	size_t inner_len;
	size_t len;	/* of the content */
	uint8_t type;
};

static void put_be16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put_be64(uint8_t *p, uint64_t v)
{
	for (int i = 7; i >= 0; i--, v >>= 8)
		p[i] = (uint8_t)v;
}

static uint64_t get_be64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

static int kdf_run(const char *name, const OSSL_PARAM *params, uint8_t *out,
		   size_t len)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, name, NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	int ok = ctx && EVP_KDF_derive(ctx, out, len, params) > 0;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return ok ? 0 : -EIO;
}

/* HKDF-Expand-Label with an empty context, RFC 8446 section 7.1. */
static int expand_label(const struct record_keys *k, const char *label,
			uint8_t *out, size_t len)
{
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	size_t label_len = strlen(label);
	OSSL_PARAM params[5];
	uint8_t info[64];

	put_be16(info, len);
	info[2] = (uint8_t)(6 + label_len);
	memcpy(info + 3, "tls13 ", 6);
	memcpy(info + 9, label, label_len);
	info[9 + label_len] = 0;

	params[0] = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
	params[1] = OSSL_PARAM_construct_utf8_string(
		OSSL_KDF_PARAM_DIGEST, (char *)EVP_MD_get0_name(k->md), 0);
	params[2] = OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_KEY, (void *)k->secret, k->secret_len);
	params[3] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO,
						      info, 10 + label_len);
	params[4] = OSSL_PARAM_construct_end();
	return kdf_run("HKDF", params, out, len);
}

static int keys_suite(struct record_keys *k, const SSL_CIPHER *cipher,
		      int version)
{
	switch (cipher ? SSL_CIPHER_get_cipher_nid(cipher) : NID_undef) {
	case NID_aes_128_gcm:
		k->cipher = EVP_aes_128_gcm();
		break;
	case NID_aes_256_gcm:
		k->cipher = EVP_aes_256_gcm();
		break;
	case NID_chacha20_poly1305:
		k->cipher = EVP_chacha20_poly1305();
		break;
	default:
		return -ENOTSUP;
	}
	k->md = SSL_CIPHER_get_handshake_digest(cipher);
	k->version = version;
	k->explicit_nonce = version == TLS1_2_VERSION &&
			    k->cipher != EVP_chacha20_poly1305();
	k->ctx = EVP_CIPHER_CTX_new();
	return k->md && k->ctx ? 0 : -EIO;
}

static int keys_from_secret(struct record_keys *k)
{
	int err = expand_label(k, "key", k->key,
			       (size_t)EVP_CIPHER_get_key_length(k->cipher));

	k->seq = 0;
	return err ? err : expand_label(k, "iv", k->iv, sizeof(k->iv));
}

/* RFC 8446 section 7.2. */
static int keys_update(struct record_keys *k)
{
	uint8_t next[EVP_MAX_MD_SIZE];
	int err = expand_label(k, "traffic upd", next, k->secret_len);

	if (err)
		return err;
	memcpy(k->secret, next, k->secret_len);
	return keys_from_secret(k);
}

/* The server's half of the key block, RFC 5246 section 6.3. */
static int keys_from_master(struct record_keys *k, SSL *ssl)
{
	static const char label[] = "key expansion";
	size_t key_len = (size_t)EVP_CIPHER_get_key_length(k->cipher);
	size_t iv_len = k->explicit_nonce ? SALT_LEN : sizeof(k->iv);
	uint8_t master[SSL_MAX_MASTER_KEY_LENGTH];
	uint8_t seed[sizeof(label) - 1 + 2 * SSL3_RANDOM_SIZE];
	uint8_t block[2 * (EVP_MAX_KEY_LENGTH + 12)];
	OSSL_PARAM params[4];
	size_t len;
	int err;

	len = SSL_SESSION_get_master_key(SSL_get_session(ssl), master,
					 sizeof(master));
	memcpy(seed, label, sizeof(label) - 1);
	SSL_get_server_random(ssl, seed + sizeof(label) - 1, SSL3_RANDOM_SIZE);
	SSL_get_client_random(ssl, seed + sizeof(seed) - SSL3_RANDOM_SIZE,
			      SSL3_RANDOM_SIZE);
	params[0] = OSSL_PARAM_construct_utf8_string(
		OSSL_KDF_PARAM_DIGEST, (char *)EVP_MD_get0_name(k->md), 0);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET,
						      master, len);
	params[2] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED,
						      seed, sizeof(seed));
	params[3] = OSSL_PARAM_construct_end();
	err = kdf_run("TLS1-PRF", params, block, 2 * (key_len + iv_len));
	if (err)
		return err;
	memcpy(k->key, block + key_len, key_len);
	memcpy(k->iv, block + 2 * key_len + iv_len, iv_len);
	return 0;
}

static void keys_nonce(const struct record_keys *k, const uint8_t *explicit,
		       uint8_t nonce[12])
{
	uint8_t seq[8];

	memcpy(nonce, k->iv, 12);
	if (k->explicit_nonce) {
		memcpy(nonce + SALT_LEN, explicit, EXPLICIT_NONCE_LEN);
		return;
	}
	put_be64(seq, k->seq);
	for (int i = 0; i < 8; i++)
		nonce[4 + i] ^= seq[i];
}

/* Returns the length of the additional data of a record. */
static size_t keys_aad(const struct record_keys *k, const uint8_t *header,
		       size_t plain_len, uint8_t aad[13])
{
	if (k->version == TLS1_3_VERSION) {
		memcpy(aad, header, RECORD_HEADER_LEN);
		return RECORD_HEADER_LEN;
	}
	put_be64(aad, k->seq);
	memcpy(aad + 8, header, 3);
	put_be16(aad + 11, plain_len);
	return 13;
}

static int aead(struct record_keys *k, const uint8_t nonce[12],
		const uint8_t *aad, size_t aad_len, const uint8_t *src,
		size_t len, uint8_t *dst, uint8_t *tag, bool seal)
{
	int n;

	if (!EVP_CipherInit_ex(k->ctx, k->cipher, NULL, k->key, nonce, seal))
		return -EIO;
	if (!seal && !EVP_CIPHER_CTX_ctrl(k->ctx, EVP_CTRL_AEAD_SET_TAG,
					  RECORD_TAG_LEN, tag))
		return -EIO;
	if (!EVP_CipherUpdate(k->ctx, NULL, &n, aad, (int)aad_len) ||
	    (len && !EVP_CipherUpdate(k->ctx, dst, &n, src, (int)len)))
		return -EIO;
	if (!EVP_CipherFinal_ex(k->ctx, dst + len, &n))
		return seal ? -EIO : -EBADMSG;
	if (seal && !EVP_CIPHER_CTX_ctrl(k->ctx, EVP_CTRL_AEAD_GET_TAG,
					 RECORD_TAG_LEN, tag))
		return -EIO;
	return 0;
}

static int record_open(struct record_keys *k, const uint8_t *rec, size_t len,
		       struct plain *p)
{
	size_t skip = k->explicit_nonce ? EXPLICIT_NONCE_LEN : 0;
	const uint8_t *body = rec + RECORD_HEADER_LEN;
	uint8_t nonce[12], aad[13], tag[RECORD_TAG_LEN];
	size_t aad_len;
	int err;

	if (len < RECORD_HEADER_LEN + skip + RECORD_TAG_LEN ||
	    len > sizeof(p->inner))
		return -EBADMSG;
	p->inner_len = len - RECORD_HEADER_LEN - skip - RECORD_TAG_LEN;
	memcpy(tag, rec + len - RECORD_TAG_LEN, RECORD_TAG_LEN);
	keys_nonce(k, body, nonce);
	aad_len = keys_aad(k, rec, p->inner_len, aad);
	err = aead(k, nonce, aad, aad_len, body + skip, p->inner_len,
		   p->inner, tag, false);
	if (err)
		return err;

	p->len = p->inner_len;
	p->type = rec[0];
	if (k->version == TLS1_3_VERSION) {
		while (p->len && !p->inner[p->len - 1])
			p->len--;
		if (!p->len)
			return -EBADMSG;
		p->type = p->inner[--p->len];
	}
	if (k->explicit_nonce)
		k->nonce = get_be64(body) + 1;
	k->seq++;
	return 0;
}

/* @outer_type is the type in the header; @inner as in struct plain. */
static int record_seal(struct record_keys *k, uint8_t outer_type,
		       const uint8_t *inner, size_t len, struct bytes *out)
{
	size_t skip = k->explicit_nonce ? EXPLICIT_NONCE_LEN : 0;
	size_t body_len = skip + len + RECORD_TAG_LEN;
	uint8_t nonce[12], aad[13], tag[RECORD_TAG_LEN];
	uint8_t *rec = bytes_reserve(out, RECORD_HEADER_LEN + body_len);
	uint8_t *body;
	size_t aad_len;
	int err;

	if (!rec)
		return -ENOMEM;
	body = rec + RECORD_HEADER_LEN;
	rec[0] = outer_type;
	put_be16(rec + 1, TLS1_2_VERSION);
	put_be16(rec + 3, body_len);
	if (skip)
		put_be64(body, k->nonce);
	keys_nonce(k, body, nonce);
	aad_len = keys_aad(k, rec, len, aad);
	err = aead(k, nonce, aad, aad_len, inner, len, body + skip, tag, true);
	if (err)
		return err;
	memcpy(body + skip + len, tag, RECORD_TAG_LEN);
	out->len += RECORD_HEADER_LEN + body_len;
	k->nonce++;
	k->seq++;
	return 0;
}

static void keys_fini(struct record_keys *k)
{
	EVP_CIPHER_CTX_free(k->ctx);
	OPENSSL_cleanse(k, sizeof(*k));
}

int reframe_arm_tls13(struct reframe *rs, const SSL_CIPHER *cipher,
		      const uint8_t *secret, size_t len)
{
	struct record_keys *both[] = { &rs->in, &rs->out };
	int err = 0;

	for (int i = 0; !err && i < 2; i++) {
		err = keys_suite(both[i], cipher, TLS1_3_VERSION);
		if (err)
			break;
		memcpy(both[i]->secret, secret, len);
		both[i]->secret_len = len;
		err = keys_from_secret(both[i]);
	}
	rs->armed = !err;
	return err;
}

int reframe_arm_tls12(struct reframe *rs, SSL *ssl)
{
	struct record_keys *both[] = { &rs->in, &rs->out };
	int err = 0;

	for (int i = 0; !err && i < 2; i++) {
		err = keys_suite(both[i], SSL_get_current_cipher(ssl),
				 TLS1_2_VERSION);
		if (!err)
			err = keys_from_master(both[i], ssl);
	}
	rs->armed = !err;
	return err;
}

void reframe_fini(struct reframe *rs)
{
	keys_fini(&rs->in);
	keys_fini(&rs->out);
	rs->armed = false;
}

static bool is_key_update(const struct reframe *rs, const struct plain *p)
{
	return rs->in.version == TLS1_3_VERSION &&
	       p->type == RECORD_HANDSHAKE && p->len &&
	       p->inner[0] == MSG_KEY_UPDATE;
}

/* Not diverged: the client gets the record as it is. */
static int reframe_pass(struct reframe *rs, const uint8_t *rec, size_t len,
			struct bytes *out)
{
	rs->out.seq = rs->in.seq;
	if (rs->in.explicit_nonce)
		rs->out.nonce = get_be64(rec + RECORD_HEADER_LEN) + 1;
	return bytes_append(out, rec, len);
}

static int reframe_opened(struct reframe *rs, const uint8_t *rec, size_t len,
			  const struct plain *p, struct bytes *out)
{
	int err;

	if (rs->capture && p->type == RECORD_HANDSHAKE) {
		/* One record less for the client than OpenSSL wrote. */
		rs->diverged = true;
		return bytes_append(rs->capture, p->inner, p->len);
	}
	if (rs->diverged)
		err = record_seal(&rs->out, rec[0], p->inner, p->inner_len,
				  out);
	else
		err = reframe_pass(rs, rec, len, out);
	if (!err && is_key_update(rs, p)) {
		err = keys_update(&rs->in);
		if (!err)
			err = keys_update(&rs->out);
	}
	return err;
}

int reframe_feed(struct reframe *rs, const uint8_t *rec, size_t len,
		 struct bytes *out)
{
	struct plain p;
	int err;

	if (!rs->armed)
		return bytes_append(out, rec, len);
	if (rs->started && !rs->diverged && !rs->capture && !rs->open_all &&
	    len > KEY_UPDATE_RECORD_MAX) {
		rs->in.seq++;
		return reframe_pass(rs, rec, len, out);
	}
	err = record_open(&rs->in, rec, len, &p);
	if (err == -EBADMSG && !rs->started)
		return bytes_append(out, rec, len);
	if (!err) {
		rs->started = true;
		err = reframe_opened(rs, rec, len, &p, out);
	}
	OPENSSL_cleanse(&p, sizeof(p));
	return err;
}

int reframe_send(struct reframe *rs, uint8_t type, const void *data, size_t len,
		 struct bytes *out)
{
	uint8_t inner[RECORD_BUF_LEN];

	if (!rs->armed || len + 1 > sizeof(inner))
		return -EIO;
	rs->diverged = true;
	if (rs->out.version == TLS1_2_VERSION)
		return record_seal(&rs->out, type, data, len, out);
	if (len)
		memcpy(inner, data, len);
	inner[len] = type;
	return record_seal(&rs->out, RECORD_DATA, inner, len + 1, out);
}

int reframe_next_keys(struct reframe *rs)
{
	rs->diverged = true;
	return keys_update(&rs->out);
}
