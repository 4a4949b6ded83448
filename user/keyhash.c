// SPDX-License-Identifier: MIT
/*
 * SipHash by OpenSSL. The key is drawn once, on first use; a context that has
 * it is copied for each hash, which costs a third of fetching and setting up.
 * Any thread: the context that is copied does not change.
 */
#include "keyhash.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <ktlsclient.h>

#include <string.h>

#define KEY_LEN 16

static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
static EVP_MAC_CTX *keyed;

static void keyhash_init(void)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
	EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
	size_t len = KEYHASH_LEN;
	uint8_t key[KEY_LEN];
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &len),
		OSSL_PARAM_construct_end(),
	};

	EVP_MAC_free(mac);
	if (ctx && RAND_bytes(key, sizeof(key)) == 1 &&
	    EVP_MAC_init(ctx, key, sizeof(key), params) == 1)
		keyed = ctx;
	else
		EVP_MAC_CTX_free(ctx);
	OPENSSL_cleanse(key, sizeof(key));
}

int keyhash(const void *p, size_t len, uint8_t out[KEYHASH_LEN])
{
	uint8_t sum[KEYHASH_LEN];
	EVP_MAC_CTX *ctx = NULL;
	size_t sum_len = 0;
	bool done;

	ERR_set_mark();
	if (CRYPTO_THREAD_run_once(&once, keyhash_init) && keyed)
		ctx = EVP_MAC_CTX_dup(keyed);
	done = ctx && EVP_MAC_update(ctx, p, len) == 1 &&
	       EVP_MAC_final(ctx, sum, &sum_len, sizeof(sum)) == 1 &&
	       sum_len == sizeof(sum);
	EVP_MAC_CTX_free(ctx);
	ERR_pop_to_mark();
	if (!done)
		return -KTC_E_OPENSSL;
	memcpy(out, sum, sizeof(sum));
	return 0;
}
