/* SPDX-License-Identifier: MIT */
/*
 * What one group of threads has of an identity: its tickets, on shelves, and
 * how many it would have needed at once. Any thread, for others may take from
 * it too; inside an RCU section. The numbers are as shelf.h wants them.
 */
#ifndef KTC_STRIPE_H
#define KTC_STRIPE_H

#include <stdalign.h>

#include "mem.h"
#include "shelf.h"
#include "ticket.h"

#define STRIPE_PLACES 8u	/* of the first shelf */

struct stripe {
	alignas(MEM_LINE) struct shelf *newest;
	uint64_t fresh_until_s;	/* what this group put lives no longer */
	uint64_t peak_s;	/* when the peak was seen last */
	uint16_t asked;		/* connections under way, about */
	uint16_t peak;		/* and at their highest of late */
	bool used;		/* asked for again; of the shard's clock */
	union {
		struct shelf shelf;
		unsigned char bytes[SHELF_SIZE(STRIPE_PLACES)];
	} first;
};

/* The memory is zero. */
void stripe_init(struct stripe *stripe);
/* With the tickets in it; nobody else may see it. */
void stripe_fini(struct stripe *stripe);

/* It will be needed soon. */
static inline void stripe_prefetch(const struct stripe *stripe)
{
	__builtin_prefetch(stripe, 1);
	__builtin_prefetch((const char *)stripe + MEM_LINE, 1);
}

struct ticket *stripe_take(struct stripe *stripe, uint64_t number);
/* And its place is closed. */
struct ticket *stripe_take_oldest(struct stripe *stripe, uint64_t number);

/* Into an empty place; NULL: there is none. */
uintptr_t *stripe_put(struct stripe *stripe, struct ticket *ticket);
/* Into a place that is opened for it; NULL: none is closed. */
uintptr_t *stripe_open_put(struct stripe *stripe, struct ticket *ticket);
/*
 * Sees to it that depth places may be open, of which the identity's other
 * stripes have theirs. 0 or -ENOMEM.
 */
int stripe_deepen(struct stripe *stripe, uint32_t depth);

bool stripe_close(struct stripe *stripe, uint64_t number);
/* What is in it lives until then, at least. */
void stripe_live_until(struct stripe *stripe, uint64_t until_s);
bool stripe_has_room(const struct stripe *stripe);
bool stripe_is_empty(const struct stripe *stripe, uint64_t *mark);

/* Demand: one asked, one got an answer, time went by. An estimate. */
void stripe_ask(struct stripe *stripe, uint32_t max, uint64_t now_s);
void stripe_answer(struct stripe *stripe);
void stripe_decay(struct stripe *stripe, uint64_t now_s);

#endif /* KTC_STRIPE_H */
