// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: the inventory's calls happen at once. Two or three threads make
 * a handful of calls each, what they saw is a history, and each of very many
 * small histories must be explained by calls one after the other. The first
 * tests show that the judge of histories can say no.
 *
 * The inventory is compiled in here once more, with atomic accesses that take
 * their time: before each of them a thread may stop for a moment. So threads
 * meet in places where on their own they would once in a million times.
 *
 * KTC_SEED repeats what the threads do, not how they interleave.
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>

#include "atomic.h"

static void hesitate(void);

#undef load_relaxed
#define load_relaxed(p) (hesitate(), __atomic_load_n(p, __ATOMIC_RELAXED))
#undef load_acquire
#define load_acquire(p) (hesitate(), __atomic_load_n(p, __ATOMIC_ACQUIRE))
#undef load_seq_cst
#define load_seq_cst(p) (hesitate(), __atomic_load_n(p, __ATOMIC_SEQ_CST))
#undef swap_seq_cst
#define swap_seq_cst(p, v) \
	(hesitate(), __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST))
#undef cas_acq_rel
#define cas_acq_rel(p, expected, v) \
	(hesitate(), \
	 __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_ACQ_REL, \
				     __ATOMIC_ACQUIRE))
#undef cas_seq_cst
#define cas_seq_cst(p, expected, v) \
	(hesitate(), \
	 __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST, \
				     __ATOMIC_SEQ_CST))

/* NOLINTBEGIN(bugprone-suspicious-include): see above */
#include "table.c"
#include "shelf.c"
#include "stripe.c"
#include "entry.c"
#include "shard.c"
#include "inventory.c"
/* NOLINTEND(bugprone-suspicious-include) */

#include "linear.h"
#include "stock.h"

#include "kselftest_harness.h"

/* ------------------------------------------------- the judge itself -- */

static struct linear_history story;

static void tell(enum linear_call call, uint8_t identity, uint8_t ticket,
		 uint64_t begin, uint64_t end)
{
	story.ops[story.count++] = (struct linear_op){
		call, identity, ticket, begin, end,
	};
}

TEST(a_ticket_that_is_given_and_taken_is_legal)
{
	tell(LINEAR_PUT, 0, 0, 1, 2);
	tell(LINEAR_TAKE, 0, 0, 3, 4);
	tell(LINEAR_TAKE, 0, LINEAR_MISS, 5, 6);
	EXPECT_TRUE(linear_is_legal(&story));
	EXPECT_FALSE(linear_is_concurrent(&story));
}

TEST(a_take_may_overtake_the_give_it_overlaps)
{
	tell(LINEAR_PUT, 0, 0, 1, 6);
	tell(LINEAR_TAKE, 0, LINEAR_MISS, 2, 3);
	tell(LINEAR_TAKE, 0, 0, 4, 5);
	EXPECT_TRUE(linear_is_legal(&story));
	EXPECT_TRUE(linear_is_concurrent(&story));
}

TEST(a_ticket_out_of_the_middle_is_legal_and_a_lower_one_after_it)
{
	tell(LINEAR_PUT, 0, 0, 1, 2);
	tell(LINEAR_PUT, 0, 1, 3, 4);
	tell(LINEAR_TAKE, 0, 0, 5, 8);
	tell(LINEAR_TAKE, 0, 1, 6, 7);
	EXPECT_TRUE(linear_is_legal(&story));
}

TEST(a_ticket_given_twice_is_not_legal)
{
	tell(LINEAR_PUT, 0, 0, 1, 2);
	tell(LINEAR_TAKE, 0, 0, 3, 6);
	tell(LINEAR_TAKE, 0, 0, 4, 5);
	EXPECT_FALSE(linear_is_legal(&story));
	/* unless it was put back between the two */
	tell(LINEAR_PUT, 0, 0, 7, 8);
	EXPECT_FALSE(linear_is_legal(&story));
	tell(LINEAR_TAKE, 0, 0, 9, 10);
	EXPECT_FALSE(linear_is_legal(&story));
	story.ops[2].begin = 11;
	story.ops[2].end = 12;
	EXPECT_FALSE(linear_is_legal(&story));
	story.ops[4].ticket = LINEAR_MISS;
	story.ops[4].end = 13;
	EXPECT_TRUE(linear_is_legal(&story));
}

