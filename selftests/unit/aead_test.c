// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: what is sealed opens with all that it was sealed with and with
 * nothing else. That the bytes are those of the RFCs is shown by seal_test.
 */
#include "aead.h"

#include <openssl/err.h>

#include <string.h>

#include <ktlsclient.h>

#include "kselftest_harness.h"

#define LEN 100

FIXTURE(aead)
{
	uint8_t key[AEAD_KEY_LEN], salt[AEAD_SALT_LEN], head[10];
	struct aead aead;
	uint8_t bytes[LEN], tag[AEAD_TAG_LEN], out[LEN];
};

FIXTURE_SETUP(aead)
{
	memset(self->key, 'k', sizeof(self->key));
	memset(self->salt, 's', sizeof(self->salt));
	memset(self->head, 'h', sizeof(self->head));
	memset(self->bytes, 'b', LEN);
	self->aead = (struct aead){
		.key = self->key,
		.salt = self->salt,
		.purpose = "one",
		.head = self->head,
		.head_len = sizeof(self->head),
	};
	/* an error of somebody else's, to find it again */
	ERR_raise(ERR_LIB_USER, 1);
	ASSERT_EQ(0, aead_seal(&self->aead, self->bytes, LEN, self->tag));
}

FIXTURE_TEARDOWN(aead)
{
	EXPECT_EQ(ERR_LIB_USER, ERR_GET_LIB(ERR_get_error()));
	EXPECT_EQ(0, ERR_get_error());
}

static int open_it(FIXTURE_DATA(aead) * self)
{
	return aead_open(&self->aead, self->out, self->bytes, LEN, self->tag);
}

TEST_F(aead, what_is_sealed_opens)
{
	uint8_t plain[LEN];

	memset(plain, 'b', LEN);
	EXPECT_NE(0, memcmp(plain, self->bytes, LEN));
	EXPECT_EQ(0, open_it(self));
	EXPECT_EQ(0, memcmp(plain, self->out, LEN));
}

TEST_F(aead, nothing_can_be_sealed_too)
{
	ASSERT_EQ(0, aead_seal(&self->aead, NULL, 0, self->tag));
	EXPECT_EQ(0, aead_open(&self->aead, NULL, NULL, 0, self->tag));
	self->tag[0] ^= 1;
	EXPECT_EQ(-KTC_E_SEAL,
		  aead_open(&self->aead, NULL, NULL, 0, self->tag));
}

TEST_F(aead, another_key_does_not_open)
{
	self->key[AEAD_KEY_LEN - 1] ^= 1;
	EXPECT_EQ(-KTC_E_SEAL, open_it(self));
}

TEST_F(aead, another_salt_does_not_open)
{
	self->salt[AEAD_SALT_LEN - 1] ^= 1;
	EXPECT_EQ(-KTC_E_SEAL, open_it(self));
}

TEST_F(aead, another_purpose_does_not_open)
{
	self->aead.purpose = "two";
	EXPECT_EQ(-KTC_E_SEAL, open_it(self));
}

TEST_F(aead, another_head_does_not_open)
{
	self->head[sizeof(self->head) - 1] ^= 1;
	EXPECT_EQ(-KTC_E_SEAL, open_it(self));
	self->head[sizeof(self->head) - 1] ^= 1;
	self->aead.head_len--;
	EXPECT_EQ(-KTC_E_SEAL, open_it(self));
}

TEST_F(aead, other_bytes_do_not_open)
{
	self->bytes[LEN - 1] ^= 1;
	EXPECT_EQ(-KTC_E_SEAL, open_it(self));
}

TEST_F(aead, another_tag_does_not_open)
{
	self->tag[AEAD_TAG_LEN - 1] ^= 1;
	EXPECT_EQ(-KTC_E_SEAL, open_it(self));
}

TEST_HARNESS_MAIN
