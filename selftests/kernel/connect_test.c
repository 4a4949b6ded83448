// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ways to a server and the options on them: by address, name, path and
 * descriptor; several addresses (RFC 8305); which name is verified; what the
 * option structs take and refuse.
 */
#include "kselftest_harness.h"

#include <ktlsclient.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "certs.h"
#include "drive.h"
#include "host.h"
#include "limit.h"
#include "peer.h"
#include "sys.h"

#define MB (1u << 20)

/* -------------------------------------------------- a name's answer -- */

static const char *answer[LIMIT_ADDRESSES + 4];
static unsigned int answers;

static struct addrinfo *make_info(const char *text, const char *service)
{
	static const struct addrinfo numeric = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *info = NULL;

	if (getaddrinfo(text, service, &numeric, &info))
		abort();	/* the test's own addresses are good */
	return info;
}

static int answer_lookup(const char *name, const char *service,
			 const struct addrinfo *hints, struct addrinfo **out)
{
	struct addrinfo **tail = out;
	unsigned int i;

	(void)name;
	(void)hints;
	for (i = 0; i < answers; i++) {
		*tail = make_info(answer[i], service);
		tail = &(*tail)->ai_next;
	}
	return 0;
}

/* Each was a list of its own. */
static void answer_free(struct addrinfo *list)
{
	struct addrinfo *next;

	for (; list; list = next) {
		next = list->ai_next;
		list->ai_next = NULL;
		freeaddrinfo(list);
	}
}

static struct sys_ops hooked;

static void name_means(const char *const *addrs)
{
	for (answers = 0; addrs[answers]; answers++)
		answer[answers] = addrs[answers];
	hooked = sys_real;
	hooked.lookup = answer_lookup;
	hooked.lookup_free = answer_free;
	sys = &hooked;
}

/* ---------------------------------------------------------- fixture -- */

FIXTURE(connect)
{
	char dir[CERTS_DIR_MAX];
	char ca[CERTS_DIR_MAX + 16];
	char path[CERTS_DIR_MAX + 16];
	struct ktc_client_opts client;
	struct peer_opts peer_opts;
	struct peer *peer;
	struct drive d;
	struct drive_conn c;
	struct peer_result res;
};

FIXTURE_SETUP(connect)
{
	ASSERT_EQ(0, certs_make_temp(self->dir));
	snprintf(self->ca, sizeof(self->ca), "%s/ca.pem", self->dir);
	snprintf(self->path, sizeof(self->path), "%s/socket", self->dir);
	self->client.size = sizeof(self->client);
	self->client.ca_file = self->ca;
	self->peer_opts.cert_dir = self->dir;
}

FIXTURE_TEARDOWN(connect)
{
	drive_fini(&self->d);
	peer_stop(self->peer);
	if (self->dir[0])
		certs_remove(self->dir);
	sys = &sys_real;
}

#define UNTIL(condition) ASSERT_TRUE(DRIVE_UNTIL(&self->d, condition)) \
	TH_LOG("state %s, err %d %s, received %llu", \
	       self->c.info.state, self->c.err, self->c.error.text, \
	       (unsigned long long)self->c.received)

static const struct peer_step greet[] = {
	{ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 1000 },
	{ .op = PEER_DISCARD }, { 0 },
};

#define START(script) \
	do { \
		self->peer_opts.steps = (script); \
		ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer)); \
		ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL)); \
	} while (0)

/* All of greet has come; a TLS 1.3 ticket comes before it. */
#define GREETED() \
	do { \
		UNTIL(self->c.received == 1000 || self->c.closed); \
		ASSERT_FALSE(self->c.closed) TH_LOG("%s", self->c.error.text); \
		EXPECT_TRUE(self->c.open); \
		EXPECT_FALSE(self->c.mismatch); \
	} while (0)

#define CLOSE() \
	do { \
		ASSERT_EQ(0, ktc_conn_close(self->c.conn)); \
		UNTIL(self->c.closed); \
		EXPECT_EQ(0, self->c.err) TH_LOG("%s", self->c.error.text); \
	} while (0)

