// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: a connection is taken out of its relay in mid-transfer, adopted
 * by another loop and relayed on, for each TLS version, lane and kind of plain
 * socket. Every byte is compared; what cannot leave goes on. On a kernel
 * without kTLS nearly all of it is skipped, without ktlsclient.ko the module's
 * variants.
 */
#include <ktlsclient.h>

#include <errno.h>
#include <linux/tls.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "certs.h"
#include "conn.h"
#include "drive.h"
#include "host.h"
#include "loop.h"
#include "peer.h"
#include "plain.h"
#include "probe.h"
#include "relay.h"
#include "sys.h"

#include "kselftest_harness.h"

#define MB (1u << 20)

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

FIXTURE(leave)
{
	char dir[CERTS_DIR_MAX];
	char ca[CERTS_DIR_MAX + 16];
	struct ktc_client_opts client;
	struct peer_opts peer_opts;
	struct peer *peer;
	struct drive d;
	struct drive_conn c;
	struct peer_result res;
	struct plain_opts plain_opts;
	struct plain plain;
	uint64_t moved[2];	/* by the relays that are over */
};

FIXTURE_VARIANT(leave)
{
	uint16_t version;
	enum ktc_policy policy;
	enum ktc_lane lane;
	bool unix_socket;
};

#define VARIANT(v, from, p, l, s) \
	FIXTURE_VARIANT_ADD(leave, tls1_##v##_##from##_##s) \
	{ \
		.version = KTC_TLS1_##v, \
		.policy = KTC_POLICY_##p, \
		.lane = KTC_LANE_##l, \
		.unix_socket = s, \
	}

enum { tcp, unix_ };

/* not every one of each: it takes minutes in an emulated guest */
VARIANT(3, kernel, ALWAYS, LOOP, tcp);
VARIANT(2, kernel, ALWAYS, LOOP, unix_);
/* relayed by OpenSSL, until it is to leave */
VARIANT(3, user, AUTO, LOOP, tcp);
VARIANT(3, module, ALWAYS, MODULE, tcp);
VARIANT(2, module, ALWAYS, MODULE, unix_);

FIXTURE_SETUP(leave)
{
	/* the run with the module comes beside one without, and has no time */
	if (variant->lane != KTC_LANE_MODULE && getenv("KTC_TEST_MODULE"))
		SKIP(return, "the run without the module shows it");
	/* only the kernel's keys can be left behind; one test has none */
	if (!host_ktls() && (variant->policy == KTC_POLICY_ALWAYS ||
			     strcmp(_metadata->name, "goes_on_without_keys")))
		SKIP(return, "this kernel has no kTLS");
	if (variant->lane == KTC_LANE_MODULE &&
	    access("/dev/ktlsclient", R_OK | W_OK))
		SKIP(return, "ktlsclient.ko is not loaded");
	ASSERT_EQ(0, certs_make_temp(self->dir));
	snprintf(self->ca, sizeof(self->ca), "%s/ca.pem", self->dir);
	self->client.size = sizeof(self->client);
	self->client.ca_file = self->ca;
	self->client.policy = variant->policy;
	self->client.auto_bytes = 1ull << 40;
	/* an emulated guest is slow to take what is held */
	self->client.close_timeout_ms = 60000;
	self->peer_opts.cert_dir = self->dir;
	self->peer_opts.version_min = variant->version;
	self->peer_opts.version_max = variant->version;
	self->peer_opts.timeout_ms = PLAIN_WAIT_MS;
	self->plain_opts.unix_socket = variant->unix_socket;
	self->plain.fd = self->plain.far = -1;
	self->plain.wake[0] = self->plain.wake[1] = -1;
}

FIXTURE_TEARDOWN(leave)
{
	drive_fini(&self->d);
	if (self->c.fd > 0)
		(void)close(self->c.fd);
	plain_quit(&self->plain);
	plain_stop(&self->plain);
	peer_stop(self->peer);
	if (self->dir[0])
		certs_remove(self->dir);
}

/* Runs the loop until it is so; an early end is a failure that is told. */
#define UNTIL(condition) \
	ASSERT_TRUE(DRIVE_UNTIL(&self->d, (condition) || self->c.closed) && \
		    (condition)) \
	TH_LOG("state %s, err %d %s, relay end %d err %d, stays %u err %d", \
	       self->c.info.state, self->c.err, self->c.error.text, \
	       self->c.relay_end, self->c.relay_err, self->c.stays, \
	       self->c.stay_err)

/* The same for what no event tells; it comes within DRIVE_STEP_MS. */
#define UNTIL_INSIDE(condition) \
	ASSERT_TRUE(DRIVE_INSIDE(&self->d, condition))

#define FLAGS (variant->lane == KTC_LANE_LOOP ? KTC_RELAY_LOOP : 0)

#define START(...) \
	do { \
		const struct peer_step script_[] = { \
			{ .op = PEER_HANDSHAKE }, { .op = PEER_BARRIER }, \
			__VA_ARGS__, { 0 }, \
		}; \
		\
		self->peer_opts.steps = script_; \
		ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer)); \
		ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL)); \
		ASSERT_EQ(0, drive_connect_peer(&self->d, &self->c, \
						self->peer, \
						KTC_POLICY_DEFAULT)); \
		UNTIL(self->c.open); \
		ASSERT_EQ(0, plain_start(&self->plain_opts, &self->plain)); \
	} while (0)

