// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: the inventory's guarantees, through its header only, mostly by
 * one thread. The tickets hold no session, for the inventory never looks into
 * one.
 */
#include "inventory.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "flush.h"
#include "limit.h"
#include "mem.h"
#include "stock.h"
#include "sys.h"
#include "util.h"

#include "kselftest_harness.h"

#define MIB (1u << 20)
#define SECOND_US 1000000u

static struct sys_ops fake;
static uint64_t now_s = 1000;
static uint64_t fail_at, allocs;	/* number fail_at fails; 0: none */
static int live;	/* allocations, atomic */

static const struct inventory_opts opts = {
	.sessions_max = 8,
	.bytes_max = MIB,
	.per_identity = 3,
};

static uint64_t fake_time(void)
{
	return now_s;
}

static uint64_t fake_now_us(void)
{
	return now_s * SECOND_US;
}

static void *counting_alloc(size_t size)
{
	if (__atomic_add_fetch(&allocs, 1, __ATOMIC_RELAXED) == fail_at)
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
	return stock_ticket(single_use, now_s + life_s);
}

static const uint8_t *id_of(unsigned int n)
{
	static __thread uint8_t id[ORIGIN_ID_LEN];

	stock_id(id, n);
	return id;
}

/* Each with a life of its own, so that it is seen which one came. */
static void give(struct inventory *inv, unsigned int id, unsigned int count,
		 uint64_t life_s)
{
	while (count--)
		inventory_give(inv, id_of(id), make(true, life_s++));
}

/* Takes and spends; the reason. */
static enum ktc_reason use(struct inventory *inv, unsigned int id)
{
	struct ticket *ticket;
	enum ktc_reason why = inventory_take(inv, id_of(id), &ticket);

	if (ticket)
		inventory_spend(inv, ticket);
	return why;
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
	fake.now_us = fake_now_us;
	fake.alloc = counting_alloc;
	fake.free = counting_free;
	sys = &fake;
	ASSERT_EQ(0, inventory_new(&opts, &self->inv));
}

/* Whatever was done, in the end all memory has come back. */
FIXTURE_TEARDOWN(inv)
{
	inventory_free(self->inv);
	rcu_flush();
	EXPECT_EQ(0, live);
}

/* For a test that wants another one. */
static bool renew(struct inventory **inv, const struct inventory_opts *want)
{
	inventory_free(*inv);
	*inv = NULL;
	return !inventory_new(want, inv);
}

/* ------------------------------------------------------ take and give -- */

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
	EXPECT_EQ(KTC_WHY_TAKEN,
		  inventory_take(self->inv, id_of(1), &self->t));
	EXPECT_EQ(NULL, self->t);
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(1, self->stats.gives);
	EXPECT_EQ(1, self->stats.hits);
	EXPECT_EQ(1, self->stats.misses_taken);
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

TEST_F(inv, fullness_does_not_count_what_has_expired)
{
	int i;

	for (i = 0; i < 3; i++)
		inventory_give(self->inv, id_of(1), make(true, 10));
	EXPECT_TRUE(inventory_is_full(self->inv, id_of(1)));
	now_s += 20;
	EXPECT_FALSE(inventory_is_full(self->inv, id_of(1)));
}

TEST_F(inv, a_ticket_put_back_is_the_next_to_be_taken)
{
	struct ticket *a = make(true, 100), *b = make(true, 200);

	inventory_give(self->inv, id_of(1), a);
	inventory_take(self->inv, id_of(1), &self->t);
	inventory_give(self->inv, id_of(1), b);
	inventory_putback(self->inv, id_of(1), self->t);
	inventory_take(self->inv, id_of(1), &self->t);
	EXPECT_EQ(a, self->t);
	inventory_spend(self->inv, self->t);
	inventory_take(self->inv, id_of(1), &self->t);
	EXPECT_EQ(b, self->t);
	inventory_spend(self->inv, self->t);
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(1, self->stats.putbacks);
	EXPECT_EQ(2, self->stats.gives);
	EXPECT_EQ(3, self->stats.hits);
	EXPECT_EQ(2, self->stats.spent);
	EXPECT_EQ(0, self->stats.evictions);
}

