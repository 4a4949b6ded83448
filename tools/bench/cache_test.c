// SPDX-License-Identifier: MIT
/*
 * Unit test of ktc-bench cache: what it asks for, that each store answers,
 * and the arithmetic of the report. No figure of the machine is judged.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "../common/ktap.h"
#include "cache.h"
#include "cache_report.h"

#define ORIGINS 50U
#define THREADS 3U
#define TICKETS 7U

static void a_list_is_numbers_with_commas_between(void)
{
	struct cache_list list = { 0 };

	CHECK(cache_list_parse(&list, "1,16,10000", 10000) == 0);
	CHECK(list.count == 3);
	CHECK(list.value[0] == 1);
	CHECK(list.value[1] == 16);
	CHECK(list.value[2] == 10000);
	CHECK(cache_list_largest(&list) == 10000);
}

static void what_is_no_list_is_refused_and_changes_nothing(void)
{
	static const char *const bad[] = {
		"",
		",",
		"1,",
		",1",
		"1,,2",
		"0",
		"-1",
		"+1",
		" 1",
		"1 ",
		"x",
		"1x",
		"1.5",
		"101",
		"99999999999999999999",
		"1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1",
	};
	struct cache_list list = { .count = 1, .value = { 7 } };
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(cache_list_parse(&list, bad[i], 100) == -EINVAL);
	CHECK(list.count == 1);
	CHECK(list.value[0] == 7);
}

static struct cache_key *keys_or_abort(void)
{
	struct cache_key *keys = cache_keys_new(ORIGINS);

	if (!keys)
		abort();
	return keys;
}

static void ids_differ_from_their_first_bytes_to_their_last(void)
{
	struct cache_key *keys = keys_or_abort();
	uint32_t i, k;
	size_t at;

	for (i = 0; i < ORIGINS; i++) {
		CHECK(keys[i].index == i);
		for (k = 0; k < i; k++)
			for (at = 0; at < CACHE_ID_LEN; at += 8)
				CHECK(memcmp(keys[i].id + at, keys[k].id + at,
					     8));
	}
	free(keys);
}

static void the_same_origins_come_in_every_run(void)
{
	struct cache_key *one = keys_or_abort(), *two = keys_or_abort();
	uint32_t i;

	for (i = 0; i < ORIGINS; i++)
		CHECK(!memcmp(one[i].id, two[i].id, CACHE_ID_LEN));
	free(one);
	free(two);
}

/* how often each origin is met; by thread 1 */
static void tally(enum cache_skew skew, uint32_t origins, uint32_t *count,
		  uint32_t *len)
{
	struct cache_seq seq;
	uint32_t i;

	if (cache_seq_init(&seq, skew, origins, 1))
		abort();
	CHECK(!(seq.len & (seq.len - 1)));
	memset(count, 0, origins * sizeof(*count));
	for (i = 0; i < seq.len; i++) {
		CHECK(seq.at[i] < origins);
		if (seq.at[i] < origins)
			count[seq.at[i]]++;
	}
	*len = seq.len;
	cache_seq_fini(&seq);
}

static bool about(double want, double got, double part)
{
	return got > want * (1 - part) && got < want * (1 + part);
}

static void uniform_meets_every_origin_as_often_as_the_others(void)
{
	uint32_t count[ORIGINS], len, i;

	tally(CACHE_UNIFORM, ORIGINS, count, &len);
	for (i = 0; i < ORIGINS; i++)
		CHECK(about((double)len / ORIGINS, count[i], 0.15));
}

static void zipf_meets_an_origin_by_its_rank(void)
{
	uint32_t count[ORIGINS], len, i;
	double sum = 0;

	tally(CACHE_ZIPF, ORIGINS, count, &len);
	for (i = 0; i < ORIGINS; i++)
		sum += pow(i + 1, -CACHE_ZIPF_S);
	for (i = 0; i < ORIGINS; i++)
		CHECK(about(len * pow(i + 1, -CACHE_ZIPF_S) / sum, count[i],
			    0.2));
}

