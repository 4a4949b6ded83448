// SPDX-License-Identifier: MIT
/*
 * What --status shows: a table for people, JSON for programs, both made by the
 * proxy that is asked, and the asking. Any thread.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "admin_view.h"
#include "ask.h"
#include "json.h"

/* more than a table of all listeners and origins there can be */
#define ANSWER_MAX (1024 * 1024)

/* what a proxy may take to answer, at each step */
#define ANSWER_S 5

static uint64_t uptime_s(const struct admin_ops *ops)
{
	time_t now = time(NULL);

	/* the clock may have been set back */
	if (now < 0 || (uint64_t)now < ops->started_s)
		return 0;
	return (uint64_t)now - ops->started_s;
}

static uint64_t errors_of(const struct admin_listener *l)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = KTC_CLASS_NETWORK; i <= KTC_CLASS_INTERNAL; i++)
		sum += stats_get(&l->sum.errors[i]);
	return sum;
}

static void json_origin(struct json *json, const struct admin_origin *origin)
{
	json_object_begin(json, NULL);
	json_string(json, "origin", origin->place);
	json_uint(json, "connections", origin->conns);
	json_bool(json, "failing", origin->failing);
	json_uint(json, "retry_in_ms", origin->retry_in_ms);
	json_uint(json, "failures", origin->failures);
	json_object_end(json);
}

/* those that are not 0 */
static void json_counts(struct json *json, const char *key,
			const stats_u64 *counts, unsigned int nr,
			const char *(*name)(unsigned int i))
{
	unsigned int i;

	json_object_begin(json, key);
	for (i = 0; i < nr; i++)
		if (stats_get(&counts[i]))
			json_uint(json, name(i), stats_get(&counts[i]));
	json_object_end(json);
}

static const char *end_name(unsigned int i)
{
	return stats_end_name((enum stats_end)i);
}

static const char *class_name(unsigned int i)
{
	return ktc_class_name((enum ktc_class)i);
}

static const char *reason_name(unsigned int i)
{
	return stats_reason_name((enum ktc_reason)i);
}

static void json_listener(struct json *json, const struct admin_listener *l)
{
	const struct stats_listener *sum = &l->sum;
	unsigned int i;

	json_object_begin(json, NULL);
	json_string(json, "name", l->name);
	json_string(json, "listen", l->listen);
	json_uint(json, "clients", stats_get(&sum->clients));
	json_uint(json, "accepted", stats_get(&sum->accepted));
	json_counts(json, "ended", sum->ended, STATS_END_NR, end_name);
	json_uint(json, "upstream", stats_get(&sum->upstream));
	json_uint(json, "connects", stats_get(&sum->connects));
	json_counts(json, "errors", sum->errors, KTC_CLASS_INTERNAL + 1,
		    class_name);
	json_uint(json, "warm", stats_get(&sum->warm));
	json_uint(json, "warm_hits", stats_get(&sum->warm_hits));
	json_uint(json, "warm_misses", stats_get(&sum->warm_misses));
	json_uint(json, "full", stats_get(&sum->full));
	json_uint(json, "resumed", stats_get(&sum->resumed));
	json_counts(json, "not_resumed", sum->not_resumed, KTC_WHY_NR,
		    reason_name);
	json_uint(json, "user_plane",
		  stats_get(&sum->plane[KTC_PLANE_USER]));
	json_uint(json, "kernel_plane",
		  stats_get(&sum->plane[KTC_PLANE_KERNEL]));
	json_counts(json, "not_kernel", sum->not_kernel, KTC_WHY_NR,
		    reason_name);
	json_uint(json, "lane_loop", stats_get(&sum->lane[KTC_LANE_LOOP]));
	json_uint(json, "lane_module", stats_get(&sum->lane[KTC_LANE_MODULE]));
	json_counts(json, "not_module", sum->not_module, KTC_WHY_NR,
		    reason_name);
	json_uint(json, "bytes_to_client", stats_get(&sum->bytes[KTC_RX]));
	json_uint(json, "bytes_to_origin", stats_get(&sum->bytes[KTC_TX]));
	json_uint(json, "sessions", l->client.sessions);
	json_uint(json, "adopted", stats_get(&sum->adopted));
	json_uint(json, "moved", stats_get(&sum->moved));
	json_array_begin(json, "origins");
	for (i = 0; i < l->nr_origins; i++)
		json_origin(json, &l->origins[i]);
	json_array_end(json);
	json_object_end(json);
}

static void write_json(const struct admin_view *view, FILE *out)
{
	const struct admin_ops *ops = view->ops;
	struct json json;
	unsigned int i;

	json_init(&json, out);
	json_object_begin(&json, NULL);
	json_string(&json, "version", ktc_version());
	json_uint(&json, "pid", (uint64_t)getpid());
	json_uint(&json, "started", ops->started_s);
	json_uint(&json, "uptime_s", uptime_s(ops));
	json_uint(&json, "threads", ops->threads);
	json_bool(&json, "draining", ops->draining(ops->arg));
	json_array_begin(&json, "listeners");
	for (i = 0; i < view->nr; i++)
		json_listener(&json, &view->listeners[i]);
	json_array_end(&json);
	json_object_end(&json);
	(void)json_fini(&json); /* admin_text() looks at @out */
}