TEST(a_take_before_the_give_is_not_legal)
{
	tell(LINEAR_TAKE, 0, 0, 1, 2);
	tell(LINEAR_PUT, 0, 0, 3, 4);
	EXPECT_FALSE(linear_is_legal(&story));
	story.ops[0].end = 5;
	EXPECT_TRUE(linear_is_legal(&story));
}

TEST(a_miss_beside_a_ticket_is_not_legal)
{
	tell(LINEAR_PUT, 0, 0, 1, 2);
	tell(LINEAR_TAKE, 0, LINEAR_MISS, 3, 9);
	tell(LINEAR_PUT, 0, 1, 4, 5);
	tell(LINEAR_TAKE, 0, 0, 10, 11);
	tell(LINEAR_TAKE, 0, 1, 12, 13);
	EXPECT_FALSE(linear_is_legal(&story));
	/* a search that sees neither: one goes, but after the other came */
	story.ops[3].begin = 6;
	story.ops[3].end = 7;
	EXPECT_FALSE(linear_is_legal(&story));
}

TEST(a_ticket_of_another_identity_is_not_legal)
{
	tell(LINEAR_PUT, 0, 0, 1, 2);
	tell(LINEAR_TAKE, 1, 0, 3, 4);
	EXPECT_FALSE(linear_is_legal(&story));
	story.may_evict = true;
	EXPECT_FALSE(linear_is_legal(&story));
}

TEST(a_lost_ticket_is_not_legal)
{
	tell(LINEAR_PUT, 0, 0, 1, 2);
	tell(LINEAR_TAKE, 0, 0, 3, 4);
	tell(LINEAR_PUT, 0, 0, 5, 6);
	tell(LINEAR_TAKE, 0, LINEAR_MISS, 7, 8);
	EXPECT_FALSE(linear_is_legal(&story));
}

TEST(a_ticket_that_nobody_put_there_is_not_legal)
{
	tell(LINEAR_PUT, 0, 0, 1, 2);
	tell(LINEAR_TAKE, 0, LINEAR_ALIEN, 3, 4);
	EXPECT_FALSE(linear_is_legal(&story));
}

TEST(a_shared_session_stays_and_is_given_only_beside_an_empty_bag)
{
	tell(LINEAR_SHARE, 0, 5, 1, 2);
	tell(LINEAR_TAKE, 0, 5, 3, 4);
	tell(LINEAR_TAKE, 0, 5, 5, 6);
	EXPECT_TRUE(linear_is_legal(&story));
	tell(LINEAR_PUT, 0, 0, 7, 8);
	tell(LINEAR_TAKE, 0, 5, 9, 10);
	EXPECT_FALSE(linear_is_legal(&story));
	story.ops[3].end = 11;
	EXPECT_TRUE(linear_is_legal(&story));
}

TEST(a_replaced_session_does_not_come_back)
{
	tell(LINEAR_SHARE, 0, 5, 1, 2);
	tell(LINEAR_SHARE, 0, 6, 3, 8);
	tell(LINEAR_TAKE, 0, 6, 4, 5);
	tell(LINEAR_TAKE, 0, 5, 6, 7);
	EXPECT_FALSE(linear_is_legal(&story));
	story.ops[2].end = 7;
	EXPECT_TRUE(linear_is_legal(&story));
}

TEST(what_is_evicted_may_be_missed_but_is_never_taken_afterwards)
{
	story.may_evict = true;
	tell(LINEAR_PUT, 0, 0, 1, 2);
	tell(LINEAR_SHARE, 0, 5, 3, 4);
	tell(LINEAR_TAKE, 0, 5, 5, 6);
	EXPECT_TRUE(linear_is_legal(&story));
	tell(LINEAR_TAKE, 0, LINEAR_MISS, 7, 8);
	EXPECT_TRUE(linear_is_legal(&story));
	tell(LINEAR_TAKE, 0, 0, 9, 10);
	EXPECT_FALSE(linear_is_legal(&story));
}

