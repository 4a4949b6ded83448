// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: sending, with every call failing in turn. Every send that was
 * accepted is told of once, with its error or without.
 */
#include "sweep.h"

#include "kselftest_harness.h"

#define PIECE 50000
#define PIECES 4

static const struct peer_step script[] = {
	{ .op = PEER_HANDSHAKE },
	{ .op = PEER_RECV, .a = PIECE * PIECES },
	{ .op = PEER_DISCARD },
	{ 0 },
};

FIXTURE(send)
{
	struct sweep s;
};

FIXTURE_VARIANT(send)
{
	enum ktc_policy policy;
};

FIXTURE_VARIANT_ADD(send, user)
{
	.policy = KTC_POLICY_NEVER,
};

FIXTURE_VARIANT_ADD(send, kernel)
{
	.policy = KTC_POLICY_ALWAYS,
};

FIXTURE_SETUP(send)
{
	if (variant->policy == KTC_POLICY_ALWAYS && !sweep_has_ktls())
		SKIP(return, "this kernel has no kTLS");
	ASSERT_EQ(0, sweep_init(&self->s, KTC_TLS1_3, variant->policy));
	self->s.peer_opts.steps = script;
	self->s.calls_min = 5;
}

FIXTURE_TEARDOWN(send)
{
	sweep_fini(&self->s);
}

static bool all_at_once(struct sweep *s)
{
	unsigned int i;

	if (!sweep_open(s))
		return false;
	for (i = 0; i < PIECES; i++)
		if (!sweep_send(s, i * PIECE, PIECE))
			return false;
	return SWEEP_UNTIL(s, s->c.sent == PIECES) && !s->c.sent_err &&
	       sweep_close(s);
}

TEST_F(send, all_at_once)
{
	SWEEP(&self->s, all_at_once);
}

static bool one_by_one(struct sweep *s)
{
	unsigned int i;

	if (!sweep_open(s))
		return false;
	for (i = 0; i < PIECES; i++)
		if (!sweep_send(s, i * PIECE, PIECE) ||
		    !SWEEP_UNTIL(s, s->c.sent == i + 1) || s->c.sent_err)
			return false;
	return sweep_close(s);
}

TEST_F(send, one_by_one)
{
	SWEEP(&self->s, one_by_one);
}

static bool then_aborted(struct sweep *s)
{
	if (!sweep_open(s) || !sweep_send(s, 0, PIECE) ||
	    !sweep_send(s, PIECE, PIECE))
		return false;
	ktc_conn_abort(s->c.conn);
	while (!s->c.closed)
		if (!sweep_step(s))
			return false;
	/* it is the caller's doing, unless something was wrong before */
	if (s->c.err != -KTC_E_CANCELED)
		return false;
	s->c.err = 0;
	s->conns = 0;	/* the peer has reason to complain */
	return true;
}

TEST_F(send, then_aborted)
{
	self->s.calls_min = 3;
	SWEEP(&self->s, then_aborted);
}

TEST_HARNESS_MAIN
