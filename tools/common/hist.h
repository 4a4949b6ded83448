/* SPDX-License-Identifier: MIT */
/*
 * Latency histogram: fixed memory, constant-time recording, every value kept
 * within 0.2 %.
 */
#ifndef TOOLS_HIST_H
#define TOOLS_HIST_H

#include <stddef.h>
#include <stdint.h>

/* 2^8 buckets per power of two: a bucket is at most 1/256 of its value wide */
#define HIST_SUB_BITS 8
/* values of 2^40 ns (18 minutes) and more share the last bucket */
#define HIST_VALUE_BITS 40
#define HIST_BUCKETS \
	((size_t)(HIST_VALUE_BITS - HIST_SUB_BITS + 1) << HIST_SUB_BITS)

/**
 * struct hist - a histogram; zeroed is empty
 * @count: values recorded
 * @sum: of all values
 * @min: least value; exact; meaningless while @count is 0
 * @max: largest value; exact
 * @bucket: how many values each bucket has
 */
struct hist {
	uint64_t count;
	uint64_t sum;
	uint64_t min;
	uint64_t max;
	uint64_t bucket[HIST_BUCKETS];
};

/**
 * hist_record() - add one value
 * @hist: the histogram
 * @value: in the caller's unit; the tools use nanoseconds
 *
 * Context: one thread per histogram; hist_merge() brings them together.
 */
void hist_record(struct hist *hist, uint64_t value);

/**
 * hist_merge() - add all values of another histogram
 * @into: receives them
 * @from: unchanged
 */
void hist_merge(struct hist *into, const struct hist *from);

/**
 * hist_quantile() - the value that a share of all values does not exceed
 * @hist: the histogram
 * @ppm: the share in millionths: 500000 is the median, 999000 is p99.9
 *
 * Return: within 0.2 % of the true value, exact for 1000000 (the maximum) and
 * for values below 512; 0 for an empty histogram.
 */
uint64_t hist_quantile(const struct hist *hist, uint32_t ppm);

/**
 * hist_mean() - the mean
 * @hist: the histogram
 *
 * Return: exact up to rounding; 0 for an empty histogram.
 */
double hist_mean(const struct hist *hist);

#endif /* TOOLS_HIST_H */
