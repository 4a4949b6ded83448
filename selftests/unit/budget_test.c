// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: how many full handshakes may begin in a second and be under
 * way, on a clock that the tests move by hand, with one thread and with many.
 */
#include "budget.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "atomic.h"
#include "limit.h"

#include "kselftest_harness.h"

#define SECOND 1000000u
#define MS 1000u
#define START (1000ull * SECOND)	/* a clock that has run for a while */

#define THREADS 4
#define ROUNDS 20000u

static uint64_t again;

/* How many begin at that moment. */
static unsigned int begin_all(struct budget *b, uint32_t per_s,
			      uint64_t now_us)
{
	unsigned int n = 0;

	while (n <= LIMIT_FULL_PER_S &&
	       !budget_begin(b, per_s, 0, now_us, &again))
		n++;
	return n;
}

TEST(without_limits_any_number_may_begin)
{
	struct budget b = { 0 };
	int i;

	for (i = 0; i < 1000; i++)
		ASSERT_EQ(0, budget_begin(&b, 0, 0, START, &again));
	EXPECT_TRUE(budget_is_idle(&b, START));
	budget_charge(&b, 0, START);
	EXPECT_TRUE(budget_is_idle(&b, START));
}

TEST(a_fresh_budget_gives_its_burst_and_no_more)
{
	static const struct {
		uint32_t per_s, burst;
	} rows[] = {
		{ 1, 1 }, { 9, 1 }, { 10, 2 }, { 100, 11 },
		{ LIMIT_FULL_PER_S, 1 + LIMIT_FULL_PER_S / 10 },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct budget b = { 0 };

		EXPECT_EQ(rows[i].burst, begin_all(&b, rows[i].per_s, START))
			TH_LOG("%u a second", rows[i].per_s);
	}
}

TEST(the_first_moment_of_a_clock_is_a_moment_like_any)
{
	struct budget b = { 0 };

	ASSERT_EQ(0, budget_begin(&b, 4, 0, 0, &again));
	EXPECT_EQ(-EAGAIN, budget_begin(&b, 4, 0, 0, &again));
	EXPECT_EQ(SECOND / 4, again);
}

TEST(one_may_begin_at_the_moment_that_was_named_and_not_before)
{
	struct budget b = { 0 };

	ASSERT_EQ(0, budget_begin(&b, 5, 0, START, &again));
	ASSERT_EQ(-EAGAIN, budget_begin(&b, 5, 0, START, &again));
	EXPECT_EQ(START + SECOND / 5, again);
	EXPECT_EQ(-EAGAIN, budget_begin(&b, 5, 0, START + SECOND / 5 - 1,
					&again));
	EXPECT_EQ(START + SECOND / 5, again);
	EXPECT_EQ(0, budget_begin(&b, 5, 0, START + SECOND / 5, &again));
}

TEST(the_moment_named_takes_the_burst_into_account)
{
	struct budget b = { 0 };

	EXPECT_EQ(11, begin_all(&b, 100, START));
	EXPECT_EQ(START + SECOND / 100, again);
	EXPECT_EQ(1, begin_all(&b, 100, again));
}

TEST(a_rate_that_does_not_divide_a_second_is_kept_rather_too_slow)
{
	struct budget b = { 0 };

	ASSERT_EQ(0, budget_begin(&b, 3, 0, START, &again));
	ASSERT_EQ(-EAGAIN, budget_begin(&b, 3, 0, START, &again));
	EXPECT_EQ(START + 333334, again);
}

/* Up to 2 ms; always the same ones. */
static uint64_t next_step(uint32_t *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % (2 * MS);
}

/* Every window of a second that begins with one that was let go. */
TEST(no_second_sees_more_than_the_rate_and_the_burst)
{
	static const uint32_t rates[] = { 1, 3, 7, 10, 64, 333, 1000 };
	static uint64_t begun[8192];
	size_t r, first, n;
	uint32_t seed = 1;
	uint64_t at;

	for (r = 0; r < sizeof(rates) / sizeof(rates[0]); r++) {
		struct budget b = { 0 };

		n = 0;
		first = 0;
		for (at = START; at < START + 4 * SECOND;
		     at += next_step(&seed)) {
			while (!budget_begin(&b, rates[r], 0, at, &again))
				begun[n++] = at;
			while (begun[first] + SECOND <= at)
				first++;
			ASSERT_GE(rates[r] + 1 + rates[r] / 10, n - first)
				TH_LOG("%u a second", rates[r]);
		}
		/* nor less than the rate, in the long run */
		EXPECT_LE(4 * rates[r], n) TH_LOG("%u a second", rates[r]);
	}
}

