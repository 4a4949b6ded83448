// SPDX-License-Identifier: MIT
/*
 * The sessions of one client, by identity: the operations and their counters.
 *
 *	id, its last 8 bytes a keyed hash (origin.c)
 *	 |  upper bits                 all bits
 *	 +-> shard[0..n) --- table -----------> entry: shared session, depth
 *	      quota, clock                        + stripe of my threads
 *	                                             |
 *	         newest on top: [T][T][T][ ][ ] <----+ shelf
 *
 * What an operation is, to everybody else, happens in one instant:
 *
 *	take, a hit	the exchange that empties the ticket's place; for a
 *			shared session, a moment between two loads of its
 *			pointer in which every place was seen empty
 *	take, a miss	the look-up that finds no entry; else the end of the
 *			first of two looks that saw every place empty with the
 *			same marks. There is no shared session at the load
 *			after it, nor was there then, or it has been evicted
 *	give, put back	the exchange that fills the place
 *	share		the exchange of the pointer
 *	evict, expire	the exchange that empties the place, for each ticket
 *	spend		none: the ticket is its holder's alone
 *	drain		as take, for each ticket; not as a whole, and without
 *			identities that are being made
 *	counters	each by itself; a sum is no snapshot
 *
 * What is done with an entry after it has left the table happens, to others,
 * when it leaves.
 *
 * Order. A ticket's contents are released by the exchange that puts it and
 * acquired by the one that takes it. Newest first is exact while one thread
 * uses an identity; with more, each sees its own newest first, then others',
 * about, and a put back ticket is the newest of its stripe. A shared session
 * is offered when no single-use ticket is seen; the server that gave tickets
 * speaks TLS 1.3.
 *
 * Progress. Nothing waits for anybody: take, give, put back, share, evict and
 * expire are lock-free (an exchange that fails has lost to one that succeeded;
 * a miss that must look again saw another's put and take), spend, skip and
 * counting are wait-free. Locks are malloc's and OpenSSL's, when something is
 * made or freed, and those of liburcu's registry, once in a thread.
 *
 * Reuse of memory. Entries, shelves and shared sessions are freed by RCU, after
 * every section that could have seen them. Tickets are not looked into before
 * they have been taken, so they need no RCU; the same ticket may come back to
 * the same place (the ABA of stacks), for a place's word is all that an
 * exchange depends on: no link to a neighbour can have gone stale.
 *
 * A thread that is stopped inside an operation withholds what it has in hand:
 * a ticket, the place for one, or the tickets and the seat of an entry that it
 * is evicting; and what RCU would free stays allocated. Others go on without.
 * One that dies there does so for ever.
 *
 * Bounds. Entries and tickets are paid for in advance from the shard's quota
 * (its share of sessions_max and bytes_max), so what is in the inventory is
 * within the bounds at every moment. What has left is freed at the end of the
 * operation, or by RCU.
 */
#include "inventory.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "limit.h"
#include "mem.h"
#include "shard.h"
#include "sys.h"
#include "util.h"

/* A look at an identity that may have expired goes with every so many gives. */
#define SWEEP_EVERY 64u

/* One for each way in and each way out, so that an operation counts once. */
enum counter {
	COUNT_NUMBERS,		/* drawn by entry_number() */
	COUNT_HITS,		/* single-use ones */
	COUNT_GIVES,
	COUNT_SPENT,		/* single-use ones */
	COUNT_SHARED_HITS,
	COUNT_PUTBACKS,		/* single-use ones */
	COUNT_SHARED_PUTBACKS,
	COUNT_RESTORES,
	COUNT_EXPORTS,		/* single-use ones */
	COUNT_EVICTIONS,
	COUNT_EXPIRED,
	COUNT_REPLACED,		/* shared ones */
	COUNT_NO_SESSION,	/* misses, by reason */
	COUNT_ALL_EXPIRED,
	COUNT_ALL_TAKEN,
	COUNT_POLICY,
	COUNT_FULL_BEGUN,
	COUNT_FULL_WAITS,
	COUNTERS
};

