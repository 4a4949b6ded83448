// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: alerts, handshake messages however they are cut into records,
 * and the rate of control records under a clock of the test's.
 */
#include "record.h"

#include <errno.h>
#include <string.h>

#include <ktlsclient.h>

#include "fault.h"
#include "limit.h"
#include "util.h"

#include "kselftest_harness.h"

/* --------------------------------------------------------------- alerts -- */

static int alert(uint8_t level, uint8_t desc, bool tls13, bool *fatal)
{
	const uint8_t p[] = { level, desc };
	uint8_t seen = ~desc;
	int err = record_alert(p, sizeof(p), tls13, fatal, &seen);

	return err ? err : seen == desc ? 0 : -EPROTO;
}

TEST(an_alert_is_two_bytes)
{
	const uint8_t p[] = { 2, 40, 2, 40 };
	bool fatal;
	uint8_t desc;
	size_t len;

	for (len = 0; len <= sizeof(p); len++)
		EXPECT_EQ(len == 2 ? 0 : -KTC_E_RECORD,
			  record_alert(p, len, true, &fatal, &desc));
}

TEST(an_alert_has_level_one_or_two)
{
	unsigned int level;
	bool fatal;

	for (level = 0; level < 256; level++)
		EXPECT_EQ(level == 1 || level == 2 ? 0 : -KTC_E_RECORD,
			  alert(level, 40, false, &fatal));
}

TEST(goodbyes_are_not_fatal_whatever_their_level)
{
	unsigned int level, tls13;
	bool fatal;

	for (level = 1; level <= 2; level++) {
		for (tls13 = 0; tls13 < 2; tls13++) {
			fatal = true;
			EXPECT_EQ(0, alert(level, ALERT_CLOSE_NOTIFY, tls13,
					   &fatal));
			EXPECT_FALSE(fatal);
			fatal = true;
			EXPECT_EQ(0, alert(level, ALERT_USER_CANCELED, tls13,
					   &fatal));
			EXPECT_FALSE(fatal);
		}
	}
}

TEST(in_tls_1_3_all_others_are_fatal_and_in_1_2_the_level_decides)
{
	unsigned int desc;
	bool fatal;

	for (desc = 1; desc < 256; desc++) {
		if (desc == ALERT_USER_CANCELED)
			continue;
		fatal = false;
		EXPECT_EQ(0, alert(1, desc, true, &fatal));
		EXPECT_TRUE(fatal);
		fatal = true;
		EXPECT_EQ(0, alert(1, desc, false, &fatal));
		EXPECT_FALSE(fatal);
		EXPECT_EQ(0, alert(2, desc, false, &fatal));
		EXPECT_TRUE(fatal);
	}
}

/* ------------------------------------------------------------- messages -- */

#define SEEN_MAX 64

struct seen {
	unsigned int count;
	struct {
		uint8_t type;
		size_t len;
		bool last;
		bool right;	/* its bytes are those that were sent */
	} at[SEEN_MAX];
	int stop_at;	/* from 1: the message that gets err */
	int err;
};

/* Message number i has type i, and a body of bytes that count from i. */
static size_t put_message(uint8_t *p, uint8_t i, size_t body)
{
	size_t at;

	p[0] = i;
	p[1] = body >> 16;
	p[2] = body >> 8;
	p[3] = body;
	for (at = 0; at < body; at++)
		p[RECORD_MESSAGE_HEAD + at] = i + at;
	return RECORD_MESSAGE_HEAD + body;
}

static int see(void *arg, const uint8_t *msg, size_t len, bool last)
{
	struct seen *seen = arg;
	unsigned int i = seen->count++;
	size_t at;

	if (i >= SEEN_MAX || len < RECORD_MESSAGE_HEAD)
		return -EPROTO;
	seen->at[i].type = msg[0];
	seen->at[i].len = len;
	seen->at[i].last = last;
	seen->at[i].right = true;
	for (at = RECORD_MESSAGE_HEAD; at < len; at++)
		if (msg[at] != (uint8_t)(msg[0] + at - RECORD_MESSAGE_HEAD))
			seen->at[i].right = false;
	return seen->stop_at == (int)i + 1 ? seen->err : 0;
}

FIXTURE(hs)
{
	struct record_hs hs;
	struct seen seen;
};

FIXTURE_SETUP(hs)
{
	fault_install();
}

FIXTURE_TEARDOWN(hs)
{
	record_hs_fini(&self->hs);
	EXPECT_STREQ("", fault_leaks());
}

#define FEED(p, len) record_hs_feed(&self->hs, p, len, see, &self->seen)

