// SPDX-License-Identifier: MIT
/*
 * Tickets for the stores, of the library's own type: with struct ticket this
 * file goes past the public header, for the reason that cache_ours.c gives.
 * Any thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cache_store.h"
#include "ticket.h"

#define LINE   64
#define LIFE_S (24 * 3600)
/* about what a resumed connection's session takes */
#define BYTES 1300

_Static_assert(sizeof(struct ticket) <= LINE, "a ticket fits a cache line");

struct ticket *cache_ticket_new(bool single_use)
{
	/*
	 * A line for each: between two tickets of a program lies a session,
	 * here nothing would.
	 */
	struct ticket *ticket = aligned_alloc(LINE, LINE);

	if (!ticket)
		return NULL;
	memset(ticket, 0, sizeof(*ticket));
	ticket->expires_s = (uint64_t)time(NULL) + LIFE_S;
	ticket->bytes = BYTES;
	ticket->refs = 1;
	ticket->single_use = single_use;
	return ticket;
}

int cache_fill_up(const struct cache_fill *fill, void *store,
		  void (*give)(void *store, const struct cache_key *key,
			       struct ticket *take))
{
	bool single_use = fill->op == CACHE_TAKE_GIVE;
	uint32_t count = single_use ? fill->tickets : 1, i, n;
	struct ticket *ticket;

	/* An origin's tickets come one by one, and do not lie together. */
	for (n = 0; n < count; n++) {
		for (i = 0; i < fill->origins; i++) {
			ticket = cache_ticket_new(single_use);
			if (!ticket)
				return -ENOMEM;
			give(store, &fill->keys[i], ticket);
		}
	}
	return 0;
}
