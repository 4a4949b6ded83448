// SPDX-License-Identifier: GPL-2.0-only
/* Description: what a client tells of its inventory is what happened there. */
#include "client.h"

#include "inventory.h"
#include "stock.h"
#include "sys.h"

#include "kselftest_harness.h"

#define NOW 1700000000u
#define LATER (NOW + 3600u)

static uint64_t wall_s;

static uint64_t fake_time_s(void)
{
	return wall_s;
}

static void drop(void *arg, const uint8_t id[ORIGIN_ID_LEN],
		 struct ticket *take)
{
	(void)arg;
	(void)id;
	ticket_put(take);
}

FIXTURE(client)
{
	struct sys_ops ops;
	struct ktc_client *client;
	struct ktc_client_stats out;
	struct inventory_stats inv;
	uint8_t id[ORIGIN_ID_LEN];
};

FIXTURE_SETUP(client)
{
	const struct ktc_client_opts opts = {
		.size = sizeof(opts),
		.sessions_max = 4096,	/* enough for several shards */
		.tickets_per_identity = 1,
		.full_at_once = 1,
	};

	wall_s = NOW;
	self->ops = sys_real;
	self->ops.time_s = fake_time_s;
	sys = &self->ops;
	stock_id(self->id, 1);
	ASSERT_EQ(0, client_new(&opts, NULL, 0, &self->client));
}

FIXTURE_TEARDOWN(client)
{
	client_put(self->client);
	sys = &sys_real;
}

/* Something of everything. */
static void do_all(struct inventory *inv, const uint8_t *id)
{
	struct ticket *ticket;
	uint64_t again_us;

	inventory_skip(inv, id);
	(void)inventory_take(inv, id, &ticket);		/* none */
	inventory_give(inv, id, stock_ticket(true, LATER));
	inventory_give(inv, id, stock_ticket(true, LATER)); /* evicts one */
	(void)inventory_take(inv, id, &ticket);
	inventory_putback(inv, id, ticket);
	(void)inventory_take(inv, id, &ticket);
	inventory_spend(inv, ticket);
	(void)inventory_take(inv, id, &ticket);		/* taken */
	inventory_give(inv, id, stock_ticket(true, NOW + 60));
	wall_s = NOW + 60;
	(void)inventory_take(inv, id, &ticket);		/* expired */
	inventory_give(inv, id, stock_ticket(true, LATER));
	inventory_drain(inv, drop, NULL);
	inventory_give(inv, id, stock_ticket(true, LATER));
	(void)inventory_full_begin(inv, id, 1, &again_us);
	(void)inventory_full_begin(inv, id, 1, &again_us); /* waits */
}

#define TELLS(field) \
	do { \
		EXPECT_NE(0, self->inv.field) TH_LOG(#field); \
		EXPECT_EQ(self->inv.field, self->out.field) TH_LOG(#field); \
	} while (0)

TEST_F(client, tells_each_counter_of_the_inventory)
{
	do_all(self->client->inventory, self->id);
	inventory_stats(self->client->inventory, &self->inv);
	client_stats(self->client, &self->out);
	TELLS(sessions);
	TELLS(identities);
	TELLS(takes);
	TELLS(hits);
	TELLS(misses_none);
	TELLS(misses_expired);
	TELLS(misses_taken);
	TELLS(misses_policy);
	TELLS(gives);
	TELLS(putbacks);
	TELLS(spent);
	TELLS(evictions);
	TELLS(expired);
	TELLS(exports);
	TELLS(full_begun);
	TELLS(full_waits);
	EXPECT_NE(0, self->inv.bytes);
	EXPECT_EQ(self->inv.bytes, self->out.session_bytes);
	EXPECT_EQ(sizeof(self->out), self->out.size);
}

TEST_F(client, tells_of_one_shard_what_happened_in_it)
{
	unsigned int i, shards = client_shards(self->client), used = 0;

	client_count(self->client, COUNT_FULL);
	do_all(self->client->inventory, self->id);
	ASSERT_LT(1, shards);
	for (i = 0; i < shards; i++) {
		client_shard_stats(self->client, i, &self->out);
		used += !!self->out.takes;
		EXPECT_EQ(self->out.takes ? 1 : 0, self->out.sessions);
		EXPECT_EQ(0, self->out.handshakes_full);
	}
	EXPECT_EQ(1, used);
	client_stats(self->client, &self->out);
	EXPECT_EQ(1, self->out.handshakes_full);
}

TEST_HARNESS_MAIN
