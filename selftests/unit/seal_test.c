// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: the bytes of an export. They are as described, which a reader
 * of the test's own shows; whatever else is put in is refused as a whole, and
 * so is what was sealed with the right key and makes no sense.
 */
#include "seal.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <stdlib.h>
#include <string.h>

#include "pair.h"
#include "der_session.h"
#include "sys.h"

#include "kselftest_harness.h"

#define NOW 1700000000u
#define DAY (24u * 3600u)
#define HEAD 92u
#define TAG 16u
#define ENTRY 45u

static struct sys_ops fake;

static uint64_t fake_time(void)
{
	return NOW;
}

FIXTURE(seal)
{
	struct pair pair;
	uint8_t *bytes;		/* an export of "one" and "two" */
	size_t len;
	uint8_t *plain;		/* its sessions */
	size_t plain_len;
};

/* ------------------------------------------- a reader and writer of ours -- */

/* RFC 5869 in the words of its section 2, for one block */
static void derive(const uint8_t *key, const uint8_t *salt, uint8_t out[32])
{
	static const char info[] = "ktlsclient export 1\x01";
	uint8_t prk[32];

	HMAC(EVP_sha256(), salt, 32, key, 32, prk, NULL);
	HMAC(EVP_sha256(), prk, 32, (const uint8_t *)info, sizeof(info) - 1,
	     out, NULL);
}

static bool gcm(bool seal, const uint8_t *key, const uint8_t *head,
		uint8_t *to, const uint8_t *from, size_t len, uint8_t *tag)
{
	static const uint8_t nonce[12];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t own[32];
	int n;
	bool ok;

	derive(key, head + 60, own);
	ok = ctx &&
	     EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, own, nonce,
			       seal) == 1 &&
	     EVP_CipherUpdate(ctx, NULL, &n, head, HEAD) == 1 &&
	     EVP_CipherUpdate(ctx, to, &n, from, (int)len) == 1 &&
	     (seal || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG,
					  tag) == 1) &&
	     EVP_CipherFinal_ex(ctx, to + len, &n) == 1 &&
	     (!seal || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG,
					   tag) == 1);
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

static uint64_t number(const uint8_t *p, int len)
{
	uint64_t value = 0;

	while (len--)
		value = value << 8 | *p++;
	return value;
}

static void set_number(uint8_t *p, int len, uint64_t value)
{
	while (len--) {
		p[len] = (uint8_t)value;
		value >>= 8;
	}
}

FIXTURE_SETUP(seal)
{
	void *bytes;

	fake = sys_real;
	fake.time_s = fake_time;
	sys = &fake;
	ASSERT_EQ(0, pair_init(&self->pair));
	ASSERT_EQ(0, pair_start(&self->pair));
	ASSERT_TRUE(pair_give13(self->pair.from, self->pair.id[0], "one"));
	ASSERT_TRUE(pair_give12(self->pair.from, self->pair.id[1], "two"));
	ASSERT_EQ(2, ktc_client_export(self->pair.from, self->pair.key, 0,
				       &bytes, &self->len));
	self->bytes = bytes;
	ASSERT_LT(HEAD + 2 * ENTRY + TAG, self->len);
	self->plain_len = self->len - HEAD - TAG;
	/* room for what tests add to it */
	self->plain = malloc(self->plain_len + 1024);
	ASSERT_NE(NULL, self->plain);
	ASSERT_TRUE(gcm(false, self->pair.key, bytes, self->plain,
			self->bytes + HEAD, self->plain_len,
			self->bytes + HEAD + self->plain_len));
}

FIXTURE_TEARDOWN(seal)
{
	free(self->plain);
	ktc_export_free(self->bytes, self->len);
	pair_fini(&self->pair);
}

/* No error of the test's own is in OpenSSL's queue. */
static bool queue_is_empty;

/* Whether OpenSSL's queue has the one error of the test's and no other. */
static bool queue_is_ours(void)
{
	unsigned long err = ERR_get_error();

	if (queue_is_empty)
		return !err;
	return ERR_GET_LIB(err) == ERR_LIB_USER && !ERR_get_error();
}

/*
 * What import says to bytes; -1 when it has put anything in, though it refused
 * them, or changed OpenSSL's error queue. They lie at the end of memory of
 * their own, so that a sanitizer sees each byte that is read behind them.
 */
static int import(struct pair *pair, const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct ktc_client_stats stats = { .size = sizeof(stats) };
	int ret;

	if (!copy)
		return -1;
	if (len)
		memcpy(copy, bytes, len);
	if (!queue_is_empty)
		ERR_raise(ERR_LIB_USER, 1);
	ret = ktc_client_import(pair->to, pair->key, copy, len);
	free(copy);
	if (!queue_is_ours() || ktc_client_stats(pair->to, &stats))
		return -1;
	return ret < 0 && (stats.gives || stats.sessions) ? -1 : ret;
}

