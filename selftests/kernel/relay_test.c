// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: ktc_relay(), a connection and a plain socket, for each TLS
 * version, record plane, lane and kind of socket. On a kernel without kTLS the
 * kernel variants are skipped, without ktlsclient.ko those of the module.
 */
#include <ktlsclient.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "certs.h"
#include "client.h"
#include "conn.h"
#include "drive.h"
#include "host.h"
#include "loop.h"
#include "peer.h"
#include "plain.h"
#include "relay.h"
#include "sys.h"
#include "util.h"

#include "kselftest_harness.h"

#define MB (1u << 20)

FIXTURE(relay)
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
};

FIXTURE_VARIANT(relay)
{
	uint16_t version;
	enum ktc_policy policy;
	enum ktc_lane lane;
	bool unix_socket;
};

#define VARIANT(v, plane, p, l, s) \
	FIXTURE_VARIANT_ADD(relay, tls1_##v##_##plane##_##s) \
	{ \
		.version = KTC_TLS1_##v, \
		.policy = KTC_POLICY_##p, \
		.lane = KTC_LANE_##l, \
		.unix_socket = s, \
	}

enum { tcp, unix_ };

VARIANT(3, user, NEVER, LOOP, tcp);
VARIANT(3, user, NEVER, LOOP, unix_);
VARIANT(2, user, NEVER, LOOP, tcp);
VARIANT(2, user, NEVER, LOOP, unix_);
VARIANT(3, kernel, ALWAYS, LOOP, tcp);
VARIANT(3, kernel, ALWAYS, LOOP, unix_);
VARIANT(2, kernel, ALWAYS, LOOP, tcp);
VARIANT(2, kernel, ALWAYS, LOOP, unix_);
VARIANT(3, module, ALWAYS, MODULE, tcp);
VARIANT(3, module, ALWAYS, MODULE, unix_);
VARIANT(2, module, ALWAYS, MODULE, tcp);
VARIANT(2, module, ALWAYS, MODULE, unix_);

FIXTURE_SETUP(relay)
{
	const bool is_1_3 = variant->version == KTC_TLS1_3;

	/* the run with the module comes beside one without, and has no time */
	if (variant->lane != KTC_LANE_MODULE && getenv("KTC_TEST_MODULE"))
		SKIP(return, "the run without the module shows it");
	if (variant->policy == KTC_POLICY_NEVER && getenv("KTC_TEST_LANE") &&
	    (variant->version == KTC_TLS1_2 || variant->unix_socket))
		SKIP(return, "the user plane needs no VM: run natively");
	if (getenv("KTC_TEST_LANE") && is_1_3 == variant->unix_socket)
		SKIP(return, "the other two of the four show it here");
	if (variant->policy == KTC_POLICY_ALWAYS && !host_ktls())
		SKIP(return, "this kernel has no kTLS");
	if (variant->lane == KTC_LANE_MODULE &&
	    access("/dev/ktlsclient", R_OK | W_OK))
		SKIP(return, "ktlsclient.ko is not loaded");
	ASSERT_EQ(0, certs_make_temp(self->dir));
	snprintf(self->ca, sizeof(self->ca), "%s/ca.pem", self->dir);
	self->client.size = sizeof(self->client);
	self->client.ca_file = self->ca;
	self->client.policy = variant->policy;
	self->peer_opts.cert_dir = self->dir;
	self->peer_opts.version_min = variant->version;
	self->peer_opts.version_max = variant->version;
	self->plain_opts.unix_socket = variant->unix_socket;
	self->plain.fd = self->plain.far = -1;
	self->plain.wake[0] = self->plain.wake[1] = -1;
}

FIXTURE_TEARDOWN(relay)
{
	drive_fini(&self->d);
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
	TH_LOG("state %s, err %d %s, relay end %d err %d, %llu down, %llu up", \
	       self->c.info.state, self->c.err, self->c.error.text, \
	       self->c.relay_end, self->c.relay_err, \
	       (unsigned long long)self->c.moved[KTC_RX], \
	       (unsigned long long)self->c.moved[KTC_TX])

/* A relay's own, and what one receive brings before it stops. */
#define PIECES_MAX (LIMIT_RELAY_PIECES + loop->ring.nr_bufs)

#define FLAGS (variant->lane == KTC_LANE_LOOP ? KTC_RELAY_LOOP : 0)

/*
 * A peer with a script, a connection that is open, a plain side. The script
 * goes on when the relay has begun, or DATA would be the test's.
 */
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

/* The same for what no event tells; it comes within DRIVE_STEP_MS. */
#define UNTIL_INSIDE(condition) \
	ASSERT_TRUE(DRIVE_INSIDE(&self->d, condition))

#define RELAY() \
	do { \
		ASSERT_EQ(0, ktc_relay(self->c.conn, self->plain.fd, FLAGS)); \
		if (variant->lane == KTC_LANE_MODULE) \
			UNTIL_INSIDE(self->c.relayed || \
				     relay_has_module(self->c.conn->relay)); \
		peer_go(self->peer); \
	} while (0)

#define PEER_DONE() \
	do { \
		ASSERT_EQ(0, peer_wait_done(self->peer, 0, &self->res)); \
		ASSERT_STREQ("", self->res.error) \
		TH_LOG("sent %llu, received %llu, eof %d fin %d", \
		       (unsigned long long)self->res.bytes_sent, \
		       (unsigned long long)self->res.bytes_received, \
		       self->c.eof, self->res.fin); \
	} while (0)

/* RELAYED came and says so: both sides ended in order. */
#define RELAYED(down, up) \
	do { \
		UNTIL(self->c.relayed); \
		EXPECT_EQ(KTC_END_DONE, self->c.relay_end); \
		EXPECT_EQ(0, self->c.relay_err); \
		EXPECT_EQ(down, self->c.moved[KTC_RX]); \
		EXPECT_EQ(up, self->c.moved[KTC_TX]); \
		EXPECT_EQ(variant->lane, self->c.moved_by); \
	} while (0)

#define CLOSE_IN_ORDER() \
	do { \
		ASSERT_FALSE(self->c.closed); \
		ASSERT_EQ(0, ktc_conn_close(self->c.conn)); \
		UNTIL(self->c.closed); \
		EXPECT_EQ(0, self->c.err) TH_LOG("%s", self->c.error.text); \
		EXPECT_EQ(1, self->c.relays); \
		EXPECT_EQ(0, self->c.received); \
	} while (0)

TEST_F(relay, moves_both_ways_at_once_and_ends_when_both_have)
{
	self->plain_opts.send = 4 * MB;
	self->plain_opts.shut = true;
	START({ .op = PEER_ECHO }, { .op = PEER_CLOSE_NOTIFY });
	RELAY();
	RELAYED(4 * MB, 4 * MB);
	CLOSE_IN_ORDER();
	PEER_DONE();
	EXPECT_TRUE(self->res.close_notify);
	plain_stop(&self->plain);
	EXPECT_EQ(4 * MB, self->plain.got);
	EXPECT_FALSE(self->plain.mismatch);
	EXPECT_TRUE(self->plain.eof);
	EXPECT_EQ(0, self->plain.err);
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

#define PLAIN_GOT(n) \
	do { \
		plain_stop(&self->plain); \
		EXPECT_EQ(n, self->plain.got); \
		EXPECT_FALSE(self->plain.mismatch); \
	} while (0)

static bool is_so_far(const struct ktc_conn *conn, uint64_t down, uint64_t up)
{
	uint64_t relayed[2];

	return !ktc_conn_relayed(conn, relayed) && relayed[KTC_RX] == down &&
	       relayed[KTC_TX] == up;
}

TEST_F(relay, tells_how_far_it_is)
{
	uint64_t relayed[2];

	self->plain_opts.send = MB;
	START({ .op = PEER_ECHO }, { .op = PEER_CLOSE_NOTIFY });
	EXPECT_EQ(-KTC_E_STATE, ktc_conn_relayed(self->c.conn, relayed));
	RELAY();
	UNTIL_INSIDE(is_so_far(self->c.conn, MB, MB));
	ASSERT_EQ(0, shutdown(self->plain.far, SHUT_WR));
	RELAYED(MB, MB);
	EXPECT_EQ(-KTC_E_STATE, ktc_conn_relayed(self->c.conn, relayed));
	CLOSE_IN_ORDER();
	PEER_DONE();
	PLAIN_GOT(MB);
}

/* Also when it is over, for whoever counts reasons then. */
TEST_F(relay, tells_why_not_the_module)
{
	struct ktc_conn_info info = { .size = sizeof(info) };
	enum ktc_reason why = KTC_WHY_NOTHING;

	if (variant->lane != KTC_LANE_MODULE)
		why = KTC_WHY_RELAY_LOOP;
	START({ .op = PEER_ECHO }, { .op = PEER_CLOSE_NOTIFY });
	RELAY();
	ASSERT_EQ(0, shutdown(self->plain.far, SHUT_WR));
	RELAYED(0, 0);
	ASSERT_EQ(0, ktc_conn_info(self->c.conn, &info));
	EXPECT_EQ(KTC_LANE_NONE, info.relay);
	EXPECT_EQ(why, info.why_not_module);
	CLOSE_IN_ORDER();
	PEER_DONE();
	PLAIN_GOT(0);
}

/* Without the flag: what it was at the end, and not when it began. */
TEST_F(relay, tells_why_not_the_module_at_last)
{
	struct ktc_conn_info info = { .size = sizeof(info) };
	enum ktc_reason why = KTC_WHY_NO_MODULE;

	if (variant->lane == KTC_LANE_MODULE)
		SKIP(return, "the other lane's");
	if (!access("/dev/ktlsclient", R_OK | W_OK))
		SKIP(return, "ktlsclient.ko is loaded");
	if (variant->policy == KTC_POLICY_NEVER)
		why = KTC_WHY_USER_PLANE;
	else
		self->client.policy = KTC_POLICY_AUTO;
	self->client.auto_bytes = MB / 4;
	self->plain_opts.send = 4 * MB;
	START({ .op = PEER_ECHO }, { .op = PEER_CLOSE_NOTIFY });
	ASSERT_EQ(0, ktc_relay(self->c.conn, self->plain.fd, 0));
	peer_go(self->peer);
	UNTIL_INSIDE(is_so_far(self->c.conn, 4 * MB, 4 * MB));
	ASSERT_EQ(0, shutdown(self->plain.far, SHUT_WR));
	RELAYED(4 * MB, 4 * MB);
	ASSERT_EQ(0, ktc_conn_info(self->c.conn, &info));
	EXPECT_EQ(why, info.why_not_module);
	CLOSE_IN_ORDER();
	PEER_DONE();
	PLAIN_GOT(4 * MB);
}

TEST_F(relay, moves_single_bytes)
{
	self->plain_opts.send = 3000;
	self->plain_opts.piece = 1;
	self->plain_opts.sip = 1;
	self->plain_opts.shut = true;
	START({ .op = PEER_ECHO }, { .op = PEER_CLOSE_NOTIFY });
	RELAY();
	RELAYED(3000, 3000);
	CLOSE_IN_ORDER();
	PEER_DONE();
	PLAIN_GOT(3000);
}

/* DATA and EOF behind OPEN, which nobody has taken yet, are the relay's. */
TEST_F(relay, takes_what_is_queued_and_leaves_what_was_returned)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE_SPEAK_FIRST, .a = 40000 },
		{ .op = PEER_CLOSE_NOTIFY },
		{ .op = PEER_RECV, .a = 3 },
		{ .op = PEER_DISCARD },
		{ 0 },
	};
	struct ktc_event ev;
	uint8_t up[3];

	peer_pattern_fill(up, 0, 3);
	self->plain_opts.shut = true;
	self->plain_opts.send = 1;
	self->plain_opts.send_from = 2;
	self->peer_opts.steps = script;
	ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer));
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	ASSERT_EQ(0, drive_connect_peer(&self->d, &self->c, self->peer,
					KTC_POLICY_DEFAULT));
	while (!self->c.open) {
		ASSERT_EQ(1, ktc_loop_events(self->d.loop, &ev, 1,
					     DRIVE_STEP_MS));
		drive_event(self->d.loop, &ev);
	}
	/* the caller's own goes first */
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, up, 2, 0));
	ASSERT_EQ(0, plain_start(&self->plain_opts, &self->plain));
	ASSERT_EQ(0, ktc_relay(self->c.conn, self->plain.fd, FLAGS));
	UNTIL(self->c.relayed);
	EXPECT_EQ(KTC_END_DONE, self->c.relay_end);
	EXPECT_EQ(40000, self->c.moved[KTC_RX]);
	EXPECT_EQ(1, self->c.moved[KTC_TX]);
	EXPECT_EQ(1, self->c.sent);
	EXPECT_FALSE(self->c.eof);
	CLOSE_IN_ORDER();
	PEER_DONE();
	PLAIN_GOT(40000);
}

