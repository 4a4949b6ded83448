// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bytes through a relay, both ways at once, each compared with the pattern at
 * the place where it arrives: every suite, TCP and unix, pieces of all sizes,
 * readers and writers that are slow, stop, or end. KTC_RELAY_MB: so many
 * megabytes each way (8).
 */
#include "kselftest_harness.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kflow.h"
#include "krelay.h"

#define MB (1u << 20)
#define TIMEOUT_S 280
#define QUIET_MS 400		/* nothing moves for so long: all is full */
#define STATUS_TRIES 100000	/* of asking again at once */

/* More than a relay may ever hold of one direction. */
#define HELD_MAX (128 * 1024)

FIXTURE(flow)
{
	struct krelay_opts opts;
	struct krelay r;
	struct kflow flow;
	struct kflow_end remote, local;
};

FIXTURE_VARIANT(flow)
{
	uint16_t version;
	uint16_t cipher;
	bool unix_plain;
};

#define VARIANT(v, c, u) \
	FIXTURE_VARIANT_ADD(flow, tls1_##v##_##c##_##u) \
	{ \
		.version = TLS_1_##v##_VERSION, \
		.cipher = TLS_CIPHER_##c, \
		.unix_plain = u, \
	}
#define TCP false
#define UNIX true

VARIANT(3, AES_GCM_128, TCP);
VARIANT(3, AES_GCM_256, UNIX);
VARIANT(3, CHACHA20_POLY1305, TCP);
VARIANT(2, AES_GCM_128, UNIX);
VARIANT(2, AES_GCM_256, TCP);
VARIANT(2, CHACHA20_POLY1305, UNIX);

FIXTURE_SETUP(flow)
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

FIXTURE_TEARDOWN(flow)
{
	krelay_free(&self->r);
}

static uint64_t flow_len(void)
{
	const char *mb = getenv("KTC_RELAY_MB");

	return (mb ? strtoull(mb, NULL, 10) : 8) * MB;
}

static void prepare(struct _test_data_flow *self, uint64_t len)
{
	kflow_init(&self->flow, &self->remote, self->r.remote, true,
		   &self->local, self->r.local, false, len);
}

#define EXPECT_MOVED(self, len) \
	do { \
		struct ktcm_status status; \
		ASSERT_EQ(0, krelay_status((self)->r.fd, &status)); \
		EXPECT_EQ(len, status.bytes[KTCM_DOWN]); \
		EXPECT_EQ(len, status.bytes[KTCM_UP]); \
		EXPECT_EQ(0, status.held[KTCM_DOWN]); \
		EXPECT_EQ(0, status.held[KTCM_UP]); \
	} while (0)

TEST_F_TIMEOUT(flow, both_ways_at_once_to_the_end, TIMEOUT_S)
{
	uint64_t len = flow_len();
	struct ktcm_event end;

	prepare(self, len);
	self->remote.finish = self->remote.want_eof = true;
	self->local.finish = self->local.want_eof = true;
	ASSERT_EQ(0, kflow_run(&self->flow));
	EXPECT_TRUE(self->remote.notified);
	EXPECT_TRUE(self->local.eof);
	EXPECT_EQ(1, self->remote.others);
	ASSERT_EQ(0, krelay_end(self->r.fd, &end));
	EXPECT_EQ(KTCM_END_DONE, end.end);
	EXPECT_EQ(0, end.error);
	EXPECT_EQ(len, end.bytes[KTCM_DOWN]);
	EXPECT_EQ(len, end.bytes[KTCM_UP]);
	EXPECT_MOVED(self, len);
}

TEST_F(flow, single_bytes)
{
	prepare(self, 3000);
	self->remote.piece_max = self->local.piece_max = 1;
	ASSERT_EQ(0, kflow_run(&self->flow));
	EXPECT_MOVED(self, 3000);
}

TEST_F_TIMEOUT(flow, single_bytes_read_by_single_bytes, TIMEOUT_S)
{
	prepare(self, 5000);
	self->remote.piece_max = self->local.piece_max = 1;
	self->remote.recv_max = self->local.recv_max = 1;
	ASSERT_EQ(0, kflow_run(&self->flow));
	EXPECT_MOVED(self, 5000);
}

/* Sizes at the edges of records and pages, and those between. */
TEST_F_TIMEOUT(flow, pieces_of_every_kind, TIMEOUT_S)
{
	const size_t sizes[] = { 1, 2, 255, 4095, 4096, 4097, 16383, 16384,
				 16385, 32768, 65536 };
	unsigned int i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t len = sizes[i] * (sizes[i] < 4095 ? 64 : 5) + 1;

		prepare(self, len);
		self->remote.piece_min = self->remote.piece_max = sizes[i];
		self->local.piece_min = self->local.piece_max = sizes[i];
		ASSERT_EQ(0, kflow_run(&self->flow))
		{
			TH_LOG("pieces of %zu", sizes[i]);
		}
	}
}

