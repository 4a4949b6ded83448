// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: the BIO of our own: what is read, what is written, whose
 * buffers that are, and what happens without memory.
 */
#include "ossl_bio.h"

#include <openssl/bio.h>
#include <string.h>

#include "fault.h"
#include "limit.h"
#include "sys.h"
#include "util.h"

#include "kselftest_harness.h"

#define BATCH LIMIT_USER_BATCH

static const char text[] = "what was lent, byte for byte";

FIXTURE(bio)
{
	struct bio_pool pool;
	struct ossl_bio b;
	BIO *bio;
};

FIXTURE_SETUP(bio)
{
	fault_install();
	bio_pool_init(&self->pool);
	memset(&self->b, 0, sizeof(self->b));
	self->bio = ossl_bio_new(&self->b, &self->pool);
	ASSERT_NE(NULL, self->bio);
}

FIXTURE_TEARDOWN(bio)
{
	BIO_free(self->bio);
	ossl_bio_fini(&self->b);
	bio_pool_fini(&self->pool);
	EXPECT_STREQ("", fault_leaks());
}

/* Writes len bytes, each saying where it is, in pieces of up to step. */
static bool write_pattern(BIO *bio, size_t from, size_t len, size_t step)
{
	uint8_t piece[4096];
	size_t i, n, at;

	for (at = from; at < from + len; at += n) {
		n = MIN(MIN(step, sizeof(piece)), from + len - at);
		for (i = 0; i < n; i++)
			piece[i] = (at + i) * 7 >> 3;
		if (BIO_write(bio, piece, (int)n) != (int)n)
			return false;
	}
	return true;
}

static bool is_pattern(const uint8_t *p, size_t from, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] != (uint8_t)((from + i) * 7 >> 3))
			return false;
	return true;
}

TEST_F(bio, reads_what_is_lent_and_then_waits_for_more)
{
	char buf[sizeof(text) + 8];

	EXPECT_EQ(-1, BIO_read(self->bio, buf, sizeof(buf)));
	EXPECT_TRUE(BIO_should_read(self->bio));
	ossl_bio_lend(&self->b, (const uint8_t *)text, sizeof(text));
	EXPECT_EQ(5, BIO_read(self->bio, buf, 5));
	EXPECT_FALSE(BIO_should_retry(self->bio));
	EXPECT_EQ((int)sizeof(text) - 5,
		  BIO_read(self->bio, buf + 5, sizeof(buf) - 5));
	EXPECT_STREQ(text, buf);
	EXPECT_EQ(-1, BIO_read(self->bio, buf, sizeof(buf)));
	EXPECT_TRUE(BIO_should_read(self->bio));
}

TEST_F(bio, is_no_kernel_tls_and_flushes)
{
	EXPECT_EQ(1, BIO_flush(self->bio));
	EXPECT_FALSE(BIO_get_ktls_send(self->bio));
	EXPECT_FALSE(BIO_get_ktls_recv(self->bio));
}

TEST_F(bio, what_is_lent_stays_while_more_is_written)
{
	const uint8_t *first, *second;

	EXPECT_EQ(0, ossl_bio_take(&self->b, &first));
	ASSERT_TRUE(write_pattern(self->bio, 0, 700, 100));
	EXPECT_EQ(700, ossl_bio_pending(&self->b));
	ASSERT_EQ(700, ossl_bio_take(&self->b, &first));
	EXPECT_EQ(0, ossl_bio_pending(&self->b));
	ASSERT_TRUE(write_pattern(self->bio, 700, BATCH, 4000));
	/* one at a time */
	EXPECT_EQ(0, ossl_bio_take(&self->b, &second));
	EXPECT_TRUE(is_pattern(first, 0, 700));
	ossl_bio_done(&self->b);
	ASSERT_EQ(BATCH, ossl_bio_take(&self->b, &second));
	EXPECT_TRUE(is_pattern(second, 700, BATCH));
	ossl_bio_done(&self->b);
	EXPECT_EQ(0, ossl_bio_take(&self->b, &first));
}

TEST_F(bio, grows_as_far_as_it_must)
{
	const uint8_t *p;
	size_t len = 5 * BATCH + 3;

	ASSERT_TRUE(write_pattern(self->bio, 0, len, 1000));
	ASSERT_EQ(len, ossl_bio_take(&self->b, &p));
	EXPECT_TRUE(is_pattern(p, 0, len));
	ossl_bio_done(&self->b);
	/* such a one is not kept; a batch's is */
	EXPECT_EQ(1, self->pool.spares);
}

TEST_F(bio, has_no_buffer_when_all_is_out)
{
	const uint8_t *p;

	ASSERT_TRUE(write_pattern(self->bio, 0, 10, 10));
	ASSERT_EQ(10, ossl_bio_take(&self->b, &p));
	ossl_bio_done(&self->b);
	EXPECT_EQ(NULL, self->b.out[0].p);
	EXPECT_EQ(NULL, self->b.out[1].p);
	EXPECT_EQ(0, self->pool.spares);
	ASSERT_TRUE(write_pattern(self->bio, 0, 10, 10));
	ossl_bio_drop(&self->b);
	EXPECT_EQ(0, ossl_bio_pending(&self->b));
	EXPECT_EQ(NULL, self->b.out[self->b.writing].p);
}

TEST_F(bio, a_batchs_buffer_serves_the_next)
{
	const uint8_t *p, *again;
	int i;

	for (i = 0; i < 5; i++) {
		ASSERT_TRUE(write_pattern(self->bio, i, BATCH, 4096));
		ASSERT_EQ(BATCH, ossl_bio_take(&self->b, i ? &again : &p));
		ossl_bio_done(&self->b);
		EXPECT_EQ(1, self->pool.spares);
	}
	EXPECT_EQ(p, again);
}

TEST_F(bio, keeps_so_many_and_no_more)
{
	enum { MANY = LIMIT_SPARE_BUFFERS + 3 };
	struct ossl_bio b[MANY] = { 0 };
	BIO *bio;
	int i;

	for (i = 0; i < MANY; i++) {
		bio = ossl_bio_new(&b[i], &self->pool);
		ASSERT_NE(NULL, bio);
		ASSERT_TRUE(write_pattern(bio, 0, BATCH, 4096));
		BIO_free(bio);
	}
	for (i = 0; i < MANY; i++)
		ossl_bio_fini(&b[i]);
	EXPECT_EQ(LIMIT_SPARE_BUFFERS, self->pool.spares);
}

TEST_F(bio, without_memory_nothing_is_lost)
{
	const uint8_t *p;

	ASSERT_TRUE(write_pattern(self->bio, 0, 100, 100));
	fault_arm(1, 0, FAULT_ONCE);
	EXPECT_FALSE(write_pattern(self->bio, 100, 4096, 4096));
	EXPECT_FALSE(BIO_should_retry(self->bio));
	EXPECT_TRUE(self->b.no_memory);
	EXPECT_TRUE(fault_disarm());
	ASSERT_TRUE(write_pattern(self->bio, 100, 4096, 4096));
	ASSERT_EQ(4196, ossl_bio_take(&self->b, &p));
	EXPECT_TRUE(is_pattern(p, 0, 4196));
	ossl_bio_done(&self->b);
}

TEST_HARNESS_MAIN
