// SPDX-License-Identifier: MIT
/*
 * One resumable session: an SSL_SESSION with an end of life and a count of
 * references. Nothing but the count and the inventory's link changes after
 * ticket_new(), so any thread may hold one.
 */
#include "ticket.h"

#include <errno.h>

#include <ktlsclient.h>

#include "atomic.h"
#include "limit.h"
#include "mem.h"
#include "session.h"
#include "util.h"

/*
 * RFC 5077 section 3.3: a hint of 0 leaves a TLS 1.2 ticket's life
 * unspecified. Offering one that the server has forgotten costs nothing but
 * the bytes, as it falls back to a full handshake; two hours is what OpenSSL
 * takes for a session's life by itself.
 */
#define TLS12_UNSPECIFIED_S (2u * 3600u)

/* RFC 5246 appendix F.1.4: the upper limit suggested for session ids. */
#define TLS12_SESSION_ID_MAX_S (24u * 3600u)

/* Seconds, or 0 when the session must not be kept. */
static uint64_t life_of(const SSL_SESSION *session)
{
	unsigned long hint = SSL_SESSION_get_ticket_lifetime_hint(session);
	long timeout;

	if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION)
		/* RFC 8446 section 4.6.1: 0 says discard it, at once. */
		return MIN(hint, LIMIT_TICKET_LIFE_S);

	if (SSL_SESSION_has_ticket(session))
		return hint ? MIN(hint, LIMIT_TICKET_LIFE_S)
			    : TLS12_UNSPECIFIED_S;

	/* A session id comes without any word on how long it is kept. */
	timeout = SSL_SESSION_get_timeout(session);
	if (timeout <= 0)
		return 0;
	return MIN((unsigned long)timeout, TLS12_SESSION_ID_MAX_S);
}

int ticket_restore(SSL_SESSION *take_session, uint64_t expires_s,
		   struct ticket **out)
{
	const unsigned char *bytes;
	struct ticket *ticket;
	size_t len;

	/* RFC 8446 allows 64 KB; nobody needs them */
	SSL_SESSION_get0_ticket(take_session, &bytes, &len);
	if (!SSL_SESSION_is_resumable(take_session) ||
	    len > LIMIT_TICKET_BYTES)
		return -KTC_E_UNSUPPORTED;
	ticket = mem_zalloc(sizeof(*ticket));
	if (!ticket)
		return -ENOMEM;
	ticket->single_use = SSL_SESSION_get_protocol_version(take_session) >=
			     TLS1_3_VERSION;
	session_slim(&take_session);
	ticket->session = take_session;
	ticket->bytes = (uint32_t)(sizeof(*ticket) +
				   session_bytes(take_session));
	ticket->expires_s = expires_s;
	ticket->refs = 1;
	*out = ticket;
	return 0;
}

int ticket_new(SSL_SESSION *take_session, uint64_t now_s, struct ticket **out)
{
	uint64_t life_s = life_of(take_session);

	if (!life_s)
		return -KTC_E_UNSUPPORTED;
	return ticket_restore(take_session, now_s + life_s, out);
}

struct ticket *ticket_get(struct ticket *ticket)
{
	/*
	 * Relaxed: whoever takes a reference has one that keeps it alive, or
	 * is in an RCU section that began before the last one went.
	 */
	add_relaxed(&ticket->refs, 1);
	return ticket;
}

void ticket_put(struct ticket *ticket)
{
	/*
	 * Release: what this holder did with the ticket comes before its free.
	 * Acquire: the one who frees sees what all others did; it pairs with
	 * their releases here.
	 */
	if (!ticket || sub_acq_rel(&ticket->refs, 1) != 1)
		return;
	SSL_SESSION_free(ticket->session);
	mem_free(ticket);
}

static void put_deferred(struct rcu_head *head)
{
	rcu_deferred(head);
	ticket_put(container_of(head, struct ticket, rcu));
}

void ticket_put_later(struct ticket *ticket)
{
	rcu_defer(&ticket->rcu, put_deferred);
}

bool ticket_is_fresh(const struct ticket *ticket, uint64_t now_s)
{
	return now_s + LIMIT_TICKET_MARGIN_S < ticket->expires_s;
}
