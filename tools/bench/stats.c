// SPDX-License-Identifier: MIT
/*
 * Counting. Each struct stats has one writer, its worker thread; merging
 * happens after the threads have ended. Nothing is allocated here.
 */
#include "stats.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

uint64_t clock_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* always there on Linux */
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* a reason that this header does not know yet must not index beyond it */
static unsigned int reason(enum ktc_reason why)
{
	return (unsigned int)why < KTC_WHY_NR ? (unsigned int)why : 0;
}

bool stats_opened(struct stats *stats, const struct ktc_conn *conn)
{
	struct ktc_conn_info info = { .size = sizeof(info) };

	if (ktc_conn_info(conn, &info))
		return false;
	stats->opened++;
	stats->verified += info.verified;
	stats->tls12 += info.version == KTC_TLS1_2;
	stats->tls13 += info.version == KTC_TLS1_3;
	if (!stats->cipher[0]) {
		memcpy(stats->cipher, info.cipher, sizeof(stats->cipher));
		memcpy(stats->alpn, info.alpn, sizeof(stats->alpn));
	}
	hist_record(&stats->hist[STATS_CONNECT], info.connect_us * 1000);
	if (info.resumed) {
		stats->resumed++;
	} else {
		stats->full++;
		stats->not_resumed[reason(info.why_not_resumed)]++;
	}
	hist_record(&stats->hist[info.resumed ? STATS_RESUMED : STATS_FULL],
		    info.handshake_us * 1000);
	return info.resumed;
}

void stats_planes(struct stats *stats, const struct ktc_conn *conn)
{
	struct ktc_conn_info info = { .size = sizeof(info) };
	unsigned int dir, plane;

	if (ktc_conn_info(conn, &info))
		return;
	for (dir = 0; dir < 2; dir++) {
		plane = (unsigned int)info.plane[dir];
		if (plane >= STATS_NR_PLANES)
			plane = KTC_PLANE_NONE;
		stats->plane[dir][plane]++;
		if (plane != KTC_PLANE_KERNEL)
			stats->not_kernel[dir]
					 [reason(info.why_not_kernel[dir])]++;
	}
	stats->tickets += info.tickets;
	if (info.offload_errno)
		stats->offload_errno = info.offload_errno;
}

static void count_error(struct stats *stats, int class_, const char *text)
{
	struct stats_error *e;

	if (class_ < 0 || class_ >= STATS_NR_CLASSES)
		class_ = KTC_CLASS_INTERNAL;
	e = &stats->errors[class_];
	stats->failed++;
	if (e->count++)
		return;
	e->first_ns = clock_ns();
	(void)snprintf(e->first, sizeof(e->first), "%s", text);
}

static void conn_sentence(char *text, size_t len, const struct ktc_conn *conn,
			  int err)
{
	struct ktc_conn_error e = { .size = sizeof(e) };

	if (ktc_conn_error(conn, &e) || !e.text[0])
		(void)snprintf(text, len, "%s: %s", ktc_error_name(err),
			       ktc_strerror(err));
	else
		(void)snprintf(text, len, "%s in state %s: %s",
			       ktc_error_name(err), e.state ? e.state : "?",
			       e.text);
}

void stats_conn_failed(struct stats *stats, const struct ktc_conn *conn,
		       int err)
{
	char text[STATS_TEXT_LEN];

	conn_sentence(text, sizeof(text), conn, err);
	count_error(stats, (int)ktc_error_class(err), text);
}

void stats_call_failed(struct stats *stats, const char *call, int err)
{
	char text[STATS_TEXT_LEN];

	(void)snprintf(text, sizeof(text), "%s(): %s: %s", call,
		       ktc_error_name(err), ktc_strerror(err));
	count_error(stats, (int)ktc_error_class(err), text);
}

void stats_response_failed(struct stats *stats, const char *why)
{
	count_error(stats, STATS_CLASS_RESPONSE, why);
}

void stats_unclean(struct stats *stats, const struct ktc_conn *conn, int err)
{
	if (!stats->unclean++)
		conn_sentence(stats->unclean_text, sizeof(stats->unclean_text),
			      conn, err);
}

static void merge_error(struct stats_error *into,
			const struct stats_error *from)
{
	if (from->count && (!into->count || from->first_ns < into->first_ns)) {
		into->first_ns = from->first_ns;
		memcpy(into->first, from->first, sizeof(into->first));
	}
	into->count += from->count;
}

void stats_merge(struct stats *into, const struct stats *from)
{
	unsigned int i, dir;

	into->opened += from->opened;
	into->full += from->full;
	into->resumed += from->resumed;
	into->verified += from->verified;
	into->tls12 += from->tls12;
	into->tls13 += from->tls13;
	into->done += from->done;
	into->failed += from->failed;
	into->unclean += from->unclean;
	into->cut += from->cut;
	into->transfers += from->transfers;
	into->bytes += from->bytes;
	into->tickets += from->tickets;
	for (i = 0; i < KTC_WHY_NR; i++)
		into->not_resumed[i] += from->not_resumed[i];
	for (dir = 0; dir < 2; dir++) {
		into->records[dir] += from->records[dir];
		for (i = 0; i < STATS_NR_PLANES; i++)
			into->plane[dir][i] += from->plane[dir][i];
		for (i = 0; i < KTC_WHY_NR; i++)
			into->not_kernel[dir][i] += from->not_kernel[dir][i];
	}
	if (from->offload_errno)
		into->offload_errno = from->offload_errno;
	if (!into->cipher[0]) {
		memcpy(into->cipher, from->cipher, sizeof(into->cipher));
		memcpy(into->alpn, from->alpn, sizeof(into->alpn));
	}
	if (!into->unclean_text[0])
		memcpy(into->unclean_text, from->unclean_text,
		       sizeof(into->unclean_text));
	for (i = 0; i < STATS_NR_CLASSES; i++)
		merge_error(&into->errors[i], &from->errors[i]);
	for (i = 0; i < STATS_NR_HISTS; i++)
		hist_merge(&into->hist[i], &from->hist[i]);
}

const char *stats_class_name(int class_)
{
	if (class_ == STATS_CLASS_RESPONSE)
		return "response";
	return ktc_class_name((enum ktc_class)class_);
}
