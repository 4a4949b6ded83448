// SPDX-License-Identifier: MIT
/*
 * The Prometheus text format, version 0.0.4. A table says which metrics there
 * are; a series that can move is there from the start with its zero, so that
 * rates have a beginning. Any thread.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "admin_view.h"

#define PREFIX "ktc_proxy_"

#define SUM(f)	  offsetof(struct admin_listener, sum.f)
#define CLIENT(f) offsetof(struct admin_listener, client.f)

/* a metric with one number for each listener */
struct metric {
	const char *name;
	const char *type;
	const char *help;
	size_t field;
};

/* counters of several values: with a label that says which */
struct family {
	const char *name;
	const char *help;
	const char *label;
	size_t field;
	unsigned int first; /* these are always there, */
	unsigned int last;
	unsigned int nr; /* the others once they are not 0 */
	const char *(*value)(unsigned int i);
};

static const struct metric metrics[] = {
	{ "clients_accepted_total", "counter", "Clients that came in.",
	  SUM(accepted) },
	{ "clients", "gauge", "Clients now.", SUM(clients) },
	{ "upstream_connects_total", "counter",
	  "Connections to origins begun.", SUM(connects) },
	{ "upstream_connections", "gauge",
	  "Connections to origins now, ready ones too.", SUM(upstream) },
	{ "warm_connections", "gauge",
	  "Handshaken connections nobody has taken yet.", SUM(warm) },
	{ "warm_hits_total", "counter",
	  "Clients that found a ready connection.", SUM(warm_hits) },
	{ "warm_misses_total", "counter",
	  "Clients that found none, where there should be some.",
	  SUM(warm_misses) },
	{ "tickets_total", "counter", "Session tickets that came.",
	  SUM(tickets) },
	{ "adopted_total", "counter",
	  "Connections taken over from the process before.", SUM(adopted) },
	{ "moved_total", "counter",
	  "Connections given to the process after.", SUM(moved) },
	{ "sessions", "gauge", "TLS sessions kept now.", CLIENT(sessions) },
	{ "session_identities", "gauge",
	  "Identities (origin, name, trust) sessions are kept for.",
	  CLIENT(identities) },
	{ "session_memory_bytes", "gauge", "Memory set aside for sessions.",
	  CLIENT(session_bytes) },
	{ "session_takes_total", "counter", "Sessions asked for.",
	  CLIENT(takes) },
	{ "session_hits_total", "counter", "Sessions asked for and found.",
	  CLIENT(hits) },
	{ "session_gives_total", "counter", "Sessions received and kept.",
	  CLIENT(gives) },
	{ "session_putbacks_total", "counter",
	  "Sessions given back unspent.", CLIENT(putbacks) },
	{ "session_spent_total", "counter",
	  "TLS 1.3 tickets sent to an origin.", CLIENT(spent) },
	{ "session_evictions_total", "counter", "Sessions dropped for room.",
	  CLIENT(evictions) },
	{ "session_expired_total", "counter",
	  "Sessions dropped when their time was over.", CLIENT(expired) },
	{ "session_exports_total", "counter",
	  "TLS 1.3 tickets exported to a file or a successor.",
	  CLIENT(exports) },
	{ "handshakes_failed_total", "counter",
	  "Connections that ended before they were open.",
	  CLIENT(handshakes_failed) },
	{ "offloaded_total", "counter",
	  "Connections that moved to the kernel plane.", CLIENT(offloaded) },
	{ "offload_refused_total", "counter",
	  "Connections that should have and could not.",
	  CLIENT(offload_refused) },
	{ "full_handshakes_begun_total", "counter",
	  "Full handshakes that the budget let go.", CLIENT(full_begun) },
	{ "full_handshake_waits_total", "counter",
	  "Times that the budget said to wait.", CLIENT(full_waits) },
};

static const char *end_value(unsigned int i)
{
	return stats_end_name((enum stats_end)i);
}

static const char *class_value(unsigned int i)
{
	return ktc_class_name((enum ktc_class)i);
}

static const char *reason_value(unsigned int i)
{
	return stats_reason_name((enum ktc_reason)i);
}

static const char *plane_value(unsigned int i)
{
	static const char *const names[] = { "none", "user", "kernel" };

	return names[i];
}

static const char *lane_value(unsigned int i)
{
	static const char *const names[] = { "none", "loop", "module" };

	return names[i];
}

static const char *direction_value(unsigned int i)
{
	return i == KTC_RX ? "to_client" : "to_origin";
}

static const char *handshake_value(unsigned int i)
{
	return i ? "resumed" : "full";
}

_Static_assert(offsetof(struct stats_listener, resumed) ==
	       offsetof(struct stats_listener, full) + sizeof(stats_u64),
	       "two counters in a row are a family");