TEST_F(relay, goes_on_after_the_server_has_ended)
{
	self->plain_opts.send = 300000;
	self->plain_opts.send_after = 1000;
	self->plain_opts.shut = true;
	START({ .op = PEER_SEND, .a = 1000 }, { .op = PEER_CLOSE_NOTIFY },
	      { .op = PEER_RECV, .a = 300000 }, { .op = PEER_DISCARD });
	RELAY();
	RELAYED(1000, 300000);
	CLOSE_IN_ORDER();
	PEER_DONE();
	EXPECT_TRUE(self->res.close_notify);
	PLAIN_GOT(1000);
	EXPECT_TRUE(self->plain.eof);
}

TEST_F(relay, goes_on_after_the_plain_side_has_ended)
{
	self->plain_opts.send = 1000;
	self->plain_opts.shut = true;
	START({ .op = PEER_RECV, .a = 1000 }, { .op = PEER_DISCARD },
	      { .op = PEER_SEND, .a = 300000 }, { .op = PEER_CLOSE_NOTIFY });
	RELAY();
	RELAYED(300000, 1000);
	CLOSE_IN_ORDER();
	PEER_DONE();
	PLAIN_GOT(300000);
}

/* A relay of nothing ends too. */
TEST_F(relay, passes_two_ends_without_a_byte)
{
	START({ .op = PEER_CLOSE_NOTIFY }, { .op = PEER_DISCARD });
	ASSERT_EQ(0, shutdown(self->plain.far, SHUT_WR));
	RELAY();
	RELAYED(0, 0);
	CLOSE_IN_ORDER();
	PEER_DONE();
	PLAIN_GOT(0);
}

