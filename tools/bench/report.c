// SPDX-License-Identifier: MIT
/*
 * The report. Text and JSON are made from the same struct, so they cannot
 * tell different numbers. Whatever kept a connection from being resumed or
 * offloaded is printed beside the count: a split without its reasons would
 * be no finding. Runs after all threads have ended.
 */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../common/json.h"
#include "machine.h"

/* shares asked of each histogram, in millionths */
static const struct {
	const char *title;
	const char *key;
	uint32_t ppm;
} quantiles[] = {
	{ "p50", "p50", 500000 },  { "p95", "p95", 950000 },
	{ "p99", "p99", 990000 },  { "p99.9", "p99_9", 999000 },
	{ "max", "max", 1000000 },
};

#define NR_QUANTILES (sizeof(quantiles) / sizeof(quantiles[0]))

static const struct {
	const char *title;
	const char *key;
} hists[STATS_NR_HISTS] = {
	[STATS_CONNECT] = { "connect", "connect" },
	[STATS_FULL] = { "handshake full", "handshake_full" },
	[STATS_RESUMED] = { "handshake resumed", "handshake_resumed" },
	[STATS_FIRST_BYTE] = { "first byte", "first_byte" },
	[STATS_TOTAL] = { "total", "total" },
	[STATS_GAP] = { "event gap", "event_gap" },
};

static const char *const dir_title[2] = {
	[KTC_RX] = "receiving",
	[KTC_TX] = "sending",
};

static const char *const dir_key[2] = { [KTC_RX] = "rx", [KTC_TX] = "tx" };

static const char *const plane_key[STATS_NR_PLANES] = {
	[KTC_PLANE_NONE] = "none",
	[KTC_PLANE_USER] = "user",
	[KTC_PLANE_KERNEL] = "kernel",
};

static const char *const end_text[] = {
	[RUN_END_DONE] = "done",     [RUN_END_TIME] = "time",
	[RUN_END_SIGNAL] = "signal", [RUN_END_ERRORS] = "errors",
	[RUN_END_VAIN] = "vain",
};

/* all that is printed, derived once */
struct findings {
	const struct run *run;
	const struct options *opts;
	struct machine machine;
	struct ktc_caps caps;
	struct ktc_client_stats client;
	struct stats *prepare;
	struct stats *measure;
	bool measured; /* the measurement began */
	uint64_t failed;
	double seconds;
	double user_us;
	double system_us;
	double machine_us;
	bool has_machine;
};

static double tv_us(const struct timeval *tv)
{
	return (double)tv->tv_sec * 1e6 + (double)tv->tv_usec;
}

static double per(double amount, double count)
{
	return count > 0 ? amount / count : 0;
}

static int find(struct findings *f, const struct run *run)
{
	const struct run_mark *from = &run->mark[RUN_MEASURE];
	const struct run_mark *to = &run->mark[RUN_FINISH];
	unsigned int i;

	memset(f, 0, sizeof(*f));
	f->run = run;
	f->opts = run->opts;
	f->prepare = calloc(1, sizeof(*f->prepare));
	f->measure = calloc(1, sizeof(*f->measure));
	if (!f->prepare || !f->measure)
		return -ENOMEM;
	for (i = 0; i < run->worker_count; i++) {
		stats_merge(f->prepare, &run->workers[i].stats[RUN_PREPARE]);
		stats_merge(f->measure, &run->workers[i].stats[RUN_MEASURE]);
	}
	f->failed = f->prepare->failed + f->measure->failed;
	f->seconds = (double)(to->ns - from->ns) / 1e9;
	f->user_us = tv_us(&to->usage.ru_utime) - tv_us(&from->usage.ru_utime);
	f->system_us =
		tv_us(&to->usage.ru_stime) - tv_us(&from->usage.ru_stime);
	f->has_machine = from->machine_ns && to->machine_ns;
	f->machine_us = (double)(to->machine_ns - from->machine_ns) / 1e3;
	f->measured = f->measure->opened || f->measure->bytes ||
		      f->measure->failed || f->measure->done;
	machine_describe(&f->machine);
	f->caps.size = sizeof(f->caps);
	if (ktc_probe(&f->caps))
		f->caps.ktls = false;
	f->client.size = sizeof(f->client);
	if (ktc_client_stats(run->client, &f->client))
		memset(&f->client, 0, sizeof(f->client));
	return 0;
}

/* connections that the CPU time of the measurement was spent on */
static double worked(const struct findings *f)
{
	return (double)(f->measure->done);
}

