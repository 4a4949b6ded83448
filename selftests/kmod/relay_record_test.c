// SPDX-License-Identifier: GPL-2.0-only
/*
 * Records that are not data, in the middle of it: tickets in order and whole,
 * a mailbox that is bounded, KeyUpdates with and without a kernel that can
 * change keys. No byte of data is lost or moved by any of them.
 */
#include "kselftest_harness.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kflow.h"
#include "krelay.h"

FIXTURE(record)
{
	struct krelay_opts opts;
	struct krelay r;
	struct krelay_event ev;
	struct kflow flow;
	struct kflow_end remote, local;
};

FIXTURE_VARIANT(record)
{
	uint16_t cipher;
	bool unix_plain;
};

FIXTURE_VARIANT_ADD(record, aes128_tcp)
{
	.cipher = TLS_CIPHER_AES_GCM_128,
};

FIXTURE_VARIANT_ADD(record, aes256_unix)
{
	.cipher = TLS_CIPHER_AES_GCM_256, .unix_plain = true,
};

FIXTURE_VARIANT_ADD(record, chacha20_tcp)
{
	.cipher = TLS_CIPHER_CHACHA20_POLY1305,
};

FIXTURE_SETUP(record)
{
	int err;

	self->opts = (struct krelay_opts){
		.cipher = variant->cipher,
		.unix_plain = variant->unix_plain,
	};
	err = krelay_new(&self->r, &self->opts);
	if (err == -ENXIO)
		SKIP(return, "no /dev/ktlsclient");
	if (err == -ENOENT)
		SKIP(return, "this kernel has no kTLS with this suite");
	ASSERT_EQ(0, err);
	kflow_init(&self->flow, &self->remote, self->r.remote, true,
		   &self->local, self->r.local, false, 0);
}

FIXTURE_TEARDOWN(record)
{
	krelay_free(&self->r);
}

/* So many more bytes each way, on top of those that have gone before. */
static int more(struct _test_data_record *self, uint64_t len)
{
	self->remote.send_len += len;
	self->local.recv_len += len;
	self->local.send_len += len;
	self->remote.recv_len += len;
	return kflow_run(&self->flow);
}

/* Is it the ticket that kpair_ticket() made of these? */
static bool is_ticket(const struct krelay_event *ev, size_t len,
		      uint8_t number)
{
	size_t i;

	if (ev->head.type != KTCM_EV_RECORD || ev->head.len != len ||
	    ev->head.record_type != KPAIR_HANDSHAKE || ev->head.paused ||
	    ev->record[0] != 4)
		return false;
	for (i = 4; i < len; i++)
		if (ev->record[i] != (uint8_t)(number + i))
			return false;
	return true;
}

TEST_F(record, tickets_in_the_middle)
{
	const size_t sizes[] = { 4, 5, 100, 1000, 4096, 8000, KTCM_RECORD_MAX };
	struct ktcm_status status;
	unsigned int i;

	for (i = 0; i < 7; i++) {
		ASSERT_EQ(0, more(self, 30000));
		ASSERT_EQ(0, kpair_ticket(self->r.remote, sizes[i],
					  (uint8_t)i));
		ASSERT_EQ(0, more(self, 10000));
		ASSERT_EQ(0, krelay_next(self->r.fd, &self->ev));
		EXPECT_TRUE(is_ticket(&self->ev, sizes[i], (uint8_t)i))
		{
			TH_LOG("ticket of %zu", sizes[i]);
		}
		EXPECT_EQ(0, self->ev.head.dropped);
		/* counted a moment after the reader can have it */
		EXPECT_GE(self->local.received,
			  self->ev.head.bytes[KTCM_DOWN]);
		EXPECT_LE(self->local.received,
			  self->ev.head.bytes[KTCM_DOWN] + 10000);
	}
	ASSERT_EQ(0, krelay_status(self->r.fd, &status));
	EXPECT_EQ(7, status.records);
	EXPECT_EQ(0, status.dropped);
}