/* Connects by opts, is greeted, closes. res is connection nr of the peer. */
#define GREET(nr, ...) \
	do { \
		struct ktc_conn_opts opts_ = { __VA_ARGS__ }; \
		\
		memset(&self->c, 0, sizeof(self->c)); \
		ASSERT_EQ(0, drive_connect(&self->d, &self->c, &opts_)); \
		GREETED(); \
		CLOSE(); \
		ASSERT_EQ(0, peer_wait_done(self->peer, nr, &self->res)); \
		EXPECT_STREQ("", self->res.error); \
	} while (0)

#define FAILS(code, ...) \
	do { \
		struct ktc_conn_opts opts_ = { __VA_ARGS__ }; \
		\
		memset(&self->c, 0, sizeof(self->c)); \
		ASSERT_EQ(0, drive_connect(&self->d, &self->c, &opts_)); \
		UNTIL(self->c.closed); \
		EXPECT_FALSE(self->c.open); \
		EXPECT_EQ(code, self->c.err) TH_LOG("%s", self->c.error.text); \
	} while (0)

#define PORT peer_port(self->peer)

/* -------------------------------------------------------- which way -- */

TEST_F(connect, by_ipv4_address)
{
	struct sockaddr_in addr;

	START(greet);
	addr = host_loopback(PORT);
	GREET(0, .addr = (struct sockaddr *)&addr, .addr_len = sizeof(addr),
	      .server_name = "localhost");
	EXPECT_STREQ("localhost", self->res.server_name);
	EXPECT_TRUE(self->c.info.verified);
}

TEST_F(connect, by_ipv6_address)
{
	struct sockaddr_in6 addr = { .sin6_family = AF_INET6 };
	const struct sockaddr_in6 *at;

	self->peer_opts.listen = PEER_LISTEN_IPV6;
	self->peer_opts.steps = greet;
	if (peer_start(&self->peer_opts, &self->peer))
		SKIP(return, "this system has no IPv6");
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	addr.sin6_port = htons(PORT);
	addr.sin6_addr = in6addr_loopback;
	GREET(0, .addr = (struct sockaddr *)&addr, .addr_len = sizeof(addr),
	      .server_name = "localhost");
	GREET(1, .host = "::1", .port = PORT);
	EXPECT_STREQ("", self->res.server_name);
	GREET(2, .host = "[::1]", .port = PORT);

	struct ktc_conn_opts opts = { .host = "::1", .port = PORT };

	memset(&self->c, 0, sizeof(self->c));
	ASSERT_EQ(0, drive_connect(&self->d, &self->c, &opts));
	GREETED();
	at = (const struct sockaddr_in6 *)&self->c.info.addr;
	EXPECT_EQ(sizeof(*at), self->c.info.addr_len);
	EXPECT_EQ(AF_INET6, at->sin6_family);
	EXPECT_EQ(htons(PORT), at->sin6_port);
}

TEST_F(connect, by_name)
{
	START(greet);
	GREET(0, .host = "localhost", .port = PORT);
	EXPECT_STREQ("localhost", self->res.server_name);
}

TEST_F(connect, by_ip_literal)
{
	START(greet);
	GREET(0, .host = "127.0.0.1", .port = PORT);
	/* RFC 6066 section 3: no literals in SNI */
	EXPECT_STREQ("", self->res.server_name);
	EXPECT_TRUE(self->c.info.verified);
}

TEST_F(connect, by_unix_path_stays_on_the_user_plane)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	self->peer_opts.listen = PEER_LISTEN_UNIX;
	self->peer_opts.unix_path = self->path;
	START(greet);
	ASSERT_GT(sizeof(addr.sun_path), strlen(self->path));
	strcpy(addr.sun_path, self->path);
	GREET(0, .addr = (struct sockaddr *)&addr, .addr_len = sizeof(addr),
	      .server_name = "localhost", .policy = KTC_POLICY_ALWAYS);
	EXPECT_EQ(KTC_PLANE_USER, self->c.info.plane[KTC_RX]);
	EXPECT_EQ(KTC_PLANE_USER, self->c.info.plane[KTC_TX]);
	EXPECT_EQ(KTC_WHY_NOT_TCP, self->c.info.why_not_kernel[KTC_TX]);
	EXPECT_EQ(KTC_WHY_NOT_TCP, self->c.info.why_not_kernel[KTC_RX]);
}

