// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: ktlsclient.ko goes and comes back under a program that uses it.
 * One client and one loop all the time: relays are the module's while it is
 * there and the loop's while it is not, with the same bytes. Needs root and
 * KTC_TEST_MODULE=path of the module, which is loaded again at the end.
 */
#include <ktlsclient.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "certs.h"
#include "conn.h"
#include "drive.h"
#include "limit.h"
#include "peer.h"
#include "plain.h"
#include "relay.h"
#include "sys.h"

#include "kselftest_harness.h"

#define BYTES 300000

FIXTURE(unload)
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

static int load(void)
{
	const char *ko = getenv("KTC_TEST_MODULE");
	int fd, err = 0;

	if (!ko)
		return -ENOENT;
	fd = open(ko, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_finit_module, fd, "", 0))
		err = -errno;
	close(fd);
	return err;
}

static int unload(void)
{
	return syscall(SYS_delete_module, "ktlsclient", O_NONBLOCK) ? -errno :
								       0;
}

FIXTURE_SETUP(unload)
{
	if (geteuid())
		SKIP(return, "needs root");
	if (!getenv("KTC_TEST_MODULE"))
		SKIP(return, "KTC_TEST_MODULE does not name the module's file");
	ASSERT_EQ(0, access("/dev/ktlsclient", R_OK | W_OK));
	ASSERT_EQ(0, certs_make_temp(self->dir));
	snprintf(self->ca, sizeof(self->ca), "%s/ca.pem", self->dir);
	self->client.size = sizeof(self->client);
	self->client.ca_file = self->ca;
	self->client.policy = KTC_POLICY_ALWAYS;
	self->peer_opts.cert_dir = self->dir;
	self->plain.fd = self->plain.far = -1;
	self->plain.wake[0] = self->plain.wake[1] = -1;
}

FIXTURE_TEARDOWN(unload)
{
	drive_fini(&self->d);
	plain_quit(&self->plain);
	plain_stop(&self->plain);
	peer_stop(self->peer);
	if (self->dir[0])
		certs_remove(self->dir);
	if (!geteuid() && getenv("KTC_TEST_MODULE"))
		(void)load();	/* for whoever comes next */
}

#define UNTIL(condition) \
	ASSERT_TRUE(DRIVE_UNTIL(&self->d, (condition)))

/* The loop goes on, until it is so or DRIVE_STEP_MS have passed. */
#define WHILE_IT_RUNS(condition) \
	ASSERT_TRUE(DRIVE_INSIDE(&self->d, condition))

/* One connection and its relay from begin to end, by whom is asked for. */
#define RELAY_BY(lane) \
	do { \
		memset(&self->c, 0, sizeof(self->c)); \
		ASSERT_EQ(0, drive_connect_peer(&self->d, &self->c, \
						self->peer, \
						KTC_POLICY_DEFAULT)); \
		UNTIL(self->c.open); \
		ASSERT_EQ(0, plain_start(&self->plain_opts, &self->plain)); \
		ASSERT_EQ(0, ktc_relay(self->c.conn, self->plain.fd, 0)); \
		if ((lane) == KTC_LANE_MODULE) \
			WHILE_IT_RUNS(self->c.relayed || self->c.closed || \
				      relay_has_module(self->c.conn->relay)); \
		peer_go(self->peer); \
		UNTIL(self->c.relayed); \
		EXPECT_EQ(KTC_END_DONE, self->c.relay_end); \
		EXPECT_EQ(lane, self->c.moved_by); \
		EXPECT_EQ(BYTES, self->c.moved[KTC_RX]); \
		EXPECT_EQ(BYTES, self->c.moved[KTC_TX]); \
		ASSERT_FALSE(self->c.closed); \
		ASSERT_EQ(0, ktc_conn_close(self->c.conn)); \
		UNTIL(self->c.closed); \
		EXPECT_EQ(0, self->c.err); \
		plain_stop(&self->plain); \
		EXPECT_EQ(BYTES, self->plain.got); \
		EXPECT_FALSE(self->plain.mismatch); \
	} while (0)

TEST_F_TIMEOUT(unload, new_relays_do_without_and_with_it_again, 60)
{
	static const struct peer_step script[] = {
		{ .op = PEER_HANDSHAKE }, { .op = PEER_BARRIER },
		{ .op = PEER_ECHO }, { .op = PEER_CLOSE_NOTIFY }, { 0 },
	};
	bool gone = false;
	uint64_t look_us;

	self->plain_opts.send = BYTES;
	self->plain_opts.shut = true;
	self->peer_opts.steps = script;
	ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer));
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	RELAY_BY(KTC_LANE_MODULE);
	/* the program lives on, and lets go of the device by itself */
	WHILE_IT_RUNS(gone = gone || !unload());
	RELAY_BY(KTC_LANE_LOOP);
	look_us = sys->now_us() + LIMIT_MODULE_LOOK_MS * 1000ull;
	RELAY_BY(KTC_LANE_LOOP);
	ASSERT_EQ(0, load());
	/* a loop that found none looks again after a while */
	WHILE_IT_RUNS(sys->now_us() > look_us);
	RELAY_BY(KTC_LANE_MODULE);
}

TEST_HARNESS_MAIN