#define RELAY() \
	do { \
		ASSERT_EQ(0, ktc_relay(self->c.conn, self->plain.fd, FLAGS)); \
		if (variant->lane == KTC_LANE_MODULE) \
			UNTIL_INSIDE(self->c.relayed || \
				     relay_has_module(self->c.conn->relay)); \
	} while (0)

static void moved_on(FIXTURE_DATA(leave) * self)
{
	self->moved[KTC_RX] += self->c.moved[KTC_RX];
	self->moved[KTC_TX] += self->c.moved[KTC_TX];
}

/* Asked for; an end that came before it is told. */
#define DETACH() \
	ASSERT_EQ(0, ktc_conn_detach(self->c.conn)) \
	TH_LOG("eof %d, state %d, err %d, relay end %d, plain err %d", \
	       self->c.conn->eof, self->c.conn->state, \
	       self->c.conn->err, self->c.conn->relay ? \
	       self->c.conn->relay->end : -1, self->plain.err)

/* RELAYED and, with nothing between them, DETACHED. */
#define LEFT() \
	do { \
		UNTIL(self->c.closed); \
		ASSERT_TRUE(self->c.detached) \
			TH_LOG("%d %s", self->c.err, self->c.error.text); \
		EXPECT_EQ(0, self->c.stays); \
		EXPECT_EQ(1, self->c.relays); \
		EXPECT_EQ(KTC_END_STOPPED, self->c.relay_end); \
		EXPECT_EQ(0, self->c.relay_err); \
		EXPECT_EQ(0, self->c.received); \
		EXPECT_EQ(0, self->d.loop->relay_bufs); \
		EXPECT_EQ(0, self->d.loop->ring.bufs_out); \
		moved_on(self); \
	} while (0)

#define LEAVE() \
	do { \
		DETACH(); \
		LEFT(); \
	} while (0)

/* The plain side says its last word: not before, or all would be over. */
#define PLAIN_ENDS() ASSERT_EQ(0, shutdown(self->plain.far, SHUT_WR))

/* Another loop, another client, the same two sockets. */
#define ADOPT() \
	do { \
		drive_fini(&self->d); \
		ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL)); \
		ASSERT_EQ(0, drive_adopt(&self->d, &self->c, \
					 KTC_CONN_RECV_PAUSED)); \
		self->c.relays = 0; \
	} while (0)

#define RELAY_ON() \
	do { \
		ADOPT(); \
		RELAY(); \
	} while (0)

