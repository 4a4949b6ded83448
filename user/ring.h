/* SPDX-License-Identifier: MIT */
/*
 * One io_uring: a loop's own, or the caller's in which we are guests; and its
 * ring of receive buffers. Beside each buffer lies a shadow for the plaintext
 * that the user plane makes of what came in it, so that a buffer id is all
 * there is to account for.
 */
#ifndef KTC_RING_H
#define KTC_RING_H

#include <ktlsclient.h>
#include <liburing.h>

#include "limit.h"

/*
 * The most that one buffer's bytes can open to: those bytes, and the part of
 * a record that OpenSSL held before.
 */
#define RING_SHADOW_LEN (LIMIT_RECV_BUFFER + LIMIT_RECORD_CIPHER + 256u)

enum ring_op {
	RING_VOID,		/* of no interest to anyone any more */
	RING_TIMER,
	RING_WAKE,
	RING_CANCEL,
	RING_CONNECT,
	RING_SOCKOPT,
	RING_RECV,
	RING_SEND,
	RING_POLL,
	RING_READ,
	RING_SPLICE_IN,
	RING_SPLICE_OUT,
	RING_RELAY_RECV,	/* of the plain socket, as the next */
	RING_RELAY_SEND,
	RING_RELAY_READ,	/* of the module's relay */
	RING_NR_OPS
};

/* What a completion is about: packed into user_data under the ring's mark. */
struct ring_tag {
	enum ring_op op;
	uint8_t aux;
	uint32_t slot;		/* connection, 32 bits */
};

struct ring {
	struct io_uring own;
	struct io_uring *u;	/* &own, or the caller's */
	bool guest;
	bool enabled;		/* the loop's thread has been seen */
	uint16_t mark;
	uint16_t buf_group;
	struct io_uring_buf_ring *br;
	size_t br_len;
	uint8_t *bufs;
	uint8_t *shadow;
	uint32_t nr_bufs;
	uint32_t bufs_out;	/* held by us or by the caller */
	uint32_t inflight;	/* submissions whose last completion is due */
};

int ring_init(struct ring *ring, const struct ktc_loop_opts *opts);
void ring_fini(struct ring *ring);

/* The loop's thread is known from here on. */
int ring_enable(struct ring *ring);

/*
 * n submission entries in a row, or false when the kernel does not take any
 * now: try again after completions were handled.
 */
bool ring_room(struct ring *ring, unsigned int n);
/* After ring_room(). Counts as in flight until ring_ended(). */
struct io_uring_sqe *ring_sqe(struct ring *ring);
void ring_tag(struct ring *ring, struct io_uring_sqe *sqe, enum ring_op op,
	      uint8_t aux, uint32_t slot);
uint64_t ring_user_data(const struct ring *ring, enum ring_op op, uint8_t aux,
			uint32_t slot);

/* True if user_data is ours; *tag then says what it is. */
bool ring_untag(const struct ring *ring, uint64_t user_data,
		struct ring_tag *tag);

/* Submits; waits for one completion up to timeout_ms (-1: for ever, 0: no). */
int ring_submit(struct ring *ring, int timeout_ms);

static inline uint8_t *ring_buf(const struct ring *ring, uint32_t bid)
{
	return ring->bufs + (size_t)bid * LIMIT_RECV_BUFFER;
}

static inline uint8_t *ring_shadow(const struct ring *ring, uint32_t bid)
{
	return ring->shadow + (size_t)bid * RING_SHADOW_LEN;
}

/* The buffer is the kernel's again. */
void ring_buf_give(struct ring *ring, uint32_t bid);

#endif /* KTC_RING_H */
