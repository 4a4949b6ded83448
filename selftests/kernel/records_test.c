// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a connection on both planes: handshake, move, data, tickets,
 * KeyUpdate, the end. Every test runs for each TLS version, cipher and plane.
 * On a kernel without kTLS the kernel variants are skipped; the user ones run
 * anywhere.
 */
#include "kselftest_harness.h"

#include <ktlsclient.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "certs.h"
#include "client.h"
#include "drive.h"
#include "host.h"
#include "peer.h"

#define MB (1u << 20)

/* Waits for the peer's barrier while the test's thread runs the loop. */
struct barrier {
	struct peer *peer;
	struct ktc_loop *loop;
	int err;
	atomic_bool reached;
};

static void *barrier_wait(void *arg)
{
	struct barrier *barrier = arg;

	barrier->err = peer_wait_barrier(barrier->peer);
	atomic_store(&barrier->reached, true);
	(void)ktc_loop_wake(barrier->loop);
	return NULL;
}

FIXTURE(records)
{
	char dir[CERTS_DIR_MAX];
	struct ktc_client_opts client;
	struct peer_opts peer_opts;
	struct peer *peer;
	struct drive d;
	struct drive_conn c;
	struct peer_result res;
	uint8_t *pattern;
	struct barrier barrier;
};

FIXTURE_VARIANT(records)
{
	uint16_t version;
	enum peer_suite suite;
	enum ktc_policy policy;
};

#define VARIANT(v, s, p) \
	FIXTURE_VARIANT_ADD(records, tls1_##v##_##s##_##p) \
	{ \
		.version = KTC_TLS1_##v, \
		.suite = PEER_SUITE_##s, \
		.policy = KTC_POLICY_##p, \
	}

VARIANT(3, AES128, ALWAYS);
VARIANT(3, AES256, ALWAYS);
VARIANT(3, CHACHA20, ALWAYS);
VARIANT(2, AES128, ALWAYS);
VARIANT(2, AES256, ALWAYS);
VARIANT(2, CHACHA20, ALWAYS);
VARIANT(3, AES128, NEVER);
VARIANT(3, AES256, NEVER);
VARIANT(3, CHACHA20, NEVER);
VARIANT(2, AES128, NEVER);
VARIANT(2, AES256, NEVER);
VARIANT(2, CHACHA20, NEVER);

static bool caps_rekey(void)
{
	struct ktc_caps caps = { .size = sizeof(caps) };

	return !ktc_probe(&caps) && caps.rekey;
}

FIXTURE_SETUP(records)
{
	/* less than the tests send: so that pausing can be seen to hold */
	const struct ktc_loop_opts loop = {
		.size = sizeof(loop), .buffers = 64,
	};
	char ca[CERTS_DIR_MAX + 16];

	if (variant->policy == KTC_POLICY_ALWAYS && !host_ktls())
		SKIP(return, "this kernel has no kTLS");
	if (variant->policy == KTC_POLICY_NEVER && getenv("KTC_TEST_LANE") &&
	    variant->suite != PEER_SUITE_AES128)
		SKIP(return, "the user plane needs no VM: run natively");
	ASSERT_EQ(0, certs_make_temp(self->dir));
	snprintf(ca, sizeof(ca), "%s/ca.pem", self->dir);
	self->client.size = sizeof(self->client);
	self->client.ca_file = ca;
	self->client.policy = variant->policy;
	ASSERT_EQ(0, drive_init(&self->d, &self->client, &loop));
	self->peer_opts.cert_dir = self->dir;
	self->peer_opts.version_min = variant->version;
	self->peer_opts.version_max = variant->version;
	self->peer_opts.suite = variant->suite;
	self->pattern = malloc(4 * MB);
	ASSERT_NE(NULL, self->pattern);
	peer_pattern_fill(self->pattern, 0, 4 * MB);
}

FIXTURE_TEARDOWN(records)
{
	drive_fini(&self->d);
	peer_stop(self->peer);
	if (self->dir[0])
		certs_remove(self->dir);
	free(self->pattern);
}

#define START(script) \
	do { \
		self->peer_opts.steps = (script); \
		ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer)); \
		ASSERT_EQ(0, drive_connect_peer(&self->d, &self->c, \
						self->peer, \
						KTC_POLICY_DEFAULT)); \
	} while (0)

