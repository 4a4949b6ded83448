// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: the end, with every call failing in turn: ours with bytes
 * still queued, the peer's, both at once, and none.
 */
#include "sweep.h"

#include "kselftest_harness.h"

#define BYTES 100000

static const struct peer_step script[] = {
	{ .op = PEER_HANDSHAKE },
	{ .op = PEER_RECV, .a = BYTES },
	{ .op = PEER_DISCARD },
	{ 0 },
};

static const struct peer_step peer_first[] = {
	{ .op = PEER_HANDSHAKE },
	{ .op = PEER_BARRIER },
	{ .op = PEER_CLOSE_NOTIFY },
	{ .op = PEER_DISCARD },
	{ 0 },
};

FIXTURE(close)
{
	struct sweep s;
};

FIXTURE_VARIANT(close)
{
	enum ktc_policy policy;
};

FIXTURE_VARIANT_ADD(close, user)
{
	.policy = KTC_POLICY_NEVER,
};

FIXTURE_VARIANT_ADD(close, kernel)
{
	.policy = KTC_POLICY_ALWAYS,
};

FIXTURE_SETUP(close)
{
	if (variant->policy == KTC_POLICY_ALWAYS && !sweep_has_ktls())
		SKIP(return, "this kernel has no kTLS");
	ASSERT_EQ(0, sweep_init(&self->s, KTC_TLS1_3, variant->policy));
	self->s.peer_opts.steps = script;
	self->s.calls_min = 5;
}

FIXTURE_TEARDOWN(close)
{
	sweep_fini(&self->s);
}

static bool with_bytes_queued(struct sweep *s)
{
	return sweep_open(s) && sweep_send(s, 0, BYTES / 2) &&
	       sweep_send(s, BYTES / 2, BYTES / 2) && sweep_close(s);
}

TEST_F(close, with_bytes_queued)
{
	self->s.peer_opts.rcvbuf = 4096;
	SWEEP(&self->s, with_bytes_queued);
}

static bool after_the_peer(struct sweep *s)
{
	if (!sweep_open(s))
		return false;
	peer_go(s->peer);
	return SWEEP_UNTIL(s, s->c.eof) && sweep_close(s);
}

TEST_F(close, after_the_peer)
{
	self->s.peer_opts.steps = peer_first;
	SWEEP(&self->s, after_the_peer);
}

static bool with_the_peer(struct sweep *s)
{
	if (!sweep_open(s))
		return false;
	peer_go(s->peer);
	return sweep_close(s);
}

TEST_F(close, at_the_same_time_as_the_peer)
{
	self->s.peer_opts.steps = peer_first;
	self->s.calls_min = 3;
	SWEEP(&self->s, with_the_peer);
}

static bool the_loop_goes(struct sweep *s)
{
	if (!sweep_open(s) || !sweep_send(s, 0, BYTES / 2))
		return false;
	s->conns = 0;	/* the peer does not get to its end */
	return sweep_call(s, ktc_conn_close(s->c.conn));
}

TEST_F(close, the_loop_goes_meanwhile)
{
	self->s.calls_min = 3;
	SWEEP(&self->s, the_loop_goes);
}

TEST_HARNESS_MAIN