TEST_F(record, a_few_wait_in_order)
{
	uint8_t i;

	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, kpair_ticket(self->r.remote, 200 + i, i));
	ASSERT_EQ(0, more(self, 1000));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, krelay_next(self->r.fd, &self->ev));
		EXPECT_TRUE(is_ticket(&self->ev, 200 + i, i));
	}
}

/* A server that never stops: bounded, counted, and the data goes on. */
TEST_F_TIMEOUT(record, a_flood_is_bounded_and_counted, 120)
{
	enum { NR = 3000, LEN = 500 };
	uint64_t read = 0, dropped = 0;
	struct ktcm_status status;
	unsigned int i;
	int err;

	for (i = 0; i < NR; i++) {
		ASSERT_EQ(0, kpair_ticket(self->r.remote, LEN, (uint8_t)i));
		if (i % 500 == 0)
			ASSERT_EQ(0, more(self, 5000));
	}
	ASSERT_EQ(0, more(self, 50000));
	ASSERT_EQ(0, krelay_status(self->r.fd, &status));
	EXPECT_EQ(NR, status.records);
	EXPECT_LT(0, status.dropped);
	while (!(err = krelay_event(self->r.fd, &self->ev, 0))) {
		/* the oldest were kept */
		EXPECT_TRUE(is_ticket(&self->ev, LEN, (uint8_t)read));
		dropped += self->ev.head.dropped;
		read++;
	}
	EXPECT_EQ(-ETIMEDOUT, err);
	EXPECT_LT(4, read);
	EXPECT_GE(512, read);
	EXPECT_EQ(NR, read + status.dropped);
	/* with room again the next one comes, and tells of those lost */
	ASSERT_EQ(0, kpair_ticket(self->r.remote, LEN, 9));
	ASSERT_EQ(0, krelay_next(self->r.fd, &self->ev));
	EXPECT_TRUE(is_ticket(&self->ev, LEN, 9));
	dropped += self->ev.head.dropped;
	EXPECT_EQ(status.dropped, dropped);
}

TEST_F(record, big_ones_are_bounded_too)
{
	struct ktcm_status status;
	size_t held = 0;
	unsigned int i;

	for (i = 0; i < 60; i++)
		ASSERT_EQ(0, kpair_ticket(self->r.remote, KTCM_RECORD_MAX, 1));
	ASSERT_EQ(0, more(self, 1000));
	while (!krelay_event(self->r.fd, &self->ev, 0))
		held += self->ev.head.len;
	ASSERT_EQ(0, krelay_status(self->r.fd, &status));
	EXPECT_EQ(60, status.records);
	EXPECT_LT(0, status.dropped);
	EXPECT_LE(KTCM_RECORD_MAX, held);
	EXPECT_GE(256 * 1024, held);
}

/* A mailbox that is full has room for what ends the relay all the same. */
TEST_F(record, an_alert_finds_room)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < 600; i++)
		ASSERT_EQ(0, kpair_ticket(self->r.remote, 500, 1));
	ASSERT_EQ(0, kpair_alert(self->r.remote, 2, 40));
	while (!err) {
		err = krelay_next(self->r.fd, &self->ev);
		if (err || self->ev.head.record_type == KPAIR_ALERT)
			break;
	}
	EXPECT_EQ(0, err);
	EXPECT_EQ(40, self->ev.record[1]);
	ASSERT_EQ(0, krelay_next(self->r.fd, &self->ev));
	EXPECT_EQ(KTCM_EV_END, self->ev.head.type);
	EXPECT_EQ(KTCM_END_ALERT, self->ev.head.end);
}

/* Types that TLS does not know are the owner's to judge. */
TEST_F(record, an_unknown_type)
{
	ASSERT_EQ(0, more(self, 1000));
	ASSERT_EQ(3, kpair_send(self->r.remote, 99, "odd", 3, 0));
	ASSERT_EQ(0, more(self, 1000));
	ASSERT_EQ(0, krelay_next(self->r.fd, &self->ev));
	EXPECT_EQ(KTCM_EV_RECORD, self->ev.head.type);
	EXPECT_EQ(99, self->ev.head.record_type);
	EXPECT_EQ(3, self->ev.head.len);
	EXPECT_EQ(0, memcmp("odd", self->ev.record, 3));
}