TEST_F(inv, single_use_tickets_come_before_the_shared_session)
{
	struct ticket *shared = make(false, 100), *single = make(true, 100);

	inventory_give(self->inv, id_of(1), single);
	inventory_share(self->inv, id_of(1), shared);
	inventory_take(self->inv, id_of(1), &self->t);
	EXPECT_EQ(single, self->t);
	inventory_spend(self->inv, self->t);
	inventory_take(self->inv, id_of(1), &self->t);
	EXPECT_EQ(shared, self->t);
	inventory_spend(self->inv, self->t);
}

TEST_F(inv, identities_that_hash_alike_are_told_apart)
{
	const size_t tail = ORIGIN_ID_LEN - 8;
	struct ticket *given[6];
	uint8_t id[ORIGIN_ID_LEN];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(given); i++) {
		given[i] = make(true, 100);
		stock_id(id, i);
		memset(id + tail, 0x5a, sizeof(id) - tail);
		inventory_give(self->inv, id, given[i]);
	}
	for (i = 0; i < ARRAY_SIZE(given); i++) {
		stock_id(id, i);
		memset(id + tail, 0x5a, sizeof(id) - tail);
		inventory_take(self->inv, id, &self->t);
		ASSERT_EQ(given[i], self->t);
		inventory_spend(self->inv, self->t);
		ASSERT_EQ(KTC_WHY_TAKEN, inventory_take(self->inv, id,
							&self->t));
	}
}

/* --------------------------------------------------- what a miss says -- */

TEST_F(inv, an_unknown_identity_is_known_after_a_take)
{
	EXPECT_EQ(KTC_WHY_NO_SESSION, use(self->inv, 1));
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(1, self->stats.misses_none);
	EXPECT_EQ(0, self->stats.misses_taken);
	EXPECT_EQ(1, self->stats.identities);
	EXPECT_EQ(0, self->stats.sessions);
}

TEST_F(inv, tickets_that_are_away_are_another_miss_than_none)
{
	give(self->inv, 1, 1, 100);
	inventory_take(self->inv, id_of(1), &self->t);
	EXPECT_EQ(KTC_WHY_TAKEN, use(self->inv, 1));
	EXPECT_EQ(KTC_WHY_NO_SESSION, use(self->inv, 2));
	inventory_putback(self->inv, id_of(1), self->t);
	EXPECT_EQ(KTC_WHY_NOTHING, use(self->inv, 1));
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(1, self->stats.misses_taken);
	EXPECT_EQ(1, self->stats.misses_none);
	EXPECT_EQ(4, self->stats.takes);
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
	EXPECT_EQ(2, self->stats.expired);
	EXPECT_EQ(0, self->stats.evictions);
	EXPECT_EQ(0, self->stats.sessions);
}

TEST_F(inv, what_expired_while_reserved_is_not_put_back)
{
	inventory_give(self->inv, id_of(1), make(true, 100));
	inventory_take(self->inv, id_of(1), &self->t);
	now_s += 200;
	inventory_putback(self->inv, id_of(1), self->t);
	EXPECT_NE(KTC_WHY_NOTHING, use(self->inv, 1));
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(1, self->stats.expired);
	EXPECT_EQ(0, self->stats.sessions);
}

TEST_F(inv, what_policy_did_not_ask_for_is_only_counted)
{
	give(self->inv, 1, 1, 100);
	inventory_skip(self->inv, id_of(1));
	inventory_skip(self->inv, id_of(2));
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(2, self->stats.misses_policy);
	EXPECT_EQ(0, self->stats.takes);
	EXPECT_EQ(1, self->stats.sessions);
	EXPECT_EQ(1, self->stats.identities);
}

/* -------------------------------------------------------------- depth -- */

static const struct inventory_opts deep = {
	.sessions_max = 100,
	.bytes_max = MIB,
	.per_identity = 16,
};

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
	EXPECT_EQ(KTC_WHY_TAKEN, use(self->inv, 1));
}