/* Runs the loop until it is so; an early end is a failure that is told. */
#define UNTIL(condition) \
	ASSERT_TRUE(DRIVE_UNTIL(&self->d, (condition) || self->c.closed) && \
		    (condition)) \
	TH_LOG("state %s, err %d %s, received %llu", \
	       self->c.info.state, self->c.err, self->c.error.text, \
	       (unsigned long long)self->c.received)

#define PEER_DONE() \
	do { \
		ASSERT_EQ(0, peer_wait_done(self->peer, 0, &self->res)); \
		ASSERT_STREQ("", self->res.error); \
	} while (0)

/* Closes in order and checks that both sides saw it so. */
#define CLOSE_IN_ORDER() \
	do { \
		ASSERT_EQ(0, ktc_conn_close(self->c.conn)); \
		UNTIL(self->c.closed); \
		ASSERT_EQ(0, self->c.err) TH_LOG("%s", self->c.error.text); \
		PEER_DONE(); \
		EXPECT_TRUE(self->res.close_notify); \
	} while (0)

#define EXPECT_PLANE() \
	do { \
		enum ktc_plane plane_ = variant->policy == KTC_POLICY_NEVER ? \
						KTC_PLANE_USER : \
						KTC_PLANE_KERNEL; \
		EXPECT_EQ(plane_, self->c.info.plane[KTC_RX]); \
		EXPECT_EQ(plane_, self->c.info.plane[KTC_TX]); \
		EXPECT_EQ(variant->policy == KTC_POLICY_NEVER ? \
				  KTC_WHY_POLICY : KTC_WHY_NOTHING, \
			  self->c.info.why_not_kernel[KTC_TX]); \
	} while (0)

TEST_F(records, opens_on_its_plane_and_tells_what_was_agreed)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE }, { .op = PEER_DISCARD }, { 0 },
	};

	self->peer_opts.alpn = "h2,http/1.1";
	self->peer_opts.steps = script;
	ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer));
	struct ktc_conn_opts opts = {
		.host = "localhost",
		.port = peer_port(self->peer),
		.alpn = "http/1.1",
	};
	ASSERT_EQ(0, drive_connect(&self->d, &self->c, &opts));
	UNTIL(self->c.open);
	ASSERT_TRUE(self->c.open);
	EXPECT_PLANE();
	EXPECT_EQ(variant->version, self->c.info.version);
	EXPECT_STREQ("http/1.1", self->c.info.alpn);
	EXPECT_TRUE(self->c.info.verified);
	EXPECT_EQ(0, self->c.info.verify_result);
	EXPECT_FALSE(self->c.info.resumed);
	EXPECT_EQ(KTC_WHY_NO_SESSION, self->c.info.why_not_resumed);
	EXPECT_NE(0, self->c.info.addr_len);
	CLOSE_IN_ORDER();
	EXPECT_STREQ("localhost", self->res.server_name);
}

TEST_F(records, receives_a_megabyte_unchanged)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE },
		{ .op = PEER_SEND, .a = MB },
		{ .op = PEER_DISCARD },
		{ 0 },
	};

	START(script);
	UNTIL(self->c.received == MB);
	EXPECT_FALSE(self->c.mismatch);
	CLOSE_IN_ORDER();
	EXPECT_EQ(MB, self->c.info.bytes[KTC_RX]);
}

TEST_F(records, receives_in_pieces_of_any_size)
{
	static const unsigned int sizes[] = { 700, 300, 3 };
	struct peer_step script[] = {
		{ .op = PEER_SPLIT_TCP },
		{ .op = PEER_HANDSHAKE },
		{ .op = PEER_SEND, .a = 20000, .b = 5000 },
		{ .op = PEER_DISCARD },
		{ 0 },
	};
	unsigned int i;

	for (i = 0; i < 3; i++) {
		script[0].a = sizes[i];
		memset(&self->c, 0, sizeof(self->c));
		START(script);
		UNTIL(self->c.received == 20000);
		EXPECT_FALSE(self->c.mismatch);
		CLOSE_IN_ORDER();
		EXPECT_PLANE();
		peer_stop(self->peer);
		self->peer = NULL;
	}
}

