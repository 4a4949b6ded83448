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

TEST_HARNESS_MAIN
