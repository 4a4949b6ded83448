// SPDX-License-Identifier: MIT
/*
 * The search for an order that explains a history. A state is which calls are
 * done and what the inventory holds then; all of it fits in 64 bits, which is
 * what the table of dead ends keeps. What a take gave is known, so a state has
 * one successor for each call that may be next. One thread at a time.
 */
#include "linear.h"

#include <stdio.h>
#include <string.h>

#define DEAD_SLOTS 4096u	/* a power of two */
#define DEAD_PROBES 16u

struct state {
	uint32_t done;		/* calls, a bit each */
	uint16_t bag;		/* tickets that can be taken, a bit each */
	uint8_t shared[LINEAR_IDENTITIES_MAX];	/* or LINEAR_MISS */
};

/* One history's. */
struct search {
	const struct linear_history *history;
	uint16_t of[LINEAR_IDENTITIES_MAX];	/* tickets ever put there */
	uint64_t dead[DEAD_SLOTS];		/* state + 1; 0: free */
};

static struct search search;

_Static_assert(LINEAR_OPS_MAX == 32 && LINEAR_TICKETS_MAX <= 14 &&
	       LINEAR_IDENTITIES_MAX == 2, "a state fits in 64 bits");

static uint64_t key_of(const struct state *s)
{
	/* plus one, for 0 is a free slot */
	return 1 + (s->done | (uint64_t)s->bag << 32 |
		    (uint64_t)s->shared[0] << 48 |
		    (uint64_t)s->shared[1] << 52);
}

static unsigned int slot_of(uint64_t key)
{
	return (unsigned int)(key * 0x9e3779b97f4a7c15u >> 40) &
	       (DEAD_SLOTS - 1);
}

static bool is_dead(uint64_t key)
{
	unsigned int i, slot = slot_of(key);

	for (i = 0; i < DEAD_PROBES; i++)
		if (search.dead[(slot + i) % DEAD_SLOTS] == key)
			return true;
	return false;
}

/* Where there is no room it is forgotten, and perhaps searched again. */
static void remember_dead(uint64_t key)
{
	unsigned int i, slot = slot_of(key);

	for (i = 0; i < DEAD_PROBES; i++)
		if (!search.dead[(slot + i) % DEAD_SLOTS]) {
			search.dead[(slot + i) % DEAD_SLOTS] = key;
			return;
		}
}

/*
 * What vanishes by itself may as well vanish when that is first needed: here,
 * before the shared session, or nothing, is given.
 */
static bool empty_bag(struct state *s, unsigned int identity)
{
	uint16_t there = s->bag & search.of[identity];

	if (there && !search.history->may_evict)
		return false;
	s->bag &= (uint16_t)~there;
	return true;
}

static bool apply_take(struct state *s, const struct linear_op *op)
{
	/* Of "nothing" and of an alien there is no bit in any bag. */
	uint16_t bit = (uint16_t)(1u << op->ticket);

	if (s->bag & bit & search.of[op->identity]) {
		s->bag &= (uint16_t)~bit;
		return true;
	}
	if (!empty_bag(s, op->identity))
		return false;
	if (op->ticket == LINEAR_MISS && search.history->may_evict)
		s->shared[op->identity] = LINEAR_MISS;
	return s->shared[op->identity] == op->ticket;
}

/* False: the call cannot be the next one. */
static bool apply(struct state *s, const struct linear_op *op)
{
	switch (op->call) {
	case LINEAR_TAKE:
		return apply_take(s, op);
	case LINEAR_PUT:
		s->bag |= (uint16_t)(1u << op->ticket);
		return true;
	default:
		s->shared[op->identity] = op->ticket;
		return true;
	}
}

/* The first end among the calls that are not done: none begins after it. */
static uint64_t first_end(uint32_t done)
{
	const struct linear_history *h = search.history;
	uint64_t first = UINT64_MAX;
	unsigned int i;

	for (i = 0; i < h->count; i++)
		if (!(done >> i & 1) && h->ops[i].end < first)
			first = h->ops[i].end;
	return first;
}

/* Recursion: as deep as a history has calls. */
static bool explains(struct state from)
{
	const struct linear_history *h = search.history;
	uint64_t end = first_end(from.done), key = key_of(&from);
	struct state to;
	unsigned int i;

	if (end == UINT64_MAX)
		return true;	/* all are done */
	if (is_dead(key))
		return false;
	for (i = 0; i < h->count; i++) {
		if (from.done >> i & 1 || h->ops[i].begin > end)
			continue;
		to = from;
		to.done |= 1u << i;
		if (apply(&to, &h->ops[i]) && explains(to))
			return true;
	}
	remember_dead(key);
	return false;
}

bool linear_is_legal(const struct linear_history *history)
{
	struct state start = { .shared = { LINEAR_MISS, LINEAR_MISS } };
	const struct linear_op *op;
	unsigned int i;

	memset(&search, 0, sizeof(search));
	search.history = history;
	for (i = 0; i < history->count; i++) {
		op = &history->ops[i];
		if (op->call != LINEAR_TAKE)
			search.of[op->identity] |= (uint16_t)(1u << op->ticket);
	}
	return explains(start);
}

bool linear_is_concurrent(const struct linear_history *history)
{
	const struct linear_op *ops = history->ops;
	unsigned int i, k;

	for (i = 0; i < history->count; i++)
		for (k = 0; k < i; k++)
			if (ops[i].begin < ops[k].end &&
			    ops[k].begin < ops[i].end)
				return true;
	return false;
}

void linear_print(const struct linear_history *history)
{
	static const char *const calls[] = {
		[LINEAR_TAKE] = "take", [LINEAR_PUT] = "put",
		[LINEAR_SHARE] = "share",
	};
	const struct linear_op *op;
	unsigned int i;

	for (i = 0; i < history->count; i++) {
		op = &history->ops[i];
		fprintf(stderr, "%llu-%llu: %s of %u: ",
			(unsigned long long)op->begin,
			(unsigned long long)op->end, calls[op->call],
			op->identity);
		if (op->ticket == LINEAR_MISS)
			fprintf(stderr, "nothing\n");
		else
			fprintf(stderr, "ticket %u\n", op->ticket);
	}
}