TEST_F(records, data_behind_the_finished_comes_after_open)
{
	static const struct peer_step half_rtt[] = {
		{ .op = PEER_HANDSHAKE_HALF_RTT, .a = 30000, .b = 3000 },
		{ .op = PEER_SEND, .a = 5000 },
		{ .op = PEER_DISCARD },
		{ 0 },
	};
	static const struct peer_step first[] = {
		{ .op = PEER_HANDSHAKE_SPEAK_FIRST, .a = 30000, .b = 3000 },
		{ .op = PEER_SEND, .a = 5000 },
		{ .op = PEER_DISCARD },
		{ 0 },
	};

	START(variant->version == KTC_TLS1_3 ? half_rtt : first);
	UNTIL(self->c.open);
	UNTIL(self->c.received == 35000);
	EXPECT_FALSE(self->c.mismatch);
	CLOSE_IN_ORDER();
	EXPECT_PLANE();
}

/* The first record behind the handshake is cut at many places in turn. */
TEST_F(records, handover_waits_for_the_rest_of_a_record)
{
	static const unsigned int cuts[] = { 20, 60, 61, 62, 90, 250, 1100 };
	struct peer_step script[] = {
		{ .op = PEER_HOLD_LAST_FLIGHT },
		{ .op = PEER_HANDSHAKE_SPEAK_FIRST, .a = 3000, .b = 1000 },
		{ .op = PEER_RELEASE },
		{ .op = PEER_BARRIER },
		{ .op = PEER_RELEASE },
		{ .op = PEER_SEND, .a = 3000 },
		{ .op = PEER_DISCARD },
		{ 0 },
	};
	struct ktc_event ev;
	pthread_t thread;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cuts); i++) {
		script[2].a = cuts[i];
		memset(&self->c, 0, sizeof(self->c));
		self->peer_opts.tickets = PEER_NO_TICKETS;
		START(script);
		self->barrier.peer = self->peer;
		self->barrier.loop = self->d.loop;
		atomic_store(&self->barrier.reached, false);
		ASSERT_EQ(0, pthread_create(&thread, NULL, barrier_wait,
					    &self->barrier));
		while (!atomic_load(&self->barrier.reached))
			if (ktc_loop_events(self->d.loop, &ev, 1, -1) == 1)
				drive_event(self->d.loop, &ev);
		ASSERT_EQ(0, pthread_join(thread, NULL));
		ASSERT_EQ(0, self->barrier.err);
		/* what was released is in the socket: let it be taken */
		while (ktc_loop_events(self->d.loop, &ev, 1, 0) == 1)
			drive_event(self->d.loop, &ev);
		peer_go(self->peer);
		UNTIL(self->c.received == 6000);
		EXPECT_FALSE(self->c.mismatch);
		CLOSE_IN_ORDER();
		EXPECT_PLANE();
		peer_stop(self->peer);
		self->peer = NULL;
	}
}

TEST_F(records, sends_a_megabyte_unchanged)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE },
		{ .op = PEER_RECV, .a = MB },
		{ .op = PEER_DISCARD },
		{ 0 },
	};

	START(script);
	UNTIL(self->c.open);
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, MB, 7));
	UNTIL(self->c.sent == 1);
	EXPECT_EQ(0, self->c.sent_err);
	EXPECT_EQ(MB, self->c.sent_bytes);
	EXPECT_EQ(7, self->c.sent_tag);
	CLOSE_IN_ORDER();
	EXPECT_EQ(MB, self->res.bytes_received);
}

TEST_F(records, many_small_sends_keep_their_order)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE },
		{ .op = PEER_RECV, .a = 64000 },
		{ .op = PEER_DISCARD },
		{ 0 },
	};
	unsigned int i;

	START(script);
	UNTIL(self->c.open);
	for (i = 0; i < 640; i++)
		ASSERT_EQ(0, ktc_conn_send(self->c.conn,
					   self->pattern + i * 100, 100, i));
	UNTIL(self->c.sent == 640);
	EXPECT_EQ(639, self->c.sent_tag);
	CLOSE_IN_ORDER();
}

TEST_F(records, echoes_both_ways_at_once)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE }, { .op = PEER_ECHO }, { 0 },
	};

	START(script);
	UNTIL(self->c.open);
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, 2 * MB, 0));
	UNTIL(self->c.received == 2 * MB);
	EXPECT_FALSE(self->c.mismatch);
	CLOSE_IN_ORDER();
}

