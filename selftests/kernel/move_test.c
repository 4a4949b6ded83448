// SPDX-License-Identifier: GPL-2.0-only
/*
 * The move from the user plane to the kernel plane in mid-life: when it
 * happens, what it must wait for, what refuses it, and the record numbers
 * afterwards. Through all of it the stream stays whole. Refusals are made by
 * the test, so they run on kernels without kTLS too; the rest needs it.
 */
#include "conn.h" /* first: its ARRAY_SIZE has no guard */

#include "kselftest_harness.h"

#include <ktlsclient.h>

#include <linux/tls.h>

#include <fcntl.h>
#include <malloc.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "certs.h"
#include "drive.h"
#include "host.h"
#include "kdev.h"
#include "peer.h"
#include "probe.h"
#include "sys.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

#define MB (1u << 20)
#define AUTO_BYTES 100000u

FIXTURE(move)
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
	int file;
};

FIXTURE_VARIANT(move)
{
	uint16_t version;
};

FIXTURE_VARIANT_ADD(move, tls1_3)
{
	.version = KTC_TLS1_3,
};

FIXTURE_VARIANT_ADD(move, tls1_2)
{
	.version = KTC_TLS1_2,
};

FIXTURE_SETUP(move)
{
	char path[CERTS_DIR_MAX + 16];

	ASSERT_EQ(0, certs_make_temp(self->dir));
	snprintf(self->ca, sizeof(self->ca), "%s/ca.pem", self->dir);
	self->client.size = sizeof(self->client);
	self->client.ca_file = self->ca;
	self->client.auto_bytes = AUTO_BYTES;
	self->peer_opts.cert_dir = self->dir;
	self->peer_opts.version_min = variant->version;
	self->peer_opts.version_max = variant->version;
	self->pattern = malloc(4 * MB);
	ASSERT_NE(NULL, self->pattern);
	peer_pattern_fill(self->pattern, 0, 4 * MB);
	snprintf(path, sizeof(path), "%s/file", self->dir);
	self->file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ASSERT_LE(0, self->file);
	unlink(path);
	ASSERT_EQ(MB, write(self->file, self->pattern, MB));
}

FIXTURE_TEARDOWN(move)
{
	drive_fini(&self->d);
	peer_stop(self->peer);
	if (self->dir[0])
		certs_remove(self->dir);
	free(self->pattern);
	close(self->file);
	sys = &sys_real;
}

#define UNTIL(condition) ASSERT_TRUE(DRIVE_UNTIL(&self->d, condition)) \
	TH_LOG("state %s, err %d %s, received %llu", \
	       self->c.info.state, self->c.err, self->c.error.text, \
	       (unsigned long long)self->c.received)

/* Without events: until something inside of the connection is so. */
#define UNTIL_INSIDE(condition) \
	do { \
		struct ktc_event ev_; \
		int left_ = 1000; \
		\
		while (!(condition) && left_--) \
			if (ktc_loop_events(self->d.loop, &ev_, 1, 10) > 0) \
				drive_event(self->d.loop, &ev_); \
		ASSERT_LT(0, left_); \
	} while (0)

#define START(script) \
	do { \
		self->peer_opts.steps = (script); \
		ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer)); \
		ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL)); \
		ASSERT_EQ(0, drive_connect_peer(&self->d, &self->c, \
						self->peer, 0)); \
	} while (0)

#define OPENED() \
	do { \
		UNTIL(self->c.open || self->c.closed); \
		ASSERT_TRUE(self->c.open) TH_LOG("%s", self->c.error.text); \
	} while (0)

#define EXPECT_PLANE(plane_, why_) \
	do { \
		if (!self->c.closed) \
			drive_info(&self->c); \
		EXPECT_EQ(plane_, self->c.info.plane[KTC_RX]); \
		EXPECT_EQ(plane_, self->c.info.plane[KTC_TX]); \
		EXPECT_EQ(why_, self->c.info.why_not_kernel[KTC_RX]); \
		EXPECT_EQ(why_, self->c.info.why_not_kernel[KTC_TX]); \
	} while (0)

#define ON_USER(why) EXPECT_PLANE(KTC_PLANE_USER, why)
#define ON_KERNEL() EXPECT_PLANE(KTC_PLANE_KERNEL, KTC_WHY_NOTHING)
#define MOVED() UNTIL_INSIDE(!self->c.conn || \
			     self->c.conn->kernel[KTC_TX])

#define CLOSE_IN_ORDER() \
	do { \
		EXPECT_FALSE(self->c.mismatch); \
		ASSERT_EQ(0, ktc_conn_close(self->c.conn)); \
		UNTIL(self->c.closed); \
		ASSERT_EQ(0, self->c.err) TH_LOG("%s", self->c.error.text); \
		ASSERT_EQ(0, peer_wait_done(self->peer, 0, &self->res)); \
		ASSERT_STREQ("", self->res.error); \
		EXPECT_TRUE(self->res.close_notify); \
	} while (0)

