// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: a ClientHello that found no room in a caller's full ring has
 * not gone out. When its connection ends then, no byte of it is sent, and the
 * ticket in it is back for the next.
 */
#include <ktlsclient.h>

#include <errno.h>
#include <liburing.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client.h"
#include "inventory.h"
#include "pair.h"

#include "kselftest_harness.h"

#define ENTRIES 8

static bool full;	/* the kernel takes no entry */

/* In place of liburing's, whose object is a shared one. */
int io_uring_submit(struct io_uring *ring)
{
	unsigned int n = ring->sq.sqe_tail - ring->sq.sqe_head;
	unsigned int i, tail;
	long ret;

	if (full)
		return -EAGAIN;
	tail = *ring->sq.ktail;
	for (i = 0; i < n; i++)
		ring->sq.array[tail++ & *ring->sq.kring_mask] =
			ring->sq.sqe_head++ & *ring->sq.kring_mask;
	__atomic_store_n(ring->sq.ktail, tail, __ATOMIC_RELEASE);
	ret = syscall(__NR_io_uring_enter, ring->ring_fd, n, 0, 0, NULL, 0);
	return ret < 0 ? -errno : (int)ret;
}

FIXTURE(hello)
{
	struct ktc_client *client;
	struct ktc_loop *loop;
	struct io_uring ring;
	struct origin origin;
	int peer;		/* the server's end */
	int fd;			/* ours */
};

FIXTURE_SETUP(hello)
{
	const struct ktc_client_opts client_opts = {
		.size = sizeof(client_opts),
		.flags = KTC_CLIENT_INSECURE_NO_VERIFY,
		.policy = KTC_POLICY_NEVER,
	};
	struct ktc_loop_opts loop_opts = {
		.size = sizeof(loop_opts),
		.buffers = ENTRIES,
		.buf_group = 7,
	};
	int fds[2];

	if (io_uring_queue_init(ENTRIES, &self->ring, 0))
		SKIP(return, "no io_uring");
	loop_opts.ring = &self->ring;
	ASSERT_EQ(0, ktc_client_new(&client_opts, &self->client));
	ASSERT_EQ(0, ktc_loop_new(&loop_opts, &self->loop));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	self->fd = fds[0];
	self->peer = fds[1];
}

FIXTURE_TEARDOWN(hello)
{
	if (!self->loop)
		return;
	ktc_loop_free(self->loop);
	ktc_client_put(self->client);
	io_uring_queue_exit(&self->ring);
	close(self->peer);
}

/* Turns the host's loop until the connection's last event. */
static int until_closed(struct io_uring *ring, struct ktc_loop *loop)
{
	struct io_uring_cqe *cqe;
	struct ktc_event ev;
	int turn, err;

	for (turn = 0; turn < 1000; turn++) {
		if (ktc_loop_events(loop, &ev, 1, 0) == 1) {
			const bool closed = ev.type == KTC_EV_CLOSED;

			err = ev.err;
			ktc_event_release(loop, &ev);
			if (closed)
				return err;
		}
		while (!io_uring_peek_cqe(ring, &cqe)) {
			(void)ktc_loop_handle_cqe(loop, cqe->user_data,
						  cqe->res, cqe->flags);
			io_uring_cqe_seen(ring, cqe);
		}
	}
	return 1;
}

TEST_F(hello, that_found_no_room_is_not_sent_and_its_ticket_is_back)
{
	const struct ktc_conn_opts opts = {
		.size = sizeof(opts),
		.fd = self->fd,
		.server_name = "a.test",
		.scope = "here",
	};
	struct ktc_client_stats stats = { .size = sizeof(stats) };
	struct ktc_conn *conn;
	uint8_t byte;

	ASSERT_EQ(0, origin_init(&self->origin, &self->client->config, &opts,
				 NULL, 0));
	ASSERT_TRUE(pair_give13(self->client, self->origin.id, "t"));
	while (io_uring_sq_space_left(&self->ring))
		io_uring_prep_nop(io_uring_get_sqe(&self->ring));
	full = true;
	ASSERT_EQ(0, ktc_connect(self->loop, self->client, &opts, &conn));
	ktc_conn_abort(conn);
	/* nothing, or the end of what was nothing */
	EXPECT_GE(0, recv(self->peer, &byte, 1, MSG_DONTWAIT));
	full = false;
	EXPECT_EQ(-KTC_E_CANCELED, until_closed(&self->ring, self->loop));
	ASSERT_EQ(0, ktc_client_stats(self->client, &stats));
	EXPECT_EQ(1, stats.hits);
	EXPECT_EQ(0, stats.spent);
	EXPECT_EQ(1, stats.putbacks);
	EXPECT_EQ(1, stats.sessions);
	origin_fini(&self->origin);
}

TEST_HARNESS_MAIN
