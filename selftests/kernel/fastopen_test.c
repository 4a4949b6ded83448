// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: what is asked of the TCP connections that the library makes:
 * keepalive, and Fast Open, in a network namespace of the test's own. With
 * Fast Open a connect ends before anything was sent, so errors, deadlines, the
 * race of addresses and the way to the kernel plane are looked at again.
 */
#include <ktlsclient.h>

#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "certs.h"
#include "conn.h"
#include "drive.h"
#include "host.h"
#include "peer.h"
#include "sys.h"

#include "kselftest_harness.h"

#define MB (1u << 20)

FIXTURE(fastopen)
{
	char dir[CERTS_DIR_MAX];
	char ca[CERTS_DIR_MAX + 16];
	struct ktc_client_opts client;
	struct peer_opts peer_opts;
	struct peer *peer;
	struct drive d;
	struct drive_conn c;
	struct peer_result res;
	uint8_t *pattern;
};

FIXTURE_VARIANT(fastopen)
{
	enum ktc_policy policy;
};

FIXTURE_VARIANT_ADD(fastopen, user)
{
	.policy = KTC_POLICY_NEVER,
};

FIXTURE_VARIANT_ADD(fastopen, kernel)
{
	.policy = KTC_POLICY_ALWAYS,
};

/* A namespace that nobody else is in, with its loopback up. */
static bool own_network(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	bool up;
	int fd;

	if (unshare(CLONE_NEWNET))
		return false;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	up = !ioctl(fd, SIOCSIFFLAGS, &lo);
	(void)close(fd);
	return up;
}

/*
 * 1: clients may. 2 and 0x400: every listener does. 4 and 0x200: without a
 * cookie, on either side, which takes a first connection off the test.
 */
static bool allow_fast_open(const char *flags)
{
	int fd = open("/proc/sys/net/ipv4/tcp_fastopen", O_WRONLY);
	bool done = write(fd, flags, strlen(flags)) == (ssize_t)strlen(flags);

	(void)close(fd);
	return done;
}

#define FAST "1543"	/* 1 | 2 | 4 | 0x200 | 0x400 */

FIXTURE_SETUP(fastopen)
{
	if (variant->policy == KTC_POLICY_ALWAYS && !host_ktls())
		SKIP(return, "this kernel has no kTLS");
	if (!own_network())
		SKIP(return, "no network namespace to be had");
	if (!allow_fast_open(FAST))
		SKIP(return, "/proc/sys/net/ipv4/tcp_fastopen is not ours");
	ASSERT_EQ(0, certs_make_temp(self->dir));
	snprintf(self->ca, sizeof(self->ca), "%s/ca.pem", self->dir);
	self->client.size = sizeof(self->client);
	self->client.ca_file = self->ca;
	self->client.policy = variant->policy;
	self->client.flags = KTC_CLIENT_FASTOPEN;
	self->peer_opts.cert_dir = self->dir;
	self->pattern = malloc(MB);
	ASSERT_NE(NULL, self->pattern);
	peer_pattern_fill(self->pattern, 0, MB);
}

FIXTURE_TEARDOWN(fastopen)
{
	drive_fini(&self->d);
	peer_stop(self->peer);
	if (self->dir[0])
		certs_remove(self->dir);
	free(self->pattern);
	sys = &sys_real;
}

#define UNTIL(condition) \
	ASSERT_TRUE(DRIVE_UNTIL(&self->d, (condition) || self->c.closed) && \
		    (condition)) \
	TH_LOG("state %s, err %d %s", self->c.error.state, self->c.err, \
	       self->c.error.text)

static const struct peer_step echo[] = {
	{ .op = PEER_HANDSHAKE }, { .op = PEER_ECHO }, { 0 },
};

/* A connection that is open, to a peer that echoes. */
#define OPEN() \
	do { \
		self->peer_opts.steps = echo; \
		ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer)); \
		ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL)); \
		ASSERT_EQ(0, drive_connect_peer(&self->d, &self->c, \
						self->peer, \
						KTC_POLICY_DEFAULT)); \
		UNTIL(self->c.open); \
	} while (0)

