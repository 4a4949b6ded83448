/* SPDX-License-Identifier: MIT */
/*
 * Whoever wants to see numbers has the workers count first what is under way:
 * nothing is counted on the way of a byte, nor when nobody looks.
 */
#ifndef PROXY_COUNT_H
#define PROXY_COUNT_H

#include <semaphore.h>
#include <stdatomic.h>

struct worker;

/**
 * struct count - one place to ask from; one asker at a time
 * @answers: posted by each worker that has counted
 * @round: which time it is; a worker tells in @counted of struct worker the
 *	last one that it has answered
 */
struct count {
	sem_t answers;
	atomic_uint round;
};

void count_init(struct count *count);
void count_fini(struct count *count);

/*
 * Has all workers count that run, and waits for them, but not for long: one
 * that has much to do is seen as it was. Whoever asks sees to it that none of
 * them is joined meanwhile.
 */
void count_all(struct count *count, struct worker *workers, unsigned int nr);

/* MAIL_COUNT, in the worker. */
void count_worker(struct worker *worker, struct count *count);

#endif /* PROXY_COUNT_H */
