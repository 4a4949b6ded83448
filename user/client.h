/* SPDX-License-Identifier: MIT */
/* What threads share: configuration, TLS context, inventory, counters. */
#ifndef KTC_CLIENT_H
#define KTC_CLIENT_H

#include "atomic.h"
#include "config.h"
#include "suite.h"

struct inventory;
struct ossl_ctx;

/* Statistics: relaxed, for each stands alone. */
enum client_counter {
	COUNT_FULL,
	COUNT_RESUMED,
	COUNT_FAILED,
	COUNT_OFFLOADED,
	COUNT_OFFLOAD_REFUSED,
	COUNT_ADOPTED,
	COUNT_NR
};

struct ktc_client {
	uint32_t refs;		/* atomic */
	struct config config;
	struct ossl_ctx *ossl;
	struct inventory *inventory;
	/* tests lower it to see the AEAD limit at work; 0: the suite's own */
	uint64_t records_max;
	uint64_t count[COUNT_NR]; /* atomic */
};

int client_new(const struct ktc_client_opts *opts, char *why, size_t why_len,
	       struct ktc_client **out);
struct ktc_client *client_get(struct ktc_client *client);
void client_put(struct ktc_client *client);	/* takes NULL */
void client_stats(const struct ktc_client *client,
		  struct ktc_client_stats *out);
unsigned int client_shards(const struct ktc_client *client);
/* The inventory's counters of one shard, below client_shards(). */
void client_shard_stats(const struct ktc_client *client, unsigned int shard,
			struct ktc_client_stats *out);

static inline void client_count(struct ktc_client *client,
				enum client_counter what)
{
	add_relaxed(&client->count[what], 1);
}

#endif /* KTC_CLIENT_H */