TEST_F_TIMEOUT(flow, pieces_of_random_sizes, TIMEOUT_S)
{
	uint64_t seed;

	for (seed = 1; seed <= 6; seed++) {
		prepare(self, 40000);
		self->flow.seed = seed * 1000003;
		self->remote.piece_max = 1u << (2 + 2 * seed);
		self->local.piece_max = 1u << (16 - 2 * seed);
		self->remote.recv_max = 9000 + 1000 * seed;
		ASSERT_EQ(0, kflow_run(&self->flow))
		{
			TH_LOG("seed %u", (unsigned int)seed);
		}
	}
}

/* A reader takes a few bytes at a time; the other direction does not suffer. */
TEST_F_TIMEOUT(flow, slow_readers, TIMEOUT_S)
{
	prepare(self, MB / 8);
	self->local.recv_max = 300;
	ASSERT_EQ(0, kflow_run(&self->flow));
	prepare(self, MB / 8);
	self->remote.recv_max = 300;
	ASSERT_EQ(0, kflow_run(&self->flow));
	EXPECT_MOVED(self, MB / 4);
}

static bool tiny_has_come(void *arg)
{
	struct _test_data_flow *self = arg;

	return self->local.received == self->remote.sent &&
	       self->remote.received == self->local.sent;
}