TEST_F(records, close_loses_no_byte_to_a_slow_reader)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE },
		{ .op = PEER_SEND, .a = 1 },
		{ .op = PEER_BARRIER },
		{ .op = PEER_RECV, .a = MB },
		{ .op = PEER_DISCARD },
		{ 0 },
	};

	self->peer_opts.rcvbuf = 4096;
	START(script);
	UNTIL(self->c.received == 1);
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, MB, 0));
	ASSERT_EQ(0, ktc_conn_close(self->c.conn));
	ASSERT_EQ(0, peer_wait_barrier(self->peer));
	peer_go(self->peer);
	UNTIL(self->c.closed);
	ASSERT_EQ(0, self->c.err) TH_LOG("%s", self->c.error.text);
	PEER_DONE();
	EXPECT_EQ(MB, self->res.bytes_received);
	EXPECT_TRUE(self->res.close_notify);
}

TEST_F(records, sendfile_sends_the_file)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE },
		{ .op = PEER_RECV, .a = MB - 100 },
		{ .op = PEER_DISCARD },
		{ 0 },
	};
	char path[CERTS_DIR_MAX + 16];
	int fd;

	snprintf(path, sizeof(path), "%s/file", self->dir);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	ASSERT_LE(0, fd);
	unlink(path);
	/* the pattern begins at 100 of the file */
	ASSERT_EQ(MB - 100, pwrite(fd, self->pattern, MB - 100, 100));
	START(script);
	UNTIL(self->c.open);
	ASSERT_EQ(0, ktc_conn_sendfile(self->c.conn, fd, 100, MB - 100, 9));
	UNTIL(self->c.sent == 1);
	EXPECT_EQ(0, self->c.sent_err);
	EXPECT_EQ(MB - 100, self->c.sent_bytes);
	CLOSE_IN_ORDER();
	close(fd);
}

TEST_F(records, sendfile_of_a_short_file_ends_the_connection)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE }, { .op = PEER_DISCARD }, { 0 },
	};
	char path[CERTS_DIR_MAX + 16];
	int fd;

	snprintf(path, sizeof(path), "%s/file", self->dir);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	ASSERT_LE(0, fd);
	unlink(path);
	ASSERT_EQ(1000, pwrite(fd, self->pattern, 1000, 0));
	START(script);
	UNTIL(self->c.open);
	ASSERT_EQ(0, ktc_conn_sendfile(self->c.conn, fd, 0, 1001, 0));
	UNTIL(self->c.closed);
	EXPECT_EQ(1, self->c.sent);
	EXPECT_EQ(-ENODATA, self->c.sent_err);
	EXPECT_EQ(-ENODATA, self->c.err);
	close(fd);
}

TEST_F(records, tickets_reach_the_inventory_and_resume)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE },
		{ .op = PEER_SEND, .a = 100 },
		{ .op = PEER_DISCARD },
		{ 0 },
	};
	struct ktc_client_stats stats = { .size = sizeof(stats) };
	struct peer_totals totals;
	unsigned int i;

	for (i = 0; i < 5; i++) {
		memset(&self->c, 0, sizeof(self->c));
		if (!i)
			START(script);
		else
			ASSERT_EQ(0, drive_connect_peer(&self->d, &self->c,
							self->peer, 0));
		UNTIL(self->c.received == 100);
		EXPECT_EQ(i > 0, self->c.info.resumed);
		EXPECT_EQ(i ? KTC_WHY_NOTHING : KTC_WHY_NO_SESSION,
			  self->c.info.why_not_resumed);
		ASSERT_EQ(0, ktc_conn_close(self->c.conn));
		UNTIL(self->c.closed);
		ASSERT_EQ(0, self->c.err) TH_LOG("%s", self->c.error.text);
		EXPECT_PLANE();
	}
	ASSERT_EQ(0, peer_wait_totals(self->peer, 5, &totals));
	EXPECT_EQ(4, totals.resumed);
	EXPECT_EQ(0, totals.psk_repeated);
	ASSERT_EQ(0, ktc_client_stats(self->d.client, &stats));
	EXPECT_EQ(4, stats.handshakes_resumed);
	EXPECT_EQ(1, stats.handshakes_full);
}

