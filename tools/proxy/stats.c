// SPDX-License-Identifier: MIT
/*
 * Counters: histogram buckets, sums over threads, names for labels. Any
 * thread; what is written has one writer.
 */
#include "stats.h"

#include <stddef.h>

/* from a handshake next door to one that somebody gave up on */
const uint32_t stats_bucket_us[STATS_BUCKETS] = {
	100,	250,	500,	 1000,	 2500,	  5000,	   10000,   25000,
	50000,	100000,	250000,	 500000, 1000000, 2500000, 5000000, 10000000,
};

/* stats_sum() takes the block for an array */
_Static_assert(sizeof(struct stats_listener) % sizeof(stats_u64) == 0,
	       "a block has counters and nothing else");
_Static_assert(sizeof(stats_u64) == sizeof(uint64_t),
	       "a counter is a plain number");

void stats_record(struct stats_hist *hist, uint64_t us)
{
	unsigned int i;

	for (i = 0; i < STATS_BUCKETS; i++)
		if (us <= stats_bucket_us[i])
			break;
	stats_add(&hist->bucket[i], 1);
	stats_add(&hist->sum_us, us);
}

void stats_sum(struct stats_listener *to, const struct stats_listener *from)
{
	const stats_u64 *in = (const stats_u64 *)from;
	stats_u64 *out = (stats_u64 *)to;
	size_t i;

	for (i = 0; i < sizeof(*to) / sizeof(*out); i++)
		stats_add(&out[i], stats_get(&in[i]));
}

const char *stats_end_name(enum stats_end end)
{
	static const char *const names[STATS_END_NR] = {
		[STATS_END_DONE] = "done",
		[STATS_END_CLIENT] = "client",
		[STATS_END_TRUNCATED] = "truncated",
		[STATS_END_ORIGIN] = "origin",
		[STATS_END_NO_ORIGIN] = "no_origin",
		[STATS_END_IDLE] = "idle",
		[STATS_END_LIFETIME] = "lifetime",
		[STATS_END_DRAINED] = "drained",
		[STATS_END_HEADER] = "header",
		[STATS_END_LIMIT] = "limit",
		[STATS_END_MOVED] = "moved",
	};

	return (unsigned int)end < STATS_END_NR ? names[end] : "unknown";
}

const char *stats_reason_name(enum ktc_reason why)
{
	static const char *const names[KTC_WHY_NR] = {
		[KTC_WHY_NOTHING] = "nothing",
		[KTC_WHY_POLICY] = "policy",
		[KTC_WHY_NOT_YET] = "not_yet",
		[KTC_WHY_NO_KTLS] = "no_ktls",
		[KTC_WHY_NO_SUITE] = "no_suite",
		[KTC_WHY_ULP_REFUSED] = "ulp_refused",
		[KTC_WHY_PEER_FIN] = "peer_fin",
		[KTC_WHY_NOT_TCP] = "not_tcp",
		[KTC_WHY_TX_REFUSED] = "tx_refused",
		[KTC_WHY_NO_SESSION] = "no_session",
		[KTC_WHY_EXPIRED] = "expired",
		[KTC_WHY_TAKEN] = "taken",
		[KTC_WHY_DECLINED] = "declined",
		[KTC_WHY_RESUME_OFF] = "resume_off",
		[KTC_WHY_RELAY_LOOP] = "relay_loop",
		[KTC_WHY_USER_PLANE] = "user_plane",
		[KTC_WHY_NO_MODULE] = "no_module",
		[KTC_WHY_MODULE_BUSY] = "module_busy",
		[KTC_WHY_MODULE_REFUSED] = "module_refused",
		[KTC_WHY_HALF_CLOSED] = "half_closed",
		[KTC_WHY_REKEYING] = "rekeying",
	};

	if ((unsigned int)why >= KTC_WHY_NR || !names[why])
		return "unknown";
	return names[why];
}