/* Both sides have ended, and so many bytes have passed in all. */
#define DONE(down, up) \
	do { \
		UNTIL(self->c.relayed); \
		EXPECT_EQ(KTC_END_DONE, self->c.relay_end); \
		EXPECT_EQ(0, self->c.relay_err); \
		moved_on(self); \
		EXPECT_EQ(down, self->moved[KTC_RX]); \
		EXPECT_EQ(up, self->moved[KTC_TX]); \
		ASSERT_FALSE(self->c.closed); \
		ASSERT_EQ(0, ktc_conn_close(self->c.conn)); \
		UNTIL(self->c.closed); \
		EXPECT_FALSE(self->c.detached); \
		EXPECT_EQ(0, self->c.err) TH_LOG("%s", self->c.error.text); \
		ASSERT_EQ(0, peer_wait_done(self->peer, 0, &self->res)); \
		ASSERT_STREQ("", self->res.error); \
		EXPECT_EQ(up, self->res.bytes_received); \
		EXPECT_TRUE(self->res.close_notify); \
		plain_stop(&self->plain); \
		EXPECT_EQ(down, self->plain.got); \
		EXPECT_FALSE(self->plain.mismatch); \
		EXPECT_TRUE(self->plain.eof); \
		EXPECT_EQ(0, self->plain.err); \
	} while (0)

/* --------------------------------------------------------- passed on -- */

TEST_F(leave, in_mid_transfer_both_ways)
{
	const uint32_t at[] = { 100000, 500000, MB };
	unsigned int i;

	self->plain_opts.send = 3 * MB;
	self->plain_opts.buffer = 65536;
	START({ .op = PEER_ECHO }, { .op = PEER_CLOSE_NOTIFY });
	RELAY();
	peer_go(self->peer);
	for (i = 0; i < 3; i++) {
		UNTIL_INSIDE(self->plain.got > at[i]);
		LEAVE();
		EXPECT_EQ(variant->lane, self->c.moved_by);
		RELAY_ON();
	}
	UNTIL_INSIDE(self->plain.sent == 3 * MB);
	PLAIN_ENDS();
	DONE(3 * MB, 3 * MB);
}

/* Whenever it comes, as soon as it has begun. */
TEST_F(leave, at_any_moment)
{
	unsigned int i;

	self->plain_opts.send = 2 * MB;
	self->plain_opts.buffer = 65536;
	START({ .op = PEER_ECHO }, { .op = PEER_CLOSE_NOTIFY });
	RELAY();
	peer_go(self->peer);
	for (i = 0; i < 12; i++) {
		UNTIL_INSIDE(self->plain.got > i * 50000);
		LEAVE();
		RELAY_ON();
	}
	UNTIL_INSIDE(self->plain.sent == 2 * MB);
	PLAIN_ENDS();
	DONE(2 * MB, 2 * MB);
}

TEST_F(leave, when_nothing_moves)
{
	START({ .op = PEER_ECHO }, { .op = PEER_CLOSE_NOTIFY });
	RELAY();
	LEAVE();
	RELAY_ON();
	peer_go(self->peer);
	PLAIN_ENDS();
	DONE(0, 0);
}

TEST_F(leave, with_single_bytes)
{
	unsigned int i;

	self->plain_opts.send = 3000;
	self->plain_opts.piece = 1;
	self->plain_opts.sip = 1;
	START({ .op = PEER_ECHO }, { .op = PEER_CLOSE_NOTIFY });
	RELAY();
	peer_go(self->peer);
	for (i = 1; i <= 4; i++) {
		UNTIL_INSIDE(self->plain.got > i * 400);
		LEAVE();
		RELAY_ON();
	}
	UNTIL_INSIDE(self->plain.sent == 3000);
	PLAIN_ENDS();
	DONE(3000, 3000);
}

/* The sides send more than anyone takes while it leaves. */
TEST_F(leave, with_both_sides_full)
{
	self->plain_opts.send = 4 * MB;
	self->plain_opts.buffer = 65536;
	self->peer_opts.rcvbuf = 65536;
	START({ .op = PEER_RECV, .a = MB }, { .op = PEER_SEND, .a = 3 * MB },
	      { .op = PEER_RECV, .a = 3 * MB }, { .op = PEER_SEND, .a = MB },
	      { .op = PEER_DISCARD }, { .op = PEER_CLOSE_NOTIFY });
	RELAY();
	peer_go(self->peer);
	UNTIL_INSIDE(self->plain.got > MB);
	LEAVE();
	RELAY_ON();
	UNTIL_INSIDE(self->plain.sent == 4 * MB);
	PLAIN_ENDS();
	DONE(4 * MB, 4 * MB);
}

