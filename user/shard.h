/* SPDX-License-Identifier: MIT */
/*
 * A share of the inventory: the identities whose hash falls into it, within a
 * quota of its own. Callers of all but init and fini are inside an RCU
 * section; any thread.
 */
#ifndef KTC_SHARD_H
#define KTC_SHARD_H

#include "entry.h"

struct shard {
	/* constant */
	struct table table;		/* identity -> entry */
	struct entry **clock;		/* seats: an entry or NULL */
	uint64_t bytes_max;
	uint32_t stripes;		/* of each entry */
	uint32_t seats;			/* entries at most */
	/* written by many, but not by an operation that finds what it needs */
	alignas(MEM_LINE) struct quota quota;
	uint32_t entries;		/* seats taken, or about to be */
	uint32_t high;			/* no seat from here on was ever used */
	uint32_t free_hint;		/* a seat that may be free */
	uint32_t hand;			/* of the clock, for room */
	uint32_t sweeper;		/* the same, for what has expired */
};

/* What left a shard for an operation, to be counted and freed after it. */
struct leaving {
	struct ticket *tickets;
	unsigned int shared;		/* sessions that are being freed */
};

/* -ENOMEM. */
int shard_init(struct shard *shard, uint32_t sessions, uint64_t bytes,
	       uint32_t stripes);
/* Nobody else uses it any more. Frees what is left; takes a zeroed one. */
void shard_fini(struct shard *shard);

struct entry *shard_find(struct shard *shard,
			 const uint8_t id[ORIGIN_ID_LEN],
			 const struct asker *asker);

/* Finds or makes. -ENOMEM; -ENOSPC when nothing can be evicted for it. */
int shard_entry(struct shard *shard, const uint8_t id[ORIGIN_ID_LEN],
		const struct asker *asker, struct leaving *leaving,
		struct entry **out);

/*
 * Makes room: the next identity in turn that was not used since the last
 * turn, is not keep and has no full handshake under way that a budget counts.
 * False: there is none.
 */
bool shard_evict(struct shard *shard, const struct entry *keep,
		 const struct asker *asker, struct leaving *leaving);

/* Looks at the next identity and removes it if all in it has expired. */
void shard_sweep(struct shard *shard, const struct asker *asker,
		 struct leaving *leaving);

/* Entries in the order of their seats: *seat from 0 on; NULL after the last. */
struct entry *shard_next(const struct shard *shard, uint32_t *seat);

#endif /* KTC_SHARD_H */