TEST_F(inv, an_identity_without_demand_keeps_a_few)
{
	ASSERT_TRUE(renew(&self->inv, &deep));
	give(self->inv, 1, LIMIT_DEPTH_START - 1, 100);
	EXPECT_FALSE(inventory_is_full(self->inv, id_of(1)));
	give(self->inv, 1, 1, 100);
	EXPECT_TRUE(inventory_is_full(self->inv, id_of(1)));
	give(self->inv, 1, 6, 100);
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(LIMIT_DEPTH_START, self->stats.sessions);
	EXPECT_EQ(6, self->stats.evictions);
}

TEST_F(inv, connections_under_way_at_once_deepen_an_identity)
{
	unsigned int i;

	ASSERT_TRUE(renew(&self->inv, &deep));
	for (i = 0; i < 10; i++)
		EXPECT_EQ(KTC_WHY_NO_SESSION, use(self->inv, 1));
	for (i = 0; i < 10; i++) {
		EXPECT_FALSE(inventory_is_full(self->inv, id_of(1)));
		give(self->inv, 1, 1, 100);
	}
	EXPECT_TRUE(inventory_is_full(self->inv, id_of(1)));
	give(self->inv, 1, 1, 100);
	/* another identity is as shallow as ever */
	give(self->inv, 2, 10, 100);
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(10 + LIMIT_DEPTH_START, self->stats.sessions);
	for (i = 0; i < 10; i++)
		EXPECT_EQ(KTC_WHY_NOTHING, use(self->inv, 1));
}

TEST_F(inv, hits_count_as_connections_under_way_too)
{
	unsigned int i;

	ASSERT_TRUE(renew(&self->inv, &deep));
	give(self->inv, 1, LIMIT_DEPTH_START, 100);
	for (i = 0; i < 8; i++)
		(void)use(self->inv, 1);	/* the last four miss */
	give(self->inv, 1, 10, 100);
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(8, self->stats.sessions);
}

TEST_F(inv, depth_has_a_limit)
{
	unsigned int i;

	ASSERT_TRUE(renew(&self->inv, &deep));
	for (i = 0; i < 50; i++)
		(void)use(self->inv, 1);	/* all miss */
	give(self->inv, 1, 50, 100);
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(deep.per_identity, self->stats.sessions);
}

TEST_F(inv, connections_one_after_the_other_deepen_nothing)
{
	unsigned int i;

	ASSERT_TRUE(renew(&self->inv, &deep));
	for (i = 0; i < 50; i++) {
		(void)use(self->inv, 1);	/* the first misses */
		give(self->inv, 1, 1, 100);
	}
	give(self->inv, 1, 50, 100);
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(LIMIT_DEPTH_START, self->stats.sessions);
}

TEST_F(inv, depth_is_given_up_when_demand_has_gone)
{
	unsigned int i;

	ASSERT_TRUE(renew(&self->inv, &deep));
	for (i = 0; i < 16; i++)
		(void)use(self->inv, 1);	/* all miss */
	give(self->inv, 1, 16, 100000);
	inventory_stats(self->inv, &self->stats);
	ASSERT_EQ(16, self->stats.sessions);
	for (i = 0; i < 10; i++) {
		now_s += LIMIT_DEPTH_DECAY_S;
		give(self->inv, 1, 1, 100000);
	}
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(LIMIT_DEPTH_START, self->stats.sessions);
}

TEST_F(inv, what_expired_makes_room)
{
	unsigned int i;

	for (i = 0; i < 5; i++) {
		give(self->inv, 1, opts.per_identity, 10);
		now_s += 20;
	}
	give(self->inv, 1, 1, 100);
	EXPECT_EQ(KTC_WHY_NOTHING, use(self->inv, 1));
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(0, self->stats.evictions);
}

/* ------------------------------------------------------------- limits -- */

TEST_F(inv, what_was_used_since_the_hand_passed_is_not_the_next_to_go)
{
	unsigned int i;

	for (i = 0; i < 8; i++)
		inventory_share(self->inv, id_of(i), make(false, 100));
	/* One has to go; the hand takes the mark of use off all others. */
	inventory_share(self->inv, id_of(8), make(false, 100));
	EXPECT_EQ(KTC_WHY_NOTHING, use(self->inv, 3));
	/* Six more that nobody has used since then. */
	for (i = 9; i < 15; i++)
		inventory_share(self->inv, id_of(i), make(false, 100));
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(8, self->stats.sessions);
	EXPECT_EQ(8, self->stats.identities);
	EXPECT_EQ(7, self->stats.evictions);
	EXPECT_EQ(KTC_WHY_NOTHING, use(self->inv, 3));
	for (i = 8; i < 15; i++)
		EXPECT_EQ(KTC_WHY_NOTHING, use(self->inv, i));
}

