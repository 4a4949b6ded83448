// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: taking the socket out, with every call failing in turn. Where
 * there is no kTLS the connection ends as unsupported.
 */
#include "sweep.h"

#include <errno.h>
#include <liburing.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop.h"

#include "kselftest_harness.h"

#define PIECE 1000

static const struct peer_step script[] = {
	{ .op = PEER_HANDSHAKE },
	{ .op = PEER_SEND, .a = PIECE },
	{ .op = PEER_RECV, .a = 3 * PIECE },
	{ .op = PEER_SEND, .a = PIECE },
	{ .op = PEER_DISCARD },
	{ 0 },
};

FIXTURE(detach)
{
	struct sweep s;
};

FIXTURE_VARIANT(detach)
{
	enum ktc_policy policy;
};

FIXTURE_VARIANT_ADD(detach, from_the_user_plane)
{
	.policy = KTC_POLICY_AUTO,
};

FIXTURE_VARIANT_ADD(detach, from_the_kernel_plane)
{
	.policy = KTC_POLICY_ALWAYS,
};

FIXTURE_SETUP(detach)
{
	bool ktls = sweep_has_ktls();

	if (variant->policy == KTC_POLICY_ALWAYS && !ktls)
		SKIP(return, "this kernel has no kTLS");
	ASSERT_EQ(0, sweep_init(&self->s, KTC_TLS1_3, variant->policy));
	self->s.peer_opts.steps = script;
	/* a ticket would stand between the caller and the data */
	self->s.peer_opts.tickets = PEER_NO_TICKETS;
	self->s.calls_min = 3;
}

FIXTURE_TEARDOWN(detach)
{
	sweep_fini(&self->s);
}

/* The descriptor is TLS in both directions. */
static bool plain_io(struct sweep *s, int fd)
{
	const struct timeval limit = { .tv_sec = SWEEP_WAIT_MS / 1000 };
	uint8_t buf[PIECE];

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)))
		return false;
	return write(fd, s->pattern + 2 * PIECE, PIECE) == PIECE &&
	       recv(fd, buf, PIECE, MSG_WAITALL) == PIECE &&
	       !memcmp(buf, s->pattern + PIECE, PIECE);
}

static bool taken_out(struct sweep *s)
{
	bool works;

	while (!s->c.closed)
		if (!sweep_step(s))
			return false;
	if (!s->c.detached)
		return false;
	fault_disown_fd(s->c.fd);
	works = plain_io(s, s->c.fd);
	(void)close(s->c.fd);	/* its end is seen by the peer */
	if (!works)
		return sweep_wrong(s, "the descriptor is of no use");
	return true;
}

/* The library must say so, and no error of its own may come of it. */
static bool refused(struct sweep *s)
{
	if (s->c.err != -KTC_E_UNSUPPORTED)
		return false;
	s->c.err = 0;
	s->conns = 0;	/* the peer does not get to its end */
	return true;
}

static bool with_sends_queued(struct sweep *s)
{
	bool out;

	if (!sweep_setup(s) || !sweep_connect(s) || !sweep_until_open(s) ||
	    !SWEEP_UNTIL(s, s->c.received == PIECE))
		return sweep_wrong(s, "does not open: %s", s->c.error.text);
	sweep_arm(s);
	if (!sweep_send(s, 0, PIECE) || !sweep_send(s, PIECE, PIECE) ||
	    !sweep_call(s, ktc_conn_detach(s->c.conn)))
		return false;
	out = taken_out(s);
	/* what refuses the kernel plane may be the failure, or the kernel */
	return out || refused(s);
}

TEST_F(detach, with_sends_queued)
{
	SWEEP(&self->s, with_sends_queued);
}

/* As a guest: completions are handled, and no event is taken for it. */
static bool turn(struct sweep *s, struct io_uring *ring)
{
	struct __kernel_timespec limit = { .tv_sec = SWEEP_WAIT_MS / 1000 };
	struct io_uring_cqe *cqe;
	int err;

	err = io_uring_submit_and_wait_timeout(ring, &cqe, 1, &limit, NULL);
	if (err == -ETIME)
		return sweep_wrong(s, "hangs");
	while (!io_uring_peek_cqe(ring, &cqe)) {
		const struct io_uring_cqe seen = *cqe;

		io_uring_cqe_seen(ring, cqe);
		(void)ktc_loop_handle_cqe(s->d.loop, seen.user_data, seen.res,
					  seen.flags); /* all are its own */
	}
	return true;
}

static bool turn_and_take(struct sweep *s, struct io_uring *ring)
{
	struct ktc_event ev;

	if (!turn(s, ring))
		return false;
	while (ktc_loop_events(s->d.loop, &ev, 1, 0) > 0)
		drive_event(s->d.loop, &ev);
	return true;
}

static bool last_event_waits(const struct ktc_loop *loop)
{
	const struct event_node *node;

	for (node = loop->events.head; node; node = node->next)
		if (node->type == KTC_EV_DETACHED ||
		    node->type == KTC_EV_CLOSED)
			return true;
	return false;
}

static bool detach_and_leave(struct sweep *s, struct io_uring *ring)
{
	if (!sweep_setup(s) || !sweep_connect(s))
		return sweep_wrong(s, "does not begin");
	while (s->c.received < PIECE)
		if (s->c.closed || !turn_and_take(s, ring))
			return sweep_wrong(s, "does not open: %s",
					   s->c.error.text);
	sweep_arm(s);
	if (!sweep_call(s, ktc_conn_detach(s->c.conn)))
		return false;
	while (!last_event_waits(s->d.loop))
		if (!turn(s, ring))
			return false;
	return true;
}

/* Nobody takes the event: the descriptor goes with the loop. */
static bool never_taken(struct sweep *s)
{
	struct io_uring ring;
	bool done;

	if (io_uring_queue_init(64, &ring, 0))
		return sweep_wrong(s, "no ring");
	s->loop_opts.ring = &ring;
	done = detach_and_leave(s, &ring);
	s->conns = 0;	/* the peer does not get to its end */
	ktc_loop_free(s->d.loop);
	s->d.loop = NULL;
	io_uring_queue_exit(&ring);
	return done;
}

TEST_F(detach, never_taken)
{
	self->s.calls_min = 2;
	SWEEP(&self->s, never_taken);
}

TEST_HARNESS_MAIN