static const struct family families[] = {
	{ "clients_ended_total", "Clients that are gone, by why.", "reason",
	  SUM(ended), 0, STATS_END_NR - 1, STATS_END_NR, end_value },
	{ "upstream_errors_total",
	  "Connections to origins that failed, by class of error.", "class",
	  SUM(errors), KTC_CLASS_NETWORK, KTC_CLASS_INTERNAL,
	  KTC_CLASS_INTERNAL + 1, class_value },
	{ "handshakes_total", "Handshakes completed.", "kind", SUM(full), 0, 1,
	  2, handshake_value },
	{ "not_resumed_total", "Full handshakes, by why.", "reason",
	  SUM(not_resumed), KTC_WHY_NO_SESSION, KTC_WHY_RESUME_OFF,
	  KTC_WHY_NR, reason_value },
	{ "planes_total",
	  "Connections that ended, by who made their records.", "plane",
	  SUM(plane), KTC_PLANE_USER, KTC_PLANE_KERNEL, KTC_PLANE_KERNEL + 1,
	  plane_value },
	{ "not_kernel_total",
	  "Connections not on the kernel plane when they ended, by why.",
	  "reason", SUM(not_kernel), KTC_WHY_POLICY, KTC_WHY_TX_REFUSED,
	  KTC_WHY_NR, reason_value },
	{ "lanes_total", "Connections relayed, by who moved the bytes.",
	  "lane", SUM(lane), KTC_LANE_LOOP, KTC_LANE_MODULE,
	  KTC_LANE_MODULE + 1, lane_value },
	{ "not_module_total",
	  "Connections not relayed by the kernel module, by why.", "reason",
	  SUM(not_module), KTC_WHY_RELAY_LOOP, KTC_WHY_REKEYING, KTC_WHY_NR,
	  reason_value },
	{ "bytes_total", "Plaintext bytes relayed.", "direction", SUM(bytes),
	  0, 1, 2, direction_value },
};

/* quotation marks, backslashes and line feeds are written as two bytes */
static void put_value(FILE *out, const char *value)
{
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", out);
		else if (*value == '"' || *value == '\\')
			fprintf(out, "\\%c", *value);
		else
			fputc(*value, out);
	}
}

static void put_label(FILE *out, const char *name, const char *value)
{
	fprintf(out, "%s=\"", name);
	put_value(out, value);
	fputc('"', out);
}

static void put_head(FILE *out, const char *name, const char *type,
		     const char *help)
{
	fprintf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name,
		help, name, type);
}

static void put_begin(FILE *out, const char *name,
		      const struct admin_listener *listener)
{
	fprintf(out, PREFIX "%s{", name);
	put_label(out, "listener", listener->name);
}

static uint64_t number_at(const struct admin_listener *listener, size_t field,
			  unsigned int i)
{
	const char *at = (const char *)listener + field;

	/* stats_u64 and the client's uint64_t are alike: see stats.c */
	return stats_get((const stats_u64 *)at + i);
}

static void put_metric(const struct admin_view *view, FILE *out,
		       const struct metric *metric)
{
	unsigned int i;

	put_head(out, metric->name, metric->type, metric->help);
	for (i = 0; i < view->nr; i++) {
		put_begin(out, metric->name, &view->listeners[i]);
		fprintf(out, "} %" PRIu64 "\n",
			number_at(&view->listeners[i], metric->field, 0));
	}
}

static void put_family(const struct admin_view *view, FILE *out,
		       const struct family *family)
{
	const struct admin_listener *listener = view->listeners;
	unsigned int i;
	uint64_t n;

	put_head(out, family->name, "counter", family->help);
	for (; listener < view->listeners + view->nr; listener++) {
		for (i = 0; i < family->nr; i++) {
			n = number_at(listener, family->field, i);
			if (!n && (i < family->first || i > family->last))
				continue;
			put_begin(out, family->name, listener);
			fputc(',', out);
			put_label(out, family->label, family->value(i));
			fprintf(out, "} %" PRIu64 "\n", n);
		}
	}
}

/* microseconds as seconds, with no digit lost and none too many */
static void put_seconds(FILE *out, uint64_t us)
{
	char text[32];
	int len;

	len = snprintf(text, sizeof(text), "%" PRIu64 ".%06" PRIu64,
		       us / 1000000, us % 1000000);
	while (len > 1 && text[len - 1] == '0')
		len--;
	if (text[len - 1] == '.')
		len--;
	fprintf(out, "%.*s", len, text);
}

static void put_hist(const struct admin_listener *listener, FILE *out,
		     const char *name, const struct stats_hist *hist)
{
	uint64_t count = 0;
	unsigned int i;

	for (i = 0; i <= STATS_BUCKETS; i++) {
		count += stats_get(&hist->bucket[i]);
		fprintf(out, PREFIX "%s_bucket{", name);
		put_label(out, "listener", listener->name);
		fputs(",le=\"", out);
		if (i < STATS_BUCKETS)
			put_seconds(out, stats_bucket_us[i]);
		else
			fputs("+Inf", out);
		fprintf(out, "\"} %" PRIu64 "\n", count);
	}
	fprintf(out, PREFIX "%s_sum{", name);
	put_label(out, "listener", listener->name);
	fputs("} ", out);
	put_seconds(out, stats_get(&hist->sum_us));
	fprintf(out, "\n" PREFIX "%s_count{", name);
	put_label(out, "listener", listener->name);
	fprintf(out, "} %" PRIu64 "\n", count);
}

