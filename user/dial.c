// SPDX-License-Identifier: MIT
/*
 * From addresses to one TCP connection, in the manner of RFC 8305: the next
 * address is tried when the last attempt failed or has had its 250 ms, the
 * first that connects wins, the others are cancelled. A loser's descriptor is
 * closed when its completion has come; struct setup waits for that.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>

#include "conn.h"
#include "limit.h"
#include "sys.h"

/*
 * The addresses stay until nobody needs them: a connect that is not submitted
 * yet is still to be read by the kernel.
 */
static void attempt_ended(struct setup *setup, unsigned int i)
{
	setup->attempts[i].active = false;
	setup->active_attempts--;
}

static void attempt_close(struct setup *setup, unsigned int i)
{
	(void)sys->close(setup->attempts[i].fd); /* nothing is in it */
	setup->attempts[i].fd = -1;
	attempt_ended(setup, i);
}

/* -errno: this address cannot be tried. */
static int attempt_start(struct ktc_conn *conn, unsigned int i)
{
	struct setup *setup = conn->setup;
	const struct resolve_addr *at = &setup->addrs->at[i];
	struct ring *ring = &conn->loop->ring;
	struct io_uring_sqe *sqe;
	int one = 1;
	int fd;

	fd = sys->socket(at->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	if (at->addr.ss_family != AF_UNIX)
		/* a latency matter only: a refusal is no reason to stop */
		(void)sys->setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
				      sizeof(one));
	sqe = conn_sqe(conn);
	io_uring_prep_connect(sqe, fd, (const struct sockaddr *)&at->addr,
			      at->len);
	ring_tag(ring, sqe, RING_CONNECT, i, conn->slot);
	setup->attempts[i].fd = fd;
	setup->attempts[i].active = true;
	setup->active_attempts++;
	setup->attempt_at_us = conn->loop->now_us +
			       LIMIT_ATTEMPT_DELAY_MS * 1000ull;
	return 0;
}

bool dial_pump(struct ktc_conn *conn)
{
	struct setup *setup = conn->setup;
	int err;

	while (setup->next_attempt < setup->addrs->count &&
	       (!setup->active_attempts ||
		conn->loop->now_us >= setup->attempt_at_us)) {
		if (!ring_room(&conn->loop->ring, 1))
			return false;
		err = attempt_start(conn, setup->next_attempt++);
		if (err)
			setup->connect_err = err;
	}
	if (!setup->active_attempts)
		conn_fail(conn, setup->connect_err ? setup->connect_err :
						     -KTC_E_RESOLVE,
			  -setup->connect_err);
	return true;
}

void dial_done(struct ktc_conn *conn, unsigned int attempt, int res)
{
	struct setup *setup = conn->setup;
	int fd = setup->attempts[attempt].fd;

	if (res || conn->state != CONN_CONNECTING) {
		attempt_close(setup, attempt);
		if (conn->state != CONN_CONNECTING)
			return; /* a late one: another won, or all is over */
		setup->connect_err = res;
		setup->attempt_at_us = 0;
		return;
	}
	attempt_ended(setup, attempt);
	/* where there is no room they end by themselves */
	(void)dial_cancel(conn);
	conn_connected(conn, fd);
}

bool dial_cancel(struct ktc_conn *conn)
{
	struct setup *setup = conn->setup;
	struct ring *ring = &conn->loop->ring;
	struct io_uring_sqe *sqe;
	unsigned int i;

	for (i = 0; i < setup->next_attempt; i++) {
		if (!setup->attempts[i].active)
			continue;
		if (!ring_room(ring, 1))
			return false;
		sqe = conn_sqe(conn);
		io_uring_prep_cancel64(sqe,
				       ring_user_data(ring, RING_CONNECT, i,
						      conn->slot), 0);
		ring_tag(ring, sqe, RING_CANCEL, 0, conn->slot);
	}
	return true;
}

uint64_t dial_next_us(const struct ktc_conn *conn)
{
	const struct setup *setup = conn->setup;

	if (!setup->addrs || setup->next_attempt >= setup->addrs->count)
		return TIMER_NEVER;
	return setup->attempt_at_us;
}