TEST_F(relay, holds_little_for_a_slow_reader)
{
	struct ktc_loop *loop;

	self->plain_opts.hold = true;
	self->plain_opts.buffer = 65536;
	START({ .op = PEER_SEND, .a = 16 * MB }, { .op = PEER_CLOSE_NOTIFY },
	      { .op = PEER_DISCARD });
	loop = self->d.loop;
	RELAY();
	if (variant->lane == KTC_LANE_LOOP) {
		const struct ktc_conn *conn = self->c.conn;

		UNTIL_INSIDE(conn->recv_paused && !conn->recv_armed);
		EXPECT_GE(LIMIT_RELAY_PIECES, loop->relay_bufs);
		EXPECT_GE(PIECES_MAX, conn->relay->nr_down);
		EXPECT_GE(LIMIT_RELAY_PIECES, loop->ring.bufs_out);
	}
	plain_go(&self->plain);
	ASSERT_EQ(0, shutdown(self->plain.far, SHUT_WR));
	RELAYED(16 * MB, 0);
	EXPECT_EQ(0, loop->relay_bufs);
	CLOSE_IN_ORDER();
	PEER_DONE();
	PLAIN_GOT(16 * MB);
}

TEST_F(relay, holds_little_for_a_slow_server)
{
	struct ktc_loop *loop;

	self->plain_opts.send = 16 * MB;
	self->plain_opts.shut = true;
	self->peer_opts.rcvbuf = 65536;
	START({ .op = PEER_RECV, .a = 16 * MB }, { .op = PEER_DISCARD },
	      { .op = PEER_CLOSE_NOTIFY });
	loop = self->d.loop;
	ASSERT_EQ(0, ktc_relay(self->c.conn, self->plain.fd, FLAGS));
	if (variant->lane == KTC_LANE_LOOP) {
		const struct ktc_conn *conn = self->c.conn;

		UNTIL_INSIDE(conn->relay->recv_full &&
			     !conn->relay->recv_armed);
		EXPECT_GE(LIMIT_RELAY_PIECES, loop->relay_bufs);
		EXPECT_GE(PIECES_MAX, conn->relay->nr_up);
	}
	peer_go(self->peer);
	RELAYED(0, 16 * MB);
	EXPECT_EQ(0, loop->relay_bufs);
	CLOSE_IN_ORDER();
	PEER_DONE();
	PLAIN_GOT(0);
}

