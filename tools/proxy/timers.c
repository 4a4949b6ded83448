// SPDX-License-Identifier: MIT
/*
 * A binary heap of pointers; each timer knows its place in it, so that one is
 * taken out without a search. Nothing is allocated once the heap has been as
 * large as it gets.
 */
#include "timers.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define ROOM_FIRST 64

uint64_t clock_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail */
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void timers_fini(struct timers *timers)
{
	free(timers->heap);
	*timers = (struct timers){ 0 };
}

static void put(struct timers *timers, uint32_t at, struct timer *timer)
{
	timers->heap[at] = timer;
	timer->index = at;
}

static void move_up(struct timers *timers, struct timer *timer, uint32_t at)
{
	while (at > 1 && timers->heap[at / 2]->at_ms > timer->at_ms) {
		put(timers, at, timers->heap[at / 2]);
		at /= 2;
	}
	put(timers, at, timer);
}

static void move_down(struct timers *timers, struct timer *timer, uint32_t at)
{
	uint32_t child;

	while ((child = at * 2) <= timers->nr) {
		if (child < timers->nr && timers->heap[child + 1]->at_ms <
						  timers->heap[child]->at_ms)
			child++;
		if (timers->heap[child]->at_ms >= timer->at_ms)
			break;
		put(timers, at, timers->heap[child]);
		at = child;
	}
	put(timers, at, timer);
}

static int grow(struct timers *timers)
{
	uint32_t room = timers->room ? timers->room * 2 : ROOM_FIRST;
	struct timer **heap;

	if (timers->nr + 1 < timers->room)
		return 0;
	heap = reallocarray(timers->heap, room, sizeof(struct timer *));
	if (!heap)
		return -ENOMEM;
	timers->heap = heap;
	timers->room = room;
	return 0;
}

int timers_set(struct timers *timers, struct timer *timer, uint64_t at_ms)
{
	uint64_t before = timer->at_ms;
	int err;

	if (!timer->index) {
		err = grow(timers);
		if (err)
			return err;
		timer->at_ms = at_ms;
		move_up(timers, timer, ++timers->nr);
		return 0;
	}
	timer->at_ms = at_ms;
	if (at_ms < before)
		move_up(timers, timer, timer->index);
	else
		move_down(timers, timer, timer->index);
	return 0;
}

void timers_del(struct timers *timers, struct timer *timer)
{
	uint32_t at = timer->index;
	struct timer *last;

	if (!at)
		return;
	timer->index = 0;
	last = timers->heap[timers->nr--];
	if (last == timer)
		return;
	if (last->at_ms < timer->at_ms)
		move_up(timers, last, at);
	else
		move_down(timers, last, at);
}

void timers_run(struct timers *timers, uint64_t now_ms)
{
	struct timer *timer;

	while (timers->nr && timers->heap[1]->at_ms <= now_ms) {
		timer = timers->heap[1];
		timers_del(timers, timer);
		timer->fire(timer);
	}
}

uint64_t timers_next(const struct timers *timers)
{
	return timers->nr ? timers->heap[1]->at_ms : TIMERS_NEVER;
}
