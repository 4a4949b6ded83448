// SPDX-License-Identifier: MIT
/*
 * Two stores with locks, as client libraries have them: a table of origins in
 * the order of use, each with its tickets, under one mutex; and the same
 * sixteen times, by the origin's id. They keep what the inventory keeps and
 * check what it checks: the whole id, a ticket's life, limits on an origin
 * and on all; counters of what was asked for.
 *
 * Where there was a choice it is the quicker one: the id is its own hash, an
 * origin stays though its tickets are away, the clock is read before the lock
 * is taken, and whoever waits for a lock spins a while before it sleeps.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cache_store.h"
#include "ticket.h"

#define SHARDS	    16
#define BUCKETS_MIN 64U
/* beyond what is given: nothing is to be dropped for room */
#define ROOM 2U

struct entry {
	uint8_t id[CACHE_ID_LEN];
	struct entry *chain;
	struct entry *newer, *older; /* in the order of use */
	struct ticket *tickets; /* newest first */
	uint32_t count;
};

/* two lines apart: the processor fetches lines in pairs */
struct shard {
	_Alignas(128) pthread_mutex_t lock; /* all below but the constants */
	struct entry **buckets; /* constant, as is the mask */
	uint64_t bucket_mask;
	struct entry *newest, *oldest;
	uint64_t sessions;
	uint64_t sessions_max;
	uint64_t per_origin_max;
	uint64_t takes;
	uint64_t misses;
	uint64_t gives;
	uint64_t evictions;
};

struct locked {
	uint32_t shard_mask;
	struct shard *shards;
};

