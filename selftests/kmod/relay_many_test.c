// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many relays at once, all busy: each gets its share, each arrives, and memory
 * stays within their number times a bound. KTC_RELAYS: how many (200).
 */
#include "kselftest_harness.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kdev.h"
#include "kflow.h"
#include "krelay.h"
#include "pattern.h"

#define TIMEOUT_S 290
#define NR_MAX 1000

struct one {
	struct krelay r;
	struct kflow flow;
	struct kflow_end remote, local;
};

FIXTURE(many)
{
	struct one *one;
	unsigned int nr;
	struct ktcm_info before;
	int dev;
};

FIXTURE_SETUP(many)
{
	const char *relays = getenv("KTC_RELAYS");
	struct rlimit limit;
	unsigned int i;
	int err;

	self->nr = relays ? (unsigned int)strtoul(relays, NULL, 10) : 200;
	ASSERT_GE(NR_MAX, self->nr);
	self->dev = kdev_open();
	if (self->dev == -ENOENT)
		SKIP(return, "no /dev/ktlsclient");
	ASSERT_LE(0, self->dev);
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = limit.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	ASSERT_EQ(0, kdev_info(self->dev, &self->before));
	self->one = calloc(self->nr, sizeof(*self->one));
	ASSERT_NE(NULL, self->one);
	for (i = 0; i < self->nr; i++) {
		const struct krelay_opts opts = {
			.version = i % 3 ? TLS_1_3_VERSION : TLS_1_2_VERSION,
			.unix_plain = i % 2,
		};

		self->one[i].r = (struct krelay){ -1, -1, -1, -1, -1, -1 };
		err = krelay_new(&self->one[i].r, &opts);
		if (err == -ENOENT)
			SKIP(return, "this kernel has no kTLS");
		ASSERT_EQ(0, err)
		{
			TH_LOG("relay %u: %d", i, err);
		}
		krelay_shut(&self->one[i].r.dev);
	}
}

FIXTURE_TEARDOWN(many)
{
	unsigned int i;

	for (i = 0; self->one && i < self->nr; i++)
		krelay_free(&self->one[i].r);
	free(self->one);
	if (self->dev >= 0)
		close(self->dev);
}

static void prepare(struct _test_data_many *self, uint64_t len)
{
	unsigned int i;

	for (i = 0; i < self->nr; i++) {
		struct one *one = &self->one[i];

		kflow_init(&one->flow, &one->remote, one->r.remote, true,
			   &one->local, one->r.local, false, len);
		one->flow.seed = i + 1;
	}
}

/* A relay's part of a round: what it can do without waiting. */
static int serve(struct one *one)
{
	int err = kflow_step(&one->flow, 0);

	return err == -ETIMEDOUT ? 0 : err;
}

static uint64_t moved(const struct one *one)
{
	return one->remote.received + one->local.received;
}

static bool is_done(const struct one *one)
{
	return kflow_end_is_done(&one->remote) &&
	       kflow_end_is_done(&one->local);
}

TEST_F_TIMEOUT(many, are_all_served, TIMEOUT_S)
{
	uint64_t least = UINT64_MAX;
	unsigned int i, done = 0;
	struct ktcm_info info;

	prepare(self, 256 * 1024);
	ASSERT_EQ(0, kdev_info(self->dev, &info));
	EXPECT_EQ(self->before.relays + self->nr, info.relays);
	while (done < self->nr) {
		done = 0;
		for (i = 0; i < self->nr; i++) {
			ASSERT_EQ(0, serve(&self->one[i]))
			{
				TH_LOG("relay %u", i);
			}
			done += is_done(&self->one[i]);
		}
		if (!done || least != UINT64_MAX)
			continue;
		/* the first is through: how far is the last? */
		for (i = 0; i < self->nr; i++)
			if (moved(&self->one[i]) < least)
				least = moved(&self->one[i]);
	}
	TH_LOG("%u relays; when the first was through, each had moved %llu",
	       self->nr, (unsigned long long)least);
	EXPECT_LT(512 * 1024 / 20, least);
	for (i = 0; i < self->nr; i++) {
		struct ktcm_status status;

		ASSERT_EQ(0, krelay_status(self->one[i].r.fd, &status));
		EXPECT_EQ(256 * 1024, status.bytes[KTCM_DOWN]);
		EXPECT_EQ(256 * 1024, status.bytes[KTCM_UP]);
	}
}