/* What the peer does between handshake and the end. */
#define SCRIPT(...) \
	static const struct peer_step script[] = { \
		{ .op = PEER_HANDSHAKE }, __VA_ARGS__, \
		{ .op = PEER_DISCARD }, { 0 }, \
	}

/* ------------------------------------------------------------- auto -- */

TEST_F(move, auto_opens_on_the_user_plane)
{
	SCRIPT({ .op = PEER_SEND, .a = 1000 });

	START(script);
	OPENED();
	ON_USER(KTC_WHY_NOT_YET);
	UNTIL(self->c.received == 1000 || self->c.closed);
	ON_USER(KTC_WHY_NOT_YET);
	CLOSE_IN_ORDER();
	ON_USER(KTC_WHY_NOT_YET);
}

TEST_F(move, auto_moves_while_receiving)
{
	SCRIPT({ .op = PEER_SEND, .a = 2 * MB });

	if (!host_ktls())
		SKIP(return, "this kernel has no kTLS");
	START(script);
	UNTIL(self->c.received == 2 * MB || self->c.closed);
	ON_KERNEL();
	CLOSE_IN_ORDER();
	EXPECT_EQ(2 * MB, self->c.info.bytes[KTC_RX]);
}

TEST_F(move, auto_moves_while_sending)
{
	SCRIPT({ .op = PEER_RECV, .a = MB });
	unsigned int i;

	if (!host_ktls())
		SKIP(return, "this kernel has no kTLS");
	START(script);
	OPENED();
	for (i = 0; i < 128; i++)
		ASSERT_EQ(0, ktc_conn_send(self->c.conn,
					   self->pattern + i * 8192, 8192, i));
	UNTIL(self->c.sent == 128 || self->c.closed);
	EXPECT_EQ(127, self->c.sent_tag);
	ON_KERNEL();
	CLOSE_IN_ORDER();
	EXPECT_EQ(MB, self->res.bytes_received);
	EXPECT_EQ(MB, self->c.info.bytes[KTC_TX]);
}

/* Records of every size under way in both directions while it moves. */
TEST_F(move, auto_moves_while_both_flow)
{
	static const struct peer_step script[] = {
		{ .op = PEER_SPLIT_TCP, .a = 1021 },
		{ .op = PEER_HANDSHAKE }, { .op = PEER_ECHO }, { 0 },
	};
	unsigned int at = 0, len;

	if (!host_ktls())
		SKIP(return, "this kernel has no kTLS");
	START(script);
	OPENED();
	for (len = 1; at + len < 900000; len += 37) {
		ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern + at,
					   len, 0));
		at += len;
	}
	UNTIL(self->c.received == at || self->c.closed);
	ON_KERNEL();
	CLOSE_IN_ORDER();
	EXPECT_EQ(at, self->c.info.bytes[KTC_TX]);
	EXPECT_EQ(at, self->c.info.bytes[KTC_RX]);
}

/* ------------------------------------------------------- by request -- */

TEST_F(move, offload_moves_at_once)
{
	SCRIPT({ .op = PEER_RECV, .a = 5000 }, { .op = PEER_SEND, .a = 5000 });
	struct ktc_client_stats stats = { .size = sizeof(stats) };

	if (!host_ktls())
		SKIP(return, "this kernel has no kTLS");
	START(script);
	OPENED();
	EXPECT_EQ(0, ktc_conn_offload(self->c.conn));
	/* while it moves, and again: harmless */
	EXPECT_EQ(0, ktc_conn_offload(self->c.conn));
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, 5000, 0));
	UNTIL(self->c.received == 5000 || self->c.closed);
	ON_KERNEL();
	EXPECT_EQ(0, ktc_conn_offload(self->c.conn));
	CLOSE_IN_ORDER();
	ASSERT_EQ(0, ktc_client_stats(self->d.client, &stats));
	EXPECT_EQ(1, stats.offloaded);
	EXPECT_EQ(0, stats.offload_refused);
}

TEST_F(move, sendfile_moves_first)
{
	SCRIPT({ .op = PEER_RECV, .a = MB });

	if (!host_ktls())
		SKIP(return, "this kernel has no kTLS");
	START(script);
	OPENED();
	ASSERT_EQ(0, ktc_conn_sendfile(self->c.conn, self->file, 0, MB, 1));
	UNTIL(self->c.sent == 1 || self->c.closed);
	EXPECT_EQ(0, self->c.sent_err);
	ON_KERNEL();
	CLOSE_IN_ORDER();
}

