// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: connections with a budget of one full handshake at a time, with
 * every call failing in turn. However a connection ends, the place it had is
 * free afterwards.
 */
#include "sweep.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "kselftest_harness.h"

static const struct peer_step script[] = {
	{ .op = PEER_HANDSHAKE },
	{ .op = PEER_DISCARD },
	{ 0 },
};

static const struct peer_step at_a_barrier[] = {
	{ .op = PEER_BARRIER },
	{ .op = PEER_HANDSHAKE },
	{ .op = PEER_DISCARD },
	{ 0 },
};

FIXTURE(budget)
{
	struct sweep s;
};

FIXTURE_SETUP(budget)
{
	ASSERT_EQ(0, sweep_init(&self->s, KTC_TLS1_3, KTC_POLICY_NEVER));
	self->s.peer_opts.steps = script;
	self->s.client_opts.full_at_once = 1;
	self->s.conn_opts.server_name = "localhost";
	self->s.conn_opts.scope = "origin";
	self->s.calls_min = 10;
}

FIXTURE_TEARDOWN(budget)
{
	sweep_fini(&self->s);
}

/* Another one with the same identity, whatever way the first went. */
static int connect_another(struct sweep *s, struct drive_conn *c)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(peer_port(s->peer)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct ktc_conn_opts opts = s->conn_opts;

	opts.host = NULL;
	opts.addr = (const struct sockaddr *)&addr;
	opts.addr_len = sizeof(addr);
	opts.flags = KTC_CONN_NO_RESUME;
	return drive_connect(&s->d, c, &opts);
}

static bool place_is_free(struct sweep *s)
{
	struct ktc_client_stats stats = { .size = sizeof(stats) };
	struct drive_conn next = { .conn = NULL };

	if (connect_another(s, &next))
		return true;	/* its own calls fail by now */
	ktc_conn_abort(next.conn);
	if (!DRIVE_UNTIL(&s->d, next.closed))
		return sweep_wrong(s, "an aborted connection does not end");
	if (ktc_client_stats(s->d.client, &stats))
		return sweep_wrong(s, "no statistics");
	if (stats.full_waits)
		return sweep_wrong(s, "the place is taken");
	return true;
}

static bool from_nothing(struct sweep *s)
{
	bool done;

	sweep_arm(s);
	if (!sweep_setup(s))
		return false;
	done = sweep_connect(s) && sweep_until_open(s) && sweep_close(s);
	return place_is_free(s) && done;
}

TEST_F(budget, is_whole_after_a_connection_by_address)
{
	SWEEP(&self->s, from_nothing);
}

TEST_F(budget, is_whole_after_a_connection_by_name)
{
	self->s.conn_opts.host = "localhost";
	SWEEP(&self->s, from_nothing);
}

/* The second waits until the first goes; the peer stops at both. */
static bool in_turn(struct sweep *s)
{
	struct drive_conn first = { .conn = NULL };
	bool done;

	sweep_arm(s);
	if (!sweep_setup(s) || !sweep_call(s, connect_another(s, &first)))
		return false;
	done = sweep_connect(s);
	if (!first.closed)
		ktc_conn_abort(first.conn);
	peer_go(s->peer);
	peer_go(s->peer);
	done = done && sweep_until_open(s) && sweep_close(s);
	/* the peer's first connection is the aborted one */
	s->conns = 0;
	if (!DRIVE_UNTIL(&s->d, first.closed))
		return sweep_wrong(s, "an aborted connection does not end");
	return done;
}

TEST_F(budget, lets_the_next_one_go_by_address)
{
	self->s.peer_opts.steps = at_a_barrier;
	SWEEP(&self->s, in_turn);
}

TEST_F(budget, lets_the_next_one_go_by_name)
{
	self->s.peer_opts.steps = at_a_barrier;
	self->s.conn_opts.host = "localhost";
	SWEEP(&self->s, in_turn);
}

/* Connections that wait when the loop goes. */
static bool left_waiting(struct sweep *s)
{
	struct drive_conn first = { .conn = NULL };

	if (!sweep_setup(s))
		return false;
	sweep_arm(s);
	if (!sweep_call(s, connect_another(s, &first)) || !sweep_connect(s))
		return false;
	s->conns = 0;
	return true;
}

TEST_F(budget, is_no_hindrance_when_the_loop_goes)
{
	self->s.peer_opts.steps = at_a_barrier;
	self->s.calls_min = 2;
	SWEEP(&self->s, left_waiting);
}

TEST_HARNESS_MAIN
