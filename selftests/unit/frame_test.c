// SPDX-License-Identifier: GPL-2.0-only
/* Description: record boundaries, wherever the stream is cut. */
#include "frame.h"

#include <string.h>

#include <ktlsclient.h>

#include "limit.h"
#include "util.h"

#include "kselftest_harness.h"

static const struct {
	uint8_t type;
	uint8_t minor;
	uint32_t len;
} records[] = {
	{ RECORD_HANDSHAKE, 1, 40 },
	{ RECORD_CCS, 3, 1 },
	{ RECORD_DATA, 3, 0 },
	{ RECORD_DATA, 3, 17 },
	{ RECORD_ALERT, 4, 2 },
	{ RECORD_DATA, 0, 300 },
	{ RECORD_DATA, 3, 0 },
	{ RECORD_DATA, 3, 0 },
	{ RECORD_HANDSHAKE, 2, 5 },
};

#define NR_RECORDS ARRAY_SIZE(records)

static uint8_t stream[1024];
static size_t stream_len;

static void header(uint8_t *p, uint8_t type, uint8_t major, uint8_t minor,
		   uint32_t len)
{
	p[0] = type;
	p[1] = major;
	p[2] = minor;
	p[3] = len >> 8;
	p[4] = len;
}

static void make_stream(void)
{
	size_t i;

	stream_len = 0;
	for (i = 0; i < NR_RECORDS; i++) {
		header(stream + stream_len, records[i].type, 3,
		       records[i].minor, records[i].len);
		/* a body that looks like headers */
		memset(stream + stream_len + FRAME_HEAD, RECORD_DATA,
		       records[i].len);
		stream_len += FRAME_HEAD + records[i].len;
	}
}

/* Feeds one piece; how many records are whole by then, or -1. */
static int feed(struct frame *frame, const uint8_t *p, size_t len, int whole_of)
{
	bool whole;
	ssize_t n;

	while (len) {
		n = frame_take(frame, p, len, &whole);
		if (n < 1 || (size_t)n > len)
			return -1;
		p += n;
		len -= n;
		if (!whole)
			continue;
		if (whole_of >= (int)NR_RECORDS ||
		    frame->head[0] != records[whole_of].type ||
		    frame->head[2] != records[whole_of].minor ||
		    frame_missing(frame))
			return -1;
		whole_of++;
	}
	return whole_of;
}

TEST(every_cut_in_two_gives_the_same_records)
{
	size_t cut;
	int whole;

	make_stream();
	for (cut = 0; cut <= stream_len; cut++) {
		struct frame frame = { 0 };

		whole = feed(&frame, stream, cut, 0);
		ASSERT_LE(0, whole) TH_LOG("cut at %zu", cut);
		whole = feed(&frame, stream + cut, stream_len - cut, whole);
		ASSERT_EQ((int)NR_RECORDS, whole) TH_LOG("cut at %zu", cut);
	}
}

TEST(pieces_of_every_size_give_the_same_records)
{
	size_t size, at, n;
	int whole;

	make_stream();
	for (size = 1; size <= stream_len; size++) {
		struct frame frame = { 0 };

		whole = 0;
		for (at = 0; at < stream_len; at += n) {
			n = MIN(size, stream_len - at);
			whole = feed(&frame, stream + at, n, whole);
			ASSERT_LE(0, whole) TH_LOG("size %zu at %zu", size, at);
		}
		ASSERT_EQ((int)NR_RECORDS, whole) TH_LOG("size %zu", size);
	}
}

TEST(a_call_never_passes_the_end_of_a_record)
{
	struct frame frame = { 0 };
	bool whole;
	size_t i, at = 0;

	make_stream();
	for (i = 0; i < NR_RECORDS; i++) {
		ASSERT_EQ((ssize_t)(FRAME_HEAD + records[i].len),
			  frame_take(&frame, stream + at, stream_len - at,
				     &whole));
		EXPECT_TRUE(whole);
		at += FRAME_HEAD + records[i].len;
	}
	EXPECT_EQ(stream_len, at);
}

