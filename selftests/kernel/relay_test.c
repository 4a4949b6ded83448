// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: ktc_relay(), a connection and a plain socket, for each TLS
 * version, record plane, lane and kind of socket. On a kernel without kTLS the
 * kernel variants are skipped, without ktlsclient.ko those of the module.
 */
#include "kselftest_harness.h"

#include <ktlsclient.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "certs.h"
#include "drive.h"
#include "loop.h"
#include "peer.h"
#include "plain.h"

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

static bool caps_ktls(void)
{
	struct ktc_caps caps = { .size = sizeof(caps) };

	return !ktc_probe(&caps) && caps.ktls;
}

FIXTURE_SETUP(relay)
{
	if (variant->policy == KTC_POLICY_ALWAYS && !caps_ktls())
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

#define FLAGS (variant->lane == KTC_LANE_LOOP ? KTC_RELAY_LOOP : 0)

/* A peer with a script, a connection that is open, a plain side. */
#define START(...) \
	do { \
		const struct peer_step script_[] = { \
			{ .op = PEER_HANDSHAKE }, __VA_ARGS__, { 0 }, \
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

#define RELAY() ASSERT_EQ(0, ktc_relay(self->c.conn, self->plain.fd, FLAGS))

#define PEER_DONE() \
	do { \
		ASSERT_EQ(0, peer_wait_done(self->peer, 0, &self->res)); \
		ASSERT_STREQ("", self->res.error); \
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

TEST_HARNESS_MAIN
