// SPDX-License-Identifier: GPL-2.0-only
/* Description: the suite table and the kernel's layouts. */
#include "suite.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include <string.h>

#include <ktlsclient.h>

#include "kselftest_harness.h"

static const uint8_t nonce[SUITE_NONCE_LEN] = {
	1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
};

static uint8_t key[SUITE_KEY_MAX];

TEST(every_row_is_found_by_version_and_id_only)
{
	const struct suite *suite;
	size_t i;

	for (i = 0; (suite = suite_at(i)); i++) {
		EXPECT_EQ(suite, suite_find(suite->version, suite->id));
		EXPECT_EQ(NULL, suite_find(0x0302, suite->id));
	}
	EXPECT_EQ(11, i);
	EXPECT_EQ(NULL, suite_find(KTC_TLS1_2, 0x1301));
	EXPECT_EQ(NULL, suite_find(KTC_TLS1_3, 0xc02f));
	EXPECT_EQ(NULL, suite_find(KTC_TLS1_2, 0xc0ae));	/* CCM_8 */
	EXPECT_EQ(NULL, suite_find(KTC_TLS1_2, 0xc013));	/* CBC */
}

TEST(openssl_knows_every_row_as_we_do)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	const struct suite *suite;
	SSL *ssl;
	size_t i;

	ASSERT_NE(NULL, ctx);
	ASSERT_EQ(1, SSL_CTX_set_cipher_list(ctx, "ALL:COMPLEMENTOFALL"));
	ASSERT_EQ(1, SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:"
			"TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:"
			"TLS_AES_128_CCM_SHA256"));
	ssl = SSL_new(ctx);
	ASSERT_NE(NULL, ssl);
	for (i = 0; (suite = suite_at(i)); i++) {
		const uint8_t id[2] = { suite->id >> 8, (uint8_t)suite->id };
		const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, id);
		const EVP_MD *md;

		ASSERT_NE(NULL, cipher);
		EXPECT_STREQ(suite->name, SSL_CIPHER_get_name(cipher));
		EXPECT_EQ(1, SSL_CIPHER_is_aead(cipher));
		md = SSL_CIPHER_get_handshake_digest(cipher);
		ASSERT_NE(NULL, md);
		EXPECT_EQ(1, EVP_MD_is_a(md, suite->digest));
		EXPECT_EQ(suite->secret_len, EVP_MD_get_size(md));
	}
	SSL_free(ssl);
	SSL_CTX_free(ctx);
}

TEST(openssl_has_the_aead_with_our_key_length)
{
	const struct suite *suite;
	EVP_CIPHER *cipher;
	size_t i;

	for (i = 0; (suite = suite_at(i)); i++) {
		cipher = EVP_CIPHER_fetch(NULL, suite->aead, NULL);
		ASSERT_NE(NULL, cipher);
		EXPECT_EQ(suite->key_len, EVP_CIPHER_get_key_length(cipher));
		EVP_CIPHER_free(cipher);
	}
}

TEST(suites_of_one_kernel_cipher_share_a_bit_by_version)
{
	const struct suite *a, *b;
	size_t i, j;

	for (i = 0; (a = suite_at(i)); i++) {
		EXPECT_EQ(a->version == KTC_TLS1_2, a->caps_bit >= 8);
		for (j = 0; (b = suite_at(j)); j++)
			EXPECT_EQ(a->caps_bit == b->caps_bit,
				  a->cipher == b->cipher &&
				  a->version == b->version);
	}
}

