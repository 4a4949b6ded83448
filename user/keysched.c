// SPDX-License-Identifier: MIT
/*
 * Keys from secrets, by libcrypto's public key derivation: HKDF-Expand-Label
 * for TLS 1.3, the PRF for TLS 1.2. Every intermediate secret is wiped on
 * every way out, and outputs are written on success only. OpenSSL's error
 * queue is left as it was. Any thread.
 */
#include "keysched.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <pthread.h>
#include <string.h>

#include <ktlsclient.h>

#include "limit.h"
#include "mem.h"
#include "util.h"

#define RECORD_HEADER 5u
#define RECORD_TAG 16u

/* cKey sKey cSalt sSalt */
#define KEY_BLOCK_MAX (2 * SUITE_KEY_MAX + 2 * SUITE_NONCE_LEN)

/* Fetching costs microseconds and locks; a derivation comes per connection. */
static struct {
	EVP_KDF *hkdf;
	EVP_KDF *tls1_prf;
} kdf;

static void fetch(void)
{
	kdf.hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	kdf.tls1_prf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
}

static void fetch_once(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, fetch);	/* never fails in glibc */
}

static int derive(EVP_KDF *which, const OSSL_PARAM *params, uint8_t *out,
		  size_t len)
{
	EVP_KDF_CTX *ctx;
	int ok;

	ctx = which ? EVP_KDF_CTX_new(which) : NULL;
	if (!ctx)
		return -KTC_E_OPENSSL;
	ok = EVP_KDF_derive(ctx, out, len, params);
	EVP_KDF_CTX_free(ctx);	/* wipes its copy of the secret */
	return ok == 1 ? 0 : -KTC_E_OPENSSL;
}

/* OSSL_PARAM has no const, and these are only read. */
static OSSL_PARAM param_text(const char *key, const char *text)
{
	return OSSL_PARAM_construct_utf8_string(key, (char *)(uintptr_t)text,
						0);
}

static OSSL_PARAM param_bytes(const char *key, const void *p, size_t len)
{
	return OSSL_PARAM_construct_octet_string(key, (void *)(uintptr_t)p,
						 len);
}

/* RFC 8446 section 7.1: HKDF-Expand-Label with an empty context. */
static int expand_label(const struct suite *suite, const uint8_t *secret,
			const char *label, uint8_t *out, size_t len)
{
	static const char prefix[] = "tls13 ";
	const size_t head = sizeof(prefix) - 1;
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	size_t label_len = strlen(label);
	OSSL_PARAM params[5];
	uint8_t info[32];
	size_t n = 0;

	info[n++] = 0;	/* length's high byte: we never derive that much */
	info[n++] = (uint8_t)len;
	info[n++] = (uint8_t)(head + label_len);
	memcpy(info + n, prefix, head);
	n += head;
	memcpy(info + n, label, label_len);
	n += label_len;
	info[n++] = 0;	/* the context */

	params[0] = param_text(OSSL_KDF_PARAM_DIGEST, suite->digest);
	params[1] = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
	params[2] = param_bytes(OSSL_KDF_PARAM_KEY, secret, suite->secret_len);
	params[3] = param_bytes(OSSL_KDF_PARAM_INFO, info, n);
	params[4] = OSSL_PARAM_construct_end();
	return derive(kdf.hkdf, params, out, len);
}

int keysched_traffic(const struct suite *suite, const uint8_t *secret,
		     struct keys *out)
{
	struct keys keys = { { 0 }, { 0 } };
	int err;

	fetch_once();
	ERR_set_mark();
	err = expand_label(suite, secret, "key", keys.key, suite->key_len);
	if (!err)
		err = expand_label(suite, secret, "iv", keys.nonce,
				   SUITE_NONCE_LEN);
	ERR_pop_to_mark();
	if (!err)
		*out = keys;
	mem_wipe(&keys, sizeof(keys));
	return err;
}

int keysched_next(const struct suite *suite, uint8_t *secret)
{
	uint8_t next[SUITE_SECRET_MAX];
	int err;

	fetch_once();
	ERR_set_mark();
	err = expand_label(suite, secret, "traffic upd", next,
			   suite->secret_len);
	ERR_pop_to_mark();
	if (!err)
		memcpy(secret, next, suite->secret_len);
	mem_wipe(next, sizeof(next));
	return err;
}