TEST(what_was_not_used_does_not_add_up)
{
	struct budget b = { 0 };

	EXPECT_EQ(11, begin_all(&b, 100, START));
	EXPECT_EQ(11, begin_all(&b, 100, START + 3600ull * SECOND));
}

TEST(no_more_than_at_once_are_under_way)
{
	struct budget b = { 0 };

	ASSERT_EQ(0, budget_begin(&b, 0, 2, START, &again));
	ASSERT_EQ(0, budget_begin(&b, 0, 2, START, &again));
	EXPECT_EQ(-EAGAIN, budget_begin(&b, 0, 2, START, &again));
	EXPECT_EQ(START + LIMIT_BUDGET_POLL_MS * MS, again);
	budget_end(&b);
	EXPECT_EQ(0, budget_begin(&b, 0, 2, START, &again));
	EXPECT_EQ(-EAGAIN, budget_begin(&b, 0, 2, START, &again));
}

TEST(the_largest_number_at_once_is_a_limit_too)
{
	struct budget b = { .active = UINT32_MAX - 1 };

	EXPECT_EQ(0, budget_begin(&b, 0, UINT32_MAX, START, &again));
	EXPECT_EQ(-EAGAIN, budget_begin(&b, 0, UINT32_MAX, START, &again));
	EXPECT_EQ(UINT32_MAX, b.active);
}

TEST(an_end_too_many_is_forgiven)
{
	struct budget b = { 0 };

	budget_end(&b);
	EXPECT_EQ(0, b.active);
	ASSERT_EQ(0, budget_begin(&b, 0, 1, START, &again));
	EXPECT_EQ(-EAGAIN, budget_begin(&b, 0, 1, START, &again));
}

TEST(who_is_refused_for_the_rate_takes_no_place)
{
	struct budget b = { 0 };

	ASSERT_EQ(0, budget_begin(&b, 1, 2, START, &again));
	ASSERT_EQ(-EAGAIN, budget_begin(&b, 1, 2, START, &again));
	EXPECT_EQ(START + SECOND, again);
	EXPECT_EQ(1, b.active);
}

TEST(who_is_refused_for_want_of_a_place_uses_up_no_time)
{
	struct budget b = { 0 };

	ASSERT_EQ(0, budget_begin(&b, 10, 1, START, &again));
	ASSERT_EQ(-EAGAIN, budget_begin(&b, 10, 1, START, &again));
	budget_end(&b);
	EXPECT_EQ(0, budget_begin(&b, 10, 1, START, &again));
}

TEST(a_charge_makes_the_next_one_wait)
{
	struct budget b = { 0 };

	budget_charge(&b, 4, START);
	ASSERT_EQ(-EAGAIN, budget_begin(&b, 4, 0, START, &again));
	EXPECT_EQ(START + SECOND / 4, again);
	budget_charge(&b, 4, START);
	ASSERT_EQ(-EAGAIN, budget_begin(&b, 4, 0, START, &again));
	EXPECT_EQ(START + SECOND / 2, again);
	EXPECT_EQ(0, b.active);
}

TEST(a_flood_of_charges_shuts_nobody_out_for_long)
{
	static const uint32_t rates[] = { 1, 10, 1000, LIMIT_FULL_PER_S };
	size_t i, n;

	for (i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct budget b = { 0 };

		for (n = 0; n < 10 * (size_t)LIMIT_FULL_PER_S; n++)
			budget_charge(&b, rates[i], START);
		ASSERT_EQ(-EAGAIN, budget_begin(&b, rates[i], 0, START,
						&again));
		EXPECT_EQ(START + LIMIT_BUDGET_DEBT_MS * MS, again)
			TH_LOG("%u a second", rates[i]);
		EXPECT_EQ(0, budget_begin(&b, rates[i], 0, again, &again));
	}
}