#define ECHO_AND_CLOSE() \
	do { \
		ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, MB, \
					   0)); \
		UNTIL(self->c.received == MB); \
		EXPECT_FALSE(self->c.mismatch); \
		EXPECT_EQ(variant->policy == KTC_POLICY_ALWAYS ? \
				  KTC_PLANE_KERNEL : KTC_PLANE_USER, \
			  self->c.info.plane[KTC_TX]); \
		ASSERT_EQ(0, ktc_conn_close(self->c.conn)); \
		UNTIL(self->c.closed); \
		EXPECT_EQ(0, self->c.err) TH_LOG("%s", self->c.error.text); \
		ASSERT_EQ(0, peer_wait_done(self->peer, 0, &self->res)); \
		EXPECT_STREQ("", self->res.error); \
	} while (0)

static int option(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int value = -1;

	return getsockopt(fd, level, name, &value, &len) ? -1 : value;
}

/* The SYN had data, and the server has taken it. */
static bool syn_had_data(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	return !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) &&
	       info.tcpi_options & TCPI_OPT_SYN_DATA;
}

/* -------------------------------------------------------------- fast open */

TEST_F(fastopen, sends_the_hello_with_the_syn)
{
	OPEN();
	EXPECT_TRUE(syn_had_data(self->c.conn->fd));
	EXPECT_LT(0, self->c.info.connect_us);
	EXPECT_LT(0, self->c.info.addr_len);
	ECHO_AND_CLOSE();
}

TEST_F(fastopen, is_used_when_asked_for_alone)
{
	self->client.flags = 0;
	OPEN();
	EXPECT_FALSE(syn_had_data(self->c.conn->fd));
	ECHO_AND_CLOSE();
}

TEST_F(fastopen, does_without_where_the_kernel_does)
{
	ASSERT_TRUE(allow_fast_open("0"));
	OPEN();
	EXPECT_FALSE(syn_had_data(self->c.conn->fd));
	ECHO_AND_CLOSE();
}

/* The client would, and has no cookie: the connect is an ordinary one. */
TEST_F(fastopen, does_without_where_the_server_does)
{
	ASSERT_TRUE(allow_fast_open("1"));
	OPEN();
	EXPECT_FALSE(syn_had_data(self->c.conn->fd));
	ECHO_AND_CLOSE();
}

/* ---------------------------------------------------------------- errors */

static int connect_addr(struct drive *d, struct drive_conn *c,
			const struct sockaddr_in *addr)
{
	struct ktc_conn_opts opts = {
		.addr = (const struct sockaddr *)addr,
		.addr_len = sizeof(*addr),
		.server_name = "localhost",
	};

	return drive_connect(d, c, &opts);
}

#define ENDS_IN(code) \
	do { \
		ASSERT_TRUE(DRIVE_UNTIL(&self->d, self->c.closed)); \
		EXPECT_EQ(code, self->c.err) TH_LOG("%s", self->c.error.text); \
	} while (0)

TEST_F(fastopen, tells_that_nobody_listens)
{
	struct sockaddr_in addr;
	int fd = host_listen(1, &addr);

	ASSERT_LE(0, fd);
	(void)close(fd);
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	ASSERT_EQ(0, connect_addr(&self->d, &self->c, &addr));
	ENDS_IN(-ECONNREFUSED);
	EXPECT_EQ(KTC_CLASS_NETWORK, self->c.error.class_);
}

