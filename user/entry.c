// SPDX-License-Identifier: MIT
/*
 * One identity. Threads are in groups, and each group has a stripe of the
 * entry, with cache lines of its own: two threads that use one identity at the
 * same time do not meet, unless one has run out and looks at the other's.
 *
 *	entry: id, reserved = { depth, bytes a ticket }, shared session
 *	  stripe[0]: newest shelf -> older shelf -> ... , demand
 *	  stripe[1]: ...
 *
 * - Depth is how many tickets the shard's quota has been charged for, and how
 *   many places are open on the shelves of all stripes. Whoever takes leaves
 *   an open, empty place, where the next is put; without one in its own
 *   stripe it closes one elsewhere to open one here. So there are never more
 *   tickets than depth, and no counter of them.
 * - Depth follows demand: the connections that asked and had no ticket come
 *   yet, at their highest, halved when they have not been so many for a
 *   while. It grows when a ticket comes and no place is empty.
 * - An entry dies once: reserved becomes DEAD. Who put a ticket looks at
 *   reserved after it, who killed looks at all places after it; one of them
 *   finds the ticket (both sides sequentially consistent). So none is lost in
 *   an entry that nobody can find any more.
 */
#include "entry.h"

#include <errno.h>
#include <string.h>

#include "limit.h"
#include "util.h"

#define DEAD UINT64_MAX

#define BYTES_STEP 256u		/* bytes a ticket are counted in steps of it */
#define PLACE_BYTES 32u		/* a ticket's places in one stripe */
#define TRIES 4u		/* for a place that others hold in a call */

static uint32_t depth_of(uint64_t reserved)
{
	return (uint32_t)reserved;
}

static uint32_t bytes_of(uint64_t reserved)
{
	return (uint32_t)(reserved >> 32);
}

static uint64_t reserve(uint32_t depth, uint32_t bytes)
{
	return (uint64_t)bytes << 32 | depth;
}

/* ------------------------------------------------------------- the whole -- */

size_t entry_size(uint32_t stripes)
{
	return sizeof(struct entry) + stripes * sizeof(struct stripe);
}

struct entry *entry_new(const uint8_t id[ORIGIN_ID_LEN], uint32_t stripes)
{
	struct entry *entry = mem_zalloc_lines(entry_size(stripes));
	uint32_t i;

	if (!entry)
		return NULL;
	memcpy(entry->id, id, ORIGIN_ID_LEN);
	entry->stripes = stripes;
	for (i = 0; i < stripes; i++)
		stripe_init(&entry->stripe[i]);
	return entry;
}

void entry_free(struct entry *entry)
{
	uint32_t i;

	for (i = 0; i < entry->stripes; i++)
		stripe_fini(&entry->stripe[i]);
	ticket_put(entry->shared);
	mem_free_lines(entry);
}

static void free_deferred(struct rcu_head *head)
{
	rcu_deferred(head);
	entry_free(container_of(head, struct entry, rcu));
}

void entry_free_later(struct entry *entry)
{
	rcu_defer(&entry->rcu, free_deferred);
}

/* The stripes in turn, the asker's own first; NULL after the last. */
static struct stripe *stripe_next(struct entry *entry,
				  const struct asker *asker, uint32_t *i)
{
	if (*i == entry->stripes)
		return NULL;
	return &entry->stripe[(asker->stripe + (*i)++) & (entry->stripes - 1)];
}

/* Relaxed: a mark. Written only when it is not set. */
void entry_use(struct entry *entry, const struct asker *asker)
{
	struct stripe *stripe = entry_stripe(entry, asker);

	if (!load_relaxed(&stripe->used))
		store_relaxed(&stripe->used, true);
}

bool entry_was_used(struct entry *entry)
{
	bool used = false;
	uint32_t i;

	for (i = 0; i < entry->stripes; i++) {
		if (!load_relaxed(&entry->stripe[i].used))
			continue;
		store_relaxed(&entry->stripe[i].used, false);
		used = true;
	}
	return used;
}

/* Relaxed: who acts on it looks at each ticket again. */
static uint64_t fresh_until_s(const struct entry *entry)
{
	uint64_t until_s = 0;
	uint32_t i;

	for (i = 0; i < entry->stripes; i++)
		until_s = MAX(until_s,
			      load_relaxed(&entry->stripe[i].fresh_until_s));
	return until_s;
}

