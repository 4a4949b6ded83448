// SPDX-License-Identifier: GPL-2.0-only
/*
 * Connections that never open: the server is not reached, does not speak, or
 * speaks something else; and those that are stopped on the way. Each ends in
 * CLOSED with a code, class and sentence of its own, within its deadline; the
 * assertions are on the code, never on the time. TLS does not come this far,
 * so neither version nor plane makes a difference.
 */
#include "kselftest_harness.h"

#include <ktlsclient.h>

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "certs.h"
#include "drive.h"
#include "host.h"
#include "sys.h"

#define SHORT_MS 500		/* a deadline that is meant to pass */

static struct sys_ops hooked;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static int no_such_name(const char *name, const char *service,
			const struct addrinfo *hints, struct addrinfo **out)
{
	(void)name;
	(void)service;
	(void)hints;
	(void)out;
	return EAI_NONAME;
}

/* A name server that does not answer while the test holds the gate. */
static int stuck_lookup(const char *name, const char *service,
			const struct addrinfo *hints, struct addrinfo **out)
{
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	return no_such_name(name, service, hints, out);
}

static void hook_system(void)
{
	hooked = sys_real;
	sys = &hooked;
}

/* Waits for the ClientHello and takes all of it: a later close is a FIN. */
static bool take_client_hello(int fd)
{
	uint8_t head[5], body[16384];
	size_t len;

	if (recv(fd, head, 5, MSG_WAITALL) != 5)
		return false;
	len = head[3] << 8 | head[4];
	return head[0] == 22 && len <= sizeof(body) &&
	       recv(fd, body, len, MSG_WAITALL) == (ssize_t)len;
}

#define UNTIL(condition) ASSERT_TRUE(DRIVE_UNTIL(&self->d, condition)) \
	TH_LOG("state %s, err %d %s, received %llu", \
	       self->c.info.state, self->c.err, self->c.error.text, \
	       (unsigned long long)self->c.received)

/* CLOSED has come, with this code and a sentence. */
#define EXPECT_ENDING(code) \
	do { \
		int code_ = (code); \
		UNTIL(self->c.closed); \
		EXPECT_EQ(code_, self->c.err) \
			TH_LOG("%s: %s", ktc_error_name(self->c.err), \
			       self->c.error.text); \
		EXPECT_EQ(self->c.err, self->c.error.err); \
		EXPECT_EQ(ktc_error_class(code_), self->c.error.class_); \
		EXPECT_NE('\0', self->c.error.text[0]); \
	} while (0)

FIXTURE(reach)
{
	char dir[CERTS_DIR_MAX];
	char ca[CERTS_DIR_MAX + 16];
	struct ktc_client_opts client;
	struct drive d;
	struct drive_conn c;
	unsigned int fds_before;
};

FIXTURE_SETUP(reach)
{
	hook_system();
	self->fds_before = host_open_fds();
	ASSERT_EQ(0, certs_make_temp(self->dir));
	snprintf(self->ca, sizeof(self->ca), "%s/ca.pem", self->dir);
	self->client.size = sizeof(self->client);
	self->client.ca_file = self->ca;
	self->client.connect_timeout_ms = SHORT_MS;
	self->client.handshake_timeout_ms = SHORT_MS;
}

FIXTURE_TEARDOWN(reach)
{
	drive_fini(&self->d);
	if (self->dir[0])
		certs_remove(self->dir);
	sys = &sys_real;
}

/* To an address, as "localhost". */
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

static int connect_fd(struct drive *d, struct drive_conn *c, int fd)
{
	struct ktc_conn_opts opts = { .fd = fd, .server_name = "localhost" };

	return drive_connect(d, c, &opts);
}

static int connect_name(struct drive *d, struct drive_conn *c)
{
	struct ktc_conn_opts opts = { .host = "name.test", .port = 443 };

	return drive_connect(d, c, &opts);
}

TEST_F(reach, refused)
{
	struct sockaddr_in addr;
	int fd = host_listen(1, &addr);

	ASSERT_LE(0, fd);
	close(fd);
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	ASSERT_EQ(0, connect_addr(&self->d, &self->c, &addr));
	EXPECT_ENDING(-ECONNREFUSED);
	EXPECT_EQ(KTC_CLASS_NETWORK, self->c.error.class_);
	EXPECT_EQ(ECONNREFUSED, self->c.error.os_errno);
	EXPECT_STREQ("connecting", self->c.error.state);
}

