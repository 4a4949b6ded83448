// SPDX-License-Identifier: GPL-2.0-only
/*
 * How connections to a TLS server end: bad input one by one, silence, resets,
 * aborts. Each ends in CLOSED with a code, class and sentence of its own,
 * within its deadline; the assertions are on the code, never on the time. What
 * comes before TLS is in reach_test.c.
 */
#include "kselftest_harness.h"

#include <ktlsclient.h>

#include <stdlib.h>
#include <unistd.h>

#include "certs.h"
#include "drive.h"
#include "host.h"
#include "peer.h"
#include "sys.h"

#define MB (1u << 20)
#define SHORT_MS 500		/* a deadline that is meant to pass */

#define ALERT_HANDSHAKE_FAILURE 40
#define ALERT_PROTOCOL_VERSION 70
#define ALERT_CERTIFICATE_REQUIRED 116
#define ALERT_NO_APPLICATION_PROTOCOL 120

static struct sys_ops hooked;
static uint64_t seconds_ahead;

static uint64_t later(void)
{
	return sys_real.time_s() + seconds_ahead;
}

static void hook_system(void)
{
	hooked = sys_real;
	sys = &hooked;
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

FIXTURE(endings)
{
	char dir[CERTS_DIR_MAX];
	char ca[CERTS_DIR_MAX + 16];
	char path[2][CERTS_DIR_MAX + 16];
	struct ktc_client_opts client;
	struct peer_opts peer_opts;
	struct peer *peer;
	struct drive d;
	struct drive_conn c;
	struct peer_result res;
	uint8_t *pattern;
};

FIXTURE_VARIANT(endings)
{
	uint16_t version;
	enum ktc_policy policy;
};

#define VARIANT(v, p) \
	FIXTURE_VARIANT_ADD(endings, tls1_##v##_##p) \
	{ \
		.version = KTC_TLS1_##v, .policy = KTC_POLICY_##p, \
	}

VARIANT(3, ALWAYS);
VARIANT(2, ALWAYS);
VARIANT(3, NEVER);
VARIANT(2, NEVER);

FIXTURE_SETUP(endings)
{
	if (variant->policy == KTC_POLICY_ALWAYS && !host_ktls())
		SKIP(return, "this kernel has no kTLS");
	if (variant->policy == KTC_POLICY_NEVER && getenv("KTC_TEST_LANE") &&
	    variant->version == KTC_TLS1_2)
		SKIP(return, "the user plane needs no VM: run natively");
	hook_system();
	ASSERT_EQ(0, certs_make_temp(self->dir));
	snprintf(self->ca, sizeof(self->ca), "%s/ca.pem", self->dir);
	self->client.size = sizeof(self->client);
	self->client.ca_file = self->ca;
	self->client.policy = variant->policy;
	self->peer_opts.cert_dir = self->dir;
	self->peer_opts.version_min = variant->version;
	self->peer_opts.version_max = variant->version;
	self->pattern = malloc(4 * MB);
	ASSERT_NE(NULL, self->pattern);
	peer_pattern_fill(self->pattern, 0, 4 * MB);
}

FIXTURE_TEARDOWN(endings)
{
	drive_fini(&self->d);
	peer_stop(self->peer);
	if (self->dir[0])
		certs_remove(self->dir);
	free(self->pattern);
	sys = &sys_real;
}

static const char *in_dir(struct _test_data_endings *self, int i,
			  const char *name)
{
	snprintf(self->path[i], sizeof(self->path[i]), "%s/%s", self->dir,
		 name);
	return self->path[i];
}

#define START(script) \
	do { \
		self->peer_opts.steps = (script); \
		ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer)); \
		ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL)); \
		ASSERT_EQ(0, drive_connect_peer(&self->d, &self->c, \
						self->peer, 0)); \
	} while (0)

#define PEER_DONE() ASSERT_EQ(0, peer_wait_done(self->peer, 0, &self->res))

static const struct peer_step just_handshake[] = {
	{ .op = PEER_HANDSHAKE }, { .op = PEER_DISCARD }, { 0 },
};

/* ------------------------------------------------ who the server is -- */

