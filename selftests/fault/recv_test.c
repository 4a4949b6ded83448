// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: receiving, with every call failing in turn; with plenty of
 * buffers, with few, and with a pause.
 */
#include "sweep.h"

#include "kselftest_harness.h"

#define BYTES 150000

static const struct peer_step script[] = {
	{ .op = PEER_HANDSHAKE },
	{ .op = PEER_BARRIER },
	{ .op = PEER_SEND, .a = BYTES },
	{ .op = PEER_CLOSE_NOTIFY },
	{ .op = PEER_DISCARD },
	{ 0 },
};

FIXTURE(recv)
{
	struct sweep s;
};

FIXTURE_VARIANT(recv)
{
	enum ktc_policy policy;
};

FIXTURE_VARIANT_ADD(recv, user)
{
	.policy = KTC_POLICY_NEVER,
};

FIXTURE_VARIANT_ADD(recv, kernel)
{
	.policy = KTC_POLICY_ALWAYS,
};

FIXTURE_SETUP(recv)
{
	if (variant->policy == KTC_POLICY_ALWAYS && !sweep_has_ktls())
		SKIP(return, "this kernel has no kTLS");
	ASSERT_EQ(0, sweep_init(&self->s, KTC_TLS1_3, variant->policy));
	self->s.peer_opts.steps = script;
	self->s.calls_min = 5;
}

FIXTURE_TEARDOWN(recv)
{
	sweep_fini(&self->s);
}

static bool open_and_arm(struct sweep *s)
{
	if (!sweep_open(s))
		return false;
	peer_go(s->peer);
	return true;
}

static bool until_eof(struct sweep *s)
{
	return open_and_arm(s) && SWEEP_UNTIL(s, s->c.eof) &&
	       s->c.received == BYTES && sweep_close(s);
}

TEST_F(recv, until_eof)
{
	SWEEP(&self->s, until_eof);
}

TEST_F(recv, with_two_buffers)
{
	self->s.loop_opts.buffers = 2;
	SWEEP(&self->s, until_eof);
}

static bool with_a_pause(struct sweep *s)
{
	if (!open_and_arm(s) || !SWEEP_UNTIL(s, s->c.received) ||
	    !sweep_call(s, ktc_conn_recv_pause(s->c.conn)) ||
	    !sweep_call(s, ktc_conn_recv_resume(s->c.conn)))
		return false;
	return SWEEP_UNTIL(s, s->c.eof) && s->c.received == BYTES &&
	       sweep_close(s);
}

TEST_F(recv, with_a_pause)
{
	SWEEP(&self->s, with_a_pause);
}

/* The loop goes while events and buffers are out. */
static bool left_unread(struct sweep *s)
{
	struct ktc_event ev;

	if (!open_and_arm(s))
		return false;
	s->conns = 0;	/* the peer does not get to its end */
	if (ktc_loop_events(s->d.loop, &ev, 1, SWEEP_WAIT_MS) != 1)
		return sweep_wrong(s, "hangs");
	return true;
}

TEST_F(recv, left_unread_when_the_loop_goes)
{
	self->s.calls_min = 2;
	SWEEP(&self->s, left_unread);
}

TEST_HARNESS_MAIN