/* ---------------------------------------------------- real histories -- */

#define HISTORIES 20000u
#define HISTORIES_PER_INVENTORY 250u
#define THREADS_MAX 3u
#define STEPS_MAX 5u
#define SINGLES_MAX 3u	/* for one identity: it never has to drop one */
#define SHARES_MAX 2u	/* for one identity */
#define SPIN_MAX 400u
#define HESITATE_ONE_IN 24u	/* accesses */
#define HESITATE_YIELD_ONE_IN 16u
#define HESITATE_MAX 1500u	/* turns of a loop */

enum kind {
	STEP_TAKE,
	STEP_GIVE,
	STEP_SHARE,
	STEP_RETURN,	/* puts back what was taken last */
	STEP_SPEND,
};

struct step {
	enum kind kind;
	uint8_t identity, ticket;
	uint16_t spin;
	bool yield;
};

struct taken {
	uint8_t identity, number;
};

/* One thread's part of a history. */
struct part {
	struct step steps[STEPS_MAX];
	unsigned int steps_count;
	struct linear_op ops[STEPS_MAX];
	unsigned int ops_count;
	struct taken taken[STEPS_MAX];
	unsigned int taken_count;
};

static struct sys_ops fake;
static struct inventory *inv;
static struct ticket *tickets[LINEAR_TICKETS_MAX];
static unsigned int tickets_count;
static uint8_t ids[LINEAR_IDENTITIES_MAX][ORIGIN_ID_LEN];
static struct part parts[THREADS_MAX];
static unsigned int parts_count;
static uint64_t stamp;		/* atomic */

/* The threads but the first, which draws and judges. */
static pthread_t helpers[THREADS_MAX];
static unsigned int turn, ready, done;	/* atomic */
static bool quit, pinned;	/* written before turn, read after */

static __thread struct draw hesitation;

static void hesitate(void)
{
	unsigned int spin;

	if (draw_below(&hesitation, HESITATE_ONE_IN))
		return;
	if (!draw_below(&hesitation, HESITATE_YIELD_ONE_IN))
		(void)sched_yield();	/* always 0 in Linux */
	for (spin = draw_below(&hesitation, HESITATE_MAX); spin; spin--)
		__asm__ volatile("");
}

static uint64_t fixed_time_s(void)
{
	return 1000;
}

/* Sequentially consistent: what ends before another begins is before it. */
static uint64_t next_stamp(void)
{
	return __atomic_add_fetch(&stamp, 1, __ATOMIC_SEQ_CST);
}

static uint8_t number_of(const struct ticket *ticket)
{
	unsigned int i;

	if (!ticket)
		return LINEAR_MISS;
	for (i = 0; i < tickets_count; i++)
		if (tickets[i] == ticket)
			return (uint8_t)i;
	return LINEAR_ALIEN;
}

static struct linear_op do_take(uint8_t identity)
{
	struct linear_op op = { .call = LINEAR_TAKE, .identity = identity };
	struct ticket *ticket;

	op.begin = next_stamp();
	(void)inventory_take(inv, ids[identity], &ticket); /* ticket says it */
	op.end = next_stamp();
	op.ticket = number_of(ticket);
	return op;
}

static struct linear_op do_put(uint8_t identity, uint8_t number, bool back)
{
	struct linear_op op = { LINEAR_PUT, identity, number, 0, 0 };
	struct ticket *ticket = tickets[number];

	op.begin = next_stamp();
	if (back)
		inventory_putback(inv, ids[identity], ticket);
	else
		inventory_give(inv, ids[identity], ticket);
	op.end = next_stamp();
	return op;
}

static struct linear_op do_share(uint8_t identity, uint8_t number)
{
	struct linear_op op = { LINEAR_SHARE, identity, number, 0, 0 };

	op.begin = next_stamp();
	inventory_share(inv, ids[identity], tickets[number]);
	op.end = next_stamp();
	return op;
}