TEST_F(leave, over_key_updates)
{
	if (variant->version == KTC_TLS1_2)
		SKIP(return, "TLS 1.2 has no KeyUpdate");
	if (!host_rekey())
		SKIP(return, "this kernel cannot change keys");
	self->plain_opts.send = 2 * MB;
	START({ .op = PEER_SEND, .a = 300000 },
	      { .op = PEER_KEY_UPDATE, .b = 1 },
	      { .op = PEER_SEND, .a = 300000 },
	      { .op = PEER_WAIT_KEY_UPDATE, .a = 1 },
	      { .op = PEER_KEY_UPDATE, .b = 1 },
	      { .op = PEER_SEND, .a = 300000 },
	      { .op = PEER_WAIT_KEY_UPDATE, .a = 2 },
	      { .op = PEER_KEY_UPDATE }, { .op = PEER_SEND, .a = 300000 },
	      { .op = PEER_DISCARD }, { .op = PEER_CLOSE_NOTIFY });
	RELAY();
	peer_go(self->peer);
	UNTIL_INSIDE(self->plain.got > 100000);
	LEAVE();
	RELAY_ON();
	UNTIL_INSIDE(self->plain.got > 700000);
	LEAVE();
	RELAY_ON();
	UNTIL_INSIDE(self->plain.got == 1200000);
	LEAVE();
	EXPECT_EQ(3, self->c.info.rekeys[KTC_RX]);
	EXPECT_EQ(2, self->c.info.rekeys[KTC_TX]);
	RELAY_ON();
	UNTIL_INSIDE(self->plain.sent == 2 * MB);
	PLAIN_ENDS();
	DONE(1200000, 2 * MB);
}

/* The plain side's end has passed: one close_notify, and no second one. */
TEST_F(leave, after_the_plain_side_has_ended)
{
	uint64_t records = 0;

	self->plain_opts.send = 1000;
	self->plain_opts.shut = true;
	/* the server answers when it has read our end */
	START({ .op = PEER_DISCARD }, { .op = PEER_SEND, .a = 300000 },
	      { .op = PEER_BARRIER },
	      { .op = PEER_SEND, .a = 300000 }, { .op = PEER_CLOSE_NOTIFY });
	RELAY();
	if (variant->policy == KTC_POLICY_AUTO) {
		UNTIL_INSIDE(self->c.conn->close_notify_sent);
		EXPECT_EQ(-KTC_E_UNSUPPORTED, ktc_conn_detach(self->c.conn));
	}
	peer_go(self->peer);
	UNTIL_INSIDE(self->plain.got == 300000);
	if (variant->policy != KTC_POLICY_AUTO) {
		LEAVE();
		records = self->c.info.records[KTC_TX];
		ADOPT(); /* the module takes no half of a relay */
		EXPECT_EQ(-KTC_E_STATE, ktc_conn_send(self->c.conn, "x", 1, 0));
		ASSERT_EQ(0, ktc_relay(self->c.conn, self->plain.fd, FLAGS));
	}
	peer_go(self->peer);
	DONE(600000, 1000);
	if (records)
		EXPECT_EQ(records, self->c.info.records[KTC_TX]);
}

/* --------------------------------------------------------- not passed -- */

TEST_F(leave, is_refused_when_the_server_has_ended)
{
	self->plain_opts.send = 16 * MB;
	self->plain_opts.shut = true;
	self->peer_opts.rcvbuf = 65536;
	START({ .op = PEER_SEND, .a = 1000 }, { .op = PEER_CLOSE_NOTIFY },
	      { .op = PEER_BARRIER }, { .op = PEER_RECV, .a = 16 * MB },
	      { .op = PEER_DISCARD });
	RELAY();
	peer_go(self->peer);
	UNTIL_INSIDE(self->plain.eof);
	if (variant->lane == KTC_LANE_LOOP) {
		EXPECT_EQ(-KTC_E_STATE, ktc_conn_detach(self->c.conn));
	} else { /* the module knows, and is to be asked */
		DETACH();
		UNTIL(self->c.stays);
		EXPECT_EQ(-KTC_E_STATE, self->c.stay_err);
	}
	peer_go(self->peer);
	DONE(1000, 16 * MB);
}