TEST_F(move, waits_for_a_send_in_flight)
{
	SCRIPT({ .op = PEER_SEND, .a = 1 }, { .op = PEER_BARRIER },
	       { .op = PEER_RECV, .a = 2 * MB });

	if (!host_ktls())
		SKIP(return, "this kernel has no kTLS");
	self->client.auto_bytes = UINT64_MAX;
	self->peer_opts.rcvbuf = 4096;
	START(script);
	UNTIL(self->c.received == 1 || self->c.closed);
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, MB, 1));
	EXPECT_EQ(0, ktc_conn_offload(self->c.conn));
	EXPECT_FALSE(self->c.conn->kernel[KTC_TX]);
	ASSERT_EQ(0, peer_wait_barrier(self->peer));
	peer_go(self->peer);
	UNTIL(self->c.sent == 1 || self->c.closed);
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern + MB, MB, 2));
	UNTIL(self->c.sent == 2 || self->c.closed);
	ON_KERNEL();
	CLOSE_IN_ORDER();
	EXPECT_EQ(2 * MB, self->res.bytes_received);
}

/* Half a record is here; the other half comes when the peer is let go. */
static const struct peer_step half_a_record[] = {
	{ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 1 },
	{ .op = PEER_HOLD }, { .op = PEER_SEND, .a = 1000 },
	{ .op = PEER_RELEASE, .a = 500 }, { .op = PEER_BARRIER },
	{ .op = PEER_RELEASE }, { .op = PEER_SEND, .a = 3000 },
	{ .op = PEER_DISCARD }, { 0 },
};

TEST_F(move, waits_for_the_rest_of_a_record)
{
	if (!host_ktls())
		SKIP(return, "this kernel has no kTLS");
	START(half_a_record);
	UNTIL(self->c.received == 1 || self->c.closed);
	UNTIL_INSIDE(ossl_missing(self->c.conn->setup->ossl));
	EXPECT_EQ(0, ktc_conn_offload(self->c.conn));
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, 500, 1));
	EXPECT_FALSE(self->c.conn->kernel[KTC_TX]);
	peer_go(self->peer);
	UNTIL(self->c.received == 4001 || self->c.closed);
	UNTIL(self->c.sent || self->c.closed);
	ON_KERNEL();
	CLOSE_IN_ORDER();
	EXPECT_EQ(500, self->res.bytes_received);
}

TEST_F(move, is_given_up_when_the_rest_does_not_come)
{
	if (!host_ktls())
		SKIP(return, "this kernel has no kTLS");
	self->client.handshake_timeout_ms = 400;
	START(half_a_record);
	UNTIL(self->c.received == 1 || self->c.closed);
	UNTIL_INSIDE(ossl_missing(self->c.conn->setup->ossl));
	EXPECT_EQ(0, ktc_conn_offload(self->c.conn));
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, 500, 1));
	/* what was held back goes on the user plane */
	UNTIL(self->c.sent || self->c.closed);
	ON_USER(KTC_WHY_NOT_YET);
	peer_go(self->peer);
	UNTIL(self->c.received == 4001 || self->c.closed);
	/* and another time it works */
	EXPECT_EQ(0, ktc_conn_offload(self->c.conn));
	MOVED();
	ON_KERNEL();
	CLOSE_IN_ORDER();
	EXPECT_EQ(500, self->res.bytes_received);
}

/* --------------------------------------------------- record numbers -- */

/* The kernel's next number, beside what the library tells. */
#define EXPECT_SEQ(dir, kernel, told) \
	do { \
		uint64_t seq_ = 0; \
		\
		drive_info(&self->c); \
		EXPECT_EQ(0, handover_seq(self->c.conn->fd, \
					  self->c.conn->suite, dir, &seq_)); \
		EXPECT_EQ(kernel, seq_); \
		EXPECT_EQ(told, self->c.info.records[dir]); \
	} while (0)

TEST_F(move, record_numbers_go_on)
{
	SCRIPT({ .op = PEER_SEND, .a = 500, .b = 100 },
	       { .op = PEER_RECV, .a = 200 },
	       { .op = PEER_BARRIER },
	       { .op = PEER_SEND, .a = 300, .b = 100 },
	       { .op = PEER_RECV, .a = 300 },
	       { .op = PEER_SEND, .a = 100 });
	/* TLS 1.2: the Finished was number 0; 1.3: two tickets came */
	unsigned int base = variant->version == KTC_TLS1_2;
	unsigned int tickets = base ? 0 : 2;
	unsigned int i;

	if (!host_ktls())
		SKIP(return, "this kernel has no kTLS");
	START(script);
	UNTIL(self->c.received == 500 || self->c.closed);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ktc_conn_send(self->c.conn,
					   self->pattern + i * 100, 100, i));
		UNTIL(self->c.sent == i + 1 || self->c.closed);
	}
	EXPECT_EQ(0, ktc_conn_offload(self->c.conn));
	MOVED();
	EXPECT_SEQ(KTC_RX, base + tickets + 5, tickets + 5);
	EXPECT_SEQ(KTC_TX, base + 2, 2);
	ASSERT_EQ(0, peer_wait_barrier(self->peer));
	peer_go(self->peer);
	UNTIL(self->c.received == 800 || self->c.closed);
	for (i = 2; i < 5; i++) {
		ASSERT_EQ(0, ktc_conn_send(self->c.conn,
					   self->pattern + i * 100, 100, i));
		UNTIL(self->c.sent == i + 1 || self->c.closed);
	}
	UNTIL(self->c.received == 900 || self->c.closed);
	EXPECT_SEQ(KTC_RX, base + tickets + 9, tickets + 9);
	EXPECT_SEQ(KTC_TX, base + 5, 5);
	CLOSE_IN_ORDER();
}

