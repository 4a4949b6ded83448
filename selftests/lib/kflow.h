/* SPDX-License-Identifier: MIT */
/*
 * Traffic at the two ends outside a relay, by one thread and poll(): each end
 * sends a stretch of the pattern in pieces of a seeded size, and compares what
 * it receives. What one end sends starts at a place of the pattern of its own,
 * so that bytes of the wrong direction are seen too.
 */
#ifndef SELFTESTS_KFLOW_H
#define SELFTESTS_KFLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KFLOW_IDLE_MS 15000	/* nothing happens for so long: stalled */

struct kflow_end {
	/* set by the test */
	int fd;
	bool tls;		/* it has keys: records have types */
	uint64_t send_base;	/* where in the pattern its bytes start */
	uint64_t recv_base;	/* and those of the other end */
	uint64_t send_len;	/* to send in all */
	uint64_t recv_len;	/* to receive in all */
	size_t piece_min;	/* bytes in one send(); 0: as much as fits */
	size_t piece_max;
	size_t recv_max;	/* bytes in one receive; 0: as much as fits */
	bool finish;		/* close_notify or shutdown() behind the last */
	bool want_eof;		/* is done only when the other has finished */
	bool deaf;		/* does not receive */

	/* what has been */
	uint64_t sent;
	uint64_t received;
	bool finished;
	bool eof;		/* FIN */
	bool notified;		/* close_notify */
	bool mismatch;		/* a byte was not the pattern's */
	int err;		/* -errno of a send or receive; it has ended */
	unsigned int others;	/* other records than data */
};

struct kflow {
	struct kflow_end *end[2];
	uint64_t seed;
	int idle_ms;		/* 0: KFLOW_IDLE_MS */
};

/* A few bits of the next number of a seeded row, below n. */
uint64_t kflow_random(uint64_t *seed, uint64_t n);

/* Both ends of a whole flow, each byte in its place; the pieces are random. */
void kflow_init(struct kflow *flow, struct kflow_end *a, int a_fd, bool a_tls,
		struct kflow_end *b, int b_fd, bool b_tls, uint64_t len);

/* Has this end done all it was to do? */
bool kflow_end_is_done(const struct kflow_end *end);

/*
 * Until both are done, or one has failed. 0, the first -errno of an end,
 * -EBADMSG: other bytes than were sent, -ETIMEDOUT: nothing happened for
 * idle_ms.
 */
int kflow_run(struct kflow *flow);

/* What either end can do now, or within wait_ms; -ETIMEDOUT: nothing. */
int kflow_step(struct kflow *flow, int wait_ms);

/* Until the condition holds, looked at after each round; else the same. */
int kflow_run_until(struct kflow *flow, bool (*reached)(void *arg), void *arg);

#endif /* SELFTESTS_KFLOW_H */
