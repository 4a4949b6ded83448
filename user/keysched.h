/* SPDX-License-Identifier: MIT */
#ifndef KTC_KEYSCHED_H
#define KTC_KEYSCHED_H

#include "suite.h"

/* A direction's record protection. Secret: wipe it. */
struct keys {
	uint8_t key[SUITE_KEY_MAX];
	uint8_t nonce[SUITE_NONCE_LEN];	/* TLS 1.2: fixed part, rest zero */
};

/* TLS 1.3 (RFC 8446 section 7.3): traffic secret -> key and iv. */
int keysched_traffic(const struct suite *suite, const uint8_t *secret,
		     struct keys *out);

/* TLS 1.3 (RFC 8446 section 7.2): the next traffic secret, in place. */
int keysched_next(const struct suite *suite, uint8_t *secret);

/*
 * TLS 1.2 (RFC 5246 section 6.3): master secret and randoms -> both
 * directions. out[0] is what we receive with (server), out[1] what we send
 * with (client).
 */
int keysched_tls12(const struct suite *suite, const uint8_t *master,
		   size_t master_len, const uint8_t client_random[32],
		   const uint8_t server_random[32], struct keys out[2]);

/*
 * Seals one TLS 1.3 record (RFC 8446 section 5.2): out receives header,
 * ciphertext and tag: 5 + len + 1 + 16 bytes. len up to 16384. Used to give
 * OpenSSL a record that the kernel has opened.
 */
int keysched_seal13(const struct suite *suite, const struct keys *keys,
		    uint64_t seq, uint8_t type, const uint8_t *plain,
		    size_t len, uint8_t *out, size_t *out_len);

#endif /* KTC_KEYSCHED_H */
