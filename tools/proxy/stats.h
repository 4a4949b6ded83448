/* SPDX-License-Identifier: MIT */
/*
 * What a ktc-proxy has done, in numbers. Each worker thread counts into a
 * block of its own for each listener and writes it alone; anybody reads, with
 * relaxed loads: each number is exact, together they are no snapshot. Metrics
 * and --status add the blocks up.
 */
#ifndef PROXY_STATS_H
#define PROXY_STATS_H

#include <ktlsclient.h>
#include <stdatomic.h>
#include <stdint.h>

/* upper bounds of the histograms' buckets, in microseconds; one more above */
#define STATS_BUCKETS 16
extern const uint32_t stats_bucket_us[STATS_BUCKETS];

/* a counter with one writer */
typedef _Atomic uint64_t stats_u64;

struct stats_hist {
	stats_u64 bucket[STATS_BUCKETS + 1];
	stats_u64 sum_us;
};

/* why a client's connection is over */
enum stats_end {
	STATS_END_DONE,		/* both sides ended in order */
	STATS_END_CLIENT,	/* the client's socket failed */
	STATS_END_TRUNCATED,	/* the origin ended without close_notify */
	STATS_END_ORIGIN,	/* the TLS connection failed */
	STATS_END_NO_ORIGIN,	/* none could be reached */
	STATS_END_IDLE,
	STATS_END_LIFETIME,
	STATS_END_DRAINED,	/* the drain's deadline */
	STATS_END_HEADER,	/* no good PROXY protocol header in time */
	STATS_END_LIMIT,	/* over a limit: never began */
	STATS_END_MOVED,	/* given to the successor */
	STATS_END_NR,
};

/**
 * struct stats_listener - one listener's numbers, by one thread
 * @accepted: clients
 * @clients: of them now
 * @ended: by enum stats_end
 * @errors: upstream connections that failed, by enum ktc_class
 * @connects: upstream connections begun
 * @upstream: open ones now, warm ones too
 * @warm: handshaken and waiting now
 * @warm_hits: clients that found one
 * @warm_misses: clients that had to wait for a handshake, with @warm set
 * @full: handshakes
 * @resumed: handshakes
 * @not_resumed: why, by enum ktc_reason
 * @plane: by enum ktc_plane of the receiving side, when the connection ended
 * @not_kernel: why not KTC_PLANE_KERNEL, by enum ktc_reason
 * @lane: who relayed, by enum ktc_lane
 * @not_module: why not KTC_LANE_MODULE, by enum ktc_reason
 * @bytes: relayed: [KTC_RX] to clients, [KTC_TX] to origins
 * @tickets: that came
 * @connect_us: ktc_conn_info.connect_us of each OPEN
 * @handshake_us: ktc_conn_info.handshake_us of each OPEN
 * @adopted: connections taken over from a predecessor
 * @moved: given to a successor
 */
struct stats_listener {
	stats_u64 accepted;
	stats_u64 clients;
	stats_u64 ended[STATS_END_NR];
	stats_u64 errors[KTC_CLASS_INTERNAL + 1];
	stats_u64 connects;
	stats_u64 upstream;
	stats_u64 warm;
	stats_u64 warm_hits;
	stats_u64 warm_misses;
	stats_u64 full;
	stats_u64 resumed;
	stats_u64 not_resumed[KTC_WHY_NR];
	stats_u64 plane[KTC_PLANE_KERNEL + 1];
	stats_u64 not_kernel[KTC_WHY_NR];
	stats_u64 lane[KTC_LANE_MODULE + 1];
	stats_u64 not_module[KTC_WHY_NR];
	stats_u64 bytes[2];
	stats_u64 tickets;
	struct stats_hist connect_us;
	struct stats_hist handshake_us;
	stats_u64 adopted;
	stats_u64 moved;
};

/* one writer: a load and a store, no locked instruction */
static inline void stats_add(stats_u64 *n, uint64_t by)
{
	atomic_store_explicit(n,
			      atomic_load_explicit(n, memory_order_relaxed) +
				      by,
			      memory_order_relaxed);
}

static inline void stats_sub(stats_u64 *n, uint64_t by)
{
	stats_add(n, -by);
}

static inline uint64_t stats_get(const stats_u64 *n)
{
	return atomic_load_explicit(n, memory_order_relaxed);
}

void stats_record(struct stats_hist *hist, uint64_t us);

/**
 * stats_sum() - add one block to another
 * @to: a private one
 * @from: a worker's
 */
void stats_sum(struct stats_listener *to, const struct stats_listener *from);

/* names for labels: lower case, no spaces */
const char *stats_end_name(enum stats_end end);
const char *stats_reason_name(enum ktc_reason why);

#endif /* PROXY_STATS_H */
