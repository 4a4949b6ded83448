// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: the inventory under many threads, for so many seconds. Threads
 * do all there is to do, drawn at random, over hot and cold identities, while
 * time goes by in jumps. A ledger beside the inventory follows each ticket from
 * its making to its free. Rounds of less than a second end in quiet, and in
 * quiet every count must be exact.
 *
 *	inventory_test [seconds [threads [identities]]] [harness options]
 *
 * KTC_SEED repeats what the threads draw, not how they interleave.
 */
#include "inventory.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "flush.h"
#include "ledger.h"
#include "limit.h"
#include "stock.h"
#include "sys.h"
#include "util.h"

#include "kselftest_harness.h"

#define THREADS_MAX 64u
#define ORIGINS_MAX 65536u
#define HELD_MAX 8u		/* tickets one thread has at once */
#define ROUND_MS 400u
#define ROUND_TICKETS (1u << 20)
#define OPS_PER_LOOK 64u	/* between two looks at the real clock */
#define SECOND_US 1000000u
#define ZIPF_SLOTS 4096u
/* What one thread inside a call may hold beyond the limit. */
#define SLACK_BYTES 8192u
/* A drain walks everything: one operation in so many. */
#define DRAIN_ONE_IN 20000u
#define TEST_TIMEOUT_S (24 * 3600)

static unsigned int seconds = 5, threads = 8, origins = 400;
static uint64_t seed;
static struct sys_ops fake;
static uint64_t clock_us;	/* atomic; the fake one */

/* What a thread did, to be compared with the inventory's own counts. */
struct tally {
	uint64_t takes, hits, none, expired, taken;
	uint64_t gives, shares;		/* calls */
	uint64_t putbacks, spent, exports, skips;
	uint64_t full_begun, full_waits;
};

/* One kind of inventory, and what is done to it. */
struct setting {
	struct inventory_opts opts;
	unsigned int origins_max;	/* 0: as many as there are */
	bool shares;
	bool drains;
	uint32_t starve;	/* one allocation of so many fails */
};

struct round {
	const struct setting *how;
	struct inventory *inv;
	unsigned int origins;
	uint64_t deadline_ms;	/* of the real clock */
	pthread_barrier_t start;
	uint32_t full[ORIGINS_MAX];	/* handshakes under way, atomic */
	uint16_t zipf[ZIPF_SLOTS];
};

struct held {
	struct ticket *ticket;
	uint32_t origin;
};

struct worker {
	struct round *round;
	unsigned int number;
	struct draw draw;
	struct tally did;
	struct held held[HELD_MAX];
	unsigned int held_count;
	uint32_t full[HELD_MAX];	/* handshakes begun, by identity */
	unsigned int full_count;
	struct ticket *drained;		/* a list */
};

static uint64_t fake_now_us(void)
{
	/* Relaxed: a clock orders nothing. */
	return __atomic_load_n(&clock_us, __ATOMIC_RELAXED);
}

static uint64_t fake_time_s(void)
{
	return fake_now_us() / SECOND_US;
}

static uint64_t real_ms(void)
{
	return sys_real.now_us() / 1000;
}

static void put_held(struct worker *w, struct ticket *ticket, uint32_t origin)
{
	w->held[w->held_count++] = (struct held){ ticket, origin };
}

static struct held pop_held(struct worker *w)
{
	unsigned int i = draw_below(&w->draw, w->held_count);
	struct held held = w->held[i];

	w->held[i] = w->held[--w->held_count];
	return held;
}

static void count_miss(struct worker *w, enum ktc_reason why)
{
	switch (why) {
	case KTC_WHY_NO_SESSION:
		w->did.none++;
		break;
	case KTC_WHY_EXPIRED:
		w->did.expired++;
		break;
	case KTC_WHY_TAKEN:
		w->did.taken++;
		break;
	default:
		(void)ledger_complain("a take gave the reason %d", (int)why);
	}
}