bool entry_is_stale(const struct entry *entry, uint64_t now_s)
{
	return now_s >= fresh_until_s(entry) &&
	       now_s >= entry->remember_until_s;
}

/* ----------------------------------------------------------------- depth -- */

void entry_ask(struct entry *entry, const struct asker *asker)
{
	stripe_ask(entry_stripe(entry, asker), asker->depth_max, asker->now_s);
}

/* How many tickets are worth keeping. Relaxed: an estimate. */
static uint32_t depth_wanted(const struct entry *entry,
			     const struct asker *asker)
{
	uint32_t sum = 0, i;

	for (i = 0; i < entry->stripes; i++)
		sum += load_relaxed(&entry->stripe[i].peak);
	return MIN(MAX(sum, LIMIT_DEPTH_START), asker->depth_max);
}

/* All tickets of an entry are counted as large as the largest was. */
static int widen(struct entry *entry, const struct asker *asker,
		 uint32_t bytes)
{
	uint32_t all = bytes + PLACE_BYTES * entry->stripes;
	uint32_t want = (all + BYTES_STEP - 1) / BYTES_STEP * BYTES_STEP;
	/* Relaxed: the exchange below judges. */
	uint64_t now = load_relaxed(&entry->reserved);
	uint64_t more;

	for (;;) {
		if (now == DEAD)
			return -ESTALE;
		if (bytes_of(now) >= want)
			return 0;
		if ((uint64_t)want * MAX(depth_of(now), 1) > asker->bytes_max)
			return -E2BIG;
		more = (uint64_t)(want - bytes_of(now)) * depth_of(now);
		if (!quota_take(asker->quota, 0, more))
			return -ENOSPC;
		/* Before the put; pairs with entry_had_tickets(). */
		if (cas_seq_cst(&entry->reserved, &now,
				reserve(depth_of(now), want)))
			return 0;
		quota_give(asker->quota, 0, more);
	}
}

/* One more place may be opened. -EDQUOT: it is deep enough. */
static int deepen(struct entry *entry, const struct asker *asker)
{
	uint32_t wanted = depth_wanted(entry, asker);
	/* Relaxed, as the exchange: a number, which publishes nothing. */
	uint64_t now = load_relaxed(&entry->reserved);
	uint32_t bytes;

	for (;;) {
		if (now == DEAD)
			return -ESTALE;
		bytes = bytes_of(now);
		if (depth_of(now) >= wanted ||
		    (depth_of(now) + 1ull) * bytes > asker->bytes_max)
			return -EDQUOT;
		if (!quota_take(asker->quota, 1, bytes))
			return -ENOSPC;
		if (cas_relaxed(&entry->reserved, &now, now + 1))
			return 0;
		/* what was paid, not what was found now */
		quota_give(asker->quota, 1, bytes);
	}
}

/* A place that we have closed is not opened again. */
static void flatten(struct entry *entry, const struct asker *asker)
{
	/* Relaxed, as the exchange: as in deepen(). */
	uint64_t now = load_relaxed(&entry->reserved);

	do {
		if (now == DEAD)
			return;	/* entry_kill() has given all back */
	} while (!cas_relaxed(&entry->reserved, &now, now - 1));
	quota_give(asker->quota, 1, bytes_of(now));
}

/* ---------------------------------------------------- single-use tickets -- */

static bool close_any(struct entry *entry, const struct asker *asker)
{
	uint64_t number = entry_number(asker);
	struct stripe *stripe;
	uint32_t i = 0;

	while ((stripe = stripe_next(entry, asker, &i)))
		if (stripe_close(stripe, number))
			return true;
	return false;
}

/* The oldest of the asker's, else of another's; its place is closed. */
static bool close_oldest(struct entry *entry, const struct asker *asker,
			 struct ticket **dropped)
{
	uint64_t number = entry_number(asker);
	struct stripe *stripe;
	struct ticket *oldest;
	uint32_t i = 0;

	while ((stripe = stripe_next(entry, asker, &i))) {
		oldest = stripe_take_oldest(stripe, number);
		if (oldest) {
			ticket_push(dropped, oldest);
			return true;
		}
	}
	return false;
}

/*
 * No place is empty and there will be no more: the oldest ticket's becomes
 * ours, and those beyond what is wanted now are given up. -EBUSY: all of them
 * are in others' hands.
 */
static int wrest(struct entry *entry, const struct asker *asker,
		 struct ticket **dropped)
{
	unsigned int tries = 0;