/* It is the connect that takes its time, and no handshake has begun. */
TEST_F(fastopen, tells_that_nobody_answers)
{
	struct sockaddr_in addr;
	int fds[2];

	self->client.connect_timeout_ms = 500;
	self->client.handshake_timeout_ms = 60000;
	ASSERT_EQ(0, host_blackhole(&addr, fds));
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	ASSERT_EQ(0, connect_addr(&self->d, &self->c, &addr));
	ENDS_IN(-KTC_E_CONNECT_TIMEOUT);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* TCP is there, TLS never comes: that is the handshake's time. */
TEST_F(fastopen, tells_that_the_server_is_silent)
{
	struct sockaddr_in addr;
	int fd = host_listen(8, &addr);

	ASSERT_LE(0, fd);
	self->client.connect_timeout_ms = 300;
	self->client.handshake_timeout_ms = 600;
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	ASSERT_EQ(0, connect_addr(&self->d, &self->c, &addr));
	ENDS_IN(-KTC_E_HANDSHAKE_TIMEOUT);
	EXPECT_LT(0, self->c.info.connect_us);
	(void)close(fd);
}

/* ------------------------------------------------------- several addresses */

static struct sys_ops hooked;
static struct sockaddr_in places[2];
static struct addrinfo list[2];

static int two_places(const char *name, const char *service,
		      const struct addrinfo *hints, struct addrinfo **out)
{
	int i;

	(void)name;
	(void)service;
	(void)hints;
	for (i = 0; i < 2; i++) {
		list[i].ai_family = AF_INET;
		list[i].ai_socktype = SOCK_STREAM;
		list[i].ai_addr = (struct sockaddr *)&places[i];
		list[i].ai_addrlen = sizeof(places[i]);
		list[i].ai_next = i ? NULL : &list[1];
	}
	*out = list;
	return 0;
}

static void free_nothing(struct addrinfo *all)
{
	(void)all;
}

static void hook_lookup(void)
{
	hooked = sys_real;
	hooked.lookup = two_places;
	hooked.lookup_free = free_nothing;
	sys = &hooked;
}

#define CONNECT_NAME() \
	do { \
		struct ktc_conn_opts opts_ = { \
			.host = "origin.test", .port = 443, \
		}; \
		\
		ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL)); \
		ASSERT_EQ(0, drive_connect(&self->d, &self->c, &opts_)); \
		UNTIL(self->c.open); \
	} while (0)

/* A place that never answers does not win by being tried first. */
TEST_F(fastopen, leaves_the_race_of_addresses_alone)
{
	int fds[2];

	self->peer_opts.steps = echo;
	ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer));
	ASSERT_EQ(0, host_blackhole(&places[0], fds));
	places[1] = host_loopback(peer_port(self->peer));
	hook_lookup();
	CONNECT_NAME();
	EXPECT_FALSE(syn_had_data(self->c.conn->fd));
	ECHO_AND_CLOSE();
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* The others have failed: there is no race any more. */
TEST_F(fastopen, is_used_for_the_last_address)
{
	int fd;

	self->peer_opts.steps = echo;
	ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer));
	fd = host_listen(1, &places[0]);
	ASSERT_LE(0, fd);
	(void)close(fd); /* refused at once */
	places[1] = host_loopback(peer_port(self->peer));
	hook_lookup();
	CONNECT_NAME();
	EXPECT_TRUE(syn_had_data(self->c.conn->fd));
	ECHO_AND_CLOSE();
}

/* -------------------------------------------------------------- keepalive */

TEST_F(fastopen, probes_idle_connections_when_asked_to)
{
	int fd;

	self->client.keepalive_ms = 59001; /* in seconds, rounded up */
	OPEN();
	fd = self->c.conn->fd;
	EXPECT_EQ(1, option(fd, SOL_SOCKET, SO_KEEPALIVE));
	EXPECT_EQ(60, option(fd, IPPROTO_TCP, TCP_KEEPIDLE));
	EXPECT_EQ(15, option(fd, IPPROTO_TCP, TCP_KEEPINTVL));
	EXPECT_EQ(LIMIT_KEEPALIVE_PROBES,
		  option(fd, IPPROTO_TCP, TCP_KEEPCNT));
	ECHO_AND_CLOSE();
}

TEST_F(fastopen, takes_the_shortest_and_the_longest_keepalive)
{
	const uint32_t ms[] = { 1, LIMIT_KEEPALIVE_MS };
	const int idle[] = { 1, 32767 };
	int i;

	self->peer_opts.steps = echo;
	ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer));
	for (i = 0; i < 2; i++) {
		self->client.keepalive_ms = ms[i];
		memset(&self->c, 0, sizeof(self->c));
		ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
		ASSERT_EQ(0, drive_connect_peer(&self->d, &self->c, self->peer,
						0));
		UNTIL(self->c.open);
		EXPECT_EQ(idle[i], option(self->c.conn->fd, IPPROTO_TCP,
					  TCP_KEEPIDLE));
		drive_fini(&self->d);
	}
}

TEST_F(fastopen, probes_nothing_unasked)
{
	OPEN();
	EXPECT_EQ(0, option(self->c.conn->fd, SOL_SOCKET, SO_KEEPALIVE));
	ECHO_AND_CLOSE();
}

TEST_HARNESS_MAIN
