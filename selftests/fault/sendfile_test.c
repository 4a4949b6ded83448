// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: sending a file, with every call failing in turn; alone,
 * and between sends from memory.
 */
#include "sweep.h"

#include <fcntl.h>
#include <unistd.h>

#include "kselftest_harness.h"

#define FILE_BYTES 150000
#define PIECE 1000
#define BYTES (FILE_BYTES + 2 * PIECE)

static const struct peer_step script[] = {
	{ .op = PEER_HANDSHAKE },
	{ .op = PEER_RECV, .a = BYTES },
	{ .op = PEER_DISCARD },
	{ 0 },
};

static int file_fd = -1;	/* the pattern from PIECE on */

FIXTURE(sendfile)
{
	struct sweep s;
};

FIXTURE_VARIANT(sendfile)
{
	enum ktc_policy policy;
};

FIXTURE_VARIANT_ADD(sendfile, user)
{
	.policy = KTC_POLICY_NEVER,
};

FIXTURE_VARIANT_ADD(sendfile, kernel)
{
	.policy = KTC_POLICY_ALWAYS,
};

FIXTURE_SETUP(sendfile)
{
	char path[CERTS_DIR_MAX + 16];

	if (variant->policy == KTC_POLICY_ALWAYS && !sweep_has_ktls())
		SKIP(return, "this kernel has no kTLS");
	ASSERT_EQ(0, sweep_init(&self->s, KTC_TLS1_3, variant->policy));
	self->s.peer_opts.steps = script;
	self->s.calls_min = 5;
	(void)snprintf(path, sizeof(path), "%s/file", self->s.dir);
	file_fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ASSERT_LE(0, file_fd);
	ASSERT_EQ(0, unlink(path));
	ASSERT_EQ(FILE_BYTES, write(file_fd, self->s.pattern + PIECE,
				    FILE_BYTES));
}

FIXTURE_TEARDOWN(sendfile)
{
	sweep_fini(&self->s);
}

static bool send_file(struct sweep *s)
{
	if (!sweep_call(s, ktc_conn_sendfile(s->c.conn, file_fd, 0, FILE_BYTES,
					     0)))
		return false;
	s->sends++;
	return true;
}

static bool between_sends(struct sweep *s)
{
	return sweep_open(s) && sweep_send(s, 0, PIECE) && send_file(s) &&
	       sweep_send(s, PIECE + FILE_BYTES, PIECE) &&
	       SWEEP_UNTIL(s, s->c.sent == 3) && !s->c.sent_err &&
	       sweep_close(s);
}

TEST_F(sendfile, between_sends)
{
	SWEEP(&self->s, between_sends);
}

static bool then_aborted(struct sweep *s)
{
	if (!sweep_open(s) || !send_file(s))
		return false;
	ktc_conn_abort(s->c.conn);
	while (!s->c.closed)
		if (!sweep_step(s))
			return false;
	if (s->c.err != -KTC_E_CANCELED)
		return false;
	s->c.err = 0;
	s->conns = 0;	/* the peer has reason to complain */
	return true;
}

TEST_F(sendfile, then_aborted)
{
	self->s.calls_min = 3;
	SWEEP(&self->s, then_aborted);
}

TEST_HARNESS_MAIN
