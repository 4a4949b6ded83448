// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: the heap of deadlines, beside a table that is searched from end
 * to end, under random operations from fixed seeds.
 */
#include "timer.h"

#include <errno.h>

#include "fault.h"
#include "util.h"

#include "kselftest_harness.h"

#define TIMERS 200

FIXTURE(heap)
{
	struct timer_heap heap;
	struct timer timer[TIMERS];
};

FIXTURE_SETUP(heap)
{
	fault_install();
	ASSERT_EQ(0, timer_heap_reserve(&self->heap, TIMERS));
}

FIXTURE_TEARDOWN(heap)
{
	timer_heap_fini(&self->heap);
	EXPECT_STREQ("", fault_leaks());
}

TEST_F(heap, an_empty_one_is_never_due)
{
	EXPECT_EQ(TIMER_NEVER, timer_first(&self->heap));
	EXPECT_EQ(NULL, timer_due(&self->heap, TIMER_NEVER - 1));
	/* taking out what is not in */
	timer_set(&self->heap, &self->timer[0], TIMER_NEVER);
	EXPECT_EQ(0, self->timer[0].index);
	EXPECT_EQ(0, self->heap.count);
}

TEST_F(heap, due_is_at_the_deadline_and_not_before)
{
	timer_set(&self->heap, &self->timer[0], 1000);
	EXPECT_EQ(1000, timer_first(&self->heap));
	EXPECT_EQ(NULL, timer_due(&self->heap, 999));
	EXPECT_EQ(&self->timer[0], timer_due(&self->heap, 1000));
	EXPECT_EQ(0, self->timer[0].index);
	EXPECT_EQ(NULL, timer_due(&self->heap, 2000));
}

TEST_F(heap, a_timer_set_again_is_there_once)
{
	timer_set(&self->heap, &self->timer[0], 1000);
	timer_set(&self->heap, &self->timer[0], 500);
	EXPECT_EQ(500, timer_first(&self->heap));
	timer_set(&self->heap, &self->timer[0], 3000);
	EXPECT_EQ(1, self->heap.count);
	EXPECT_EQ(NULL, timer_due(&self->heap, 2999));
	EXPECT_EQ(&self->timer[0], timer_due(&self->heap, 3000));
}

TEST_F(heap, all_of_one_deadline_come)
{
	bool seen[TIMERS] = { false };
	struct timer *timer;
	int i;

	for (i = 0; i < TIMERS; i++)
		timer_set(&self->heap, &self->timer[i], 7);
	for (i = 0; i < TIMERS; i++) {
		timer = timer_due(&self->heap, 7);
		ASSERT_NE(NULL, timer);
		EXPECT_FALSE(seen[timer - self->timer]);
		seen[timer - self->timer] = true;
	}
	EXPECT_EQ(NULL, timer_due(&self->heap, 7));
}

TEST_F(heap, growing_keeps_what_is_in_it)
{
	int i;

	for (i = 0; i < TIMERS; i++)
		timer_set(&self->heap, &self->timer[i], 1000 - i);
	ASSERT_EQ(0, timer_heap_reserve(&self->heap, 100000));
	for (i = TIMERS - 1; i >= 0; i--)
		ASSERT_EQ(&self->timer[i], timer_due(&self->heap, 1000));
}

TEST_F(heap, without_memory_it_stays_as_it_was)
{
	int i;

	for (i = 0; i < TIMERS; i++)
		timer_set(&self->heap, &self->timer[i], 1000 + i);
	fault_arm(1, 0, FAULT_ONCE);
	EXPECT_EQ(-ENOMEM, timer_heap_reserve(&self->heap, 100000));
	for (i = 0; i < TIMERS; i++)
		ASSERT_EQ(&self->timer[i], timer_due(&self->heap, 2000));
	ASSERT_EQ(0, timer_heap_reserve(&self->heap, 100000));
}

/* ------------------------------------------------------------ reference -- */

static uint64_t seed;

static uint32_t any(uint32_t below)
{
	/* xorshift64* */
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (seed * 0x2545f4914f6cdd1dull >> 32) % below;
}

static uint64_t earliest(const uint64_t at[TIMERS])
{
	uint64_t first = TIMER_NEVER;
	int i;

	for (i = 0; i < TIMERS; i++)
		first = MIN(first, at[i]);
	return first;
}

static unsigned int set_ones(const uint64_t at[TIMERS])
{
	unsigned int n = 0;
	int i;

	for (i = 0; i < TIMERS; i++)
		n += at[i] != TIMER_NEVER;
	return n;
}

/* The heap's own order: nobody is before its parent, each knows its place. */
static bool in_order(const struct timer_heap *heap)
{
	uint32_t i;

	for (i = 1; i <= heap->count; i++)
		if (heap->slot[i]->index != i ||
		    (i > 1 && heap->slot[i / 2]->at_us > heap->slot[i]->at_us))
			return false;
	return true;
}

TEST_F(heap, agrees_with_a_table)
{
	uint64_t at[TIMERS], now, when;
	struct timer *timer;
	unsigned int step;
	uint64_t round;
	int i;

	for (round = 1; round <= 20; round++) {
		seed = round * 0x9e3779b97f4a7c15ull;
		now = 0;
		for (i = 0; i < TIMERS; i++)
			at[i] = TIMER_NEVER;
		for (step = 0; step < 5000; step++) {
			i = any(TIMERS);
			switch (any(4)) {
			case 0:
				timer_set(&self->heap, &self->timer[i],
					  TIMER_NEVER);
				at[i] = TIMER_NEVER;
				break;
			case 1:
				now += any(20);
				when = earliest(at);
				timer = timer_due(&self->heap, now);
				ASSERT_EQ(when <= now, !!timer);
				if (!timer)
					break;
				ASSERT_EQ(when, at[timer - self->timer]);
				ASSERT_EQ(0, timer->index);
				at[timer - self->timer] = TIMER_NEVER;
				break;
			default:
				at[i] = now + any(100);
				timer_set(&self->heap, &self->timer[i], at[i]);
				break;
			}
			ASSERT_EQ(earliest(at), timer_first(&self->heap))
				TH_LOG("round %llu, step %u",
				       (unsigned long long)round, step);
			ASSERT_EQ(set_ones(at), self->heap.count);
			if (step % 64 == 0)
				ASSERT_TRUE(in_order(&self->heap));
		}
		while (timer_due(&self->heap, TIMER_NEVER - 1))
			;
	}
}

TEST_HARNESS_MAIN