/* The reader does not read, and bytes wait for it. */
static bool holds(const struct ktc_conn *conn)
{
	static unsigned int looks;
	static uint64_t bytes;
	struct ktcm_status status;

	if (!relay_has_module(conn->relay))
		return conn->recv_paused && conn->relay->nr_down;
	if (module_status(conn->relay->module_fd, &status) ||
	    !status.held[KTCM_DOWN] || status.bytes[KTCM_DOWN] != bytes)
		looks = 0;
	bytes = status.bytes[KTCM_DOWN];
	return looks++ > 60; /* a socket's buffer grows before it is full */
}

/*
 * A reader that never reads: what is held in the loop stays there and the
 * relay goes on; what the module holds is the socket's after the deadline.
 */
TEST_F(leave, waits_no_longer_than_its_deadline)
{
	unsigned int tries;

	self->client.close_timeout_ms = 300;
	self->plain_opts.hold = true;
	self->plain_opts.buffer = 65536;
	START({ .op = PEER_SEND, .a = 8 * MB }, { .op = PEER_CLOSE_NOTIFY },
	      { .op = PEER_DISCARD });
	RELAY();
	peer_go(self->peer);
	UNTIL_INSIDE(holds(self->c.conn));
	if (variant->lane == KTC_LANE_MODULE) {
		LEAVE();
		self->client.close_timeout_ms = 60000;
		ADOPT(); /* the module waits until the reader reads */
		ASSERT_EQ(0, ktc_relay(self->c.conn, self->plain.fd, FLAGS));
	}
	for (tries = 1; variant->lane == KTC_LANE_LOOP && tries < 3; tries++) {
		DETACH();
		EXPECT_EQ(-KTC_E_STATE, ktc_conn_detach(self->c.conn));
		UNTIL(self->c.stays == tries);
		EXPECT_EQ(-KTC_E_CLOSE_TIMEOUT, self->c.stay_err);
		EXPECT_FALSE(self->c.relayed);
	}
	plain_go(&self->plain);
	PLAIN_ENDS();
	DONE(8 * MB, 0);
}

/* A server that never reads, the same. */
TEST_F(leave, waits_for_the_server_no_longer_either)
{
	self->client.close_timeout_ms = 300;
	self->plain_opts.send = 16 * MB;
	self->plain_opts.shut = true;
	self->peer_opts.rcvbuf = 65536;
	START({ .op = PEER_RECV, .a = 16 * MB }, { .op = PEER_DISCARD },
	      { .op = PEER_CLOSE_NOTIFY });
	RELAY();
	if (variant->lane == KTC_LANE_MODULE) {
		const struct ktc_conn *conn = self->c.conn;
		struct ktcm_status status = { 0 };
		unsigned int same = 0;
		uint64_t bytes = 0;

		while (same < 60) {
			UNTIL_INSIDE(!module_status(conn->relay->module_fd,
						    &status));
			same = status.held[KTCM_UP] &&
			       status.bytes[KTCM_UP] == bytes ? same + 1 : 0;
			bytes = status.bytes[KTCM_UP];
			(void)usleep(5000);
		}
		LEAVE();
		self->client.close_timeout_ms = 60000;
		RELAY_ON();
	} else {
		UNTIL_INSIDE(self->c.conn->relay->recv_full &&
			     !self->c.conn->relay->recv_armed);
		DETACH();
		UNTIL(self->c.stays || self->c.closed);
		if (self->c.stays) {
			EXPECT_EQ(-KTC_E_CLOSE_TIMEOUT, self->c.stay_err);
		} else { /* the socket's buffer has grown, and taken it */
			LEFT();
			RELAY_ON();
		}
	}
	peer_go(self->peer);
	DONE(0, 16 * MB);
}

static struct sys_ops hooked;

static int refusing_setsockopt(int fd, int level, int name, const void *val,
			       socklen_t len)
{
	if (level == SOL_TLS && name == TLS_TX)
		return -EINVAL;
	return sys_real.setsockopt(fd, level, name, val, len);
}