#define BAD_CERT(name, cert_, code) \
	TEST_F(endings, certificate_##name) \
	{ \
		self->peer_opts.cert = cert_; \
		START(just_handshake); \
		EXPECT_ENDING(code); \
		EXPECT_EQ(KTC_CLASS_PEER, self->c.error.class_); \
		EXPECT_FALSE(self->c.open); \
		EXPECT_TRUE(self->c.error.alert_sent); \
		EXPECT_LT(0, self->c.error.alert); \
		EXPECT_NE(0, self->c.error.verify_result); \
		PEER_DONE(); \
		EXPECT_EQ(self->c.error.alert, self->res.alert); \
	}

BAD_CERT(for_another_name, PEER_CERT_OTHER, -KTC_E_VERIFY_HOST)
BAD_CERT(expired, PEER_CERT_EXPIRED, -KTC_E_VERIFY_EXPIRED)
BAD_CERT(of_unknown_ca, PEER_CERT_UNKNOWN_CA, -KTC_E_VERIFY_CA)

TEST_F(endings, certificate_revoked)
{
	self->peer_opts.cert = PEER_CERT_REVOKED;
	self->client.crl_file = in_dir(self, 0, "crl.pem");
	START(just_handshake);
	EXPECT_ENDING(-KTC_E_VERIFY_REVOKED);
	EXPECT_EQ(KTC_CLASS_PEER, self->c.error.class_);
}

TEST_F(endings, a_good_certificate_passes_the_crl)
{
	self->client.crl_file = in_dir(self, 0, "crl.pem");
	START(just_handshake);
	UNTIL(self->c.open || self->c.closed);
	ASSERT_TRUE(self->c.open);
	ASSERT_EQ(0, ktc_conn_close(self->c.conn));
	EXPECT_ENDING(0);
}

TEST_F(endings, unverified_opens_and_says_so)
{
	self->peer_opts.cert = PEER_CERT_EXPIRED;
	self->client.ca_file = NULL;
	self->client.flags = KTC_CLIENT_INSECURE_NO_VERIFY;
	START(just_handshake);
	UNTIL(self->c.open || self->c.closed);
	ASSERT_TRUE(self->c.open);
	EXPECT_FALSE(self->c.info.verified);
	ASSERT_EQ(0, ktc_conn_close(self->c.conn));
	EXPECT_ENDING(0);
}

/* --------------------------------------------------- what is agreed -- */

#define EXPECT_ALERT(number) \
	do { \
		EXPECT_ENDING(-KTC_E_ALERT); \
		EXPECT_EQ(KTC_CLASS_PEER, self->c.error.class_); \
		EXPECT_EQ(number, self->c.error.alert); \
		EXPECT_FALSE(self->c.error.alert_sent); \
	} while (0)

TEST_F(endings, no_version_in_common)
{
	uint16_t other = variant->version == KTC_TLS1_3 ? KTC_TLS1_2 :
							  KTC_TLS1_3;

	self->client.version_min = variant->version;
	self->client.version_max = variant->version;
	self->peer_opts.version_min = other;
	self->peer_opts.version_max = other;
	START(just_handshake);
	EXPECT_ALERT(ALERT_PROTOCOL_VERSION);
}

TEST_F(endings, no_suite_in_common)
{
	self->client.tls12_ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
	self->client.tls13_suites = "TLS_AES_128_GCM_SHA256";
	self->peer_opts.suite = PEER_SUITE_CHACHA20;
	START(just_handshake);
	EXPECT_ALERT(ALERT_HANDSHAKE_FAILURE);
}

TEST_F(endings, no_alpn_in_common)
{
	self->client.alpn = "h2";
	self->peer_opts.alpn = "http/1.1";
	self->peer_opts.flags = PEER_ALPN_REQUIRED;
	START(just_handshake);
	EXPECT_ALERT(ALERT_NO_APPLICATION_PROTOCOL);
}

TEST_F(endings, client_certificate_missing)
{
	self->peer_opts.flags = PEER_WANT_CLIENT_CERT;
	START(just_handshake);
	/* TLS 1.3: the server's answer comes when ours is over already */
	EXPECT_ALERT(variant->version == KTC_TLS1_3 ?
			     ALERT_CERTIFICATE_REQUIRED :
			     ALERT_HANDSHAKE_FAILURE);
	EXPECT_EQ(variant->version == KTC_TLS1_3, self->c.open);
}

TEST_F(endings, client_certificate_shown)
{
	self->peer_opts.flags = PEER_WANT_CLIENT_CERT;
	self->client.cert_file = in_dir(self, 0, "client.pem");
	self->client.key_file = in_dir(self, 1, "client.key");
	START(just_handshake);
	UNTIL(self->c.open || self->c.closed);
	ASSERT_TRUE(self->c.open);
	ASSERT_EQ(0, ktc_conn_close(self->c.conn));
	EXPECT_ENDING(0);
	PEER_DONE();
	EXPECT_STREQ("", self->res.error);
	EXPECT_STREQ("client", self->res.client_cert);
}

/* -------------------------------------------------- records in OPEN -- */

#define AFTER_HANDSHAKE(name, ...) \
	static const struct peer_step name[] = { \
		{ .op = PEER_HANDSHAKE }, __VA_ARGS__, { 0 }, \
	}

TEST_F(endings, garbage_in_the_stream)
{
	AFTER_HANDSHAKE(script, { .op = PEER_GARBAGE, .a = 100 },
			{ .op = PEER_DISCARD });

	START(script);
	EXPECT_ENDING(-KTC_E_RECORD);
	EXPECT_EQ(KTC_CLASS_PROTOCOL, self->c.error.class_);
}

TEST_F(endings, huge_record)
{
	AFTER_HANDSHAKE(script, { .op = PEER_HUGE_RECORD },
			{ .op = PEER_DISCARD });

	START(script);
	EXPECT_ENDING(-KTC_E_RECORD);
	EXPECT_EQ(KTC_CLASS_PROTOCOL, self->c.error.class_);
}

TEST_F(endings, record_of_an_unknown_type)
{
	AFTER_HANDSHAKE(script, { .op = PEER_RECORD, .a = 99, .b = 10 },
			{ .op = PEER_DISCARD });

	START(script);
	UNTIL(self->c.closed);
	/* in TLS 1.2 the type stands outside and may be seen earlier */
	EXPECT_TRUE(self->c.err == -KTC_E_UNEXPECTED ||
		    (variant->version == KTC_TLS1_2 &&
		     self->c.err == -KTC_E_RECORD))
		TH_LOG("%d %s", self->c.err, self->c.error.text);
	EXPECT_EQ(KTC_CLASS_PROTOCOL, self->c.error.class_);
}

TEST_F(endings, handshake_message_out_of_place)
{
	AFTER_HANDSHAKE(script, { .op = PEER_RECORD, .a = 22, .b = 10 },
			{ .op = PEER_DISCARD });

	START(script);
	UNTIL(self->c.closed);
	EXPECT_EQ(KTC_CLASS_PROTOCOL, self->c.error.class_)
		TH_LOG("%d %s", self->c.err, self->c.error.text);
}

/* ------------------------------------------------------ RST and FIN -- */

TEST_F(endings, reset_after_accept)
{
	static const struct peer_step script[] = { { .op = PEER_RST }, { 0 } };

	START(script);
	EXPECT_ENDING(-ECONNRESET);
	EXPECT_EQ(KTC_CLASS_NETWORK, self->c.error.class_);
	EXPECT_FALSE(self->c.open);
}

TEST_F(endings, fin_after_accept)
{
	static const struct peer_step script[] = {
		{ .op = PEER_FIN }, { .op = PEER_SILENCE }, { 0 },
	};

	START(script);
	EXPECT_ENDING(-KTC_E_HANDSHAKE);
	EXPECT_FALSE(self->c.open);
}

TEST_F(endings, reset_after_handshake)
{
	AFTER_HANDSHAKE(script, { .op = PEER_RST });

	START(script);
	EXPECT_ENDING(-ECONNRESET);
}

TEST_F(endings, fin_after_handshake)
{
	AFTER_HANDSHAKE(script, { .op = PEER_FIN }, { .op = PEER_DISCARD });

	START(script);
	EXPECT_ENDING(-KTC_E_TRUNCATED);
	EXPECT_TRUE(self->c.open);
}

/* The peer does not read: what is sent stands when the reset comes. */
AFTER_HANDSHAKE(reset_at_go, { .op = PEER_SEND, .a = 1 },
		{ .op = PEER_BARRIER }, { .op = PEER_RST });

TEST_F(endings, reset_while_sending)
{
	self->peer_opts.rcvbuf = 4096;
	START(reset_at_go);
	UNTIL(self->c.received == 1 || self->c.closed);
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, 4 * MB, 1));
	ASSERT_EQ(0, peer_wait_barrier(self->peer));
	peer_go(self->peer);
	EXPECT_ENDING(-ECONNRESET);
	EXPECT_EQ(1, self->c.sent);
	EXPECT_GT(0, self->c.sent_err);
	EXPECT_GT(4 * MB, self->c.sent_bytes);
}

