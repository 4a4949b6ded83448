// SPDX-License-Identifier: MIT
/*
 * Log-linear histogram. A library (HdrHistogram_c) would do, but Debian 12
 * has no package of it, hence these few lines of our own. Values below 2^9
 * have a bucket each; above, every power of two is cut into 2^8 equal
 * buckets, so a bucket's middle is within 1/512 of all it holds. Memory is
 * fixed and recording does not allocate, which is what a measuring loop
 * needs. A histogram belongs to one thread; merging is for afterwards.
 */
#include "hist.h"

#define SUB_COUNT (UINT64_C(1) << HIST_SUB_BITS)

/* how far values of @value's power of two are shifted to leave 8 + 1 bits */
static unsigned int shift_of(uint64_t value)
{
	unsigned int top = 63 - (unsigned int)__builtin_clzll(value | 1);

	return top > HIST_SUB_BITS ? top - HIST_SUB_BITS : 0;
}

static size_t bucket_of(uint64_t value)
{
	unsigned int shift;

	if (value >> HIST_VALUE_BITS)
		return HIST_BUCKETS - 1;
	shift = shift_of(value);
	return (size_t)((shift << HIST_SUB_BITS) + (value >> shift));
}

/* the middle of a bucket */
static uint64_t value_of(size_t bucket)
{
	unsigned int shift;
	uint64_t low;

	if (bucket < 2 * SUB_COUNT)
		return bucket;
	shift = (unsigned int)(bucket >> HIST_SUB_BITS) - 1;
	low = (uint64_t)(bucket - ((size_t)shift << HIST_SUB_BITS)) << shift;
	return low + (UINT64_C(1) << shift) / 2;
}

void hist_record(struct hist *hist, uint64_t value)
{
	if (!hist->count || value < hist->min)
		hist->min = value;
	if (value > hist->max)
		hist->max = value;
	hist->count++;
	hist->sum += value;
	hist->bucket[bucket_of(value)]++;
}

void hist_merge(struct hist *into, const struct hist *from)
{
	size_t i;

	if (!from->count)
		return;
	if (!into->count || from->min < into->min)
		into->min = from->min;
	if (from->max > into->max)
		into->max = from->max;
	into->count += from->count;
	into->sum += from->sum;
	for (i = 0; i < HIST_BUCKETS; i++)
		into->bucket[i] += from->bucket[i];
}

uint64_t hist_quantile(const struct hist *hist, uint32_t ppm)
{
	uint64_t rank, seen = 0, value;
	size_t i;

	if (!hist->count)
		return 0;
	if (ppm >= 1000000)
		return hist->max;
	/* in integers: 0.999 * 1000 as a double would round up to rank 1000 */
	rank = hist->count / 1000000 * ppm +
	       (hist->count % 1000000 * ppm + 999999) / 1000000;
	if (!rank)
		rank = 1;
	for (i = 0; i < HIST_BUCKETS - 1; i++) {
		seen += hist->bucket[i];
		if (seen >= rank)
			break;
	}
	if (i == HIST_BUCKETS - 1)
		return hist->max;
	value = value_of(i);
	if (value < hist->min)
		return hist->min;
	return value > hist->max ? hist->max : value;
}

double hist_mean(const struct hist *hist)
{
	return hist->count ? (double)hist->sum / (double)hist->count : 0;
}