/* Records behind the handshake are drained through OpenSSL, then it moves. */
TEST_F(move, record_numbers_include_what_openssl_drained)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE_SPEAK_FIRST, .a = 3000, .b = 300 },
		{ .op = PEER_SEND, .a = 300 },
		{ .op = PEER_DISCARD }, { 0 },
	};
	unsigned int base = variant->version == KTC_TLS1_2;
	unsigned int tickets = base ? 0 : 2;

	if (!host_ktls())
		SKIP(return, "this kernel has no kTLS");
	self->client.policy = KTC_POLICY_ALWAYS;
	START(script);
	UNTIL(self->c.received == 3300 || self->c.closed);
	ON_KERNEL();
	EXPECT_SEQ(KTC_RX, base + tickets + 11, tickets + 11);
	EXPECT_SEQ(KTC_TX, base, 0);
	CLOSE_IN_ORDER();
}

TEST_F(move, takes_the_keys_of_a_later_generation)
{
	SCRIPT({ .op = PEER_KEY_UPDATE, .a = 2, .b = 1 },
	       { .op = PEER_SEND, .a = 500, .b = 100 },
	       { .op = PEER_WAIT_KEY_UPDATE, .a = 1 },
	       { .op = PEER_RECV, .a = 100 }, { .op = PEER_BARRIER },
	       { .op = PEER_SEND, .a = 500, .b = 100 },
	       { .op = PEER_RECV, .a = 100 }, { .op = PEER_SEND, .a = 100 });

	if (!host_ktls())
		SKIP(return, "this kernel has no kTLS");
	if (variant->version == KTC_TLS1_2)
		SKIP(return, "TLS 1.2 has no KeyUpdate");
	START(script);
	UNTIL((self->c.received == 500 && self->c.rekeyed[KTC_TX]) ||
	      self->c.closed);
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, 100, 0));
	UNTIL(self->c.sent == 1 || self->c.closed);
	EXPECT_EQ(0, ktc_conn_offload(self->c.conn));
	MOVED();
	drive_info(&self->c);
	EXPECT_EQ(2, self->c.info.rekeys[KTC_RX]);
	ASSERT_EQ(0, peer_wait_barrier(self->peer));
	peer_go(self->peer);
	UNTIL(self->c.received == 1000 || self->c.closed);
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern + 100, 100, 0));
	UNTIL(self->c.received == 1100 || self->c.closed);
	ON_KERNEL();
	CLOSE_IN_ORDER();
}

/* ----------------------------------------------------------- detach -- */

static int read_record_type(int fd)
{
	union {
		char buf[CMSG_SPACE(1)];
		struct cmsghdr align;
	} control;
	char data[4096];
	struct iovec iov = { .iov_base = data, .iov_len = sizeof(data) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *cmsg;

	if (recvmsg(fd, &msg, 0) < 0)
		return -errno;
	cmsg = CMSG_FIRSTHDR(&msg);
	return cmsg && cmsg->cmsg_type == TLS_GET_RECORD_TYPE ?
		       *CMSG_DATA(cmsg) : 0;
}

static bool read_pattern(int fd, uint64_t offset, size_t len)
{
	uint8_t buf[4096];
	size_t got = 0;
	ssize_t n;

	while (got < len) {
		n = read(fd, buf, sizeof(buf));
		if (n <= 0 || peer_pattern_check(buf, offset + got, n) !=
				      (size_t)n)
			return false;
		got += n;
	}
	return got == len;
}

TEST_F(move, detach_gives_a_plain_descriptor)
{
	SCRIPT({ .op = PEER_SEND, .a = 1000 },
	       { .op = PEER_RECV, .a = MB + 500 },
	       { .op = PEER_SEND, .a = 1000 });

	if (!host_ktls())
		SKIP(return, "this kernel has no kTLS");
	self->peer_opts.tickets = PEER_NO_TICKETS;
	START(script);
	UNTIL(self->c.received == 1000 || self->c.closed);
	/* what is queued goes first */
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, MB, 1));
	ASSERT_EQ(0, ktc_conn_detach(self->c.conn));
	EXPECT_EQ(-KTC_E_STATE,
		  ktc_conn_send(self->c.conn, self->pattern, 1, 2));
	UNTIL(self->c.closed);
	ASSERT_TRUE(self->c.detached) TH_LOG("%s", self->c.error.text);
	EXPECT_EQ(1, self->c.sent);
	EXPECT_EQ(MB, self->c.sent_bytes);
	EXPECT_EQ(0, fcntl(self->c.fd, F_GETFL) & O_NONBLOCK);
	/* nothing of the library's goes with it */
	drive_fini(&self->d);
	ASSERT_EQ(500, write(self->c.fd, self->pattern + MB, 500));
	EXPECT_TRUE(read_pattern(self->c.fd, 1000, 1000));
	close(self->c.fd);
	ASSERT_EQ(0, peer_wait_done(self->peer, 0, &self->res));
	EXPECT_STREQ("", self->res.error);
	EXPECT_EQ(MB + 500, self->res.bytes_received);
	EXPECT_FALSE(self->res.close_notify);
}

