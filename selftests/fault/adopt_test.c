// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: a connection that is detached and adopted, with every call
 * failing in turn. What fails leaves the descriptor with who had it, in a
 * state in which it can still be adopted.
 */
#include "sweep.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop.h"

#include "kselftest_harness.h"

#define PIECE 1000

static const struct peer_step script[] = {
	{ .op = PEER_HANDSHAKE },
	{ .op = PEER_SEND, .a = PIECE },
	{ .op = PEER_RECV, .a = 2 * PIECE },
	{ .op = PEER_SEND, .a = PIECE },
	{ .op = PEER_DISCARD },
	{ 0 },
};

FIXTURE(adopt)
{
	struct sweep s;
};

FIXTURE_VARIANT(adopt)
{
	uint16_t version;
};

FIXTURE_VARIANT_ADD(adopt, tls1_3)
{
	.version = KTC_TLS1_3,
};

FIXTURE_VARIANT_ADD(adopt, tls1_2)
{
	.version = KTC_TLS1_2,
};

FIXTURE_SETUP(adopt)
{
	if (!sweep_has_ktls())
		SKIP(return, "this kernel has no kTLS");
	ASSERT_EQ(0, sweep_init(&self->s, variant->version,
				KTC_POLICY_ALWAYS));
	self->s.peer_opts.steps = script;
	/* something that is allocated goes with it */
	self->s.peer_opts.alpn = "second";
	self->s.client_opts.alpn = "first,second";
}

FIXTURE_TEARDOWN(adopt)
{
	sweep_fini(&self->s);
}

/* Until it is out. False: it has ended instead, which is told. */
static bool detached(struct sweep *s)
{
	if (!sweep_call(s, ktc_conn_detach(s->c.conn)))
		return false;
	while (!s->c.closed)
		if (!sweep_step(s))
			return false;
	if (!s->c.detached)
		return false;
	fault_disown_fd(s->c.fd);
	return true;
}

/* The last words: with a connection that works. */
static bool goes_on(struct sweep *s)
{
	unsigned int before = s->sends;

	return sweep_send(s, PIECE, PIECE) &&
	       SWEEP_UNTIL(s, s->c.received == 2 * PIECE &&
			   s->c.sent > before) &&
	       sweep_close(s);
}

static bool open_with_data(struct sweep *s)
{
	if (!sweep_setup(s) || !sweep_connect(s) || !sweep_until_open(s) ||
	    !sweep_send(s, 0, PIECE) ||
	    !SWEEP_UNTIL(s, s->c.received == PIECE && s->c.sent))
		return sweep_wrong(s, "does not open: %s", s->c.error.text);
	return true;
}

/* The taking out fails: the connection ends with its error. */
static bool taken_out(struct sweep *s)
{
	if (!open_with_data(s))
		return false;
	sweep_arm(s);
	if (!detached(s)) {
		s->conns = 0;
		return false;
	}
	if (!sweep_call(s, drive_adopt(&s->d, &s->c, 0))) {
		(void)close(s->c.fd);
		s->conns = 0;
		return false;
	}
	return goes_on(s);
}

TEST_F(adopt, taken_out)
{
	self->s.calls_min = 3;
	SWEEP(&self->s, taken_out);
}

/* The adopting fails: nothing has happened, and it can be done again. */
static bool adopted(struct sweep *s)
{
	int err;

	if (!open_with_data(s) || !detached(s))
		return sweep_wrong(s, "is not taken out");
	sweep_arm(s);
	err = drive_adopt(&s->d, &s->c, 0);
	if (!err)
		return goes_on(s);
	if (s->d.loop->nr_conns)
		return sweep_wrong(s, "the loop has it all the same");
	if (!sweep_call(s, err) && s->mode == FAULT_ONCE) {
		err = drive_adopt(&s->d, &s->c, 0);
		if (err)
			return sweep_wrong(s, "not even then: %d", err);
		return goes_on(s) && false;
	}
	(void)close(s->c.fd); /* it is ours */
	s->conns = 0;
	return false;
}

TEST_F(adopt, adopted)
{
	self->s.calls_min = 6;
	SWEEP(&self->s, adopted);
}

/* ------------------------------------------------------- out of a relay */

#define BYTES 50000

static const struct peer_step relay_script[] = {
	{ .op = PEER_HANDSHAKE },
	{ .op = PEER_SEND, .a = BYTES },
	{ .op = PEER_RECV, .a = BYTES },
	{ .op = PEER_CLOSE_NOTIFY },
	{ .op = PEER_DISCARD },
	{ 0 },
};

