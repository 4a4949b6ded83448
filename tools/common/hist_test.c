// SPDX-License-Identifier: MIT
/*
 * Unit test of the latency histogram: error bound, ranks, merging. Fixed
 * seed; no clock.
 */
#include "hist.h"
#include "ktap.h"

#include <stdlib.h>

#define SAMPLES 20000

/* static: a histogram is too large for a careful stack */
static struct hist a, b, both;
static uint64_t sample[SAMPLES];

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static int by_value(const void *x, const void *y)
{
	const uint64_t *l = x, *r = y;

	return *l < *r ? -1 : *l > *r;
}

static void reset(void)
{
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	memset(&both, 0, sizeof(both));
}

static bool near(uint64_t want, uint64_t got)
{
	uint64_t diff = want > got ? want - got : got - want;

	return diff * 500 <= want;
}

static void empty_histogram_answers_zero(void)
{
	reset();
	CHECK(hist_quantile(&a, 500000) == 0);
	CHECK(hist_quantile(&a, 1000000) == 0);
	CHECK(hist_mean(&a) == 0);
}

static void one_value_is_every_quantile(void)
{
	static const uint32_t ppm[] = { 0, 1, 500000, 999999, 1000000 };
	size_t i;

	reset();
	hist_record(&a, 123456789);
	for (i = 0; i < sizeof(ppm) / sizeof(ppm[0]); i++)
		CHECK(hist_quantile(&a, ppm[i]) == 123456789);
	CHECK(a.min == 123456789 && a.max == 123456789);
}

static void every_power_of_two_is_within_two_permille(void)
{
	unsigned int bit, step;
	uint64_t value;

	for (bit = 0; bit < HIST_VALUE_BITS; bit++) {
		for (step = 0; step < 64; step++) {
			value = (UINT64_C(1) << bit) +
				(UINT64_C(1) << bit) * step / 64;
			reset();
			/* the maximum and minimum must not help */
			hist_record(&a, 0);
			hist_record(&a, value);
			hist_record(&a, UINT64_MAX >> 1);
			CHECK(near(value, hist_quantile(&a, 500000)));
		}
	}
}

static void small_values_are_exact(void)
{
	uint64_t value;

	reset();
	for (value = 0; value < 512; value++)
		hist_record(&a, value);
	for (value = 0; value < 511; value++)
		CHECK(hist_quantile(&a, (uint32_t)((value + 1) * 1000000 /
						   512)) == value);
}

static void rank_of_p999_in_a_thousand_is_999(void)
{
	uint64_t value;

	reset();
	for (value = 1; value <= 1000; value++)
		hist_record(&a, value <= 999 ? 7 : 500);
	CHECK(hist_quantile(&a, 999000) == 7);
	CHECK(hist_quantile(&a, 999001) == 500);
}

static void quantiles_match_a_sorted_array(void)
{
	static const uint32_t ppm[] = { 1000,	500000, 950000,
					990000, 999000, 999900 };
	uint64_t state = 0x9e3779b97f4a7c15, value, sum = 0;
	size_t i, rank;

	reset();
	for (i = 0; i < SAMPLES; i++) {
		value = next_random(&state);
		/* spread over all magnitudes up to 2^39 */
		sample[i] = (value & 0xffffff) << (value >> 60);
		sum += sample[i];
		hist_record(i % 3 ? &a : &b, sample[i]);
	}
	hist_merge(&both, &a);
	hist_merge(&both, &b);
	qsort(sample, SAMPLES, sizeof(sample[0]), by_value);
	CHECK(both.count == SAMPLES);
	CHECK(both.sum == sum);
	CHECK(both.min == sample[0]);
	CHECK(both.max == sample[SAMPLES - 1]);
	for (i = 0; i < sizeof(ppm) / sizeof(ppm[0]); i++) {
		rank = ((size_t)SAMPLES * ppm[i] + 999999) / 1000000;
		CHECK(near(sample[rank - 1], hist_quantile(&both, ppm[i])));
	}
}

static void merging_an_empty_one_changes_nothing(void)
{
	reset();
	hist_record(&a, 10);
	hist_merge(&a, &b);
	CHECK(a.count == 1 && a.min == 10 && a.max == 10);
	hist_merge(&b, &a);
	CHECK(b.count == 1 && b.min == 10 && b.max == 10);
}

static void values_beyond_the_range_keep_the_maximum(void)
{
	reset();
	hist_record(&a, UINT64_C(1) << 50);
	hist_record(&a, UINT64_C(1) << 51);
	CHECK(hist_quantile(&a, 500000) == UINT64_C(1) << 51);
	CHECK(a.count == 2);
}

static const struct ktap_test tests[] = {
	KTAP_TEST(empty_histogram_answers_zero),
	KTAP_TEST(one_value_is_every_quantile),
	KTAP_TEST(every_power_of_two_is_within_two_permille),
	KTAP_TEST(small_values_are_exact),
	KTAP_TEST(rank_of_p999_in_a_thousand_is_999),
	KTAP_TEST(quantiles_match_a_sorted_array),
	KTAP_TEST(merging_an_empty_one_changes_nothing),
	KTAP_TEST(values_beyond_the_range_keep_the_maximum),
};

int main(void)
{
	return ktap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
