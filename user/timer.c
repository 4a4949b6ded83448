// SPDX-License-Identifier: MIT
/*
 * A binary heap of deadlines, earliest first. A timer knows its index, so
 * moving and removing are O(log n). One thread: the loop's.
 */
#include "timer.h"

#include <errno.h>
#include <string.h>

#include "mem.h"

void timer_heap_fini(struct timer_heap *heap)
{
	mem_free(heap->slot);
	memset(heap, 0, sizeof(*heap));
}

int timer_heap_reserve(struct timer_heap *heap, uint32_t count)
{
	uint32_t room = heap->room ? heap->room : 64;
	struct timer **slot;

	if (count <= heap->room)
		return 0;
	while (room < count)
		room *= 2;
	slot = mem_zalloc((room + 1) * sizeof(struct timer *));
	if (!slot)
		return -ENOMEM;
	if (heap->slot)
		memcpy(slot, heap->slot,
		       (heap->count + 1) * sizeof(struct timer *));
	mem_free(heap->slot);
	heap->slot = slot;
	heap->room = room;
	return 0;
}

static void heap_put(struct timer_heap *heap, uint32_t i, struct timer *timer)
{
	heap->slot[i] = timer;
	timer->index = i;
}

static void heap_up(struct timer_heap *heap, struct timer *timer)
{
	uint32_t i = timer->index;

	for (; i > 1 && heap->slot[i / 2]->at_us > timer->at_us; i /= 2)
		heap_put(heap, i, heap->slot[i / 2]);
	heap_put(heap, i, timer);
}

static void heap_down(struct timer_heap *heap, struct timer *timer)
{
	uint32_t i = timer->index;
	uint32_t child;

	while ((child = i * 2) <= heap->count) {
		if (child < heap->count &&
		    heap->slot[child + 1]->at_us < heap->slot[child]->at_us)
			child++;
		if (heap->slot[child]->at_us >= timer->at_us)
			break;
		heap_put(heap, i, heap->slot[child]);
		i = child;
	}
	heap_put(heap, i, timer);
}

static void heap_remove(struct timer_heap *heap, struct timer *timer)
{
	struct timer *last = heap->slot[heap->count--];
	uint32_t i = timer->index;

	timer->index = 0;
	if (last == timer)
		return;
	heap_put(heap, i, last);
	heap_up(heap, last);
	heap_down(heap, last);
}

void timer_set(struct timer_heap *heap, struct timer *timer, uint64_t at_us)
{
	if (at_us == TIMER_NEVER) {
		if (timer->index)
			heap_remove(heap, timer);
		timer->at_us = at_us;
		return;
	}
	timer->at_us = at_us;
	if (!timer->index)
		heap_put(heap, ++heap->count, timer);
	heap_up(heap, timer);
	heap_down(heap, timer);
}

uint64_t timer_first(const struct timer_heap *heap)
{
	return heap->count ? heap->slot[1]->at_us : TIMER_NEVER;
}

struct timer *timer_due(struct timer_heap *heap, uint64_t now_us)
{
	struct timer *first;

	if (timer_first(heap) > now_us)
		return NULL;
	first = heap->slot[1];
	heap_remove(heap, first);
	return first;
}
