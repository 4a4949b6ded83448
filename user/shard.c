// SPDX-License-Identifier: MIT
/*
 * Identities in a lock-free hash table and, beside it, in the seats of a
 * clock, where a hand goes round to find whom to evict. An entry is
 * first in the table, then in a seat; it leaves by its seat: whoever empties
 * that is the one to take it out of the table and to kill it. So it is done
 * once, and never to an entry that is not in the table yet.
 *
 *	table:  hash -> entry -> entry		clock: [e][ ][e][e][ ]..
 *						           ^ hand
 *
 * Numbers and hints of the clock are relaxed: seats carry the entries.
 *
 * Memory: an entry is paid for from the quota's bytes when it is made, its
 * tickets when they come (entry.c). What is evicted is paid back at once and
 * freed a little later, tickets at the end of the operation, entries and shared
 * sessions when today's readers are gone: until then it is beyond the quota, as
 * long as a thread stands still inside a section.
 */
#include "shard.h"

#include <errno.h>
#include <string.h>

#include "limit.h"
#include "mem.h"
#include "sys.h"
#include "util.h"

#define BUCKETS_MIN 16u
#define ENTRIES_A_BUCKET 4u

static uint32_t buckets_for(uint32_t entries)
{
	uint32_t buckets = BUCKETS_MIN;

	while (buckets < entries / ENTRIES_A_BUCKET)
		buckets *= 2;
	return buckets;
}

int shard_init(struct shard *shard, uint32_t sessions, uint64_t bytes,
	       uint32_t stripes)
{
	shard->clock = mem_zalloc(sessions * sizeof(struct entry *));
	if (!shard->clock)
		return -ENOMEM;
	if (table_init(&shard->table, buckets_for(sessions))) {
		mem_free(shard->clock);
		shard->clock = NULL;
		return -ENOMEM;
	}
	shard->seats = sessions;
	shard->stripes = stripes;
	shard->bytes_max = bytes;
	shard->quota.sessions = sessions;
	shard->quota.bytes = bytes;
	return 0;
}

/* Who is looked for, by which group of threads. */
struct key {
	const uint8_t *id;
	uint32_t stripe;
};

static bool id_matches(const struct table_node *node, const void *key)
{
	const struct entry *entry = container_of(node, struct entry, node);
	const struct key *want = key;

	/* what is needed next comes together with the id */
	stripe_prefetch(&entry->stripe[want->stripe]);
	return !memcmp(entry->id, want->id, ORIGIN_ID_LEN);
}

struct entry *shard_find(struct shard *shard, const uint8_t id[ORIGIN_ID_LEN],
			 const struct asker *asker)
{
	const struct key key = { id, asker->stripe };
	struct table_node *node = table_find(&shard->table, origin_id_hash(id),
					     id_matches, &key);

	return node ? container_of(node, struct entry, node) : NULL;
}

/* ------------------------------------------------------------- the clock -- */

/* The number of seats bounds the entries. Relaxed: a number. */
static bool seat_reserve(struct shard *shard)
{
	uint32_t entries = load_relaxed(&shard->entries);

	while (entries < shard->seats)
		if (cas_relaxed(&shard->entries, &entries, entries + 1))
			return true;
	return false;
}

/* Relaxed: the hand may pass a new seat for one round. */
static void raise_high(struct shard *shard, uint32_t high)
{
	uint32_t have = load_relaxed(&shard->high);

	while (have < high)
		if (cas_relaxed(&shard->high, &have, high))
			return;
}

/* There is a free one: it was reserved. */
static void seat_take(struct shard *shard, struct entry *entry)
{
	uint32_t i = load_relaxed(&shard->free_hint);

	for (;; i++) {
		struct entry *none = NULL;

		i %= shard->seats;
		entry->seat = i;
		/* Releases the entry to seat_look(). */
		if (cas_acq_rel(&shard->clock[i], &none, entry))
			break;
	}
	store_relaxed(&shard->free_hint, i + 1);
	raise_high(shard, i + 1);
}

static struct entry *seat_look(const struct shard *shard, uint32_t i)
{
	/* Acquires the entry, from seat_take(). */
	return load_acquire(&shard->clock[i]);
}

