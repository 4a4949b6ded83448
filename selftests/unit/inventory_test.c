// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: the inventory's guarantees, through its header only. The
 * tickets hold no session, for the inventory never looks into one.
 */
#include "inventory.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "limit.h"
#include "mem.h"
#include "sys.h"

#include "kselftest_harness.h"

static struct sys_ops fake;
static uint64_t now_s = 1000;
static uint64_t allocs_left = UINT64_MAX;
static int live;	/* allocations, atomic */

static uint64_t fake_time(void)
{
	return now_s;
}

static void *counting_alloc(size_t size)
{
	if (!allocs_left)
		return NULL;
	__atomic_fetch_add(&live, 1, __ATOMIC_RELAXED);
	return sys_real.alloc(size);
}

static void counting_free(void *p)
{
	__atomic_fetch_sub(&live, 1, __ATOMIC_RELAXED);
	sys_real.free(p);
}

static struct ticket *make(bool single_use, uint64_t life_s)
{
	struct ticket *ticket = mem_zalloc(sizeof(*ticket));

	if (!ticket)
		return NULL;
	ticket->expires_s = now_s + life_s;
	ticket->single_use = single_use;
	ticket->refs = 1;
	return ticket;
}

static const uint8_t *id_of(unsigned int n)
{
	static __thread uint8_t id[ORIGIN_ID_LEN];

	memcpy(id, &n, sizeof(n));
	return id;
}

FIXTURE(inv)
{
	struct inventory *inv;
	struct inventory_stats stats;
	struct ticket *t;
};

FIXTURE_SETUP(inv)
{
	fake = sys_real;
	fake.time_s = fake_time;
	fake.alloc = counting_alloc;
	fake.free = counting_free;
	sys = &fake;
	ASSERT_EQ(0, inventory_new(8, 3, &self->inv));
}

FIXTURE_TEARDOWN(inv)
{
	inventory_free(self->inv);
	EXPECT_EQ(0, live);
}

TEST_F(inv, an_empty_one_has_no_session)
{
	self->t = (void *)1;
	EXPECT_EQ(KTC_WHY_NO_SESSION,
		  inventory_take(self->inv, id_of(1), &self->t));
	EXPECT_EQ(NULL, self->t);
	EXPECT_FALSE(inventory_is_full(self->inv, id_of(1)));
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(1, self->stats.takes);
	EXPECT_EQ(1, self->stats.misses_none);
	inventory_free(NULL);
}

TEST_F(inv, a_single_use_ticket_is_taken_once)
{
	struct ticket *given = make(true, 100);

	inventory_give(self->inv, id_of(1), given);
	EXPECT_EQ(KTC_WHY_NOTHING,
		  inventory_take(self->inv, id_of(1), &self->t));
	EXPECT_EQ(given, self->t);
	inventory_spend(self->inv, self->t);
	EXPECT_EQ(KTC_WHY_NO_SESSION,
		  inventory_take(self->inv, id_of(1), &self->t));
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(1, self->stats.gives);
	EXPECT_EQ(1, self->stats.hits);
	EXPECT_EQ(1, self->stats.spent);
	EXPECT_EQ(0, self->stats.sessions);
}

TEST_F(inv, the_newest_comes_first)
{
	struct ticket *a = make(true, 100), *b = make(true, 50);

	inventory_give(self->inv, id_of(1), a);
	inventory_give(self->inv, id_of(1), b);
	inventory_take(self->inv, id_of(1), &self->t);
	EXPECT_EQ(b, self->t);
	inventory_spend(self->inv, self->t);
	inventory_take(self->inv, id_of(1), &self->t);
	EXPECT_EQ(a, self->t);
	inventory_spend(self->inv, self->t);
}

TEST_F(inv, a_ticket_serves_its_own_identity_only)
{
	inventory_give(self->inv, id_of(1), make(true, 100));
	EXPECT_EQ(KTC_WHY_NO_SESSION,
		  inventory_take(self->inv, id_of(2), &self->t));
	EXPECT_EQ(KTC_WHY_NO_SESSION,
		  inventory_take(self->inv, id_of(1 + 65536), &self->t));
}