TEST_F(endings, reset_while_closing)
{
	self->peer_opts.rcvbuf = 4096;
	START(reset_at_go);
	UNTIL(self->c.received == 1 || self->c.closed);
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, 4 * MB, 1));
	ASSERT_EQ(0, ktc_conn_close(self->c.conn));
	ASSERT_EQ(0, peer_wait_barrier(self->peer));
	peer_go(self->peer);
	EXPECT_ENDING(-ECONNRESET);
	EXPECT_STREQ("closing", self->c.error.state);
	EXPECT_EQ(1, self->c.sent);
	EXPECT_GT(0, self->c.sent_err);
}

TEST_F(endings, fin_while_closing_loses_nothing)
{
	AFTER_HANDSHAKE(script, { .op = PEER_SEND, .a = 1 },
			{ .op = PEER_BARRIER }, { .op = PEER_FIN },
			{ .op = PEER_RECV, .a = MB }, { .op = PEER_DISCARD });

	self->peer_opts.rcvbuf = 4096;
	START(script);
	UNTIL(self->c.received == 1 || self->c.closed);
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, MB, 1));
	ASSERT_EQ(0, ktc_conn_close(self->c.conn));
	ASSERT_EQ(0, peer_wait_barrier(self->peer));
	peer_go(self->peer);
	EXPECT_ENDING(0);
	PEER_DONE();
	EXPECT_STREQ("", self->res.error);
	EXPECT_EQ(MB, self->res.bytes_received);
	EXPECT_TRUE(self->res.close_notify);
}