/* Each piece is sent when the one before has arrived: nothing waits inside. */
TEST_F_TIMEOUT(flow, slow_writers, TIMEOUT_S)
{
	uint64_t n;

	prepare(self, 0);
	for (n = 1; n <= 300; n++) {
		self->remote.send_len = self->local.recv_len = n * 7;
		self->local.send_len = self->remote.recv_len = n * 13;
		ASSERT_EQ(0, kflow_run(&self->flow));
		ASSERT_TRUE(tiny_has_come(self));
	}
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

/* Fills everything up to a deaf reader; how much was taken then. */
static uint64_t fill_up(struct kflow *flow, const struct kflow_end *sender)
{
	int err;

	flow->idle_ms = QUIET_MS;
	err = kflow_run_until(flow, never, NULL);
	flow->idle_ms = 0;
	return err == -ETIMEDOUT ? sender->sent : 0;
}

#define EXPECT_BOUNDED(which, sender) \
	do { \
		struct ktcm_status status; \
		uint64_t before = (sender)->sent; \
		ASSERT_EQ(0, krelay_status(self->r.fd, &status)); \
		EXPECT_LT(0, status.held[which]); \
		EXPECT_GE(HELD_MAX, status.held[which]); \
		EXPECT_EQ(0, status.held[!(which)]); \
		/* the sender is held back for good, not for a while */ \
		EXPECT_EQ(before, fill_up(&self->flow, sender)); \
	} while (0)

TEST_F_TIMEOUT(flow, a_stopped_local_reader_holds_the_peer_back, TIMEOUT_S)
{
	prepare(self, 64 * MB);
	self->local.deaf = true;
	self->local.send_len = self->remote.recv_len = 100000;
	ASSERT_LT(0, fill_up(&self->flow, &self->remote));
	EXPECT_GT(32 * MB, self->remote.sent);
	EXPECT_EQ(100000, self->remote.received);
	EXPECT_BOUNDED(KTCM_DOWN, &self->remote);
	self->local.deaf = false;
	self->remote.send_len = self->remote.sent;
	self->local.recv_len = self->remote.sent;
	EXPECT_EQ(0, kflow_run(&self->flow));
}

TEST_F_TIMEOUT(flow, a_stopped_peer_holds_the_local_sender_back, TIMEOUT_S)
{
	prepare(self, 64 * MB);
	self->remote.deaf = true;
	self->remote.send_len = self->local.recv_len = 100000;
	ASSERT_LT(0, fill_up(&self->flow, &self->local));
	EXPECT_GT(32 * MB, self->local.sent);
	EXPECT_EQ(100000, self->local.received);
	EXPECT_BOUNDED(KTCM_UP, &self->local);
	self->remote.deaf = false;
	self->local.send_len = self->local.sent;
	self->remote.recv_len = self->local.sent;
	EXPECT_EQ(0, kflow_run(&self->flow));
}

/* STOP takes no more, but END waits until what was taken has gone on. */
TEST_F_TIMEOUT(flow, stop_waits_for_what_is_held, TIMEOUT_S)
{
	struct ktcm_status status;
	struct krelay_event ev;
	struct ktcm_event end;
	uint64_t moved;

	prepare(self, 64 * MB);
	self->local.deaf = true;
	self->local.send_len = self->remote.recv_len = 0;
	ASSERT_LT(0, fill_up(&self->flow, &self->remote));
	ASSERT_EQ(0, krelay_status(self->r.fd, &status));
	ASSERT_LT(0, status.held[KTCM_DOWN]);
	moved = status.bytes[KTCM_DOWN] + status.held[KTCM_DOWN];
	ASSERT_EQ(0, ioctl(self->r.fd, KTCM_IOC_STOP));
	EXPECT_EQ(-ETIMEDOUT, krelay_event(self->r.fd, &ev, QUIET_MS));
	/* what has been taken arrives, and not a byte more */
	self->local.deaf = false;
	self->local.recv_len = moved;
	self->remote.send_len = self->remote.sent;
	EXPECT_EQ(0, kflow_run(&self->flow));
	EXPECT_EQ(moved, self->local.received);
	ASSERT_EQ(0, krelay_end(self->r.fd, &end));
	EXPECT_EQ(KTCM_END_STOPPED, end.end);
	EXPECT_EQ(moved, end.bytes[KTCM_DOWN]);
	self->flow.idle_ms = QUIET_MS;
	self->local.recv_len++;
	EXPECT_EQ(-ETIMEDOUT, kflow_run(&self->flow));
	EXPECT_EQ(moved, self->local.received);
}

/* Half the bytes, then the direction's end; the other one goes on alone. */
TEST_F(flow, one_direction_ends_before_the_other)
{
	struct ktcm_status status;
	struct ktcm_event end;
	unsigned int i;

	prepare(self, 100000);
	self->local.send_len = self->remote.recv_len = 0;
	self->remote.finish = self->local.want_eof = true;
	ASSERT_EQ(0, kflow_run(&self->flow));
	EXPECT_TRUE(self->local.eof);
	/* the end is passed on just before it is noted */
	for (i = 0; i < STATUS_TRIES; i++) {
		ASSERT_EQ(0, krelay_status(self->r.fd, &status));
		if (status.open == 1u << KTCM_UP)
			break;
		sched_yield();
	}
	EXPECT_EQ(KTCM_END_NOT, status.end);
	EXPECT_EQ(1u << KTCM_UP, status.open);
	self->local.send_len = self->remote.recv_len = 200000;
	self->local.finish = self->remote.want_eof = true;
	ASSERT_EQ(0, kflow_run(&self->flow));
	ASSERT_EQ(0, krelay_end(self->r.fd, &end));
	EXPECT_EQ(KTCM_END_DONE, end.end);
	EXPECT_EQ(100000, end.bytes[KTCM_DOWN]);
	EXPECT_EQ(200000, end.bytes[KTCM_UP]);
	ASSERT_EQ(0, krelay_status(self->r.fd, &status));
	EXPECT_EQ(0, status.open);
}

TEST_F(flow, the_other_direction_ends_first)
{
	struct ktcm_status status;
	struct ktcm_event end;

	prepare(self, 100000);
	self->remote.send_len = self->local.recv_len = 0;
	self->local.finish = self->remote.want_eof = true;
	ASSERT_EQ(0, kflow_run(&self->flow));
	EXPECT_TRUE(self->remote.notified);
	EXPECT_FALSE(self->remote.eof);
	ASSERT_EQ(0, krelay_status(self->r.fd, &status));
	EXPECT_EQ(1u << KTCM_DOWN, status.open);
	self->remote.send_len = self->local.recv_len = 200000;
	self->remote.finish = self->local.want_eof = true;
	ASSERT_EQ(0, kflow_run(&self->flow));
	ASSERT_EQ(0, krelay_end(self->r.fd, &end));
	EXPECT_EQ(KTCM_END_DONE, end.end);
	/* FIN on the TLS side is its owner's */
	self->flow.idle_ms = QUIET_MS;
	EXPECT_EQ(-ETIMEDOUT, kflow_run_until(&self->flow, never, NULL));
	EXPECT_FALSE(self->remote.eof);
}

/* The relay has the sockets, whatever becomes of the descriptors. */
TEST_F(flow, the_sockets_descriptors_may_be_closed)
{
	struct ktcm_event end;

	krelay_shut(&self->r.tls);
	krelay_shut(&self->r.plain);
	prepare(self, MB / 4);
	self->remote.finish = self->remote.want_eof = true;
	self->local.finish = self->local.want_eof = true;
	ASSERT_EQ(0, kflow_run(&self->flow));
	ASSERT_EQ(0, krelay_end(self->r.fd, &end));
	EXPECT_EQ(KTCM_END_DONE, end.end);
	/* and a TCP socket of its own until it is closed */
	krelay_shut(&self->r.fd);
	self->remote.want_eof = true;
	self->remote.notified = false;
	EXPECT_EQ(0, kflow_run(&self->flow));
	EXPECT_TRUE(self->remote.eof);
}

/* What was there before the relay was is moved like the rest. */
TEST_F(flow, what_waits_in_the_sockets_is_moved)
{
	krelay_shut(&self->r.fd);
	prepare(self, 40000);
	EXPECT_LT(0, fill_up(&self->flow, &self->remote));
	EXPECT_LT(0, self->local.sent);
	ASSERT_EQ(0, krelay_start(&self->r, &self->opts));
	EXPECT_EQ(0, kflow_run(&self->flow));
	EXPECT_MOVED(self, 40000);
}

TEST_F_TIMEOUT(flow, progress, TIMEOUT_S)
{
	struct krelay_opts opts = self->opts;
	uint64_t last = 0, sum = 0;
	struct krelay_event ev;
	unsigned int told = 0;
	int err;

	krelay_shut(&self->r.fd);
	opts.progress_bytes = 50000;
	ASSERT_EQ(0, krelay_start(&self->r, &opts));
	prepare(self, 0);
	while (sum < 20 * 50000) {
		/* enough for one event, in both directions together */
		self->remote.send_len = self->local.recv_len += 30000;
		self->local.send_len = self->remote.recv_len += 30000;
		ASSERT_EQ(0, kflow_run(&self->flow));
		ASSERT_EQ(0, krelay_event(self->r.fd, &ev, KRELAY_WAIT_MS));
		ASSERT_EQ(KTCM_EV_PROGRESS, ev.head.type);
		sum = ev.head.bytes[KTCM_DOWN] + ev.head.bytes[KTCM_UP];
		EXPECT_LE(50000, sum);
		EXPECT_LE(last, sum);
		last = sum;
		told++;
		/* several may have come due: the newest has replaced them */
		while (!(err = krelay_event(self->r.fd, &ev, 50)))
			told++;
		EXPECT_EQ(-ETIMEDOUT, err);
	}
	/* never more than one each so many bytes */
	EXPECT_GE(sum / 50000 + 2, told);
	EXPECT_LE(10, told);
}

TEST_HARNESS_MAIN
