// SPDX-License-Identifier: MIT
/*
 * The sessions of one client, by identity. What is guaranteed:
 *
 * - One mutex orders all operations; each happens at once at a moment between
 *   its call and its return. Under it nothing of OpenSSL's is called, for
 *   sessions are freed after it, and nothing is waited for.
 * - A single-use ticket is in the inventory or with one taker, never both:
 *   take unlinks it, and only the taker's putback links it again. A shared
 *   session is handed out any number of times.
 * - What take returns was given under the very same identity and was fresh
 *   at that moment. What is no longer fresh never leaves but to be freed.
 * - There are at most sessions_max sessions and at most per_identity single-
 *   use tickets (and one shared session) of an identity. For room, an
 *   identity loses its oldest ticket; the whole inventory loses the oldest
 *   ticket of the identity that was least recently used.
 * - An operation is O(per_identity) besides its hash bucket; ids are SHA-256
 *   sums, so nobody can aim many at one bucket.
 * - When there is no memory for an identity's entry, the ticket is dropped:
 *   the cost is one full handshake.
 *
 *     buckets[id] -> entry -> entry            (chain)
 *                      |
 *                      +-- ticket -> ticket    (newest first)
 *     lru: most recently used entry <-> ... <-> least
 */
#include "inventory.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "mem.h"
#include "sys.h"
#include "util.h"

#define BUCKETS_MIN 64u
#define BUCKETS_MAX 65536u

/* One identity; it exists while it has a ticket. */
struct entry {
	uint8_t id[ORIGIN_ID_LEN];
	struct entry *chain;
	struct entry *newer, *older;	/* in the order of use */
	struct ticket *tickets;		/* newest first */
	uint32_t single;		/* single-use ones among them */
};

struct inventory {
	pthread_mutex_t lock;	/* all but stats' readers and the constants */
	uint32_t sessions_max;	/* constant */
	uint32_t per_identity;	/* constant */
	uint32_t bucket_mask;	/* constant */
	struct entry **buckets;
	struct entry *newest, *oldest;
	uint32_t sessions;
	struct inventory_stats stats;	/* written under lock, atomically */
};

/* Tickets that have left and are freed when the lock is released. */
struct doomed {
	struct ticket *list;
};

/*
 * Relaxed: a statistic. The lock makes its writers one at a time; the atomic
 * store is for readers, who take no lock.
 */