TEST(aes_gcm_128_is_filled_field_by_field)
{
	const struct suite *suite = suite_find(KTC_TLS1_3, 0x1301);
	union suite_crypto_info info;

	memset(&info, 0xff, sizeof(info));
	memset(key, 0x77, sizeof(key));
	suite_fill(suite, &info, key, nonce, 0x0102030405060708);
	EXPECT_EQ(sizeof(info.aes_gcm_128), suite->info_len);
	EXPECT_EQ(TLS_1_3_VERSION, info.info.version);
	EXPECT_EQ(TLS_CIPHER_AES_GCM_128, info.info.cipher_type);
	EXPECT_EQ(0, memcmp(info.aes_gcm_128.salt, nonce, 4));
	EXPECT_EQ(0, memcmp(info.aes_gcm_128.iv, nonce + 4, 8));
	EXPECT_EQ(0, memcmp(info.aes_gcm_128.key, key, 16));
	EXPECT_EQ(0, memcmp(info.aes_gcm_128.rec_seq,
			    "\1\2\3\4\5\6\7\10", 8));
}

TEST(aes_gcm_256_is_filled_field_by_field)
{
	const struct suite *suite = suite_find(KTC_TLS1_2, 0xc030);
	union suite_crypto_info info;

	memset(key, 0x55, sizeof(key));
	suite_fill(suite, &info, key, nonce, 1);
	EXPECT_EQ(sizeof(info.aes_gcm_256), suite->info_len);
	EXPECT_EQ(TLS_1_2_VERSION, info.info.version);
	EXPECT_EQ(TLS_CIPHER_AES_GCM_256, info.info.cipher_type);
	EXPECT_EQ(0, memcmp(info.aes_gcm_256.salt, nonce, 4));
	EXPECT_EQ(0, memcmp(info.aes_gcm_256.iv, nonce + 4, 8));
	EXPECT_EQ(0, memcmp(info.aes_gcm_256.key, key, 32));
	EXPECT_EQ(1, info.aes_gcm_256.rec_seq[7]);
}

TEST(chacha20_has_the_whole_nonce_as_iv)
{
	const struct suite *suite = suite_find(KTC_TLS1_2, 0xcca8);
	union suite_crypto_info info;

	memset(key, 0x33, sizeof(key));
	suite_fill(suite, &info, key, nonce, 0);
	EXPECT_EQ(sizeof(info.chacha20), suite->info_len);
	EXPECT_EQ(TLS_CIPHER_CHACHA20_POLY1305, info.info.cipher_type);
	EXPECT_EQ(0, memcmp(info.chacha20.iv, nonce, 12));
	EXPECT_EQ(0, memcmp(info.chacha20.key, key, 32));
	EXPECT_EQ(12, suite->fixed_iv_len);
}

TEST(aes_ccm_128_is_filled_field_by_field)
{
	const struct suite *suite = suite_find(KTC_TLS1_3, 0x1304);
	union suite_crypto_info info;

	memset(key, 0x22, sizeof(key));
	suite_fill(suite, &info, key, nonce, 0);
	EXPECT_EQ(sizeof(info.aes_ccm_128), suite->info_len);
	EXPECT_EQ(TLS_CIPHER_AES_CCM_128, info.info.cipher_type);
	EXPECT_EQ(0, memcmp(info.aes_ccm_128.salt, nonce, 4));
	EXPECT_EQ(0, memcmp(info.aes_ccm_128.iv, nonce + 4, 8));
	EXPECT_EQ(0, memcmp(info.aes_ccm_128.key, key, 16));
}

TEST(the_record_number_is_read_back)
{
	static const uint64_t numbers[] = { 0, 1, 255, 256, 1ULL << 40,
					    UINT64_MAX };
	const struct suite *suite;
	union suite_crypto_info info;
	size_t i, n;

	for (i = 0; (suite = suite_at(i)); i++)
		for (n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++) {
			suite_fill(suite, &info, key, nonce, numbers[n]);
			EXPECT_EQ(numbers[n], suite_seq(suite, &info));
		}
}

TEST(aes_gcm_stops_at_the_rfc_limit)
{
	const struct suite *suite = suite_find(KTC_TLS1_3, 0x1301);

	/* 2^24.5 squared is 2^49 */
	EXPECT_GE(1ULL << 49, suite->records_max * suite->records_max);
	EXPECT_LT(1ULL << 49,
		  (suite->records_max + 1) * (suite->records_max + 1));
}

TEST_HARNESS_MAIN