int keysched_tls12(const struct suite *suite, const uint8_t *master,
		   size_t master_len, const uint8_t client_random[32],
		   const uint8_t server_random[32], struct keys out[2])
{
	static const char label[] = "key expansion";
	uint8_t block[KEY_BLOCK_MAX] = { 0 };
	size_t key = suite->key_len, iv = suite->fixed_iv_len;
	OSSL_PARAM params[6];
	int err;

	/*
	 * RFC 5246 section 6.3: the server's random comes first here. The
	 * seeds are joined in the order given.
	 */
	params[0] = param_text(OSSL_KDF_PARAM_DIGEST, suite->digest);
	params[1] = param_bytes(OSSL_KDF_PARAM_SECRET, master, master_len);
	params[2] = param_bytes(OSSL_KDF_PARAM_SEED, label, sizeof(label) - 1);
	params[3] = param_bytes(OSSL_KDF_PARAM_SEED, server_random, 32);
	params[4] = param_bytes(OSSL_KDF_PARAM_SEED, client_random, 32);
	params[5] = OSSL_PARAM_construct_end();

	fetch_once();
	ERR_set_mark();
	err = derive(kdf.tls1_prf, params, block, 2 * key + 2 * iv);
	ERR_pop_to_mark();
	if (!err) {
		/* No MAC keys with an AEAD: client's part, server's part. */
		memset(out, 0, 2 * sizeof(*out));
		memcpy(out[1].key, block, key);
		memcpy(out[0].key, block + key, key);
		memcpy(out[1].nonce, block + 2 * key, iv);
		memcpy(out[0].nonce, block + 2 * key + iv, iv);
	}
	mem_wipe(block, sizeof(block));
	return err;
}

static bool seal(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, bool ccm,
		 const struct keys *keys, const uint8_t *nonce, uint8_t *record,
		 size_t len)
{
	uint8_t *body = record + RECORD_HEADER;
	int n;

	if (EVP_EncryptInit_ex(ctx, cipher, NULL, NULL, NULL) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, SUITE_NONCE_LEN,
				NULL) != 1)
		return false;
	/* CCM wants the tag's and the text's length before anything else. */
	if (ccm && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, RECORD_TAG,
				       NULL) != 1)
		return false;
	if (EVP_EncryptInit_ex(ctx, NULL, NULL, keys->key, nonce) != 1)
		return false;
	if (ccm && EVP_EncryptUpdate(ctx, NULL, &n, NULL, (int)len) != 1)
		return false;
	return EVP_EncryptUpdate(ctx, NULL, &n, record, RECORD_HEADER) == 1 &&
	       EVP_EncryptUpdate(ctx, body, &n, body, (int)len) == 1 &&
	       (size_t)n == len &&
	       EVP_EncryptFinal_ex(ctx, body + len, &n) == 1 && n == 0 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, RECORD_TAG,
				   body + len) == 1;
}

int keysched_seal13(const struct suite *suite, const struct keys *keys,
		    uint64_t seq, uint8_t type, const uint8_t *plain,
		    size_t len, uint8_t *out, size_t *out_len)
{
	bool ccm = suite->cipher == TLS_CIPHER_AES_CCM_128;
	size_t inner = len + 1, cipher_len = inner + RECORD_TAG;
	uint8_t nonce[SUITE_NONCE_LEN];
	EVP_CIPHER_CTX *ctx;
	EVP_CIPHER *cipher;
	bool sealed;
	int i;

	if (len > LIMIT_RECORD_PLAIN)
		return -KTC_E_INTERNAL;

	/* RFC 8446 section 5.3: the record's number, over the iv's end */
	memcpy(nonce, keys->nonce, sizeof(nonce));
	for (i = 0; i < 8; i++)
		nonce[SUITE_NONCE_LEN - 1 - i] ^= (uint8_t)(seq >> (8 * i));

	/* TLSInnerPlaintext, sealed where it lies; the header is the AAD. */
	out[0] = 23;
	out[1] = 3;
	out[2] = 3;
	out[3] = (uint8_t)(cipher_len >> 8);
	out[4] = (uint8_t)cipher_len;
	if (len)
		memcpy(out + RECORD_HEADER, plain, len);
	out[RECORD_HEADER + len] = type;

	ERR_set_mark();
	cipher = EVP_CIPHER_fetch(NULL, suite->aead, NULL);
	ctx = EVP_CIPHER_CTX_new();
	sealed = cipher && ctx && seal(ctx, cipher, ccm, keys, nonce, out,
				       inner);
	EVP_CIPHER_CTX_free(ctx);	/* wipes its key schedule */
	EVP_CIPHER_free(cipher);
	ERR_pop_to_mark();
	mem_wipe(nonce, sizeof(nonce));
	if (!sealed) {
		mem_wipe(out + RECORD_HEADER, cipher_len);
		return -KTC_E_OPENSSL;
	}
	*out_len = RECORD_HEADER + cipher_len;
	return 0;
}
