// SPDX-License-Identifier: GPL-2.0-only
/* Description: no two lists of fields have one digest. */
#include "digest.h"

#include <openssl/evp.h>

#include <string.h>

#include "kselftest_harness.h"

struct sum {
	uint8_t bytes[DIGEST_LEN];
};

static struct sum sum_of(uint32_t f1, const char *a, uint32_t f2,
			 const char *b)
{
	struct digest digest;
	struct sum sum = { { 0 } };

	digest_init(&digest);
	digest_field(&digest, f1, a, a ? strlen(a) : 0);
	digest_field(&digest, f2, b, b ? strlen(b) : 0);
	if (digest_fini(&digest, sum.bytes))
		memset(&sum, 0, sizeof(sum));
	return sum;
}

static bool equal(struct sum a, struct sum b)
{
	return !memcmp(&a, &b, sizeof(a));
}

TEST(equal_fields_have_equal_digests)
{
	EXPECT_TRUE(equal(sum_of(1, "a", 2, "b"), sum_of(1, "a", 2, "b")));
}

TEST(where_a_field_ends_matters)
{
	EXPECT_FALSE(equal(sum_of(1, "ab", 2, "c"), sum_of(1, "a", 2, "bc")));
	EXPECT_FALSE(equal(sum_of(1, "ab", 2, ""), sum_of(1, "", 2, "ab")));
}

TEST(which_field_it_is_matters)
{
	EXPECT_FALSE(equal(sum_of(1, "a", 2, "a"), sum_of(1, "a", 3, "a")));
	EXPECT_FALSE(equal(sum_of(1, "a", 2, "b"), sum_of(2, "a", 1, "b")));
}

TEST(an_absent_field_is_not_an_empty_one)
{
	EXPECT_FALSE(equal(sum_of(1, NULL, 2, "a"), sum_of(1, "", 2, "a")));
}

TEST(a_field_is_number_length_bytes_in_sha256)
{
	static const uint8_t flat[] = {
		0, 0, 0, 0, 0, 0, 0, 7,
		0, 0, 0, 0, 0, 0, 0, 8,
		1, 2, 3, 4, 5, 6, 7, 8,
	};
	uint8_t want[DIGEST_LEN], seen[DIGEST_LEN];
	struct digest digest;

	digest_init(&digest);
	digest_number(&digest, 7, 0x0102030405060708);
	ASSERT_EQ(0, digest_fini(&digest, seen));
	ASSERT_EQ(1, EVP_Digest(flat, sizeof(flat), want, NULL, EVP_sha256(),
				NULL));
	EXPECT_EQ(0, memcmp(want, seen, DIGEST_LEN));
}

TEST(a_digest_can_be_thrown_away)
{
	struct digest digest;

	digest_init(&digest);
	digest_number(&digest, 1, 1);
	EXPECT_EQ(0, digest_fini(&digest, NULL));
}

TEST_HARNESS_MAIN