TEST_F(inv, sessions_never_exceed_the_limit)
{
	unsigned int i;

	for (i = 0; i < 200; i++) {
		if (i % 3)
			give(self->inv, i / 2, 1, 100);
		else
			inventory_share(self->inv, id_of(i / 2),
					make(false, 100));
		inventory_stats(self->inv, &self->stats);
		ASSERT_GE(8, self->stats.sessions);
		ASSERT_GE(8, self->stats.identities);
	}
	EXPECT_EQ(KTC_WHY_NOTHING, use(self->inv, 99));
}

TEST_F(inv, one_identity_may_have_all_there_is)
{
	const struct inventory_opts few = {
		.sessions_max = 4, .bytes_max = MIB, .per_identity = 16,
	};
	unsigned int i;

	ASSERT_TRUE(renew(&self->inv, &few));
	for (i = 0; i < 10; i++)
		(void)use(self->inv, 1);	/* all miss */
	give(self->inv, 1, 10, 100);
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(4, self->stats.sessions);
	EXPECT_EQ(6, self->stats.evictions);
	/* the oldest ones went */
	inventory_take(self->inv, id_of(1), &self->t);
	EXPECT_EQ(now_s + 109, self->t->expires_s);
	inventory_spend(self->inv, self->t);
}

TEST_F(inv, bytes_never_exceed_the_limit)
{
	const struct inventory_opts small = {
		.sessions_max = 1000, .bytes_max = 64 << 10,
		.per_identity = 4,
	};
	unsigned int i;

	ASSERT_TRUE(renew(&self->inv, &small));
	for (i = 0; i < 500; i++) {
		give(self->inv, i, 1 + i % 5, 100);
		inventory_stats(self->inv, &self->stats);
		ASSERT_GE(small.bytes_max, self->stats.bytes);
		/* the tickets alone are that much */
		ASSERT_LE(self->stats.sessions * 1000, self->stats.bytes);
		ASSERT_EQ(KTC_WHY_NOTHING, use(self->inv, i));
	}
	EXPECT_LT(0, self->stats.evictions);
}

TEST_F(inv, a_ticket_larger_than_all_is_dropped)
{
	struct ticket *large = make(true, 100);

	large->bytes = 2 * MIB;
	inventory_give(self->inv, id_of(1), large);
	large = make(false, 100);
	large->bytes = 2 * MIB;
	inventory_share(self->inv, id_of(1), large);
	EXPECT_NE(KTC_WHY_NOTHING, use(self->inv, 1));
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(0, self->stats.sessions);
	EXPECT_GE(opts.bytes_max, self->stats.bytes);
}

TEST_F(inv, the_shards_add_up)
{
	const struct inventory_opts wide = {
		.sessions_max = 64 * LIMIT_SHARD_SESSIONS,
		.bytes_max = 64 * MIB, .per_identity = 4,
	};
	uint64_t sum[sizeof(struct inventory_stats) / sizeof(uint64_t)] = { 0 };
	unsigned int i, k, used = 0;

	ASSERT_TRUE(renew(&self->inv, &wide));
	EXPECT_LT(1, inventory_shards(self->inv));
	for (i = 0; i < 300; i++)
		give(self->inv, i, 1 + i % 3, 100);
	for (i = 0; i < 400; i++)
		(void)use(self->inv, i);	/* some miss */
	for (i = 0; i < inventory_shards(self->inv); i++) {
		inventory_shard_stats(self->inv, i, &self->stats);
		used += self->stats.gives > 0;
		for (k = 0; k < ARRAY_SIZE(sum); k++)
			sum[k] += ((uint64_t *)&self->stats)[k];
	}
	EXPECT_LT(1, used);
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(400, self->stats.takes);
	EXPECT_EQ(300, self->stats.hits);
	EXPECT_EQ(300, self->stats.sessions);
	EXPECT_EQ(0, memcmp(sum, &self->stats, sizeof(sum)));
}

