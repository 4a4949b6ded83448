/* SPDX-License-Identifier: MIT */
#ifndef KTC_DIGEST_H
#define KTC_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_LEN 32

/*
 * SHA-256 over a list of fields. Each field goes in with its number and its
 * length, so that the same bytes in other fields, or cut elsewhere, give
 * another digest. A failure sticks and is told by digest_fini().
 */
struct digest {
	void *md;	/* EVP_MD_CTX; NULL after a failure */
};

void digest_init(struct digest *digest);
/* p may be NULL: an absent field, which is not an empty one. */
void digest_field(struct digest *digest, uint32_t field, const void *p,
		  size_t len);
void digest_number(struct digest *digest, uint32_t field, uint64_t value);
/*
 * Ends it, always. out is written on success; NULL: only throw it away. 0 or
 * -KTC_E_OPENSSL.
 */
int digest_fini(struct digest *digest, uint8_t out[DIGEST_LEN]);

#endif /* KTC_DIGEST_H */