/* Keeps a ticket for later; a reference to a shared one goes at once. */
static void keep_taken(struct part *part, const struct linear_op *op)
{
	struct ticket *ticket;

	if (op->ticket == LINEAR_MISS || op->ticket == LINEAR_ALIEN)
		return;
	ticket = tickets[op->ticket];
	if (ticket->single_use)
		part->taken[part->taken_count++] =
			(struct taken){ op->identity, op->ticket };
	else
		inventory_spend(inv, ticket);
}

static void do_step(struct part *part, const struct step *step)
{
	struct linear_op *op = &part->ops[part->ops_count];
	struct taken *last = NULL;

	if (part->taken_count)
		last = &part->taken[part->taken_count - 1];
	switch (step->kind) {
	case STEP_GIVE:
		*op = do_put(step->identity, step->ticket, false);
		break;
	case STEP_SHARE:
		*op = do_share(step->identity, step->ticket);
		break;
	case STEP_RETURN:
		if (!last)
			return;
		*op = do_put(last->identity, last->number, true);
		part->taken_count--;
		break;
	case STEP_SPEND:
		if (!last)
			return;
		inventory_spend(inv, tickets[last->number]);
		part->taken_count--;
		return;
	default:
		*op = do_take(step->identity);
		keep_taken(part, op);
	}
	part->ops_count++;
}

static void run_part(struct part *part)
{
	unsigned int i, spin;

	/* All at once: the last to come lets all go. */
	__atomic_add_fetch(&ready, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) < parts_count)
		(void)sched_yield();	/* always 0 in Linux */
	for (i = 0; i < part->steps_count; i++) {
		for (spin = part->steps[i].spin; spin; spin--)
			__asm__ volatile("");
		if (part->steps[i].yield)
			(void)sched_yield();	/* as above */
		do_step(part, &part->steps[i]);
	}
	for (i = 0; i < part->taken_count; i++)
		inventory_spend(inv, tickets[part->taken[i].number]);
}

/* On a processor of its own, as far as there are some; or on any. */
static void pin(unsigned int thread)
{
	static __thread cpu_set_t all;
	static __thread bool known;
	unsigned int cpu, nth;
	cpu_set_t one;

	if (!known && sched_getaffinity(0, sizeof(all), &all))
		return;	/* then it runs where it runs */
	known = true;
	nth = thread % (unsigned int)CPU_COUNT(&all);
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all) && !nth--)
			break;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	/* Where it is forbidden, as above. */
	(void)sched_setaffinity(0, sizeof(one), pinned ? &one : &all);
}

static void *help(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg, seen = 0, now;
	bool is_pinned = false;

	hesitation = draw_new(me);
	for (;;) {
		while ((now = __atomic_load_n(&turn, __ATOMIC_ACQUIRE)) == seen)
			(void)sched_yield();	/* always 0 in Linux */
		seen = now;
		if (quit)
			break;
		if (is_pinned != pinned) {
			pin(me);
			is_pinned = pinned;
		}
		if (me < parts_count)
			run_part(&parts[me]);
		__atomic_add_fetch(&done, 1, __ATOMIC_ACQ_REL);
	}
	return NULL;
}

static void run_parts(void)
{
	ready = 0;
	done = 0;
	/* Release: all that the helpers read is written. Pairs with help(). */
	__atomic_add_fetch(&turn, 1, __ATOMIC_RELEASE);
	run_part(&parts[0]);
	/* Acquire: all that the helpers wrote can be read. */
	while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) < THREADS_MAX - 1)
		(void)sched_yield();	/* always 0 in Linux */
}

static uint8_t new_ticket(bool single_use)
{
	tickets[tickets_count] = stock_ticket(single_use, 2000);
	return (uint8_t)tickets_count++;
}

struct purse {
	unsigned int singles[LINEAR_IDENTITIES_MAX];
	unsigned int shares[LINEAR_IDENTITIES_MAX];
};