/* -------------------------------------------------------------- drain -- */

struct drained {
	struct ticket *tickets[16];
	uint8_t ids[16][ORIGIN_ID_LEN];
	unsigned int count, single;
};

static void catch(void *arg, const uint8_t id[ORIGIN_ID_LEN],
		  struct ticket *take)
{
	struct drained *d = arg;

	d->single += take->single_use;
	memcpy(d->ids[d->count], id, ORIGIN_ID_LEN);
	d->tickets[d->count++] = take;
}

TEST_F(inv, a_drain_takes_all_tickets_and_a_reference_to_what_is_shared)
{
	struct ticket *shared = make(false, 100);
	struct drained d = { .count = 0 };
	unsigned int i;

	give(self->inv, 1, 3, 100);
	give(self->inv, 2, 2, 100);
	inventory_share(self->inv, id_of(2), shared);
	inventory_drain(self->inv, catch, &d);
	EXPECT_EQ(6, d.count);
	EXPECT_EQ(5, d.single);
	for (i = 0; i < d.count; i++) {
		bool one = !memcmp(d.ids[i], id_of(1), ORIGIN_ID_LEN);

		EXPECT_TRUE(one || !memcmp(d.ids[i], id_of(2),
					   ORIGIN_ID_LEN));
		EXPECT_TRUE(d.tickets[i] != shared || !one);
		ticket_put(d.tickets[i]);
	}
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(5, self->stats.exports);
	EXPECT_EQ(1, self->stats.sessions);
	EXPECT_EQ(0, self->stats.takes);
	EXPECT_EQ(0, self->stats.spent);
	EXPECT_NE(KTC_WHY_NOTHING, use(self->inv, 1));
	inventory_take(self->inv, id_of(2), &self->t);
	EXPECT_EQ(shared, self->t);
	inventory_spend(self->inv, self->t);
}

TEST_F(inv, what_has_expired_is_not_drained)
{
	struct drained d = { .count = 0 };

	give(self->inv, 1, 2, 10);
	inventory_share(self->inv, id_of(1), make(false, 10));
	now_s += 20;
	inventory_drain(self->inv, catch, &d);
	EXPECT_EQ(0, d.count);
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(0, self->stats.exports);
}

TEST_F(inv, what_was_drained_can_be_given_back)
{
	struct drained d = { .count = 0 };
	unsigned int i;

	give(self->inv, 1, 3, 100);
	inventory_drain(self->inv, catch, &d);
	for (i = 0; i < d.count; i++)
		inventory_give(self->inv, d.ids[i], d.tickets[i]);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(KTC_WHY_NOTHING, use(self->inv, 1));
}

/* --------------------------------------------------- full handshakes -- */

TEST_F(inv, without_a_budget_all_may_go)
{
	uint64_t again_us = 0;
	unsigned int i;

	for (i = 0; i < 1000; i++)
		ASSERT_EQ(0, inventory_full_begin(self->inv, id_of(1), 5,
						  &again_us));
	for (i = 0; i < 1000; i++)
		inventory_full_end(self->inv, id_of(1));
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(1000, self->stats.full_begun);
	EXPECT_EQ(0, self->stats.full_waits);
}

/* How many may go at now_us, and when the next one may. */
static unsigned int go(struct inventory *inv, unsigned int id, uint64_t now_us,
		       uint64_t *again_us)
{
	unsigned int n = 0;

	while (n < 1000 &&
	       !inventory_full_begin(inv, id_of(id), now_us, again_us)) {
		inventory_full_end(inv, id_of(id));
		n++;
	}
	return n;
}