/*
 * One relay is fed by a process that does nothing else, without end. A work
 * that served it to the end would never come to the others.
 */
TEST_F_TIMEOUT(many, one_that_never_rests_starves_nobody, TIMEOUT_S)
{
	unsigned int i;
	pid_t pid;
	char buf[4];

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct one *one = &self->one[0];

		kflow_init(&one->flow, &one->remote, one->r.remote, true,
			   &one->local, one->r.local, false, UINT64_MAX / 4);
		one->flow.end[0]->piece_min = 30000;
		one->flow.end[1]->piece_min = 30000;
		_exit(kflow_run(&one->flow) ? 1 : 0);
	}
	for (i = 1; i < self->nr; i++) {
		ASSERT_EQ(0, kpair_write_all(self->one[i].r.remote, "down", 4));
		ASSERT_EQ(0, kpair_write_all(self->one[i].r.local, "up..", 4));
	}
	for (i = 1; i < self->nr; i++) {
		ASSERT_EQ(0, kpair_read_all(self->one[i].r.local, buf, 4));
		ASSERT_EQ(0, kpair_read_all(self->one[i].r.remote, buf, 4));
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Every reader is deaf: what the relays hold has a bound, one by one. */
TEST_F_TIMEOUT(many, hold_little_when_nobody_reads, TIMEOUT_S)
{
	uint64_t held = 0, moved_before = 0, moved_now = 1;
	struct ktcm_status status;
	unsigned int i;
	int err;

	prepare(self, 64 << 20);
	/* until a whole round moves nothing any more */
	while (moved_now != moved_before) {
		moved_before = moved_now;
		moved_now = 0;
		for (i = 0; i < self->nr; i++) {
			struct one *one = &self->one[i];

			one->remote.deaf = one->local.deaf = true;
			/* small queues would hide what the relay holds */
			err = kflow_step(&one->flow, i ? 0 : 100);
			ASSERT_TRUE(!err || err == -ETIMEDOUT);
			moved_now += one->remote.sent + one->local.sent;
		}
	}
	for (i = 0; i < self->nr; i++) {
		ASSERT_EQ(0, krelay_status(self->one[i].r.fd, &status));
		EXPECT_GE(128 * 1024, status.held[KTCM_DOWN]);
		EXPECT_GE(128 * 1024, status.held[KTCM_UP]);
		held += status.held[KTCM_DOWN] + status.held[KTCM_UP];
	}
	EXPECT_LT(0, held);
	TH_LOG("%u relays hold %llu bytes", self->nr,
	       (unsigned long long)held);
}

TEST_F_TIMEOUT(many, all_end, TIMEOUT_S)
{
	struct ktcm_info info;
	struct ktcm_event end;
	unsigned int i;

	for (i = 0; i < self->nr; i++) {
		ASSERT_EQ(0, kpair_close_notify(self->one[i].r.remote));
		ASSERT_EQ(0, shutdown(self->one[i].r.local, SHUT_WR));
	}
	for (i = 0; i < self->nr; i++) {
		ASSERT_EQ(0, krelay_end(self->one[i].r.fd, &end));
		EXPECT_EQ(KTCM_END_DONE, end.end);
	}
	for (i = 0; i < self->nr; i++)
		krelay_shut(&self->one[i].r.fd);
	ASSERT_EQ(0, kdev_info(self->dev, &info));
	EXPECT_EQ(self->before.relays, info.relays);
	EXPECT_EQ(self->before.ends[KTCM_END_DONE] + self->nr,
		  info.ends[KTCM_END_DONE]);
}

TEST_HARNESS_MAIN
