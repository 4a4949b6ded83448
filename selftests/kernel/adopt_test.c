// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: a connection passes to its next owner, for both TLS versions:
 * in one process and to another one, with new keys afterwards, and with a
 * state that is not what it should be. Every byte is compared.
 */
#include <ktlsclient.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "certs.h"
#include "conn.h"
#include "drive.h"
#include "handover.h"
#include "host.h"
#include "loop.h"
#include "peer.h"
#include "state.h"
#include "sys.h"

#include "kselftest_harness.h"

#define MB (1u << 20)

FIXTURE(adopt)
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

FIXTURE_VARIANT(adopt)
{
	uint16_t version;
	enum ktc_policy policy;
};

FIXTURE_VARIANT_ADD(adopt, tls1_3)
{
	.version = KTC_TLS1_3,
	.policy = KTC_POLICY_ALWAYS,
};

FIXTURE_VARIANT_ADD(adopt, tls1_2)
{
	.version = KTC_TLS1_2,
	.policy = KTC_POLICY_ALWAYS,
};

/* Detached from the user plane, by way of the kernel's. */
FIXTURE_VARIANT_ADD(adopt, tls1_3_moved)
{
	.version = KTC_TLS1_3,
	.policy = KTC_POLICY_AUTO,
};

FIXTURE_VARIANT_ADD(adopt, tls1_2_moved)
{
	.version = KTC_TLS1_2,
	.policy = KTC_POLICY_AUTO,
};

FIXTURE_SETUP(adopt)
{
	if (!host_ktls())
		SKIP(return, "this kernel has no kTLS");
	ASSERT_EQ(0, certs_make_temp(self->dir));
	snprintf(self->ca, sizeof(self->ca), "%s/ca.pem", self->dir);
	self->client.size = sizeof(self->client);
	self->client.ca_file = self->ca;
	self->client.policy = variant->policy;
	self->client.alpn = "first,second";
	/* the move is the detach's, not the traffic's */
	self->client.auto_bytes = 1ull << 40;
	self->peer_opts.cert_dir = self->dir;
	self->peer_opts.alpn = "second";
	self->peer_opts.version_min = variant->version;
	self->peer_opts.version_max = variant->version;
	self->pattern = malloc(8 * MB);
	ASSERT_NE(NULL, self->pattern);
	peer_pattern_fill(self->pattern, 0, 8 * MB);
}

FIXTURE_TEARDOWN(adopt)
{
	drive_fini(&self->d);
	peer_stop(self->peer);
	if (self->c.fd > 0)
		(void)close(self->c.fd);
	if (self->dir[0])
		certs_remove(self->dir);
	free(self->pattern);
}

/* Runs the loop until it is so; an early end is a failure that is told. */
#define UNTIL(condition) \
	ASSERT_TRUE(DRIVE_UNTIL(&self->d, (condition) || self->c.closed) && \
		    (condition)) \
	TH_LOG("state %s, err %d %s, %llu received", self->c.info.state, \
	       self->c.err, self->c.error.text, \
	       (unsigned long long)self->c.received)

/* The same for what no event tells. */
#define UNTIL_INSIDE(condition) \
	ASSERT_TRUE(DRIVE_INSIDE(&self->d, condition))

#define SCRIPT(...) \
	static const struct peer_step script[] = { \
		{ .op = PEER_HANDSHAKE }, __VA_ARGS__, \
		{ .op = PEER_DISCARD }, { 0 }, \
	}

#define START() \
	do { \
		self->peer_opts.steps = script; \
		ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer)); \
		ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL)); \
		ASSERT_EQ(0, drive_connect_peer(&self->d, &self->c, \
						self->peer, \
						KTC_POLICY_DEFAULT)); \
		UNTIL(self->c.open); \
	} while (0)

#define DETACH() \
	do { \
		ASSERT_EQ(0, ktc_conn_detach(self->c.conn)); \
		ASSERT_TRUE(DRIVE_UNTIL(&self->d, self->c.closed)); \
		ASSERT_TRUE(self->c.detached) TH_LOG("%s", self->c.error.text);\
	} while (0)