static const char *tls_text(const struct stats *s)
{
	if (s->tls12 && s->tls13)
		return "TLS 1.2 and 1.3";
	return s->tls12 ? "TLS 1.2" : "TLS 1.3";
}

static const char *verify_text(const struct options *opts)
{
	return opts->insecure ? "not verified (--insecure)" : "verified";
}

static void text_reasons(FILE *out, const uint64_t count[KTC_WHY_NR])
{
	int why;

	for (why = 0; why < KTC_WHY_NR; why++)
		if (count[why] && why != KTC_WHY_NOTHING)
			fprintf(out, "%18" PRIu64 "  %s\n", count[why],
				ktc_reason_str((enum ktc_reason)why));
}

static void text_planes(FILE *out, const struct stats *s)
{
	int dir;

	for (dir = 0; dir < 2; dir++) {
		fprintf(out, "%-14s kernel %" PRIu64 ", user %" PRIu64 "\n",
			dir_title[dir], s->plane[dir][KTC_PLANE_KERNEL],
			s->plane[dir][KTC_PLANE_USER]);
		text_reasons(out, s->not_kernel[dir]);
	}
	if (s->offload_errno)
		fprintf(out, "%18s  kernel's errno: %s\n", "",
			strerror(s->offload_errno));
}

static void text_tls(FILE *out, const struct stats *s)
{
	if (!s->opened)
		return;
	fprintf(out, "%-14s %s, %s%s%s; %" PRIu64 " of %" PRIu64 " verified\n",
		"TLS", tls_text(s), s->cipher, s->alpn[0] ? ", ALPN " : "",
		s->alpn, s->verified, s->opened);
}

static void text_hist(FILE *out, const char *title, const struct hist *hist)
{
	size_t q;

	if (!hist->count)
		return;
	fprintf(out, "  %-17s", title);
	for (q = 0; q < NR_QUANTILES; q++)
		fprintf(out, " %9.1f",
			(double)hist_quantile(hist, quantiles[q].ppm) / 1e3);
	fprintf(out, " %9.1f\n", hist_mean(hist) / 1e3);
}

static void text_hists(FILE *out, const struct stats *s)
{
	bool any = false;
	size_t i;

	for (i = 0; i < STATS_NR_HISTS; i++)
		any = any || s->hist[i].count;
	if (!any)
		return;
	fprintf(out, "\n%-19s", "latency, us");
	for (i = 0; i < NR_QUANTILES; i++)
		fprintf(out, " %9s", quantiles[i].title);
	fprintf(out, " %9s\n", "mean");
	for (i = 0; i < STATS_NR_HISTS; i++)
		text_hist(out, hists[i].title, &s->hist[i]);
	fputc('\n', out);
}

static void text_errors(FILE *out, const char *when, const struct stats *s)
{
	int i;

	for (i = 0; i < STATS_NR_CLASSES; i++)
		if (s->errors[i].count)
			fprintf(out,
				"errors%-8s %" PRIu64 " %s; the first: %s\n",
				when, s->errors[i].count, stats_class_name(i),
				s->errors[i].first);
	if (s->unclean)
		fprintf(out,
			"closed badly%-2s %" PRIu64
			" after the response; the first: %s\n",
			when, s->unclean, s->unclean_text);
}

static void text_head(FILE *out, const struct findings *f)
{
	static const char *const plane_text[] = {
		[KTC_POLICY_DEFAULT] = "auto",
		[KTC_POLICY_AUTO] = "auto",
		[KTC_POLICY_ALWAYS] = "always",
		[KTC_POLICY_NEVER] = "never",
	};
	const struct options *o = f->opts;

	fprintf(out, "ktc-bench %s %s (%s)\n",
		o->command == BENCH_STREAM ? "stream" : "connect", o->target,
		f->run->target->text);
	fprintf(out,
		"%" PRIu64 " connections at once, %" PRIu64
		" thread%s, plane %s, resume %s, %s\n",
		o->connections, o->threads, o->threads > 1 ? "s" : "",
		plane_text[o->plane], o->resume ? "on" : "off", verify_text(o));
	fprintf(out, "libktlsclient %s%s%s, %s, %ld x %s\n", ktc_version(),
		f->machine.openssl[0] ? ", " : "", f->machine.openssl,
		f->machine.kernel, f->machine.cores,
		f->machine.cpu[0] ? f->machine.cpu : f->machine.arch);
	fprintf(out, "kernel TLS here: %s%s%s\n\n", f->caps.ktls ? "yes" : "no",
		f->caps.ktls || !f->caps.ktls_errno ? "" : ", ",
		f->caps.ktls || !f->caps.ktls_errno
			? ""
			: strerror(f->caps.ktls_errno));
	switch (f->run->end) {
	case RUN_END_SIGNAL:
		fprintf(out, "interrupted; what there is:\n");
		break;
	case RUN_END_ERRORS:
		fprintf(out, "stopped: too many errors\n");
		break;
	case RUN_END_VAIN:
		fprintf(out, "not measured: no connection worked\n");
		break;
	case RUN_END_DONE:
	case RUN_END_TIME:
		break;
	}
}

