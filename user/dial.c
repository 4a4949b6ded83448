// SPDX-License-Identifier: MIT
/*
 * From addresses to one TCP connection, in the manner of RFC 8305: the next
 * address is tried when the last attempt failed or has had its 250 ms, the
 * first that connects wins, the others are cancelled. A loser's descriptor is
 * closed when its completion has come; struct setup waits for that.
 *
 * With fast open a connect can end before anything was sent: the SYN waits for
 * the first bytes. Such an attempt would always win, so it is for the last
 * address, when nothing else is under way. An error of connecting is the first
 * send's then.
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

static unsigned int seconds(uint32_t ms)
{
	return (ms + 999) / 1000;
}

/* Hints, all of them: a refusal is no reason to stop. */
static void attempt_tune(struct ktc_conn *conn, unsigned int i, int fd)
{
	const struct config *config = &conn->client->config;
	struct setup *setup = conn->setup;
	int idle = seconds(config->keepalive_ms);
	int every = seconds(config->keepalive_ms / LIMIT_KEEPALIVE_PROBES);
	int probes = LIMIT_KEEPALIVE_PROBES;
	int one = 1;

	(void)sys->setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (idle) {
		(void)sys->setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle,
				      sizeof(idle));
		(void)sys->setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every,
				      sizeof(every));
		(void)sys->setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes,
				      sizeof(probes));
		(void)sys->setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one,
				      sizeof(one));
	}
	setup->attempts[i].fast_open =
		config->flags & KTC_CLIENT_FASTOPEN &&
		i + 1 == setup->addrs->count && !setup->active_attempts &&
		!sys->setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one,
				 sizeof(one));
}

bool dial_is_unanswered(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	/* if the kernel does not say, it is taken to be so */
	return sys->getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) ||
	       info.tcpi_state == TCP_SYN_SENT;
}

/* -errno: this address cannot be tried. */
static int attempt_start(struct ktc_conn *conn, unsigned int i)
{
	struct setup *setup = conn->setup;
	const struct resolve_addr *at = &setup->addrs->at[i];
	struct ring *ring = &conn->loop->ring;
	struct io_uring_sqe *sqe;
	int fd;

	fd = sys->socket(at->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	if (at->addr.ss_family != AF_UNIX)
		attempt_tune(conn, i, fd);
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
	bool fast_open;

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
	fast_open = setup->attempts[attempt].fast_open &&
		    dial_is_unanswered(fd);
	conn_connected(conn, fd, fast_open);
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