/* One group's counters of one shard: lines that other threads do not write. */
struct counters {
	alignas(MEM_LINE) uint64_t n[COUNTERS];
};

struct inventory {
	uint32_t shards;		/* all constant: */
	uint32_t shard_shift;
	uint32_t stripes;
	struct inventory_opts opts;
	struct counters *counters;	/* [shard][stripe] */
	struct shard *shard;
};

/* --------------------------------------------------------------- threads -- */

static uint32_t threads;

/* Threads are dealt to stripes in turn. Constant after the first call. */
static uint32_t my_number(void)
{
	static __thread uint32_t mine;

	if (!mine)
		/* Relaxed: any number will do. */
		mine = add_relaxed(&threads, 1) + 1;
	return mine;
}

static uint32_t my_stripe(const struct inventory *inv)
{
	return my_number() & (inv->stripes - 1);
}

/* -------------------------------------------------------------- counters -- */

static struct shard *shard_of(const struct inventory *inv,
			      const uint8_t id[ORIGIN_ID_LEN])
{
	return &inv->shard[origin_id_hash(id) >> 1 >> inv->shard_shift];
}

static struct counters *counters_of(const struct inventory *inv,
				    const struct shard *shard)
{
	return &inv->counters[(size_t)(shard - inv->shard) * inv->stripes +
			      my_stripe(inv)];
}

/* Relaxed: statistics. */
static void count(struct counters *counters, enum counter what, uint64_t n)
{
	add_relaxed(&counters->n[what], n);
}

/* ---------------------------------------------------------- new and free -- */

static uint32_t power_of_two(uint32_t at_least)
{
	uint32_t n = 1;

	while (n < at_least)
		n *= 2;
	return n;
}

static uint32_t stripes_for_cpus(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return power_of_two((uint32_t)MAX(MIN(cpus, (long)LIMIT_STRIPES), 1));
}

/* Each shard has its share of the limits, so small inventories have one. */
static uint32_t shards_for(const struct inventory_opts *opts)
{
	uint32_t shards = 1;

	while (shards < LIMIT_SHARDS &&
	       opts->sessions_max / (shards * 2) >= LIMIT_SHARD_SESSIONS &&
	       opts->bytes_max / (shards * 2) >= LIMIT_SHARD_BYTES)
		shards *= 2;
	return shards;
}

/* Share i of n in which the shares differ by one at most. */
static uint64_t share_of(uint64_t all, uint32_t n, uint32_t i)
{
	return all / n + (i < all % n);
}

int inventory_new(const struct inventory_opts *opts, struct inventory **out)
{
	struct inventory *inv = mem_zalloc(sizeof(*inv));
	uint32_t i;
	int err = 0;

	if (!inv)
		return -ENOMEM;
	rcu_start();
	inv->opts = *opts;
	inv->stripes = stripes_for_cpus();
	inv->shards = shards_for(opts);
	/* with one more shift by 1, for a shift by 64 is undefined */
	inv->shard_shift = 63;
	for (i = inv->shards; i > 1; i /= 2)
		inv->shard_shift--;
	inv->counters = mem_zalloc_lines((size_t)inv->shards * inv->stripes *
					 sizeof(struct counters));
	inv->shard = mem_zalloc_lines(inv->shards * sizeof(struct shard));
	if (!inv->counters || !inv->shard)
		err = -ENOMEM;
	for (i = 0; !err && i < inv->shards; i++)
		err = shard_init(&inv->shard[i],
				 (uint32_t)share_of(opts->sessions_max,
						    inv->shards, i),
				 share_of(opts->bytes_max, inv->shards, i),
				 inv->stripes);
	if (err)
		inventory_free(inv);
	else
		*out = inv;
	return err;
}

void inventory_free(struct inventory *inv)
{
	uint32_t i;

	if (!inv)
		return;
	for (i = 0; inv->shard && i < inv->shards; i++)
		shard_fini(&inv->shard[i]);
	mem_free_lines(inv->shard);
	mem_free_lines(inv->counters);
	mem_free(inv);
}

/* ------------------------------------------------------------ operations -- */

