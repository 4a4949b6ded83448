/* SPDX-License-Identifier: MIT */
/*
 * The sessions of one client, by identity. A TLS 1.3 ticket is used once: it
 * is *reserved* by take, *spent* when its ClientHello has been sent, *put
 * back* when connecting failed before that. A TLS 1.2 session is shared: take
 * gives a reference and it stays. Any thread; lock-free but for new and free.
 */
#ifndef KTC_INVENTORY_H
#define KTC_INVENTORY_H

#include <ktlsclient.h>

#include "origin.h"
#include "ticket.h"

struct inventory;

struct inventory_opts {
	uint32_t sessions_max;	/* of all identities, 1 or more */
	uint64_t bytes_max;	/* of sessions and of what holds them */
	uint32_t per_identity;	/* how deep an identity may become */
	uint32_t full_per_s;	/* full handshakes of one identity; 0: all */
	uint32_t full_at_once;	/* the same, under way; 0: no limit */
};

/* Each only grows, but for the three levels at the top. */
struct inventory_stats {
	uint64_t sessions;	/* in it now */
	uint64_t identities;	/* known now, some perhaps without a session */
	uint64_t bytes;		/* set aside now for both */
	uint64_t takes;		/* = hits + misses, but for misses_policy */
	uint64_t hits;
	uint64_t misses_none;	/* nothing is known of the identity */
	uint64_t misses_expired; /* there were only expired ones */
	uint64_t misses_taken;	/* it is known, all its tickets are away */
	uint64_t misses_policy;	/* inventory_skip() */
	uint64_t gives;		/* by give, share or restore */
	uint64_t putbacks;
	uint64_t spent;		/* single-use ones */
	uint64_t evictions;	/* dropped for room */
	uint64_t expired;	/* dropped because their time was over */
	uint64_t exports;	/* single-use ones that left by a drain */
	uint64_t full_begun;	/* full handshakes let go by the budget */
	uint64_t full_waits;	/* and told to wait */
};

/* -ENOMEM. */
int inventory_new(const struct inventory_opts *opts, struct inventory **out);
void inventory_free(struct inventory *inv);	/* takes NULL */

/*
 * The newest session for id, or NULL in *out and the reason as result. The
 * caller owns the reference and ends with exactly one of spend or put back.
 */
enum ktc_reason inventory_take(struct inventory *inv,
			       const uint8_t id[ORIGIN_ID_LEN],
			       struct ticket **out);

/* The same for one who has asked before: a second miss is not counted. */
enum ktc_reason inventory_take_again(struct inventory *inv,
				     const uint8_t id[ORIGIN_ID_LEN],
				     struct ticket **out);

/* The ClientHello is out: a TLS 1.3 ticket is used up. Takes the reference. */
void inventory_spend(struct inventory *inv, struct ticket *ticket);

/*
 * It was not sent: may be taken again, and is the next to be. Takes the
 * reference.
 */
void inventory_putback(struct inventory *inv,
		       const uint8_t id[ORIGIN_ID_LEN],
		       struct ticket *ticket);

/* A TLS 1.3 ticket came. Takes the reference; may drop the oldest for room. */
void inventory_give(struct inventory *inv, const uint8_t id[ORIGIN_ID_LEN],
		    struct ticket *ticket);

/* A TLS 1.2 session came: it replaces the identity's. Takes the reference. */
void inventory_share(struct inventory *inv, const uint8_t id[ORIGIN_ID_LEN],
		     struct ticket *ticket);

/*
 * A session of either kind that was kept elsewhere: as give and share, but as
 * deep as the identity was. Takes the reference.
 */
void inventory_restore(struct inventory *inv, const uint8_t id[ORIGIN_ID_LEN],
		       struct ticket *ticket);

/* No more TLS 1.3 tickets are wanted for id now. */
bool inventory_is_full(struct inventory *inv,
		       const uint8_t id[ORIGIN_ID_LEN]);

/* A session was not asked for, by policy: only counts. */
void inventory_skip(struct inventory *inv, const uint8_t id[ORIGIN_ID_LEN]);

/*
 * Takes every single-use ticket out and a reference to every shared one, and
 * gives them to fn, which owns them from then on. What others give meanwhile
 * may stay.
 */
typedef void (*inventory_drain_fn)(void *arg,
				   const uint8_t id[ORIGIN_ID_LEN],
				   struct ticket *take);
void inventory_drain(struct inventory *inv, inventory_drain_fn fn, void *arg);

/*
 * The budget for full handshakes. 0: go, and say inventory_full_end() when
 * the handshake is over, however; -EAGAIN: not before *again_us (of
 * sys->now_us()), then look for a ticket first; -ENOMEM.
 */
int inventory_full_begin(struct inventory *inv,
			 const uint8_t id[ORIGIN_ID_LEN], uint64_t now_us,
			 uint64_t *again_us);
void inventory_full_end(struct inventory *inv,
			const uint8_t id[ORIGIN_ID_LEN]);
/* One that nobody could foresee: the server declined a session. */
void inventory_full_charge(struct inventory *inv,
			   const uint8_t id[ORIGIN_ID_LEN], uint64_t now_us);

/* The sum, and one shard alone; no snapshot, and stops nobody. */
void inventory_stats(const struct inventory *inv,
		     struct inventory_stats *out);
unsigned int inventory_shards(const struct inventory *inv);
void inventory_shard_stats(const struct inventory *inv, unsigned int shard,
			   struct inventory_stats *out);

#endif /* KTC_INVENTORY_H */