static int set_key(const struct _fixture_variant_record *variant, int fd,
		   int direction, enum kpair_who sender,
		   unsigned int generation)
{
	return kpair_set(fd, direction, TLS_1_3_VERSION, variant->cipher,
			 sender, generation);
}

static bool is_key_update(const struct krelay_event *ev, bool requested)
{
	static const uint8_t head[4] = { 24, 0, 0, 1 };

	return ev->head.type == KTCM_EV_RECORD && ev->head.len == 5 &&
	       ev->head.record_type == KPAIR_HANDSHAKE &&
	       !memcmp(ev->record, head, 4) && ev->record[4] == requested;
}

/* The peer changes its sending key, with what belongs before and behind it. */
#define PEER_UPDATES(generation, requested) \
	do { \
		ASSERT_EQ(0, kpair_key_update(self->r.remote, requested)); \
		ASSERT_EQ(0, set_key(variant, self->r.remote, TLS_TX, \
				     KPAIR_REMOTE, generation)); \
	} while (0)

TEST_F(record, key_update_where_keys_cannot_change)
{
	struct ktcm_event end;

	if (kpair_can_rekey())
		SKIP(return, "this kernel can change keys");
	ASSERT_EQ(0, more(self, 20000));
	ASSERT_EQ(0, kpair_write_all(self->r.remote, "last", 4));
	ASSERT_EQ(0, kpair_key_update(self->r.remote, false));
	ASSERT_EQ(0, krelay_next(self->r.fd, &self->ev));
	EXPECT_TRUE(is_key_update(&self->ev, false));
	EXPECT_EQ(0, self->ev.head.paused);
	ASSERT_EQ(0, krelay_end(self->r.fd, &end));
	EXPECT_EQ(KTCM_END_KEY_UPDATE, end.end);
	EXPECT_EQ(0, end.error);
	EXPECT_EQ(20004, end.bytes[KTCM_DOWN]);
	/* the peer can still be told good-bye by the owner */
	EXPECT_EQ(0, kpair_close_notify(self->r.tls));
}