/* What an operation needs: where, who, when, and what it leaves to be freed. */
struct op {
	const uint8_t *id;
	struct shard *shard;
	struct counters *counters;
	struct asker asker;
	struct leaving leaving;
};

static void op_begin(struct op *op, struct inventory *inv,
		     struct shard *shard, const uint8_t *id)
{
	op->id = id;
	op->shard = shard;
	op->counters = counters_of(inv, op->shard);
	op->asker = (struct asker){
		.quota = &shard->quota,
		.numbers = &op->counters->n[COUNT_NUMBERS],
		.now_s = sys->time_s(),
		.bytes_max = shard->bytes_max / LIMIT_IDENTITY_SHARE,
		.stripe = my_stripe(inv),
		.stripes = inv->stripes,
		.depth_max = inv->opts.per_identity,
	};
	op->leaving.tickets = NULL;
	op->leaving.shared = 0;
	rcu_enter();
}

/* A single-use ticket that nobody keeps. */
static void op_leave(struct op *op, struct ticket *ticket)
{
	ticket_push(&op->leaving.tickets, ticket);
}

static void op_drop(struct op *op, struct ticket *ticket)
{
	count(op->counters, ticket_is_fresh(ticket, op->asker.now_s) ?
			    COUNT_EVICTIONS : COUNT_EXPIRED, 1);
	ticket_put(ticket);
}

/* Freeing is OpenSSL's work and may be long: outside of the section. */
static void op_end(struct op *op)
{
	struct ticket *ticket, *next;

	rcu_leave();
	for (ticket = op->leaving.tickets; ticket; ticket = next) {
		next = ticket->next;
		op_drop(op, ticket);
	}
	if (op->leaving.shared)
		count(op->counters, COUNT_EVICTIONS, op->leaving.shared);
}

/* The newest fresh single-use ticket; *expired: there were others. */
static struct ticket *op_take_single(struct op *op, struct entry *entry,
				     bool *expired)
{
	struct ticket *ticket;

	while ((ticket = entry_take(entry, &op->asker))) {
		if (ticket_is_fresh(ticket, op->asker.now_s))
			return ticket;
		op_leave(op, ticket);
		*expired = true;
	}
	return NULL;
}

/* A fresh ticket of the entry, or NULL and why. */
static struct ticket *op_take(struct op *op, struct entry *entry,
			      enum ktc_reason *why)
{
	struct ticket *ticket = NULL;
	bool had, expired = false;
	int err;

	do {
		err = 0;
		had = entry_had_tickets(entry);
		if (had)
			ticket = op_take_single(op, entry, &expired);
		if (!ticket)
			err = entry_shared(entry, &op->asker, &ticket);
	} while (err == -EAGAIN);
	if (err == -ETIME) {
		count(op->counters, COUNT_EXPIRED, 1);
		expired = true;
	}
	if (ticket)
		*why = KTC_WHY_NOTHING;
	else if (expired)
		*why = KTC_WHY_EXPIRED;
	else
		*why = had ? KTC_WHY_TAKEN : KTC_WHY_NO_SESSION;
	return ticket;
}

static enum counter counter_of(enum ktc_reason why, const struct ticket *ticket)
{
	if (ticket)
		return ticket->single_use ? COUNT_HITS : COUNT_SHARED_HITS;
	if (why == KTC_WHY_EXPIRED)
		return COUNT_ALL_EXPIRED;
	return why == KTC_WHY_TAKEN ? COUNT_ALL_TAKEN : COUNT_NO_SESSION;
}

/* again: by one who has asked, and was counted, before. */
static enum ktc_reason take(struct inventory *inv,
			    const uint8_t id[ORIGIN_ID_LEN], bool again,
			    struct ticket **out)
{
	enum ktc_reason why = KTC_WHY_NO_SESSION;
	struct ticket *ticket = NULL;
	struct entry *entry;
	struct op op;

