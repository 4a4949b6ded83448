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

int client_new(const struct ktc_client_opts *opts, char *why, size_t why_len,
	       struct ktc_client **out)
{
	struct ktc_client *client = mem_zalloc(sizeof(*client));
	int err;

	if (!client)
		return -ENOMEM;
	atomic_init(&client->refs, 1);
	err = config_init(&client->config, opts, why, why_len);
	if (err) {
		mem_free(client);
		return err;
	}
	err = ossl_ctx_new(&client->config, &client->ossl, why, why_len);
	if (!err)
		err = inventory_new(client->config.sessions_max,
				    client->config.tickets_per_identity,
				    &client->inventory);
	if (err) {
		client_put(client);
		return err;
	}
	*out = client;
	return 0;
}

struct ktc_client *client_get(struct ktc_client *client)
{
	/* relaxed: the caller holds a reference already */
	atomic_fetch_add_explicit(&client->refs, 1, memory_order_relaxed);
	return client;
}

void client_put(struct ktc_client *client)
{
	/*
	 * Release: what this thread did with the client comes before its end.
	 * Acquire: the last one sees what all others did. Pairs with itself.
	 */
	if (!client ||
	    atomic_fetch_sub_explicit(&client->refs, 1,
				      memory_order_acq_rel) != 1)
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
	return atomic_load_explicit(&client->count[what],
				    memory_order_relaxed);
}

void client_stats(const struct ktc_client *client,
		  struct ktc_client_stats *out)
{
	struct inventory_stats inv;

	inventory_stats(client->inventory, &inv);
	*out = (struct ktc_client_stats){
		.size = sizeof(*out),
		.handshakes_full = client_read(client, COUNT_FULL),
		.handshakes_resumed = client_read(client, COUNT_RESUMED),
		.handshakes_failed = client_read(client, COUNT_FAILED),
		.offloaded = client_read(client, COUNT_OFFLOADED),
		.offload_refused = client_read(client, COUNT_OFFLOAD_REFUSED),
		.sessions = inv.sessions,
		.takes = inv.takes,
		.hits = inv.hits,
		.misses_none = inv.misses_none,
		.misses_expired = inv.misses_expired,
		.gives = inv.gives,
		.putbacks = inv.putbacks,
		.spent = inv.spent,
		.evictions = inv.evictions,
	};
}