TEST_F(inv, a_ticket_put_back_can_be_taken_again)
{
	struct ticket *a = make(true, 100), *b;

	inventory_give(self->inv, id_of(1), a);
	inventory_take(self->inv, id_of(1), &self->t);
	now_s += 10;
	b = make(true, 100);
	inventory_give(self->inv, id_of(1), b);
	inventory_putback(self->inv, id_of(1), a);
	inventory_take(self->inv, id_of(1), &self->t);
	EXPECT_EQ(b, self->t);	/* it is newer than the one put back */
	inventory_spend(self->inv, self->t);
	inventory_take(self->inv, id_of(1), &self->t);
	EXPECT_EQ(a, self->t);
	inventory_spend(self->inv, self->t);
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(1, self->stats.putbacks);
	EXPECT_EQ(2, self->stats.spent);
}

TEST_F(inv, an_expired_ticket_never_leaves)
{
	inventory_give(self->inv, id_of(1), make(true, 100));
	inventory_share(self->inv, id_of(1), make(false, 100));
	now_s += 100 - LIMIT_TICKET_MARGIN_S;
	EXPECT_EQ(KTC_WHY_EXPIRED,
		  inventory_take(self->inv, id_of(1), &self->t));
	EXPECT_EQ(NULL, self->t);
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(1, self->stats.misses_expired);
	EXPECT_EQ(0, self->stats.sessions);
}

TEST_F(inv, an_older_fresh_one_is_found_behind_an_expired_one)
{
	struct ticket *old = make(true, 1000);

	inventory_give(self->inv, id_of(1), old);
	inventory_give(self->inv, id_of(1), make(true, 10));
	now_s += 20;
	EXPECT_EQ(KTC_WHY_NOTHING,
		  inventory_take(self->inv, id_of(1), &self->t));
	EXPECT_EQ(old, self->t);
	inventory_spend(self->inv, self->t);
}

TEST_F(inv, what_expired_while_reserved_is_not_put_back)
{
	inventory_give(self->inv, id_of(1), make(true, 100));
	inventory_take(self->inv, id_of(1), &self->t);
	now_s += 200;
	inventory_putback(self->inv, id_of(1), self->t);
	EXPECT_EQ(KTC_WHY_NO_SESSION,
		  inventory_take(self->inv, id_of(1), &self->t));
}

TEST_F(inv, a_life_within_the_margin_is_not_kept)
{
	inventory_give(self->inv, id_of(1), make(true, LIMIT_TICKET_MARGIN_S));
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(0, self->stats.gives);
	EXPECT_EQ(0, self->stats.sessions);
}

TEST_F(inv, a_shared_session_stays_and_is_replaced)
{
	struct ticket *a = make(false, 100), *b = make(false, 100), *t1, *t2;

	inventory_share(self->inv, id_of(1), a);
	inventory_take(self->inv, id_of(1), &t1);
	inventory_take(self->inv, id_of(1), &t2);
	EXPECT_EQ(a, t1);
	EXPECT_EQ(a, t2);
	inventory_share(self->inv, id_of(1), b);
	EXPECT_FALSE(t1->single_use);	/* our references keep it alive */
	inventory_spend(self->inv, t1);
	inventory_putback(self->inv, id_of(1), t2);
	inventory_take(self->inv, id_of(1), &t1);
	EXPECT_EQ(b, t1);
	inventory_spend(self->inv, t1);
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(1, self->stats.sessions);
	EXPECT_EQ(0, self->stats.spent);
}

TEST_F(inv, an_identity_over_its_limit_loses_the_oldest)
{
	struct ticket *t[4];
	int i;

	for (i = 0; i < 4; i++) {
		EXPECT_EQ(i >= 3, inventory_is_full(self->inv, id_of(1)));
		t[i] = make(true, 100);
		inventory_give(self->inv, id_of(1), t[i]);
	}
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(3, self->stats.sessions);
	EXPECT_EQ(1, self->stats.evictions);
	for (i = 3; i > 0; i--) {
		inventory_take(self->inv, id_of(1), &self->t);
		EXPECT_EQ(t[i], self->t);
		inventory_spend(self->inv, self->t);
	}
	EXPECT_EQ(KTC_WHY_NO_SESSION,
		  inventory_take(self->inv, id_of(1), &self->t));
}