	op_begin(&op, inv, shard_of(inv, id), id);
	entry = shard_find(op.shard, id, &op.asker);
	if (entry) {
		entry_use(entry, &op.asker);
		ticket = op_take(&op, entry, &why);
	} else if (shard_entry(op.shard, id, &op.asker, &op.leaving, &entry)) {
		entry = NULL;	/* its demand is forgotten, no more */
	}
	/* a shared session needs no depth */
	if (entry && !again && (!ticket || ticket->single_use))
		entry_ask(entry, &op.asker);
	if (ticket || !again)
		count(op.counters, counter_of(why, ticket), 1);
	if (ticket && ticket->single_use)
		ticket->shard = (uint16_t)(op.shard - inv->shard);
	op_end(&op);
	*out = ticket;
	return why;
}

enum ktc_reason inventory_take(struct inventory *inv,
			       const uint8_t id[ORIGIN_ID_LEN],
			       struct ticket **out)
{
	return take(inv, id, false, out);
}

enum ktc_reason inventory_take_again(struct inventory *inv,
				     const uint8_t id[ORIGIN_ID_LEN],
				     struct ticket **out)
{
	return take(inv, id, true, out);
}

void inventory_spend(struct inventory *inv, struct ticket *ticket)
{
	if (ticket->single_use)
		count(counters_of(inv, &inv->shard[ticket->shard]),
		      COUNT_SPENT, 1);
	ticket_put(ticket);
}

/* One try; -ENOSPC and -ESTALE may be tried again. */
static int op_put(struct op *op, unsigned int flags, struct ticket *ticket,
		  struct entry **entry)
{
	unsigned int replaced = 0;
	int err;

	*entry = NULL;
	err = shard_entry(op->shard, op->id, &op->asker, &op->leaving, entry);
	if (err)
		return err;
	if (ticket->single_use)
		return entry_put(*entry, &op->asker, flags, ticket,
				 &op->leaving.tickets);
	err = entry_share(*entry, &op->asker, ticket, &replaced);
	if (replaced)
		count(op->counters, COUNT_REPLACED, replaced);
	return err;
}

/* Keeps a fresh ticket, evicting what must be. False: it is the caller's. */
static bool op_keep(struct op *op, unsigned int flags, struct ticket *ticket)
{
	struct entry *entry;
	int err;

	for (;;) {
		err = op_put(op, flags, ticket, &entry);
		if (err == -ESTALE) {
			/* evicted just now: a new entry, which has nothing */
			flags &= ~ENTRY_NO_GROW;
			continue;
		}
		if (err != -ENOSPC || !entry)
			return !err;
		if (shard_evict(op->shard, entry, &op->asker, &op->leaving))
			continue;
		/* this identity has all there is: its oldest goes */
		if (flags & ENTRY_NO_GROW)
			return false;
		flags |= ENTRY_NO_GROW;
	}
}

static void op_sweep(struct op *op)
{
	unsigned int shared = op->leaving.shared;

	/* Relaxed: a beat. */
	if (load_relaxed(&op->counters->n[COUNT_GIVES]) % SWEEP_EVERY)
		return;
	shard_sweep(op->shard, &op->asker, &op->leaving);
	if (op->leaving.shared == shared)
		return;
	/* this one was not evicted */
	op->leaving.shared = shared;
	count(op->counters, COUNT_EXPIRED, 1);
}

/*
 * What cannot be kept is counted as if it had been evicted at once, so that
 * the sums are right.
 */
static void op_give(struct op *op, struct ticket *ticket, enum counter what)
{
	bool fresh = ticket_is_fresh(ticket, op->asker.now_s);

	count(op->counters, what, 1);
	if (fresh && op_keep(op, what == COUNT_GIVES ? ENTRY_CAME : 0, ticket))
		return;
	if (ticket->single_use) {
		op_leave(op, ticket);
		return;
	}
	count(op->counters, fresh ? COUNT_EVICTIONS : COUNT_EXPIRED, 1);
	ticket_put_later(ticket);	/* others may be looking at it */
}

void inventory_give(struct inventory *inv, const uint8_t id[ORIGIN_ID_LEN],
		    struct ticket *ticket)
{
	struct op op;

	op_begin(&op, inv, shard_of(inv, id), id);
	/* A life so short that it cannot be offered is not worth a place. */
	if (ticket_is_fresh(ticket, op.asker.now_s))
		op_give(&op, ticket, COUNT_GIVES);
	else
		ticket_put(ticket);
	op_sweep(&op);
	op_end(&op);
}