/* In another loop, and as another client. */
#define ADOPT() \
	do { \
		drive_fini(&self->d); \
		ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL)); \
		ASSERT_EQ(0, drive_adopt(&self->d, &self->c, 0)); \
		UNTIL(self->c.open); \
	} while (0)

/* Both ways, from the bytes that have passed to as many in all. */
#define ECHO_TO(bytes) \
	do { \
		ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern + \
					   self->c.received, \
					   (bytes) - self->c.received, 0)); \
		UNTIL(self->c.received == (bytes)); \
		ASSERT_FALSE(self->c.mismatch); \
	} while (0)

#define CLOSE_IN_ORDER() \
	do { \
		ASSERT_EQ(0, ktc_conn_close(self->c.conn)); \
		UNTIL(self->c.closed); \
		EXPECT_FALSE(self->c.detached); \
		EXPECT_EQ(0, self->c.err) TH_LOG("%s", self->c.error.text); \
		ASSERT_EQ(0, peer_wait_done(self->peer, 0, &self->res)); \
		EXPECT_STREQ("", self->res.error); \
	} while (0)

static bool has_rekey(uint16_t version)
{
	return version == KTC_TLS1_3 && host_rekey();
}

#define NO_REKEY "TLS 1.2, or a kernel that cannot change keys"

/* ------------------------------------------------------------ going on -- */

TEST_F(adopt, goes_on_where_it_was)
{
	struct ktc_client_stats stats = { .size = sizeof(stats) };
	struct ktc_conn_info before;

	SCRIPT({ .op = PEER_ECHO });
	START();
	ECHO_TO(MB);
	DETACH();
	before = self->c.info;
	ADOPT();
	EXPECT_EQ(variant->version, self->c.info.version);
	EXPECT_STREQ(before.cipher, self->c.info.cipher);
	EXPECT_STREQ("second", self->c.info.alpn);
	EXPECT_TRUE(self->c.info.verified);
	EXPECT_FALSE(self->c.info.resumed);
	EXPECT_EQ(before.why_not_resumed, self->c.info.why_not_resumed);
	EXPECT_EQ(KTC_PLANE_KERNEL, self->c.info.plane[KTC_RX]);
	EXPECT_EQ(KTC_PLANE_KERNEL, self->c.info.plane[KTC_TX]);
	EXPECT_EQ(KTC_WHY_NOTHING, self->c.info.why_not_kernel[KTC_TX]);
	EXPECT_EQ(MB, self->c.info.bytes[KTC_RX]);
	EXPECT_EQ(MB, self->c.info.bytes[KTC_TX]);
	EXPECT_EQ(before.records[KTC_RX], self->c.info.records[KTC_RX]);
	EXPECT_EQ(before.records[KTC_TX], self->c.info.records[KTC_TX]);
	EXPECT_EQ(before.connect_us, self->c.info.connect_us);
	EXPECT_EQ(before.handshake_us, self->c.info.handshake_us);
	EXPECT_EQ(before.tickets, self->c.info.tickets);
	EXPECT_STREQ("open", self->c.info.state);
	EXPECT_LT(0, self->c.info.addr_len);
	ECHO_TO(3 * MB);
	drive_info(&self->c);
	EXPECT_EQ(3 * MB, self->c.info.bytes[KTC_RX]);
	ASSERT_EQ(0, ktc_client_stats(self->d.client, &stats));
	EXPECT_EQ(1, stats.adopted);
	EXPECT_EQ(0, stats.handshakes_full + stats.handshakes_resumed);
	CLOSE_IN_ORDER();
	EXPECT_TRUE(self->res.close_notify);
	EXPECT_EQ(3 * MB, self->res.bytes_received);
}

TEST_F(adopt, goes_on_again_and_again)
{
	unsigned int i;

	SCRIPT({ .op = PEER_ECHO });
	START();
	for (i = 1; i <= 4; i++) {
		ECHO_TO(i * 300000);
		DETACH();
		ADOPT();
	}
	ECHO_TO(5 * 300000);
	EXPECT_EQ(5 * 300000, self->res.bytes_received + 5 * 300000);
	CLOSE_IN_ORDER();
	EXPECT_EQ(5 * 300000, self->res.bytes_received);
}