static struct step draw_step(struct draw *draw, unsigned int identities,
			     struct purse *purse)
{
	static const enum kind kinds[] = {
		STEP_TAKE, STEP_TAKE, STEP_TAKE, STEP_TAKE, STEP_TAKE,
		STEP_GIVE, STEP_GIVE, STEP_GIVE, STEP_RETURN, STEP_RETURN,
		STEP_RETURN, STEP_SPEND, STEP_SHARE,
	};
	uint8_t identity = (uint8_t)draw_below(draw, identities);
	struct step step = {
		.kind = kinds[draw_below(draw, ARRAY_SIZE(kinds))],
		.identity = identity,
		.spin = (uint16_t)draw_below(draw, SPIN_MAX),
		.yield = !draw_below(draw, 8),
	};

	if (step.kind == STEP_GIVE && purse->singles[identity])
		purse->singles[identity]--;
	else if (step.kind == STEP_SHARE && purse->shares[identity])
		purse->shares[identity]--;
	else if (step.kind == STEP_GIVE || step.kind == STEP_SHARE)
		step.kind = STEP_TAKE;
	if (step.kind == STEP_GIVE || step.kind == STEP_SHARE)
		step.ticket = new_ticket(step.kind == STEP_GIVE);
	return step;
}

static void draw_parts(struct draw *draw, unsigned int identities,
		       struct purse *purse)
{
	struct part *part;
	unsigned int i, k;

	parts_count = 2 + draw_below(draw, THREADS_MAX - 1);
	for (i = 0; i < parts_count; i++) {
		part = &parts[i];
		memset(part, 0, sizeof(*part));
		part->steps_count = 3 + draw_below(draw, STEPS_MAX - 2);
		for (k = 0; k < part->steps_count; k++)
			part->steps[k] = draw_step(draw, identities, purse);
	}
}

static void record(const struct linear_op *op)
{
	story.ops[story.count++] = *op;
}

/* What is there before the threads begin. */
static void fill(const unsigned int count[LINEAR_IDENTITIES_MAX])
{
	struct linear_op op;
	uint8_t ticket = 0, i;
	unsigned int n;

	for (i = 0; i < LINEAR_IDENTITIES_MAX; i++)
		for (n = 0; n < count[i]; n++) {
			op = do_put(i, ticket++, false);
			record(&op);
		}
}

/* What is left after them: nothing may be lost. */
static void empty(unsigned int identities)
{
	struct linear_op op;
	bool more;
	unsigned int i;

	for (i = 0; i < identities; i++)
		do {
			op = do_take((uint8_t)i);
			record(&op);
			more = op.ticket < LINEAR_ALIEN &&
			       tickets[op.ticket]->single_use;
			if (op.ticket < LINEAR_ALIEN)
				inventory_spend(inv, tickets[op.ticket]);
		} while (more && story.count < LINEAR_OPS_MAX);
}

static void make_history(struct draw *draw, uint64_t number, bool may_evict)
{
	unsigned int identities = 1 + draw_below(draw, LINEAR_IDENTITIES_MAX);
	struct purse purse = {
		{ SINGLES_MAX, SINGLES_MAX }, { SHARES_MAX, SHARES_MAX },
	};
	unsigned int first[LINEAR_IDENTITIES_MAX] = { 0 };
	unsigned int i, k;

	memset(&story, 0, sizeof(story));
	story.may_evict = may_evict;
	tickets_count = 0;
	stamp = 0;
	/* All tickets are made first: no address comes twice in a history. */
	for (i = 0; i < identities; i++) {
		stock_id(ids[i], number * LINEAR_IDENTITIES_MAX + i);
		first[i] = draw_below(draw, SINGLES_MAX);
		purse.singles[i] -= first[i];
		for (k = 0; k < first[i]; k++)
			(void)new_ticket(true);	/* numbered from 0 */
	}
	draw_parts(draw, identities, &purse);
	fill(first);
	run_parts();
	for (i = 0; i < parts_count; i++)
		for (k = 0; k < parts[i].ops_count; k++)
			record(&parts[i].ops[k]);
	empty(identities);
}

FIXTURE(histories)
{
	unsigned int concurrent;
};

FIXTURE_VARIANT(histories)
{
	struct inventory_opts opts;
	bool may_evict;
};

