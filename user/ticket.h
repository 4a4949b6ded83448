/* SPDX-License-Identifier: MIT */
#ifndef KTC_TICKET_H
#define KTC_TICKET_H

#include <openssl/ssl.h>

#include <stdbool.h>
#include <stdint.h>

#include "rcu.h"

/* One resumable session. Immutable but for what is the inventory's. */
struct ticket {
	union {
		struct ticket *next;	/* its only holder's, to make lists */
		struct rcu_head rcu;	/* ticket_put_later() */
	};
	SSL_SESSION *session;	/* a reference of the ticket's own */
	uint64_t expires_s;	/* wall clock */
	uint32_t bytes;		/* what it costs in memory, about */
	unsigned int refs;	/* atomic */
	uint16_t shard;		/* the inventory's, while reserved */
	bool single_use;	/* TLS 1.3 */
};

/*
 * Wraps a session that OpenSSL gave (its reference is taken on success
 * only). Life is min(server's hint, 7 days) from now_s. -KTC_E_UNSUPPORTED if
 * it cannot be resumed, -ENOMEM.
 */
int ticket_new(SSL_SESSION *take_session, uint64_t now_s,
	       struct ticket **out);
/* The same for one that is not new: it lives until expires_s. */
int ticket_restore(SSL_SESSION *take_session, uint64_t expires_s,
		   struct ticket **out);
struct ticket *ticket_get(struct ticket *ticket);
void ticket_put(struct ticket *ticket);		/* takes NULL */
/* When RCU's readers of now are gone; it may have other holders. */
void ticket_put_later(struct ticket *ticket);
/* In front of a list. */
static inline void ticket_push(struct ticket **list, struct ticket *ticket)
{
	ticket->next = *list;
	*list = ticket;
}

bool ticket_is_fresh(const struct ticket *ticket, uint64_t now_s);

#endif /* KTC_TICKET_H */