TEST_F(connect, by_a_descriptor)
{
	int fds[2];

	self->peer_opts.listen = PEER_LISTEN_NONE;
	START(greet);
	ASSERT_EQ(0, host_tcp_pair(fds));
	/* a caller with an epoll loop has it so */
	ASSERT_EQ(0, fcntl(fds[0], F_SETFL, O_RDWR | O_NONBLOCK));
	ASSERT_EQ(0, peer_serve(self->peer, fds[1]));
	GREET(0, .fd = fds[0], .server_name = "localhost");
	/* it was the library's, and is closed */
	EXPECT_EQ(-1, fcntl(fds[0], F_GETFD));
}

TEST_F(connect, by_one_end_of_a_socketpair)
{
	int fds[2];

	self->peer_opts.listen = PEER_LISTEN_NONE;
	START(greet);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	ASSERT_EQ(0, peer_serve(self->peer, fds[1]));
	GREET(0, .fd = fds[0], .server_name = "localhost",
	      .policy = KTC_POLICY_ALWAYS);
	EXPECT_EQ(KTC_WHY_NOT_TCP, self->c.info.why_not_kernel[KTC_TX]);
}

/* A refusal leaves the descriptor as it was, and the caller's. */
static void refuses_fd(struct __test_metadata *const _metadata,
		       struct drive *d, int fd, const char *name, int err)
{
	struct ktc_conn_opts opts = {
		.size = sizeof(opts), .fd = fd, .server_name = name,
	};
	int before = fcntl(fd, F_GETFL);

	EXPECT_EQ(err, ktc_connect(d->loop, d->client, &opts, NULL));
	EXPECT_EQ(before, fcntl(fd, F_GETFL));
}

TEST_F(connect, a_refused_descriptor_stays_the_callers)
{
	struct ktc_loop_opts one = { .size = sizeof(one), .conns_max = 1 };
	int fds[2], others[2];
	char byte = 'a';
	int fd;

	ASSERT_EQ(0, drive_init(&self->d, &self->client, &one));
	ASSERT_EQ(0, host_tcp_pair(fds));
	ASSERT_EQ(0, fcntl(fds[0], F_SETFL, O_RDWR | O_NONBLOCK));
	refuses_fd(_metadata, &self->d, fds[0], NULL, -KTC_E_OPTION);
	refuses_fd(_metadata, &self->d, fds[0], "bad name", -KTC_E_OPTION);

	/* a loop that is full */
	ASSERT_EQ(0, host_tcp_pair(others));

	struct ktc_conn_opts opts = {
		.fd = others[0], .server_name = "localhost",
	};

	ASSERT_EQ(0, drive_connect(&self->d, &self->c, &opts));
	refuses_fd(_metadata, &self->d, fds[0], "localhost", -EAGAIN);

	/* nothing was written to it, and it works */
	ASSERT_EQ(1, write(fds[0], &byte, 1));
	byte = 0;
	ASSERT_EQ(1, read(fds[1], &byte, 1));
	EXPECT_EQ('a', byte);
	close(fds[0]);
	close(fds[1]);
	close(others[1]);

	fd = socket(AF_INET, SOCK_DGRAM, 0);
	refuses_fd(_metadata, &self->d, fd, "localhost", -KTC_E_OPTION);
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	refuses_fd(_metadata, &self->d, fd, "localhost", -ENOTCONN);
	close(fd);
	refuses_fd(_metadata, &self->d, fd, "localhost", -EBADF);
	fd = open("/dev/null", O_RDWR);
	refuses_fd(_metadata, &self->d, fd, "localhost", -ENOTSOCK);
	close(fd);
}

/* ------------------------------------------------ several addresses -- */

static void expect_at_127_0_0_1(struct __test_metadata *const _metadata,
				struct _test_data_connect *self)
{
	const struct sockaddr_in *at;

	at = (const struct sockaddr_in *)&self->c.info.addr;
	EXPECT_EQ(AF_INET, at->sin_family);
	EXPECT_EQ(htonl(INADDR_LOOPBACK), at->sin_addr.s_addr);
}

TEST_F(connect, the_next_address_after_a_refusal)
{
	static const char *const addrs[] = {
		"127.0.0.2", "127.0.0.3", "127.0.0.1", NULL,
	};
	struct ktc_conn_opts opts = { .host = "localhost" };

	name_means(addrs);
	START(greet);
	opts.port = PORT;
	ASSERT_EQ(0, drive_connect(&self->d, &self->c, &opts));
	GREETED();
	expect_at_127_0_0_1(_metadata, self);
	CLOSE();
}