void inventory_share(struct inventory *inv, const uint8_t id[ORIGIN_ID_LEN],
		     struct ticket *ticket)
{
	inventory_give(inv, id, ticket);
}

void inventory_restore(struct inventory *inv, const uint8_t id[ORIGIN_ID_LEN],
		       struct ticket *ticket)
{
	struct entry *entry;
	struct op op;

	op_begin(&op, inv, shard_of(inv, id), id);
	/* each is one that was wanted: or it would not have been kept */
	if (ticket->single_use &&
	    !shard_entry(op.shard, id, &op.asker, &op.leaving, &entry))
		entry_ask(entry, &op.asker);
	op_give(&op, ticket, COUNT_RESTORES);
	op_end(&op);
}

void inventory_putback(struct inventory *inv,
		       const uint8_t id[ORIGIN_ID_LEN],
		       struct ticket *ticket)
{
	struct op op;

	op_begin(&op, inv, shard_of(inv, id), id);
	if (ticket->single_use) {
		op_give(&op, ticket, COUNT_PUTBACKS);
	} else {
		count(op.counters, COUNT_SHARED_PUTBACKS, 1);
		ticket_put(ticket);	/* it never left */
	}
	op_end(&op);
}

bool inventory_is_full(struct inventory *inv,
		       const uint8_t id[ORIGIN_ID_LEN])
{
	struct entry *entry;
	bool full = false;
	struct op op;

	op_begin(&op, inv, shard_of(inv, id), id);
	entry = shard_find(op.shard, id, &op.asker);
	if (entry)
		full = entry_is_full(entry, &op.asker);
	op_end(&op);
	return full;
}

void inventory_skip(struct inventory *inv, const uint8_t id[ORIGIN_ID_LEN])
{
	count(counters_of(inv, shard_of(inv, id)), COUNT_POLICY, 1);
}

static void drain_entry(struct op *op, struct entry *entry,
			inventory_drain_fn fn, void *arg)
{
	struct ticket *ticket;
	enum ktc_reason why;

	while ((ticket = op_take(op, entry, &why))) {
		bool single_use = ticket->single_use;

		fn(arg, entry->id, ticket);
		if (!single_use)
			break;	/* the last that is looked for; it stays */
		count(op->counters, COUNT_EXPORTS, 1);
	}
}

void inventory_drain(struct inventory *inv, inventory_drain_fn fn, void *arg)
{
	uint32_t i;

	for (i = 0; i < inv->shards; i++) {
		struct entry *entry;
		uint32_t seat = 0;
		struct op op;

		op_begin(&op, inv, &inv->shard[i], NULL);
		while ((entry = shard_next(op.shard, &seat)))
			drain_entry(&op, entry, fn, arg);
		op_end(&op);
	}
}

/* ------------------------------------------------------- full handshakes -- */

static int op_full_begin(struct op *op, const struct inventory_opts *opts,
			 uint64_t now_us, uint64_t *again_us)
{
	struct entry *entry;
	int err;

	if (!opts->full_per_s && !opts->full_at_once)
		return 0;
	err = shard_entry(op->shard, op->id, &op->asker, &op->leaving, &entry);
	if (err == -ENOSPC) {
		/* nowhere to count it: when others have ended there may be */
		*again_us = now_us + LIMIT_BUDGET_POLL_MS * 1000ull;
		return -EAGAIN;
	}
	if (err)
		return err;
	return budget_begin(&entry->full, opts->full_per_s,
			    opts->full_at_once, now_us, again_us);
}

int inventory_full_begin(struct inventory *inv,
			 const uint8_t id[ORIGIN_ID_LEN], uint64_t now_us,
			 uint64_t *again_us)
{
	struct op op;
	int err;

	op_begin(&op, inv, shard_of(inv, id), id);
	err = op_full_begin(&op, &inv->opts, now_us, again_us);
	if (!err)
		count(op.counters, COUNT_FULL_BEGUN, 1);
	else if (err == -EAGAIN)
		count(op.counters, COUNT_FULL_WAITS, 1);
	op_end(&op);
	return err;
}