TEST_F(records, split_and_doubled_tickets_arrive)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE },
		{ .op = PEER_SEND, .a = 100 },
		/* cut in the middle by chance a piece could begin with 24 */
		{ .op = PEER_TICKET_SPLIT, .a = 2, .b = 2 },
		{ .op = PEER_SEND, .a = 100 },
		{ .op = PEER_TICKETS_DOUBLED, .a = 2 },
		{ .op = PEER_TICKET_SPLIT, .a = 3, .b = 2 },
		{ .op = PEER_SEND, .a = 100 },
		{ .op = PEER_DISCARD },
		{ 0 },
	};
	struct ktc_client_stats stats = { .size = sizeof(stats) };

	if (variant->version != KTC_TLS1_3)
		SKIP(return, "TLS 1.2 has its ticket in the handshake");
	self->peer_opts.tickets = PEER_NO_TICKETS;
	START(script);
	UNTIL(self->c.received == 300);
	EXPECT_FALSE(self->c.mismatch);
	ASSERT_EQ(0, ktc_client_stats(self->d.client, &stats));
	EXPECT_EQ(4, stats.sessions);
	CLOSE_IN_ORDER();
}

TEST_F(records, key_update_of_the_peer_is_followed)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE },
		{ .op = PEER_SEND, .a = 1000 },
		{ .op = PEER_KEY_UPDATE, .a = 1, .b = 0 },
		{ .op = PEER_SEND, .a = 20000 },
		{ .op = PEER_KEY_UPDATE, .a = 1, .b = 1 },
		{ .op = PEER_SEND, .a = 20000 },
		{ .op = PEER_WAIT_KEY_UPDATE, .a = 1 },
		{ .op = PEER_TICKETS, .a = 1 },
		{ .op = PEER_ECHO },
		{ 0 },
	};
	bool kernel = variant->policy == KTC_POLICY_ALWAYS;

	if (variant->version != KTC_TLS1_3)
		SKIP(return, "TLS 1.2 has no KeyUpdate");
	START(script);
	UNTIL(self->c.open);
	if (kernel && !caps_rekey()) {
		UNTIL(self->c.closed);
		EXPECT_EQ(-KTC_E_KEY_UPDATE, self->c.err);
		EXPECT_EQ(1000, self->c.received);
		return;
	}
	UNTIL(self->c.received == 41000);
	UNTIL(self->c.rekeyed[KTC_TX]);
	EXPECT_LE(1, self->c.rekeyed[KTC_RX]);
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, 50000, 0));
	/* the echo's offset is the peer's own count: only that it comes */
	self->c.raw = true;
	UNTIL(self->c.received == 91000);
	EXPECT_FALSE(self->c.mismatch);
	CLOSE_IN_ORDER();
	EXPECT_EQ(2, self->c.info.rekeys[KTC_RX]);
	EXPECT_EQ(1, self->c.info.rekeys[KTC_TX]);
}

TEST_F(records, our_key_update_is_followed)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE },
		{ .op = PEER_WAIT_KEY_UPDATE, .a = 1 },
		{ .op = PEER_RECV, .a = 100000 },
		{ .op = PEER_SEND, .a = 1000 },
		{ .op = PEER_DISCARD },
		{ 0 },
	};
	bool kernel = variant->policy == KTC_POLICY_ALWAYS;

	START(script);
	UNTIL(self->c.open);
	if (variant->version != KTC_TLS1_3 || (kernel && !caps_rekey())) {
		EXPECT_EQ(-KTC_E_UNSUPPORTED,
			  ktc_conn_rekey(self->c.conn, true));
		return;
	}
	ASSERT_EQ(0, ktc_conn_rekey(self->c.conn, true));
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, 100000, 0));
	UNTIL((self->c.received == 1000 && self->c.rekeyed[KTC_RX] &&
	       self->c.rekeyed[KTC_TX]));
	CLOSE_IN_ORDER();
	EXPECT_EQ(1, self->res.key_updates_received);
}

TEST_F(records, the_sending_key_is_changed_at_its_limit)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE },
		{ .op = PEER_RECV, .a = 50000 },
		{ .op = PEER_SEND, .a = 1000 },
		{ .op = PEER_DISCARD },
		{ 0 },
	};
	bool kernel = variant->policy == KTC_POLICY_ALWAYS;
	unsigned int i;

	self->d.client->records_max = 20;
	START(script);
	UNTIL(self->c.open);
	for (i = 0; i < 50 && !self->c.closed; i++) {
		if (ktc_conn_send(self->c.conn, self->pattern + i * 1000, 1000,
				  i))
			break;
		DRIVE_UNTIL(&self->d, self->c.sent == i + 1 || self->c.closed);
		ASSERT_TRUE(self->c.sent == i + 1 || self->c.closed);
	}
	if (variant->version != KTC_TLS1_3 || (kernel && !caps_rekey())) {
		/* no new key to be had: the connection is retired */
		UNTIL(self->c.closed);
		EXPECT_EQ(-KTC_E_KEY_LIMIT, self->c.err);
		EXPECT_EQ(20, self->c.sent);
		return;
	}
	UNTIL(self->c.received == 1000);
	EXPECT_LE(2, self->c.rekeyed[KTC_TX]);
	CLOSE_IN_ORDER();
	EXPECT_LE(2, self->res.key_updates_received);
	EXPECT_EQ(50000, self->res.bytes_received);
}