static void text_connect_cpu(FILE *out, const struct findings *f)
{
	fprintf(out, "%-14s %.1f us per connection: user %.1f, system %.1f\n",
		"CPU", per(f->user_us + f->system_us, worked(f)),
		per(f->user_us, worked(f)), per(f->system_us, worked(f)));
	if (f->has_machine)
		fprintf(out,
			"%-14s %.1f us per connection, all that ran on this "
			"machine\n",
			"", per(f->machine_us, worked(f)));
}

/* the whole run, warm-up included */
static void text_inventory(FILE *out, const struct ktc_client_stats *c)
{
	fprintf(out,
		"%-14s %" PRIu64 " takes: %" PRIu64 " found, %" PRIu64
		" unknown, %" PRIu64 " expired, %" PRIu64
		" with others; %" PRIu64 " by policy\n",
		"inventory", c->takes, c->hits, c->misses_none,
		c->misses_expired, c->misses_taken, c->misses_policy);
	fprintf(out,
		"%-14s %" PRIu64 " given, %" PRIu64 " spent, %" PRIu64
		" put back, %" PRIu64 " evicted, %" PRIu64 " expired\n",
		"", c->gives, c->spent, c->putbacks, c->evictions, c->expired);
	fprintf(out,
		"%-14s %" PRIu64 " left of %" PRIu64 " identities, %" PRIu64
		" bytes\n",
		"", c->sessions, c->identities, c->session_bytes);
}

static void text_connect(FILE *out, const struct findings *f)
{
	const struct stats *m = f->measure, *p = f->prepare;

	if (p->opened || p->failed)
		fprintf(out,
			"%-14s %" PRIu64 " connections: %" PRIu64
			" full, %" PRIu64 " resumed, %" PRIu64 " failed\n",
			"warm-up", p->done, p->full, p->resumed, p->failed);
	if (!f->measured)
		return;
	fprintf(out,
		"%-14s %" PRIu64 " in %.3f s: %.1f/s; %" PRIu64
		" failed, %" PRIu64 " cut at the end\n",
		"connections", m->done, f->seconds,
		per((double)m->done, f->seconds), m->failed, m->cut);
	fprintf(out, "%-14s %" PRIu64 " full, %" PRIu64 " resumed (%.2f %%)\n",
		"handshakes", m->full, m->resumed,
		100 * per((double)m->resumed, (double)m->opened));
	text_reasons(out, m->not_resumed);
	text_tls(out, m);
	text_planes(out, m);
	text_hists(out, m);
	if (m->done)
		text_connect_cpu(out, f);
	text_inventory(out, &f->client);
}

static void text_stream_cpu(FILE *out, const struct findings *f, double gb)
{
	fprintf(out, "%-14s %.3f s per GB: user %.3f, system %.3f\n", "CPU",
		per((f->user_us + f->system_us) / 1e6, gb),
		per(f->user_us / 1e6, gb), per(f->system_us / 1e6, gb));
	if (f->has_machine)
		fprintf(out,
			"%-14s %.3f s per GB, all that ran on this machine\n",
			"", per(f->machine_us / 1e6, gb));
}

static void text_stream(FILE *out, const struct findings *f)
{
	const struct stats *m = f->measure, *p = f->prepare;
	double bytes = (double)m->bytes, gb = bytes / 1e9;
	uint64_t records =
		m->records[f->opts->dir == BENCH_UP ? KTC_TX : KTC_RX];

	fprintf(out,
		"%-14s %" PRIu64 " open: %" PRIu64 " full, %" PRIu64
		" resumed; %" PRIu64 " failed\n",
		"connections", p->opened, p->full, p->resumed, f->failed);
	text_tls(out, p);
	if (!f->measured)
		return;
	fprintf(out,
		"%-14s %" PRIu64 " bytes %s in %.3f s: %.2f MB/s; %" PRIu64
		" transfers complete, %" PRIu64 " cut at the end\n",
		"bytes", m->bytes, f->opts->dir == BENCH_UP ? "up" : "down",
		f->seconds, per(bytes / 1e6, f->seconds), m->transfers, m->cut);
	if (m->bytes)
		text_stream_cpu(out, f, gb);
	fprintf(out, "%-14s %" PRIu64 " received, %" PRIu64 " sent", "records",
		m->records[KTC_RX], m->records[KTC_TX]);
	if (records && m->bytes)
		fprintf(out, "; %.0f bytes each", per(bytes, (double)records));
	fputc('\n', out);
	text_planes(out, m);
	text_hists(out, m);
}