TEST_F(inv, a_rate_lets_a_tenth_of_a_second_go_at_once)
{
	struct inventory_opts rated = opts;
	uint64_t at = now_s * SECOND_US, again_us = 0;

	rated.full_per_s = 100;
	ASSERT_TRUE(renew(&self->inv, &rated));
	EXPECT_EQ(11, go(self->inv, 1, at, &again_us));
	EXPECT_EQ(at + 10000, again_us);
	EXPECT_EQ(11, go(self->inv, 2, at, &again_us));	/* has its own */
	EXPECT_EQ(0, go(self->inv, 1, at + 9999, &again_us));
	EXPECT_EQ(1, go(self->inv, 1, at + 10000, &again_us));
	EXPECT_EQ(5, go(self->inv, 1, at + 60000, &again_us));
	EXPECT_EQ(11, go(self->inv, 1, at + SECOND_US, &again_us));
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(39, self->stats.full_begun);
	EXPECT_EQ(6, self->stats.full_waits);
}

TEST_F(inv, a_slow_rate_lets_one_go_at_once)
{
	struct inventory_opts rated = opts;
	uint64_t at = now_s * SECOND_US, again_us = 0;

	rated.full_per_s = 2;
	ASSERT_TRUE(renew(&self->inv, &rated));
	EXPECT_EQ(1, go(self->inv, 1, at, &again_us));
	EXPECT_EQ(at + SECOND_US / 2, again_us);
	EXPECT_EQ(1, go(self->inv, 1, again_us, &again_us));
}

TEST_F(inv, a_handshake_that_nobody_foresaw_is_charged)
{
	struct inventory_opts rated = opts;
	uint64_t at = now_s * SECOND_US, again_us = 0;
	unsigned int i;

	rated.full_per_s = 100;
	ASSERT_TRUE(renew(&self->inv, &rated));
	(void)use(self->inv, 1);	/* misses; it is known from now on */
	for (i = 0; i < 10; i++)
		inventory_full_charge(self->inv, id_of(1), at);
	EXPECT_EQ(1, go(self->inv, 1, at, &again_us));
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(1, self->stats.full_begun);
}

TEST_F(inv, so_many_may_be_under_way_at_once)
{
	uint64_t at = now_s * SECOND_US, again_us = 0;
	struct inventory_opts rated = opts;

	rated.full_at_once = 2;
	ASSERT_TRUE(renew(&self->inv, &rated));
	EXPECT_EQ(0, inventory_full_begin(self->inv, id_of(1), at, &again_us));
	EXPECT_EQ(0, inventory_full_begin(self->inv, id_of(1), at, &again_us));
	EXPECT_EQ(-EAGAIN,
		  inventory_full_begin(self->inv, id_of(1), at, &again_us));
	EXPECT_LT(at, again_us);
	EXPECT_EQ(0, inventory_full_begin(self->inv, id_of(2), at, &again_us));
	inventory_full_end(self->inv, id_of(1));
	EXPECT_EQ(0, inventory_full_begin(self->inv, id_of(1), at, &again_us));
	EXPECT_EQ(-EAGAIN,
		  inventory_full_begin(self->inv, id_of(1), at, &again_us));
}

TEST_F(inv, an_identity_with_a_handshake_under_way_is_not_forgotten)
{
	uint64_t at = now_s * SECOND_US, again_us = 0;
	struct inventory_opts rated = opts;
	unsigned int i;

	rated.full_at_once = 1;
	ASSERT_TRUE(renew(&self->inv, &rated));
	EXPECT_EQ(0, inventory_full_begin(self->inv, id_of(1), at, &again_us));
	for (i = 2; i < 50; i++)
		give(self->inv, i, 1, 100);
	EXPECT_EQ(-EAGAIN,
		  inventory_full_begin(self->inv, id_of(1), at, &again_us));
}

/* ---------------------------------------------------- without memory -- */

TEST_F(inv, without_memory_there_is_no_inventory)
{
	struct inventory *inv = (void *)1;
	uint64_t n;

	for (n = 1;; n++) {
		allocs = 0;
		fail_at = n;
		if (!inventory_new(&opts, &inv))
			break;
		EXPECT_EQ((void *)1, inv);
	}
	fail_at = 0;
	EXPECT_LT(2, n);
	inventory_free(inv);
}

enum deed {
	DEED_TAKE_UNKNOWN,
	DEED_GIVE_NEW,
	DEED_GIVE_DEEPER,
	DEED_SHARE,
	DEED_PUTBACK,
	DEED_PUTBACK_FORGOTTEN,
	DEED_FULL,
	DEED_DRAIN,
	DEED_REST,
	DEEDS
};