TEST(a_clock_that_lags_takes_nothing_back)
{
	struct budget b = { 0 };

	budget_charge(&b, 1, START);
	budget_charge(&b, 1, START - 60ull * SECOND);
	ASSERT_EQ(-EAGAIN, budget_begin(&b, 1, 0, START, &again));
	EXPECT_EQ(START + SECOND, again);
	ASSERT_EQ(-EAGAIN, budget_begin(&b, 1, 0, START - SECOND, &again));
	EXPECT_EQ(START + SECOND, again);
}

TEST(it_is_idle_when_a_fresh_one_would_allow_no_more)
{
	struct budget b = { 0 };

	EXPECT_TRUE(budget_is_idle(&b, 0));
	EXPECT_TRUE(budget_is_idle(&b, START));
	ASSERT_EQ(0, budget_begin(&b, 10, 1, START, &again));
	EXPECT_FALSE(budget_is_idle(&b, START + SECOND / 10));
	budget_end(&b);
	EXPECT_FALSE(budget_is_idle(&b, START + SECOND / 10 - 1));
	EXPECT_TRUE(budget_is_idle(&b, START + SECOND / 10));
}

/* ---------------------------------------------------------- with threads -- */

struct crowd {
	struct budget b;
	uint32_t per_s, at_once;
	uint64_t clock_us;	/* moved by those who use it */
	uint32_t inside, most;
	uint64_t begun;
};

static void note_most(struct crowd *c, uint32_t inside)
{
	uint32_t most = load_relaxed(&c->most);

	while (most < inside && !cas_relaxed(&c->most, &most, inside))
		;
}

static void *come_and_go(void *arg)
{
	struct crowd *c = arg;
	uint64_t again_us;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		uint64_t now_us = add_relaxed(&c->clock_us, 50) + 50;

		if (budget_begin(&c->b, c->per_s, c->at_once, now_us,
				 &again_us))
			continue;
		note_most(c, add_relaxed(&c->inside, 1) + 1);
		add_relaxed(&c->begun, 1);
		if (i % 16 == 0)
			sched_yield();	/* others find the place taken */
		sub_relaxed(&c->inside, 1);
		budget_end(&c->b);
	}
	return NULL;
}

static bool run(struct crowd *c)
{
	pthread_t threads[THREADS];
	int i, n;

	c->clock_us = START;
	for (n = 0; n < THREADS; n++)
		if (pthread_create(&threads[n], NULL, come_and_go, c))
			break;
	for (i = 0; i < n; i++)
		(void)pthread_join(threads[i], NULL);	/* it was created */
	return n == THREADS;
}

TEST(many_threads_are_never_more_than_at_once)
{
	struct crowd c = { .at_once = 2 };

	ASSERT_TRUE(run(&c));
	EXPECT_GE(2, c.most);
	EXPECT_LT(0, c.begun);
	EXPECT_EQ(0, c.b.active);
}

TEST(many_threads_begin_no_more_than_the_rate_and_the_burst)
{
	struct crowd c = { .per_s = 500 };
	uint64_t seconds = THREADS * ROUNDS * 50ull / SECOND;

	ASSERT_TRUE(run(&c));
	EXPECT_GE(500 * seconds + 51, c.begun);
	/* the clock passes every moment, so none of them is missed */
	EXPECT_LE(500 * seconds - 51, c.begun);
}

TEST(many_threads_keep_both_limits)
{
	struct crowd c = { .per_s = 2000, .at_once = 3 };
	uint64_t seconds = THREADS * ROUNDS * 50ull / SECOND;

	ASSERT_TRUE(run(&c));
	EXPECT_GE(3, c.most);
	EXPECT_GE(2000 * seconds + 201, c.begun);
	EXPECT_EQ(0, c.b.active);
}

static void *charge_some(void *arg)
{
	struct crowd *c = arg;
	unsigned int i;

	for (i = 0; i < 100; i++)
		budget_charge(&c->b, 1000, START);
	return NULL;
}

TEST(no_charge_of_many_threads_is_lost)
{
	struct crowd c = { .per_s = 1000 };
	pthread_t threads[THREADS];
	int i;

	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, charge_some,
					    &c));
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
	EXPECT_EQ(START + THREADS * 100 * MS, c.b.tat_us);
}

TEST_HARNESS_MAIN
