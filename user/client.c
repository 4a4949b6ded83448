// SPDX-License-Identifier: MIT
/*
 * One client, one SSL_CTX, one inventory: a session never meets another
 * client's trust. All but the counters and the inventory is immutable once
 * client_new() has returned, so threads share it without a lock.
 */
#include "client.h"

#include <errno.h>
#include <stdio.h>

#include "inventory.h"
#include "mem.h"
#include "ossl.h"

static int client_inventory(struct ktc_client *client)
{
	const struct config *config = &client->config;
	const struct inventory_opts opts = {
		.sessions_max = config->sessions_max,
		.bytes_max = config->sessions_bytes_max,
		.per_identity = config->tickets_per_identity,
		.full_per_s = config->full_per_s,
		.full_at_once = config->full_at_once,
	};

	return inventory_new(&opts, &client->inventory);
}

int client_new(const struct ktc_client_opts *opts, char *why, size_t why_len,
	       struct ktc_client **out)
{
	struct ktc_client *client = mem_zalloc(sizeof(*client));
	int err;

	if (!client)
		return -ENOMEM;
	client->refs = 1;
	err = config_init(&client->config, opts, why, why_len);
	if (err) {
		mem_free(client);
		return err;
	}
	err = ossl_ctx_new(&client->config, &client->ossl, why, why_len);
	if (!err)
		err = client_inventory(client);
	if (err) {
		client_put(client);
		return err;
	}
	*out = client;
	return 0;
}

struct ktc_client *client_get(struct ktc_client *client)
{
	/* Relaxed: the caller holds a reference already. */
	add_relaxed(&client->refs, 1);
	return client;
}

void client_put(struct ktc_client *client)
{
	/*
	 * Release: what this thread did with the client comes before its end.
	 * Acquire: the last one sees what all others did. Pairs with itself.
	 */
	if (!client || sub_acq_rel(&client->refs, 1) != 1)
		return;
	/* sessions first: they refer to the context */
	inventory_free(client->inventory);
	ossl_ctx_free(client->ossl);
	config_fini(&client->config);
	mem_free(client);
}

static uint64_t client_read(const struct ktc_client *client,
			    enum client_counter what)
{
	return load_relaxed(&client->count[what]);	/* as in client.h */
}

/* The inventory's half; the other one is 0. */
static void client_show(const struct inventory_stats *inv,
			struct ktc_client_stats *out)
{
	*out = (struct ktc_client_stats){
		.size = sizeof(*out),
		.sessions = inv->sessions,
		.takes = inv->takes,
		.hits = inv->hits,
		.misses_none = inv->misses_none,
		.misses_expired = inv->misses_expired,
		.gives = inv->gives,
		.putbacks = inv->putbacks,
		.spent = inv->spent,
		.evictions = inv->evictions,
		.misses_taken = inv->misses_taken,
		.misses_policy = inv->misses_policy,
		.expired = inv->expired,
		.exports = inv->exports,
		.identities = inv->identities,
		.session_bytes = inv->bytes,
		.full_begun = inv->full_begun,
		.full_waits = inv->full_waits,
	};
}

void client_stats(const struct ktc_client *client,
		  struct ktc_client_stats *out)
{
	struct inventory_stats inv;

	inventory_stats(client->inventory, &inv);
	client_show(&inv, out);
	out->handshakes_full = client_read(client, COUNT_FULL);
	out->handshakes_resumed = client_read(client, COUNT_RESUMED);
	out->handshakes_failed = client_read(client, COUNT_FAILED);
	out->offloaded = client_read(client, COUNT_OFFLOADED);
	out->offload_refused = client_read(client, COUNT_OFFLOAD_REFUSED);
	out->adopted = client_read(client, COUNT_ADOPTED);
}

unsigned int client_shards(const struct ktc_client *client)
{
	return inventory_shards(client->inventory);
}

void client_shard_stats(const struct ktc_client *client, unsigned int shard,
			struct ktc_client_stats *out)
{
	struct inventory_stats inv;

	inventory_shard_stats(client->inventory, shard, &inv);
	client_show(&inv, out);
}
