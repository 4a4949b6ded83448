// SPDX-License-Identifier: MIT
/*
 * Sealing of a message: HKDF makes a key of the caller's and a salt, and
 * AES-256-GCM uses it once. The derived key is wiped on every way out.
 * OpenSSL's error queue is left as it was. Any thread.
 */
#include "aead.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <stdbool.h>
#include <string.h>

#include <ktlsclient.h>

#include "mem.h"

#define NONCE_LEN 12

/* OSSL_PARAM has no const, and these are only read. */
static OSSL_PARAM param(const char *name, const void *p, size_t len)
{
	return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)p,
						 len);
}

/* RFC 5869, both steps. */
static int derive(const struct aead *aead, uint8_t out[AEAD_KEY_LEN])
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest,
						 0),
		param(OSSL_KDF_PARAM_KEY, aead->key, AEAD_KEY_LEN),
		param(OSSL_KDF_PARAM_SALT, aead->salt, AEAD_SALT_LEN),
		param(OSSL_KDF_PARAM_INFO, aead->purpose,
		      strlen(aead->purpose)),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	int ok = ctx ? EVP_KDF_derive(ctx, out, AEAD_KEY_LEN, params) : 0;

	EVP_KDF_CTX_free(ctx);	/* wipes its copy of the key */
	EVP_KDF_free(kdf);
	return ok == 1 ? 0 : -KTC_E_OPENSSL;
}

/* A context with the key, and with the head in it; NULL: OpenSSL failed. */
static EVP_CIPHER_CTX *begin(const struct aead *aead, bool seal)
{
	/*
	 * A nonce must not come twice under one key (SP 800-38D section 8).
	 * No key comes twice: each has a random salt of 256 bits.
	 */
	static const uint8_t nonce[NONCE_LEN];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t key[AEAD_KEY_LEN];
	int n;

	if (!ctx)
		return NULL;
	if (derive(aead, key) ||
	    EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce,
			      seal) != 1 ||
	    EVP_CipherUpdate(ctx, NULL, &n, aead->head,
			     (int)aead->head_len) != 1) {
		EVP_CIPHER_CTX_free(ctx);
		ctx = NULL;
	}
	mem_wipe(key, sizeof(key));
	return ctx;
}

int aead_seal(const struct aead *aead, uint8_t *bytes, size_t len,
	      uint8_t tag[AEAD_TAG_LEN])
{
	int err = -KTC_E_OPENSSL, n;
	EVP_CIPHER_CTX *ctx;

	ERR_set_mark();
	ctx = begin(aead, true);
	if (ctx &&
	    (!len || EVP_CipherUpdate(ctx, bytes, &n, bytes, (int)len) == 1) &&
	    EVP_CipherFinal_ex(ctx, tag, &n) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_LEN,
				tag) == 1)
		err = 0;
	EVP_CIPHER_CTX_free(ctx);
	ERR_pop_to_mark();
	return err;
}

int aead_open(const struct aead *aead, uint8_t *to, const uint8_t *from,
	      size_t len, const uint8_t tag[AEAD_TAG_LEN])
{
	uint8_t tag_copy[AEAD_TAG_LEN];	/* OpenSSL's argument is no const */
	int err = -KTC_E_OPENSSL, n;
	EVP_CIPHER_CTX *ctx;

	memcpy(tag_copy, tag, sizeof(tag_copy));
	ERR_set_mark();
	ctx = begin(aead, false);
	if (ctx &&
	    (!len || EVP_CipherUpdate(ctx, to, &n, from, (int)len) == 1) &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_LEN,
				tag_copy) == 1)
		/* in this mode it gives no bytes, only the verdict */
		err = EVP_CipherFinal_ex(ctx, tag_copy, &n) == 1 ?
		      0 : -KTC_E_SEAL;
	EVP_CIPHER_CTX_free(ctx);
	ERR_pop_to_mark();
	return err;
}