	while (tries++ < TRIES) {
		uint64_t now;

		if (!close_oldest(entry, asker, dropped) &&
		    !close_any(entry, asker))
			continue;
		/* Relaxed: a number; death is looked for after the put. */
		now = load_relaxed(&entry->reserved);
		if (now == DEAD)
			return -ESTALE;
		if (depth_of(now) <= depth_wanted(entry, asker))
			return 0;
		flatten(entry, asker);
		tries = 0;
	}
	return -EBUSY;
}

/* After 0 the caller may open a place. */
static int make_room(struct entry *entry, const struct asker *asker,
		     unsigned int flags, struct ticket **dropped)
{
	int err = -EDQUOT;
	uint32_t i;

	if (close_any(entry, asker))
		return 0;
	for (i = 0; i < entry->stripes; i++)
		stripe_decay(&entry->stripe[i], asker->now_s);
	if (!(flags & ENTRY_NO_GROW))
		err = deepen(entry, asker);
	if (err != -EDQUOT)
		return err;
	return wrest(entry, asker, dropped);
}

/* Opens a place for the ticket, which the caller may do. */
static int open_place(struct entry *entry, const struct asker *asker,
		      struct ticket *ticket, uintptr_t **place)
{
	struct stripe *stripe = entry_stripe(entry, asker);
	uint64_t now;

	for (;;) {
		/*
		 * In a dead one there need be no closed place. Relaxed: as
		 * in wrest().
		 */
		now = load_relaxed(&entry->reserved);
		if (now == DEAD)
			return -ESTALE;
		*place = stripe_open_put(stripe, ticket);
		if (*place)
			return 0;
		/*
		 * On a shelf of depth places one is closed, for ours is not
		 * open yet. It was not where and when we looked: then others
		 * were at work, and we look again.
		 */
		if (stripe_deepen(stripe, depth_of(now))) {
			flatten(entry, asker);
			return -ENOMEM;
		}
	}
}

int entry_put(struct entry *entry, const struct asker *asker,
	      unsigned int flags, struct ticket *ticket,
	      struct ticket **dropped)
{
	struct stripe *stripe = entry_stripe(entry, asker);
	uintptr_t *place;
	int err;

	err = widen(entry, asker, ticket->bytes);
	if (err)
		return err;
	stripe_live_until(stripe, ticket->expires_s);
	place = stripe_put(stripe, ticket);
	if (!place)
		err = make_room(entry, asker, flags, dropped);
	if (!place && !err)
		err = open_place(entry, asker, ticket, &place);
	if (err)
		return err;
	if (flags & ENTRY_CAME)
		stripe_answer(stripe);
	/* After the put; pairs with the exchange in entry_kill(). */
	if (load_seq_cst(&entry->reserved) == DEAD &&
	    shelf_withdraw(place, ticket, entry_number(asker)))
		return -ESTALE;
	return 0;
}

static bool looks_empty(const struct entry *entry, uint64_t *mark)
{
	uint32_t i;

	*mark = 0;
	for (i = 0; i < entry->stripes; i++)
		if (!stripe_is_empty(&entry->stripe[i], mark))
			return false;
	return true;
}

/*
 * Two looks at all places with the same mark (64 bits of hash over what was
 * seen) show that nothing was put between, so at the end of the first every
 * place was empty at once. Else we go on, and another has got on meanwhile.
 */
static bool is_empty(const struct entry *entry)
{
	uint64_t first, second;

	return looks_empty(entry, &first) && looks_empty(entry, &second) &&
	       first == second;
}

static struct ticket *take_any(struct entry *entry, const struct asker *asker,
			       uint64_t number)
{
	struct stripe *stripe;
	struct ticket *ticket;
	uint32_t i = 0;

	while ((stripe = stripe_next(entry, asker, &i))) {
		ticket = stripe_take(stripe, number);
		if (ticket)
			return ticket;
	}
	return NULL;
}

struct ticket *entry_take(struct entry *entry, const struct asker *asker)
{
	uint64_t number = entry_number(asker);
	struct ticket *ticket;

	do {
		ticket = take_any(entry, asker, number);
	} while (!ticket && !is_empty(entry));
	return ticket;
}

bool entry_is_full(const struct entry *entry, const struct asker *asker)
{
	/* Relaxed: an answer that may be old when it arrives anyway. */
	uint64_t now = load_relaxed(&entry->reserved);
	uint32_t i;

	if (now == DEAD ||
	    asker->now_s + LIMIT_TICKET_MARGIN_S >= fresh_until_s(entry))
		return false;
	if (depth_of(now) < depth_wanted(entry, asker))
		return false;
	for (i = 0; i < entry->stripes; i++)
		if (stripe_has_room(&entry->stripe[i]))
			return false;
	return true;
}

