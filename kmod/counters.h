/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the module has done since it was loaded. Any context; each number is
 * exact, together they are no snapshot.
 */
#ifndef KTCM_COUNTERS_H
#define KTCM_COUNTERS_H

#include <linux/atomic.h>

#include <uapi/linux/ktlsclient.h>

enum ktcm_counter {
	KTCM_N_ATTACHES,
	KTCM_N_ATTACHES_FAILED,
	KTCM_N_RELAYS,
	KTCM_N_RELAYS_TOTAL,
	KTCM_N_RELAYS_REFUSED,
	KTCM_N_DOWN_BYTES,
	KTCM_N_UP_BYTES,
	KTCM_N_RECORDS,
	KTCM_N_RECORDS_DROPPED,
	KTCM_N_LOST_BYTES,
	KTCM_N_ENDS,			/* by enum ktcm_end */
	KTCM_N_NR = KTCM_N_ENDS + KTCM_END_NR
};

extern atomic64_t ktcm_counters[KTCM_N_NR];

static inline void ktcm_add(unsigned int counter, s64 n)
{
	atomic64_add(n, &ktcm_counters[counter]);
}

static inline void ktcm_count(unsigned int counter)
{
	ktcm_add(counter, 1);
}

/* 0, or -1 if there are max already. */
static inline int ktcm_count_up_to(unsigned int counter, s64 max)
{
	if (atomic64_inc_return(&ktcm_counters[counter]) <= max)
		return 0;
	atomic64_dec(&ktcm_counters[counter]);
	return -1;
}

static inline u64 ktcm_counted(unsigned int counter)
{
	return atomic64_read(&ktcm_counters[counter]);
}

#endif /* KTCM_COUNTERS_H */