/* ---------------------------------------------------------- silence -- */

TEST_F(endings, silence_after_accept)
{
	static const struct peer_step script[] = {
		{ .op = PEER_SILENCE }, { 0 },
	};

	self->client.handshake_timeout_ms = SHORT_MS;
	START(script);
	EXPECT_ENDING(-KTC_E_HANDSHAKE_TIMEOUT);
	EXPECT_EQ(KTC_CLASS_TIMEOUT, self->c.error.class_);
}

/* The handover waits for the rest of a record that never comes. */
TEST_F(endings, silence_in_mid_record_before_open)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HOLD_LAST_FLIGHT },
		{ .op = PEER_HANDSHAKE_SPEAK_FIRST, .a = 3000, .b = 1000 },
		{ .op = PEER_RELEASE, .a = 1000 },
		{ .op = PEER_SILENCE },
		{ 0 },
	};

	if (variant->version == KTC_TLS1_3)
		SKIP(return, "nothing follows the Finished in its flight");
	self->client.handshake_timeout_ms = SHORT_MS;
	self->client.idle_timeout_ms = SHORT_MS;
	self->peer_opts.tickets = PEER_NO_TICKETS;
	START(script);
	EXPECT_ENDING(variant->policy == KTC_POLICY_NEVER ?
			      -KTC_E_IDLE_TIMEOUT : -KTC_E_HANDSHAKE_TIMEOUT);
	EXPECT_EQ(variant->policy == KTC_POLICY_NEVER, self->c.open);
}

TEST_F(endings, silence_when_open)
{
	self->client.idle_timeout_ms = SHORT_MS;
	START(just_handshake);
	EXPECT_ENDING(-KTC_E_IDLE_TIMEOUT);
	EXPECT_EQ(KTC_CLASS_TIMEOUT, self->c.error.class_);
	EXPECT_TRUE(self->c.open);
	EXPECT_STREQ("open", self->c.error.state);
	PEER_DONE();
	/* it was we who lost patience: the peer is told in order */
	EXPECT_TRUE(self->res.close_notify);
}

