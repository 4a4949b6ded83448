/* SPDX-License-Identifier: MIT */
#ifndef KTC_SUITE_H
#define KTC_SUITE_H

#include <linux/tls.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUITE_SECRET_MAX 48
#define SUITE_KEY_MAX 32
#define SUITE_NONCE_LEN 12

/* Any of the kernel's crypto_info structs; info is their common head. */
union suite_crypto_info {
	struct tls_crypto_info info;
	struct tls12_crypto_info_aes_gcm_128 aes_gcm_128;
	struct tls12_crypto_info_aes_gcm_256 aes_gcm_256;
	struct tls12_crypto_info_aes_ccm_128 aes_ccm_128;
	struct tls12_crypto_info_chacha20_poly1305 chacha20;
};

/* One TLS suite and its kernel cipher. All in one const table. */
struct suite {
	const char *name;	/* OpenSSL's */
	uint16_t id;		/* IANA */
	uint16_t version;	/* KTC_TLS1_2 or KTC_TLS1_3 */
	uint16_t cipher;	/* TLS_CIPHER_* */
	uint8_t caps_bit;	/* in struct ktc_caps.suites */
	uint8_t key_len;
	uint8_t secret_len;	/* its hash's: a TLS 1.3 secret has it */
	uint8_t fixed_iv_len;	/* 1.2: from the key block: 4, ChaCha: 12 */
	const char *digest;	/* "SHA256" or "SHA384" */
	const char *aead;	/* EVP name, for re-sealing */
	uint64_t records_max;	/* under one key, RFC 8446 section 5.5 */
	/* where things are in the crypto_info struct */
	uint8_t info_len, iv_off, iv_len, key_off, salt_off, salt_len, seq_off;
};

const struct suite *suite_find(uint16_t version, uint16_t id);	/* or NULL */
const struct suite *suite_at(size_t i);		/* NULL past the end */

/*
 * Fills a crypto_info: key of key_len bytes, nonce of 12 bytes (salt and iv,
 * for TLS 1.2 GCM/CCM the last 8 are the explicit nonce the kernel goes on
 * with), seq the next record's number.
 */
void suite_fill(const struct suite *suite, union suite_crypto_info *out,
		const uint8_t *key, const uint8_t nonce[SUITE_NONCE_LEN],
		uint64_t seq);

/* The record number in a crypto_info that getsockopt() gave. */
uint64_t suite_seq(const struct suite *suite,
		   const union suite_crypto_info *info);

#endif /* KTC_SUITE_H */
