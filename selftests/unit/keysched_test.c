// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: keys from secrets, against RFC 8448's trace and against a
 * second computation by bare HMAC.
 */
#include "keysched.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <string.h>

#include <ktlsclient.h>

#include "kselftest_harness.h"

/* RFC 8448 section 3: {client} and {server} application traffic secrets */
static const uint8_t client_secret[32] = {
	0x9e, 0x40, 0x64, 0x6c, 0xe7, 0x9a, 0x7f, 0x9d,
	0xc0, 0x5a, 0xf8, 0x88, 0x9b, 0xce, 0x65, 0x52,
	0x87, 0x5a, 0xfa, 0x0b, 0x06, 0xdf, 0x00, 0x87,
	0xf7, 0x92, 0xeb, 0xb7, 0xc1, 0x75, 0x04, 0xa5,
};

static const uint8_t client_key[16] = {
	0x17, 0x42, 0x2d, 0xda, 0x59, 0x6e, 0xd5, 0xd9,
	0xac, 0xd8, 0x90, 0xe3, 0xc6, 0x3f, 0x50, 0x51,
};

static const uint8_t client_iv[12] = {
	0x5b, 0x78, 0x92, 0x3d, 0xee, 0x08, 0x57, 0x90, 0x33, 0xe5, 0x23, 0xd9,
};

static const uint8_t server_secret[32] = {
	0xa1, 0x1a, 0xf9, 0xf0, 0x55, 0x31, 0xf8, 0x56,
	0xad, 0x47, 0x11, 0x6b, 0x45, 0xa9, 0x50, 0x32,
	0x82, 0x04, 0xb4, 0xf4, 0x4b, 0xfb, 0x6b, 0x3a,
	0x4b, 0x4f, 0x1f, 0x3f, 0xcb, 0x63, 0x16, 0x43,
};

static const uint8_t server_key[16] = {
	0x9f, 0x02, 0x28, 0x3b, 0x6c, 0x9c, 0x07, 0xef,
	0xc2, 0x6b, 0xb9, 0xf2, 0xac, 0x92, 0xe3, 0x56,
};

static const uint8_t server_iv[12] = {
	0xcf, 0x78, 0x2b, 0x88, 0xdd, 0x83, 0x54, 0x9a, 0xad, 0xf1, 0xe9, 0x84,
};

/* The same section: the client's application data record, bytes 0 to 49. */
static const uint8_t client_record[72] = {
	0x17, 0x03, 0x03, 0x00, 0x43, 0xa2, 0x3f, 0x70, 0x54, 0xb6, 0x2c, 0x94,
	0xd0, 0xaf, 0xfa, 0xfe, 0x82, 0x28, 0xba, 0x55, 0xcb, 0xef, 0xac, 0xea,
	0x42, 0xf9, 0x14, 0xaa, 0x66, 0xbc, 0xab, 0x3f, 0x2b, 0x98, 0x19, 0xa8,
	0xa5, 0xb4, 0x6b, 0x39, 0x5b, 0xd5, 0x4a, 0x9a, 0x20, 0x44, 0x1e, 0x2b,
	0x62, 0x97, 0x4e, 0x1f, 0x5a, 0x62, 0x92, 0xa2, 0x97, 0x70, 0x14, 0xbd,
	0x1e, 0x3d, 0xea, 0xe6, 0x3a, 0xee, 0xbb, 0x21, 0x69, 0x49, 0x15, 0xe4,
};

static const struct suite *aes128;

__attribute__((constructor)) static void find_suite(void)
{
	aes128 = suite_find(KTC_TLS1_3, 0x1301);
}

static void fill(uint8_t *out, size_t len, uint8_t first)
{
	size_t i;

	for (i = 0; i < len; i++)
		out[i] = (uint8_t)(first + i * 7);
}

/* RFC 5246 section 5: P_hash, by HMAC only. */
static void p_hash(const EVP_MD *md, const uint8_t *secret, size_t secret_len,
		   const uint8_t *seed, size_t seed_len, uint8_t *out,
		   size_t len)
{
	uint8_t a[EVP_MAX_MD_SIZE + 128], block[EVP_MAX_MD_SIZE];
	unsigned int n;
	size_t take;

	HMAC(md, secret, (int)secret_len, seed, seed_len, a, &n);
	while (len) {
		memcpy(a + n, seed, seed_len);
		HMAC(md, secret, (int)secret_len, a, n + seed_len, block, &n);
		take = len < n ? len : n;
		memcpy(out, block, take);
		out += take;
		len -= take;
		HMAC(md, secret, (int)secret_len, a, n, block, &n);
		memcpy(a, block, n);
	}
}

