/* SPDX-License-Identifier: MIT */
/*
 * What is counted about connections: one struct per thread and phase, merged
 * for the report.
 */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <ktlsclient.h>
#include <stdbool.h>
#include <stdint.h>

#include "../common/hist.h"

/* the library's classes, and one for answers that are wrong in themselves */
#define STATS_CLASS_RESPONSE ((int)KTC_CLASS_INTERNAL + 1)
#define STATS_NR_CLASSES     ((int)KTC_CLASS_INTERNAL + 2)

#define STATS_NR_PLANES ((int)KTC_PLANE_KERNEL + 1)
#define STATS_TEXT_LEN	288

enum stats_hist {
	STATS_CONNECT, /* ktc_connect() to TCP connection */
	STATS_FULL, /* TCP connection to OPEN, full handshake */
	STATS_RESUMED, /* the same, resumed */
	STATS_FIRST_BYTE, /* OPEN to first DATA */
	STATS_TOTAL, /* ktc_connect() to CLOSED */
	STATS_GAP, /* stream: between DATA or SENT events of a connection */
	STATS_NR_HISTS,
};

struct stats_error {
	uint64_t count;
	uint64_t first_ns; /* when the first one came */
	char first[STATS_TEXT_LEN];
};

struct stats {
	uint64_t opened; /* handshake done */
	uint64_t full;
	uint64_t resumed;
	uint64_t verified;
	uint64_t tls12;
	uint64_t tls13;
	uint64_t done; /* exchange complete */
	uint64_t failed;
	uint64_t unclean; /* complete, but the close brought an error */
	uint64_t cut; /* under way when the time was up */
	uint64_t transfers; /* stream: bodies complete */
	uint64_t bytes; /* stream: of bodies */
	uint64_t records[2];
	uint64_t tickets;
	uint64_t not_resumed[KTC_WHY_NR];
	uint64_t plane[2][STATS_NR_PLANES];
	uint64_t not_kernel[2][KTC_WHY_NR];
	int offload_errno; /* last one seen */
	char cipher[48]; /* of the first connection */
	char alpn[32];
	char unclean_text[STATS_TEXT_LEN];
	struct stats_error errors[STATS_NR_CLASSES];
	struct hist hist[STATS_NR_HISTS];
};

/* now, monotonic, in nanoseconds */
uint64_t clock_ns(void);

/**
 * stats_opened() - count a handshake
 * @stats: where to
 * @conn: an open connection
 *
 * Return: whether it was resumed.
 */
bool stats_opened(struct stats *stats, const struct ktc_conn *conn);

/* count the planes a connection ended on, and why */
void stats_planes(struct stats *stats, const struct ktc_conn *conn);

/* count a connection that failed by what the library says of it */
void stats_conn_failed(struct stats *stats, const struct ktc_conn *conn,
		       int err);

/* count a call or connection that failed with @err, without more to say */
void stats_call_failed(struct stats *stats, const char *call, int err);

/* count a connection whose answer was wrong */
void stats_response_failed(struct stats *stats, const char *why);

/* count a connection that was complete, but closed with @err */
void stats_unclean(struct stats *stats, const struct ktc_conn *conn, int err);

void stats_merge(struct stats *into, const struct stats *from);

/* name of a class, STATS_CLASS_RESPONSE among them */
const char *stats_class_name(int class_);

#endif /* BENCH_STATS_H */
