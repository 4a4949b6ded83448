// SPDX-License-Identifier: MIT
/*
 * Set-up, submission, buffers. One ring belongs to one thread; a ring of our
 * own is made disabled and enabled by the first use, so that a loop may be
 * made in one thread and run in another (IORING_SETUP_SINGLE_ISSUER binds it
 * to the thread that enables it).
 */
#include "ring.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mem.h"
#include "sys.h"
#include "util.h"

/* user_data: mark 16 | op 8 | aux 8 | slot 32 */
#define TAG_MARK_SHIFT 48
#define TAG_OP_SHIFT 40
#define TAG_AUX_SHIFT 32

static int ring_own(struct ring *ring, uint32_t entries)
{
	/* from what is cheapest to what every kernel knows */
	static const uint32_t flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_COOP_TASKRUN,
		0,
	};
	struct io_uring_params params;
	int err = -EINVAL;
	size_t i;

	for (i = 0; err == -EINVAL && i < ARRAY_SIZE(flags); i++) {
		memset(&params, 0, sizeof(params));
		params.flags = flags[i] | IORING_SETUP_R_DISABLED |
			       IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
		params.cq_entries = entries * 8;
		err = sys->ring_init(entries, &ring->own, &params);
	}
	if (!err)
		ring->u = &ring->own;
	return err;
}

static int ring_buffers(struct ring *ring, uint32_t count)
{
	struct io_uring_buf_reg reg = { .ring_entries = count };
	uint32_t bid;
	int err;

	ring->br_len = count * sizeof(struct io_uring_buf);
	ring->br = sys->map(ring->br_len);
	ring->bufs = sys->map((size_t)count * LIMIT_RECV_BUFFER);
	/* pages of the shadow are there only once the user plane needs them */
	ring->shadow = sys->map((size_t)count * RING_SHADOW_LEN);
	if (!ring->br || !ring->bufs || !ring->shadow)
		return -ENOMEM;
	reg.ring_addr = (uintptr_t)ring->br;
	reg.bgid = ring->buf_group;
	err = io_uring_register_buf_ring(ring->u, &reg, 0);
	if (err)
		return err == -EINVAL ? -KTC_E_UNSUPPORTED : err;
	io_uring_buf_ring_init(ring->br);
	ring->nr_bufs = count;
	for (bid = 0; bid < count; bid++)
		io_uring_buf_ring_add(ring->br, ring_buf(ring, bid),
				      LIMIT_RECV_BUFFER, bid,
				      io_uring_buf_ring_mask(count), bid);
	io_uring_buf_ring_advance(ring->br, count);
	return 0;
}

int ring_init(struct ring *ring, const struct ktc_loop_opts *opts)
{
	uint32_t buffers = opts->buffers ? opts->buffers : DEFAULT_LOOP_BUFFERS;
	uint32_t entries = opts->entries ? opts->entries : DEFAULT_LOOP_ENTRIES;
	int err = 0;

	memset(ring, 0, sizeof(*ring));
	ring->mark = opts->mark ? opts->mark : KTC_LOOP_MARK;
	if (opts->ring) {
		ring->u = opts->ring;
		/* the handover's chain must fit, and be submitted as one */
		if (ring->u->sq.ring_entries < LIMIT_RING_ENTRIES_MIN ||
		    ring->u->flags & (IORING_SETUP_SQE128 |
				      IORING_SETUP_CQE32))
			return -KTC_E_OPTION;
		ring->guest = true;
		ring->enabled = true;
		ring->buf_group = opts->buf_group;
	} else {
		err = ring_own(ring, MAX(entries, LIMIT_RING_ENTRIES_MIN));
	}
	if (!err)
		err = ring_buffers(ring, buffers);
	if (err)
		ring_fini(ring);
	return err;
}

void ring_fini(struct ring *ring)
{
	size_t count = ring->br_len / sizeof(struct io_uring_buf);

	if (ring->nr_bufs)
		(void)io_uring_unregister_buf_ring(ring->u, ring->buf_group);
	if (ring->u && !ring->guest)
		io_uring_queue_exit(ring->u);
	if (ring->br)
		sys->unmap(ring->br, ring->br_len);
	if (ring->bufs)
		sys->unmap(ring->bufs, count * LIMIT_RECV_BUFFER);
	if (ring->shadow)
		sys->unmap(ring->shadow, count * RING_SHADOW_LEN);
	memset(ring, 0, sizeof(*ring));
}

int ring_enable(struct ring *ring)
{
	if (ring->enabled)
		return 0;
	/* liburing 2.3 declares io_uring_enable_rings(), but has it not */
	if (syscall(__NR_io_uring_register, ring->u->ring_fd,
		    IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0)
		return -errno;
	ring->enabled = true;
	return 0;
}

bool ring_room(struct ring *ring, unsigned int n)
{
	if (io_uring_sq_space_left(ring->u) >= n)
		return true;
	/* linked entries must be submitted together, so make room for all */
	(void)io_uring_submit(ring->u); /* the space left is the answer */
	return io_uring_sq_space_left(ring->u) >= n;
}

struct io_uring_sqe *ring_sqe(struct ring *ring)
{
	ring->inflight++;
	return io_uring_get_sqe(ring->u);
}

uint64_t ring_user_data(const struct ring *ring, enum ring_op op, uint8_t aux,
			uint32_t slot)
{
	return (uint64_t)ring->mark << TAG_MARK_SHIFT |
	       (uint64_t)op << TAG_OP_SHIFT |
	       (uint64_t)aux << TAG_AUX_SHIFT | slot;
}

void ring_tag(struct ring *ring, struct io_uring_sqe *sqe, enum ring_op op,
	      uint8_t aux, uint32_t slot)
{
	sqe->user_data = ring_user_data(ring, op, aux, slot);
}

bool ring_untag(const struct ring *ring, uint64_t user_data,
		struct ring_tag *tag)
{
	uint8_t op = user_data >> TAG_OP_SHIFT;

	if (user_data >> TAG_MARK_SHIFT != ring->mark || op >= RING_NR_OPS)
		return false;
	tag->op = op;
	tag->aux = user_data >> TAG_AUX_SHIFT;
	tag->slot = (uint32_t)user_data;
	return true;
}

int ring_submit(struct ring *ring, int timeout_ms)
{
	struct __kernel_timespec ts = {
		.tv_sec = timeout_ms / 1000,
		.tv_nsec = (timeout_ms % 1000) * 1000000LL,
	};
	struct io_uring_cqe *cqe;
	int ret;

	if (ring->guest) {
		ret = io_uring_sq_ready(ring->u) ? io_uring_submit(ring->u) : 0;
	} else if (!timeout_ms) {
		/* deferred task work runs only when events are asked for */
		ret = io_uring_submit_and_get_events(ring->u);
	} else {
		ret = io_uring_submit_and_wait_timeout(ring->u, &cqe, 1,
						       timeout_ms < 0 ? NULL :
									&ts,
						       NULL);
	}
	/* EBUSY, EAGAIN: completions want to be handled first */
	if (ret == -ETIME || ret == -EINTR || ret == -EBUSY || ret == -EAGAIN)
		return 0;
	return ret < 0 ? ret : 0;
}

void ring_buf_give(struct ring *ring, uint32_t bid)
{
	io_uring_buf_ring_add(ring->br, ring_buf(ring, bid), LIMIT_RECV_BUFFER,
			      bid, io_uring_buf_ring_mask(ring->nr_bufs), 0);
	io_uring_buf_ring_advance(ring->br, 1);
	ring->bufs_out--;
}