/* Opens a TLS 1.3 record: the length of the inner plaintext, or -1. */
static int open_record(const struct suite *suite, const struct keys *keys,
		       uint64_t seq, const uint8_t *record, size_t len,
		       uint8_t *plain)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, suite->aead, NULL);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool ccm = suite->cipher == TLS_CIPHER_AES_CCM_128;
	int body = (int)len - 5 - 16, n, ok, i;
	uint8_t nonce[12];

	memcpy(nonce, keys->nonce, 12);
	for (i = 0; i < 8; i++)
		nonce[4 + i] ^= (uint8_t)(seq >> (56 - 8 * i));
	ok = EVP_DecryptInit_ex(ctx, cipher, NULL, NULL, NULL) == 1 &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL) == 1 &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16,
				 (void *)(record + 5 + body)) == 1 &&
	     EVP_DecryptInit_ex(ctx, NULL, NULL, keys->key, nonce) == 1 &&
	     (!ccm || EVP_DecryptUpdate(ctx, NULL, &n, NULL, body) == 1) &&
	     EVP_DecryptUpdate(ctx, NULL, &n, record, 5) == 1 &&
	     EVP_DecryptUpdate(ctx, plain, &n, record + 5, body) == 1 &&
	     (ccm || EVP_DecryptFinal_ex(ctx, plain + n, &n) == 1);
	EVP_CIPHER_CTX_free(ctx);
	EVP_CIPHER_free(cipher);
	return ok ? body : -1;
}

TEST(a_traffic_secret_gives_the_keys_of_rfc_8448)
{
	struct keys keys;

	ASSERT_EQ(0, keysched_traffic(aes128, client_secret, &keys));
	EXPECT_EQ(0, memcmp(client_key, keys.key, sizeof(client_key)));
	EXPECT_EQ(0, memcmp(client_iv, keys.nonce, sizeof(client_iv)));
	ASSERT_EQ(0, keysched_traffic(aes128, server_secret, &keys));
	EXPECT_EQ(0, memcmp(server_key, keys.key, sizeof(server_key)));
	EXPECT_EQ(0, memcmp(server_iv, keys.nonce, sizeof(server_iv)));
}

TEST(a_record_is_sealed_as_in_rfc_8448)
{
	uint8_t plain[50], out[5 + 50 + 1 + 16];
	struct keys keys;
	size_t len = 0;
	int i;

	for (i = 0; i < 50; i++)
		plain[i] = (uint8_t)i;
	ASSERT_EQ(0, keysched_traffic(aes128, client_secret, &keys));
	ASSERT_EQ(0, keysched_seal13(aes128, &keys, 0, 23, plain, 50, out,
				     &len));
	ASSERT_EQ(sizeof(client_record), len);
	EXPECT_EQ(0, memcmp(client_record, out, sizeof(client_record)));
}

TEST(the_next_secret_is_what_hmac_says_for_each_hash)
{
	/* HkdfLabel of "traffic upd": length, label, empty context, T(1) */
	static const uint8_t label[] = "\x13tls13 traffic upd\0";
	const struct suite *suite;
	uint8_t info[2 + sizeof(label)], want[64], secret[SUITE_SECRET_MAX];
	unsigned int n;
	size_t i;

	_Static_assert(sizeof("tls13 traffic upd") - 1 == 17, "its length");
	for (i = 0; (suite = suite_at(i)) && suite->version == KTC_TLS1_3;
	     i++) {
		fill(secret, sizeof(secret), (uint8_t)i);
		info[0] = 0;
		info[1] = suite->secret_len;
		info[2] = 17;
		memcpy(info + 3, label + 1, 17);
		info[20] = 0;	/* context */
		info[21] = 1;	/* HKDF-Expand's counter */
		HMAC(EVP_get_digestbyname(suite->digest), secret,
		     suite->secret_len, info, 22, want, &n);
		ASSERT_EQ(suite->secret_len, n);
		ASSERT_EQ(0, keysched_next(suite, secret));
		EXPECT_EQ(0, memcmp(want, secret, suite->secret_len));
	}
	EXPECT_EQ(4, i);
}

TEST(tls12_keys_are_the_prf_cut_in_rfc_order)
{
	uint8_t master[48], client[32], server[32], seed[13 + 64], block[88];
	const struct suite *suite;
	struct keys out[2];
	size_t i, key, iv;

	fill(master, sizeof(master), 3);
	fill(client, sizeof(client), 5);
	fill(server, sizeof(server), 9);
	memcpy(seed, "key expansion", 13);
	memcpy(seed + 13, server, 32);
	memcpy(seed + 45, client, 32);
	for (i = 0; (suite = suite_at(i)); i++) {
		if (suite->version != KTC_TLS1_2)
			continue;
		key = suite->key_len;
		iv = suite->fixed_iv_len;
		p_hash(EVP_get_digestbyname(suite->digest), master, 48, seed,
		       sizeof(seed), block, 2 * key + 2 * iv);
		memset(out, 0xff, sizeof(out));
		ASSERT_EQ(0, keysched_tls12(suite, master, 48, client, server,
					    out));
		EXPECT_EQ(0, memcmp(out[1].key, block, key));
		EXPECT_EQ(0, memcmp(out[0].key, block + key, key));
		EXPECT_EQ(0, memcmp(out[1].nonce, block + 2 * key, iv));
		EXPECT_EQ(0, memcmp(out[0].nonce, block + 2 * key + iv, iv));
		if (iv < SUITE_NONCE_LEN) {
			EXPECT_EQ(0, out[0].nonce[iv]);
			EXPECT_EQ(0, out[1].nonce[SUITE_NONCE_LEN - 1]);
		}
	}
}

