// SPDX-License-Identifier: GPL-2.0-only
/*
 * Do deadlines fire when they are due, in their order, and only those that are
 * still wanted?
 */
#include "timers.h"

#include <stdlib.h>
#include <string.h>

#include "kselftest_harness.h"

#define MANY 2000

static uint64_t fired[MANY];
static unsigned int nr_fired;

/* the same numbers in every run */
static uint64_t number(unsigned int i)
{
	return 1 + (i * 2654435761u >> 7) % 1000;
}

static void note(struct timer *timer)
{
	fired[nr_fired++] = timer->at_ms;
}

FIXTURE(timers)
{
	struct timers timers;
	struct timer *all;
};

FIXTURE_SETUP(timers)
{
	unsigned int i;

	memset(&self->timers, 0, sizeof(self->timers));
	self->all = calloc(MANY, sizeof(*self->all));
	ASSERT_NE(NULL, self->all);
	for (i = 0; i < MANY; i++)
		self->all[i].fire = note;
	nr_fired = 0;
}

FIXTURE_TEARDOWN(timers)
{
	timers_fini(&self->timers);
	free(self->all);
}

TEST_F(timers, none_is_never)
{
	EXPECT_EQ(TIMERS_NEVER, timers_next(&self->timers));
	timers_run(&self->timers, UINT64_MAX - 1);
	timers_del(&self->timers, &self->all[0]);
	EXPECT_EQ(0, nr_fired);
}

TEST_F(timers, they_fire_in_order_and_once)
{
	unsigned int i;

	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, timers_set(&self->timers, &self->all[i],
					number(i)));
	timers_run(&self->timers, 500);
	for (i = 0; i < nr_fired; i++)
		EXPECT_LE(fired[i], 500);
	EXPECT_LT(500, timers_next(&self->timers));
	timers_run(&self->timers, 1000);
	ASSERT_EQ(MANY, nr_fired);
	for (i = 1; i < MANY; i++)
		EXPECT_LE(fired[i - 1], fired[i]);
	EXPECT_EQ(TIMERS_NEVER, timers_next(&self->timers));
}

TEST_F(timers, those_that_are_taken_out_do_not_fire)
{
	unsigned int i;

	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, timers_set(&self->timers, &self->all[i],
					number(i)));
	for (i = 0; i < MANY; i += 2)
		timers_del(&self->timers, &self->all[i]);
	timers_run(&self->timers, 1000);
	EXPECT_EQ(MANY / 2, nr_fired);
	for (i = 1; i < nr_fired; i++)
		EXPECT_LE(fired[i - 1], fired[i]);
	for (i = 0; i < MANY; i++)
		EXPECT_EQ(0, self->all[i].index);
}

TEST_F(timers, one_that_is_set_again_moves)
{
	unsigned int i;

	for (i = 0; i < 100; i++)
		ASSERT_EQ(0, timers_set(&self->timers, &self->all[i], 100 + i));
	EXPECT_EQ(0, timers_set(&self->timers, &self->all[50], 1));
	EXPECT_EQ(1, timers_next(&self->timers));
	EXPECT_EQ(0, timers_set(&self->timers, &self->all[50], 1000));
	EXPECT_EQ(100, timers_next(&self->timers));
	timers_run(&self->timers, 999);
	EXPECT_EQ(99, nr_fired);
	timers_run(&self->timers, 1000);
	EXPECT_EQ(100, nr_fired);
}

static struct timers *again_in;

static void again(struct timer *timer)
{
	note(timer);
	if (nr_fired < 3)
		(void)timers_set(again_in, timer, timer->at_ms + 10);
}

TEST_F(timers, one_can_set_itself_again)
{
	again_in = &self->timers;
	self->all[0].fire = again;
	ASSERT_EQ(0, timers_set(&self->timers, &self->all[0], 10));
	timers_run(&self->timers, 25);
	EXPECT_EQ(2, nr_fired);
	EXPECT_EQ(30, timers_next(&self->timers));
}

TEST_HARNESS_MAIN