TEST_F(reach, unreachable)
{
	struct sockaddr_in addr = host_loopback(443);

	/* TCP to the broadcast address: no route, whatever routes there are */
	addr.sin_addr.s_addr = htonl(INADDR_BROADCAST);
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	ASSERT_EQ(0, connect_addr(&self->d, &self->c, &addr));
	EXPECT_ENDING(-ENETUNREACH);
	EXPECT_EQ(KTC_CLASS_NETWORK, self->c.error.class_);
}

TEST_F(reach, no_such_name)
{
	hooked.lookup = no_such_name;
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	ASSERT_EQ(0, connect_name(&self->d, &self->c));
	EXPECT_ENDING(-KTC_E_RESOLVE);
	EXPECT_EQ(KTC_CLASS_NETWORK, self->c.error.class_);
	EXPECT_STREQ("resolving", self->c.error.state);
}

TEST_F(reach, name_server_is_silent)
{
	hooked.lookup = stuck_lookup;
	pthread_mutex_lock(&gate);
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	ASSERT_EQ(0, connect_name(&self->d, &self->c));
	EXPECT_ENDING(-KTC_E_CONNECT_TIMEOUT);
	EXPECT_EQ(KTC_CLASS_TIMEOUT, self->c.error.class_);
	pthread_mutex_unlock(&gate);
}

TEST_F(reach, connect_times_out)
{
	struct sockaddr_in addr;
	int fds[2];

	ASSERT_EQ(0, host_blackhole(&addr, fds));
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	ASSERT_EQ(0, connect_addr(&self->d, &self->c, &addr));
	EXPECT_ENDING(-KTC_E_CONNECT_TIMEOUT);
	EXPECT_EQ(KTC_CLASS_TIMEOUT, self->c.error.class_);
	EXPECT_STREQ("connecting", self->c.error.state);
	close(fds[0]);
	close(fds[1]);
}

TEST_F(reach, server_is_silent)
{
	int fds[2];

	ASSERT_EQ(0, host_tcp_pair(fds));
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	ASSERT_EQ(0, connect_fd(&self->d, &self->c, fds[0]));
	EXPECT_ENDING(-KTC_E_HANDSHAKE_TIMEOUT);
	EXPECT_EQ(KTC_CLASS_TIMEOUT, self->c.error.class_);
	EXPECT_STREQ("handshaking", self->c.error.state);
	close(fds[1]);
}

/* Bytes in place of a ServerHello; what each comes to. */
#define RAW(name, bytes_, code_) \
	TEST_F(reach, instead_of_server_hello_##name) \
	{ \
		static const char bytes[] = bytes_; \
		int fds[2]; \
		\
		ASSERT_EQ(0, host_tcp_pair(fds)); \
		ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL)); \
		ASSERT_EQ(0, connect_fd(&self->d, &self->c, fds[0])); \
		ASSERT_EQ((ssize_t)sizeof(bytes) - 1, \
			  write(fds[1], bytes, sizeof(bytes) - 1)); \
		EXPECT_ENDING(code_); \
		EXPECT_FALSE(self->c.open); \
		EXPECT_STREQ("handshaking", self->c.error.state); \
		close(fds[1]); \
	}