TEST_F(hs, an_empty_record_is_refused)
{
	EXPECT_EQ(-KTC_E_RECORD, FEED((const uint8_t *)"", 0));
	EXPECT_EQ(0, self->seen.count);
}

/* Three messages, an empty one among them; two cuts at every pair of places. */
TEST_F(hs, every_cut_into_three_records_gives_the_same_messages)
{
	static const size_t bodies[] = { 3, 0, 9 };
	uint8_t p[64];
	size_t ends[3];
	size_t len = 0, a, b, i, end;

	for (i = 0; i < 3; i++) {
		len += put_message(p + len, i + 1, bodies[i]);
		ends[i] = len;
	}
	for (a = 1; a < len; a++) {
		for (b = a; b < len; b++) {
			memset(&self->seen, 0, sizeof(self->seen));
			ASSERT_EQ(0, FEED(p, a));
			if (b > a)
				ASSERT_EQ(0, FEED(p + a, b - a));
			ASSERT_EQ(0, FEED(p + b, len - b));
			ASSERT_EQ(3, self->seen.count)
				TH_LOG("cut at %zu and %zu", a, b);
			for (i = 0; i < 3; i++) {
				end = ends[i];
				ASSERT_EQ(i + 1, self->seen.at[i].type);
				ASSERT_EQ(RECORD_MESSAGE_HEAD + bodies[i],
					  self->seen.at[i].len);
				ASSERT_TRUE(self->seen.at[i].right);
				/* last: it ends where its record does */
				ASSERT_EQ(end == a || end == b || end == len,
					  self->seen.at[i].last)
					TH_LOG("message %zu, cut at %zu, %zu",
					       i, a, b);
			}
			/* nothing is kept between messages */
			ASSERT_EQ(0, self->hs.room);
		}
	}
}

TEST_F(hs, byte_by_byte)
{
	uint8_t p[600];
	size_t len, i;

	len = put_message(p, 4, 500);
	for (i = 0; i < len; i++) {
		EXPECT_EQ(0, self->seen.count);
		ASSERT_EQ(0, FEED(p + i, 1));
	}
	ASSERT_EQ(1, self->seen.count);
	EXPECT_EQ(len, self->seen.at[0].len);
	EXPECT_TRUE(self->seen.at[0].right);
	EXPECT_TRUE(self->seen.at[0].last);
}

TEST_F(hs, two_in_a_record_and_only_the_second_is_the_last)
{
	uint8_t p[64];
	size_t len;

	len = put_message(p, 4, 10);
	len += put_message(p + len, 5, 10);
	ASSERT_EQ(0, FEED(p, len));
	ASSERT_EQ(2, self->seen.count);
	EXPECT_FALSE(self->seen.at[0].last);
	EXPECT_TRUE(self->seen.at[1].last);
	EXPECT_STREQ("", fault_leaks());
}

static uint8_t big[LIMIT_HS_MESSAGE + 64];

#define RECORD 16384u

TEST_F(hs, the_largest_message_is_taken)
{
	size_t at, n, len;

	len = put_message(big, 4, LIMIT_HS_MESSAGE - RECORD_MESSAGE_HEAD);
	ASSERT_EQ(LIMIT_HS_MESSAGE, len);
	for (at = 0; at < len; at += n) {
		n = MIN(RECORD, len - at);
		ASSERT_EQ(0, FEED(big + at, n));
	}
	ASSERT_EQ(1, self->seen.count);
	EXPECT_EQ(len, self->seen.at[0].len);
	EXPECT_TRUE(self->seen.at[0].right);
}

/* However its header is cut, and before more than the limit is kept. */
TEST_F(hs, one_byte_more_is_refused)
{
	size_t cut, at, n, len;
	int err;

	len = put_message(big, 4, LIMIT_HS_MESSAGE - RECORD_MESSAGE_HEAD + 1);
	for (cut = 1; cut <= RECORD_MESSAGE_HEAD + 1; cut++) {
		err = FEED(big, cut);
		for (at = cut; !err && at < len; at += n) {
			n = MIN(RECORD, len - at);
			err = FEED(big + at, n);
		}
		EXPECT_EQ(-KTC_E_RECORD, err);
		EXPECT_GE(LIMIT_HS_MESSAGE, self->hs.room);
		record_hs_fini(&self->hs);
	}
	EXPECT_EQ(0, self->seen.count);
}

TEST_F(hs, a_length_of_16_megabytes_is_refused_at_its_header)
{
	const uint8_t p[] = { 4, 0xff, 0xff, 0xff, 0 };

	EXPECT_EQ(-KTC_E_RECORD, FEED(p, sizeof(p)));
	EXPECT_EQ(0, self->hs.room);
}