TEST_F(move, after_detach_a_ticket_wants_recvmsg)
{
	SCRIPT({ .op = PEER_RECV, .a = 1 }, { .op = PEER_TICKETS, .a = 1 },
	       { .op = PEER_SEND, .a = 700 });
	char byte;

	if (!host_ktls())
		SKIP(return, "this kernel has no kTLS");
	if (variant->version == KTC_TLS1_2)
		SKIP(return, "TLS 1.2 has its ticket in the handshake");
	self->peer_opts.tickets = PEER_NO_TICKETS;
	START(script);
	OPENED();
	ASSERT_EQ(0, ktc_conn_detach(self->c.conn));
	UNTIL(self->c.closed);
	ASSERT_TRUE(self->c.detached);
	ASSERT_EQ(1, write(self->c.fd, self->pattern, 1));
	EXPECT_EQ(-1, read(self->c.fd, &byte, 1));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(22, read_record_type(self->c.fd));
	EXPECT_TRUE(read_pattern(self->c.fd, 0, 700));
	close(self->c.fd);
}

/* --------------------------------------------------------- refusals -- */

static struct sys_ops hooked;
static int refused_name, refused_err;
static bool real_ktls;
static const char *device;	/* what is opened for the module's; or NULL */
static unsigned int keys_by_calls;

static int other_open(const char *path, int flags)
{
	if (strcmp(path, "/dev/ktlsclient"))
		return sys_real.open(path, flags);
	return device ? sys_real.open(device, flags) : -ENOENT;
}

/* A device that is not the module's answers like it. */
static int other_ioctl(int fd, unsigned long request, void *arg)
{
	struct ktcm_info *info = arg;

	if (request != KTCM_IOC_INFO || !strcmp(device, "/dev/ktlsclient"))
		return sys_real.ioctl(fd, request, arg);
	info->features = KTCM_FEATURE_ATTACH;
	return 0;
}

static int refusing_setsockopt(int fd, int level, int name, const void *val,
			       socklen_t len)
{
	bool ulp = level == IPPROTO_TCP && name == TCP_ULP;

	keys_by_calls += level == SOL_TLS;
	if ((ulp || level == SOL_TLS) && name == refused_name)
		return refused_err;
	/* on a kernel without kTLS the steps before the refused one succeed */
	if ((ulp || level == SOL_TLS) && !real_ktls)
		return 0;
	return sys_real.setsockopt(fd, level, name, val, len);
}

/*
 * A kernel that sets keys by calls and refuses one step. What the kernel can
 * do is asked first, for the probe goes through the same table.
 */
static void refuse(int name, int err)
{
	const struct ktc_caps *caps;
	struct ktc_caps *mine;

	real_ktls = host_ktls();
	(void)probe_caps(&caps); /* it has succeeded a line ago */
	mine = (struct ktc_caps *)(uintptr_t)caps;
	mine->ring_sockopt = false;
	if (!real_ktls) {
		mine->suites = UINT32_MAX;
		mine->ktls = true;
	}
	refused_name = name;
	refused_err = err;
	hooked = sys_real;
	hooked.setsockopt = refusing_setsockopt;
	hooked.open = other_open;
	hooked.ioctl = other_ioctl;
	device = NULL;
	keys_by_calls = 0;
	sys = &hooked;
}

static const struct peer_step echo[] = {
	{ .op = PEER_HANDSHAKE }, { .op = PEER_ECHO }, { 0 },
};

static const enum ktc_policy policies[] = {
	KTC_POLICY_ALWAYS, KTC_POLICY_AUTO,
};