RAW(http, "HTTP/1.1 400 Bad Request\r\n\r\n", -KTC_E_RECORD)
RAW(ssh, "SSH-2.0-OpenSSH_9.2p1\r\n", -KTC_E_RECORD)
RAW(zeros, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", -KTC_E_RECORD)
RAW(huge_record, "\x16\x03\x03\xff\xff\x02\0\0\0", -KTC_E_RECORD)
RAW(unknown_type, "\x63\x03\x03\0\x01\0", -KTC_E_RECORD)
RAW(data_record, "\x17\x03\x03\0\x03\x61\x62\x63", -KTC_E_HANDSHAKE)
RAW(strange_message, "\x16\x03\x03\0\x04\x63\0\0\0", -KTC_E_HANDSHAKE)
RAW(half_a_record, "\x16\x03\x03\0\x7a\x02\0", -KTC_E_HANDSHAKE_TIMEOUT)
RAW(alert, "\x15\x03\x03\0\x02\x02\x50", -KTC_E_ALERT)

TEST_F(reach, reset_after_client_hello)
{
	int fds[2];

	ASSERT_EQ(0, host_tcp_pair(fds));
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	ASSERT_EQ(0, connect_fd(&self->d, &self->c, fds[0]));
	ktc_loop_wake(self->d.loop);
	drive_step(&self->d); /* the ClientHello is submitted */
	ASSERT_TRUE(take_client_hello(fds[1]));
	host_reset(fds[1]);
	EXPECT_ENDING(-ECONNRESET);
	EXPECT_EQ(KTC_CLASS_NETWORK, self->c.error.class_);
	EXPECT_STREQ("handshaking", self->c.error.state);
}

TEST_F(reach, fin_after_client_hello)
{
	int fds[2];

	ASSERT_EQ(0, host_tcp_pair(fds));
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	ASSERT_EQ(0, connect_fd(&self->d, &self->c, fds[0]));
	ktc_loop_wake(self->d.loop);
	drive_step(&self->d);
	ASSERT_TRUE(take_client_hello(fds[1]));
	close(fds[1]);
	EXPECT_ENDING(-KTC_E_HANDSHAKE);
	EXPECT_NE(NULL, strstr(self->c.error.text, "closed"));
}

/*
 * Connections in every state before OPEN, stopped by how: 0 abort, 1 close, 2
 * by freeing the loop.
 */
#define BEFORE_OPEN 3
static void stop_before_open(struct __test_metadata *const _metadata,
			     struct _test_data_reach *self, int how)
{
	struct drive_conn c[BEFORE_OPEN] = { 0 };
	struct sockaddr_in addr;
	int hole[2], raw[2], i;

	hooked.lookup = stuck_lookup;
	self->client.connect_timeout_ms = 0;
	self->client.handshake_timeout_ms = 0;
	pthread_mutex_lock(&gate);
	ASSERT_EQ(0, host_blackhole(&addr, hole));
	ASSERT_EQ(0, host_tcp_pair(raw));
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	ASSERT_EQ(0, connect_name(&self->d, &c[0]));
	ASSERT_EQ(0, connect_addr(&self->d, &c[1], &addr));
	ASSERT_EQ(0, connect_fd(&self->d, &c[2], raw[0]));
	ktc_loop_wake(self->d.loop);
	drive_step(&self->d);
	ASSERT_TRUE(take_client_hello(raw[1]));
	for (i = 0; i < BEFORE_OPEN; i++) {
		drive_info(&c[i]);
		EXPECT_STREQ(i == 0 ? "resolving" : i == 1 ? "connecting" :
							     "handshaking",
			     c[i].info.state);
		if (how == 0)
			ktc_conn_abort(c[i].conn);
		else if (how == 1)
			EXPECT_EQ(0, ktc_conn_close(c[i].conn));
	}
	for (i = 0; i < BEFORE_OPEN && how < 2; i++) {
		ASSERT_TRUE(DRIVE_UNTIL(&self->d, c[i].closed));
		EXPECT_EQ(-KTC_E_CANCELED, c[i].err);
		EXPECT_EQ(KTC_CLASS_CLOSED, c[i].error.class_);
		EXPECT_EQ(1, c[i].events);
	}
	drive_fini(&self->d);
	pthread_mutex_unlock(&gate);
	close(hole[0]);
	close(hole[1]);
	/* nothing but the ClientHello came, then the end */
	EXPECT_EQ(0, recv(raw[1], &i, sizeof(i), 0));
	close(raw[1]);
}

TEST_F(reach, abort_before_open)
{
	stop_before_open(_metadata, self, 0);
}

TEST_F(reach, close_before_open_is_abort)
{
	stop_before_open(_metadata, self, 1);
}

TEST_F(reach, loop_free_before_open_leaks_nothing)
{
	host_count_memory(&hooked);
	stop_before_open(_metadata, self, 2);
	/* the look-up's thread has a reference until it gets through */
	while (host_live_memory())
		sched_yield();
	/* ... and its last act is to close its eventfd */
	while (host_open_fds() > self->fds_before)
		sched_yield();
	EXPECT_EQ(self->fds_before, host_open_fds());
}

TEST_HARNESS_MAIN