static struct ticket *in_hand;	/* taken before the memory runs out */
static struct ticket *to_give;	/* made before */

/* Identity 1 has a ticket, 2 many connections under way, 3 one in our hand. */
static bool prepare(struct inventory **inv, enum deed deed)
{
	struct inventory_opts with_budget = deep;
	unsigned int i;

	*inv = NULL;
	with_budget.full_at_once = 4;
	if (inventory_new(&with_budget, inv))
		return false;
	give(*inv, 1, 1, 100);
	for (i = 0; i < 12; i++)
		(void)use(*inv, 2);	/* all miss */
	give(*inv, 2, 8, 100);
	give(*inv, 3, 1, 100);
	(void)inventory_take(*inv, id_of(3), &in_hand);	/* was just given */
	if (deed == DEED_PUTBACK_FORGOTTEN) {
		for (i = 100; i < 300; i++)
			(void)use(*inv, i);	/* all miss */
		give(*inv, 1, 1, 100);
	}
	to_give = make(deed != DEED_SHARE, 100);
	return in_hand && to_give;
}

static void do_deed(struct inventory *inv, enum deed deed)
{
	struct drained d = { .count = 0 };
	uint64_t again_us;

	switch (deed) {
	case DEED_TAKE_UNKNOWN:
		(void)use(inv, 9);	/* misses */
		break;
	case DEED_GIVE_NEW:
	case DEED_GIVE_DEEPER:
		inventory_give(inv, id_of(deed == DEED_GIVE_NEW ? 9 : 2),
			       to_give);
		to_give = NULL;
		break;
	case DEED_SHARE:
		inventory_share(inv, id_of(9), to_give);
		to_give = NULL;
		break;
	case DEED_PUTBACK:
	case DEED_PUTBACK_FORGOTTEN:
		inventory_putback(inv, id_of(3), in_hand);
		in_hand = NULL;
		break;
	case DEED_FULL:
		/* it goes, or says that there is no memory */
		(void)inventory_full_begin(inv, id_of(9), 5, &again_us);
		inventory_full_charge(inv, id_of(10), 5);
		inventory_full_end(inv, id_of(9));
		break;
	case DEED_DRAIN:
		inventory_drain(inv, catch, &d);
		while (d.count--)
			inventory_give(inv, d.ids[d.count],
				       d.tickets[d.count]);
		break;
	default:
		(void)inventory_is_full(inv, id_of(9));	/* either way */
		inventory_skip(inv, id_of(9));
	}
}

/* What had come and not gone is still there, and all of it is counted. */
static void check_books(struct __test_metadata *_metadata,
			struct inventory *inv)
{
	struct inventory_stats s;

	EXPECT_EQ(KTC_WHY_NOTHING, use(inv, 1));
	if (in_hand)
		inventory_spend(inv, in_hand);
	ticket_put(to_give);
	inventory_stats(inv, &s);
	EXPECT_EQ(s.gives, s.spent + s.evictions + s.expired + s.exports +
		  s.sessions);
	EXPECT_EQ(s.takes, s.hits + s.misses_none + s.misses_expired +
		  s.misses_taken);
}

TEST_F(inv, every_failing_allocation_loses_and_leaks_nothing)
{
	struct inventory *inv = NULL;
	unsigned int failed = 0;
	enum deed deed;
	uint64_t n;
	bool more;

	for (deed = 0; deed < DEEDS; deed++)
		for (n = 1, more = true; more; n++) {
			int before = live;

			ASSERT_TRUE(prepare(&inv, deed));
			allocs = 0;
			fail_at = n;
			do_deed(inv, deed);
			more = allocs >= n;
			failed += more;
			fail_at = 0;
			check_books(_metadata, inv);
			inventory_free(inv);
			rcu_flush();
			ASSERT_EQ(before, live) TH_LOG("deed %d, allocation %d",
						       (int)deed, (int)n);
		}
	EXPECT_LT(5, failed);
}