/* So much, and nothing but the pattern, has come out at the far end. */
static bool far_has(struct sweep *s, int far, size_t *got, size_t most)
{
	uint8_t buf[4096];
	ssize_t n;

	while ((n = recv(far, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		if (peer_pattern_check(buf, *got, n) != (size_t)n)
			return sweep_wrong(s, "bytes are not those sent");
		*got += n;
	}
	return *got >= most;
}

/* Until it has left, ended or stayed. */
static bool has_left(struct sweep *s)
{
	while (!s->c.closed && !s->c.stays &&
	       (!s->c.relayed || s->c.relay_end == KTC_END_STOPPED))
		if (!sweep_step(s))
			return false;
	if (s->c.detached && (s->c.relays != 1 || s->c.relay_err ||
			      s->c.relay_end != KTC_END_STOPPED))
		return sweep_wrong(s, "RELAYED says %d, %d", s->c.relay_end,
				   s->c.relay_err);
	if (s->c.detached && s->c.stays)
		return sweep_wrong(s, "has left, and stayed");
	if (s->c.stays && !fault_fired())
		return sweep_wrong(s, "stays by itself: %d", s->c.stay_err);
	return true;
}

/* For a fault of the plain socket's nobody else is to blame. */
static bool ended_by_itself(struct sweep *s)
{
	s->conns = 0; /* the peer does not get to its end */
	if (s->c.closed || s->c.relay_end != KTC_END_PLAIN)
		return false;
	if (!fault_fired())
		return sweep_wrong(s, "failed by itself: %d", s->c.relay_err);
	return sweep_close(s);
}

/* The rest, by whoever has it now, to the end. */
static bool relays_to_its_end(struct sweep *s, const int fds[2], size_t got)
{
	if (send(fds[1], s->pattern + BYTES / 2, BYTES - BYTES / 2,
		 MSG_NOSIGNAL) != BYTES - BYTES / 2 ||
	    shutdown(fds[1], SHUT_WR))
		return sweep_wrong(s, "the far end cannot send");
	while (!s->c.relayed && !s->c.closed)
		if (!sweep_step(s))
			return false;
	if (s->c.relay_end != KTC_END_DONE)
		return ended_by_itself(s);
	if (!far_has(s, fds[1], &got, BYTES))
		return sweep_wrong(s, "%zu bytes have come", got);
	return sweep_close(s);
}

static bool leave_and_relay_on(struct sweep *s, const int fds[2])
{
	size_t got;

	if (send(fds[1], s->pattern, BYTES / 2, MSG_NOSIGNAL) != BYTES / 2 ||
	    !sweep_setup(s) || !sweep_connect(s) || !sweep_until_open(s) ||
	    ktc_relay(s->c.conn, fds[0], KTC_RELAY_LOOP))
		return sweep_wrong(s, "does not begin: %s", s->c.error.text);
	got = s->c.received; /* before there was a relay */
	sweep_arm(s);
	if (!sweep_call(s, ktc_conn_detach(s->c.conn)) || !has_left(s))
		return false;
	if (s->c.detached) {
		fault_disown_fd(s->c.fd);
		if (!sweep_call(s, drive_adopt(&s->d, &s->c,
					       KTC_CONN_RECV_PAUSED))) {
			(void)close(s->c.fd);
			return false;
		}
		if (!sweep_call(s, ktc_relay(s->c.conn, fds[0],
					     KTC_RELAY_LOOP)))
			return false;
	} else if (s->c.closed || s->c.relayed) {
		return ended_by_itself(s);
	}
	if (!far_has(s, fds[1], &got, 0))
		return false;
	return relays_to_its_end(s, fds, got);
}

static bool relayed(struct sweep *s)
{
	int fds[2];
	bool done;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return sweep_wrong(s, "no socket pair");
	done = leave_and_relay_on(s, fds);
	if (!done)
		s->conns = 0; /* the peer does not get to its end */
	(void)close(fds[0]);
	(void)close(fds[1]);
	return done;
}

TEST_F(adopt, relayed)
{
	self->s.peer_opts.steps = relay_script;
	self->s.calls_min = 8;
	SWEEP(&self->s, relayed);
}

/* By the move to the kernel plane first, which can be refused. */
TEST_F(adopt, relayed_from_the_user_plane)
{
	self->s.client_opts.policy = KTC_POLICY_AUTO;
	self->s.peer_opts.steps = relay_script;
	self->s.calls_min = 8;
	SWEEP(&self->s, relayed);
}

TEST_HARNESS_MAIN
