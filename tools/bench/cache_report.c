// SPDX-License-Identifier: MIT
/*
 * The report of ktc-bench cache. Text and JSON are made from the same rows.
 * A figure is the middle one of its runs and stands with the least and the
 * most of them: where these are far apart, the machine was not the
 * benchmark's alone. Runs after all threads have ended.
 */
#include "cache_report.h"

#include <errno.h>
#include <inttypes.h>
#include <ktlsclient.h>
#include <math.h>
#include <string.h>

#include "../common/json.h"
#include "machine.h"

static const char *const op_name[CACHE_NR_OPS] = {
	[CACHE_TAKE_GIVE] = "take+give",
	[CACHE_SHARE] = "share",
};

static const char *const skew_name[CACHE_NR_SKEWS] = {
	[CACHE_UNIFORM] = "uniform",
	[CACHE_ZIPF] = "zipf",
};

static struct cache_spread spread_of_runs(const double *runs, uint32_t count)
{
	double sorted[CACHE_REPEAT_MAX];

	memcpy(sorted, runs, count * sizeof(*runs));
	return cache_spread_of(sorted, count);
}

/* rows of one store under one load stand together, one for each of threads */
static const struct cache_row *with_threads(const struct cache_result *result,
					    uint32_t index, uint32_t threads)
{
	uint32_t first = index - index % result->threads.count, i;

	for (i = first; i < first + result->threads.count; i++)
		if (result->rows[i].threads == threads && result->rows[i].runs)
			return &result->rows[i];
	return NULL;
}

static double median_mops(const struct cache_row *row)
{
	return spread_of_runs(row->mops, row->runs).median;
}

bool cache_brief_of(struct cache_brief *brief,
		    const struct cache_result *result, uint32_t index)
{
	const struct cache_row *row = &result->rows[index];
	const struct cache_row *alone = with_threads(result, index, 1);

	if (!row->runs)
		return false;
	brief->ns = spread_of_runs(row->ns, row->runs);
	brief->mops = spread_of_runs(row->mops, row->runs);
	brief->cpu = spread_of_runs(row->cpu, row->runs);
	brief->scaling = alone ? brief->mops.median / median_mops(alone) : NAN;
	return true;
}

bool cache_verdict_of(struct cache_verdict *verdict,
		      const struct cache_result *result, uint32_t first)
{
	uint32_t threads = cache_list_largest(&result->threads), s;
	double ours = 0, best = 0, mops;

	for (s = 0; s < result->stores; s++) {
		const struct cache_row *row = with_threads(
			result, first + s * result->threads.count, threads);

		if (!row)
			continue;
		mops = median_mops(row);
		if (row->store == CACHE_INVENTORY) {
			ours = mops;
		} else if (mops > best) {
			best = mops;
			verdict->best = row->store;
		}
	}
	if (!(ours > 0 && best > 0))
		return false;
	verdict->row = &result->rows[first];
	verdict->threads = threads;
	verdict->ratio = ours / best;
	return true;
}

static uint32_t rows_of_load(const struct cache_result *result)
{
	return result->stores * result->threads.count;
}

static void load_text(char *text, size_t len, const struct cache_row *row)
{
	if (row->origins > 1)
		(void)snprintf(text, len, "%s, %" PRIu32 " origins, %s",
			       op_name[row->op], row->origins,
			       skew_name[row->skew]);
	else
		(void)snprintf(text, len, "%s, 1 origin", op_name[row->op]);
}

static void text_head(FILE *out, const struct cache_result *result)
{
	const struct cache_options *o = result->opts;
	struct machine m;

	machine_describe(&m);
	fprintf(out, "ktc-bench cache\n");
	fprintf(out, "libktlsclient %s%s%s, %s, %ld x %s\n", ktc_version(),
		m.openssl[0] ? ", " : "", m.openssl, m.kernel, m.cores,
		m.cpu[0] ? m.cpu : m.arch);
	fprintf(out,
		"%" PRIu64 " runs of %" PRIu64 " ms each, the stores in turn; "
		"%s\n",
		o->repeat, o->duration_ms,
		result->pinned ? "each thread has a CPU of its own"
			       : "more threads than CPUs");
	fprintf(out, "median (least..most) of the runs\n");
	if (result->interrupted)
		fprintf(out, "interrupted; what there is:\n");
}

static void text_spread(FILE *out, const struct cache_spread *s)
{
	char range[32];

	(void)snprintf(range, sizeof(range), "(%.1f..%.1f)", s->min, s->max);
	fprintf(out, " %8.1f %-17s", s->median, range);
}

static void text_row(FILE *out, const struct cache_result *result,
		     uint32_t index)
{
	const struct cache_row *row = &result->rows[index];
	struct cache_brief brief;

	if (!cache_brief_of(&brief, result, index))
		return;
	fprintf(out, "%-14s%7" PRIu32, cache_stores[row->store]->name,
		row->threads);
	text_spread(out, &brief.ns);
	text_spread(out, &brief.mops);
	if (isnan(brief.scaling))
		fprintf(out, "%6s", "-");
	else
		fprintf(out, "%6.2f", brief.scaling);
	fprintf(out, " %6.0f %%", 100 * brief.cpu.median);
	if (row->misses)
		fprintf(out, "  %" PRIu64 " misses", row->misses);
	fputc('\n', out);
}

static void text_load(FILE *out, const struct cache_result *result,
		      uint32_t first)
{
	char load[64];
	uint32_t i;

	/* the first of a load is measured before all others */
	if (!result->rows[first].runs)
		return;
	load_text(load, sizeof(load), &result->rows[first]);
	fprintf(out, "\n%s\n", load);
	fprintf(out, "%-14s%7s %8s %-17s %8s %-17s%6s %8s\n", "store",
		"threads", "ns/op", "", "Mops/s", "", "scale", "on CPU");
	for (i = first; i < first + rows_of_load(result); i++)
		text_row(out, result, i);
}