/* ------------------------------------------------------- many threads -- */

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
			t = stock_ticket(true, 100000);
			if (t)
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
	EXPECT_EQ(s->takes, s->hits + s->misses_none + s->misses_expired +
		  s->misses_taken);
	EXPECT_EQ(spent_total, s->spent);
	EXPECT_EQ(s->hits, s->spent + s->putbacks);
	EXPECT_EQ(s->gives, s->sessions + s->spent + s->evictions);
	EXPECT_GE(8, s->sessions);
}

/* -------------------------------------------------- who pays for whom -- */

#define IDLE 200u

static const struct inventory_opts roomy = {
	.sessions_max = 500,
	.bytes_max = 4 << 20,
	.per_identity = 64,
};

static void fill_idle(struct inventory *inv)
{
	unsigned int i;

	for (i = 0; i < IDLE; i++)
		inventory_give(inv, id_of(1000 + i), make(true, 1000));
}

/* How many of them still have what they were given. */
static unsigned int count_idle(struct inventory *inv)
{
	struct ticket *ticket;
	unsigned int i, n = 0;

	for (i = 0; i < IDLE; i++)
		if (inventory_take(inv, id_of(1000 + i), &ticket) ==
		    KTC_WHY_NOTHING) {
			inventory_spend(inv, ticket);
			n++;
		}
	return n;
}

static void *give_to_one(void *arg)
{
	struct inventory *inv = arg;
	int i;

	for (i = 0; i < 20000; i++)
		inventory_give(inv, id_of(1), make(true, 1000));
	return NULL;
}

static void *ask_often(void *arg)
{
	struct ticket *ticket;
	int i;

	for (i = 0; i < 64; i++)
		(void)inventory_take(arg, id_of(1), &ticket);
	return NULL;
}

TEST_F(inv, a_crowd_at_one_identity_evicts_nobody_else)
{
	struct inventory_opts narrow = roomy;
	pthread_t threads[4];
	int i;

	narrow.per_identity = 1;
	ASSERT_TRUE(renew(&self->inv, &narrow));
	fill_idle(self->inv);
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, give_to_one,
					    self->inv));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
	EXPECT_EQ(IDLE, count_idle(self->inv));
}

TEST_F(inv, with_the_least_memory_a_few_tickets_are_kept)
{
	struct inventory_opts least = roomy;
	int i;

	least.sessions_max = 10000;
	least.bytes_max = LIMIT_SESSION_BYTES_MIN;
	ASSERT_TRUE(renew(&self->inv, &least));
	EXPECT_EQ(1, inventory_shards(self->inv));
	for (i = 0; i < 4; i++) {
		self->t = make(true, 1000);
		self->t->bytes = 1500;
		inventory_give(self->inv, id_of(1), self->t);
	}
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(4, self->stats.sessions);
}

TEST_F(inv, tickets_too_large_for_one_identity_evict_nobody_else)
{
	struct ticket *large;
	int i;

	ASSERT_TRUE(renew(&self->inv, &roomy));
	fill_idle(self->inv);
	for (i = 0; i < 64; i++)
		(void)inventory_take(self->inv, id_of(1), &self->t);
	for (i = 0; i < 64; i++)
		inventory_give(self->inv, id_of(1), make(true, 1000));
	large = make(true, 1000);
	large->bytes = 60000;
	inventory_give(self->inv, id_of(1), large);
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(1, self->stats.evictions);
	EXPECT_EQ(IDLE + 64, self->stats.sessions);
	EXPECT_EQ(IDLE, count_idle(self->inv));
}

TEST_F(inv, demand_of_a_thread_that_is_gone_is_forgotten)
{
	pthread_t thread;
	int i;

	ASSERT_TRUE(renew(&self->inv, &roomy));
	ASSERT_EQ(0, pthread_create(&thread, NULL, ask_often, self->inv));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	for (i = 0; i < 64; i++)
		inventory_give(self->inv, id_of(1), make(true, 100000));
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(64, self->stats.sessions);
	for (i = 0; i < 10; i++) {
		now_s += LIMIT_DEPTH_DECAY_S;
		inventory_give(self->inv, id_of(1), make(true, 100000));
	}
	inventory_stats(self->inv, &self->stats);
	EXPECT_EQ(LIMIT_DEPTH_START, self->stats.sessions);
}

TEST_HARNESS_MAIN