void inventory_full_end(struct inventory *inv,
			const uint8_t id[ORIGIN_ID_LEN])
{
	struct entry *entry;
	struct op op;

	op_begin(&op, inv, shard_of(inv, id), id);
	entry = shard_find(op.shard, id, &op.asker);
	if (entry)
		budget_end(&entry->full);
	op_end(&op);
}

void inventory_full_charge(struct inventory *inv,
			   const uint8_t id[ORIGIN_ID_LEN], uint64_t now_us)
{
	struct entry *entry;
	struct op op;

	op_begin(&op, inv, shard_of(inv, id), id);
	entry = shard_find(op.shard, id, &op.asker);
	if (entry)
		budget_charge(&entry->full, inv->opts.full_per_s, now_us);
	op_end(&op);
}

/* --------------------------------------------------------------- reading -- */

unsigned int inventory_shards(const struct inventory *inv)
{
	return inv->shards;
}

static void shard_counts(const struct inventory *inv, unsigned int shard,
			 uint64_t n[COUNTERS])
{
	const struct counters *counters =
		&inv->counters[(size_t)shard * inv->stripes];
	uint32_t i, k;

	memset(n, 0, COUNTERS * sizeof(*n));
	for (i = 0; i < inv->stripes; i++)
		for (k = 0; k < COUNTERS; k++)
			n[k] += load_relaxed(&counters[i].n[k]);
}

/* Relaxed, as the numbers below: what leaves may be seen before what came. */
static uint64_t level(uint64_t came, uint64_t left)
{
	return came > left ? came - left : 0;
}

void inventory_shard_stats(const struct inventory *inv, unsigned int shard,
			   struct inventory_stats *out)
{
	const struct shard *s = &inv->shard[shard];
	uint64_t n[COUNTERS], came, left;

	shard_counts(inv, shard, n);
	came = n[COUNT_GIVES] + n[COUNT_RESTORES] + n[COUNT_PUTBACKS];
	left = n[COUNT_HITS] + n[COUNT_EXPORTS] + n[COUNT_EVICTIONS] +
	       n[COUNT_EXPIRED] + n[COUNT_REPLACED];
	*out = (struct inventory_stats){
		/* never more than is paid for, which is one number */
		.sessions = MIN(level(came, left),
				s->seats - load_relaxed(&s->quota.sessions)),
		.identities = load_relaxed(&s->entries),
		.bytes = s->bytes_max - load_relaxed(&s->quota.bytes),
		.hits = n[COUNT_HITS] + n[COUNT_SHARED_HITS],
		.misses_none = n[COUNT_NO_SESSION],
		.misses_expired = n[COUNT_ALL_EXPIRED],
		.misses_taken = n[COUNT_ALL_TAKEN],
		.misses_policy = n[COUNT_POLICY],
		.gives = n[COUNT_GIVES] + n[COUNT_RESTORES],
		.putbacks = n[COUNT_PUTBACKS] + n[COUNT_SHARED_PUTBACKS],
		.spent = n[COUNT_SPENT],
		.evictions = n[COUNT_EVICTIONS],
		.expired = n[COUNT_EXPIRED],
		.exports = n[COUNT_EXPORTS],
		.full_begun = n[COUNT_FULL_BEGUN],
		.full_waits = n[COUNT_FULL_WAITS],
	};
	out->takes = out->hits + out->misses_none + out->misses_expired +
		     out->misses_taken;
}

_Static_assert(sizeof(struct inventory_stats) % sizeof(uint64_t) == 0 &&
	       alignof(struct inventory_stats) == alignof(uint64_t),
	       "a struct of nothing but numbers");

void inventory_stats(const struct inventory *inv, struct inventory_stats *out)
{
	uint64_t *sum = (uint64_t *)out;
	struct inventory_stats one;
	uint32_t i, k;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < inv->shards; i++) {
		const uint64_t *add = (const uint64_t *)&one;

		inventory_shard_stats(inv, i, &one);
		for (k = 0; k < sizeof(one) / sizeof(*sum); k++)
			sum[k] += add[k];
	}
}