/* It takes every call as soon as it is there, and DATA comes behind OPEN. */
TEST_F(adopt, is_open_at_once)
{
	struct ktc_event ev;

	SCRIPT({ .op = PEER_ECHO });
	START();
	ECHO_TO(1000);
	DETACH();
	ASSERT_EQ(0, drive_adopt(&self->d, &self->c, KTC_CONN_RECV_PAUSED));
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern + 1000, 1000,
				   0));
	ASSERT_EQ(1, ktc_loop_events(self->d.loop, &ev, 1, DRIVE_STEP_MS));
	EXPECT_EQ(KTC_EV_OPEN, ev.type);
	drive_event(self->d.loop, &ev);
	UNTIL(self->c.sent == 2);
	EXPECT_EQ(1000, self->c.received); /* paused, as asked for */
	ASSERT_EQ(0, ktc_conn_recv_resume(self->c.conn));
	UNTIL(self->c.received == 2000);
	CLOSE_IN_ORDER();
}

/* What came while nobody owned it waits in the socket. */
TEST_F(adopt, finds_what_came_meanwhile)
{
	SCRIPT({ .op = PEER_RECV, .a = 1000 }, { .op = PEER_BARRIER },
	       { .op = PEER_SEND, .a = 100000 });
	START();
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, 1000, 0));
	DETACH();
	peer_go(self->peer);
	drive_fini(&self->d);
	ADOPT();
	UNTIL(self->c.received == 100000);
	EXPECT_FALSE(self->c.mismatch);
	CLOSE_IN_ORDER();
}

TEST_F(adopt, carries_the_servers_end)
{
	SCRIPT({ .op = PEER_BARRIER }, { .op = PEER_SEND, .a = 1000 },
	       { .op = PEER_CLOSE_NOTIFY },
	       { .op = PEER_RECV, .a = 5000 });

	if (variant->policy == KTC_POLICY_AUTO)
		SKIP(return, "after the server's end nothing moves any more");
	START();
	peer_go(self->peer);
	UNTIL(self->c.eof);
	DETACH();
	ADOPT();
	UNTIL(self->c.eof); /* it is told again */
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, 5000, 0));
	CLOSE_IN_ORDER();
	EXPECT_TRUE(self->res.close_notify);
	EXPECT_EQ(1000, self->c.received);
}

TEST_F(adopt, closes_aborts_and_ends_with_its_loop)
{
	SCRIPT({ .op = PEER_ECHO });
	START();
	ECHO_TO(1000);
	DETACH();
	ADOPT();
	ktc_conn_abort(self->c.conn);
	UNTIL(self->c.closed);
	EXPECT_EQ(-KTC_E_CANCELED, self->c.err);
	EXPECT_EQ(0, self->d.loop->conn_pool.live);
	memset(&self->c, 0, sizeof(self->c));
	ASSERT_EQ(0, drive_connect_peer(&self->d, &self->c, self->peer, 0));
	UNTIL(self->c.open);
	DETACH();
	ASSERT_EQ(0, drive_adopt(&self->d, &self->c, 0));
	/* drive_fini() does the rest, and asan looks at it */
}

/* -------------------------------------------------------- another process */

static int fd_send(int sock, int fd, const void *bytes, size_t len)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)bytes, .iov_len = len };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	return sendmsg(sock, &msg, 0) == (ssize_t)len ? 0 : -1;
}

/* The descriptor, or -1. */
static int fd_receive(int sock, void *bytes, size_t room, size_t *len)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = bytes, .iov_len = room };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	ssize_t n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int fd;

	if (n <= 0 || !cmsg || cmsg->cmsg_type != SCM_RIGHTS)
		return -1;
	*len = (size_t)n;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(int));
	return fd;
}

/*
 * A process that has nothing of ours: it adopts what it is sent, goes on from
 * byte from to byte to, closes, and says with its exit how it went.
 */