/* The same for head and sessions that the test has changed, sealed again. */
static int import_forged(struct pair *pair, const uint8_t *head,
			 const uint8_t *plain, size_t len)
{
	uint8_t *bytes = malloc(HEAD + len + TAG);
	int ret = -1;

	if (!bytes)
		return -1;
	memcpy(bytes, head, HEAD);
	if (gcm(true, pair->key, head, bytes + HEAD, plain, len,
		bytes + HEAD + len))
		ret = import(pair, bytes, HEAD + len + TAG);
	free(bytes);
	return ret;
}

/* ---------------------------------------------------------------- tests -- */

TEST_F(seal, the_head_is_as_described)
{
	EXPECT_EQ(0, memcmp("ktcseal", self->bytes, 8));
	EXPECT_EQ(1, number(self->bytes + 8, 4));
	EXPECT_EQ(0, number(self->bytes + 12, 4));
	EXPECT_EQ(NOW, number(self->bytes + 16, 8));
	EXPECT_EQ(2, number(self->bytes + 24, 4));
}

TEST_F(seal, the_sessions_are_as_described)
{
	const uint8_t *p = self->plain;
	const struct pair *pair = &self->pair;
	uint64_t left = self->plain_len, len;
	bool seen[2] = { false };
	const uint8_t *der;
	SSL_SESSION *session;
	int i, which;

	for (i = 0; i < 2; i++) {
		ASSERT_LT(ENTRY, left);
		which = memcmp(pair->id[0], p, 32) ? 1 : 0;
		EXPECT_EQ(0, memcmp(pair->id[which], p, 32));
		EXPECT_FALSE(seen[which]);
		seen[which] = true;
		EXPECT_EQ(!which, p[32]);
		EXPECT_EQ(NOW + DAY, number(p + 33, 8));
		len = number(p + 41, 4);
		p += ENTRY;
		left -= ENTRY;
		ASSERT_LE(len, left);
		der = p;
		session = d2i_SSL_SESSION(NULL, &der, (long)len);
		ASSERT_NE(NULL, session);
		EXPECT_EQ(p + len, der);
		EXPECT_STREQ(which ? "two" : "one", der_session_name(session));
		SSL_SESSION_free(session);
		p += len;
		left -= len;
	}
	EXPECT_EQ(0, left);
}

TEST_F(seal, what_was_sealed_is_put_in)
{
	EXPECT_EQ(2, import(&self->pair, self->bytes, self->len));
	EXPECT_EQ(2, pair_sessions(self->pair.to));
}

TEST_F(seal, what_the_writer_of_the_test_seals_is_put_in)
{
	EXPECT_EQ(2, import_forged(&self->pair, self->bytes, self->plain,
				   self->plain_len));
}

TEST_F(seal, no_session_is_readable)
{
	EXPECT_EQ(NULL, memmem(self->bytes, self->len, "one", 3));
	EXPECT_EQ(NULL, memmem(self->bytes, self->len, "two", 3));
	EXPECT_EQ(NULL, memmem(self->bytes, self->len, self->pair.id[0], 32));
}

TEST_F(seal, two_exports_of_the_same_have_nothing_in_common)
{
	void *again;
	size_t len;
	uint8_t *p;

	/* two of them: the salt differs, and so does all that is sealed */
	ASSERT_TRUE(pair_give13(self->pair.from, self->pair.id[0], "one"));
	ASSERT_EQ(2, ktc_client_export(self->pair.from, self->pair.key, 0,
				       &again, &len));
	p = again;
	ASSERT_EQ(self->len, len);
	EXPECT_NE(0, memcmp(self->bytes + 60, p + 60, 32));
	EXPECT_NE(0, memcmp(self->bytes + HEAD, p + HEAD, 16));
	EXPECT_NE(0, memcmp(self->bytes + len - TAG, p + len - TAG, TAG));
	ktc_export_free(again, len);
}

TEST_F(seal, every_changed_byte_is_refused)
{
	size_t at;
	int bit, err;

	for (at = 0; at < self->len; at++)
		for (bit = 1; bit < 256; bit <<= 4) {
			self->bytes[at] ^= bit;
			err = import(&self->pair, self->bytes, self->len);
			self->bytes[at] ^= bit;
			/* the version is told before the key is tried */
			ASSERT_EQ(at / 4 == 2 ? -KTC_E_SEAL_VERSION
					      : -KTC_E_SEAL, err)
				TH_LOG("byte %zu of %zu", at, self->len);
		}
	EXPECT_EQ(2, import(&self->pair, self->bytes, self->len));
}

