// SPDX-License-Identifier: MIT
/*
 * Hashing of structured data: fields with number and length into SHA-256. A
 * digest belongs to one thread. OpenSSL's error queue is left as it was.
 */
#include "digest.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <string.h>

#include <ktlsclient.h>

static void fail(struct digest *digest)
{
	EVP_MD_CTX_free(digest->md);
	digest->md = NULL;
}

static void update(struct digest *digest, const void *p, size_t len)
{
	if (digest->md && len && EVP_DigestUpdate(digest->md, p, len) != 1)
		fail(digest);
}

static void update_u64(struct digest *digest, uint64_t value)
{
	uint8_t bytes[8];
	int i;

	for (i = 7; i >= 0; i--) {
		bytes[i] = (uint8_t)value;
		value >>= 8;
	}
	update(digest, bytes, sizeof(bytes));
}

void digest_init(struct digest *digest)
{
	ERR_set_mark();
	digest->md = EVP_MD_CTX_new();
	if (digest->md &&
	    EVP_DigestInit_ex(digest->md, EVP_sha256(), NULL) != 1)
		fail(digest);
}

void digest_field(struct digest *digest, uint32_t field, const void *p,
		  size_t len)
{
	update_u64(digest, field);
	/* No field is as long as that, so an absent one has no double. */
	update_u64(digest, p ? len : UINT64_MAX);
	if (p)
		update(digest, p, len);
}

void digest_number(struct digest *digest, uint32_t field, uint64_t value)
{
	uint8_t bytes[8];
	int i;

	for (i = 7; i >= 0; i--) {
		bytes[i] = (uint8_t)value;
		value >>= 8;
	}
	digest_field(digest, field, bytes, sizeof(bytes));
}

int digest_fini(struct digest *digest, uint8_t out[DIGEST_LEN])
{
	uint8_t sum[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	int err = 0;

	if (!digest->md || EVP_DigestFinal_ex(digest->md, sum, &len) != 1 ||
	    len != DIGEST_LEN)
		err = -KTC_E_OPENSSL;
	else if (out)
		memcpy(out, sum, DIGEST_LEN);
	fail(digest);
	ERR_pop_to_mark();
	return err;
}