TEST_F(records, the_receiving_key_is_changed_at_its_limit)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE },
		/* a receive holds one of them, whatever waits in the socket */
		{ .op = PEER_SEND, .a = 150 * 16000, .b = 16000 },
		{ .op = PEER_WAIT_KEY_UPDATE, .a = 1 },
		{ .op = PEER_SEND, .a = 1000 },
		{ .op = PEER_DISCARD },
		{ 0 },
	};
	bool kernel = variant->policy == KTC_POLICY_ALWAYS;

	self->d.client->records_max = 100;
	START(script);
	UNTIL(self->c.open);
	if (variant->version != KTC_TLS1_3 || (kernel && !caps_rekey())) {
		UNTIL(self->c.closed);
		EXPECT_EQ(-KTC_E_KEY_LIMIT, self->c.err);
		return;
	}
	UNTIL(self->c.received == 150 * 16000 + 1000);
	UNTIL(self->c.rekeyed[KTC_RX]);
	EXPECT_FALSE(self->c.mismatch);
	CLOSE_IN_ORDER();
}

TEST_F(records, eof_without_close_notify_is_truncation)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE },
		{ .op = PEER_SEND, .a = 1000 },
		{ .op = PEER_FIN },
		{ 0 },
	};

	START(script);
	UNTIL(self->c.closed);
	EXPECT_EQ(1000, self->c.received);
	EXPECT_FALSE(self->c.eof);
	EXPECT_EQ(-KTC_E_TRUNCATED, self->c.err);
	EXPECT_EQ(KTC_CLASS_PROTOCOL, self->c.error.class_);
}

TEST_F(records, fin_in_mid_record_is_truncation)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE },
		{ .op = PEER_FIN_MID_RECORD },
		{ 0 },
	};

	START(script);
	UNTIL(self->c.closed);
	EXPECT_EQ(-KTC_E_TRUNCATED, self->c.err);
}

TEST_F(records, close_notify_is_eof_and_sending_goes_on)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE },
		{ .op = PEER_SEND, .a = 1000 },
		{ .op = PEER_CLOSE_NOTIFY },
		{ .op = PEER_RECV, .a = 1000 },
		{ .op = PEER_DISCARD },
		{ 0 },
	};

	START(script);
	UNTIL(self->c.eof);
	EXPECT_EQ(1000, self->c.received);
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, 1000, 0));
	UNTIL(self->c.sent);
	CLOSE_IN_ORDER();
}

TEST_F(records, a_reset_after_close_notify_is_no_error)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE },
		{ .op = PEER_SEND, .a = 1000 },
		{ .op = PEER_CLOSE_NOTIFY },
		{ .op = PEER_BARRIER },
		{ .op = PEER_RST },
		{ 0 },
	};

	START(script);
	UNTIL(self->c.eof);
	EXPECT_EQ(1000, self->c.received);
	ASSERT_EQ(0, peer_wait_barrier(self->peer));
	peer_go(self->peer);
	ASSERT_EQ(0, peer_wait_done(self->peer, 0, &self->res));
	ASSERT_EQ(0, ktc_conn_close(self->c.conn));
	UNTIL(self->c.closed);
	EXPECT_EQ(0, self->c.err) TH_LOG("%s", self->c.error.text);
}

TEST_F(records, a_bad_record_ends_it_as_decrypt_error)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE },
		{ .op = PEER_SEND, .a = 1000 },
		{ .op = PEER_BAD_RECORD },
		{ .op = PEER_DISCARD },
		{ 0 },
	};

	START(script);
	UNTIL(self->c.closed);
	EXPECT_EQ(1000, self->c.received);
	EXPECT_EQ(-KTC_E_DECRYPT, self->c.err);
}