FIXTURE_VARIANT_ADD(histories, with_room)
{
	.opts = { 4096, 1 << 30, 16, 0, 0 },
};

FIXTURE_VARIANT_ADD(histories, with_room_for_two_sessions)
{
	.opts = { 2, 1 << 30, 16, 0, 0 },
	.may_evict = true,
};

FIXTURE_SETUP(histories)
{
	uintptr_t i;

	(void)variant;
	fake = sys_real;
	fake.time_s = fixed_time_s;
	sys = &fake;
	self->concurrent = 0;
	for (i = 1; i < THREADS_MAX; i++)
		ASSERT_EQ(0, pthread_create(&helpers[i], NULL, help,
					    (void *)i));
}

FIXTURE_TEARDOWN(histories)
{
	unsigned int i;

	quit = true;
	/* Release: pairs with the acquire in help(), which reads quit then. */
	__atomic_add_fetch(&turn, 1, __ATOMIC_RELEASE);
	for (i = 1; i < THREADS_MAX; i++)
		EXPECT_EQ(0, pthread_join(helpers[i], NULL));
	TH_LOG("%u of %u histories had calls that overlapped",
	       self->concurrent, HISTORIES);
}

TEST_F(histories, are_linearizable)
{
	struct draw draw = draw_new(draw_seed(1));
	unsigned int i;

	for (i = 0; i < HISTORIES; i++) {
		if (i % HISTORIES_PER_INVENTORY == 0) {
			inventory_free(inv);
			ASSERT_EQ(0, inventory_new(&variant->opts, &inv));
			/* Side by side, and as the scheduler likes. */
			pinned = !pinned;
			pin(0);
		}
		make_history(&draw, i, variant->may_evict);
		self->concurrent += linear_is_concurrent(&story);
		if (linear_is_legal(&story))
			continue;
		linear_print(&story);
		EXPECT_TRUE(false) TH_LOG("history %u has no explanation", i);
		break;
	}
	inventory_free(inv);
}

/* ------------------------------------------------------- one thread -- */

#define STACK_MAX 3u

/* What one identity has, in the order it must come in. */
struct stack {
	struct ticket *tickets[STACK_MAX];
	unsigned int count;
};

static struct ticket *pop(struct stack *stack)
{
	return stack->count ? stack->tickets[--stack->count] : NULL;
}

static void push(struct stack *stack, struct ticket *ticket)
{
	stack->tickets[stack->count++] = ticket;
}

TEST(one_thread_gets_the_newest_first)
{
	static const struct inventory_opts opts = { 100, 1 << 20, 16, 0, 0 };
	struct stack stacks[4] = { 0 }, hands[4] = { 0 };
	struct draw draw = draw_new(draw_seed(2));
	uint8_t id[ORIGIN_ID_LEN];
	struct ticket *ticket;
	unsigned int n, i;

	fake = sys_real;
	fake.time_s = fixed_time_s;
	sys = &fake;
	ASSERT_EQ(0, inventory_new(&opts, &inv));
	for (n = 0; n < 100000; n++) {
		i = draw_below(&draw, ARRAY_SIZE(stacks));
		stock_id(id, i);
		if (draw_below(&draw, 2)) {
			(void)inventory_take(inv, id, &ticket);
			ASSERT_EQ(pop(&stacks[i]), ticket);
			if (ticket)
				push(&hands[i], ticket);
		} else if (hands[i].count && draw_below(&draw, 2)) {
			ticket = pop(&hands[i]);
			push(&stacks[i], ticket);
			inventory_putback(inv, id, ticket);
		} else if (hands[i].count) {
			inventory_spend(inv, pop(&hands[i]));
		} else if (stacks[i].count < STACK_MAX) {
			ticket = stock_ticket(true, 2000);
			push(&stacks[i], ticket);
			inventory_give(inv, id, ticket);
		}
	}
	for (i = 0; i < ARRAY_SIZE(hands); i++)
		while (hands[i].count)
			inventory_spend(inv, pop(&hands[i]));
	inventory_free(inv);
}

TEST_HARNESS_MAIN
