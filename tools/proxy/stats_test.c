// SPDX-License-Identifier: MIT
/*
 * Unit test of the counters: buckets and their bounds, sums, names.
 */
#include "stats.h"

#include <stdlib.h>

#include "ktap.h"

static struct stats_listener a, b, sum;

static void bounds_grow(void)
{
	unsigned int i;

	for (i = 1; i < STATS_BUCKETS; i++)
		CHECK(stats_bucket_us[i] > stats_bucket_us[i - 1]);
}

static void a_value_counts_in_the_bucket_of_its_bound(void)
{
	static struct stats_hist hist;
	uint64_t want_us = 0;
	unsigned int i;

	for (i = 0; i < STATS_BUCKETS; i++) {
		stats_record(&hist, stats_bucket_us[i]);
		CHECK(stats_get(&hist.bucket[i]) == 1 + (i > 0));
		stats_record(&hist, stats_bucket_us[i] + 1);
		CHECK(stats_get(&hist.bucket[i + 1]) == 1);
		want_us += 2 * (uint64_t)stats_bucket_us[i] + 1;
	}
	stats_record(&hist, 0);
	CHECK(stats_get(&hist.bucket[0]) == 2);
	CHECK(stats_get(&hist.sum_us) == want_us);
	stats_record(&hist, UINT64_C(1) << 40);
	CHECK(stats_get(&hist.bucket[STATS_BUCKETS]) == 2);
}

static void every_counter_is_summed(void)
{
	stats_u64 *in = (stats_u64 *)&a, *out = (stats_u64 *)&sum;
	size_t n = sizeof(a) / sizeof(*in), i;

	for (i = 0; i < n; i++)
		stats_add(&in[i], i + 1);
	stats_sum(&sum, &a);
	stats_sum(&sum, &a);
	for (i = 0; i < n; i++)
		CHECK(stats_get(&out[i]) == 2 * (i + 1));
	/* the first and the last by name */
	CHECK(stats_get(&sum.accepted) == 2);
	CHECK(stats_get(&sum.moved) == 2 * n);
}

static void a_level_counts_over_threads(void)
{
	memset(&a, 0, sizeof(a));
	memset(&sum, 0, sizeof(sum));
	/* accepted by one thread, ended by the other */
	stats_add(&a.clients, 5);
	stats_sub(&b.clients, 3);
	stats_sum(&sum, &a);
	stats_sum(&sum, &b);
	CHECK(stats_get(&sum.clients) == 2);
}

static bool name_is_label(const char *name)
{
	return *name && strspn(name, "abcdefghijklmnopqrstuvwxyz_") ==
				strlen(name);
}

static void names_are_labels_and_differ(void)
{
	unsigned int i, j;

	for (i = 0; i < STATS_END_NR; i++) {
		const char *name = stats_end_name((enum stats_end)i);

		CHECK(name_is_label(name) && strcmp(name, "unknown"));
		for (j = 0; j < i; j++)
			CHECK(strcmp(name, stats_end_name((enum stats_end)j)));
	}
	for (i = 0; i < KTC_WHY_NR; i++) {
		const char *name = stats_reason_name((enum ktc_reason)i);

		CHECK(name_is_label(name) && strcmp(name, "unknown"));
		for (j = 0; j < i; j++)
			CHECK(strcmp(name,
				     stats_reason_name((enum ktc_reason)j)));
	}
	CHECK_STR("unknown", stats_end_name(STATS_END_NR));
	CHECK_STR("unknown", stats_reason_name(KTC_WHY_NR));
}

static const struct ktap_test tests[] = {
	KTAP_TEST(bounds_grow),
	KTAP_TEST(a_value_counts_in_the_bucket_of_its_bound),
	KTAP_TEST(every_counter_is_summed),
	KTAP_TEST(a_level_counts_over_threads),
	KTAP_TEST(names_are_labels_and_differ),
};

int main(void)
{
	return ktap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
