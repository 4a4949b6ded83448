// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a relay ends when it does not end in order: truncation, alerts, records
 * that cannot be opened, resets, readers that die. Each is told apart, with
 * its errno, and what was whole before it arrives.
 */
#include "kselftest_harness.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host.h"
#include "kflow.h"
#include "krelay.h"
#include "pattern.h"

FIXTURE(end)
{
	struct krelay_opts opts;
	struct krelay r;
	struct krelay_event ev;
	struct ktcm_event end;
};

FIXTURE_VARIANT(end)
{
	uint16_t version;
	uint16_t cipher;
	bool unix_plain;
};

#define VARIANT(name, v, c, u) \
	FIXTURE_VARIANT_ADD(end, name) \
	{ \
		.version = TLS_1_##v##_VERSION, \
		.cipher = TLS_CIPHER_##c, \
		.unix_plain = u, \
	}

VARIANT(tls13_tcp, 3, AES_GCM_128, false);
VARIANT(tls13_unix, 3, CHACHA20_POLY1305, true);
VARIANT(tls12_tcp, 2, AES_GCM_256, false);
VARIANT(tls12_unix, 2, AES_GCM_128, true);

FIXTURE_SETUP(end)
{
	int err;

	self->opts = (struct krelay_opts){
		.version = variant->version,
		.cipher = variant->cipher,
		.unix_plain = variant->unix_plain,
	};
	err = krelay_new(&self->r, &self->opts);
	if (err == -ENXIO)
		SKIP(return, "no /dev/ktlsclient");
	if (err == -ENOENT)
		SKIP(return, "this kernel has no kTLS with this suite");
	ASSERT_EQ(0, err);
}

FIXTURE_TEARDOWN(end)
{
	krelay_free(&self->r);
}

static bool passes(int from, int to)
{
	char buf[4];

	return !kpair_write_all(from, "ping", 4) &&
	       !kpair_read_all(to, buf, 4) && !memcmp(buf, "ping", 4);
}

/* A running relay with bytes behind it, so that nothing is about to begin. */
#define WARM_UP() \
	do { \
		ASSERT_TRUE(passes(self->r.remote, self->r.local)); \
		ASSERT_TRUE(passes(self->r.local, self->r.remote)); \
	} while (0)

