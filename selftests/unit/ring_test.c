// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: tags, room and buffers of a ring, its own and another's. Needs
 * io_uring and nothing else of the system.
 */
#include "ring.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fault.h"
#include "sys.h"
#include "util.h"

#include "kselftest_harness.h"

#define ENTRIES 8
#define BUFFERS 4
#define WAIT_MS 5000

FIXTURE(ring)
{
	struct ring ring;
	struct io_uring host;	/* guest: the caller's */
	int fd[2];
};

FIXTURE_VARIANT(ring)
{
	bool guest;
};

FIXTURE_VARIANT_ADD(ring, own)
{
	.guest = false,
};

FIXTURE_VARIANT_ADD(ring, guest)
{
	.guest = true,
};

FIXTURE_SETUP(ring)
{
	struct ktc_loop_opts opts = {
		.size = sizeof(opts),
		.entries = ENTRIES,
		.buffers = BUFFERS,
		.mark = 0x1234,
		.buf_group = 9,
	};

	fault_install();
	if (variant->guest) {
		ASSERT_EQ(0, io_uring_queue_init(ENTRIES, &self->host, 0));
		opts.ring = &self->host;
	}
	ASSERT_EQ(0, ring_init(&self->ring, &opts));
	ASSERT_EQ(0, ring_enable(&self->ring));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, self->fd));
}

FIXTURE_TEARDOWN(ring)
{
	ring_fini(&self->ring);
	EXPECT_STREQ("", fault_leaks());
	if (variant->guest) {
		/* it is as it was: usable, the buffer group free */
		struct io_uring_sqe *sqe = io_uring_get_sqe(&self->host);

		ASSERT_NE(NULL, sqe);
		io_uring_prep_nop(sqe);
		EXPECT_EQ(1, io_uring_submit(&self->host));
		io_uring_queue_exit(&self->host);
	}
	(void)close(self->fd[0]);
	(void)close(self->fd[1]);
}

/* ---------------------------------------------------------------- tags -- */

TEST_F(ring, tags_come_back_as_they_were)
{
	static const uint32_t slots[] = {
		0, 1, 0xffff, 0x12345678, UINT32_MAX,
	};
	static const uint8_t auxs[] = { 0, 1, 0x80, 0xff };
	struct ring_tag tag;
	unsigned int op;
	uint64_t data;
	size_t i, j;

	for (op = 0; op < RING_NR_OPS; op++) {
		for (i = 0; i < ARRAY_SIZE(auxs); i++) {
			for (j = 0; j < ARRAY_SIZE(slots); j++) {
				data = ring_user_data(&self->ring, op, auxs[i],
						      slots[j]);
				ASSERT_TRUE(ring_untag(&self->ring, data,
						       &tag));
				EXPECT_EQ(op, tag.op);
				EXPECT_EQ(auxs[i], tag.aux);
				EXPECT_EQ(slots[j], tag.slot);
			}
		}
	}
}

TEST_F(ring, foreign_user_data_is_refused)
{
	uint64_t ours = ring_user_data(&self->ring, RING_RECV, 0, 7);
	struct ring_tag tag = { .op = RING_SEND, .slot = 99 };
	unsigned int bit;

	for (bit = 48; bit < 64; bit++)
		EXPECT_FALSE(ring_untag(&self->ring, ours ^ 1ull << bit, &tag));
	EXPECT_FALSE(ring_untag(&self->ring, 0, &tag));
	EXPECT_FALSE(ring_untag(&self->ring, UINT64_MAX, &tag));
	EXPECT_FALSE(ring_untag(&self->ring, (uintptr_t)&tag, &tag));
	/* an operation that there is not */
	EXPECT_FALSE(ring_untag(&self->ring,
				ring_user_data(&self->ring, RING_NR_OPS, 0, 0),
				&tag));
	EXPECT_EQ(RING_SEND, tag.op);
	EXPECT_EQ(99, tag.slot);
}

