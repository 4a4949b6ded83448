/* SPDX-License-Identifier: MIT */
/*
 * A worker's own deadlines, beside those of the library: a heap of timers that
 * lie in the objects they belong to. One thread.
 */
#ifndef PROXY_TIMERS_H
#define PROXY_TIMERS_H

#include <stddef.h>
#include <stdint.h>

#define TIMERS_NEVER UINT64_MAX

/* milliseconds of CLOCK_MONOTONIC */
uint64_t clock_ms(void);

/**
 * struct timer - one deadline
 * @at_ms: when
 * @index: where in the heap, from 1; 0: not armed
 * @fire: called once; the timer is not armed any more
 */
struct timer {
	uint64_t at_ms;
	uint32_t index;
	void (*fire)(struct timer *timer);
};

struct timers {
	struct timer **heap;	/* [1] is the first; as many as were armed */
	uint32_t nr;
	uint32_t room;
};

void timers_fini(struct timers *timers);

/*
 * Arms a timer, or arms it anew. -ENOMEM: it is as before; one that is armed
 * already never fails.
 */
int timers_set(struct timers *timers, struct timer *timer, uint64_t at_ms);

/* Disarms a timer, armed or not. */
void timers_del(struct timers *timers, struct timer *timer);

/* Fires what is due. */
void timers_run(struct timers *timers, uint64_t now_ms);

/* The first deadline, or TIMERS_NEVER. */
uint64_t timers_next(const struct timers *timers);

#endif /* PROXY_TIMERS_H */