static void take(struct worker *w, uint32_t origin)
{
	uint64_t before_s = fake_time_s();
	uint8_t id[ORIGIN_ID_LEN];
	struct ticket *ticket;
	enum ktc_reason why;

	stock_id(id, origin);
	why = inventory_take(w->round->inv, id, &ticket);
	w->did.takes++;
	if (!ticket) {
		count_miss(w, why);
		return;
	}
	w->did.hits++;
	if (why != KTC_WHY_NOTHING)
		(void)ledger_complain("a ticket, and the reason %d", (int)why);
	if (ledger_took(ticket, origin, before_s))
		put_held(w, ticket, origin);
}

/* Ends with a ticket in one of the two ways. */
static void release(struct worker *w)
{
	struct held held = pop_held(w);
	bool single = held.ticket->single_use;
	uint8_t id[ORIGIN_ID_LEN];

	if (draw_below(&w->draw, 3)) {
		if (single)
			(void)ledger_move(held.ticket, LEDGER_TAKEN,
					  LEDGER_OUT);
		w->did.spent += single;
		inventory_spend(w->round->inv, held.ticket);
		return;
	}
	if (single)
		(void)ledger_move(held.ticket, LEDGER_TAKEN, LEDGER_IN);
	stock_id(id, held.origin);
	w->did.putbacks++;
	inventory_putback(w->round->inv, id, held.ticket);
}

static struct ticket *make(struct worker *w, uint32_t origin, bool single)
{
	/* Some are over in the moment they come. */
	uint64_t life_s = draw_below(&w->draw, 40);

	return ledger_make(origin, single, fake_time_s() + life_s);
}

static void give(struct worker *w, uint32_t origin)
{
	struct ticket *ticket = make(w, origin, true);
	uint8_t id[ORIGIN_ID_LEN];

	if (!ticket)
		return;
	(void)ledger_move(ticket, LEDGER_MADE, LEDGER_IN);
	stock_id(id, origin);
	w->did.gives++;
	inventory_give(w->round->inv, id, ticket);
}

static void share(struct worker *w, uint32_t origin)
{
	struct ticket *ticket = make(w, origin, false);
	uint8_t id[ORIGIN_ID_LEN];

	if (!ticket)
		return;
	(void)ledger_move(ticket, LEDGER_MADE, LEDGER_SHARED);
	stock_id(id, origin);
	w->did.shares++;
	inventory_share(w->round->inv, id, ticket);
}

static void drained(void *arg, const uint8_t id[ORIGIN_ID_LEN],
		    struct ticket *take)
{
	uint8_t expected[ORIGIN_ID_LEN];
	struct worker *w = arg;

	stock_id(expected, ledger_owner(take));
	if (memcmp(expected, id, sizeof(expected)))
		(void)ledger_complain("a drain gave the wrong identity");
	if (!take->single_use) {
		ticket_put(take);
		return;
	}
	w->did.exports++;
	(void)ledger_move(take, LEDGER_IN, LEDGER_OUT);
	take->next = w->drained;
	w->drained = take;
}

/* Some are given again, as by an export that failed. */
static void drain(struct worker *w)
{
	uint8_t id[ORIGIN_ID_LEN];
	struct ticket *ticket;

	inventory_drain(w->round->inv, drained, w);
	while ((ticket = w->drained)) {
		w->drained = ticket->next;
		ticket->next = NULL;
		if (draw_below(&w->draw, 2)) {
			ticket_put(ticket);
			continue;
		}
		(void)ledger_move(ticket, LEDGER_OUT, LEDGER_IN);
		stock_id(id, ledger_owner(ticket));
		w->did.gives++;
		inventory_give(w->round->inv, id, ticket);
	}
}

/* The levels, while others are at work. */
static void look(struct worker *w)
{
	const struct inventory_opts *opts = &w->round->how->opts;
	struct inventory_stats s;

	inventory_stats(w->round->inv, &s);
	if (s.sessions > opts->sessions_max + (uint64_t)threads)
		(void)ledger_complain("%llu sessions, %u allowed",
				      (unsigned long long)s.sessions,
				      opts->sessions_max);
	if (s.bytes > opts->bytes_max + (uint64_t)threads * SLACK_BYTES)
		(void)ledger_complain("%llu bytes, %llu allowed",
				      (unsigned long long)s.bytes,
				      (unsigned long long)opts->bytes_max);
}