static void count(uint64_t *counter, uint64_t value)
{
	__atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

static void count_one(uint64_t *counter)
{
	count(counter, *counter + 1);
}

/* Relaxed: as above. */
static uint64_t read_one(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void lock(struct inventory *inv)
{
	(void)pthread_mutex_lock(&inv->lock);	/* a plain one never fails */
}

static void unlock(struct inventory *inv, struct doomed *doomed)
{
	struct ticket *ticket = doomed->list;

	count(&inv->stats.sessions, inv->sessions);
	(void)pthread_mutex_unlock(&inv->lock);	/* it is ours */
	while (ticket) {
		struct ticket *next = ticket->next;

		ticket->next = NULL;
		ticket_put(ticket);
		ticket = next;
	}
}

static void doom(struct doomed *doomed, struct ticket *ticket)
{
	ticket->next = doomed->list;
	doomed->list = ticket;
}

static struct entry **bucket(struct inventory *inv,
			     const uint8_t id[ORIGIN_ID_LEN])
{
	uint32_t hash;

	memcpy(&hash, id, sizeof(hash));
	return &inv->buckets[hash & inv->bucket_mask];
}

static struct entry *find(struct inventory *inv,
			  const uint8_t id[ORIGIN_ID_LEN])
{
	struct entry *entry = *bucket(inv, id);

	while (entry && memcmp(entry->id, id, ORIGIN_ID_LEN))
		entry = entry->chain;
	return entry;
}

static void lru_unlink(struct inventory *inv, struct entry *entry)
{
	if (entry->newer)
		entry->newer->older = entry->older;
	else
		inv->newest = entry->older;
	if (entry->older)
		entry->older->newer = entry->newer;
	else
		inv->oldest = entry->newer;
	entry->newer = NULL;
	entry->older = NULL;
}

static void lru_link(struct inventory *inv, struct entry *entry)
{
	entry->newer = NULL;
	entry->older = inv->newest;
	if (inv->newest)
		inv->newest->newer = entry;
	else
		inv->oldest = entry;
	inv->newest = entry;
}

static void touch(struct inventory *inv, struct entry *entry)
{
	lru_unlink(inv, entry);
	lru_link(inv, entry);
}

static struct entry *find_or_make(struct inventory *inv,
				  const uint8_t id[ORIGIN_ID_LEN])
{
	struct entry *entry = find(inv, id), **head;

	if (entry)
		return entry;
	entry = mem_zalloc(sizeof(*entry));
	if (!entry)
		return NULL;
	memcpy(entry->id, id, ORIGIN_ID_LEN);
	head = bucket(inv, id);
	entry->chain = *head;
	*head = entry;
	lru_link(inv, entry);
	return entry;
}

/* An entry whose last ticket has gone goes too. */
static void drop_if_empty(struct inventory *inv, struct entry *entry)
{
	struct entry **link;

	if (entry->tickets)
		return;
	for (link = bucket(inv, entry->id); *link != entry;)
		link = &(*link)->chain;
	*link = entry->chain;
	lru_unlink(inv, entry);
	mem_free(entry);
}

/* Takes the ticket at link out; its reference is the caller's. */
static struct ticket *unlink_at(struct inventory *inv, struct entry *entry,
				struct ticket **link)
{
	struct ticket *ticket = *link;

	*link = ticket->next;
	ticket->next = NULL;
	entry->single -= ticket->single_use;
	inv->sessions--;
	return ticket;
}

static void link_at(struct inventory *inv, struct entry *entry,
		    struct ticket **link, struct ticket *ticket)
{
	ticket->next = *link;
	*link = ticket;
	entry->single += ticket->single_use;
	inv->sessions++;
}

static void drop_expired(struct inventory *inv, struct entry *entry,
			 struct doomed *doomed)
{
	struct ticket **link = &entry->tickets;
	uint64_t now_s = sys->time_s();

	while (*link) {
		if (ticket_is_fresh(*link, now_s))
			link = &(*link)->next;
		else
			doom(doomed, unlink_at(inv, entry, link));
	}
}

static void drop_shared(struct inventory *inv, struct entry *entry,
			struct doomed *doomed)
{
	struct ticket **link = &entry->tickets;

	while (*link) {
		if ((*link)->single_use)
			link = &(*link)->next;
		else
			doom(doomed, unlink_at(inv, entry, link));
	}
}

static void drop_oldest_single(struct inventory *inv, struct entry *entry,
			       struct doomed *doomed)
{
	struct ticket **link, **oldest = NULL;

	for (link = &entry->tickets; *link; link = &(*link)->next)
		if ((*link)->single_use)
			oldest = link;
	if (!oldest)
		return;
	doom(doomed, unlink_at(inv, entry, oldest));
	count_one(&inv->stats.evictions);
}

static void drop_oldest(struct inventory *inv, struct entry *entry,
			struct doomed *doomed)
{
	struct ticket **link = &entry->tickets;

	while ((*link)->next)
		link = &(*link)->next;
	doom(doomed, unlink_at(inv, entry, link));
	count_one(&inv->stats.evictions);
}

/* Brings everything back within its limits after something was linked. */
static void make_room(struct inventory *inv, struct entry *entry,
		      struct doomed *doomed)
{
	if (entry->single > inv->per_identity)
		drop_oldest_single(inv, entry, doomed);
	while (inv->sessions > inv->sessions_max) {
		struct entry *victim = inv->oldest;

		drop_oldest(inv, victim, doomed);
		drop_if_empty(inv, victim);
	}
}

int inventory_new(uint32_t sessions_max, uint32_t per_identity,
		  struct inventory **out)
{
	struct inventory *inv = mem_zalloc(sizeof(*inv));
	uint32_t buckets = BUCKETS_MIN;

	if (!inv)
		return -ENOMEM;
	while (buckets < sessions_max && buckets < BUCKETS_MAX)
		buckets *= 2;
	inv->buckets = mem_zalloc(buckets * sizeof(struct entry *));
	if (!inv->buckets) {
		mem_free(inv);
		return -ENOMEM;
	}
	inv->bucket_mask = buckets - 1;
	inv->sessions_max = sessions_max;
	inv->per_identity = per_identity;
	(void)pthread_mutex_init(&inv->lock, NULL);	/* always 0 in glibc */
	*out = inv;
	return 0;
}

void inventory_free(struct inventory *inv)
{
	struct entry *entry, *older;
	struct ticket *ticket;

	if (!inv)
		return;
	for (entry = inv->newest; entry; entry = older) {
		older = entry->older;
		while ((ticket = entry->tickets)) {
			entry->tickets = ticket->next;
			ticket_put(ticket);
		}
		mem_free(entry);
	}
	(void)pthread_mutex_destroy(&inv->lock);	/* nobody holds it */
	mem_free(inv->buckets);
	mem_free(inv);
}

enum ktc_reason inventory_take(struct inventory *inv,
			       const uint8_t id[ORIGIN_ID_LEN],
			       struct ticket **out)
{
	enum ktc_reason why = KTC_WHY_NOTHING;
	struct doomed doomed = { NULL };
	struct ticket *ticket = NULL;
	struct entry *entry;

	lock(inv);
	count_one(&inv->stats.takes);
	entry = find(inv, id);
	if (!entry) {
		why = KTC_WHY_NO_SESSION;
		count_one(&inv->stats.misses_none);
		goto out;
	}
	drop_expired(inv, entry, &doomed);
	if (!entry->tickets) {
		why = KTC_WHY_EXPIRED;
		count_one(&inv->stats.misses_expired);
		drop_if_empty(inv, entry);
		goto out;
	}
	count_one(&inv->stats.hits);
	if (entry->tickets->single_use)
		ticket = unlink_at(inv, entry, &entry->tickets);
	else
		ticket = ticket_get(entry->tickets);
	touch(inv, entry);
	drop_if_empty(inv, entry);
out:
	unlock(inv, &doomed);
	*out = ticket;
	return why;
}

void inventory_spend(struct inventory *inv, struct ticket *ticket)
{
	struct doomed doomed = { NULL };

	if (ticket->single_use) {
		lock(inv);
		count_one(&inv->stats.spent);
		unlock(inv, &doomed);
	}
	ticket_put(ticket);
}

/*
 * The ticket's place is behind those that came while it was away, and before
 * those that were there when it was taken: by age, that is by end of life.
 */
void inventory_putback(struct inventory *inv,
		       const uint8_t id[ORIGIN_ID_LEN],
		       struct ticket *ticket)
{
	struct doomed doomed = { NULL };
	struct ticket **link;
	struct entry *entry;

	lock(inv);
	count_one(&inv->stats.putbacks);
	if (!ticket->single_use)
		goto out_drop;	/* it never left */
	if (!ticket_is_fresh(ticket, sys->time_s()))
		goto out_drop;
	entry = find_or_make(inv, id);
	if (!entry)
		goto out_drop;
	drop_expired(inv, entry, &doomed);
	link = &entry->tickets;
	while (*link && (*link)->expires_s > ticket->expires_s)
		link = &(*link)->next;
	link_at(inv, entry, link, ticket);
	make_room(inv, entry, &doomed);
	unlock(inv, &doomed);
	return;

out_drop:
	unlock(inv, &doomed);
	ticket_put(ticket);
}

static void add_newest(struct inventory *inv, const uint8_t id[ORIGIN_ID_LEN],
		       struct ticket *ticket)
{
	struct doomed doomed = { NULL };
	struct entry *entry;

	lock(inv);
	/* A life so short that it cannot be offered is not worth a place. */
	entry = ticket_is_fresh(ticket, sys->time_s()) ?
		find_or_make(inv, id) : NULL;
	if (!entry) {
		unlock(inv, &doomed);
		ticket_put(ticket);
		return;
	}
	count_one(&inv->stats.gives);
	touch(inv, entry);
	drop_expired(inv, entry, &doomed);
	if (!ticket->single_use)
		drop_shared(inv, entry, &doomed);
	link_at(inv, entry, &entry->tickets, ticket);
	make_room(inv, entry, &doomed);
	unlock(inv, &doomed);
}

void inventory_give(struct inventory *inv, const uint8_t id[ORIGIN_ID_LEN],
		    struct ticket *ticket)
{
	add_newest(inv, id, ticket);
}

void inventory_share(struct inventory *inv, const uint8_t id[ORIGIN_ID_LEN],
		     struct ticket *ticket)
{
	add_newest(inv, id, ticket);
}

bool inventory_is_full(struct inventory *inv,
		       const uint8_t id[ORIGIN_ID_LEN])
{
	struct doomed doomed = { NULL };
	struct entry *entry;
	bool full = false;

	lock(inv);
	entry = find(inv, id);
	if (entry) {
		drop_expired(inv, entry, &doomed);
		full = entry->single >= inv->per_identity;
		drop_if_empty(inv, entry);
	}
	unlock(inv, &doomed);
	return full;
}

void inventory_stats(const struct inventory *inv,
		     struct inventory_stats *out)
{
	const struct inventory_stats *stats = &inv->stats;

	out->sessions = read_one(&stats->sessions);
	out->takes = read_one(&stats->takes);
	out->hits = read_one(&stats->hits);
	out->misses_none = read_one(&stats->misses_none);
	out->misses_expired = read_one(&stats->misses_expired);
	out->gives = read_one(&stats->gives);
	out->putbacks = read_one(&stats->putbacks);
	out->spent = read_one(&stats->spent);
	out->evictions = read_one(&stats->evictions);
}
