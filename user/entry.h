/* SPDX-License-Identifier: MIT */
/*
 * What is known of one identity: its tickets, its shared session, how many
 * tickets are worth keeping, its budget of full handshakes. Callers are inside
 * an RCU section; any thread.
 */
#ifndef KTC_ENTRY_H
#define KTC_ENTRY_H

#include <stdalign.h>

#include "budget.h"
#include "mem.h"
#include "origin.h"
#include "quota.h"
#include "rcu.h"
#include "stripe.h"
#include "table.h"
#include "ticket.h"

struct entry {
	/* what few operations look at */
	struct rcu_head rcu;
	uint64_t remember_until_s;	/* constant; without a ticket too */
	struct budget full;
	struct ticket *shared;
	/* what all look at, in a line that few write */
	alignas(MEM_LINE) struct table_node node; /* of the shard's table */
	uint8_t id[ORIGIN_ID_LEN];
	uint64_t reserved;		/* depth and bytes a ticket, or DEAD */
	uint32_t stripes;		/* constant, a power of two */
	uint32_t seat;			/* of the shard's clock */
	/* what each group has to itself */
	struct stripe stripe[];
};

/* Who asks, when, within what. */
struct asker {
	struct quota *quota;	/* of the entry's shard */
	uint64_t *numbers;	/* drawn so far, of the shard and the group */
	uint64_t now_s;
	uint64_t bytes_max;	/* of one identity's tickets */
	uint32_t stripe;	/* the group */
	uint32_t stripes;	/* of all groups, a power of two */
	uint32_t depth_max;
};

/* A number that no other operation on the shard gets: see shelf.h. */
static inline uint64_t entry_number(const struct asker *asker)
{
	/* Relaxed: the exchange that uses it publishes it. */
	return add_relaxed(asker->numbers, 1) * asker->stripes +
	       asker->stripe + 1;
}

/* Bytes to set aside for an entry, all stripes included. */
size_t entry_size(uint32_t stripes);

/* NULL without memory. */
struct entry *entry_new(const uint8_t id[ORIGIN_ID_LEN], uint32_t stripes);

/* At once, with all that is in it; nobody else may see it any more. */
void entry_free(struct entry *entry);

/* The same after the readers of today. */
void entry_free_later(struct entry *entry);

/* Its part of the entry, for the group. */
static inline struct stripe *entry_stripe(struct entry *entry,
					  const struct asker *asker)
{
	return &entry->stripe[asker->stripe];
}

/* One more connection under way that wanted a ticket. */
void entry_ask(struct entry *entry, const struct asker *asker);

/*
 * Asked for again, which is what makes it worth its memory; and whether it was,
 * since this was asked last.
 */
void entry_use(struct entry *entry, const struct asker *asker);
bool entry_was_used(struct entry *entry);

/*
 * What came to it has expired, taken meanwhile or not, and it is not to be
 * remembered without a ticket either.
 */
bool entry_is_stale(const struct entry *entry, uint64_t now_s);

/* The newest single-use ticket, or NULL when there was none at a moment. */
struct ticket *entry_take(struct entry *entry, const struct asker *asker);

/* What entry_put() is to do besides. */
#define ENTRY_CAME	(1U << 0) /* it answers an entry_ask() */
#define ENTRY_NO_GROW	(1U << 1) /* sets no more aside: drops for it */

/*
 * Keeps a single-use ticket; those that had to go for it are added to
 * *dropped. 0; -ESTALE: the entry is dead, take another; -ENOSPC: the quota is
 * used up; -E2BIG: such tickets would be too much for one identity; -EBUSY:
 * others are at all its places; -ENOMEM. The ticket is the caller's unless 0.
 */
int entry_put(struct entry *entry, const struct asker *asker,
	      unsigned int flags, struct ticket *ticket,
	      struct ticket **dropped);

/*
 * Keeps a shared session in place of the one there, which is added to
 * *replaced; returns as entry_put(). After a failure others may still be
 * looking at it: ticket_put_later().
 */
int entry_share(struct entry *entry, const struct asker *asker,
		struct ticket *ticket, unsigned int *replaced);

/*
 * A reference to the shared session, or NULL, for a caller whose entry_take()
 * found nothing. 0; -ETIME: there was one, its time was over, and it has
 * left; -EAGAIN: there are single-use tickets after all.
 */
int entry_shared(struct entry *entry, const struct asker *asker,
		 struct ticket **out);

/* As many single-use tickets as are worth keeping? */
bool entry_is_full(const struct entry *entry, const struct asker *asker);

/* It had a single-use ticket once. */
bool entry_had_tickets(const struct entry *entry);

/*
 * No ticket is kept here any more: all are added to *dropped, and what was set
 * aside goes back to the quota. Once; the caller has taken the entry out of
 * table and clock. How many shared sessions went is added to *shared.
 */
void entry_kill(struct entry *entry, const struct asker *asker,
		struct ticket **dropped, unsigned int *shared);

#endif /* KTC_ENTRY_H */