/* To receive exactly what is missing never passes a boundary. */
TEST(missing_leads_to_the_next_boundary)
{
	bool whole;
	size_t cut;

	make_stream();
	for (cut = 1; cut < FRAME_HEAD + records[0].len; cut++) {
		struct frame frame = { 0 };
		size_t at = cut, n;

		ASSERT_EQ((ssize_t)cut, frame_take(&frame, stream, cut,
						   &whole));
		ASSERT_FALSE(whole);
		n = frame_missing(&frame);
		ASSERT_EQ(cut < FRAME_HEAD ? FRAME_HEAD - cut :
			  FRAME_HEAD + records[0].len - cut, n);
		while (!whole) {
			n = frame_missing(&frame);
			ASSERT_LT(0, n);
			ASSERT_EQ((ssize_t)n, frame_take(&frame, stream + at, n,
							 &whole));
			at += n;
		}
		EXPECT_EQ(FRAME_HEAD + records[0].len, at);
		EXPECT_EQ(0, frame_missing(&frame));
	}
}

TEST(nothing_is_missing_before_the_first_byte)
{
	struct frame frame = { 0 };
	bool whole = true;

	EXPECT_EQ(0, frame_missing(&frame));
	EXPECT_EQ(0, frame_take(&frame, stream, 0, &whole));
	EXPECT_FALSE(whole);
	EXPECT_EQ(0, frame_missing(&frame));
}

static ssize_t take_header(uint8_t type, uint8_t major, uint8_t minor,
			   uint32_t len, size_t piece)
{
	struct frame frame = { 0 };
	uint8_t head[FRAME_HEAD + 1] = { 0 };
	ssize_t n = 0;
	size_t at;
	bool whole;

	header(head, type, major, minor, len);
	for (at = 0; at < FRAME_HEAD && n >= 0; at += piece)
		n = frame_take(&frame, head + at,
			       MIN(piece, sizeof(head) - at), &whole);
	return n;
}

TEST(types_that_tls_does_not_have_are_refused)
{
	unsigned int type;

	for (type = 0; type < 256; type++) {
		bool good = type >= RECORD_CCS && type <= RECORD_DATA;

		EXPECT_EQ(good, take_header(type, 3, 3, 10, FRAME_HEAD) > 0);
		EXPECT_EQ(good, take_header(type, 3, 3, 10, 1) > 0);
		if (!good)
			EXPECT_EQ(-KTC_E_RECORD,
				  take_header(type, 3, 3, 10, 1));
	}
}

TEST(versions_that_tls_does_not_have_are_refused)
{
	unsigned int v;

	for (v = 0; v < 256; v++) {
		EXPECT_EQ(v <= 4, take_header(RECORD_DATA, 3, v, 10, 5) > 0);
		EXPECT_EQ(v == 3, take_header(RECORD_DATA, v, 3, 10, 5) > 0);
	}
	EXPECT_EQ(-KTC_E_RECORD, take_header(RECORD_DATA, 2, 0, 10, 5));
	EXPECT_EQ(-KTC_E_RECORD, take_header(RECORD_DATA, 3, 5, 10, 2));
}

TEST(the_largest_record_is_taken_and_one_more_byte_is_not)
{
	static uint8_t body[LIMIT_RECORD_CIPHER];
	struct frame frame = { 0 };
	uint8_t head[FRAME_HEAD];
	bool whole;

	header(head, RECORD_DATA, 3, 3, LIMIT_RECORD_CIPHER);
	ASSERT_EQ(FRAME_HEAD, frame_take(&frame, head, FRAME_HEAD, &whole));
	EXPECT_FALSE(whole);
	EXPECT_EQ(LIMIT_RECORD_CIPHER, frame_missing(&frame));
	ASSERT_EQ(LIMIT_RECORD_CIPHER,
		  frame_take(&frame, body, LIMIT_RECORD_CIPHER, &whole));
	EXPECT_TRUE(whole);
	EXPECT_EQ(-KTC_E_RECORD,
		  take_header(RECORD_DATA, 3, 3, LIMIT_RECORD_CIPHER + 1, 5));
	EXPECT_EQ(-KTC_E_RECORD, take_header(RECORD_DATA, 3, 3, 65535, 1));
}

TEST(a_bad_header_in_mid_stream_is_refused)
{
	struct frame frame = { 0 };
	bool whole;

	make_stream();
	ASSERT_LT(0, frame_take(&frame, stream, stream_len, &whole));
	ASSERT_TRUE(whole);
	/* what follows is a body, whose bytes are no header */
	EXPECT_EQ(-KTC_E_RECORD, frame_take(&frame, stream + FRAME_HEAD + 1,
					    20, &whole));
	EXPECT_FALSE(whole);
}

TEST_HARNESS_MAIN
