/* SPDX-License-Identifier: MIT */
/*
 * What the stores of ktc-bench cache are asked for: origins, and the order in
 * which a thread comes to them. All of it is made before the clock runs, from
 * fixed seeds, so that every store gets the same questions.
 */
#ifndef BENCH_CACHE_LOAD_H
#define BENCH_CACHE_LOAD_H

#include <stddef.h>
#include <stdint.h>

#define CACHE_LIST_MAX	  16
#define CACHE_ID_LEN	  40
#define CACHE_ORIGINS_MAX (1U << 18)
/* how often an origin of rank r is chosen: 1 / r^s */
#define CACHE_ZIPF_S 0.99

enum cache_op { CACHE_TAKE_GIVE, CACHE_SHARE, CACHE_NR_OPS };
enum cache_skew { CACHE_UNIFORM, CACHE_ZIPF, CACHE_NR_SKEWS };

/* numbers of one option, as given: "1,2,16" */
struct cache_list {
	unsigned int count;
	uint32_t value[CACHE_LIST_MAX];
};

/**
 * cache_list_parse() - read numbers with commas between them
 * @list: written on success only
 * @text: what the user gave
 * @max: largest number allowed; the least is 1
 *
 * Return: 0; -EINVAL when it is no such list or a number is out of range.
 */
int cache_list_parse(struct cache_list *list, const char *text, uint32_t max);
uint32_t cache_list_largest(const struct cache_list *list);

/* an origin: a cache line of its own, so that no two share one */
struct cache_key {
	_Alignas(64) uint8_t id[CACHE_ID_LEN];
	uint32_t index;
};

/* @count origins with ids of random bytes, to be freed; NULL: no memory */
struct cache_key *cache_keys_new(uint32_t count);

/**
 * struct cache_seq - the order in which a thread comes to the origins
 * @at: indexes of origins, to be gone round
 * @len: how many, a power of two
 */
struct cache_seq {
	uint32_t *at;
	uint32_t len;
};

/* @seed: the thread's number. 0 or -ENOMEM. */
int cache_seq_init(struct cache_seq *seq, enum cache_skew skew,
		   uint32_t origins, uint64_t seed);
void cache_seq_fini(struct cache_seq *seq);

/* the middle one of several figures, and the two at the ends */
struct cache_spread {
	double median;
	double min;
	double max;
};

/* sorts @values; @count is 1 or more */
struct cache_spread cache_spread_of(double *values, size_t count);

#endif /* BENCH_CACHE_LOAD_H */