TEST_F(seal, every_missing_byte_is_refused)
{
	size_t len;

	for (len = 0; len < self->len; len++)
		ASSERT_EQ(-KTC_E_SEAL, import(&self->pair, self->bytes, len))
			TH_LOG("%zu bytes of %zu", len, self->len);
}

TEST_F(seal, a_byte_more_is_refused)
{
	uint8_t *longer = calloc(1, self->len + 1);

	ASSERT_NE(NULL, longer);
	memcpy(longer, self->bytes, self->len);
	EXPECT_EQ(-KTC_E_SEAL, import(&self->pair, longer, self->len + 1));
	free(longer);
}

TEST_F(seal, every_other_key_is_refused)
{
	int i;

	for (i = 0; i < KTC_EXPORT_KEY_LEN; i++) {
		self->pair.key[i] ^= 1;
		EXPECT_EQ(-KTC_E_SEAL,
			  import(&self->pair, self->bytes, self->len));
		self->pair.key[i] ^= 1;
	}
}

TEST_F(seal, a_newer_version_is_told_whatever_follows)
{
	set_number(self->bytes + 8, 4, 2);
	EXPECT_EQ(-KTC_E_SEAL_VERSION,
		  import(&self->pair, self->bytes, self->len));
	EXPECT_EQ(-KTC_E_SEAL_VERSION, import(&self->pair, self->bytes, 12));
	EXPECT_EQ(-KTC_E_SEAL, import(&self->pair, self->bytes, 11));
}

TEST_F(seal, what_is_no_export_is_refused_before_its_version)
{
	self->bytes[0] ^= 1;
	EXPECT_EQ(-KTC_E_SEAL,
		  import_forged(&self->pair, self->bytes, self->plain,
				self->plain_len));
	set_number(self->bytes + 8, 4, 2);
	EXPECT_EQ(-KTC_E_SEAL, import(&self->pair, self->bytes, self->len));
}

TEST_F(seal, flags_of_a_newer_version_are_told)
{
	set_number(self->bytes + 12, 4, 2);
	EXPECT_EQ(-KTC_E_SEAL_VERSION,
		  import_forged(&self->pair, self->bytes, self->plain,
				self->plain_len));
}

TEST_F(seal, another_configuration_is_told)
{
	ktc_client_put(self->pair.to);
	self->pair.opts.flags = KTC_CLIENT_INSECURE_NO_VERIFY;
	ASSERT_EQ(0, ktc_client_new(&self->pair.opts, &self->pair.to));
	EXPECT_EQ(-KTC_E_SEAL_CONFIG,
		  import(&self->pair, self->bytes, self->len));
}

TEST_F(seal, another_configuration_is_not_told_without_the_key)
{
	self->pair.key[0] ^= 1;
	ktc_client_put(self->pair.to);
	self->pair.opts.version_min = KTC_TLS1_3;
	ASSERT_EQ(0, ktc_client_new(&self->pair.opts, &self->pair.to));
	EXPECT_EQ(-KTC_E_SEAL, import(&self->pair, self->bytes, self->len));
}

TEST_F(seal, a_number_of_sessions_that_is_not_there_is_refused)
{
	static const uint32_t numbers[] = { 0, 1, 3, UINT32_MAX };
	size_t i;

	for (i = 0; i < 4; i++) {
		set_number(self->bytes + 24, 4, numbers[i]);
		EXPECT_EQ(-KTC_E_SEAL,
			  import_forged(&self->pair, self->bytes, self->plain,
					self->plain_len));
	}
}

TEST_F(seal, a_session_that_is_cut_is_refused)
{
	size_t len;

	for (len = 0; len < self->plain_len; len++)
		ASSERT_EQ(-KTC_E_SEAL,
			  import_forged(&self->pair, self->bytes, self->plain,
					len)) TH_LOG("%zu bytes", len);
}

TEST_F(seal, a_byte_behind_the_last_session_is_refused)
{
	self->plain[self->plain_len] = 0;
	EXPECT_EQ(-KTC_E_SEAL, import_forged(&self->pair, self->bytes,
					     self->plain,
					     self->plain_len + 1));
}

/* Where the last session begins. */
static uint8_t *last_of(uint8_t *plain)
{
	return plain + ENTRY + number(plain + 41, 4);
}

TEST_F(seal, lengths_that_cannot_be_are_refused)
{
	static const uint32_t lengths[] = {
		0, 1, 128 * 1024 + 1, INT32_MAX, UINT32_MAX - ENTRY, UINT32_MAX,
	};
	uint8_t *last = last_of(self->plain);
	size_t i;

	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		set_number(last + 41, 4, lengths[i]);
		EXPECT_EQ(-KTC_E_SEAL,
			  import_forged(&self->pair, self->bytes, self->plain,
					self->plain_len));
	}
}

