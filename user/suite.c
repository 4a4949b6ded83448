// SPDX-License-Identifier: MIT
/*
 * The table of suites that both OpenSSL and kernel TLS know, and the one
 * place that knows the kernel's crypto_info layouts. The sizes are asserted
 * against linux/tls.h, for a wrong one would put a key into the wrong bytes.
 * Constant; any thread.
 */
#include "suite.h"

#include <string.h>

#include <ktlsclient.h>

#include "util.h"

/*
 * How many records one key may protect.
 *
 * AES-GCM: RFC 8446 section 5.5 allows 2^24.5 full-size records; that is
 * about 23.7 million.
 * ChaCha20-Poly1305: the same section says that the 64-bit sequence number
 * would wrap before the limit is reached; any number below that will do, and
 * 2^48 leaves room for arithmetic.
 * AES-CCM: not in that section; RFC 9147 section 4.5.3 and appendix B.1 give
 * 2^23.
 *
 * TLS 1.2 has the same AEADs and states no limit of its own.
 */
#define RECORDS_GCM 23726566ULL
#define RECORDS_CHACHA (1ULL << 48)
#define RECORDS_CCM (1ULL << 23)

#define LAYOUT(type, CIPHER) \
	.cipher = TLS_CIPHER_##CIPHER, \
	.key_len = TLS_CIPHER_##CIPHER##_KEY_SIZE, \
	.info_len = sizeof(struct tls12_crypto_info_##type), \
	.iv_off = offsetof(struct tls12_crypto_info_##type, iv), \
	.iv_len = TLS_CIPHER_##CIPHER##_IV_SIZE, \
	.key_off = offsetof(struct tls12_crypto_info_##type, key), \
	.salt_off = offsetof(struct tls12_crypto_info_##type, salt), \
	.salt_len = TLS_CIPHER_##CIPHER##_SALT_SIZE, \
	.seq_off = offsetof(struct tls12_crypto_info_##type, rec_seq)

#define AES_128_GCM(bit) \
	LAYOUT(aes_gcm_128, AES_GCM_128), .caps_bit = (bit), \
	.aead = "AES-128-GCM", .records_max = RECORDS_GCM
#define AES_256_GCM(bit) \
	LAYOUT(aes_gcm_256, AES_GCM_256), .caps_bit = (bit), \
	.aead = "AES-256-GCM", .records_max = RECORDS_GCM
#define CHACHA20_POLY1305(bit) \
	LAYOUT(chacha20_poly1305, CHACHA20_POLY1305), .caps_bit = (bit), \
	.aead = "ChaCha20-Poly1305", .records_max = RECORDS_CHACHA
#define AES_128_CCM(bit) \
	LAYOUT(aes_ccm_128, AES_CCM_128), .caps_bit = (bit), \
	.aead = "AES-128-CCM", .records_max = RECORDS_CCM

#define SHA256 .digest = "SHA256", .secret_len = 32
#define SHA384 .digest = "SHA384", .secret_len = 48

#define TLS13(iana, ossl) \
	.id = (iana), .name = (ossl), .version = KTC_TLS1_3
#define TLS12(iana, ossl, fixed) \
	.id = (iana), .name = (ossl), .version = KTC_TLS1_2, \
	.fixed_iv_len = (fixed)

static const struct suite suites[] = {
	{ TLS13(0x1301, "TLS_AES_128_GCM_SHA256"), AES_128_GCM(0), SHA256 },
	{ TLS13(0x1302, "TLS_AES_256_GCM_SHA384"), AES_256_GCM(1), SHA384 },
	{ TLS13(0x1303, "TLS_CHACHA20_POLY1305_SHA256"),
	  CHACHA20_POLY1305(2), SHA256 },
	{ TLS13(0x1304, "TLS_AES_128_CCM_SHA256"), AES_128_CCM(3), SHA256 },

	/* RFC 5288, RFC 5289: 4 bytes of nonce from the key block */
	{ TLS12(0xc02b, "ECDHE-ECDSA-AES128-GCM-SHA256", 4),
	  AES_128_GCM(8), SHA256 },
	{ TLS12(0xc02f, "ECDHE-RSA-AES128-GCM-SHA256", 4),
	  AES_128_GCM(8), SHA256 },
	{ TLS12(0xc02c, "ECDHE-ECDSA-AES256-GCM-SHA384", 4),
	  AES_256_GCM(9), SHA384 },
	{ TLS12(0xc030, "ECDHE-RSA-AES256-GCM-SHA384", 4),
	  AES_256_GCM(9), SHA384 },
	/* RFC 7905: the whole nonce from the key block, none in the record */
	{ TLS12(0xcca9, "ECDHE-ECDSA-CHACHA20-POLY1305", 12),
	  CHACHA20_POLY1305(10), SHA256 },
	{ TLS12(0xcca8, "ECDHE-RSA-CHACHA20-POLY1305", 12),
	  CHACHA20_POLY1305(10), SHA256 },
	/* RFC 7251 */
	{ TLS12(0xc0ac, "ECDHE-ECDSA-AES128-CCM", 4), AES_128_CCM(11),
	  SHA256 },
};

/*
 * No padding, salt and iv make the nonce, the key fits, the tag and the
 * record number are as long as the code takes for granted.
 */
#define ASSERT_LAYOUT(type, CIPHER) \
	_Static_assert(sizeof(struct tls12_crypto_info_##type) == \
		       sizeof(struct tls_crypto_info) + \
		       TLS_CIPHER_##CIPHER##_IV_SIZE + \
		       TLS_CIPHER_##CIPHER##_KEY_SIZE + \
		       TLS_CIPHER_##CIPHER##_SALT_SIZE + \
		       TLS_CIPHER_##CIPHER##_REC_SEQ_SIZE && \
		       (TLS_CIPHER_##CIPHER##_SALT_SIZE + \
			TLS_CIPHER_##CIPHER##_IV_SIZE) == SUITE_NONCE_LEN && \
		       (TLS_CIPHER_##CIPHER##_KEY_SIZE) <= SUITE_KEY_MAX && \
		       (TLS_CIPHER_##CIPHER##_TAG_SIZE) == 16 && \
		       (TLS_CIPHER_##CIPHER##_REC_SEQ_SIZE) == 8, \
		       "linux/tls.h is as this file takes it to be")

ASSERT_LAYOUT(aes_gcm_128, AES_GCM_128);
ASSERT_LAYOUT(aes_gcm_256, AES_GCM_256);
ASSERT_LAYOUT(aes_ccm_128, AES_CCM_128);
ASSERT_LAYOUT(chacha20_poly1305, CHACHA20_POLY1305);

_Static_assert(KTC_TLS1_2 == TLS_1_2_VERSION && KTC_TLS1_3 == TLS_1_3_VERSION,
	       "the kernel numbers versions as TLS does");
_Static_assert(sizeof(union suite_crypto_info) <= UINT8_MAX,
	       "offsets fit their fields");

const struct suite *suite_find(uint16_t version, uint16_t id)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(suites); i++)
		if (suites[i].version == version && suites[i].id == id)
			return &suites[i];
	return NULL;
}

const struct suite *suite_at(size_t i)
{
	return i < ARRAY_SIZE(suites) ? &suites[i] : NULL;
}

void suite_fill(const struct suite *suite, union suite_crypto_info *out,
		const uint8_t *key, const uint8_t nonce[SUITE_NONCE_LEN],
		uint64_t seq)
{
	uint8_t *bytes = (uint8_t *)out;
	int i;

	memset(out, 0, sizeof(*out));
	out->info.version = suite->version;
	out->info.cipher_type = suite->cipher;
	memcpy(bytes + suite->key_off, key, suite->key_len);
	memcpy(bytes + suite->salt_off, nonce, suite->salt_len);
	memcpy(bytes + suite->iv_off, nonce + suite->salt_len, suite->iv_len);
	for (i = 7; i >= 0; i--) {
		bytes[suite->seq_off + i] = (uint8_t)seq;
		seq >>= 8;
	}
}

uint64_t suite_seq(const struct suite *suite,
		   const union suite_crypto_info *info)
{
	const uint8_t *bytes = (const uint8_t *)info + suite->seq_off;
	uint64_t seq = 0;
	int i;

	for (i = 0; i < 8; i++)
		seq = seq << 8 | bytes[i];
	return seq;
}