static int successor(int sock, const struct ktc_client_opts *client,
		     const uint8_t *pattern, uint64_t from, uint64_t to)
{
	struct drive_conn c = { .received = from };
	struct drive d;

	c.fd = fd_receive(sock, c.state, sizeof(c.state), &c.state_len);
	if (c.fd < 0 || drive_init(&d, client, NULL) ||
	    drive_adopt(&d, &c, 0))
		return 1;
	if (ktc_conn_send(c.conn, pattern + from, to - from, 0) ||
	    !DRIVE_UNTIL(&d, c.received == to || c.closed) || c.mismatch)
		return 2;
	if (c.closed || ktc_conn_close(c.conn) ||
	    !DRIVE_UNTIL(&d, c.closed) || c.err)
		return 3;
	drive_fini(&d);
	return 0;
}

TEST_F(adopt, outlives_its_process)
{
	int socks[2], status;
	pid_t pid;

	SCRIPT({ .op = PEER_ECHO });
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
				socks));
	pid = fork(); /* while there is no thread yet */
	ASSERT_LE(0, pid);
	if (!pid) {
		(void)close(socks[0]);
		_exit(successor(socks[1], &self->client, self->pattern,
				2 * MB, 5 * MB));
	}
	(void)close(socks[1]);
	START();
	ECHO_TO(2 * MB);
	DETACH();
	ASSERT_EQ(0, fd_send(socks[0], self->c.fd, self->c.state,
			     self->c.state_len));
	/* the first owner leaves nothing that keeps it alive */
	(void)close(self->c.fd);
	self->c.fd = -1;
	drive_fini(&self->d);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	(void)close(socks[0]);
	ASSERT_EQ(0, peer_wait_done(self->peer, 0, &self->res));
	EXPECT_STREQ("", self->res.error);
	EXPECT_EQ(5 * MB, self->res.bytes_received);
	EXPECT_TRUE(self->res.close_notify);
}

/* ------------------------------------------------------- keys, tickets -- */

TEST_F(adopt, follows_the_servers_key_updates)
{
	SCRIPT({ .op = PEER_SEND, .a = 1000 },
	       { .op = PEER_KEY_UPDATE, .b = 1 },
	       { .op = PEER_WAIT_KEY_UPDATE }, { .op = PEER_SEND, .a = 1000 },
	       { .op = PEER_BARRIER }, { .op = PEER_KEY_UPDATE, .b = 1 },
	       { .op = PEER_WAIT_KEY_UPDATE, .a = 2 },
	       { .op = PEER_SEND, .a = 1000 });
	if (!has_rekey(variant->version))
		SKIP(return, NO_REKEY);
	START();
	UNTIL(self->c.received == 2000);
	DETACH(); /* in the second generation of keys */
	ADOPT();
	EXPECT_EQ(1, self->c.info.rekeys[KTC_RX]);
	peer_go(self->peer);
	UNTIL(self->c.received == 3000);
	CLOSE_IN_ORDER();
	EXPECT_EQ(2, self->c.info.rekeys[KTC_RX]);
	EXPECT_EQ(2, self->c.info.rekeys[KTC_TX]);
	EXPECT_EQ(2, self->res.key_updates_received);
}

TEST_F(adopt, changes_its_own_keys)
{
	SCRIPT({ .op = PEER_WAIT_KEY_UPDATE, .a = 2 }, { .op = PEER_ECHO });
	if (!has_rekey(variant->version))
		SKIP(return, NO_REKEY);
	START();
	ASSERT_EQ(0, ktc_conn_rekey(self->c.conn, false));
	UNTIL(self->c.rekeyed[KTC_TX] == 1);
	DETACH();
	ADOPT();
	ASSERT_EQ(0, ktc_conn_rekey(self->c.conn, true));
	ECHO_TO(100000); /* the peer answers with its next data */
	UNTIL(self->c.rekeyed[KTC_TX] == 2 && self->c.rekeyed[KTC_RX]);
	CLOSE_IN_ORDER();
	EXPECT_EQ(2, self->c.info.rekeys[KTC_TX]);
}

