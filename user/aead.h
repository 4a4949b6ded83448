/* SPDX-License-Identifier: MIT */
/* One message sealed with AES-256-GCM under a key that is used for it alone. */
#ifndef KTC_AEAD_H
#define KTC_AEAD_H

#include <stddef.h>
#include <stdint.h>

#define AEAD_KEY_LEN 32
#define AEAD_SALT_LEN 32
#define AEAD_TAG_LEN 16

struct aead {
	const uint8_t *key;	/* AEAD_KEY_LEN bytes */
	const uint8_t *salt;	/* AEAD_SALT_LEN; random, for this one only */
	const char *purpose;	/* keeps it apart from other uses of the key */
	const uint8_t *head;	/* goes in plain, and is sealed too */
	size_t head_len;
};

/* At most INT_MAX bytes, where they lie. -KTC_E_OPENSSL: to be wiped. */
int aead_seal(const struct aead *aead, uint8_t *bytes, size_t len,
	      uint8_t tag[AEAD_TAG_LEN]);
/*
 * -KTC_E_SEAL when tag does not fit, -KTC_E_OPENSSL; then what is at "to" is
 * to be wiped and not to be used.
 */
int aead_open(const struct aead *aead, uint8_t *to, const uint8_t *from,
	      size_t len, const uint8_t tag[AEAD_TAG_LEN]);

#endif /* KTC_AEAD_H */