static uint64_t now_s(void)
{
	struct timespec now;

	/* the clock is always there; it is read from memory */
	(void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return (uint64_t)now.tv_sec;
}

static uint64_t hash_of(const struct cache_key *key)
{
	uint64_t hash;

	memcpy(&hash, key->id, sizeof(hash));
	return hash;
}

static struct shard *shard_of(const struct locked *locked, uint64_t hash)
{
	return &locked->shards[(hash >> 32) & locked->shard_mask];
}

static struct entry *find(const struct shard *shard, uint64_t hash,
			  const struct cache_key *key)
{
	struct entry *entry = shard->buckets[hash & shard->bucket_mask];

	while (entry && memcmp(entry->id, key->id, CACHE_ID_LEN))
		entry = entry->chain;
	return entry;
}

static void link_newest(struct shard *shard, struct entry *entry)
{
	entry->newer = NULL;
	entry->older = shard->newest;
	if (shard->newest)
		shard->newest->newer = entry;
	else
		shard->oldest = entry;
	shard->newest = entry;
}

static void touch(struct shard *shard, struct entry *entry)
{
	if (shard->newest == entry)
		return;
	entry->newer->older = entry->older;
	if (entry->older)
		entry->older->newer = entry->newer;
	else
		shard->oldest = entry->newer;
	link_newest(shard, entry);
}

static struct entry *find_or_make(struct shard *shard, uint64_t hash,
				  const struct cache_key *key)
{
	struct entry *entry = find(shard, hash, key);
	struct entry **head = &shard->buckets[hash & shard->bucket_mask];

	if (entry)
		return entry;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	memcpy(entry->id, key->id, CACHE_ID_LEN);
	entry->chain = *head;
	*head = entry;
	link_newest(shard, entry);
	return entry;
}

static struct ticket *pop(struct shard *shard, struct entry *entry,
			  struct ticket **link)
{
	struct ticket *ticket = *link;

	*link = ticket->next;
	ticket->next = NULL;
	entry->count--;
	shard->sessions--;
	return ticket;
}

static struct ticket *pop_oldest(struct shard *shard, struct entry *entry)
{
	struct ticket **link = &entry->tickets;

	while ((*link)->next)
		link = &(*link)->next;
	shard->evictions++;
	return pop(shard, entry, link);
}

/* one ticket has come; the one that leaves for it, or NULL */
static struct ticket *make_room(struct shard *shard, struct entry *entry)
{
	struct entry *victim = shard->oldest;

	if (entry->count > shard->per_origin_max)
		return pop_oldest(shard, entry);
	if (shard->sessions <= shard->sessions_max)
		return NULL;
	while (!victim->tickets)
		victim = victim->newer;
	return pop_oldest(shard, victim);
}

static struct ticket *take(struct locked *locked, const struct cache_key *key)
{
	struct ticket *ticket = NULL, *stale = NULL;
	uint64_t hash = hash_of(key), now = now_s();
	struct shard *shard = shard_of(locked, hash);
	struct entry *entry;

	(void)pthread_mutex_lock(&shard->lock); /* no kind that can fail */
	shard->takes++;
	entry = find(shard, hash, key);
	if (entry && entry->tickets) {
		ticket = entry->tickets;
		if (!ticket_is_fresh(ticket, now)) {
			stale = pop(shard, entry, &entry->tickets);
			ticket = NULL;
		} else if (ticket->single_use) {
			ticket = pop(shard, entry, &entry->tickets);
		} else {
			ticket = ticket_get(ticket);
		}
		touch(shard, entry);
	}
	shard->misses += !ticket;
	(void)pthread_mutex_unlock(&shard->lock); /* it is ours */
	ticket_put(stale);
	return ticket;
}

static void give(void *store, const struct cache_key *key,
		 struct ticket *ticket)
{
	struct locked *locked = store;
	uint64_t hash = hash_of(key), now = now_s();
	struct shard *shard = shard_of(locked, hash);
	struct ticket *victim = ticket;
	struct entry *entry = NULL;

	(void)pthread_mutex_lock(&shard->lock); /* no kind that can fail */
	if (ticket_is_fresh(ticket, now))
		entry = find_or_make(shard, hash, key);
	if (entry) {
		ticket->next = entry->tickets;
		entry->tickets = ticket;
		entry->count++;
		shard->sessions++;
		shard->gives++;
		touch(shard, entry);
		victim = make_room(shard, entry);
	}
	(void)pthread_mutex_unlock(&shard->lock); /* it is ours */
	ticket_put(victim);
}

static bool locked_take_give(void *store, uint32_t thread,
			     const struct cache_key *key)
{
	struct ticket *ticket = take(store, key);
	bool hit = ticket;

	(void)thread;
	if (!hit)
		ticket = cache_ticket_new(true);
	if (ticket)
		give(store, key, ticket);
	return hit;
}

static bool locked_share(void *store, uint32_t thread,
			 const struct cache_key *key)
{
	struct ticket *ticket = take(store, key);

	(void)thread;
	ticket_put(ticket);
	return ticket;
}

static void shard_fini(struct shard *shard)
{
	struct entry *entry, *older;

	for (entry = shard->newest; entry; entry = older) {
		older = entry->older;
		while (entry->tickets)
			ticket_put(pop(shard, entry, &entry->tickets));
		free(entry);
	}
	free(shard->buckets);
	(void)pthread_mutex_destroy(&shard->lock); /* nobody holds it */
}

static void locked_fini(void *store)
{
	struct locked *locked = store;
	uint32_t i;

	for (i = 0; i <= locked->shard_mask; i++)
		shard_fini(&locked->shards[i]);
	free(locked->shards);
	free(locked);
}

/* @origins: about as many will be in it */
static int shard_init(struct shard *shard, const struct cache_fill *fill,
		      uint32_t origins)
{
	pthread_mutexattr_t attr;
	uint64_t buckets = BUCKETS_MIN;

	while (buckets < origins)
		buckets *= 2;
	memset(shard, 0, sizeof(*shard));
	/* None of these four can fail in glibc: they store a number. */
	(void)pthread_mutexattr_init(&attr);
	(void)pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
	(void)pthread_mutex_init(&shard->lock, &attr);
	(void)pthread_mutexattr_destroy(&attr);
	shard->bucket_mask = buckets - 1;
	shard->per_origin_max = (uint64_t)fill->tickets * ROOM;
	shard->sessions_max = fill->origins * shard->per_origin_max;
	shard->buckets = calloc(buckets, sizeof(struct entry *));
	return shard->buckets ? 0 : -ENOMEM;
}

/* @shards: a power of two */
static int locked_init(const struct cache_fill *fill, uint32_t shards,
		       void **out)
{
	struct locked *locked = calloc(1, sizeof(*locked));
	uint32_t i;
	int err = 0;

	if (!locked)
		return -ENOMEM;
	locked->shard_mask = shards - 1;
	locked->shards = aligned_alloc(_Alignof(struct shard),
				       shards * sizeof(struct shard));
	if (!locked->shards) {
		free(locked);
		return -ENOMEM;
	}
	for (i = 0; i < shards; i++)
		if (shard_init(&locked->shards[i], fill,
			       fill->origins / shards))
			err = -ENOMEM;
	if (!err)
		err = cache_fill_up(fill, locked, give);
	if (err)
		locked_fini(locked);
	else
		*out = locked;
	return err;
}

static int list_init(const struct cache_fill *fill, void **out)
{
	return locked_init(fill, 1, out);
}

static int sharded_init(const struct cache_fill *fill, void **out)
{
	return locked_init(fill, SHARDS, out);
}

const struct cache_store cache_store_mutex_list = {
	.name = "mutex-list",
	.init = list_init,
	.op = {
		[CACHE_TAKE_GIVE] = locked_take_give,
		[CACHE_SHARE] = locked_share,
	},
	.fini = locked_fini,
};

const struct cache_store cache_store_sharded_mutex = {
	.name = "sharded-mutex",
	.init = sharded_init,
	.op = {
		[CACHE_TAKE_GIVE] = locked_take_give,
		[CACHE_SHARE] = locked_share,
	},
	.fini = locked_fini,
};