TEST_F(endings, peer_that_never_reads_times_the_close_out)
{
	AFTER_HANDSHAKE(script, { .op = PEER_SEND, .a = 1 },
			{ .op = PEER_BARRIER });

	self->peer_opts.rcvbuf = 4096;
	self->client.close_timeout_ms = SHORT_MS;
	START(script);
	UNTIL(self->c.received == 1 || self->c.closed);
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, 4 * MB, 1));
	ASSERT_EQ(0, ktc_conn_close(self->c.conn));
	EXPECT_ENDING(-KTC_E_CLOSE_TIMEOUT);
	EXPECT_EQ(KTC_CLASS_TIMEOUT, self->c.error.class_);
	EXPECT_EQ(1, self->c.sent);
	EXPECT_GT(0, self->c.sent_err);
	peer_go(self->peer);
}

TEST_F(endings, peer_that_read_all_need_not_answer)
{
	AFTER_HANDSHAKE(script, { .op = PEER_DISCARD },
			{ .op = PEER_BARRIER });

	self->client.close_timeout_ms = SHORT_MS;
	START(script);
	UNTIL(self->c.open || self->c.closed);
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, MB, 1));
	ASSERT_EQ(0, ktc_conn_close(self->c.conn));
	EXPECT_ENDING(0);
	EXPECT_EQ(0, self->c.sent_err);
	peer_go(self->peer);
	PEER_DONE();
	EXPECT_EQ(MB, self->res.bytes_received);
	EXPECT_TRUE(self->res.close_notify);
}

/* ----------------------------------------------------------- floods -- */

#define FLOOD(what) \
	{ .op = PEER_FLOOD, .a = 1000, .b = PEER_FLOOD_##what }

TEST_F(endings, flood_of_warnings)
{
	AFTER_HANDSHAKE(script, FLOOD(WARNINGS), { .op = PEER_DISCARD });

	START(script);
	EXPECT_ENDING(-KTC_E_FLOOD);
	EXPECT_EQ(KTC_CLASS_PROTOCOL, self->c.error.class_);
}

TEST_F(endings, flood_of_hello_requests)
{
	AFTER_HANDSHAKE(script, FLOOD(HELLO_REQUESTS), { .op = PEER_DISCARD });

	if (variant->version == KTC_TLS1_3)
		SKIP(return, "TLS 1.3 has no HelloRequest");
	START(script);
	EXPECT_ENDING(-KTC_E_FLOOD);
}

/*
 * Ignored on the kernel plane, declined with a warning by OpenSSL. What the
 * server makes of either afterwards is its own affair.
 */
TEST_F(endings, a_hello_request_is_no_end)
{
	AFTER_HANDSHAKE(script, { .op = PEER_HELLO_REQUEST },
			{ .op = PEER_SEND, .a = 1000 },
			{ .op = PEER_DISCARD });

	if (variant->version == KTC_TLS1_3)
		SKIP(return, "TLS 1.3 has no HelloRequest");
	START(script);
	UNTIL(self->c.received == 1000 || self->c.closed);
	EXPECT_EQ(1000, self->c.received);
	EXPECT_FALSE(self->c.mismatch);
}

TEST_F(endings, flood_of_key_updates)
{
	AFTER_HANDSHAKE(script, FLOOD(KEY_UPDATES), { .op = PEER_DISCARD });

	if (variant->version == KTC_TLS1_2)
		SKIP(return, "TLS 1.2 has no KeyUpdate");
	START(script);
	if (variant->policy == KTC_POLICY_ALWAYS && !host_rekey())
		EXPECT_ENDING(-KTC_E_KEY_UPDATE);
	else
		EXPECT_ENDING(-KTC_E_FLOOD);
}

/* ---------------------------------------------------------- tickets -- */

TEST_F(endings, an_expired_ticket_is_not_offered)
{
	AFTER_HANDSHAKE(script, { .op = PEER_SEND, .a = 1 },
			{ .op = PEER_DISCARD });

	self->peer_opts.ticket_lifetime_s = 100;
	hooked.time_s = later;
	seconds_ahead = 0;
	START(script);
	UNTIL(self->c.received == 1 || self->c.closed);
	ASSERT_EQ(0, ktc_conn_close(self->c.conn));
	EXPECT_ENDING(0);
	EXPECT_LE(1, self->c.info.tickets);

	seconds_ahead = 101;
	memset(&self->c, 0, sizeof(self->c));
	ASSERT_EQ(0, drive_connect_peer(&self->d, &self->c, self->peer, 0));
	UNTIL(self->c.open || self->c.closed);
	EXPECT_FALSE(self->c.info.resumed);
	EXPECT_EQ(KTC_WHY_EXPIRED, self->c.info.why_not_resumed);
	ASSERT_EQ(0, ktc_conn_close(self->c.conn));
	EXPECT_ENDING(0);
	ASSERT_EQ(0, peer_wait_done(self->peer, 1, &self->res));
	EXPECT_FALSE(self->res.offered_psk);
	EXPECT_FALSE(self->res.resumed);
}

/* ------------------------------------------------------ stop it now -- */

enum stopper { STOP_OPEN, STOP_SENDING, STOP_EOF, STOP_CLOSING, STOP_NR };

static const struct peer_step stop_scripts[STOP_NR][5] = {
	[STOP_OPEN] = {
		{ .op = PEER_HANDSHAKE }, { .op = PEER_SILENCE }, { 0 },
	},
	[STOP_SENDING] = {
		{ .op = PEER_HANDSHAKE }, { .op = PEER_BARRIER }, { 0 },
	},
	[STOP_EOF] = {
		{ .op = PEER_HANDSHAKE }, { .op = PEER_CLOSE_NOTIFY },
		{ .op = PEER_DISCARD }, { 0 },
	},
	[STOP_CLOSING] = {
		{ .op = PEER_HANDSHAKE }, { .op = PEER_BARRIER }, { 0 },
	},
};

/* One connection in the state that is asked for. */
static void bring_to(struct __test_metadata *const _metadata,
		     struct _test_data_endings *self, enum stopper state)
{
	self->peer_opts.rcvbuf = 4096;
	START(stop_scripts[state]);
	UNTIL(self->c.open || self->c.closed);
	ASSERT_TRUE(self->c.open);
	if (state == STOP_EOF)
		UNTIL(self->c.eof || self->c.closed);
	if (state == STOP_SENDING || state == STOP_CLOSING)
		ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern,
					   4 * MB, 1));
	if (state == STOP_CLOSING)
		ASSERT_EQ(0, ktc_conn_close(self->c.conn));
	drive_info(&self->c);
	EXPECT_STREQ(state == STOP_CLOSING ? "closing" : "open",
		     self->c.info.state);
}