TEST_F(adopt, keeps_the_limit_of_records)
{
	SCRIPT({ .op = PEER_ECHO });
	if (!has_rekey(variant->version))
		SKIP(return, NO_REKEY);
	START();
	ECHO_TO(MB);
	DETACH();
	drive_fini(&self->d);
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	/* below what the kernel has counted already */
	self->d.client->records_max = 40;
	ASSERT_EQ(0, drive_adopt(&self->d, &self->c, 0));
	ECHO_TO(MB + 100000);
	UNTIL(self->c.rekeyed[KTC_TX] && self->c.rekeyed[KTC_RX]);
	CLOSE_IN_ORDER();
}

/* Whole ones, and one of which a part came before. */
TEST_F(adopt, leaves_tickets_alone)
{
	struct ktc_client_stats stats = { .size = sizeof(stats) };

	SCRIPT({ .op = PEER_SEND, .a = 1000 }, { .op = PEER_BARRIER },
	       { .op = PEER_HOLD }, { .op = PEER_TICKET_SPLIT, .a = 3, .b = 2 },
	       /* a header, two bytes, their type, a tag */
	       { .op = PEER_RELEASE, .a = 5 + 2 + 1 + 16 },
	       { .op = PEER_BARRIER }, { .op = PEER_RELEASE },
	       { .op = PEER_TICKETS, .a = 5 }, { .op = PEER_SEND, .a = 1000 });
	if (variant->version == KTC_TLS1_2)
		SKIP(return, "TLS 1.2 has its ticket in the handshake");
	self->peer_opts.tickets = PEER_NO_TICKETS;
	START();
	UNTIL(self->c.received == 1000);
	ASSERT_EQ(0, ktc_conn_offload(self->c.conn));
	UNTIL_INSIDE(self->c.conn->kernel[KTC_TX]);
	peer_go(self->peer);
	UNTIL_INSIDE(self->c.conn->hs.len == 2);
	DETACH();
	ADOPT();
	peer_go(self->peer);
	UNTIL(self->c.received == 2000);
	EXPECT_EQ(0, self->c.tickets);
	EXPECT_EQ(0, self->c.conn->hs.len);
	ASSERT_EQ(0, ktc_client_stats(self->d.client, &stats));
	EXPECT_EQ(0, stats.gives);
	CLOSE_IN_ORDER();
}

/* -------------------------------------------------------- what is refused */

#define ADOPTED(fd, state, len) \
	ktc_conn_adopt(self->d.loop, self->d.client, fd, state, len, NULL, NULL)

/* It was refused, and nothing has become of the descriptor. */
#define REFUSED(err, fd, state, len) \
	EXPECT_EQ(err, ADOPTED(fd, state, len))

TEST_F(adopt, refuses_every_other_state)
{
	struct state state;
	size_t i;

	SCRIPT({ .op = PEER_ECHO });
	START();
	ECHO_TO(1000);
	DETACH();
	ASSERT_EQ(sizeof(state), self->c.state_len);
	ASSERT_EQ(0, fcntl(self->c.fd, F_SETFL, O_NONBLOCK));
	for (i = 0; i < self->c.state_len; i++)
		REFUSED(-KTC_E_ADOPT, self->c.fd, self->c.state, i);
	REFUSED(-KTC_E_ADOPT, self->c.fd, self->c.state, sizeof(state) + 1);
	for (i = 0; i < 8 * sizeof(state); i++) {
		self->c.state[i / 8] ^= 1 << i % 8;
		REFUSED(-KTC_E_ADOPT, self->c.fd, self->c.state,
			sizeof(state));
		self->c.state[i / 8] ^= 1 << i % 8;
	}
	EXPECT_EQ(0, self->d.loop->nr_conns);
	EXPECT_EQ(0, self->d.loop->conn_pool.live);
	/* the caller's as it was: and the right one is still taken */
	EXPECT_TRUE(fcntl(self->c.fd, F_GETFL) & O_NONBLOCK);
	ADOPT();
	ECHO_TO(2000);
	CLOSE_IN_ORDER();
}

/*
 * Who has the keys can make a state that fits them. It is refused, or makes a
 * connection that can be let go of; never worse.
 */
