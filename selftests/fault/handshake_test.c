// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: the handshake, full and resumed, with every call failing in
 * turn. A ticket that was reserved is put back, or spent; it is never offered
 * twice.
 */
#include "sweep.h"

#include "kselftest_harness.h"

static const struct peer_step script[] = {
	{ .op = PEER_HANDSHAKE },
	{ .op = PEER_SEND, .a = 100 },
	{ .op = PEER_DISCARD },
	{ 0 },
};

FIXTURE(handshake)
{
	struct sweep s;
};

FIXTURE_VARIANT(handshake)
{
	uint16_t version;
};

FIXTURE_VARIANT_ADD(handshake, tls1_3)
{
	.version = KTC_TLS1_3,
};

FIXTURE_VARIANT_ADD(handshake, tls1_2)
{
	.version = KTC_TLS1_2,
};

FIXTURE_SETUP(handshake)
{
	ASSERT_EQ(0, sweep_init(&self->s, variant->version, KTC_POLICY_NEVER));
	self->s.peer_opts.steps = script;
	self->s.calls_min = 10;
}

FIXTURE_TEARDOWN(handshake)
{
	sweep_fini(&self->s);
}

/* Open, one piece of data (the tickets come before it), closed. */
static bool once(struct sweep *s)
{
	return sweep_connect(s) && sweep_until_open(s) &&
	       SWEEP_UNTIL(s, s->c.received == 100) && sweep_close(s);
}

static bool full(struct sweep *s)
{
	if (!sweep_setup(s))
		return false;
	sweep_arm(s);
	if (!once(s))
		return false;
	if (s->c.info.resumed ||
	    s->c.info.why_not_resumed != KTC_WHY_NO_SESSION)
		return sweep_wrong(s, "resumed from nothing");
	return true;
}

TEST_F(handshake, full)
{
	SWEEP(&self->s, full);
}

TEST_F(handshake, full_with_a_client_certificate)
{
	char cert[CERTS_DIR_MAX + 16], key[CERTS_DIR_MAX + 16];

	(void)snprintf(cert, sizeof(cert), "%s/client.pem", self->s.dir);
	(void)snprintf(key, sizeof(key), "%s/client.key", self->s.dir);
	self->s.client_opts.cert_file = cert;
	self->s.client_opts.key_file = key;
	self->s.peer_opts.flags = PEER_WANT_CLIENT_CERT;
	SWEEP(&self->s, full);
}

/* Whatever came of it: no ticket is lost in between, none is used twice. */
static bool tickets_add_up(struct sweep *s)
{
	struct ktc_client_stats stats = { .size = sizeof(stats) };
	struct peer_totals totals;

	if (ktc_client_stats(s->d.client, &stats))
		return sweep_wrong(s, "no statistics");
	peer_totals(s->peer, &totals);
	if (s->peer_opts.version_max == KTC_TLS1_2)
		return true;	/* sessions are shared */
	if (stats.hits != stats.spent + stats.putbacks)
		return sweep_wrong(s, "%llu taken, %llu spent, %llu put back",
				   (unsigned long long)stats.hits,
				   (unsigned long long)stats.spent,
				   (unsigned long long)stats.putbacks);
	/* a send that is only said to have failed has told the peer */
	if (totals.psk_offered > stats.spent && !fault_hit(FAULT_CQE_SEND))
		return sweep_wrong(s, "%u offered, %llu spent",
				   totals.psk_offered,
				   (unsigned long long)stats.spent);
	return true;
}

static bool resumed(struct sweep *s)
{
	bool done;

	if (!sweep_setup(s) || !once(s))
		return sweep_wrong(s, "the first handshake fails");
	sweep_arm(s);
	done = once(s);
	if (!tickets_add_up(s))
		return false;
	if (done && !fault_fired() && !s->c.info.resumed)
		return sweep_wrong(s, "a full handshake");
	return done;
}

TEST_F(handshake, resumed)
{
	SWEEP(&self->s, resumed);
}

/* The ticket is back after a connection that did not come so far. */
static bool resumed_later(struct sweep *s)
{
	if (!sweep_setup(s) || !once(s))
		return sweep_wrong(s, "the first handshake fails");
	sweep_arm(s);
	(void)once(s);
	(void)fault_disarm();
	if (s->wrong[0])
		return false;
	/* the same client and loop go on as if nothing had been */
	s->err = 0;
	if (s->c.conn)
		return sweep_wrong(s, "has no end");
	if (!once(s))
		return sweep_wrong(s, "does not recover: %s", s->c.error.text);
	return tickets_add_up(s);
}

TEST_F(handshake, resumed_after_a_failure)
{
	SWEEP(&self->s, resumed_later);
}

TEST_HARNESS_MAIN