static void one_origin_is_all_there_is_to_choose(void)
{
	uint32_t count, len;

	tally(CACHE_UNIFORM, 1, &count, &len);
	CHECK(count == len);
	tally(CACHE_ZIPF, 1, &count, &len);
	CHECK(count == len);
}

static void many_origins_make_a_longer_order(void)
{
	struct cache_seq seq;

	if (cache_seq_init(&seq, CACHE_UNIFORM, 100000, 0))
		abort();
	CHECK(seq.len >= 400000);
	cache_seq_fini(&seq);
}

static void two_threads_do_not_walk_one_behind_the_other(void)
{
	struct cache_seq a, b;
	uint32_t shift, same, i;

	if (cache_seq_init(&a, CACHE_UNIFORM, 10000, 0) ||
	    cache_seq_init(&b, CACHE_UNIFORM, 10000, 1))
		abort();
	for (shift = 0; shift < 64; shift++) {
		same = 0;
		for (i = 0; i < 1000; i++)
			same += a.at[i + shift] == b.at[i];
		CHECK(same < 10);
	}
	cache_seq_fini(&a);
	cache_seq_fini(&b);
}

static void the_median_is_in_the_middle(void)
{
	double odd[] = { 5, 1, 3 }, even[] = { 4, 1, 2, 9 }, one[] = { 7 };
	struct cache_spread s;

	s = cache_spread_of(odd, 3);
	CHECK(s.median == 3 && s.min == 1 && s.max == 5);
	s = cache_spread_of(even, 4);
	CHECK(s.median == 3 && s.min == 1 && s.max == 9);
	s = cache_spread_of(one, 1);
	CHECK(s.median == 7 && s.min == 7 && s.max == 7);
}

/* every thread's turn at every origin, twice, one after the other */
static void ask_all(const struct cache_store *store, enum cache_op op)
{
	struct cache_key *keys = keys_or_abort();
	const struct cache_fill fill = {
		.op = op,
		.keys = keys,
		.origins = ORIGINS,
		.threads = THREADS,
		.tickets = TICKETS,
	};
	uint32_t round, thread, i;
	void *state = NULL;

	if (store->init(&fill, &state))
		abort();
	for (round = 0; round < 2; round++)
		for (thread = 0; thread < THREADS; thread++)
			for (i = 0; i < ORIGINS; i++)
				CHECK(store->op[op](state, thread, &keys[i]));
	store->fini(state);
	free(keys);
}

static void every_store_has_tickets_of_every_origin(void)
{
	int s;

	for (s = 0; s < CACHE_NR_STORES; s++)
		ask_all(cache_stores[s], CACHE_TAKE_GIVE);
}

static void every_store_shares_sessions_of_every_origin(void)
{
	int s;

	for (s = 0; s < CACHE_NR_STORES; s++)
		ask_all(cache_stores[s], CACHE_SHARE);
}

/* a store with one origin's sessions is asked for one with nearly its id */
static bool asked_for_a_stranger(const struct cache_store *store,
				 enum cache_op op, bool *again)
{
	struct cache_key *keys = keys_or_abort();
	const struct cache_fill fill = {
		.op = op,
		.keys = keys,
		.origins = 1,
		.threads = 1,
		.tickets = TICKETS,
	};
	struct cache_key stranger = keys[0];
	void *state = NULL;
	bool hit;

	/* in the middle: no store has its hash from there */
	stranger.id[CACHE_ID_LEN / 2] ^= 1;
	if (store->init(&fill, &state))
		abort();
	hit = store->op[op](state, 0, &stranger);
	*again = store->op[op](state, 0, &stranger);
	store->fini(state);
	free(keys);
	return hit;
}

static void a_stranger_misses_and_brings_a_ticket(void)
{
	bool again = false;
	int s;

	for (s = 0; s < CACHE_OPENSSL; s++) {
		CHECK(!asked_for_a_stranger(cache_stores[s], CACHE_TAKE_GIVE,
					    &again));
		CHECK(again);
	}
}