TEST_F(connect, the_other_family_after_a_refusal)
{
	static const char *const addrs[] = { "::1", "127.0.0.1", NULL };
	struct ktc_conn_opts opts = { .host = "localhost" };

	name_means(addrs);
	START(greet);
	opts.port = PORT;
	ASSERT_EQ(0, drive_connect(&self->d, &self->c, &opts));
	GREETED();
	expect_at_127_0_0_1(_metadata, self);
	CLOSE();
}

/* Fills the queue of addr, on the peer's port: connecting there never ends. */
static int blackhole_at(const char *text, uint16_t port, int fds[2])
{
	struct sockaddr_in addr = host_loopback(port);

	inet_pton(AF_INET, text, &addr.sin_addr);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	fds[1] = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(fds[0], (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(fds[0], 0))
		return -1;
	return connect(fds[1], (struct sockaddr *)&addr, sizeof(addr));
}

TEST_F(connect, the_next_address_beside_a_silent_one)
{
	static const char *const addrs[] = { "127.0.0.2", "127.0.0.1", NULL };
	struct ktc_conn_opts opts = { .host = "localhost" };
	unsigned int before;
	int hole[2];

	name_means(addrs);
	START(greet);
	ASSERT_EQ(0, blackhole_at(addrs[0], PORT, hole));
	before = host_open_fds();
	opts.port = PORT;
	ASSERT_EQ(0, drive_connect(&self->d, &self->c, &opts));
	GREETED();
	expect_at_127_0_0_1(_metadata, self);
	CLOSE();
	/* the attempt that lost leaves no descriptor behind */
	peer_stop(self->peer);
	self->peer = NULL;
	EXPECT_GT(before, host_open_fds());
	close(hole[0]);
	close(hole[1]);
}

TEST_F(connect, all_addresses_refuse)
{
	static const char *const addrs[] = {
		"127.0.0.2", "127.0.0.3", "::1", NULL,
	};

	name_means(addrs);
	START(greet);
	FAILS(-ECONNREFUSED, .host = "localhost", .port = PORT);
}

TEST_F(connect, all_addresses_are_silent)
{
	static const char *const addrs[] = { "127.0.0.2", "127.0.0.3", NULL };
	int holes[4];

	name_means(addrs);
	self->client.connect_timeout_ms = 800;
	START(greet);
	ASSERT_EQ(0, blackhole_at(addrs[0], PORT, holes));
	ASSERT_EQ(0, blackhole_at(addrs[1], PORT, holes + 2));
	FAILS(-KTC_E_CONNECT_TIMEOUT, .host = "localhost", .port = PORT);
}

TEST_F(connect, so_many_addresses_and_no_more)
{
	const char *addrs[LIMIT_ADDRESSES + 2] = { NULL };
	unsigned int i;

	for (i = 0; i < LIMIT_ADDRESSES; i++)
		addrs[i] = "127.0.0.2";
	addrs[i] = "127.0.0.1";
	name_means(addrs);
	START(greet);
	FAILS(-ECONNREFUSED, .host = "localhost", .port = PORT);
	name_means(addrs + 1);
	GREET(0, .host = "localhost", .port = PORT);
}

TEST_F(connect, a_name_without_addresses)
{
	static const char *const addrs[] = { NULL };

	name_means(addrs);
	START(greet);
	FAILS(-KTC_E_RESOLVE, .host = "localhost", .port = PORT);
}

/* ------------------------------------------- which name is verified -- */

TEST_F(connect, server_name_is_what_counts)
{
	START(greet);
	GREET(0, .host = "127.0.0.1", .port = PORT,
	      .server_name = "origin.test");
	EXPECT_STREQ("origin.test", self->res.server_name);
	FAILS(-KTC_E_VERIFY_HOST, .host = "localhost", .port = PORT,
	      .server_name = "other.test");
	FAILS(-KTC_E_VERIFY_HOST, .host = "localhost", .port = PORT,
	      .server_name = "127.0.0.2");
	FAILS(-KTC_E_VERIFY_HOST, .host = "localhost", .port = PORT,
	      .server_name = "sub.localhost");
}

TEST_F(connect, case_and_final_dot_make_no_other_name)
{
	static const char *const addrs[] = { "127.0.0.1", NULL };

	name_means(addrs);
	START(greet);
	GREET(0, .host = "localhost", .port = PORT);
	GREET(1, .host = "LocalHost", .port = PORT);
	EXPECT_STREQ("localhost", self->res.server_name);
	EXPECT_TRUE(self->c.info.resumed);
	GREET(2, .host = "localhost.", .port = PORT);
	EXPECT_STREQ("localhost", self->res.server_name);
	EXPECT_TRUE(self->c.info.resumed);
}

TEST_F(connect, sessions_stay_with_name_and_scope)
{
	START(greet);
	GREET(0, .host = "localhost", .port = PORT);
	GREET(1, .host = "localhost", .port = PORT,
	      .server_name = "origin.test");
	EXPECT_EQ(KTC_WHY_NO_SESSION, self->c.info.why_not_resumed);
	GREET(2, .host = "localhost", .port = PORT, .scope = "another");
	EXPECT_EQ(KTC_WHY_NO_SESSION, self->c.info.why_not_resumed);
	GREET(3, .host = "localhost", .port = PORT, .alpn = "h2");
	EXPECT_EQ(KTC_WHY_NO_SESSION, self->c.info.why_not_resumed);
	GREET(4, .host = "localhost", .port = PORT, .scope = "another");
	EXPECT_TRUE(self->c.info.resumed);
}

/* ------------------------------------------------------------ flags -- */

TEST_F(connect, no_resume_offers_nothing)
{
	START(greet);
	GREET(0, .host = "localhost", .port = PORT);
	GREET(1, .host = "localhost", .port = PORT,
	      .flags = KTC_CONN_NO_RESUME);
	EXPECT_FALSE(self->res.offered_psk);
	EXPECT_EQ(KTC_WHY_RESUME_OFF, self->c.info.why_not_resumed);
	GREET(2, .host = "localhost", .port = PORT);
	EXPECT_TRUE(self->c.info.resumed);
}

TEST_F(connect, no_tickets_keeps_nothing)
{
	struct ktc_client_stats stats = { .size = sizeof(stats) };

	START(greet);
	GREET(0, .host = "localhost", .port = PORT,
	      .flags = KTC_CONN_NO_TICKETS);
	ASSERT_EQ(0, ktc_client_stats(self->d.client, &stats));
	EXPECT_EQ(0, stats.sessions);
	EXPECT_EQ(0, self->c.tickets);
	GREET(1, .host = "localhost", .port = PORT);
	EXPECT_EQ(KTC_WHY_NO_SESSION, self->c.info.why_not_resumed);
}

TEST_F(connect, a_client_without_resumption)
{
	struct ktc_client_stats stats = { .size = sizeof(stats) };

	self->client.flags = KTC_CLIENT_NO_RESUME;
	START(greet);
	GREET(0, .host = "localhost", .port = PORT);
	GREET(1, .host = "localhost", .port = PORT);
	EXPECT_EQ(KTC_WHY_RESUME_OFF, self->c.info.why_not_resumed);
	EXPECT_FALSE(self->res.offered_psk);
	ASSERT_EQ(0, ktc_client_stats(self->d.client, &stats));
	EXPECT_EQ(0, stats.sessions);
	EXPECT_EQ(2, stats.handshakes_full);
}

TEST_F(connect, born_paused)
{
	struct ktc_conn_opts opts = {
		.host = "localhost", .flags = KTC_CONN_RECV_PAUSED,
	};
	struct ktc_event ev;

	START(greet);
	opts.port = PORT;
	ASSERT_EQ(0, drive_connect(&self->d, &self->c, &opts));
	UNTIL(self->c.open || self->c.closed);
	/* what came in the handshake's own buffer may be here already */
	while (ktc_loop_events(self->d.loop, &ev, 1, 200) > 0)
		drive_event(self->d.loop, &ev);
	EXPECT_FALSE(self->c.closed);
	ASSERT_EQ(0, ktc_conn_recv_resume(self->c.conn));
	GREETED();
	CLOSE();
}

TEST_F(connect, an_alpn_of_its_own)
{
	self->client.alpn = "h2";
	self->peer_opts.alpn = "http/1.1,h2";
	START(greet);
	GREET(0, .host = "localhost", .port = PORT);
	EXPECT_STREQ("h2", self->c.info.alpn);
	GREET(1, .host = "localhost", .port = PORT, .alpn = "http/1.1,h2");
	EXPECT_STREQ("http/1.1", self->c.info.alpn);
	GREET(2, .host = "localhost", .port = PORT, .alpn = "");
	EXPECT_STREQ("", self->c.info.alpn);
}

/* In the clear, whole, once; records and their numbers are as without it. */
static void preamble(struct __test_metadata *_metadata,
		     struct _test_data_connect *self, uint16_t version,
		     enum ktc_policy policy)
{
	static const struct peer_step script[] = {
		{ .op = PEER_CLEAR, .a = LIMIT_PREAMBLE - 5 },
		{ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 1000 },
		{ .op = PEER_RECV, .a = 40000 }, { .op = PEER_DISCARD }, { 0 },
	};
	uint8_t bytes[LIMIT_PREAMBLE];
	uint8_t data[40000];
	struct ktc_conn_opts opts = {
		.host = "localhost",
		.policy = policy,
		.preamble = bytes,
		.preamble_len = sizeof(bytes),
	};
	unsigned int i;

	self->peer_opts.version_min = self->peer_opts.version_max = version;
	START(script);
	opts.port = PORT;
	for (i = 0; i < 2; i++) {
		memcpy(bytes, peer_clear, 5);
		peer_pattern_fill(bytes + 5, 0, sizeof(bytes) - 5);
		memset(&self->c, 0, sizeof(self->c));
		ASSERT_EQ(0, drive_connect(&self->d, &self->c, &opts));
		memset(bytes, 0, sizeof(bytes)); /* it has been copied */
		GREETED();
		EXPECT_EQ(i, self->c.info.resumed);
		peer_pattern_fill(data, 0, sizeof(data));
		ASSERT_EQ(0, ktc_conn_send(self->c.conn, data, sizeof(data),
					   0));
		CLOSE();
		ASSERT_EQ(0, peer_wait_done(self->peer, i, &self->res));
		EXPECT_STREQ("", self->res.error);
		EXPECT_EQ(sizeof(data), self->res.bytes_received);
	}
	drive_fini(&self->d);
	peer_stop(self->peer);
	self->peer = NULL;
}

TEST_F(connect, a_preamble_goes_before_the_handshake)
{
	preamble(_metadata, self, KTC_TLS1_3, KTC_POLICY_NEVER);
	preamble(_metadata, self, KTC_TLS1_2, KTC_POLICY_NEVER);
	preamble(_metadata, self, KTC_TLS1_3, KTC_POLICY_ALWAYS);
	preamble(_metadata, self, KTC_TLS1_2, KTC_POLICY_ALWAYS);
}

TEST_F(connect, a_preamble_has_a_limit)
{
	static const uint8_t bytes[LIMIT_PREAMBLE + 1];
	struct ktc_conn_opts opts = {
		.size = sizeof(opts), .host = "localhost", .port = 1,
		.preamble = bytes, .preamble_len = sizeof(bytes),
	};

	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	EXPECT_EQ(-KTC_E_OPTION, ktc_connect(self->d.loop, self->d.client,
					     &opts, NULL));
	opts.preamble_len = 0;
	EXPECT_EQ(-KTC_E_OPTION, ktc_connect(self->d.loop, self->d.client,
					     &opts, NULL));
	opts.preamble_len = 1;
	opts.preamble = NULL;
	EXPECT_EQ(-KTC_E_OPTION, ktc_connect(self->d.loop, self->d.client,
					     &opts, NULL));
}

TEST_F(connect, info_tells_how_long_it_took)
{
	struct ktc_conn_opts opts = { .host = "localhost" };

	START(greet);
	opts.port = PORT;
	ASSERT_EQ(0, drive_connect(&self->d, &self->c, &opts));
	drive_info(&self->c);
	EXPECT_EQ(KTC_PLANE_NONE, self->c.info.plane[KTC_RX]);
	EXPECT_EQ(0, self->c.info.version);
	EXPECT_STREQ("", self->c.info.cipher);
	GREETED();
	EXPECT_LT(0, self->c.info.connect_us);
	EXPECT_LT(0, self->c.info.handshake_us);
	EXPECT_STREQ("open", self->c.info.state);
}

TEST_HARNESS_MAIN