TEST_F(record, key_update_pauses_and_goes_on)
{
	struct ktcm_status status;
	unsigned int generation;

	if (!kpair_can_rekey())
		SKIP(return, "this kernel cannot change keys");
	for (generation = 1; generation <= 3; generation++) {
		ASSERT_EQ(0, more(self, 20000));
		PEER_UPDATES(generation, false);
		ASSERT_EQ(0, krelay_next(self->r.fd, &self->ev));
		EXPECT_TRUE(is_key_update(&self->ev, false));
		EXPECT_EQ(1, self->ev.head.paused);
		ASSERT_EQ(0, krelay_status(self->r.fd, &status));
		EXPECT_EQ(1, status.paused);
		EXPECT_EQ(KTCM_END_NOT, status.end);
		ASSERT_EQ(0, set_key(variant, self->r.tls, TLS_RX,
				     KPAIR_REMOTE, generation));
		ASSERT_EQ(0, ioctl(self->r.fd, KTCM_IOC_RESUME));
		ASSERT_EQ(0, krelay_status(self->r.fd, &status));
		EXPECT_EQ(0, status.paused);
		EXPECT_EQ(-1, ioctl(self->r.fd, KTCM_IOC_RESUME));
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(0, more(self, 20000));
	EXPECT_EQ(80000, self->local.received);
}

/* Both ways: the answer is the last record under the old key. */
TEST_F(record, key_update_that_asks_for_an_answer)
{
	uint8_t type, buf[8];

	if (!kpair_can_rekey())
		SKIP(return, "this kernel cannot change keys");
	ASSERT_EQ(0, more(self, 20000));
	PEER_UPDATES(1, true);
	ASSERT_EQ(0, krelay_next(self->r.fd, &self->ev));
	EXPECT_TRUE(is_key_update(&self->ev, true));
	EXPECT_EQ(1, self->ev.head.paused);
	/* paused both ways: what is sent now waits */
	ASSERT_EQ(0, kpair_write_all(self->r.local, "wait", 4));
	ASSERT_EQ(0, set_key(variant, self->r.tls, TLS_RX, KPAIR_REMOTE, 1));
	ASSERT_EQ(0, kpair_key_update(self->r.tls, false));
	ASSERT_EQ(0, set_key(variant, self->r.tls, TLS_TX, KPAIR_LOCAL, 1));
	EXPECT_EQ(5, kpair_recv(self->r.remote, &type, buf, sizeof(buf), 0));
	EXPECT_EQ(KPAIR_HANDSHAKE, type);
	EXPECT_EQ(24, buf[0]);
	ASSERT_EQ(0, set_key(variant, self->r.remote, TLS_RX, KPAIR_LOCAL, 1));
	EXPECT_EQ(-EAGAIN, kpair_recv(self->r.remote, &type, buf, sizeof(buf),
				      MSG_DONTWAIT));
	ASSERT_EQ(0, ioctl(self->r.fd, KTCM_IOC_RESUME));
	EXPECT_EQ(0, kpair_read_all(self->r.remote, buf, 4));
	EXPECT_EQ(0, memcmp("wait", buf, 4));
	EXPECT_EQ(0, more(self, 20000));
}

/* A full mailbox has room for the one that must be answered. */
TEST_F(record, key_update_finds_room)
{
	unsigned int i, waiting = 0;

	if (!kpair_can_rekey())
		SKIP(return, "this kernel cannot change keys");
	for (i = 0; i < 600; i++)
		ASSERT_EQ(0, kpair_ticket(self->r.remote, 500, 1));
	PEER_UPDATES(1, false);
	do {
		ASSERT_EQ(0, krelay_next(self->r.fd, &self->ev));
		waiting++;
	} while (!self->ev.head.paused);
	EXPECT_TRUE(is_key_update(&self->ev, false));
	EXPECT_LT(1, waiting);
	ASSERT_EQ(0, set_key(variant, self->r.tls, TLS_RX, KPAIR_REMOTE, 1));
	ASSERT_EQ(0, ioctl(self->r.fd, KTCM_IOC_RESUME));
	EXPECT_EQ(0, more(self, 20000));
}

TEST_F(record, stop_ends_a_paused_relay)
{
	struct ktcm_event end;
	uint8_t type;
	char buf[4];

	if (!kpair_can_rekey())
		SKIP(return, "this kernel cannot change keys");
	ASSERT_EQ(0, more(self, 20000));
	PEER_UPDATES(1, false);
	ASSERT_EQ(0, krelay_next(self->r.fd, &self->ev));
	EXPECT_EQ(1, self->ev.head.paused);
	ASSERT_EQ(0, ioctl(self->r.fd, KTCM_IOC_STOP));
	ASSERT_EQ(0, krelay_end(self->r.fd, &end));
	EXPECT_EQ(KTCM_END_STOPPED, end.end);
	/* the owner can go on where the relay stood */
	ASSERT_EQ(0, set_key(variant, self->r.tls, TLS_RX, KPAIR_REMOTE, 1));
	ASSERT_EQ(0, kpair_write_all(self->r.remote, "ping", 4));
	EXPECT_EQ(4, kpair_recv(self->r.tls, &type, buf, 4, 0));
}

/* Only the whole message counts; its likes are records as all others. */
TEST_F(record, what_only_looks_like_a_key_update)
{
	static const uint8_t looks[][6] = {
		{ 4, 0, 0, 1, 0 }, { 25, 0, 0, 1, 0 },
	};
	unsigned int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(5, kpair_send(self->r.remote, KPAIR_HANDSHAKE,
					looks[i], 5, 0));
		ASSERT_EQ(0, krelay_next(self->r.fd, &self->ev));
		EXPECT_EQ(KTCM_EV_RECORD, self->ev.head.type);
		EXPECT_EQ(0, self->ev.head.paused);
		EXPECT_EQ(looks[i][0], self->ev.record[0]);
	}
	EXPECT_EQ(0, more(self, 1000));
}

TEST_HARNESS_MAIN
