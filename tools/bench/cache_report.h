/* SPDX-License-Identifier: MIT */
/*
 * What ktc-bench cache found, as text or as JSON.
 */
#ifndef BENCH_CACHE_REPORT_H
#define BENCH_CACHE_REPORT_H

#include <stdio.h>

#include "cache.h"

/* one row's runs in short */
struct cache_brief {
	struct cache_spread ns;
	struct cache_spread mops;
	struct cache_spread cpu;
	double scaling; /* operations, against one thread; NAN if not known */
};

/**
 * cache_brief_of() - the middle of a row's runs
 * @brief: written if there is anything to say
 * @result: where the row is from
 * @index: its number
 *
 * Return: false when the row was not measured.
 */
bool cache_brief_of(struct cache_brief *brief,
		    const struct cache_result *result, uint32_t index);

/**
 * struct cache_verdict - the inventory against the best of the others
 * @row: a row of the load, for what it was
 * @threads: the largest number of them
 * @best: the one of the others with most operations a second
 * @ratio: operations a second of the inventory, by those of the best
 */
struct cache_verdict {
	const struct cache_row *row;
	uint32_t threads;
	enum cache_store_id best;
	double ratio;
};

/**
 * cache_verdict_of() - compare the stores under one load
 * @verdict: written if there is a comparison
 * @result: where the load is from
 * @first: number of its first row
 *
 * Return: false when the inventory or all others were not measured.
 */
bool cache_verdict_of(struct cache_verdict *verdict,
		      const struct cache_result *result, uint32_t first);

/* Print it. 0, or -EIO when it could not be written. */
int cache_report(const struct cache_result *result, FILE *out);

#endif /* BENCH_CACHE_REPORT_H */