TEST_F(adopt, survives_every_forged_byte)
{
	static const uint8_t flips[] = { 0x01, 0x80, 0xff };
	union suite_crypto_info info[2];
	const struct suite *suite;
	struct drive_conn good;
	struct state state;
	unsigned int taken = 0;
	size_t i, n;
	int err;

	SCRIPT({ .op = PEER_ECHO });
	START();
	ECHO_TO(1000);
	suite = self->c.conn->suite;
	DETACH();
	good = self->c;
	ASSERT_EQ(0, handover_get(good.fd, suite, info));
	for (i = 0; i < offsetof(struct state, sum); i++) {
		for (n = 0; n < sizeof(flips); n++) {
			memcpy(&state, good.state, sizeof(state));
			((uint8_t *)&state)[i] ^= flips[n];
			if (!state_suite(&state))
				continue;
			ASSERT_EQ(0, state_seal(&state, info));
			memcpy(self->c.state, &state, sizeof(state));
			err = drive_adopt(&self->d, &self->c, 0);
			if (err) {
				EXPECT_TRUE(err == -KTC_E_ADOPT ||
					    err == -KTC_E_POLICY)
				TH_LOG("%d at %zu", err, i);
				continue;
			}
			taken++;
			DETACH();
			ASSERT_LE(0, self->c.fd);
		}
	}
	EXPECT_LT(0, taken); /* counts, for one */
	memcpy(self->c.state, good.state, sizeof(state));
	ADOPT();
	ECHO_TO(2000);
	CLOSE_IN_ORDER();
}

TEST_F(adopt, refuses_what_is_not_its_socket)
{
	int pair[2], unix_pair[2], udp, unconnected, pipes[2];
	const struct drive_conn *c = &self->c;
	struct drive_conn other = { 0 };

	SCRIPT({ .op = PEER_ECHO });
	START();
	ECHO_TO(1000);
	DETACH();
	ASSERT_EQ(0, drive_connect_peer(&self->d, &other, self->peer, 0));
	ASSERT_TRUE(DRIVE_UNTIL(&self->d, other.open));
	ASSERT_EQ(0, ktc_conn_detach(other.conn));
	ASSERT_TRUE(DRIVE_UNTIL(&self->d, other.detached));
	ASSERT_EQ(0, host_tcp_pair(pair));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, unix_pair));
	ASSERT_EQ(0, pipe(pipes));
	udp = socket(AF_INET, SOCK_DGRAM, 0);
	unconnected = socket(AF_INET, SOCK_STREAM, 0);

	REFUSED(-EBADF, -1, c->state, c->state_len);
	REFUSED(-ENOTSOCK, pipes[0], c->state, c->state_len);
	REFUSED(-KTC_E_ADOPT, udp, c->state, c->state_len);
	REFUSED(-ENOTCONN, unconnected, c->state, c->state_len);
	REFUSED(-KTC_E_ADOPT, unix_pair[0], c->state, c->state_len);
	REFUSED(-KTC_E_ADOPT, pair[0], c->state, c->state_len);
	REFUSED(-KTC_E_ADOPT, c->fd, other.state, other.state_len);
	REFUSED(-KTC_E_ADOPT, other.fd, c->state, c->state_len);
	/* with the ULP, and without keys */
	ASSERT_EQ(0, setsockopt(pair[0], IPPROTO_TCP, TCP_ULP, "tls", 3));
	REFUSED(-KTC_E_ADOPT, pair[0], c->state, c->state_len);
	EXPECT_EQ(0, self->d.loop->nr_conns);

	(void)close(pair[0]);
	(void)close(pair[1]);
	(void)close(unix_pair[0]);
	(void)close(unix_pair[1]);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
	(void)close(udp);
	(void)close(unconnected);
	(void)close(other.fd);
	ADOPT();
	ECHO_TO(2000);
	CLOSE_IN_ORDER();
}

