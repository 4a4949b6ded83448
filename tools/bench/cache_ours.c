// SPDX-License-Identifier: MIT
/*
 * The library's inventory as a store of ktc-bench cache.
 *
 * A tool includes <ktlsclient.h> and nothing else of the library; the files
 * cache_ours.c, cache_mutex.c and cache_ticket.c are the exception. Taking
 * and giving a ticket is not public: through the public interface it comes
 * with a handshake, a thousand times as long, and nothing would be seen of
 * it. So these three include "inventory.h" and "ticket.h", and ktc-bench is
 * linked with the archive that the tests use, which has the internal names.
 */
#include "cache_store.h"
#include "inventory.h"

#include <errno.h>

/* what a client has that says nothing of it */
#define SESSIONS_MIN 10000U
#define DEPTH_MIN    64U
/* beyond what is given: nothing is to be dropped for room */
#define ROOM	  2U
#define BYTES_MAX (UINT64_C(1) << 40)

_Static_assert(ORIGIN_ID_LEN <= CACHE_ID_LEN, "keys hold a whole id");

/* Shared sessions too: the inventory knows them apart. */
static void give(void *store, const struct cache_key *key, struct ticket *take)
{
	inventory_give(store, key->id, take);
}

static int ours_init(const struct cache_fill *fill, void **out)
{
	uint32_t sessions = fill->origins * fill->tickets * ROOM;
	const struct inventory_opts opts = {
		.sessions_max = sessions > SESSIONS_MIN ? sessions
							: SESSIONS_MIN,
		.bytes_max = BYTES_MAX,
		.per_identity = fill->tickets > DEPTH_MIN ? fill->tickets
							  : DEPTH_MIN,
	};
	struct inventory *inv;
	int err;

	err = inventory_new(&opts, &inv);
	if (err)
		return err;
	err = cache_fill_up(fill, inv, give);
	if (err)
		inventory_free(inv);
	else
		*out = inv;
	return err;
}

static bool ours_take_give(void *store, uint32_t thread,
			   const struct cache_key *key)
{
	struct ticket *ticket;
	bool hit;

	(void)thread;
	(void)inventory_take(store, key->id, &ticket); /* NULL says enough */
	hit = ticket;
	if (!hit)
		ticket = cache_ticket_new(true);
	if (ticket)
		inventory_give(store, key->id, ticket);
	return hit;
}

static bool ours_share(void *store, uint32_t thread,
		       const struct cache_key *key)
{
	struct ticket *ticket;

	(void)thread;
	(void)inventory_take(store, key->id, &ticket); /* NULL says enough */
	if (!ticket)
		return false;
	inventory_spend(store, ticket);
	return true;
}

static void ours_fini(void *store)
{
	inventory_free(store);
}

const struct cache_store cache_store_inventory = {
	.name = "inventory",
	.init = ours_init,
	.op = {
		[CACHE_TAKE_GIVE] = ours_take_give,
		[CACHE_SHARE] = ours_share,
	},
	.fini = ours_fini,
};
