// SPDX-License-Identifier: MIT
/*
 * Origins, their order, and the middle of several figures. Nothing here runs
 * while the clock does. Everything follows from its arguments: two runs draw
 * the same numbers. One thread.
 */
#include "cache_load.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * Long enough that no branch predictor learns the order by heart, and each
 * origin is met a few times in a round.
 */
#define SEQ_LEN_MIN    (1U << 16)
#define SEQ_PER_ORIGIN 4U

/* as many numbers as a double tells apart between 0 and 1 */
#define UNITS (UINT64_C(1) << 53)

#define SEED_IDS UINT64_C(0x6b74632d62656e63)
#define SEED_SEQ UINT64_C(0x736571756e636573)

int cache_list_parse(struct cache_list *list, const char *text, uint32_t max)
{
	struct cache_list got = { 0 };
	unsigned long value;
	char *end;

	for (;; text = end + 1) {
		/* strtoul() would take a sign and blanks */
		if (*text < '0' || *text > '9' || got.count == CACHE_LIST_MAX)
			return -EINVAL;
		errno = 0;
		value = strtoul(text, &end, 10);
		if (errno || !value || value > max)
			return -EINVAL;
		got.value[got.count++] = (uint32_t)value;
		if (!*end)
			break;
		if (*end != ',')
			return -EINVAL;
	}
	*list = got;
	return 0;
}

uint32_t cache_list_largest(const struct cache_list *list)
{
	uint32_t largest = 0;
	unsigned int i;

	for (i = 0; i < list->count; i++)
		if (list->value[i] > largest)
			largest = list->value[i];
	return largest;
}

/* splitmix64, by Steele, Lea and Flood: 64 good bits from a counter */
static uint64_t draw(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* from 0 up to 1, without it */
static double draw_unit(uint64_t *state)
{
	return (double)(draw(state) >> 11) / (double)UNITS;
}

struct cache_key *cache_keys_new(uint32_t count)
{
	uint64_t state = SEED_IDS, word;
	struct cache_key *keys;
	uint32_t i;
	size_t at;

	keys = aligned_alloc(_Alignof(struct cache_key), count * sizeof(*keys));
	if (!keys)
		return NULL;
	for (i = 0; i < count; i++) {
		keys[i].index = i;
		for (at = 0; at < CACHE_ID_LEN; at += sizeof(word)) {
			word = draw(&state);
			memcpy(keys[i].id + at, &word, sizeof(word));
		}
	}
	return keys;
}

static void fill_uniform(struct cache_seq *seq, uint32_t origins,
			 uint64_t state)
{
	uint32_t i;

	for (i = 0; i < seq->len; i++)
		seq->at[i] = (uint32_t)(((draw(&state) >> 32) * origins) >> 32);
}

/* the first whose share, with all before it, reaches the point */
static uint32_t rank_at(const double *sum, uint32_t origins, double point)
{
	uint32_t low = 0, high = origins - 1, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (sum[middle] > point)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static int fill_zipf(struct cache_seq *seq, uint32_t origins, uint64_t state)
{
	double *sum = calloc(origins, sizeof(*sum)), total = 0;
	uint32_t i;

	if (!sum)
		return -ENOMEM;
	for (i = 0; i < origins; i++) {
		total += pow(i + 1, -CACHE_ZIPF_S);
		sum[i] = total;
	}
	for (i = 0; i < seq->len; i++)
		seq->at[i] = rank_at(sum, origins, draw_unit(&state) * total);
	free(sum);
	return 0;
}

int cache_seq_init(struct cache_seq *seq, enum cache_skew skew,
		   uint32_t origins, uint64_t seed)
{
	uint64_t state = SEED_SEQ + seed;
	int err = 0;

	seq->len = SEQ_LEN_MIN;
	while (seq->len < SEQ_PER_ORIGIN * origins)
		seq->len *= 2;
	seq->at = calloc(seq->len, sizeof(*seq->at));
	if (!seq->at)
		return -ENOMEM;
	if (skew == CACHE_ZIPF)
		err = fill_zipf(seq, origins, state);
	else
		fill_uniform(seq, origins, state);
	if (err)
		cache_seq_fini(seq);
	return err;
}

void cache_seq_fini(struct cache_seq *seq)
{
	free(seq->at);
	seq->at = NULL;
}

static int order(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

struct cache_spread cache_spread_of(double *values, size_t count)
{
	struct cache_spread spread;

	qsort(values, count, sizeof(*values), order);
	spread.min = values[0];
	spread.max = values[count - 1];
	spread.median = (values[(count - 1) / 2] + values[count / 2]) / 2;
	return spread;
}
