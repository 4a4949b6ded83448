/* SPDX-License-Identifier: MIT */
/*
 * The command cache: the session inventory beside other ways to keep
 * sessions, on one machine, in turn.
 */
#ifndef BENCH_CACHE_H
#define BENCH_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache_load.h"
#include "cache_store.h"
#include "options.h"

#define CACHE_REPEAT_MAX 101

/**
 * struct cache_row - what one store did with one load
 * @op: the operation
 * @skew: how origins were chosen
 * @origins: of how many
 * @threads: how many asked at once
 * @store: who was asked
 * @runs: how often it was measured
 * @ns: by run: nanoseconds that one operation kept its thread
 * @mops: by run: millions of operations a second, all threads together
 * @cpu: by run: the part of the time that the threads had a CPU; what is
 *	missing they slept on a lock, or another program ran
 * @misses: of all runs: the store had no ticket
 */
struct cache_row {
	enum cache_op op;
	enum cache_skew skew;
	uint32_t origins;
	uint32_t threads;
	enum cache_store_id store;
	uint32_t runs;
	double ns[CACHE_REPEAT_MAX];
	double mops[CACHE_REPEAT_MAX];
	double cpu[CACHE_REPEAT_MAX];
	uint64_t misses;
};

/**
 * struct cache_result - all of a run
 * @opts: what was asked for
 * @threads: numbers of threads
 * @origins: numbers of origins
 * @stores: how many stores took part
 * @pinned: every thread had a CPU of its own
 * @interrupted: a signal ended it
 * @rows: by operation, origins, skew, store and threads, in this order: the
 *	rows of one store stand together, one for each of @threads
 * @row_count: how many
 */
struct cache_result {
	const struct cache_options *opts;
	struct cache_list threads;
	struct cache_list origins;
	uint32_t stores;
	bool pinned;
	bool interrupted;
	struct cache_row *rows;
	uint32_t row_count;
};

extern const struct cache_store *const cache_stores[CACHE_NR_STORES];

/**
 * cache_run() - measure
 * @result: written on success only; then to be given to cache_fini()
 * @opts: what to measure; read until cache_fini()
 * @why: receives a sentence on failure
 * @why_len: bytes at @why
 *
 * SIGINT and SIGTERM end it early, with what there is by then.
 *
 * Return: 0, or -1 with @why written.
 */
int cache_run(struct cache_result *result, const struct cache_options *opts,
	      char *why, size_t why_len);
void cache_fini(struct cache_result *result);

#endif /* BENCH_CACHE_H */