#define SLOW 12

/* Readers that do not read leave the others their receive buffers. */
TEST_F(relay, slow_readers_hold_up_nobody_else)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE }, { .op = PEER_BARRIER },
		{ .op = PEER_SEND, .a = 2 * MB },
		{ .op = PEER_CLOSE_NOTIFY }, { .op = PEER_DISCARD }, { 0 },
	};
	const struct ktc_loop_opts small = {
		.size = sizeof(small), .buffers = 16,
	};
	struct drive_conn c[SLOW + 1] = { 0 };
	struct plain plain[SLOW + 1];
	int i;

	self->peer_opts.steps = script;
	ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer));
	ASSERT_EQ(0, drive_init(&self->d, &self->client, &small));
	self->plain_opts.hold = true;
	self->plain_opts.buffer = 65536;
	for (i = 0; i <= SLOW; i++) {
		self->plain_opts.hold = i < SLOW;
		ASSERT_EQ(0, drive_connect_peer(&self->d, &c[i], self->peer,
						KTC_POLICY_DEFAULT));
		UNTIL(c[i].open);
		ASSERT_EQ(0, plain_start(&self->plain_opts, &plain[i]));
		ASSERT_EQ(0, ktc_relay(c[i].conn, plain[i].fd, FLAGS));
		peer_go(self->peer);
		ASSERT_EQ(0, shutdown(plain[i].far, SHUT_WR));
	}
	UNTIL(c[SLOW].relayed);
	EXPECT_EQ(KTC_END_DONE, c[SLOW].relay_end);
	for (i = 0; i <= SLOW; i++) {
		EXPECT_EQ(i == SLOW, c[i].relayed);
		plain_go(&plain[i]);
	}
	for (i = 0; i <= SLOW; i++) {
		UNTIL(c[i].relayed);
		EXPECT_EQ(KTC_END_DONE, c[i].relay_end);
		EXPECT_EQ(2 * MB, c[i].moved[KTC_RX]);
		ASSERT_EQ(0, ktc_conn_close(c[i].conn));
		plain_stop(&plain[i]);
		EXPECT_EQ(2 * MB, plain[i].got);
		EXPECT_FALSE(plain[i].mismatch);
	}
	EXPECT_EQ(0, self->d.loop->relay_bufs);
}

