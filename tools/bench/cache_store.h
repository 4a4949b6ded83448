/* SPDX-License-Identifier: MIT */
/*
 * The stores that ktc-bench cache compares, behind one table: the library's
 * inventory, and three that do the same another way. Each is filled before
 * its threads start and gets the same tickets.
 */
#ifndef BENCH_CACHE_STORE_H
#define BENCH_CACHE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "cache_load.h"

struct ticket;

/**
 * struct cache_fill - what a store is made for
 * @op: the one operation that it will be asked for
 * @keys: the origins; stay where they are until fini
 * @origins: how many
 * @threads: how many will ask at once, numbered from 0
 * @tickets: of each origin, single-use; with CACHE_SHARE there is one
 */
struct cache_fill {
	enum cache_op op;
	const struct cache_key *keys;
	uint32_t origins;
	uint32_t threads;
	uint32_t tickets;
};

/**
 * typedef cache_op_fn - one operation
 * @store: what the store's init has made
 * @thread: which of the threads asks
 * @key: one of the origins
 *
 * take+give takes a ticket and gives it back as a new one; after a miss it
 * gives a new one instead, as a full handshake would. share takes a reference
 * and drops it.
 *
 * Context: the thread of that number.
 * Return: false for a miss.
 */
typedef bool (*cache_op_fn)(void *store, uint32_t thread,
			    const struct cache_key *key);

/**
 * struct cache_store - one way to keep sessions
 * @name: for the report
 * @init: makes it and fills it; 0 or a negative error
 * @op: the operations, by enum cache_op
 * @fini: frees it and every ticket in it
 */
struct cache_store {
	const char *name;
	int (*init)(const struct cache_fill *fill, void **out);
	cache_op_fn op[CACHE_NR_OPS];
	void (*fini)(void *store);
};

/* the inventory comes first; the others are what it is compared with */
enum cache_store_id {
	CACHE_INVENTORY,
	CACHE_MUTEX_LIST,
	CACHE_SHARDED_MUTEX,
	CACHE_OPENSSL,
	CACHE_NR_STORES,
};

extern const struct cache_store cache_store_inventory;
extern const struct cache_store cache_store_mutex_list;
extern const struct cache_store cache_store_sharded_mutex;
extern const struct cache_store cache_store_openssl;

/*
 * A ticket without a session, good for a day; the inventory's ticket_put()
 * frees it. NULL: no memory.
 */
struct ticket *cache_ticket_new(bool single_use);

/*
 * Makes what a store is filled with and gives it, which takes it. 0 or
 * -ENOMEM.
 */
int cache_fill_up(const struct cache_fill *fill, void *store,
		  void (*give)(void *store, const struct cache_key *key,
			       struct ticket *take));

#endif /* BENCH_CACHE_STORE_H */