TEST_F(inv, fullness_does_not_count_what_has_expired)
{
	int i;

	for (i = 0; i < 3; i++)
		inventory_give(self->inv, id_of(1), make(true, 10));
	EXPECT_TRUE(inventory_is_full(self->inv, id_of(1)));
	now_s += 20;
	EXPECT_FALSE(inventory_is_full(self->inv, id_of(1)));
}

TEST_F(inv, a_full_inventory_loses_the_least_recently_used)
{
	unsigned int i;

	for (i = 0; i < 8; i++)
		inventory_share(self->inv, id_of(i), make(false, 100));
	/* 0 is used again, so 1 is the one to go */
	ASSERT_EQ(KTC_WHY_NOTHING,
		  inventory_take(self->inv, id_of(0), &self->t));
	inventory_putback(self->inv, id_of(0), self->t);
	inventory_share(self->inv, id_of(8), make(false, 100));
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(8, self->stats.sessions);
	EXPECT_EQ(1, self->stats.evictions);
	EXPECT_EQ(KTC_WHY_NO_SESSION,
		  inventory_take(self->inv, id_of(1), &self->t));
	ASSERT_EQ(KTC_WHY_NOTHING,
		  inventory_take(self->inv, id_of(0), &self->t));
	inventory_spend(self->inv, self->t);
}

TEST_F(inv, without_memory_a_ticket_is_dropped)
{
	struct ticket *ticket = make(true, 100);

	allocs_left = 0;
	inventory_give(self->inv, id_of(1), ticket);
	allocs_left = UINT64_MAX;
	EXPECT_EQ(KTC_WHY_NO_SESSION,
		  inventory_take(self->inv, id_of(1), &self->t));
}

TEST_F(inv, without_memory_there_is_no_inventory)
{
	struct inventory *inv = (void *)1;

	allocs_left = 0;
	EXPECT_EQ(-ENOMEM, inventory_new(8, 3, &inv));
	EXPECT_EQ((void *)1, inv);
	allocs_left = UINT64_MAX;
}

#define THREADS 4
#define ROUNDS 20000

static struct inventory *shared;
static uint64_t spent_total;	/* atomic */
static bool taken_twice;

/* A ticket's id is where a second taker would be seen. */
static void *storm(void *arg)
{
	uint64_t spent = 0, seed = (uintptr_t)arg;
	struct ticket *t;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		unsigned int id;

		seed = seed * 6364136223846793005 + 1442695040888963407;
		id = (seed >> 60) & 3;
		if ((seed >> 40) & 1) {
			t = mem_zalloc(sizeof(*t));
			if (!t)
				continue;
			t->expires_s = 100000;
			t->single_use = true;
			t->refs = 1;
			inventory_give(shared, id_of(id), t);
		} else if (inventory_take(shared, id_of(id), &t) ==
			   KTC_WHY_NOTHING) {
			if (t->next || t->refs != 1)
				taken_twice = true;
			if ((seed >> 41) & 1) {
				inventory_putback(shared, id_of(id), t);
			} else {
				spent++;
				inventory_spend(shared, t);
			}
		}
	}
	__atomic_fetch_add(&spent_total, spent, __ATOMIC_RELAXED);
	return NULL;
}

TEST_F(inv, many_threads_lose_and_double_nothing)
{
	struct inventory_stats *s = &self->stats;
	pthread_t threads[THREADS];
	uintptr_t i;

	shared = self->inv;
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, storm,
					    (void *)(i + 1)));
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
	inventory_stats(self->inv, s);
	EXPECT_FALSE(taken_twice);
	EXPECT_EQ(s->takes, s->hits + s->misses_none + s->misses_expired);
	EXPECT_EQ(spent_total, s->spent);
	EXPECT_EQ(s->hits, s->spent + s->putbacks);
	EXPECT_EQ(s->gives, s->sessions + s->spent + s->evictions);
	EXPECT_GE(8, s->sessions);
}

TEST_HARNESS_MAIN