static void a_stranger_shares_nothing(void)
{
	bool again = false;
	int s;

	for (s = 0; s < CACHE_NR_STORES; s++) {
		CHECK(!asked_for_a_stranger(cache_stores[s], CACHE_SHARE,
					    &again));
		CHECK(!again);
	}
}

static void run_or_abort(struct cache_result *result,
			 const struct cache_options *opts)
{
	char why[200];

	if (cache_run(result, opts, why, sizeof(why)))
		abort();
}

static void every_combination_is_measured_as_often_as_asked(void)
{
	const struct cache_options opts = {
		.threads = "1,2",
		.origins = "1,3",
		.op = BENCH_ALL,
		.skew = BENCH_ALL,
		.store = BENCH_ALL,
		.duration_ms = 1,
		.repeat = 2,
	};
	struct cache_result result;
	uint32_t i, n;

	run_or_abort(&result, &opts);
	/* one origin needs no choosing: 2 operations, 1 + 2 loads of each */
	CHECK(result.row_count == 2 * 3 * CACHE_NR_STORES * 2);
	for (i = 0; i < result.row_count; i++) {
		const struct cache_row *row = &result.rows[i];

		CHECK(row->runs == 2);
		CHECK(row->threads == 1 + i % 2);
		CHECK(row->store == i / 2 % CACHE_NR_STORES);
		CHECK(!row->misses);
		for (n = 0; n < row->runs; n++) {
			CHECK(row->ns[n] > 0);
			CHECK(row->mops[n] > 0);
		}
	}
	cache_fini(&result);
}

static void what_is_not_chosen_is_left_out(void)
{
	const struct cache_options opts = {
		.threads = "1",
		.origins = "2",
		.op = CACHE_SHARE,
		.skew = CACHE_ZIPF,
		.store = CACHE_MUTEX_LIST,
		.duration_ms = 1,
		.repeat = 1,
	};
	struct cache_result result;

	run_or_abort(&result, &opts);
	CHECK(result.row_count == 1);
	CHECK(result.rows[0].op == CACHE_SHARE);
	CHECK(result.rows[0].skew == CACHE_ZIPF);
	CHECK(result.rows[0].store == CACHE_MUTEX_LIST);
	cache_fini(&result);
}

static void a_wrong_list_ends_in_a_sentence(void)
{
	struct cache_options opts = { .threads = "0", .origins = "1" };
	struct cache_result result;
	char why[200];

	CHECK(cache_run(&result, &opts, why, sizeof(why)) == -1);
	CHECK(!strncmp(why, "--threads: \"0\" is no list", 25));
	opts.threads = "1";
	opts.origins = "1;2";
	CHECK(cache_run(&result, &opts, why, sizeof(why)) == -1);
	CHECK(!strncmp(why, "--origins: \"1;2\" is no list", 27));
}

/* three stores, one and two threads, one load */
static struct cache_row rows[] = {
	{ .store = CACHE_INVENTORY,
	  .threads = 1,
	  .runs = 3,
	  .ns = { 100, 90, 200 },
	  .mops = { 10, 11, 5 } },
	{ .store = CACHE_INVENTORY,
	  .threads = 2,
	  .runs = 3,
	  .ns = { 100, 90, 200 },
	  .mops = { 20, 22, 10 } },
	{ .store = CACHE_MUTEX_LIST,
	  .threads = 1,
	  .runs = 1,
	  .ns = { 50 },
	  .mops = { 20 } },
	{ .store = CACHE_MUTEX_LIST,
	  .threads = 2,
	  .runs = 1,
	  .ns = { 400 },
	  .mops = { 5 } },
	{ .store = CACHE_SHARDED_MUTEX,
	  .threads = 1,
	  .runs = 1,
	  .ns = { 50 },
	  .mops = { 20 } },
	{ .store = CACHE_SHARDED_MUTEX,
	  .threads = 2,
	  .runs = 1,
	  .ns = { 200 },
	  .mops = { 10 } },
};

