// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: a relay to a unix socket, both ways and both ends, with every
 * call failing in turn. However it goes, RELAYED comes once and before CLOSED,
 * and nothing is held afterwards.
 */
#include "sweep.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest_harness.h"

#define BYTES 50000

static const struct peer_step script[] = {
	{ .op = PEER_HANDSHAKE },
	{ .op = PEER_SEND, .a = BYTES },
	{ .op = PEER_RECV, .a = BYTES },
	{ .op = PEER_CLOSE_NOTIFY },
	{ .op = PEER_DISCARD },
	{ 0 },
};

FIXTURE(relay)
{
	struct sweep s;
};

FIXTURE_VARIANT(relay)
{
	enum ktc_policy policy;
	bool module;
};

FIXTURE_VARIANT_ADD(relay, user)
{
	.policy = KTC_POLICY_NEVER,
};

FIXTURE_VARIANT_ADD(relay, kernel)
{
	.policy = KTC_POLICY_ALWAYS,
};

FIXTURE_VARIANT_ADD(relay, module)
{
	.policy = KTC_POLICY_ALWAYS,
	.module = true,
};

static uint32_t relay_flags;

FIXTURE_SETUP(relay)
{
	if (variant->policy == KTC_POLICY_ALWAYS && !sweep_has_ktls())
		SKIP(return, "this kernel has no kTLS");
	if (variant->module && access("/dev/ktlsclient", R_OK | W_OK))
		SKIP(return, "ktlsclient.ko is not loaded");
	ASSERT_EQ(0, sweep_init(&self->s, KTC_TLS1_3, variant->policy));
	self->s.peer_opts.steps = script;
	self->s.calls_min = 8;
	relay_flags = variant->module ? 0 : KTC_RELAY_LOOP;
}

FIXTURE_TEARDOWN(relay)
{
	sweep_fini(&self->s);
}

/* What came out at the far end is what the event says, and the pattern. */
static bool far_is_right(struct sweep *s, int far, uint64_t before)
{
	static uint8_t buf[2 * BYTES];
	size_t got = 0;
	ssize_t n;

	while ((n = recv(far, buf + got, sizeof(buf) - got, MSG_DONTWAIT)) > 0)
		got += n;
	/* a send that a fault called failed has been made all the same */
	if (before + got < s->c.moved[KTC_RX])
		return sweep_wrong(s, "%zu bytes, %llu told", got,
				   (unsigned long long)s->c.moved[KTC_RX]);
	if (peer_pattern_check(buf, before, got) != got)
		return sweep_wrong(s, "bytes are not those sent");
	return true;
}

static bool run(struct sweep *s, const int fds[2])
{
	uint64_t before;

	if (!sweep_open(s))
		return false;
	before = s->c.received;
	if (!sweep_call(s, ktc_relay(s->c.conn, fds[0], relay_flags))) {
		s->conns = 0; /* the peer does not get to its end */
		return false;
	}
	while (!s->c.relayed && !s->c.closed)
		if (!sweep_step(s))
			return false;
	if (s->c.relays != 1)
		return sweep_wrong(s, "RELAYED %u times", s->c.relays);
	if (!far_is_right(s, fds[1], before))
		return false;
	if (s->c.closed) /* without an error: our last word met nobody */
		return !s->c.err && s->c.relay_end == KTC_END_DONE;
	switch (s->c.relay_end) {
	case KTC_END_DONE:
		if (before + s->c.moved[KTC_RX] != BYTES ||
		    s->c.moved[KTC_TX] != BYTES)
			return sweep_wrong(s, "bytes are missing");
		break;
	case KTC_END_PLAIN:
		if (!fault_fired())
			return sweep_wrong(s, "failed by itself: %d",
					   s->c.relay_err);
		s->conns = 0;
		break;
	case KTC_END_TLS:
	case KTC_END_TRUNCATED:
		break; /* CLOSED says why */
	default:
		return sweep_wrong(s, "end %d", s->c.relay_end);
	}
	return sweep_close(s);
}

static bool both_ways(struct sweep *s)
{
	int fds[2];
	bool done;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return sweep_wrong(s, "no socket pair");
	done = send(fds[1], s->pattern, BYTES, MSG_NOSIGNAL) == BYTES &&
	       !shutdown(fds[1], SHUT_WR) && run(s, fds);
	(void)close(fds[0]);
	(void)close(fds[1]);
	return done;
}

TEST_F(relay, both_ways)
{
	SWEEP(&self->s, both_ways);
}

TEST_HARNESS_MAIN