/* A kernel that sets keys by calls, and refuses the first. */
static void refuse_keys(void)
{
	const struct ktc_caps *caps;

	(void)probe_caps(&caps); /* it has succeeded before */
	((struct ktc_caps *)(uintptr_t)caps)->ring_sockopt = false;
	hooked = sys_real;
	hooked.setsockopt = refusing_setsockopt;
	sys = &hooked;
}

TEST_F(leave, goes_on_without_keys)
{
	if (variant->policy != KTC_POLICY_AUTO)
		SKIP(return, "it is on the kernel plane before");
	if (host_ktls())
		refuse_keys();
	self->plain_opts.send = 4 * MB;
	START({ .op = PEER_ECHO }, { .op = PEER_CLOSE_NOTIFY });
	RELAY();
	peer_go(self->peer);
	UNTIL_INSIDE(self->plain.got > 100000);
	if (host_ktls()) {
		DETACH();
		UNTIL(self->c.stays);
		EXPECT_EQ(-KTC_E_UNSUPPORTED, self->c.stay_err);
		drive_info(&self->c);
		EXPECT_EQ(KTC_WHY_TX_REFUSED,
			  self->c.info.why_not_kernel[KTC_TX]);
	}
	/* and now it is known */
	EXPECT_EQ(-KTC_E_UNSUPPORTED, ktc_conn_detach(self->c.conn));
	UNTIL_INSIDE(self->plain.got == 4 * MB);
	PLAIN_ENDS();
	DONE(4 * MB, 4 * MB);
}

TEST_F(leave, gives_way_to_a_close)
{
	self->plain_opts.send = 64 * MB;
	/* an emulated guest is slow to take what is on its way */
	self->plain_opts.buffer = 65536;
	self->peer_opts.rcvbuf = self->peer_opts.sndbuf = 65536;
	START({ .op = PEER_ECHO }, { .op = PEER_CLOSE_NOTIFY });
	RELAY();
	peer_go(self->peer);
	UNTIL_INSIDE(self->plain.got > 100000);
	DETACH();
	ASSERT_EQ(0, ktc_conn_close(self->c.conn));
	UNTIL(self->c.closed);
	EXPECT_FALSE(self->c.detached);
	EXPECT_EQ(1, self->c.relays);
	EXPECT_EQ(0, self->c.stays);
	EXPECT_EQ(KTC_END_STOPPED, self->c.relay_end);
	EXPECT_EQ(0, self->c.err) TH_LOG("%s", self->c.error.text);
	EXPECT_FALSE(self->plain.mismatch);
}

TEST_F(leave, gives_way_to_an_abort)
{
	self->plain_opts.send = 64 * MB;
	/* an emulated guest is slow to take what is on its way */
	self->plain_opts.buffer = 65536;
	self->peer_opts.rcvbuf = self->peer_opts.sndbuf = 65536;
	START({ .op = PEER_ECHO }, { .op = PEER_CLOSE_NOTIFY });
	RELAY();
	peer_go(self->peer);
	UNTIL_INSIDE(self->plain.got > 100000);
	DETACH();
	ktc_conn_abort(self->c.conn);
	UNTIL(self->c.closed);
	EXPECT_FALSE(self->c.detached);
	EXPECT_EQ(1, self->c.relays);
	EXPECT_EQ(-KTC_E_CANCELED, self->c.err);
}

/* What ends by itself is over, and nobody's to pass on. */
TEST_F(leave, meets_the_servers_reset)
{
	self->client.close_timeout_ms = 300;
	self->plain_opts.hold = true;
	self->plain_opts.buffer = 65536;
	self->plain_opts.send = 16 * MB;
	START({ .op = PEER_SEND, .a = 8 * MB }, { .op = PEER_RST });
	RELAY();
	DETACH();
	peer_go(self->peer);
	UNTIL(self->c.closed || self->c.stays);
	if (self->c.detached)
		return; /* it was gone before */
	plain_go(&self->plain);
	UNTIL(self->c.closed);
	EXPECT_EQ(1, self->c.relays);
	EXPECT_NE(0, self->c.err);
}

TEST_HARNESS_MAIN