static void report_text(FILE *out, const struct findings *f)
{
	text_head(out, f);
	if (f->opts->command == BENCH_STREAM)
		text_stream(out, f);
	else
		text_connect(out, f);
	text_errors(out, " before", f->prepare);
	text_errors(out, "", f->measure);
}

static void json_reasons(struct json *j, const char *key,
			 const uint64_t count[KTC_WHY_NR])
{
	int why;

	json_array_begin(j, key);
	for (why = 0; why < KTC_WHY_NR; why++) {
		if (!count[why] || why == KTC_WHY_NOTHING)
			continue;
		json_object_begin(j, NULL);
		json_int(j, "code", why);
		json_string(j, "text", ktc_reason_str((enum ktc_reason)why));
		json_uint(j, "count", count[why]);
		json_object_end(j);
	}
	json_array_end(j);
}

static void json_planes(struct json *j, const struct stats *s)
{
	int dir, plane;

	json_object_begin(j, "planes");
	for (dir = 0; dir < 2; dir++) {
		json_object_begin(j, dir_key[dir]);
		for (plane = 0; plane < STATS_NR_PLANES; plane++)
			json_uint(j, plane_key[plane], s->plane[dir][plane]);
		json_reasons(j, "not_kernel", s->not_kernel[dir]);
		json_object_end(j);
	}
	json_int(j, "offload_errno", s->offload_errno);
	json_object_end(j);
}

static void json_hists(struct json *j, const struct stats *s)
{
	const struct hist *hist;
	size_t i, q;

	json_object_begin(j, "latency_us");
	for (i = 0; i < STATS_NR_HISTS; i++) {
		hist = &s->hist[i];
		if (!hist->count)
			continue;
		json_object_begin(j, hists[i].key);
		json_uint(j, "count", hist->count);
		for (q = 0; q < NR_QUANTILES; q++)
			json_double(j, quantiles[q].key,
				    (double)hist_quantile(hist,
							  quantiles[q].ppm) /
					    1e3);
		json_double(j, "mean", hist_mean(hist) / 1e3);
		json_object_end(j);
	}
	json_object_end(j);
}

static void json_stats(struct json *j, const char *key, const struct stats *s)
{
	int i;

	json_object_begin(j, key);
	json_uint(j, "opened", s->opened);
	json_uint(j, "full", s->full);
	json_uint(j, "resumed", s->resumed);
	json_reasons(j, "not_resumed", s->not_resumed);
	json_uint(j, "verified", s->verified);
	json_uint(j, "tls1_2", s->tls12);
	json_uint(j, "tls1_3", s->tls13);
	json_string(j, "cipher", s->cipher);
	json_string(j, "alpn", s->alpn);
	json_uint(j, "done", s->done);
	json_uint(j, "failed", s->failed);
	json_uint(j, "cut", s->cut);
	json_uint(j, "closed_badly", s->unclean);
	json_uint(j, "tickets", s->tickets);
	json_uint(j, "transfers", s->transfers);
	json_uint(j, "bytes", s->bytes);
	json_uint(j, "records_rx", s->records[KTC_RX]);
	json_uint(j, "records_tx", s->records[KTC_TX]);
	json_planes(j, s);
	json_hists(j, s);
	json_array_begin(j, "errors");
	for (i = 0; i < STATS_NR_CLASSES; i++) {
		if (!s->errors[i].count)
			continue;
		json_object_begin(j, NULL);
		json_string(j, "class", stats_class_name(i));
		json_uint(j, "count", s->errors[i].count);
		json_string(j, "first", s->errors[i].first);
		json_object_end(j);
	}
	json_array_end(j);
	json_object_end(j);
}