TEST_F(relay, tells_truncation_and_does_not_end_the_plain_side)
{
	START({ .op = PEER_SEND, .a = 50000 }, { .op = PEER_FIN });
	RELAY();
	UNTIL(self->c.relayed);
	EXPECT_EQ(KTC_END_TRUNCATED, self->c.relay_end);
	EXPECT_EQ(-KTC_E_TRUNCATED, self->c.relay_err);
	EXPECT_EQ(50000, self->c.moved[KTC_RX]);
	EXPECT_EQ(1, send(self->plain.fd, "x", 1, MSG_NOSIGNAL));
	UNTIL(self->c.closed);
	EXPECT_EQ(-KTC_E_TRUNCATED, self->c.err);
	EXPECT_EQ(1, self->c.relays);
	plain_stop(&self->plain);
	EXPECT_EQ(50001, self->plain.got);
}

TEST_F(relay, tells_the_servers_alert)
{
	START({ .op = PEER_SEND, .a = 5000 },
	      { .op = PEER_ALERT, .a = 2, .b = 80 });
	RELAY();
	UNTIL(self->c.relayed);
	EXPECT_EQ(KTC_END_TLS, self->c.relay_end);
	EXPECT_EQ(-KTC_E_ALERT, self->c.relay_err);
	EXPECT_EQ(5000, self->c.moved[KTC_RX]);
	UNTIL(self->c.closed);
	EXPECT_EQ(-KTC_E_ALERT, self->c.err);
	EXPECT_EQ(80, self->c.error.alert);
	PLAIN_GOT(5000);
}

TEST_F(relay, tells_the_servers_reset)
{
	self->plain_opts.send = 1000;
	START({ .op = PEER_RECV, .a = 1000 }, { .op = PEER_RST });
	RELAY();
	UNTIL(self->c.relayed);
	EXPECT_EQ(KTC_END_TLS, self->c.relay_end);
	EXPECT_EQ(-ECONNRESET, self->c.relay_err);
	EXPECT_EQ(1000, self->c.moved[KTC_TX]);
	UNTIL(self->c.closed);
	EXPECT_EQ(-ECONNRESET, self->c.err);
	EXPECT_EQ(1, self->c.relays);
	PLAIN_GOT(0);
}

TEST_F(relay, tells_the_plain_sides_reset_and_keeps_the_connection)
{
	self->plain_opts.reset_at = 1000;
	START({ .op = PEER_SEND, .a = 4 * MB }, { .op = PEER_DISCARD });
	RELAY();
	UNTIL(self->c.relayed);
	EXPECT_EQ(KTC_END_PLAIN, self->c.relay_end);
	EXPECT_TRUE(self->c.relay_err == -ECONNRESET ||
		    self->c.relay_err == -EPIPE)
	TH_LOG("%d", self->c.relay_err);
	EXPECT_FALSE(self->c.closed);
	EXPECT_EQ(-KTC_E_STATE, ktc_conn_send(self->c.conn, "x", 1, 0));
	EXPECT_EQ(-KTC_E_STATE,
		  ktc_relay(self->c.conn, self->plain.fd, FLAGS));
	CLOSE_IN_ORDER();
	PEER_DONE();
	EXPECT_TRUE(self->res.close_notify);
}

TEST_F(relay, tickets_reach_the_inventory)
{
	struct ktc_client_stats stats = { .size = sizeof(stats) };

	if (variant->version != KTC_TLS1_3)
		SKIP(return, "TLS 1.3 only");
	self->peer_opts.tickets = PEER_NO_TICKETS;
	self->plain_opts.send = 1000;
	self->plain_opts.shut = true;
	START({ .op = PEER_RECV, .a = 1000 }, { .op = PEER_TICKETS, .a = 2 },
	      { .op = PEER_SEND, .a = 20000 }, { .op = PEER_TICKETS, .a = 1 },
	      { .op = PEER_SEND, .a = 20000 }, { .op = PEER_CLOSE_NOTIFY },
	      { .op = PEER_DISCARD });
	RELAY();
	RELAYED(40000, 1000);
	ASSERT_EQ(0, ktc_client_stats(self->d.client, &stats));
	EXPECT_EQ(3, stats.gives);
	EXPECT_LT(0, self->c.tickets);
	CLOSE_IN_ORDER();
	PEER_DONE();
	PLAIN_GOT(40000);
}