static void full_end(struct worker *w)
{
	uint32_t origin = w->full[--w->full_count];
	uint8_t id[ORIGIN_ID_LEN];

	/* Before the call: what is counted here is never too much. */
	__atomic_fetch_sub(&w->round->full[origin], 1, __ATOMIC_RELAXED);
	stock_id(id, origin);
	inventory_full_end(w->round->inv, id);
}

static void full_begin(struct worker *w, uint32_t origin)
{
	const struct inventory_opts *opts = &w->round->how->opts;
	uint64_t now_us = fake_now_us(), again_us = 0;
	uint8_t id[ORIGIN_ID_LEN];
	uint32_t others;

	if (w->full_count == HELD_MAX)
		full_end(w);
	stock_id(id, origin);
	if (inventory_full_begin(w->round->inv, id, now_us, &again_us)) {
		w->did.full_waits++;
		if (again_us <= now_us)
			(void)ledger_complain("told to wait for nothing");
		return;
	}
	w->did.full_begun++;
	w->full[w->full_count++] = origin;
	others = __atomic_fetch_add(&w->round->full[origin], 1,
				    __ATOMIC_RELAXED);
	/* Where identities are forgotten, so is what they had under way. */
	if (opts->full_at_once && opts->sessions_max > origins &&
	    others >= opts->full_at_once)
		(void)ledger_complain("%u handshakes at once", others + 1);
}