/* What import says to a session that the library would not have sealed. */
static int import_made(struct pair *pair, uint8_t *head,
		       const struct der_session_opts *opts)
{
	SSL_SESSION *session = der_session_new(opts);
	int len = session ? i2d_SSL_SESSION(session, NULL) : 0, ret = -1;
	uint8_t *plain = calloc(1, ENTRY + (size_t)len), *der;

	if (len > 0 && plain) {
		der = plain + ENTRY;
		memcpy(plain, pair->id[0], 32);
		plain[32] = 1;
		set_number(plain + 33, 8, NOW + DAY);
		set_number(plain + 41, 4, (uint64_t)len);
		set_number(head + 24, 4, 1);
		if (i2d_SSL_SESSION(session, &der) == len)
			ret = import_forged(pair, head, plain,
					    ENTRY + (size_t)len);
	}
	SSL_SESSION_free(session);
	free(plain);
	return ret;
}

TEST_F(seal, a_session_above_the_limit_is_refused)
{
	struct der_session_opts opts = {
		.version = TLS1_3_VERSION,
		.time_s = NOW,
		.life_s = DAY,
		.name = "large",
		.extra = 127 * 1024,
	};

	EXPECT_EQ(1, import_made(&self->pair, self->bytes, &opts));
	ktc_client_put(self->pair.to);
	ASSERT_EQ(0, ktc_client_new(&self->pair.opts, &self->pair.to));
	opts.extra = 128 * 1024;
	EXPECT_EQ(-KTC_E_SEAL, import_made(&self->pair, self->bytes, &opts));
}

TEST_F(seal, a_session_that_cannot_be_resumed_is_refused)
{
	const struct der_session_opts opts = {
		.version = TLS1_3_VERSION,
		.time_s = NOW,
		.life_s = DAY,
	};

	EXPECT_EQ(-KTC_E_SEAL, import_made(&self->pair, self->bytes, &opts));
}

TEST_F(seal, bytes_within_a_session_that_openssl_leaves_are_refused)
{
	uint8_t *last = last_of(self->plain);

	set_number(last + 41, 4, number(last + 41, 4) + 1);
	self->plain[self->plain_len] = 0;
	EXPECT_EQ(-KTC_E_SEAL, import_forged(&self->pair, self->bytes,
					     self->plain,
					     self->plain_len + 1));
}

TEST_F(seal, a_session_that_openssl_cannot_read_is_refused)
{
	uint8_t *last = last_of(self->plain);

	last[ENTRY] ^= 1;
	EXPECT_EQ(-KTC_E_SEAL,
		  import_forged(&self->pair, self->bytes, self->plain,
				self->plain_len));
}

TEST_F(seal, what_openssl_cannot_read_is_no_lack_of_memory)
{
	uint8_t *last = last_of(self->plain);

	queue_is_empty = true;
	last[ENTRY] ^= 1;
	EXPECT_EQ(-KTC_E_SEAL,
		  import_forged(&self->pair, self->bytes, self->plain,
				self->plain_len));
}

TEST_F(seal, a_mark_that_contradicts_the_session_is_refused)
{
	static const uint8_t marks[] = { 2, 3, 0x80, 0xff };
	uint8_t *last = last_of(self->plain);
	const uint8_t right = last[32];
	size_t i;

	last[32] = !right;
	EXPECT_EQ(-KTC_E_SEAL,
		  import_forged(&self->pair, self->bytes, self->plain,
				self->plain_len));
	for (i = 0; i < sizeof(marks); i++) {
		last[32] = marks[i];
		EXPECT_EQ(-KTC_E_SEAL,
			  import_forged(&self->pair, self->bytes, self->plain,
					self->plain_len));
	}
	last[32] = right;
	EXPECT_EQ(2, import_forged(&self->pair, self->bytes, self->plain,
				   self->plain_len));
}

TEST_F(seal, times_that_cannot_be_put_nothing_in)
{
	uint8_t *last = last_of(self->plain);

	/* over before it was sealed, and over since long */
	set_number(self->plain + 33, 8, 0);
	set_number(last + 33, 8, NOW - 1);
	EXPECT_EQ(0, import_forged(&self->pair, self->bytes, self->plain,
				   self->plain_len));
	/* sealed at the end of time */
	set_number(self->bytes + 16, 8, UINT64_MAX);
	set_number(last + 33, 8, UINT64_MAX);
	EXPECT_EQ(0, import_forged(&self->pair, self->bytes, self->plain,
				   self->plain_len));
	EXPECT_EQ(0, pair_sessions(self->pair.to));
}

TEST_HARNESS_MAIN