#define REFUSED(name, option, errno_, why) \
	TEST_F(move, refused_##name##_stays_on_the_user_plane) \
	{ \
		struct ktc_client_stats stats = { .size = sizeof(stats) }; \
		unsigned int i; \
		\
		refuse(option, -(errno_)); \
		for (i = 0; i < 2; i++) { \
			memset(&self->c, 0, sizeof(self->c)); \
			self->client.policy = policies[i]; \
			START(echo); \
			OPENED(); \
			ASSERT_EQ(0, ktc_conn_send(self->c.conn, \
						   self->pattern, MB, 0)); \
			UNTIL(self->c.received == MB || self->c.closed); \
			ON_USER(why); \
			EXPECT_EQ(errno_, self->c.info.offload_errno); \
			/* once is enough: nothing has changed */ \
			EXPECT_EQ(0, ktc_conn_offload(self->c.conn)); \
			ON_USER(why); \
			CLOSE_IN_ORDER(); \
			ASSERT_EQ(0, ktc_client_stats(self->d.client, \
						      &stats)); \
			EXPECT_EQ(0, stats.offloaded); \
			EXPECT_LE(1, stats.offload_refused); \
			drive_fini(&self->d); \
			peer_stop(self->peer); \
			self->peer = NULL; \
		} \
	}

REFUSED(ulp, TCP_ULP, EPERM, KTC_WHY_ULP_REFUSED)
REFUSED(ulp_as_absent, TCP_ULP, ENOENT, KTC_WHY_NO_KTLS)
REFUSED(ulp_after_fin, TCP_ULP, ENOTCONN, KTC_WHY_PEER_FIN)
REFUSED(tx, TLS_TX, EINVAL, KTC_WHY_TX_REFUSED)
REFUSED(tx_as_absent, TLS_TX, ENOENT, KTC_WHY_NO_SUITE)

static void rx_refused(struct __test_metadata *const _metadata,
		       struct _test_data_move *self, int err)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		memset(&self->c, 0, sizeof(self->c));
		self->client.policy = policies[i];
		START(echo);
		if (policies[i] == KTC_POLICY_AUTO) {
			OPENED();
			EXPECT_EQ(0, ktc_conn_offload(self->c.conn));
		}
		UNTIL(self->c.closed);
		EXPECT_EQ(-KTC_E_HANDOVER, self->c.err);
		EXPECT_EQ(KTC_CLASS_SYSTEM, self->c.error.class_);
		EXPECT_EQ(err, self->c.error.os_errno);
		EXPECT_STREQ("handing over", self->c.error.state);
		EXPECT_EQ(policies[i] == KTC_POLICY_AUTO, self->c.open);
		drive_fini(&self->d);
		peer_stop(self->peer);
		self->peer = NULL;
	}
}

/* A socket that seals and does not open is of no use to anyone. */
TEST_F(move, refused_rx_after_tx_ends_it)
{
	refuse(TLS_RX, -EBUSY);
	rx_refused(_metadata, self, EBUSY);
}

/* The same in a chain of the ring's: its last completion says no. */
static unsigned int sockopts_done;

static int refusing_completion(unsigned int op, int res)
{
	if (op == RING_SOCKOPT && ++sockopts_done % 3 == 0)
		return -EBUSY;
	return res;
}

TEST_F(move, refused_rx_in_a_chain_ends_it)
{
	struct ktc_caps caps = { .size = sizeof(caps) };

	if (!host_ktls())
		SKIP(return, "this kernel has no kTLS");
	ASSERT_EQ(0, ktc_probe(&caps));
	if (!caps.ring_sockopt)
		SKIP(return, "this kernel's ring cannot set socket options");
	hooked = sys_real;
	hooked.completion = refusing_completion;
	sys = &hooked;
	/* always: ULP alone, then TX, RX; auto: all three */
	rx_refused(_metadata, self, EBUSY);
}

/* And in one command of the module's: "done" says how far it came. */
static const struct drive_conn *attaching;

static int refusing_attach(unsigned int op, int res)
{
	if (op != RING_SOCKOPT)
		return res;
	attaching->conn->setup->attach.done = KTCM_ATTACH_ULP | KTCM_ATTACH_TX;
	return -EBUSY;
}

TEST_F(move, refused_rx_by_the_module_ends_it)
{
	refuse(-1, 0);
	device = "/dev/null";
	attaching = &self->c;
	hooked.completion = refusing_attach;
	rx_refused(_metadata, self, EBUSY);
	EXPECT_EQ(0, keys_by_calls);
}

/* One connection for each policy, with data, on the kernel plane. */
static void both_flow(struct __test_metadata *const _metadata,
		      struct _test_data_move *self)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(policies); i++) {
		memset(&self->c, 0, sizeof(self->c));
		self->client.policy = policies[i];
		START(echo);
		OPENED();
		EXPECT_EQ(0, ktc_conn_offload(self->c.conn));
		ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, MB,
					   0));
		UNTIL(self->c.received == MB || self->c.closed);
		ON_KERNEL();
		CLOSE_IN_ORDER();
		drive_fini(&self->d);
		peer_stop(self->peer);
		self->peer = NULL;
	}
}