TEST_F(relay, goes_on_over_key_updates)
{
	struct ktc_caps caps = { .size = sizeof(caps) };

	ASSERT_EQ(0, ktc_probe(&caps));
	if (variant->version != KTC_TLS1_3)
		SKIP(return, "TLS 1.3 only");
	if (variant->policy == KTC_POLICY_ALWAYS && !caps.rekey)
		SKIP(return, "this kernel cannot change keys");
	/* not before the update: close_notify would leave it unanswered */
	self->plain_opts.send_after = 200000;
	self->plain_opts.send = 400000;
	self->plain_opts.shut = true;
	START({ .op = PEER_SEND, .a = 100000 },
	      { .op = PEER_KEY_UPDATE, .b = 1 },
	      { .op = PEER_SEND, .a = 100000 }, { .op = PEER_WAIT_KEY_UPDATE },
	      { .op = PEER_KEY_UPDATE }, { .op = PEER_SEND, .a = 100000 },
	      { .op = PEER_DISCARD }, { .op = PEER_CLOSE_NOTIFY });
	RELAY();
	RELAYED(300000, 400000);
	EXPECT_EQ(2, self->c.info.rekeys[KTC_RX]);
	EXPECT_EQ(1, self->c.info.rekeys[KTC_TX]);
	CLOSE_IN_ORDER();
	PEER_DONE();
	PLAIN_GOT(300000);
}

/* A peer that asks for new keys when our last word has been said. */
TEST_F(relay, survives_a_key_update_after_its_close_notify)
{
	struct ktc_caps caps = { .size = sizeof(caps) };

	ASSERT_EQ(0, ktc_probe(&caps));
	if (variant->version != KTC_TLS1_3)
		SKIP(return, "TLS 1.3 only");
	if (variant->policy == KTC_POLICY_ALWAYS && !caps.rekey)
		SKIP(return, "this kernel cannot change keys");
	START({ .op = PEER_DISCARD }, { .op = PEER_KEY_UPDATE, .b = 1 },
	      { .op = PEER_SEND, .a = 100000 }, { .op = PEER_CLOSE_NOTIFY });
	ASSERT_EQ(0, shutdown(self->plain.far, SHUT_WR));
	RELAY();
	RELAYED(100000, 0);
	CLOSE_IN_ORDER();
	PEER_DONE();
	PLAIN_GOT(100000);
}

TEST_F(relay, changes_keys_at_the_record_limit)
{
	/* the module tells of every LIMIT_MODULE_PROGRESS bytes only */
	const uint32_t len = variant->lane == KTC_LANE_MODULE ? 16 * MB :
								4 * MB;
	struct ktc_caps caps = { .size = sizeof(caps) };

	ASSERT_EQ(0, ktc_probe(&caps));
	if (variant->version != KTC_TLS1_3)
		SKIP(return, "TLS 1.3 only");
	if (variant->policy == KTC_POLICY_ALWAYS && !caps.rekey)
		SKIP(return, "this kernel cannot change keys");
	self->plain_opts.send = len;
	self->plain_opts.shut = true;
	START({ .op = PEER_RECV, .a = len }, { .op = PEER_DISCARD },
	      { .op = PEER_CLOSE_NOTIFY });
	self->d.client->records_max = 100;
	RELAY();
	RELAYED(0, len);
	EXPECT_LE(1, self->c.info.rekeys[KTC_TX]);
	CLOSE_IN_ORDER();
	PEER_DONE();
}

/* With one CPU for all three there is always something to do. */
TEST_F(relay, a_call_ends_while_bytes_keep_coming)
{
	uint64_t before, most = 0, moved = 0;
	struct ktc_event ev;
	cpu_set_t one;

	if (variant->lane != KTC_LANE_LOOP || variant->unix_socket ||
	    variant->version == KTC_TLS1_2)
		SKIP(return, "TLS 1.3 and TCP tell it");
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(one), &one));
	self->plain_opts.send = 24 * MB;
	START({ .op = PEER_ECHO }, { .op = PEER_CLOSE_NOTIFY });
	RELAY();
	while (moved < 16 * MB) {
		before = moved;
		if (ktc_loop_events(self->d.loop, &ev, 1, 0) == 1)
			drive_event(self->d.loop, &ev);
		ASSERT_FALSE(self->c.relayed) TH_LOG("%s", self->c.error.text);
		moved = self->c.conn->relay->moved[KTC_RX];
		most = MAX(most, moved - before);
	}
	EXPECT_LE(most, LIMIT_LOOP_ROUNDS * LIMIT_RELAY_PIECES *
				LIMIT_RECV_BUFFER);
}

TEST_F(relay, close_passes_on_what_is_held_and_closes)
{
	uint64_t down, up;

	self->plain_opts.send = 64 * MB;
	/* an emulated guest is slow to take what is held */
	self->client.close_timeout_ms = 60000;
	START({ .op = PEER_ECHO }, { .op = PEER_CLOSE_NOTIFY });
	RELAY();
	UNTIL_INSIDE(self->plain.got > 100000);
	ASSERT_FALSE(self->c.closed) TH_LOG("%s", self->c.error.text);
	ASSERT_EQ(0, ktc_conn_close(self->c.conn));
	UNTIL(self->c.relayed);
	EXPECT_EQ(KTC_END_STOPPED, self->c.relay_end);
	EXPECT_EQ(0, self->c.relay_err);
	EXPECT_EQ(variant->lane, self->c.moved_by);
	down = self->c.moved[KTC_RX];
	up = self->c.moved[KTC_TX];
	UNTIL(self->c.closed);
	EXPECT_EQ(0, self->c.err) TH_LOG("%s", self->c.error.text);
	EXPECT_EQ(1, self->c.relays);
	PEER_DONE();
	EXPECT_EQ(up, self->res.bytes_received);
	plain_quit(&self->plain);
	plain_stop(&self->plain);
	EXPECT_GE(down, self->plain.got);
	EXPECT_FALSE(self->plain.mismatch);
}