TEST_F(hs, what_the_handler_returns_ends_it)
{
	uint8_t p[64];
	size_t len;

	len = put_message(p, 4, 10);
	len += put_message(p + len, 5, 10);
	len += put_message(p + len, 6, 10);
	self->seen.stop_at = 2;
	self->seen.err = -KTC_E_UNEXPECTED;
	EXPECT_EQ(-KTC_E_UNEXPECTED, FEED(p, len));
	EXPECT_EQ(2, self->seen.count);
	/* and so it does with a message that came in two records */
	memset(&self->seen, 0, sizeof(self->seen));
	self->seen.stop_at = 1;
	self->seen.err = -KTC_E_UNEXPECTED;
	ASSERT_EQ(0, FEED(p, 7));
	EXPECT_EQ(-KTC_E_UNEXPECTED, FEED(p + 7, len - 7));
	EXPECT_EQ(1, self->seen.count);
}

TEST_F(hs, without_memory_it_says_so_and_keeps_what_it_had)
{
	uint8_t p[3000];
	size_t len;

	len = put_message(p, 4, 2900);
	fault_arm(1, 0, FAULT_ONCE);
	EXPECT_EQ(-ENOMEM, FEED(p, 100));
	EXPECT_STREQ("", fault_leaks());
	ASSERT_EQ(0, FEED(p, 100));
	fault_arm(1, 0, FAULT_ONCE);
	EXPECT_EQ(-ENOMEM, FEED(p + 100, 2000));
	EXPECT_EQ(100, self->hs.len);
	ASSERT_EQ(0, FEED(p + 100, len - 100));
	EXPECT_EQ(1, self->seen.count);
	EXPECT_TRUE(self->seen.at[0].right);
}

TEST_F(hs, what_is_not_whole_goes_with_it)
{
	uint8_t p[64];

	(void)put_message(p, 4, 40);
	ASSERT_EQ(0, FEED(p, 20));
	EXPECT_STRNE("", fault_leaks());
	record_hs_fini(&self->hs);
	EXPECT_STREQ("", fault_leaks());
	record_hs_fini(&self->hs);
}

/* ----------------------------------------------------------------- rate -- */

#define SECOND 1000000ull
#define START (1234 * SECOND)

static unsigned int take_all(struct record_rate *rate, uint64_t now_us)
{
	unsigned int n = 0;

	while (n < 10000 && record_rate_take(rate, now_us))
		n++;
	return n;
}

TEST(a_burst_is_allowed_once)
{
	struct record_rate rate = { 0 };

	EXPECT_EQ(LIMIT_CONTROL_BURST, take_all(&rate, START));
	EXPECT_EQ(0, take_all(&rate, START));
	EXPECT_EQ(0, take_all(&rate, START + 1000));
}

TEST(time_fills_the_bucket_and_no_more_than_that)
{
	struct record_rate rate = { 0 };

	(void)take_all(&rate, START);
	EXPECT_EQ(LIMIT_CONTROL_PER_S, take_all(&rate, START + SECOND));
	EXPECT_EQ(0, take_all(&rate, START + SECOND));
	EXPECT_EQ(LIMIT_CONTROL_BURST, take_all(&rate, START + 3600 * SECOND));
}

TEST(little_time_at_a_time_is_not_lost)
{
	struct record_rate rate = { 0 };
	uint64_t now = START;
	unsigned int taken = 0;

	(void)take_all(&rate, now);
	/* asking each millisecond for ten seconds */
	while (now < START + 10 * SECOND) {
		now += 1000;
		taken += record_rate_take(&rate, now);
	}
	EXPECT_GE(10 * LIMIT_CONTROL_PER_S, taken);
	EXPECT_LE(10 * LIMIT_CONTROL_PER_S * 9 / 10, taken);
}

TEST(a_peer_within_the_rate_is_never_refused)
{
	struct record_rate rate = { 0 };
	uint64_t now = START;
	unsigned int i;

	for (i = 0; i < 10000; i++) {
		ASSERT_TRUE(record_rate_take(&rate, now));
		now += SECOND / LIMIT_CONTROL_PER_S + 1000;
	}
}

TEST(the_clock_may_pass_what_32_bits_of_milliseconds_hold)
{
	uint64_t wrap = ((uint64_t)1 << 32) * 1000;
	struct record_rate rate = { 0 };

	EXPECT_EQ(LIMIT_CONTROL_BURST, take_all(&rate, wrap - SECOND / 2));
	EXPECT_EQ(LIMIT_CONTROL_PER_S, take_all(&rate, wrap + SECOND / 2));
}

TEST_HARNESS_MAIN