TEST_F(ring, a_completion_carries_its_tag)
{
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct ring_tag tag;

	ASSERT_TRUE(ring_room(&self->ring, 1));
	sqe = ring_sqe(&self->ring);
	ASSERT_NE(NULL, sqe);
	EXPECT_EQ(1, self->ring.inflight);
	io_uring_prep_nop(sqe);
	ring_tag(&self->ring, sqe, RING_POLL, 5, 77);
	ASSERT_EQ(0, ring_submit(&self->ring, WAIT_MS));
	ASSERT_EQ(0, io_uring_wait_cqe(self->ring.u, &cqe));
	ASSERT_TRUE(ring_untag(&self->ring, cqe->user_data, &tag));
	EXPECT_EQ(RING_POLL, tag.op);
	EXPECT_EQ(5, tag.aux);
	EXPECT_EQ(77, tag.slot);
	io_uring_cqe_seen(self->ring.u, cqe);
}

/* ---------------------------------------------------------------- room -- */

TEST_F(ring, room_is_made_by_submitting)
{
	unsigned int i, done = 0, head;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;

	/* more than the queue has, in pairs that must lie together */
	for (i = 0; i < ENTRIES * 2; i += 2) {
		ASSERT_TRUE(ring_room(&self->ring, 2));
		sqe = ring_sqe(&self->ring);
		ASSERT_NE(NULL, sqe);
		io_uring_prep_nop(sqe);
		ring_tag(&self->ring, sqe, RING_POLL, 0, i);
		sqe = ring_sqe(&self->ring);
		ASSERT_NE(NULL, sqe);
		io_uring_prep_nop(sqe);
		ring_tag(&self->ring, sqe, RING_POLL, 0, i + 1);
	}
	EXPECT_EQ(ENTRIES * 2, self->ring.inflight);
	while (done < ENTRIES * 2) {
		ASSERT_LE(0, io_uring_submit_and_wait(self->ring.u, 1));
		io_uring_for_each_cqe(self->ring.u, head, cqe)
			done++;
		io_uring_cq_advance(self->ring.u,
				    io_uring_cq_ready(self->ring.u));
	}
	EXPECT_EQ(ENTRIES * 2, done);
}

TEST_F(ring, more_than_the_queue_has_is_never_there)
{
	EXPECT_TRUE(ring_room(&self->ring, ENTRIES));
	EXPECT_FALSE(ring_room(&self->ring, ENTRIES + 1));
	EXPECT_TRUE(ring_room(&self->ring, ENTRIES));
}

TEST_F(ring, waiting_ends_after_its_time)
{
	EXPECT_EQ(0, ring_submit(&self->ring, 0));
	EXPECT_EQ(0, ring_submit(&self->ring, 1));
	EXPECT_EQ(0, io_uring_cq_ready(self->ring.u));
}

/* ------------------------------------------------------------- buffers -- */

