// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: from nothing to an open connection and back, with every call
 * failing in turn; by address, by name and on a descriptor of the caller's.
 */
#include "sweep.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest_harness.h"

static const struct peer_step script[] = {
	{ .op = PEER_HANDSHAKE },
	{ .op = PEER_DISCARD },
	{ 0 },
};

FIXTURE(connect)
{
	struct sweep s;
};

FIXTURE_SETUP(connect)
{
	ASSERT_EQ(0, sweep_init(&self->s, KTC_TLS1_3, KTC_POLICY_NEVER));
	self->s.peer_opts.steps = script;
	self->s.calls_min = 15;
}

FIXTURE_TEARDOWN(connect)
{
	sweep_fini(&self->s);
}

static bool from_nothing(struct sweep *s)
{
	sweep_arm(s);
	return sweep_setup(s) && sweep_connect(s) && sweep_until_open(s) &&
	       sweep_close(s);
}

TEST_F(connect, by_address)
{
	SWEEP(&self->s, from_nothing);
}

TEST_F(connect, by_name)
{
	self->s.conn_opts.host = "localhost";
	SWEEP(&self->s, from_nothing);
}

TEST_F(connect, by_a_name_that_is_an_address)
{
	self->s.conn_opts.host = "127.0.0.1";
	SWEEP(&self->s, from_nothing);
}

TEST_F(connect, with_alpn)
{
	self->s.peer_opts.alpn = "h2,http/1.1";
	self->s.conn_opts.alpn = "http/1.1";
	SWEEP(&self->s, from_nothing);
}

static int tcp_to(uint16_t port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		(void)close(fd);	/* it has no use */
		fd = -1;
	}
	return fd;
}

static bool on_a_descriptor(struct sweep *s)
{
	int fd = tcp_to(peer_port(s->peer));

	if (fd < 0)
		return sweep_wrong(s, "no connection");
	s->conn_opts.fd = fd;
	s->conn_opts.server_name = "localhost";
	sweep_arm(s);
	if (!sweep_setup(s) || !sweep_connect(s)) {
		/* after a failure it is still the caller's */
		if (close(fd))
			sweep_wrong(s, "the caller's descriptor is closed");
		return false;
	}
	return sweep_until_open(s) && sweep_close(s);
}

TEST_F(connect, on_a_descriptor)
{
	SWEEP(&self->s, on_a_descriptor);
}

/* Connections that are there when the loop goes. */
static bool left_alone(struct sweep *s)
{
	if (!sweep_setup(s))
		return false;
	sweep_arm(s);
	if (!sweep_connect(s))
		return false;
	/* now drive_fini() meets it connecting, with calls still failing */
	s->conns = 0;
	return true;
}

TEST_F(connect, then_the_loop_goes)
{
	self->s.calls_min = 5;
	SWEEP(&self->s, left_alone);
}

TEST_F(connect, by_name_then_the_loop_goes)
{
	self->s.conn_opts.host = "localhost";
	self->s.calls_min = 5;
	SWEEP(&self->s, left_alone);
}

static bool nobody_there(struct sweep *s)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(addr);
	struct ktc_conn_opts opts = {
		.addr = (struct sockaddr *)&addr,
		.addr_len = sizeof(addr),
		.server_name = "localhost",
	};

	/* bound and not listening: nobody else can be there */
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    getsockname(fd, (struct sockaddr *)&addr, &len))
		return sweep_wrong(s, "no port");
	if (!sweep_setup(s))
		return false;
	sweep_arm(s);
	if (sweep_call(s, drive_connect(&s->d, &s->c, &opts)))
		(void)sweep_until_open(s);
	(void)close(fd);	/* nothing is in it */
	if (s->c.err != -ECONNREFUSED)
		return false;
	s->c.err = 0;	/* as it should be */
	return true;
}

TEST_F(connect, where_nobody_is)
{
	self->s.peer_opts.steps = NULL;
	self->s.calls_min = 3;
	SWEEP(&self->s, nobody_there);
}

TEST_HARNESS_MAIN