static void json_environment(struct json *j, const struct findings *f)
{
	const struct machine *m = &f->machine;

	json_object_begin(j, "versions");
	json_string(j, "libktlsclient", ktc_version());
	json_string(j, "ktc_bench", KTC_VERSION_STRING);
	json_string(j, "openssl", m->openssl[0] ? m->openssl : NULL);
	json_string(j, "kernel", m->kernel);
	json_object_end(j);
	json_object_begin(j, "machine");
	json_string(j, "cpu", m->cpu);
	json_int(j, "cores", m->cores);
	json_string(j, "arch", m->arch);
	json_bool(j, "ktls", f->caps.ktls);
	json_int(j, "ktls_errno", f->caps.ktls_errno);
	json_uint(j, "ktls_suites", f->caps.suites);
	json_bool(j, "rekey", f->caps.rekey);
	json_bool(j, "ring_sockopt", f->caps.ring_sockopt);
	json_object_end(j);
}

static void json_summary(struct json *j, const struct findings *f)
{
	const struct stats *m = f->measure;
	double gb = (double)m->bytes / 1e9;

	json_string(j, "end", end_text[f->run->end]);
	json_double(j, "seconds", f->seconds);
	json_double(j, "cpu_user_us", f->user_us);
	json_double(j, "cpu_system_us", f->system_us);
	if (f->has_machine)
		json_double(j, "cpu_machine_us", f->machine_us);
	if (f->opts->command == BENCH_STREAM) {
		json_double(j, "bytes_per_s",
			    per((double)m->bytes, f->seconds));
		json_double(j, "cpu_user_s_per_gb", per(f->user_us / 1e6, gb));
		json_double(j, "cpu_system_s_per_gb",
			    per(f->system_us / 1e6, gb));
	} else {
		json_double(j, "connections_per_s",
			    per((double)m->done, f->seconds));
		json_double(j, "cpu_user_us_per_connection",
			    per(f->user_us, worked(f)));
		json_double(j, "cpu_system_us_per_connection",
			    per(f->system_us, worked(f)));
	}
}

static void json_client(struct json *j, const struct ktc_client_stats *c)
{
	json_object_begin(j, "client");
	json_uint(j, "handshakes_full", c->handshakes_full);
	json_uint(j, "handshakes_resumed", c->handshakes_resumed);
	json_uint(j, "handshakes_failed", c->handshakes_failed);
	json_uint(j, "offloaded", c->offloaded);
	json_uint(j, "offload_refused", c->offload_refused);
	json_uint(j, "sessions", c->sessions);
	json_uint(j, "takes", c->takes);
	json_uint(j, "hits", c->hits);
	json_uint(j, "misses_none", c->misses_none);
	json_uint(j, "misses_expired", c->misses_expired);
	json_uint(j, "misses_taken", c->misses_taken);
	json_uint(j, "misses_policy", c->misses_policy);
	json_uint(j, "gives", c->gives);
	json_uint(j, "putbacks", c->putbacks);
	json_uint(j, "spent", c->spent);
	json_uint(j, "evictions", c->evictions);
	json_uint(j, "expired", c->expired);
	json_uint(j, "identities", c->identities);
	json_uint(j, "session_bytes", c->session_bytes);
	json_object_end(j);
}

static int report_json(FILE *out, const struct findings *f)
{
	const struct options *o = f->opts;
	struct json j;
	int i;

	json_init(&j, out);
	json_object_begin(&j, NULL);
	json_string(&j, "tool", "ktc-bench");
	json_string(&j, "command",
		    o->command == BENCH_STREAM ? "stream" : "connect");
	json_array_begin(&j, "argv");
	for (i = 0; i < o->argc; i++)
		json_string(&j, NULL, o->argv[i]);
	json_array_end(&j);
	json_string(&j, "time", f->machine.time);
	json_environment(&j, f);
	json_string(&j, "target", o->target);
	json_string(&j, "address", f->run->target->text);
	json_uint(&j, "connections", o->connections);
	json_uint(&j, "threads", o->threads);
	json_bool(&j, "verify", !o->insecure);
	json_summary(&j, f);
	json_stats(&j, o->command == BENCH_STREAM ? "open" : "warmup",
		   f->prepare);
	json_stats(&j, "measured", f->measure);
	json_client(&j, &f->client);
	json_object_end(&j);
	return json_fini(&j);
}

int64_t report(const struct run *run, FILE *out)
{
	struct findings f;
	int64_t ret;

	ret = find(&f, run);
	if (ret)
		goto out;
	if (run->opts->json)
		ret = report_json(out, &f);
	else
		report_text(out, &f);
	if (!ret && (fflush(out) || ferror(out)))
		ret = -EIO;
	if (!ret)
		ret = f.failed > INT64_MAX ? INT64_MAX : (int64_t)f.failed;
out:
	free(f.prepare);
	free(f.measure);
	return ret;
}
