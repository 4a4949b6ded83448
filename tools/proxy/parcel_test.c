// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a connection come out of a parcel as it went in, and is everything else
 * refused?
 */
#include "parcel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest_harness.h"

FIXTURE(parcel)
{
	struct parcel *in;
	struct parcel *out;
	uint8_t buf[PARCEL_LEN_MAX + 1];
	size_t len;
};

FIXTURE_SETUP(parcel)
{
	unsigned int i;

	self->in = parcel_new();
	self->out = parcel_new();
	ASSERT_NE(NULL, self->in);
	ASSERT_NE(NULL, self->out);
	ASSERT_EQ(0, parcel_label(self->in, "web", "origin.test:443",
				  "origin.test"));
	self->in->left_ms = 12345;
	for (i = 0; i < sizeof(self->in->state); i++)
		self->in->state[i] = i * 7 + 1;
	self->in->state_len = 480;
	self->len = parcel_pack(self->in, self->buf);
}

FIXTURE_TEARDOWN(parcel)
{
	parcel_free(self->in);
	parcel_free(self->out);
}

TEST_F(parcel, what_went_in_comes_out)
{
	ASSERT_EQ(0, parcel_unpack(self->out, self->buf, self->len));
	EXPECT_STREQ("web", self->out->listener);
	EXPECT_STREQ("origin.test:443", self->out->origin);
	EXPECT_STREQ("origin.test", self->out->server_name);
	EXPECT_EQ(12345, self->out->left_ms);
	ASSERT_EQ(480, self->out->state_len);
	EXPECT_EQ(0, memcmp(self->in->state, self->out->state, 480));
	EXPECT_EQ(-1, self->out->client_fd);
	EXPECT_EQ(-1, self->out->tls_fd);
}

TEST_F(parcel, the_largest_one_fits)
{
	char text[PARCEL_TEXT_MAX + 2];

	memset(text, 'x', sizeof(text));
	text[PARCEL_TEXT_MAX + 1] = '\0';
	EXPECT_EQ(-ENAMETOOLONG, parcel_label(self->in, text, "", NULL));
	text[PARCEL_TEXT_MAX] = '\0';
	ASSERT_EQ(0, parcel_label(self->in, text, text, text));
	self->in->state_len = sizeof(self->in->state);
	self->len = parcel_pack(self->in, self->buf);
	ASSERT_GE(PARCEL_LEN_MAX, self->len);
	ASSERT_EQ(0, parcel_unpack(self->out, self->buf, self->len));
	EXPECT_STREQ(text, self->out->server_name);
	EXPECT_EQ(sizeof(self->in->state), self->out->state_len);
}

TEST_F(parcel, no_name_is_an_empty_one)
{
	ASSERT_EQ(0, parcel_label(self->in, "a", "b", NULL));
	self->len = parcel_pack(self->in, self->buf);
	ASSERT_EQ(0, parcel_unpack(self->out, self->buf, self->len));
	EXPECT_STREQ("", self->out->server_name);
}

TEST_F(parcel, any_other_length_is_refused)
{
	size_t len;

	for (len = 0; len <= sizeof(self->buf); len++) {
		if (len != self->len)
			EXPECT_EQ(-EPROTO,
				  parcel_unpack(self->out, self->buf, len));
	}
}

/* Lengths that lie: each of the four, with every value of its upper byte. */
TEST_F(parcel, lengths_beyond_their_limits_are_refused)
{
	unsigned int field, high;
	uint8_t was;

	for (field = 0; field < 4; field++) {
		was = self->buf[8 + 2 * field + 1];
		for (high = 0; high < 256; high++) {
			if (high == was)
				continue;
			self->buf[8 + 2 * field + 1] = high;
			EXPECT_EQ(-EPROTO, parcel_unpack(self->out, self->buf,
							 self->len));
		}
		self->buf[8 + 2 * field + 1] = was;
	}
}

/* Each of the four is one longer than it may be, and the sum is right. */
TEST_F(parcel, what_is_too_long_is_refused)
{
	static const uint16_t max[4] = {
		PARCEL_TEXT_MAX, PARCEL_TEXT_MAX, PARCEL_TEXT_MAX,
		KTC_STATE_LEN_MAX,
	};
	uint16_t len[4];
	unsigned int i;

	for (i = 0; i < 4; i++) {
		memset(len, 0, sizeof(len));
		memset(self->buf, 'x', sizeof(self->buf));
		len[i] = max[i];
		memcpy(self->buf + 8, len, sizeof(len));
		EXPECT_EQ(0, parcel_unpack(self->out, self->buf, 16 + len[i]));
		len[i]++;
		memcpy(self->buf + 8, len, sizeof(len));
		EXPECT_EQ(-EPROTO,
			  parcel_unpack(self->out, self->buf, 16 + len[i]));
	}
}

TEST_F(parcel, a_text_with_a_nul_is_refused)
{
	self->buf[16 + 1] = '\0';
	EXPECT_EQ(-EPROTO, parcel_unpack(self->out, self->buf, self->len));
}

TEST_HARNESS_MAIN