static void put_hists(const struct admin_view *view, FILE *out)
{
	unsigned int i;

	put_head(out, "connect_seconds", "histogram",
		 "From the start to the TCP connection, name included.");
	for (i = 0; i < view->nr; i++)
		put_hist(&view->listeners[i], out, "connect_seconds",
			 &view->listeners[i].sum.connect_us);
	put_head(out, "handshake_seconds", "histogram",
		 "From the TCP connection to the open TLS connection.");
	for (i = 0; i < view->nr; i++)
		put_hist(&view->listeners[i], out, "handshake_seconds",
			 &view->listeners[i].sum.handshake_us);
}

/* connections that had no session to offer, by reason; from the client */
static void put_misses(const struct admin_view *view, FILE *out)
{
	static const struct {
		const char *reason;
		size_t field;
	} misses[] = {
		{ "no_session", CLIENT(misses_none) },
		{ "expired", CLIENT(misses_expired) },
		{ "taken", CLIENT(misses_taken) },
		{ "resume_off", CLIENT(misses_policy) },
	};
	unsigned int i;
	size_t m;

	put_head(out, "session_misses_total", "counter",
		 "Connections that had no session to offer, by why.");
	for (i = 0; i < view->nr; i++) {
		for (m = 0; m < sizeof(misses) / sizeof(misses[0]); m++) {
			put_begin(out, "session_misses_total",
				  &view->listeners[i]);
			fputc(',', out);
			put_label(out, "reason", misses[m].reason);
			fprintf(out, "} %" PRIu64 "\n",
				number_at(&view->listeners[i], misses[m].field,
					  0));
		}
	}
}

enum origin_number {
	ORIGIN_CONNS,
	ORIGIN_FAILING,
	ORIGIN_RETRY,
	ORIGIN_FAILURES,
	ORIGIN_NR,
};

static void put_origin_number(FILE *out, const struct admin_origin *origin,
			      enum origin_number which)
{
	switch (which) {
	case ORIGIN_CONNS:
		fprintf(out, "%" PRIu64, origin->conns);
		break;
	case ORIGIN_FAILING:
		fputc(origin->failing ? '1' : '0', out);
		break;
	case ORIGIN_RETRY:
		put_seconds(out, origin->retry_in_ms * 1000);
		break;
	case ORIGIN_FAILURES:
		fprintf(out, "%" PRIu64, origin->failures);
		break;
	case ORIGIN_NR:
		break;
	}
}

static void put_origins(const struct admin_view *view, FILE *out)
{
	static const struct {
		const char *name;
		const char *type;
		const char *help;
	} numbers[ORIGIN_NR] = {
		[ORIGIN_CONNS] = { "origin_connections", "gauge",
				   "Connections to this origin now." },
		[ORIGIN_FAILING] = { "origin_failing", "gauge",
				     "1 while it is left alone after a "
				     "failure." },
		[ORIGIN_RETRY] = { "origin_retry_seconds", "gauge",
				   "Time until it is tried again." },
		[ORIGIN_FAILURES] = { "origin_failures_total", "counter",
				      "Connections to it that failed." },
	};
	unsigned int n, i, o;

	for (n = 0; n < ORIGIN_NR; n++) {
		put_head(out, numbers[n].name, numbers[n].type,
			 numbers[n].help);
		for (i = 0; i < view->nr; i++) {
			const struct admin_listener *l = &view->listeners[i];

			for (o = 0; o < l->nr_origins; o++) {
				put_begin(out, numbers[n].name, l);
				fputc(',', out);
				put_label(out, "origin", l->origins[o].place);
				fputs("} ", out);
				put_origin_number(out, &l->origins[o],
						  (enum origin_number)n);
				fputc('\n', out);
			}
		}
	}
}

static void put_process(const struct admin_view *view, FILE *out)
{
	const struct admin_ops *ops = view->ops;

	put_head(out, "build_info", "gauge", "Always 1; the version.");
	fputs(PREFIX "build_info{", out);
	put_label(out, "version", ktc_version());
	fputs("} 1\n", out);
	put_head(out, "start_time_seconds", "gauge",
		 "When the process started, Unix time.");
	fprintf(out, PREFIX "start_time_seconds %" PRIu64 "\n",
		ops->started_s);
	put_head(out, "threads", "gauge", "Loops.");
	fprintf(out, PREFIX "threads %u\n", ops->threads);
	put_head(out, "draining", "gauge",
		 "1 while the process waits for its connections to end.");
	fprintf(out, PREFIX "draining %d\n", ops->draining(ops->arg));
}

static void put_all(const struct admin_view *view, FILE *out)
{
	size_t i;

	put_process(view, out);
	for (i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
		put_metric(view, out, &metrics[i]);
	for (i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		put_family(view, out, &families[i]);
	put_misses(view, out);
	put_hists(view, out);
	put_origins(view, out);
}

int admin_metrics(const struct admin_ops *ops, char **out, size_t *len)
{
	return admin_text(ops, put_all, out, len);
}