static void stop_peer(struct _test_data_endings *self)
{
	drive_fini(&self->d);
	peer_stop(self->peer);
	self->peer = NULL;
	memset(&self->c, 0, sizeof(self->c));
}

TEST_F(endings, abort_in_every_state)
{
	bool sends;
	int state;

	for (state = 0; state < STOP_NR; state++) {
		sends = state == STOP_SENDING || state == STOP_CLOSING;
		bring_to(_metadata, self, state);
		ktc_conn_abort(self->c.conn);
		ktc_conn_abort(self->c.conn); /* once more is harmless */
		EXPECT_ENDING(-KTC_E_CANCELED);
		EXPECT_EQ(KTC_CLASS_CLOSED, self->c.error.class_);
		EXPECT_EQ(sends, self->c.sent);
		EXPECT_EQ(sends ? -KTC_E_CANCELED : 0, self->c.sent_err);
		stop_peer(self);
	}
}

TEST_F(endings, close_in_every_state)
{
	bool sends;
	int state;

	self->client.close_timeout_ms = SHORT_MS;
	for (state = 0; state < STOP_NR; state++) {
		sends = state == STOP_SENDING || state == STOP_CLOSING;
		bring_to(_metadata, self, state);
		ASSERT_EQ(0, ktc_conn_close(self->c.conn));
		EXPECT_EQ(0, ktc_conn_close(self->c.conn));
		EXPECT_EQ(-KTC_E_STATE,
			  ktc_conn_send(self->c.conn, self->pattern, 1, 2));
		EXPECT_ENDING(sends ? -KTC_E_CLOSE_TIMEOUT : 0);
		EXPECT_EQ(sends, self->c.sent);
		stop_peer(self);
	}
}

TEST_F(endings, loop_free_in_every_state_leaks_nothing)
{
	unsigned int fds;
	int state;

	/* what is made once for ever, the probe's among it */
	(void)host_ktls();
	host_count_memory(&hooked);
	fds = host_open_fds();
	for (state = 0; state < STOP_NR; state++) {
		long before = host_live_memory();

		bring_to(_metadata, self, state);
		stop_peer(self);
		EXPECT_EQ(before, host_live_memory());
		EXPECT_EQ(fds, host_open_fds());
	}
}

TEST_HARNESS_MAIN
