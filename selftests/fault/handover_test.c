// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: the way to the kernel plane with every call failing in turn,
 * at once after the handshake and in mid-life, by calls and by one chain in
 * the ring. What the kernel refuses leaves the connection on the user plane,
 * with the reason; a refused TLS_RX ends it.
 */
#include "sweep.h"

#include "kselftest_harness.h"

#define PIECE 1000

static const struct peer_step script[] = {
	{ .op = PEER_HANDSHAKE },
	{ .op = PEER_ECHO },
	{ 0 },
};

FIXTURE(handover)
{
	struct sweep s;
};

FIXTURE_VARIANT(handover)
{
	uint16_t version;
	bool chain;
};

FIXTURE_VARIANT_ADD(handover, tls1_3_calls)
{
	.version = KTC_TLS1_3,
};

FIXTURE_VARIANT_ADD(handover, tls1_3_chain)
{
	.version = KTC_TLS1_3,
	.chain = true,
};

FIXTURE_VARIANT_ADD(handover, tls1_2_calls)
{
	.version = KTC_TLS1_2,
};

FIXTURE_VARIANT_ADD(handover, tls1_2_chain)
{
	.version = KTC_TLS1_2,
	.chain = true,
};

FIXTURE_SETUP(handover)
{
	if (!variant->chain)
		ASSERT_EQ(0, sweep_without_chain());
	if (!sweep_has_ktls())
		SKIP(return, "this kernel has no kTLS");
	if (variant->chain && !sweep_has_chain())
		SKIP(return, "this ring cannot set socket options");
	ASSERT_EQ(0, sweep_init(&self->s, variant->version,
				KTC_POLICY_ALWAYS));
	self->s.peer_opts.steps = script;
	self->s.calls_min = 15;
}

FIXTURE_TEARDOWN(handover)
{
	sweep_fini(&self->s);
}

/* The plane is the kernel's in both directions, or there is a reason. */
static bool plane_explained(struct sweep *s)
{
	const struct ktc_conn_info *info = &s->c.info;
	enum ktc_reason why;
	bool kernel, reason;

	drive_info(&s->c);
	kernel = info->plane[KTC_TX] == KTC_PLANE_KERNEL;
	if (info->plane[KTC_RX] != info->plane[KTC_TX])
		return sweep_wrong(s, "one direction here, one there");
	why = info->why_not_kernel[KTC_TX];
	reason = why != KTC_WHY_NOTHING;
	if (kernel == reason)
		return sweep_wrong(s, "plane %u, because %s",
				   info->plane[KTC_TX], ktc_reason_str(why));
	if (!kernel && !fault_fired())
		return sweep_wrong(s, "not on the kernel plane: %s",
				   ktc_reason_str(why));
	return true;
}

static bool echo(struct sweep *s)
{
	uint64_t until = s->c.received + PIECE;

	return sweep_send(s, s->c.received, PIECE) &&
	       SWEEP_UNTIL(s, s->c.received == until);
}

static bool at_once(struct sweep *s)
{
	if (!sweep_setup(s))
		return false;
	sweep_arm(s);
	return sweep_connect(s) && sweep_until_open(s) && plane_explained(s) &&
	       echo(s) && sweep_close(s);
}

TEST_F(handover, at_once)
{
	SWEEP(&self->s, at_once);
}

static bool in_mid_life(struct sweep *s)
{
	if (!sweep_setup(s) || !sweep_connect(s) || !sweep_until_open(s) ||
	    !echo(s))
		return sweep_wrong(s, "does not open: %s", s->c.error.text);
	sweep_arm(s);
	if (!sweep_call(s, ktc_conn_offload(s->c.conn)) || !echo(s) ||
	    !plane_explained(s))
		return false;
	return echo(s) && sweep_close(s);
}

TEST_F(handover, in_mid_life)
{
	self->s.client_opts.policy = KTC_POLICY_AUTO;
	self->s.calls_min = 10;
	SWEEP(&self->s, in_mid_life);
}

TEST_HARNESS_MAIN
