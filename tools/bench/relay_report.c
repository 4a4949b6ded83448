// SPDX-License-Identifier: MIT
/*
 * The report of ktc-bench relay. Text and JSON are made from the same rows.
 * The unit is the nanosecond of CPU time; where the machine's clock counts
 * instructions, so do these numbers. Runs when all children have ended.
 */
#include "relay_report.h"

#include <errno.h>
#include <inttypes.h>
#include <ktlsclient.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../common/json.h"
#include "machine.h"

static const char *const kind_name[CPU_NR_KINDS] = {
	[CPU_RELAY] = "relay", [CPU_KERNEL] = "kernel_threads",
	[CPU_ENDS] = "ends",   [CPU_SELF] = "bench",
	[CPU_OTHER] = "other",
};

static uint64_t all_ns(const struct cpu_cost *cost)
{
	uint64_t ns = 0;
	int kind;

	for (kind = 0; kind < CPU_NR_KINDS; kind++)
		if (kind != CPU_SELF)
			ns += cost->ns[kind];
	return ns;
}

static int by_cost(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* the run in the middle, by its cost; least and most */
static uint32_t middle_run(const struct relay_result *result,
			   const struct relay_row *row, uint64_t *least,
			   uint64_t *most)
{
	uint64_t sorted[RELAY_REPEAT_MAX] = { 0 };
	uint32_t i;

	for (i = 0; i < row->runs; i++)
		sorted[i] = relay_cost_ns(result, &row->cost[i]);
	qsort(sorted, row->runs, sizeof(*sorted), by_cost);
	*least = sorted[0];
	*most = sorted[row->runs - 1];
	for (i = 0; i + 1 < row->runs; i++)
		if (relay_cost_ns(result, &row->cost[i]) ==
		    sorted[(row->runs - 1) / 2])
			break;
	return i;
}

bool relay_brief_of(struct relay_brief *brief,
		    const struct relay_result *result,
		    const struct relay_row *row)
{
	const struct cpu_cost *cost;
	uint64_t least, most;
	double messages;

	if (!row->runs || row->failed[0])
		return false;
	cost = &row->cost[middle_run(result, row, &least, &most)];
	messages = (double)row->messages;
	brief->message = (double)relay_cost_ns(result, cost) / messages;
	brief->byte = brief->message / row->size;
	brief->own = (double)cost->ns[CPU_RELAY] / messages;
	brief->kernel = (double)cost->ns[CPU_KERNEL] / messages;
	brief->all = (double)all_ns(cost) / messages;
	brief->turns = (double)cost->turns[CPU_RELAY];
	if (result->opts->alone)
		brief->turns += (double)cost->turns[CPU_KERNEL];
	brief->turns /= messages;
	brief->spread = least ? (double)most / (double)least - 1 : 0;
	return true;
}

double relay_ratio(const struct relay_result *result,
		   const struct relay_row *row)
{
	struct relay_brief ours, user;
	uint32_t i;

	for (i = 0; i < result->row_count; i++) {
		const struct relay_row *other = &result->rows[i];

		if (other->plain == row->plain && other->load == row->load &&
		    other->way == RELAY_USER &&
		    relay_brief_of(&ours, result, row) &&
		    relay_brief_of(&user, result, other) && user.message > 0)
			return ours.message / user.message;
	}
	return NAN;
}

static void text_head(FILE *out, const struct relay_result *result)
{
	const struct relay_options *o = result->opts;
	struct machine m;
	int way;

	machine_describe(&m);
	fprintf(out, "ktc-bench relay\n");
	fprintf(out, "libktlsclient %s%s%s, %s, %ld x %s\n", ktc_version(),
		m.openssl[0] ? ", " : "", m.openssl, m.kernel, m.cores,
		m.cpu[0] ? m.cpu : m.arch);
	if (result->row_count)
		fprintf(out, "%s; ", result->rows[0].tls);
	fprintf(out,
		"one connection, %" PRIu64
		" runs over it after a warm-up; the middle one\n",
		o->repeat);
	for (way = 0; way < RELAY_NR_WAYS; way++)
		if (result->absent[way] &&
		    (o->way == BENCH_ALL || o->way == way))
			fprintf(out, "not measured: %s: %s\n",
				relay_way_name[way], result->absent[way]);
	if (result->interrupted)
		fprintf(out, "interrupted; what there is:\n");
}

static void text_load(FILE *out, const struct relay_row *row)
{
	static const char *const what[RELAY_NR_LOADS] = {
		[RELAY_DOWN] = "from the origin",
		[RELAY_UP] = "to the origin",
		[RELAY_PINGPONG] = "to and from the origin, one at a time",
		[RELAY_DOWN_SMALL] = "from the origin",
		[RELAY_UP_SMALL] = "to the origin",
	};

	fprintf(out,
		"\n%s: %" PRIu64 " messages of %" PRIu32
		" bytes, %s; plain side %s\n",
		relay_load_name[row->load], row->messages, row->size,
		what[row->load], relay_plain_name[row->plain]);
	fprintf(out, "%-18s %9s %11s %11s %11s %7s %7s %11s %7s\n", "relay",
		"ns/byte", "ns/message", "own", "kernel", "x user", "turns",
		"all/message", "spread");
}

static void text_row(FILE *out, const struct relay_result *result,
		     const struct relay_row *row)
{
	double ratio = relay_ratio(result, row);
	struct relay_brief brief;

	if (!relay_brief_of(&brief, result, row)) {
		if (row->failed[0])
			fprintf(out, "%-18s FAILED: %s\n",
				relay_way_name[row->way], row->failed);
		return;
	}
	fprintf(out, "%-18s %9.3f %11.0f %11.0f %11.0f ",
		relay_way_name[row->way], brief.byte, brief.message, brief.own,
		brief.kernel);
	if (isnan(ratio))
		fprintf(out, "%7s", "-");
	else
		fprintf(out, "%7.3f", ratio);
	fprintf(out, " %7.2f %11.0f %5.2f %%\n", brief.turns, brief.all,
		100 * brief.spread);
}

static void text_notes(FILE *out, const struct relay_result *result)
{
	fprintf(out,
		"\n"
		"ns: CPU time, the scheduler's own sum. %s\n"
		"x user: by that of the loop with OpenSSL. turns: how often "
		"the "
		"relay was given the\n"
		"CPU, for a message. all: with both ends of the connection.\n"
		"What the network stack does for a packet between processes "
		"of one machine falls\n"
		"to its sender, so part of the relay's receiving is in the "
		"ends' share.\n",
		result->opts->alone
			? "Of the relay's tasks (own) and of\n"
			  "the kernel's threads (kernel)."
			: "Of the relay's own tasks; what\n"
			  "kernel threads did beside it (kernel) is not in it: "
			  "others use them too.");
}

static bool same_load(const struct relay_row *a, const struct relay_row *b)
{
	return a->plain == b->plain && a->load == b->load;
}

static void report_text(FILE *out, const struct relay_result *result)
{
	const struct relay_row *row;
	uint32_t i;

	text_head(out, result);
	for (i = 0; i < result->row_count; i++) {
		row = &result->rows[i];
		if (!row->runs && !row->failed[0])
			continue;
		if (!i || !same_load(row, row - 1))
			text_load(out, row);
		text_row(out, result, row);
	}
	text_notes(out, result);
}

static void json_runs(struct json *j, const struct relay_row *row)
{
	uint32_t i;
	int kind;

	json_array_begin(j, "runs");
	for (i = 0; i < row->runs; i++) {
		json_object_begin(j, NULL);
		json_uint(j, "elapsed_ns", row->ns[i]);
		for (kind = 0; kind < CPU_NR_KINDS; kind++)
			json_uint(j, kind_name[kind], row->cost[i].ns[kind]);
		json_uint(j, "tasks_gone", row->cost[i].gone);
		json_object_end(j);
	}
	json_array_end(j);
}

static void json_row(struct json *j, const struct relay_result *result,
		     const struct relay_row *row)
{
	struct relay_brief brief;

	json_object_begin(j, NULL);
	json_string(j, "load", relay_load_name[row->load]);
	json_string(j, "plain", relay_plain_name[row->plain]);
	json_string(j, "relay", relay_way_name[row->way]);
	json_string(j, "tls", row->tls);
	json_uint(j, "message_bytes", row->size);
	json_uint(j, "messages", row->messages);
	json_uint(j, "bytes", row->bytes);
	json_string(j, "failed", row->failed[0] ? row->failed : NULL);
	if (relay_brief_of(&brief, result, row)) {
		json_double(j, "ns_per_byte", brief.byte);
		json_double(j, "ns_per_message", brief.message);
		json_double(j, "own_ns_per_message", brief.own);
		json_double(j, "kernel_ns_per_message", brief.kernel);
		json_double(j, "all_ns_per_message", brief.all);
		json_double(j, "turns_per_message", brief.turns);
		json_double(j, "spread", brief.spread);
		json_double(j, "by_user_plane", relay_ratio(result, row));
	}
	json_runs(j, row);
	json_object_end(j);
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

static int report_json(FILE *out, const struct relay_result *result)
{
	const struct relay_options *o = result->opts;
	struct json j;
	uint32_t i;
	int n;

	json_init(&j, out);
	json_object_begin(&j, NULL);
	json_string(&j, "tool", "ktc-bench");
	json_string(&j, "command", "relay");
	json_array_begin(&j, "argv");
	for (n = 0; n < o->argc; n++)
		json_string(&j, NULL, o->argv[n]);
	json_array_end(&j);
	json_environment(&j);
	json_string(&j, "end", result->interrupted ? "signal" : "done");
	json_bool(&j, "alone", o->alone);
	json_uint(&j, "repeat", o->repeat);
	json_array_begin(&j, "absent");
	for (n = 0; n < RELAY_NR_WAYS; n++) {
		if (!result->absent[n])
			continue;
		json_object_begin(&j, NULL);
		json_string(&j, "relay", relay_way_name[n]);
		json_string(&j, "why", result->absent[n]);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_array_begin(&j, "measured");
	for (i = 0; i < result->row_count; i++)
		json_row(&j, result, &result->rows[i]);
	json_array_end(&j);
	json_object_end(&j);
	return json_fini(&j);
}

int relay_report(const struct relay_result *result, FILE *out)
{
	int err = 0, failed = 0;
	uint32_t i;

	if (result->opts->json)
		err = report_json(out, result);
	else
		report_text(out, result);
	if (!err && (fflush(out) || ferror(out)))
		err = -EIO;
	for (i = 0; i < result->row_count; i++)
		failed += result->rows[i].failed[0] != '\0';
	return err ? err : failed;
}