/* "1.2M": at most four digits and a letter, powers of 1000 */
static const char *short_number(uint64_t n, char text[16])
{
	static const char units[] = "kMGTPE";
	const char *unit = units;
	uint64_t rest = n;

	if (n < 10000) {
		(void)snprintf(text, 16, "%" PRIu64, n);
		return text;
	}
	while (rest >= 1000000) {
		rest /= 1000;
		unit++;
	}
	if (rest < 100000)
		(void)snprintf(text, 16, "%" PRIu64 ".%" PRIu64 "%c",
			       rest / 1000, rest % 1000 / 100, *unit);
	else
		(void)snprintf(text, 16, "%" PRIu64 "%c", rest / 1000, *unit);
	return text;
}

enum column {
	COLUMN_CLIENTS,
	COLUMN_CAME,
	COLUMN_WARM,
	COLUMN_FULL,
	COLUMN_RESUMED,
	COLUMN_KERNEL,
	COLUMN_ERRORS,
	COLUMN_IN,
	COLUMN_OUT,
	COLUMN_NR,
};

/* with the name before them 79 characters */
static const struct {
	const char *head;
	int width;
} columns[COLUMN_NR] = {
	[COLUMN_CLIENTS] = { "CLIENTS", 8 },
	[COLUMN_CAME] = { "CAME", 7 },
	[COLUMN_WARM] = { "WARM", 6 },
	[COLUMN_FULL] = { "FULL", 7 },
	[COLUMN_RESUMED] = { "RESUMED", 8 },
	[COLUMN_KERNEL] = { "KERNEL", 7 },
	[COLUMN_ERRORS] = { "ERRORS", 7 },
	[COLUMN_IN] = { "IN", 7 },
	[COLUMN_OUT] = { "OUT", 7 },
};

#define NAME_COLUMN "%-15.32s"

static void table_listener(FILE *out, const struct admin_listener *l)
{
	const struct stats_listener *sum = &l->sum;
	const uint64_t cells[COLUMN_NR] = {
		[COLUMN_CLIENTS] = stats_get(&sum->clients),
		[COLUMN_CAME] = stats_get(&sum->accepted),
		[COLUMN_WARM] = stats_get(&sum->warm),
		[COLUMN_FULL] = stats_get(&sum->full),
		[COLUMN_RESUMED] = stats_get(&sum->resumed),
		[COLUMN_KERNEL] = stats_get(&sum->plane[KTC_PLANE_KERNEL]),
		[COLUMN_ERRORS] = errors_of(l),
		[COLUMN_IN] = stats_get(&sum->bytes[KTC_RX]),
		[COLUMN_OUT] = stats_get(&sum->bytes[KTC_TX]),
	};
	const struct admin_origin *origin = l->origins;
	char text[16];
	unsigned int i;

	fprintf(out, NAME_COLUMN, l->name);
	for (i = 0; i < COLUMN_NR; i++)
		fprintf(out, "%*s", columns[i].width,
			short_number(cells[i], text));
	fprintf(out, "\n  on %.120s\n", l->listen);
	for (; origin < l->origins + l->nr_origins; origin++) {
		fprintf(out, "  -> %.120s: %" PRIu64 " open, %" PRIu64
			" failed", origin->place, origin->conns,
			origin->failures);
		if (origin->failing)
			fprintf(out, "; left alone for %" PRIu64 " ms",
				origin->retry_in_ms);
		fputc('\n', out);
	}
}

static void write_table(const struct admin_view *view, FILE *out)
{
	const struct admin_ops *ops = view->ops;
	uint64_t up = uptime_s(ops);
	unsigned int i;

	fprintf(out, "ktc-proxy %s, pid %d, up %" PRIu64 "d %02u:%02u:%02u, "
		"%u threads%s\n", ktc_version(), (int)getpid(), up / 86400,
		(unsigned int)(up % 86400 / 3600),
		(unsigned int)(up % 3600 / 60), (unsigned int)(up % 60),
		ops->threads, ops->draining(ops->arg) ? ", draining" : "");
	fprintf(out, NAME_COLUMN, "LISTENER");
	for (i = 0; i < COLUMN_NR; i++)
		fprintf(out, "%*s", columns[i].width, columns[i].head);
	fputc('\n', out);
	for (i = 0; i < view->nr; i++)
		table_listener(out, &view->listeners[i]);
}

int admin_status(const struct admin_ops *ops, char **out, size_t *len)
{
	return admin_text(ops, write_json, out, len);
}

int admin_table(const struct admin_ops *ops, char **out, size_t *len)
{
	return admin_text(ops, write_table, out, len);
}

static __attribute__((format(printf, 2, 3))) int
complain(const char *control, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "ktc-proxy: %s: ", control);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap); /* there is nobody else to tell */
	va_end(ap);
	fputc('\n', stderr);
	return 1;
}

int admin_status_print(const char *control)
{
	static char buf[16384];
	size_t total = 0;
	ssize_t n;
	int fd, rc = 0;

	fd = ask(control, "table\n", ANSWER_S);
	if (fd < 0)
		return complain(control, "cannot ask the proxy: %s",
				strerrordesc_np(-fd));
	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0) {
		total += (size_t)n;
		if (total > ANSWER_MAX)
			break;
		fwrite(buf, 1, (size_t)n, stdout);
	}
	if (n < 0)
		rc = complain(control, "the proxy did not answer in time");
	else if (n > 0)
		rc = complain(control, "the answer is not a proxy's");
	else if (!total)
		rc = complain(control, "the proxy gave no answer");
	(void)close(fd); /* only read from since */
	if (fflush(stdout) && !rc)
		rc = complain(control, "the table could not be written");
	return rc;
}