/* Frees the tickets and the seat; false: another did. */
static bool entry_remove(struct shard *shard, struct entry *entry,
			 const struct asker *asker, struct leaving *leaving)
{
	struct entry *expected = entry;
	uint32_t seat = entry->seat;

	/* The one who empties the seat does all the rest, alone. */
	if (!cas_acq_rel(&shard->clock[seat], &expected, NULL))
		return false;
	/* out of the table first: who meets a dead entry makes a new one */
	table_remove(&shard->table, origin_id_hash(entry->id), &entry->node);
	entry_kill(entry, asker, &leaving->tickets, &leaving->shared);
	quota_give(&shard->quota, 0, entry_size(shard->stripes));
	store_relaxed(&shard->free_hint, seat);
	sub_relaxed(&shard->entries, 1);
	entry_free_later(entry);
	return true;
}

bool shard_evict(struct shard *shard, const struct entry *keep,
		 const struct asker *asker, struct leaving *leaving)
{
	uint32_t high = load_relaxed(&shard->high);
	uint32_t i = load_relaxed(&shard->hand);
	uint64_t now_us = sys->now_us();
	uint64_t n;

	/* twice round: the first time takes the marks of use away */
	for (n = 0; n < 2ull * high; n++, i++) {
		struct entry *entry = seat_look(shard, i % high);

		/* Relaxed: two hands at once look at some seats twice. */
		store_relaxed(&shard->hand, i + 1);

		if (!entry || entry == keep)
			continue;
		if (entry_was_used(entry) &&
		    !entry_is_stale(entry, asker->now_s))
			continue;
		if (budget_is_idle(&entry->full, now_us) &&
		    entry_remove(shard, entry, asker, leaving))
			return true;
	}
	return false;
}

void shard_sweep(struct shard *shard, const struct asker *asker,
		 struct leaving *leaving)
{
	uint32_t high = load_relaxed(&shard->high);
	struct entry *entry;

	if (!high)
		return;
	entry = seat_look(shard, add_relaxed(&shard->sweeper, 1) % high);
	if (entry && entry_is_stale(entry, asker->now_s) &&
	    budget_is_idle(&entry->full, sys->now_us()))
		/* or another does it */
		(void)entry_remove(shard, entry, asker, leaving);
}

struct entry *shard_next(const struct shard *shard, uint32_t *seat)
{
	uint32_t high = load_relaxed(&shard->high);

	while (*seat < high) {
		struct entry *entry = seat_look(shard, (*seat)++);

		if (entry)
			return entry;
	}
	return NULL;
}

/* --------------------------------------------------------------- entries -- */

/* Memory and a seat. */
static bool entry_pay(struct shard *shard, const struct asker *asker,
		      struct leaving *leaving)
{
	while (!quota_take(&shard->quota, 0, entry_size(shard->stripes)))
		if (!shard_evict(shard, NULL, asker, leaving))
			return false;
	while (!seat_reserve(shard))
		if (!shard_evict(shard, NULL, asker, leaving)) {
			quota_give(&shard->quota, 0,
				   entry_size(shard->stripes));
			return false;
		}
	return true;
}

static void entry_pay_back(struct shard *shard)
{
	sub_relaxed(&shard->entries, 1);
	quota_give(&shard->quota, 0, entry_size(shard->stripes));
}

int shard_entry(struct shard *shard, const uint8_t id[ORIGIN_ID_LEN],
		const struct asker *asker, struct leaving *leaving,
		struct entry **out)
{
	const struct key key = { id, asker->stripe };
	struct entry *entry = shard_find(shard, id, asker);
	struct table_node *node;

	if (entry) {
		*out = entry;
		return 0;
	}
	if (!entry_pay(shard, asker, leaving))
		return -ENOSPC;
	entry = entry_new(id, shard->stripes);
	if (!entry) {
		entry_pay_back(shard);
		return -ENOMEM;
	}
	/* what is only remembered is worth little */
	entry->remember_until_s = asker->now_s + LIMIT_REMEMBER_S;
	node = table_add(&shard->table, origin_id_hash(id), id_matches, &key,
			 &entry->node);
	if (node == &entry->node) {
		seat_take(shard, entry);
	} else {
		entry_free(entry);	/* another was first */
		entry_pay_back(shard);
	}
	*out = container_of(node, struct entry, node);
	return 0;
}

void shard_fini(struct shard *shard)
{
	struct entry *entry;
	uint32_t seat = 0;

	while ((entry = shard_next(shard, &seat)))
		entry_free(entry);
	table_fini(&shard->table);
	mem_free(shard->clock);
}