bool entry_had_tickets(const struct entry *entry)
{
	/* Pairs with the exchange in widen(): it comes before every put. */
	uint64_t now = load_seq_cst(&entry->reserved);

	return now != DEAD && bytes_of(now);
}

/* ------------------------------------------------------- shared sessions -- */

static void drop_shared(const struct asker *asker, struct ticket *ticket)
{
	quota_give(asker->quota, 1, ticket->bytes);
	/* readers of today may be about to take a reference */
	ticket_put_later(ticket);
}

/* Takes the shared session out if it is this one. */
static bool shared_out(struct entry *entry, const struct asker *asker,
		       struct ticket *ticket)
{
	struct ticket *expected = ticket;

	/* It was published before; this only ends that. */
	if (!cas_seq_cst(&entry->shared, &expected, NULL))
		return false;
	drop_shared(asker, ticket);
	return true;
}

/* Quota for a session, if need be that of the one that is there. */
static bool share_pay(struct entry *entry, const struct asker *asker,
		      const struct ticket *ticket, unsigned int *replaced)
{
	struct ticket *old;

	if (quota_take(asker->quota, 1, ticket->bytes))
		return true;
	/* Acquires the session, from entry_share(): its size is looked at. */
	old = load_acquire(&entry->shared);
	if (!old)
		return false;
	if (shared_out(entry, asker, old))
		(*replaced)++;
	return quota_take(asker->quota, 1, ticket->bytes);
}

int entry_share(struct entry *entry, const struct asker *asker,
		struct ticket *ticket, unsigned int *replaced)
{
	struct ticket *old, *mine = ticket;
	uint32_t bytes = ticket->bytes;

	/* Relaxed: a hint; it is looked at again below. */
	if (load_relaxed(&entry->reserved) == DEAD)
		return -ESTALE;
	if (!share_pay(entry, asker, ticket, replaced))
		return -ENOSPC;
	stripe_live_until(entry_stripe(entry, asker), ticket->expires_s);
	/* Releases the session to entry_shared(). */
	old = swap_seq_cst(&entry->shared, ticket);
	if (old) {
		drop_shared(asker, old);
		(*replaced)++;
	}
	/* After the exchange; pairs with the one in entry_kill(). */
	if (load_seq_cst(&entry->reserved) != DEAD ||
	    !cas_seq_cst(&entry->shared, &mine, NULL))
		return 0;
	quota_give(asker->quota, 1, bytes);
	return -ESTALE;
}

/*
 * A ticket may have come after the caller looked for one, and this session
 * after that. If there is none now, and the session stays what it is over
 * this moment, then this is the moment.
 */
static bool shared_is_all(const struct entry *entry,
			  const struct ticket *ticket)
{
	/* Pairs with the exchange in entry_share(). */
	return (!entry_had_tickets(entry) || is_empty(entry)) &&
	       load_seq_cst(&entry->shared) == ticket;
}

int entry_shared(struct entry *entry, const struct asker *asker,
		 struct ticket **out)
{
	/* Acquires the session, from entry_share(). */
	struct ticket *ticket = load_seq_cst(&entry->shared);

	*out = NULL;
	if (!ticket)
		return 0;
	if (!ticket_is_fresh(ticket, asker->now_s))
		return shared_out(entry, asker, ticket) ? -ETIME : 0;
	if (!shared_is_all(entry, ticket))
		return -EAGAIN;
	*out = ticket_get(ticket);
	return 0;
}

/* ----------------------------------------------------------------- death -- */

void entry_kill(struct entry *entry, const struct asker *asker,
		struct ticket **dropped, unsigned int *shared)
{
	struct ticket *ticket;
	uint64_t had;

	/* Before the looks below; pairs with those after a put or a share. */
	had = swap_seq_cst(&entry->reserved, DEAD);
	quota_give(asker->quota, depth_of(had),
		   (uint64_t)depth_of(had) * bytes_of(had));
	while ((ticket = take_any(entry, asker, entry_number(asker))))
		ticket_push(dropped, ticket);
	/* After the exchange above, as the places. */
	ticket = load_seq_cst(&entry->shared);
	if (ticket && shared_out(entry, asker, ticket))
		(*shared)++;
}
