/* SPDX-License-Identifier: MIT */
/*
 * The sessions of one client, by identity. A TLS 1.3 ticket is used once: it
 * is *reserved* by take, *spent* when its ClientHello has been sent, *put
 * back* when connecting failed before that. A TLS 1.2 session is shared: take
 * gives a reference and it stays. Any thread.
 */
#ifndef KTC_INVENTORY_H
#define KTC_INVENTORY_H

#include <ktlsclient.h>

#include "origin.h"
#include "ticket.h"

struct inventory;

struct inventory_stats {
	uint64_t sessions;
	uint64_t takes;
	uint64_t hits;
	uint64_t misses_none;
	uint64_t misses_expired;
	uint64_t gives;
	uint64_t putbacks;
	uint64_t spent;
	uint64_t evictions;
};

int inventory_new(uint32_t sessions_max, uint32_t per_identity,
		  struct inventory **out);
void inventory_free(struct inventory *inv);	/* takes NULL */

/*
 * The newest session for id, or NULL in *out and the reason as result. The
 * caller owns the reference and ends with exactly one of spend or put back.
 */
enum ktc_reason inventory_take(struct inventory *inv,
			       const uint8_t id[ORIGIN_ID_LEN],
			       struct ticket **out);

/* The ClientHello is out: a TLS 1.3 ticket is used up. Takes the reference. */
void inventory_spend(struct inventory *inv, struct ticket *ticket);

/* It was not sent: may be taken again. Takes the reference. */
void inventory_putback(struct inventory *inv,
		       const uint8_t id[ORIGIN_ID_LEN],
		       struct ticket *ticket);

/* A TLS 1.3 ticket came. Takes the reference; may drop the oldest for room. */
void inventory_give(struct inventory *inv, const uint8_t id[ORIGIN_ID_LEN],
		    struct ticket *ticket);

/* A TLS 1.2 session came: it replaces the identity's. Takes the reference. */
void inventory_share(struct inventory *inv, const uint8_t id[ORIGIN_ID_LEN],
		     struct ticket *ticket);

/* No more TLS 1.3 tickets are wanted for id now. */
bool inventory_is_full(struct inventory *inv,
		       const uint8_t id[ORIGIN_ID_LEN]);

void inventory_stats(const struct inventory *inv,
		     struct inventory_stats *out);

#endif /* KTC_INVENTORY_H */
