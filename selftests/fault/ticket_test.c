// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: tickets that come after the handshake, whole, split and two in
 * a record, with every call failing in turn. A ticket may be lost for want of
 * memory; the connection need not be.
 */
#include "sweep.h"

#include "kselftest_harness.h"

/*
 * The cut is where the second piece begins with a zero (a length's byte):
 * from Linux 6.14 on a first byte of 24 would be taken for a KeyUpdate.
 */
static const struct peer_step script[] = {
	{ .op = PEER_HANDSHAKE },
	{ .op = PEER_SEND, .a = 100 },
	{ .op = PEER_BARRIER },
	{ .op = PEER_TICKETS, .a = 1 },
	{ .op = PEER_TICKET_SPLIT, .a = 2, .b = 2 },
	{ .op = PEER_TICKETS_DOUBLED, .a = 2 },
	{ .op = PEER_SEND, .a = 100 },
	{ .op = PEER_DISCARD },
	{ 0 },
};

#define TICKETS 4

FIXTURE(ticket)
{
	struct sweep s;
};

FIXTURE_VARIANT(ticket)
{
	enum ktc_policy policy;
};

FIXTURE_VARIANT_ADD(ticket, user)
{
	.policy = KTC_POLICY_NEVER,
};

FIXTURE_VARIANT_ADD(ticket, kernel)
{
	.policy = KTC_POLICY_ALWAYS,
};

FIXTURE_SETUP(ticket)
{
	if (variant->policy == KTC_POLICY_ALWAYS && !sweep_has_ktls())
		SKIP(return, "this kernel has no kTLS");
	ASSERT_EQ(0, sweep_init(&self->s, KTC_TLS1_3, variant->policy));
	self->s.peer_opts.steps = script;
	self->s.calls_min = 5;
}

FIXTURE_TEARDOWN(ticket)
{
	sweep_fini(&self->s);
}

static bool received(struct sweep *s)
{
	struct ktc_client_stats stats = { .size = sizeof(stats) };

	if (!sweep_setup(s) || !sweep_connect(s) || !sweep_until_open(s) ||
	    !SWEEP_UNTIL(s, s->c.received == 100))
		return sweep_wrong(s, "does not open: %s", s->c.error.text);
	sweep_arm(s);
	peer_go(s->peer);
	if (!SWEEP_UNTIL(s, s->c.received == 200))
		return false;
	if (ktc_client_stats(s->d.client, &stats))
		return sweep_wrong(s, "no statistics");
	if (!fault_fired() && stats.sessions != TICKETS)
		return sweep_wrong(s, "%llu sessions in the inventory",
				   (unsigned long long)stats.sessions);
	return sweep_close(s);
}

TEST_F(ticket, received)
{
	self->s.peer_opts.tickets = PEER_NO_TICKETS;
	SWEEP(&self->s, received);
}

/* One more than the inventory takes: the oldest goes. */
static bool received_too_many(struct sweep *s)
{
	struct ktc_client_stats stats = { .size = sizeof(stats) };

	if (!sweep_setup(s))
		return false;
	sweep_arm(s);
	if (!sweep_connect(s) || !sweep_until_open(s))
		return false;
	peer_go(s->peer);
	if (!SWEEP_UNTIL(s, s->c.received == 200))
		return false;
	if (ktc_client_stats(s->d.client, &stats))
		return sweep_wrong(s, "no statistics");
	if (stats.sessions > 2)
		return sweep_wrong(s, "%llu sessions where 2 are allowed",
				   (unsigned long long)stats.sessions);
	return sweep_close(s);
}

TEST_F(ticket, more_than_the_inventory_takes)
{
	self->s.client_opts.tickets_per_identity = 2;
	SWEEP(&self->s, received_too_many);
}

TEST_HARNESS_MAIN