/* Neither chain nor module; one that does nothing; one that refuses. */
TEST_F(move, without_attach_keys_go_by_calls)
{
	static const char *const devices[] = { NULL, "/dev/null", "/dev/zero" };
	unsigned int i;

	if (!host_ktls())
		SKIP(return, "this kernel has no kTLS");
	for (i = 0; i < ARRAY_SIZE(devices); i++) {
		refuse(-1, 0);
		device = devices[i];
		both_flow(_metadata, self);
		EXPECT_EQ(4, keys_by_calls);
	}
}

TEST_F(move, with_the_module_keys_go_by_attach)
{
	struct ktcm_info before, after;
	int dev;

	if (!host_ktls())
		SKIP(return, "this kernel has no kTLS");
	dev = kdev_open();
	if (dev < 0)
		SKIP(return, "ktlsclient.ko is not loaded");
	ASSERT_EQ(0, kdev_info(dev, &before));
	refuse(-1, 0);
	device = "/dev/ktlsclient";
	both_flow(_metadata, self);
	EXPECT_EQ(0, keys_by_calls);
	ASSERT_EQ(0, kdev_info(dev, &after));
	EXPECT_EQ(before.attaches + 2, after.attaches);
	EXPECT_EQ(before.attaches_failed, after.attaches_failed);
	close(dev);
}

TEST_F(move, refused_detach_ends_it)
{
	refuse(TLS_TX, -EINVAL);
	START(echo);
	OPENED();
	ASSERT_EQ(0, ktc_conn_detach(self->c.conn));
	UNTIL(self->c.closed);
	EXPECT_FALSE(self->c.detached);
	EXPECT_EQ(-KTC_E_UNSUPPORTED, self->c.err);
	EXPECT_EQ(KTC_CLASS_UNSUPPORTED, self->c.error.class_);
	EXPECT_EQ(EINVAL, self->c.error.os_errno);
}

/* The ULP is there already: the caller has prepared its descriptor. */
TEST_F(move, finds_the_ulp_in_place)
{
	struct ktc_conn_opts opts = { .server_name = "localhost" };
	int fds[2];

	if (!host_ktls())
		SKIP(return, "this kernel has no kTLS");
	self->peer_opts.steps = echo;
	self->peer_opts.listen = PEER_LISTEN_NONE;
	ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer));
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	ASSERT_EQ(0, host_tcp_pair(fds));
	ASSERT_EQ(0, setsockopt(fds[0], IPPROTO_TCP, TCP_ULP, "tls", 3));
	ASSERT_EQ(0, peer_serve(self->peer, fds[1]));
	opts.fd = fds[0];
	ASSERT_EQ(0, drive_connect(&self->d, &self->c, &opts));
	OPENED();
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, MB, 0));
	UNTIL(self->c.received == MB || self->c.closed);
	ON_KERNEL();
	CLOSE_IN_ORDER();
}

/* The peer has closed its side; ours goes on where it is. */
TEST_F(move, not_after_the_peers_end)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE }, { .op = PEER_CLOSE_NOTIFY },
		{ .op = PEER_FIN }, { .op = PEER_RECV, .a = MB },
		{ .op = PEER_DISCARD }, { 0 },
	};

	if (!host_ktls())
		SKIP(return, "this kernel has no kTLS");
	START(script);
	UNTIL(self->c.eof || self->c.closed);
	ASSERT_EQ(0, ktc_conn_sendfile(self->c.conn, self->file, 0, MB, 1));
	UNTIL(self->c.sent == 1 || self->c.closed);
	ON_USER(KTC_WHY_PEER_FIN);
	CLOSE_IN_ORDER();
}

/* The FIN is in the socket, behind data that is not read yet. */
TEST_F(move, not_after_an_unread_fin)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 50000 },
		{ .op = PEER_CLOSE_NOTIFY }, { .op = PEER_FIN },
		{ .op = PEER_RECV, .a = 1000 }, { .op = PEER_DISCARD }, { 0 },
	};
	struct ktc_conn_opts opts = {
		.host = "127.0.0.1", .flags = KTC_CONN_RECV_PAUSED,
	};
	struct pollfd hup = { .events = POLLRDHUP };

	if (!host_ktls())
		SKIP(return, "this kernel has no kTLS");
	self->peer_opts.steps = script;
	ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer));
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	opts.port = peer_port(self->peer);
	ASSERT_EQ(0, drive_connect(&self->d, &self->c, &opts));
	OPENED();
	hup.fd = self->c.conn->fd;
	UNTIL_INSIDE(poll(&hup, 1, 0) == 1);
	EXPECT_EQ(0, ktc_conn_offload(self->c.conn));
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, 1000, 1));
	UNTIL(self->c.sent == 1 || self->c.closed);
	ON_USER(KTC_WHY_PEER_FIN);
	EXPECT_EQ(ENOTCONN, self->c.info.offload_errno);
	ASSERT_EQ(0, ktc_conn_recv_resume(self->c.conn));
	UNTIL(self->c.eof || self->c.closed);
	ASSERT_FALSE(self->c.closed) TH_LOG("%s", self->c.error.text);
	EXPECT_EQ(50000, self->c.received);
	CLOSE_IN_ORDER();
}