static const struct cache_options row_opts = {
	.duration_ms = 1,
	.repeat = 3,
};

static const struct cache_result made_up = {
	.opts = &row_opts,
	.threads = { .count = 2, .value = { 1, 2 } },
	.stores = 3,
	.rows = rows,
	.row_count = 6,
};

static void scaling_is_against_one_thread_of_the_same_store(void)
{
	struct cache_brief brief;

	CHECK(cache_brief_of(&brief, &made_up, 1));
	CHECK(brief.ns.median == 100);
	CHECK(brief.mops.median == 20);
	CHECK(brief.scaling == 2);
	CHECK(cache_brief_of(&brief, &made_up, 3));
	CHECK(brief.scaling == 0.25);
}

static void without_a_run_of_one_thread_there_is_no_scaling(void)
{
	struct cache_result cut = made_up;
	struct cache_brief brief;

	cut.threads.count = 1;
	cut.threads.value[0] = 2;
	cut.rows = &rows[1];
	CHECK(cache_brief_of(&brief, &cut, 0));
	CHECK(isnan(brief.scaling));
}

static void the_verdict_is_against_the_best_with_most_threads(void)
{
	struct cache_verdict v;

	CHECK(cache_verdict_of(&v, &made_up, 0));
	CHECK(v.threads == 2);
	CHECK(v.best == CACHE_SHARDED_MUTEX);
	CHECK(v.ratio == 2);
}

static void what_was_not_measured_has_no_verdict(void)
{
	struct cache_row none[6] = { 0 };
	struct cache_result cut = made_up;
	struct cache_brief brief;
	struct cache_verdict v;

	cut.rows = none;
	CHECK(!cache_verdict_of(&v, &cut, 0));
	CHECK(!cache_brief_of(&brief, &cut, 0));
	memcpy(none, rows, 2 * sizeof(rows[0]));
	CHECK(!cache_verdict_of(&v, &cut, 0));
}

static void a_full_disk_is_told(void)
{
	FILE *full = fopen("/dev/full", "w");

	if (!full)
		abort();
	CHECK(cache_report(&made_up, full) == -EIO);
	(void)fclose(full); /* it is full */
}

static const struct ktap_test tests[] = {
	KTAP_TEST(a_list_is_numbers_with_commas_between),
	KTAP_TEST(what_is_no_list_is_refused_and_changes_nothing),
	KTAP_TEST(ids_differ_from_their_first_bytes_to_their_last),
	KTAP_TEST(the_same_origins_come_in_every_run),
	KTAP_TEST(uniform_meets_every_origin_as_often_as_the_others),
	KTAP_TEST(zipf_meets_an_origin_by_its_rank),
	KTAP_TEST(one_origin_is_all_there_is_to_choose),
	KTAP_TEST(many_origins_make_a_longer_order),
	KTAP_TEST(two_threads_do_not_walk_one_behind_the_other),
	KTAP_TEST(the_median_is_in_the_middle),
	KTAP_TEST(every_store_has_tickets_of_every_origin),
	KTAP_TEST(every_store_shares_sessions_of_every_origin),
	KTAP_TEST(a_stranger_misses_and_brings_a_ticket),
	KTAP_TEST(a_stranger_shares_nothing),
	KTAP_TEST(every_combination_is_measured_as_often_as_asked),
	KTAP_TEST(what_is_not_chosen_is_left_out),
	KTAP_TEST(a_wrong_list_ends_in_a_sentence),
	KTAP_TEST(scaling_is_against_one_thread_of_the_same_store),
	KTAP_TEST(without_a_run_of_one_thread_there_is_no_scaling),
	KTAP_TEST(the_verdict_is_against_the_best_with_most_threads),
	KTAP_TEST(what_was_not_measured_has_no_verdict),
	KTAP_TEST(a_full_disk_is_told),
};

int main(void)
{
	return ktap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