static void text_verdicts(FILE *out, const struct cache_result *result)
{
	struct cache_verdict v;
	bool any = false;
	char load[64];
	uint32_t i;

	for (i = 0; i < result->row_count; i += rows_of_load(result)) {
		if (!cache_verdict_of(&v, result, i))
			continue;
		if (!any)
			fprintf(out,
				"\nMops/s of the inventory with %" PRIu32
				" thread%s, by the best of the others\n",
				v.threads, v.threads > 1 ? "s" : "");
		any = true;
		load_text(load, sizeof(load), v.row);
		fprintf(out, "%-34s %6.2f x %s\n", load, v.ratio,
			cache_stores[v.best]->name);
	}
}

static void text_notes(FILE *out)
{
	fputs("\n"
	      "ns/op: how long one operation keeps its thread. Mops/s: of all "
	      "threads, millions\n"
	      "of operations a second. scale: of that, against one thread. "
	      "on CPU: the rest of\n"
	      "the time threads slept on a lock, or another program ran.\n"
	      "take+give: a ticket is taken and given back as a new one. "
	      "share: a reference to\n"
	      "a session is taken and dropped. openssl: by its public "
	      "functions, remove and add\n"
	      "of an object at hand; or a look-up that tells no more than "
	      "that it is there.\n",
	      out);
}

static void report_text(FILE *out, const struct cache_result *result)
{
	uint32_t i;

	text_head(out, result);
	for (i = 0; i < result->row_count; i += rows_of_load(result))
		text_load(out, result, i);
	text_verdicts(out, result);
	text_notes(out);
}

static void json_load(struct json *j, const struct cache_row *row)
{
	json_string(j, "op", op_name[row->op]);
	json_uint(j, "origins", row->origins);
	json_string(j, "skew", skew_name[row->skew]);
}

static void json_spread(struct json *j, const char *key,
			const struct cache_spread *s, const double *runs,
			uint32_t count)
{
	uint32_t i;

	json_object_begin(j, key);
	json_double(j, "median", s->median);
	json_double(j, "min", s->min);
	json_double(j, "max", s->max);
	json_array_begin(j, "runs");
	for (i = 0; i < count; i++)
		json_double(j, NULL, runs[i]);
	json_array_end(j);
	json_object_end(j);
}

static void json_row(struct json *j, const struct cache_result *result,
		     uint32_t index)
{
	const struct cache_row *row = &result->rows[index];
	struct cache_brief brief;

	if (!cache_brief_of(&brief, result, index))
		return;
	json_object_begin(j, NULL);
	json_load(j, row);
	json_string(j, "store", cache_stores[row->store]->name);
	json_uint(j, "threads", row->threads);
	json_spread(j, "ns_per_op", &brief.ns, row->ns, row->runs);
	json_spread(j, "mops_per_s", &brief.mops, row->mops, row->runs);
	json_spread(j, "on_cpu", &brief.cpu, row->cpu, row->runs);
	json_double(j, "scaling", brief.scaling);
	json_uint(j, "misses", row->misses);
	json_object_end(j);
}

static void json_verdicts(struct json *j, const struct cache_result *result)
{
	struct cache_verdict v;
	uint32_t i;

	json_array_begin(j, "against_best");
	for (i = 0; i < result->row_count; i += rows_of_load(result)) {
		if (!cache_verdict_of(&v, result, i))
			continue;
		json_object_begin(j, NULL);
		json_load(j, v.row);
		json_uint(j, "threads", v.threads);
		json_string(j, "best", cache_stores[v.best]->name);
		json_double(j, "ratio", v.ratio);
		json_object_end(j);
	}
	json_array_end(j);
}

static void json_environment(struct json *j)
{
	struct machine m;

	machine_describe(&m);
	json_string(j, "time", m.time);
	json_object_begin(j, "versions");
	json_string(j, "libktlsclient", ktc_version());
	json_string(j, "ktc_bench", KTC_VERSION_STRING);
	json_string(j, "openssl", m.openssl[0] ? m.openssl : NULL);
	json_string(j, "kernel", m.kernel);
	json_object_end(j);
	json_object_begin(j, "machine");
	json_string(j, "cpu", m.cpu);
	json_int(j, "cores", m.cores);
	json_string(j, "arch", m.arch);
	json_object_end(j);
}

static int report_json(FILE *out, const struct cache_result *result)
{
	const struct cache_options *o = result->opts;
	struct json j;
	uint32_t i;
	int n;

	json_init(&j, out);
	json_object_begin(&j, NULL);
	json_string(&j, "tool", "ktc-bench");
	json_string(&j, "command", "cache");
	json_array_begin(&j, "argv");
	for (n = 0; n < o->argc; n++)
		json_string(&j, NULL, o->argv[n]);
	json_array_end(&j);
	json_environment(&j);
	json_string(&j, "end", result->interrupted ? "signal" : "done");
	json_uint(&j, "duration_ms", o->duration_ms);
	json_uint(&j, "repeat", o->repeat);
	json_bool(&j, "pinned", result->pinned);
	json_array_begin(&j, "measured");
	for (i = 0; i < result->row_count; i++)
		json_row(&j, result, i);
	json_array_end(&j);
	json_verdicts(&j, result);
	json_object_end(&j);
	return json_fini(&j);
}

int cache_report(const struct cache_result *result, FILE *out)
{
	int err = 0;

	if (result->opts->json)
		err = report_json(out, result);
	else
		report_text(out, result);
	if (!err && (fflush(out) || ferror(out)))
		err = -EIO;
	return err;
}