TEST_F(adopt, refuses_what_the_client_would_not_have)
{
	struct ktc_client_opts opts = self->client;
	struct ktc_conn_opts never = {
		.size = sizeof(never), .policy = KTC_POLICY_NEVER,
	};

	SCRIPT({ .op = PEER_ECHO });
	opts.flags = KTC_CLIENT_INSECURE_NO_VERIFY;
	self->peer_opts.steps = script;
	ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer));
	ASSERT_EQ(0, drive_init(&self->d, &opts, NULL));
	ASSERT_EQ(0, drive_connect_peer(&self->d, &self->c, self->peer, 0));
	UNTIL(self->c.open);
	ECHO_TO(1000);
	DETACH();

	EXPECT_EQ(-KTC_E_POLICY,
		  ktc_conn_adopt(self->d.loop, self->d.client, self->c.fd,
				 self->c.state, self->c.state_len, &never,
				 NULL));
	drive_fini(&self->d);
	/* one that verifies */
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	REFUSED(-KTC_E_POLICY, self->c.fd, self->c.state, self->c.state_len);
	drive_fini(&self->d);
	/* one of the other TLS version */
	opts.version_min = opts.version_max =
		variant->version == KTC_TLS1_3 ? KTC_TLS1_2 : KTC_TLS1_3;
	ASSERT_EQ(0, drive_init(&self->d, &opts, NULL));
	REFUSED(-KTC_E_POLICY, self->c.fd, self->c.state, self->c.state_len);
	/* one like the first */
	self->client.flags = KTC_CLIENT_INSECURE_NO_VERIFY;
	ADOPT();
	EXPECT_FALSE(self->c.info.verified);
	ECHO_TO(2000);
	CLOSE_IN_ORDER();
}

TEST_F(adopt, refuses_when_there_is_no_room)
{
	const struct ktc_loop_opts one = {
		.size = sizeof(one), .conns_max = 1,
	};
	struct drive_conn other = { 0 };

	SCRIPT({ .op = PEER_ECHO });
	START();
	DETACH();
	drive_fini(&self->d);
	ASSERT_EQ(0, drive_init(&self->d, &self->client, &one));
	ASSERT_EQ(0, drive_connect_peer(&self->d, &other, self->peer, 0));
	REFUSED(-EAGAIN, self->c.fd, self->c.state, self->c.state_len);
	ADOPT();
	ECHO_TO(1000);
	CLOSE_IN_ORDER();
}

/* The socket's peer has left: there is nothing to adopt any more. */
TEST_F(adopt, refuses_a_socket_that_was_reset)
{
	SCRIPT({ .op = PEER_RECV, .a = 1 }, { .op = PEER_RST });
	struct pollfd at = { 0 };

	START();
	DETACH();
	ASSERT_EQ(1, write(self->c.fd, self->pattern, 1));
	at.fd = self->c.fd;
	at.events = POLLHUP;
	ASSERT_EQ(1, poll(&at, 1, DRIVE_STEP_MS));
	REFUSED(-ENOTCONN, self->c.fd, self->c.state, self->c.state_len);
}

/* ------------------------------------------------------------- secrets -- */

TEST_F(adopt, leaves_no_state_behind)
{
	uint8_t zeros[sizeof(struct state)] = { 0 };
	const uint8_t *lent = NULL;
	struct ktc_event ev;

	SCRIPT({ .op = PEER_ECHO });
	START();
	ASSERT_EQ(0, ktc_conn_detach(self->c.conn));
	while (!self->c.closed) {
		ASSERT_EQ(1, ktc_loop_events(self->d.loop, &ev, 1,
					     DRIVE_STEP_MS));
		if (ev.type == KTC_EV_DETACHED)
			lent = ev.data;
		drive_event(self->d.loop, &ev);
		EXPECT_EQ(NULL, ev.data);
	}
	ASSERT_NE(NULL, lent);
	EXPECT_EQ(0, self->d.loop->state_pool.live);
	/* the pool keeps the memory, with a link of its own in front */
	EXPECT_EQ(0, memcmp(lent + sizeof(void *), zeros,
			    sizeof(zeros) - sizeof(void *)));
	EXPECT_GE(KTC_STATE_LEN_MAX, self->c.state_len);
}

TEST_HARNESS_MAIN