TEST(a_sealed_record_opens_for_every_suite_and_number)
{
	static const uint64_t seqs[] = { 0, 1, 0x0102030405060708, UINT64_MAX };
	static uint8_t plain[16384], out[16384 + 22], back[16384 + 17];
	uint8_t secret[SUITE_SECRET_MAX];
	const struct suite *suite;
	struct keys keys;
	size_t i, s, len;

	fill(plain, sizeof(plain), 1);
	for (i = 0; (suite = suite_at(i)) && suite->version == KTC_TLS1_3;
	     i++) {
		fill(secret, sizeof(secret), (uint8_t)(40 + i));
		ASSERT_EQ(0, keysched_traffic(suite, secret, &keys));
		for (s = 0; s < 4; s++) {
			ASSERT_EQ(0, keysched_seal13(suite, &keys, seqs[s], 22,
						     plain, 300, out, &len));
			ASSERT_EQ(5 + 300 + 1 + 16, len);
			EXPECT_EQ(0, memcmp(out, "\x17\3\3\1\x3d", 5));
			ASSERT_EQ(301, open_record(suite, &keys, seqs[s], out,
						   len, back));
			EXPECT_EQ(0, memcmp(plain, back, 300));
			EXPECT_EQ(22, back[300]);
			EXPECT_EQ(-1, open_record(suite, &keys, seqs[s] + 1,
						  out, len, back));
		}
	}
}

TEST(the_smallest_and_the_largest_record_are_sealed)
{
	static uint8_t plain[16385], out[16385 + 22], back[16385 + 17];
	struct keys keys;
	size_t len = 0;

	ASSERT_EQ(0, keysched_traffic(aes128, client_secret, &keys));
	ASSERT_EQ(0, keysched_seal13(aes128, &keys, 7, 21, NULL, 0, out,
				     &len));
	EXPECT_EQ(22, len);
	EXPECT_EQ(1, open_record(aes128, &keys, 7, out, len, back));
	EXPECT_EQ(21, back[0]);
	ASSERT_EQ(0, keysched_seal13(aes128, &keys, 8, 23, plain, 16384, out,
				     &len));
	EXPECT_EQ(16384 + 22, len);
	EXPECT_EQ(16385, open_record(aes128, &keys, 8, out, len, back));
	len = 99;
	EXPECT_EQ(-KTC_E_INTERNAL, keysched_seal13(aes128, &keys, 9, 23, plain,
						   16385, out, &len));
	EXPECT_EQ(99, len);
}

TEST(a_failure_changes_no_output_and_leaves_no_openssl_error)
{
	struct suite broken = *aes128;
	uint8_t secret[SUITE_SECRET_MAX] = { 1, 2, 3 }, before[48], out[64];
	struct keys keys, twice[2];
	size_t len = 99;

	broken.digest = "NO-SUCH-HASH";
	broken.aead = "NO-SUCH-CIPHER";
	memcpy(before, secret, sizeof(before));
	memset(&keys, 0x5a, sizeof(keys));
	memset(twice, 0x5a, sizeof(twice));
	EXPECT_EQ(-KTC_E_OPENSSL, keysched_traffic(&broken, secret, &keys));
	EXPECT_EQ(0x5a, keys.key[0]);
	EXPECT_EQ(-KTC_E_OPENSSL, keysched_next(&broken, secret));
	EXPECT_EQ(0, memcmp(before, secret, sizeof(before)));
	EXPECT_EQ(-KTC_E_OPENSSL, keysched_tls12(&broken, secret, 48, secret,
						 secret, twice));
	EXPECT_EQ(0x5a, twice[0].key[0]);
	EXPECT_EQ(-KTC_E_OPENSSL, keysched_seal13(&broken, &keys, 0, 23,
						  (const uint8_t *)"secret", 6,
						  out, &len));
	EXPECT_EQ(99, len);
	EXPECT_EQ(NULL, memmem(out, 5 + 6 + 17, "secret", 6));
	EXPECT_EQ(0, ERR_peek_error());
}

TEST_HARNESS_MAIN