/* -------------------------------------------- a kernel without kTLS -- */

TEST_F(move, without_ktls_all_stays_and_works)
{
	unsigned int i;

	if (host_ktls())
		SKIP(return, "this kernel has kTLS");
	for (i = 0; i < 2; i++) {
		memset(&self->c, 0, sizeof(self->c));
		self->client.policy = policies[i];
		START(echo);
		OPENED();
		ON_USER(policies[i] == KTC_POLICY_AUTO ? KTC_WHY_NOT_YET :
							 KTC_WHY_NO_KTLS);
		ASSERT_EQ(0, ktc_conn_sendfile(self->c.conn, self->file, 0, MB,
					       0));
		UNTIL(self->c.received == MB || self->c.closed);
		EXPECT_EQ(0, ktc_conn_offload(self->c.conn));
		ON_USER(KTC_WHY_NO_KTLS);
		CLOSE_IN_ORDER();
		drive_fini(&self->d);
		peer_stop(self->peer);
		self->peer = NULL;
	}
	memset(&self->c, 0, sizeof(self->c));
	START(echo);
	OPENED();
	ASSERT_EQ(0, ktc_conn_detach(self->c.conn));
	UNTIL(self->c.closed);
	EXPECT_EQ(-KTC_E_UNSUPPORTED, self->c.err);
}

/* ------------------------------------------------------- what stays -- */

#define IDLE_CONNS 64
#define IDLE_BYTES_MAX 512

/*
 * What an idle offloaded connection costs the library, its SSL being gone.
 * Twelve tickets come later: they are taken off the socket and no more.
 */
TEST_F(move, an_idle_connection_is_small)
{
	SCRIPT({ .op = PEER_SEND, .a = 1 }, { .op = PEER_BARRIER },
	       { .op = PEER_TICKETS, .a = 12 }, { .op = PEER_SEND, .a = 10 });
	static const struct peer_step script12[] = {
		{ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 1 },
		{ .op = PEER_BARRIER }, { .op = PEER_SEND, .a = 10 },
		{ .op = PEER_DISCARD }, { 0 },
	};
	struct ktc_client_stats stats = { .size = sizeof(stats) };
	struct drive_conn c[IDLE_CONNS] = { 0 };
	size_t bytes, tables, i;

	if (!host_ktls())
		SKIP(return, "this kernel has no kTLS");
	self->client.policy = KTC_POLICY_ALWAYS;
	self->client.tickets_per_identity = 1;
	self->peer_opts.steps = variant->version == KTC_TLS1_2 ? script12 :
								 script;
	ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer));
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	for (i = 0; i < IDLE_CONNS; i++) {
		ASSERT_EQ(0, drive_connect_peer(&self->d, &c[i], self->peer,
						0));
		UNTIL(c[i].received || c[i].closed);
		ASSERT_EQ(KTC_PLANE_KERNEL, c[i].info.plane[KTC_TX]);
	}
	UNTIL_INSIDE(!self->d.loop->setup_pool.live);
	EXPECT_EQ(0, self->d.loop->ossl_pool.objects.live);
	EXPECT_EQ(0, self->d.loop->send_pool.live);
	EXPECT_EQ(0, self->d.loop->control_pool.live);
	EXPECT_EQ(IDLE_CONNS, self->d.loop->conn_pool.live);

	for (i = 0; i < IDLE_CONNS; i++)
		peer_go(self->peer);
	for (i = 0; i < IDLE_CONNS; i++) {
		UNTIL(c[i].received == 11 || c[i].closed);
		EXPECT_FALSE(c[i].closed) TH_LOG("%s", c[i].error.text);
	}
	ASSERT_EQ(0, ktc_client_stats(self->d.client, &stats));
	EXPECT_GE(1, stats.sessions);

	bytes = IDLE_CONNS * self->d.loop->conn_pool.obj_size;
	for (i = 0; i < IDLE_CONNS; i++) {
		bytes += malloc_usable_size(c[i].conn->alpn);
		bytes += malloc_usable_size(c[i].conn->hs.buf);
		EXPECT_EQ(NULL, c[i].conn->file);
	}
	bytes /= IDLE_CONNS;
	/* its places in the loop's tables: conns, free_slots, timers */
	tables = 2 * sizeof(void *) + sizeof(uint32_t);
	TH_LOG("an idle offloaded connection: %zu bytes, and %zu in tables",
	       bytes, tables);
	EXPECT_GT(IDLE_BYTES_MAX, bytes + tables);
}

TEST_HARNESS_MAIN