#define EXPECT_END(how, err) \
	do { \
		ASSERT_EQ(0, krelay_end(self->r.fd, &self->end)); \
		EXPECT_EQ(KTCM_END_##how, self->end.end); \
		EXPECT_EQ(err, self->end.error); \
	} while (0)

/* One of several errnos, as the stack has seen it. */
#define EXPECT_END_ONE_OF(how, err1, err2) \
	do { \
		ASSERT_EQ(0, krelay_end(self->r.fd, &self->end)); \
		EXPECT_EQ(KTCM_END_##how, self->end.end); \
		EXPECT_TRUE(self->end.error == (err1) || \
			    self->end.error == (err2)) \
		{ \
			TH_LOG("errno %d", self->end.error); \
		} \
	} while (0)

TEST_F(end, fin_without_close_notify_is_truncation)
{
	WARM_UP();
	ASSERT_EQ(0, kpair_write_all(self->r.remote, "last", 4));
	ASSERT_EQ(0, shutdown(self->r.remote, SHUT_WR));
	EXPECT_END(TRUNCATED, 0);
	EXPECT_EQ(8, self->end.bytes[KTCM_DOWN]);
	EXPECT_EQ(4, self->end.bytes[KTCM_UP]);
}

/* It must not look like an end in order to the one who reads the bytes. */
TEST_F(end, truncation_is_no_fin_for_the_local_side)
{
	char buf[8];

	WARM_UP();
	ASSERT_EQ(0, kpair_write_all(self->r.remote, "last", 4));
	ASSERT_EQ(0, shutdown(self->r.remote, SHUT_WR));
	EXPECT_END(TRUNCATED, 0);
	EXPECT_EQ(4, recv(self->r.local, buf, sizeof(buf), 0));
	EXPECT_EQ(-1, recv(self->r.local, buf, sizeof(buf), MSG_DONTWAIT));
	EXPECT_EQ(EAGAIN, errno);
}

TEST_F(end, fin_after_close_notify_is_none)
{
	WARM_UP();
	ASSERT_EQ(0, kpair_close_notify(self->r.remote));
	ASSERT_EQ(0, shutdown(self->r.remote, SHUT_WR));
	ASSERT_TRUE(passes(self->r.local, self->r.remote));
	ASSERT_EQ(0, shutdown(self->r.local, SHUT_WR));
	EXPECT_END(DONE, 0);
}

TEST_F(end, fatal_alert)
{
	WARM_UP();
	ASSERT_EQ(0, kpair_alert(self->r.remote, 2, 40));
	ASSERT_EQ(0, krelay_next(self->r.fd, &self->ev));
	EXPECT_EQ(KTCM_EV_RECORD, self->ev.head.type);
	EXPECT_EQ(KPAIR_ALERT, self->ev.head.record_type);
	EXPECT_EQ(2, self->ev.head.len);
	EXPECT_EQ(2, self->ev.record[0]);
	EXPECT_EQ(40, self->ev.record[1]);
	EXPECT_EQ(0, self->ev.head.paused);
	EXPECT_END(ALERT, 0);
}

TEST_F(end, an_alert_behind_data_does_not_overtake_it)
{
	char buf[4];

	WARM_UP();
	ASSERT_EQ(0, kpair_write_all(self->r.remote, "last", 4));
	ASSERT_EQ(0, kpair_alert(self->r.remote, 2, 80));
	EXPECT_END(ALERT, 0);
	EXPECT_EQ(8, self->end.bytes[KTCM_DOWN]);
	EXPECT_EQ(0, kpair_read_all(self->r.local, buf, 4));
}

/* RFC 5246 7.2: a warning; TLS 1.3 has no such level, all but one are fatal. */
TEST_F(end, a_warning)
{
	const uint8_t no_renegotiation = 100;

	WARM_UP();
	ASSERT_EQ(0, kpair_alert(self->r.remote, 1, no_renegotiation));
	ASSERT_EQ(0, krelay_next(self->r.fd, &self->ev));
	EXPECT_EQ(KTCM_EV_RECORD, self->ev.head.type);
	EXPECT_EQ(1, self->ev.record[0]);
	EXPECT_EQ(no_renegotiation, self->ev.record[1]);
	if (variant->version == TLS_1_3_VERSION)
		EXPECT_END(ALERT, 0);
	else
		EXPECT_TRUE(passes(self->r.remote, self->r.local));
}

/* RFC 8446 6.1: the peer gives up, its close_notify follows. */
TEST_F(end, user_canceled_is_no_end)
{
	WARM_UP();
	ASSERT_EQ(0, kpair_alert(self->r.remote, 1, 90));
	ASSERT_EQ(0, krelay_next(self->r.fd, &self->ev));
	EXPECT_EQ(KTCM_EV_RECORD, self->ev.head.type);
	EXPECT_TRUE(passes(self->r.remote, self->r.local));
}

/* A relay whose peer has no keys and writes what it likes. */
#define RAW_RELAY() \
	do { \
		krelay_free(&self->r); \
		self->opts.raw_remote = true; \
		ASSERT_EQ(0, krelay_new(&self->r, &self->opts)); \
	} while (0)

/* Data records of so many bytes that nobody has sealed. */
static void forge(uint8_t *buf, size_t body)
{
	buf[0] = KPAIR_DATA;
	buf[1] = 3;
	buf[2] = 3;
	buf[3] = (uint8_t)(body >> 8);
	buf[4] = (uint8_t)body;
	peer_pattern_fill(buf + 5, 77, body);
}

TEST_F(end, a_record_that_cannot_be_opened)
{
	uint8_t buf[5 + 64];

	RAW_RELAY();
	forge(buf, 64);
	ASSERT_EQ(0, kpair_write_all(self->r.remote, buf, sizeof(buf)));
	EXPECT_END(TLS, EBADMSG);
	EXPECT_EQ(0, self->end.bytes[KTCM_DOWN]);
}

TEST_F(end, a_record_that_is_none)
{
	RAW_RELAY();
	ASSERT_EQ(0, kpair_write_all(self->r.remote,
				     "GET / HTTP/1.1\r\n\r\n", 18));
	ASSERT_EQ(0, krelay_end(self->r.fd, &self->end));
	EXPECT_EQ(KTCM_END_TLS, self->end.end);
	EXPECT_LT(0, self->end.error);
}

TEST_F(end, fin_in_the_middle_of_a_record)
{
	uint8_t buf[5 + 64];

	RAW_RELAY();
	forge(buf, 64);
	ASSERT_EQ(0, kpair_write_all(self->r.remote, buf, 30));
	ASSERT_EQ(0, shutdown(self->r.remote, SHUT_WR));
	EXPECT_END(TRUNCATED, 0);
}

/* A good record is copied from the wire and one of its bytes changed. */
TEST_F(end, a_record_that_was_tampered_with)
{
	struct kpair wire;
	uint8_t buf[256];
	ssize_t len;

	RAW_RELAY();
	ASSERT_EQ(0, kpair_open(&wire, variant->version, variant->cipher));
	ASSERT_EQ(0, kpair_arm(wire.fd[KPAIR_REMOTE], variant->version,
			       variant->cipher, KPAIR_REMOTE));
	/* both ends see the same first record as long as it is whole */
	ASSERT_EQ(0, kpair_write_all(wire.fd[KPAIR_REMOTE], "first", 5));
	len = recv(wire.fd[KPAIR_LOCAL], buf, sizeof(buf), 0);
	ASSERT_LT(5 + 5 + 16, len);
	ASSERT_EQ(0, kpair_write_all(self->r.remote, buf, (size_t)len));
	ASSERT_EQ(0, kpair_read_all(self->r.local, buf, 5));
	EXPECT_EQ(0, memcmp("first", buf, 5));
	ASSERT_EQ(0, kpair_write_all(wire.fd[KPAIR_REMOTE], "second", 6));
	len = recv(wire.fd[KPAIR_LOCAL], buf, sizeof(buf), 0);
	ASSERT_LT(5 + 6 + 16, len);
	buf[len - 17] ^= 1;
	ASSERT_EQ(0, kpair_write_all(self->r.remote, buf, (size_t)len));
	EXPECT_END(TLS, EBADMSG);
	EXPECT_EQ(5, self->end.bytes[KTCM_DOWN]);
	kpair_close(&wire);
}

TEST_F(end, the_peer_resets)
{
	WARM_UP();
	host_reset(self->r.remote);
	self->r.remote = -1;
	EXPECT_END(TLS, ECONNRESET);
}

/* As a TLS server does that has died with bytes unread. */
TEST_F(end, the_peer_dies_while_it_is_sent_to)
{
	struct kflow_end remote, local;
	struct kflow flow;

	kflow_init(&flow, &remote, self->r.remote, true, &local, self->r.local,
		   false, 8 << 20);
	flow.idle_ms = 300;
	remote.deaf = true;
	remote.send_len = 0;
	EXPECT_EQ(-ETIMEDOUT, kflow_run(&flow));
	krelay_shut(&self->r.remote);
	EXPECT_END_ONE_OF(TLS, ECONNRESET, EPIPE);
}

TEST_F(end, the_local_side_resets)
{
	char byte;

	WARM_UP();
	if (variant->unix_plain) {
		/* unix: a reset is a close with bytes unread */
		ASSERT_EQ(0, kpair_write_all(self->r.remote, "x", 1));
		ASSERT_EQ(1, recv(self->r.local, &byte, 1, MSG_PEEK));
		krelay_shut(&self->r.local);
	} else {
		host_reset(self->r.local);
		self->r.local = -1;
	}
	EXPECT_END(PLAIN, ECONNRESET);
}

/* An application that dies with its peer still sending. */
TEST_F(end, the_local_reader_dies)
{
	struct kflow_end remote, local;
	struct kflow flow;

	kflow_init(&flow, &remote, self->r.remote, true, &local, self->r.local,
		   false, 8 << 20);
	flow.idle_ms = 300;
	local.deaf = true;
	local.send_len = 0;
	EXPECT_EQ(-ETIMEDOUT, kflow_run(&flow));
	krelay_shut(&self->r.local);
	EXPECT_END_ONE_OF(PLAIN, ECONNRESET, EPIPE);
	EXPECT_GT(remote.sent, self->end.bytes[KTCM_DOWN]);
}

/*
 * It has read all, and closes: the first byte after that finds nobody. What it
 * sent before, and the end of it, reaches the peer first.
 */
TEST_F(end, the_local_side_closes_and_the_peer_goes_on)
{
	uint8_t type, buf[8];

	WARM_UP();
	ASSERT_EQ(0, kpair_write_all(self->r.local, "bye", 3));
	krelay_shut(&self->r.local);
	EXPECT_EQ(3, kpair_recv(self->r.remote, &type, buf, 8, 0));
	EXPECT_EQ(2, kpair_recv(self->r.remote, &type, buf, 8, 0));
	EXPECT_EQ(KPAIR_ALERT, type);
	/* TCP says so when the second byte is sent, unix at once */
	while (!kpair_write_all(self->r.remote, "more", 4)) {
		int err = krelay_event(self->r.fd, &self->ev, 20);

		if (!err)
			break;
		ASSERT_EQ(-ETIMEDOUT, err);
	}
	EXPECT_EQ(KTCM_EV_END, self->ev.head.type);
	EXPECT_EQ(KTCM_END_PLAIN, self->ev.head.end);
	EXPECT_TRUE(self->ev.head.error == EPIPE ||
		    self->ev.head.error == ECONNRESET);
}

/* The socket is shut down by its own owner, under the relay. */
TEST_F(end, the_owner_shuts_the_plain_side_down)
{
	WARM_UP();
	ASSERT_EQ(0, shutdown(self->r.plain, SHUT_RDWR));
	ASSERT_EQ(0, kpair_write_all(self->r.remote, "x", 1));
	EXPECT_END_ONE_OF(PLAIN, EPIPE, ECONNRESET);
}

TEST_F(end, the_owner_shuts_the_tls_side_down)
{
	WARM_UP();
	ASSERT_EQ(0, shutdown(self->r.tls, SHUT_RDWR));
	ASSERT_EQ(0, krelay_end(self->r.fd, &self->end));
	EXPECT_TRUE(self->end.end == KTCM_END_TRUNCATED ||
		    self->end.end == KTCM_END_TLS);
}

/* The counts of END are those of STATUS, and nothing is held any more. */
TEST_F(end, status_after_the_end)
{
	struct ktcm_status status;

	WARM_UP();
	ASSERT_EQ(0, shutdown(self->r.remote, SHUT_WR));
	EXPECT_END(TRUNCATED, 0);
	ASSERT_EQ(0, krelay_status(self->r.fd, &status));
	EXPECT_EQ(KTCM_END_TRUNCATED, status.end);
	EXPECT_EQ(0, status.error);
	EXPECT_EQ(self->end.bytes[KTCM_DOWN], status.bytes[KTCM_DOWN]);
	EXPECT_EQ(self->end.bytes[KTCM_UP], status.bytes[KTCM_UP]);
	EXPECT_EQ(0, status.held[KTCM_DOWN]);
	EXPECT_EQ(0, status.held[KTCM_UP]);
	EXPECT_EQ(0, status.paused);
}

TEST_HARNESS_MAIN
