/* SPDX-License-Identifier: MIT */
/*
 * What may still be used of a shard's memory: sessions and bytes. Taken before
 * something is kept and given back after it has gone, so that the bounds hold
 * at every moment. The counts carry no data: all relaxed.
 */
#ifndef KTC_QUOTA_H
#define KTC_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "atomic.h"

struct quota {
	uint64_t sessions;
	uint64_t bytes;
};

static inline bool quota_take_one(uint64_t *left, uint64_t n)
{
	uint64_t have = load_relaxed(left);

	while (n && have >= n)
		if (cas_relaxed(left, &have, have - n))
			return true;
	return !n;
}

/* Both or neither. */
static inline bool quota_take(struct quota *quota, uint64_t sessions,
			      uint64_t bytes)
{
	if (!quota_take_one(&quota->sessions, sessions))
		return false;
	if (quota_take_one(&quota->bytes, bytes))
		return true;
	add_relaxed(&quota->sessions, sessions);
	return false;
}

static inline void quota_give(struct quota *quota, uint64_t sessions,
			      uint64_t bytes)
{
	if (sessions)
		add_relaxed(&quota->sessions, sessions);
	if (bytes)
		add_relaxed(&quota->bytes, bytes);
}

#endif /* KTC_QUOTA_H */