TEST_F(relay, close_gives_a_reader_that_never_reads_its_deadline)
{
	self->client.close_timeout_ms = 200;
	self->plain_opts.hold = true;
	/* less than a record, or room that is left takes what is held */
	self->plain_opts.buffer = 2048;
	START({ .op = PEER_SEND, .a = 16 * MB }, { .op = PEER_DISCARD });
	RELAY();
	UNTIL_INSIDE(holds(self->c.conn));
	ASSERT_EQ(0, ktc_conn_close(self->c.conn));
	UNTIL(self->c.closed);
	EXPECT_EQ(1, self->c.relays);
	EXPECT_EQ(KTC_END_STOPPED, self->c.relay_end);
	EXPECT_EQ(-KTC_E_CLOSE_TIMEOUT, self->c.relay_err);
	EXPECT_EQ(-KTC_E_CLOSE_TIMEOUT, self->c.err);
}

TEST_F(relay, abort_ends_it_at_once)
{
	self->plain_opts.hold = true;
	self->plain_opts.buffer = 65536;
	START({ .op = PEER_SEND, .a = 16 * MB }, { .op = PEER_DISCARD });
	RELAY();
	UNTIL_INSIDE(holds(self->c.conn));
	ktc_conn_abort(self->c.conn);
	UNTIL(self->c.closed);
	EXPECT_EQ(1, self->c.relays);
	EXPECT_EQ(KTC_END_STOPPED, self->c.relay_end);
	EXPECT_EQ(-KTC_E_CANCELED, self->c.relay_err);
	EXPECT_EQ(-KTC_E_CANCELED, self->c.err);
	EXPECT_EQ(0, self->d.loop->relay_bufs);
	EXPECT_EQ(0, self->d.loop->relay_pool.live);
}

/* Nobody takes the events: the loop frees what a relay held. */
TEST_F(relay, ends_with_its_loop)
{
	self->plain_opts.hold = true;
	self->plain_opts.buffer = 65536;
	START({ .op = PEER_SEND, .a = 16 * MB }, { .op = PEER_DISCARD });
	RELAY();
	UNTIL_INSIDE(holds(self->c.conn));
	ktc_loop_free(self->d.loop);
	self->d.loop = NULL;
	/* the socket is the caller's, and still works */
	EXPECT_EQ(1, send(self->plain.far, "x", 1, MSG_NOSIGNAL));
}

TEST_F(relay, idle_timeout_ends_it)
{
	self->client.idle_timeout_ms = 200;
	self->plain_opts.send = 1000;
	START({ .op = PEER_RECV, .a = 1000 }, { .op = PEER_DISCARD });
	RELAY();
	UNTIL(self->c.relayed);
	EXPECT_EQ(KTC_END_TLS, self->c.relay_end);
	EXPECT_EQ(-KTC_E_IDLE_TIMEOUT, self->c.relay_err);
	EXPECT_EQ(1000, self->c.moved[KTC_TX]);
	UNTIL(self->c.closed);
	EXPECT_EQ(-KTC_E_IDLE_TIMEOUT, self->c.err);
}

TEST_F(relay, gives_the_socket_back_as_it_was)
{
	START({ .op = PEER_ECHO }, { .op = PEER_CLOSE_NOTIFY });
	ASSERT_EQ(0, fcntl(self->plain.fd, F_SETFL, O_NONBLOCK));
	ASSERT_EQ(0, shutdown(self->plain.far, SHUT_WR));
	RELAY();
	RELAYED(0, 0);
	EXPECT_TRUE(fcntl(self->plain.fd, F_GETFL) & O_NONBLOCK);
	CLOSE_IN_ORDER();
}

