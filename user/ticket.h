/* SPDX-License-Identifier: MIT */
#ifndef KTC_TICKET_H
#define KTC_TICKET_H

#include <openssl/ssl.h>

#include <stdbool.h>
#include <stdint.h>

/* One resumable session. Immutable but for its links and its count. */
struct ticket {
	struct ticket *next;	/* the inventory's */
	SSL_SESSION *session;	/* a reference of the ticket's own */
	uint64_t expires_s;	/* wall clock */
	bool single_use;	/* TLS 1.3 */
	unsigned int refs;	/* atomic */
};

/*
 * Wraps a session that OpenSSL gave (its reference is taken on success
 * only). Life is min(server's hint, 7 days) from now_s. -KTC_E_UNSUPPORTED if
 * it cannot be resumed, -ENOMEM.
 */
int ticket_new(SSL_SESSION *take_session, uint64_t now_s,
	       struct ticket **out);
struct ticket *ticket_get(struct ticket *ticket);
void ticket_put(struct ticket *ticket);		/* takes NULL */
bool ticket_is_fresh(const struct ticket *ticket, uint64_t now_s);

#endif /* KTC_TICKET_H */