static void step(struct worker *w)
{
	uint32_t origin = w->round->zipf[draw_below(&w->draw, ZIPF_SLOTS)];
	uint8_t id[ORIGIN_ID_LEN];

	if (w->held_count &&
	    draw_below(&w->draw, HELD_MAX) < w->held_count) {
		release(w);
		return;
	}
	switch (draw_below(&w->draw, 32)) {
	case 0 ... 13:
		take(w, origin);
		break;
	case 14 ... 25:
		give(w, origin);
		break;
	case 26:
		if (w->round->how->shares)
			share(w, origin);
		break;
	case 27:
		stock_id(id, origin);
		(void)inventory_is_full(w->round->inv, id); /* either is true */
		break;
	case 28:
		look(w);
		break;
	case 29:
		stock_id(id, origin);
		inventory_skip(w->round->inv, id);
		w->did.skips++;
		break;
	case 30:
		full_begin(w, origin);
		break;
	default:
		if (w->full_count)
			full_end(w);
		else if (w->round->how->drains &&
			 !draw_below(&w->draw, DRAIN_ONE_IN / 32))
			drain(w);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned int i;

	(void)pthread_barrier_wait(&w->round->start);	/* 0 or "the last" */
	ledger_starve(w->round->how->starve);
	while (real_ms() < w->round->deadline_ms && !ledger_is_full() &&
	       !ledger_wrong()) {
		for (i = 0; i < OPS_PER_LOOK; i++)
			step(w);
		/* One moves the clock for all, 50 ms on average. */
		if (!w->number)
			__atomic_fetch_add(&clock_us,
					   draw_below(&w->draw, 100000),
					   __ATOMIC_RELAXED);
	}
	while (w->held_count)
		release(w);
	while (w->full_count)
		full_end(w);
	ledger_starve(0);
	return NULL;
}

/* Identity k as often as 1 / (k + 1) says. */
static void fill_zipf(struct round *round)
{
	double sum = 0, at = 0;
	unsigned int k, slot = 0;

	for (k = 0; k < round->origins; k++)
		sum += 1.0 / (k + 1);
	for (k = 0; k < round->origins; k++) {
		at += 1.0 / (k + 1);
		while (slot < ZIPF_SLOTS && slot < at / sum * ZIPF_SLOTS)
			round->zipf[slot++] = (uint16_t)k;
	}
	while (slot < ZIPF_SLOTS)
		round->zipf[slot++] = 0;
}

static void add_tally(struct tally *sum, const struct tally *t)
{
	sum->takes += t->takes;
	sum->hits += t->hits;
	sum->none += t->none;
	sum->expired += t->expired;
	sum->taken += t->taken;
	sum->gives += t->gives;
	sum->shares += t->shares;
	sum->putbacks += t->putbacks;
	sum->spent += t->spent;
	sum->exports += t->exports;
	sum->skips += t->skips;
	sum->full_begun += t->full_begun;
	sum->full_waits += t->full_waits;
}

/* All threads are gone: nothing may be approximate. */
static void check_counts(struct __test_metadata *_metadata,
			 const struct round *round, const struct tally *did,
			 const struct inventory_stats *s)
{
	const struct inventory_opts *opts = &round->how->opts;
	uint64_t left;

	EXPECT_EQ(did->takes, s->takes);
	EXPECT_EQ(did->hits, s->hits);
	EXPECT_EQ(did->none, s->misses_none);
	EXPECT_EQ(did->expired, s->misses_expired);
	EXPECT_EQ(did->taken, s->misses_taken);
	EXPECT_EQ(did->skips, s->misses_policy);
	EXPECT_EQ(s->takes, s->hits + s->misses_none + s->misses_expired +
		  s->misses_taken);
	EXPECT_EQ(did->putbacks, s->putbacks);
	EXPECT_EQ(did->spent, s->spent);
	EXPECT_EQ(did->exports, s->exports);
	EXPECT_EQ(did->full_begun, s->full_begun);
	EXPECT_EQ(did->full_waits, s->full_waits);
	EXPECT_GE(did->gives + did->shares, s->gives);
	EXPECT_GE(opts->sessions_max, s->sessions);
	EXPECT_GE(opts->bytes_max, s->bytes);
	/* What came has gone, by one of these ways, or is there. */
	left = s->spent + s->evictions + s->expired + s->exports + s->sessions;
	if (!round->how->shares)
		EXPECT_EQ(s->gives, left);
	/* A shared one may have been replaced as well, which is not counted. */
	EXPECT_GE(s->gives, left);
	EXPECT_GE(left + did->shares, s->gives);
}

static void check_shards(struct __test_metadata *_metadata,
			 const struct inventory *inv,
			 const struct inventory_stats *all)
{
	struct inventory_stats sum = { 0 }, s;
	unsigned int i, k;

	/* Nothing but counters: as many numbers, of which each adds up. */
	for (i = 0; i < inventory_shards(inv); i++) {
		inventory_shard_stats(inv, i, &s);
		for (k = 0; k < sizeof(s) / sizeof(uint64_t); k++)
			((uint64_t *)&sum)[k] += ((uint64_t *)&s)[k];
	}
	EXPECT_EQ(0, memcmp(&sum, all, sizeof(sum)));
}

static void run_threads(struct __test_metadata *_metadata,
			struct round *round, struct tally *did)
{
	static struct worker workers[THREADS_MAX];
	pthread_t ids[THREADS_MAX];
	unsigned int i;

	for (i = 0; i < threads; i++) {
		workers[i] = (struct worker){
			.round = round,
			.number = i,
			.draw = draw_new(seed++),
		};
		ASSERT_EQ(0, pthread_create(&ids[i], NULL, work,
					    &workers[i]));
	}
	for (i = 0; i < threads; i++) {
		ASSERT_EQ(0, pthread_join(ids[i], NULL));
		add_tally(did, &workers[i].did);
	}
}

static void run_round(struct __test_metadata *_metadata,
		      const struct setting *how, uint64_t ms,
		      struct tally *total)
{
	static struct round round;
	struct inventory_stats s;
	struct tally did = { 0 };

	memset(&round, 0, sizeof(round));
	round.how = how;
	round.origins = how->origins_max ?
			MIN(how->origins_max, origins) : origins;
	fill_zipf(&round);
	ASSERT_EQ(0, ledger_open(ROUND_TICKETS));
	ASSERT_EQ(0, inventory_new(&how->opts, &round.inv));
	ASSERT_EQ(0, pthread_barrier_init(&round.start, NULL, threads));
	round.deadline_ms = real_ms() + ms;
	run_threads(_metadata, &round, &did);
	(void)pthread_barrier_destroy(&round.start);	/* nobody waits */
	inventory_stats(round.inv, &s);
	check_counts(_metadata, &round, &did, &s);
	check_shards(_metadata, round.inv, &s);
	inventory_free(round.inv);
	rcu_flush();
	EXPECT_EQ(NULL, ledger_wrong()) TH_LOG("%s", ledger_wrong());
	EXPECT_EQ(ledger_made(), ledger_freed());
	EXPECT_EQ(0, ledger_live());
	ledger_close();
	add_tally(total, &did);
}

FIXTURE(storm)
{
	struct tally did;
};

FIXTURE_VARIANT(storm)
{
	struct setting how;
};

#define MIB (1u << 20)

FIXTURE_VARIANT_ADD(storm, one_identity)
{
	.how = {
		.opts = { 100, MIB, 64, 0, 0 }, .origins_max = 1,
		.drains = true,
	},
};

FIXTURE_VARIANT_ADD(storm, one_ticket_each)
{
	.how = {
		.opts = { 10000, 64 * MIB, 1, 0, 0 }, .origins_max = 20,
	},
};

FIXTURE_VARIANT_ADD(storm, four_tickets_and_a_shared_one)
{
	.how = {
		.opts = { 10000, 64 * MIB, 4, 100, 4 }, .shares = true,
		.drains = true,
	},
};

FIXTURE_VARIANT_ADD(storm, room_for_a_few)
{
	.how = {
		.opts = { 16, MIB, 4, 0, 0 }, .drains = true,
	},
};

FIXTURE_VARIANT_ADD(storm, room_for_a_few_with_shared_ones)
{
	.how = {
		.opts = { 64, MIB, 4, 10, 0 }, .shares = true,
	},
};

FIXTURE_VARIANT_ADD(storm, many_shards_with_room_for_all)
{
	.how = {
		.opts = { MIB, 4096ull * MIB, 64, 0, 3 }, .drains = true,
	},
};

FIXTURE_VARIANT_ADD(storm, many_shards_with_little_memory)
{
	.how = {
		.opts = { 50000, MIB / 4, 64, 0, 0 }, .shares = true,
	},
};

FIXTURE_VARIANT_ADD(storm, hardly_any_memory)
{
	.how = {
		.opts = { 200, MIB, 8, 0, 0 }, .drains = true, .starve = 4,
	},
};

#define VARIANTS 8u

FIXTURE_SETUP(storm)
{
	(void)variant;
	fake = sys_real;
	fake.now_us = fake_now_us;
	fake.time_s = fake_time_s;
	ledger_watch(&fake);
	sys = &fake;
	clock_us = 1000ull * SECOND_US;
	self->did = (struct tally){ 0 };
}

FIXTURE_TEARDOWN(storm)
{
	sys = &sys_real;
	TH_LOG("%llu takes, %llu hits, %llu gives, %llu spent, %llu put back",
	       (unsigned long long)self->did.takes,
	       (unsigned long long)self->did.hits,
	       (unsigned long long)self->did.gives,
	       (unsigned long long)self->did.spent,
	       (unsigned long long)self->did.putbacks);
}

TEST_F_TIMEOUT(storm, loses_doubles_and_mixes_up_nothing, TEST_TIMEOUT_S)
{
	uint64_t end_ms = real_ms() + seconds * 1000ull / VARIANTS, now_ms;

	do {
		now_ms = real_ms();
		run_round(_metadata, &variant->how,
			  now_ms < end_ms ? MIN(end_ms - now_ms, ROUND_MS) : 1,
			  &self->did);
	} while (real_ms() < end_ms && !_metadata->exit_code);
}

static bool argument(int argc, char **argv, int n, unsigned int max,
		     unsigned int *out)
{
	unsigned long value;
	char *end;

	if (n >= argc || !isdigit((unsigned char)argv[n][0]))
		return true;
	value = strtoul(argv[n], &end, 10);
	if (*end || !value || value > max)
		return false;
	*out = (unsigned int)value;
	return true;
}

int main(int argc, char **argv)
{
	if (!argument(argc, argv, 1, TEST_TIMEOUT_S, &seconds) ||
	    !argument(argc, argv, 2, THREADS_MAX, &threads) ||
	    !argument(argc, argv, 3, ORIGINS_MAX, &origins)) {
		fprintf(stderr, "usage: inventory_test [seconds [threads <= %u "
			"[identities <= %u]]]\n", THREADS_MAX, ORIGINS_MAX);
		return KSFT_FAIL;
	}
	seed = draw_seed(1);
	printf("# %u s, %u threads, %u identities\n", seconds, threads,
	       origins);
	return test_harness_run(argc, argv);
}