TEST_F(relay, refuses_what_is_no_plain_socket)
{
	int udp, unconnected, pipes[2], bad[2];
	struct ktc_conn *conn;

	START({ .op = PEER_ECHO }, { .op = PEER_CLOSE_NOTIFY });
	conn = self->c.conn;
	udp = socket(AF_INET, SOCK_DGRAM, 0);
	unconnected = socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, bad));
	EXPECT_EQ(-EBADF, ktc_relay(conn, -1, FLAGS));
	EXPECT_EQ(-ENOTSOCK, ktc_relay(conn, pipes[0], FLAGS));
	EXPECT_EQ(-KTC_E_OPTION, ktc_relay(conn, udp, FLAGS));
	EXPECT_EQ(-KTC_E_OPTION, ktc_relay(conn, bad[0], FLAGS));
	EXPECT_EQ(-ENOTCONN, ktc_relay(conn, unconnected, FLAGS));
	EXPECT_EQ(-KTC_E_OPTION, ktc_relay(conn, conn->fd, FLAGS));
	EXPECT_EQ(-KTC_E_OPTION, ktc_relay(conn, self->plain.fd, 2));
	EXPECT_EQ(-KTC_E_OPTION, ktc_relay(NULL, self->plain.fd, FLAGS));
	/* and nothing of it has begun */
	EXPECT_EQ(KTC_LANE_NONE, self->c.info.relay);
	ASSERT_EQ(0, ktc_conn_recv_pause(conn));
	ASSERT_EQ(0, ktc_conn_recv_resume(conn));
	(void)close(udp);
	(void)close(unconnected);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
	(void)close(bad[0]);
	(void)close(bad[1]);
}

TEST_F(relay, keeps_the_connection_to_itself)
{
	struct ktc_conn *conn;

	START({ .op = PEER_ECHO }, { .op = PEER_CLOSE_NOTIFY });
	conn = self->c.conn;
	RELAY();
	drive_info(&self->c);
	EXPECT_NE(KTC_LANE_NONE, self->c.info.relay);
	EXPECT_EQ(-KTC_E_STATE, ktc_relay(conn, self->plain.fd, FLAGS));
	EXPECT_EQ(-KTC_E_STATE, ktc_conn_send(conn, "x", 1, 0));
	EXPECT_EQ(-KTC_E_STATE, ktc_conn_sendfile(conn, 0, 0, 1, 0));
	EXPECT_EQ(-KTC_E_STATE, ktc_conn_recv_pause(conn));
	EXPECT_EQ(-KTC_E_STATE, ktc_conn_recv_resume(conn));
	EXPECT_EQ(-KTC_E_STATE, ktc_conn_rekey(conn, false));
	if (variant->policy == KTC_POLICY_NEVER)
		EXPECT_EQ(-KTC_E_POLICY, ktc_conn_detach(conn));
	ASSERT_EQ(0, shutdown(self->plain.far, SHUT_WR));
	RELAYED(0, 0);
	drive_info(&self->c);
	EXPECT_EQ(KTC_LANE_NONE, self->c.info.relay);
	CLOSE_IN_ORDER();
}

/* auto: in mid-relay, when it has carried enough. */
TEST_F(relay, moves_to_the_kernel_plane_meanwhile)
{
	if (variant->policy == KTC_POLICY_NEVER)
		SKIP(return, "the policy is never");
	self->client.policy = KTC_POLICY_AUTO;
	self->client.auto_bytes = MB / 4;
	self->plain_opts.send = 4 * MB;
	START({ .op = PEER_ECHO }, { .op = PEER_CLOSE_NOTIFY });
	ASSERT_EQ(KTC_PLANE_USER, self->c.info.plane[KTC_TX]);
	ASSERT_EQ(0, ktc_relay(self->c.conn, self->plain.fd, FLAGS));
	peer_go(self->peer);
	UNTIL_INSIDE(self->plain.got == 4 * MB);
	if (variant->lane == KTC_LANE_MODULE)
		UNTIL_INSIDE(relay_has_module(self->c.conn->relay));
	ASSERT_EQ(0, shutdown(self->plain.far, SHUT_WR));
	RELAYED(4 * MB, 4 * MB);
	EXPECT_EQ(KTC_PLANE_KERNEL, self->c.info.plane[KTC_TX]);
	CLOSE_IN_ORDER();
	PEER_DONE();
	PLAIN_GOT(4 * MB);
}

/* One receive takes it all, with the end, before a byte of it is out. */
TEST_F(relay, moves_to_the_kernel_plane_though_all_has_come)
{
	struct pollfd end = { .events = POLLRDHUP };

	if (variant->policy == KTC_POLICY_NEVER)
		SKIP(return, "the policy is never");
	if (variant->lane == KTC_LANE_MODULE)
		SKIP(return, "a stream that has ended is not the module's");
	self->client.policy = KTC_POLICY_AUTO;
	self->client.auto_bytes = 3 * LIMIT_RECORD_PLAIN;
	self->plain_opts.send = 4 * LIMIT_RECORD_PLAIN;
	self->plain_opts.buffer = MB;
	self->plain_opts.shut = true;
	START({ .op = PEER_ECHO }, { .op = PEER_CLOSE_NOTIFY });
	end.fd = self->plain.fd;
	ASSERT_EQ(1, poll(&end, 1, DRIVE_STEP_MS));
	RELAY();
	RELAYED(self->plain_opts.send, self->plain_opts.send);
	EXPECT_EQ(KTC_PLANE_KERNEL, self->c.info.plane[KTC_TX]);
	CLOSE_IN_ORDER();
	PEER_DONE();
	PLAIN_GOT(self->plain_opts.send);
}

TEST_HARNESS_MAIN