TEST_F(records, a_fatal_alert_is_told)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE },
		{ .op = PEER_ALERT, .a = 2, .b = 80 },
		{ .op = PEER_DISCARD },
		{ 0 },
	};

	START(script);
	UNTIL(self->c.closed);
	EXPECT_EQ(-KTC_E_ALERT, self->c.err);
	EXPECT_EQ(80, self->c.error.alert);
	EXPECT_FALSE(self->c.error.alert_sent);
}

TEST_F(records, a_reset_is_told)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE },
		{ .op = PEER_SEND, .a = 1 },
		{ .op = PEER_BARRIER },
		{ .op = PEER_RST },
		{ 0 },
	};

	START(script);
	UNTIL(self->c.received);
	ASSERT_EQ(0, peer_wait_barrier(self->peer));
	peer_go(self->peer);
	UNTIL(self->c.closed);
	EXPECT_EQ(-ECONNRESET, self->c.err);
	EXPECT_EQ(KTC_CLASS_NETWORK, self->c.error.class_);
}

TEST_F(records, a_flood_of_empty_records_ends_it)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE },
		{ .op = PEER_FLOOD, .a = 5000, .b = PEER_FLOOD_EMPTY },
		{ 0 },
	};

	START(script);
	UNTIL(self->c.closed);
	/* the kernel swallows empty records itself; the stream's end is seen */
	EXPECT_EQ(variant->policy == KTC_POLICY_ALWAYS ? -KTC_E_TRUNCATED :
							 -KTC_E_FLOOD,
		  self->c.err);
}

TEST_F(records, a_flood_of_tickets_ends_it)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE },
		{ .op = PEER_FLOOD, .a = 1000, .b = PEER_FLOOD_TICKETS },
		{ 0 },
	};

	if (variant->version != KTC_TLS1_3)
		SKIP(return, "TLS 1.2 has its ticket in the handshake");
	START(script);
	UNTIL(self->c.closed);
	EXPECT_EQ(-KTC_E_FLOOD, self->c.err);
}

TEST_F(records, padding_is_no_data)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE },
		{ .op = PEER_PAD, .a = 4096 },
		{ .op = PEER_SEND, .a = 50000, .b = 1000 },
		{ .op = PEER_DISCARD },
		{ 0 },
	};

	if (variant->version != KTC_TLS1_3)
		SKIP(return, "TLS 1.2 has no padding");
	START(script);
	UNTIL(self->c.received == 50000);
	EXPECT_FALSE(self->c.mismatch);
	CLOSE_IN_ORDER();
}

TEST_F(records, pausing_holds_the_peer_back)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE },
		{ .op = PEER_SEND, .a = 4 * MB },
		{ .op = PEER_DISCARD },
		{ 0 },
	};
	uint64_t at_pause;

	START(script);
	UNTIL(self->c.received > 0);
	ASSERT_EQ(0, ktc_conn_recv_pause(self->c.conn));
	/* what was under way still comes; then nothing for a while */
	while (1) {
		struct ktc_event ev;
		int n = ktc_loop_events(self->d.loop, &ev, 1, 200);

		if (n <= 0)
			break;
		drive_event(self->d.loop, &ev);
	}
	at_pause = self->c.received;
	EXPECT_GT(4 * MB, at_pause);
	ASSERT_EQ(0, ktc_conn_recv_resume(self->c.conn));
	UNTIL(self->c.received == 4 * MB);
	EXPECT_FALSE(self->c.mismatch);
	CLOSE_IN_ORDER();
}

TEST_F(records, sends_are_bounded)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE },
		{ .op = PEER_RECV, .a = MB },
		{ .op = PEER_DISCARD },
		{ 0 },
	};

	START(script);
	UNTIL(self->c.open);
	/* the default queue holds one megabyte */
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, MB, 0));
	EXPECT_EQ(-EAGAIN, ktc_conn_send(self->c.conn, self->pattern, MB, 1));
	UNTIL(self->c.sent == 1);
	CLOSE_IN_ORDER();
}

TEST_F(records, abort_ends_at_once)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE }, { .op = PEER_SILENCE }, { 0 },
	};

	START(script);
	UNTIL(self->c.open);
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, 4 * MB, 0));
	ktc_conn_abort(self->c.conn);
	UNTIL(self->c.closed);
	EXPECT_EQ(-KTC_E_CANCELED, self->c.err);
	EXPECT_EQ(1, self->c.sent);
	EXPECT_EQ(-KTC_E_CANCELED, self->c.sent_err);
}

TEST_HARNESS_MAIN