/* One receive into whatever buffer there is: its id, or -errno. */
static int receive(struct ring *ring, int fd, int *len)
{
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;
	int bid;

	if (!ring_room(ring, 1))
		return -EAGAIN;
	sqe = ring_sqe(ring);
	io_uring_prep_recv(sqe, fd, NULL, LIMIT_RECV_BUFFER, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = ring->buf_group;
	ring_tag(ring, sqe, RING_RECV, 0, 0);
	if (io_uring_submit(ring->u) < 0 || io_uring_wait_cqe(ring->u, &cqe))
		return -EIO;
	ring->inflight--;
	*len = cqe->res;
	bid = cqe->res < 0 ? cqe->res :
	      cqe->flags & IORING_CQE_F_BUFFER ?
	      (int)(cqe->flags >> IORING_CQE_BUFFER_SHIFT) : -EPROTO;
	if (bid >= 0)
		ring->bufs_out++;
	io_uring_cqe_seen(ring->u, cqe);
	return bid;
}

TEST_F(ring, every_buffer_is_there_once_and_again_when_given_back)
{
	bool seen[BUFFERS];
	int i, bid, len, round;
	char c;

	for (round = 0; round < 3; round++) {
		memset(seen, 0, sizeof(seen));
		for (i = 0; i < BUFFERS; i++) {
			c = 'a' + i;
			ASSERT_EQ(1, write(self->fd[1], &c, 1));
			bid = receive(&self->ring, self->fd[0], &len);
			ASSERT_LE(0, bid);
			ASSERT_GT(BUFFERS, bid);
			EXPECT_EQ(1, len);
			EXPECT_FALSE(seen[bid]);
			seen[bid] = true;
			EXPECT_EQ(c, *ring_buf(&self->ring, bid));
		}
		EXPECT_EQ(BUFFERS, self->ring.bufs_out);
		ASSERT_EQ(1, write(self->fd[1], "x", 1));
		EXPECT_EQ(-ENOBUFS, receive(&self->ring, self->fd[0], &len));
		/* one comes back: that one is used next */
		ring_buf_give(&self->ring, 2);
		EXPECT_EQ(2, receive(&self->ring, self->fd[0], &len));
		EXPECT_EQ('x', *ring_buf(&self->ring, 2));
		for (i = 0; i < BUFFERS; i++)
			ring_buf_give(&self->ring, BUFFERS - 1 - i);
		EXPECT_EQ(0, self->ring.bufs_out);
	}
}

TEST_F(ring, buffers_and_shadows_do_not_overlap)
{
	int i, at;

	for (i = 0; i < BUFFERS; i++) {
		memset(ring_buf(&self->ring, i), i + 1, LIMIT_RECV_BUFFER);
		memset(ring_shadow(&self->ring, i), i + 101, RING_SHADOW_LEN);
	}
	for (i = 0; i < BUFFERS; i++) {
		for (at = 0; at < (int)LIMIT_RECV_BUFFER; at++)
			ASSERT_EQ(i + 1, ring_buf(&self->ring, i)[at]);
		for (at = 0; at < (int)RING_SHADOW_LEN; at++)
			ASSERT_EQ(i + 101, ring_shadow(&self->ring, i)[at]);
	}
}

/* ------------------------------------------------------------- begin -- */

static int ring_flags_refused;	/* how many of our tries get EINVAL */
static int ring_tries;

static int picky_init(unsigned int entries, struct io_uring *u,
		      struct io_uring_params *params)
{
	if (ring_tries++ < ring_flags_refused)
		return -EINVAL;
	return sys_real.ring_init(entries, u, params);
}

TEST(an_older_kernel_is_asked_for_less)
{
	struct ktc_loop_opts opts = { .size = sizeof(opts), .buffers = 1 };
	static struct sys_ops ops;
	struct ring ring;

	ops = sys_real;
	ops.ring_init = picky_init;
	sys = &ops;
	for (ring_flags_refused = 0; ring_flags_refused < 4;
	     ring_flags_refused++) {
		ring_tries = 0;
		EXPECT_EQ(ring_flags_refused < 3 ? 0 : -EINVAL,
			  ring_init(&ring, &opts));
		EXPECT_EQ(MIN(ring_flags_refused + 1, 3), ring_tries);
		if (ring_flags_refused < 3)
			ring_fini(&ring);
	}
}

TEST(other_refusals_are_not_tried_again)
{
	struct ktc_loop_opts opts = { .size = sizeof(opts) };
	struct ring ring;

	fault_install();
	fault_arm(1, EPERM, FAULT_ONCE);
	EXPECT_EQ(-EPERM, ring_init(&ring, &opts));
	EXPECT_EQ(FAULT_RING_INIT, fault_first());
	EXPECT_STREQ("", fault_leaks());
}

TEST(a_buffer_group_that_is_taken_is_an_error_and_stays_the_others)
{
	struct ktc_loop_opts opts = {
		.size = sizeof(opts),
		.buffers = 2,
		.buf_group = 3,
	};
	struct ring first, second;
	struct io_uring host;
	int fd[2], len;

	fault_install();
	ASSERT_EQ(0, io_uring_queue_init(ENTRIES, &host, 0));
	opts.ring = &host;
	ASSERT_EQ(0, ring_init(&first, &opts));
	EXPECT_EQ(-EEXIST, ring_init(&second, &opts));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	ASSERT_EQ(1, write(fd[1], "x", 1));
	EXPECT_LE(0, receive(&first, fd[0], &len));
	ring_fini(&first);
	ASSERT_EQ(0, ring_init(&second, &opts));
	ring_fini(&second);
	io_uring_queue_exit(&host);
	EXPECT_STREQ("", fault_leaks());
}

TEST(a_ring_that_never_was_can_be_ended)
{
	struct ring ring = { 0 };

	ring_fini(&ring);
	ring_fini(&ring);
}

TEST_HARNESS_MAIN
