/* SPDX-License-Identifier: MIT */
/* Deadlines: a heap. Room is reserved beforehand, so setting never fails. */
#ifndef KTC_TIMER_H
#define KTC_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#define TIMER_NEVER UINT64_MAX

struct timer {
	uint64_t at_us;
	uint32_t index;		/* in the heap, from 1; 0: not in it */
};

struct timer_heap {
	struct timer **slot;	/* from 1 */
	uint32_t count;
	uint32_t room;
};

void timer_heap_fini(struct timer_heap *heap);
/* Room for count timers at once; 0 or -ENOMEM. */
int timer_heap_reserve(struct timer_heap *heap, uint32_t count);
/* at_us TIMER_NEVER takes it out. */
void timer_set(struct timer_heap *heap, struct timer *timer, uint64_t at_us);
uint64_t timer_first(const struct timer_heap *heap); /* or TIMER_NEVER */
/* Takes out the first if it is due, else NULL. */
struct timer *timer_due(struct timer_heap *heap, uint64_t now_us);

#endif /* KTC_TIMER_H */
