// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is the right origin chosen, and left alone for as long as it should be when
 * it has failed?
 */
#include "origin.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "kselftest_harness.h"

#define NR 3
#define NOW 1000000u

static uint64_t conns(const struct origin *origin)
{
	return atomic_load(&origin->load->conns);
}

static uint64_t retry_at(const struct origin *origin)
{
	return atomic_load(&origin->load->retry_at_ms);
}

static uint64_t failures(const struct origin *origin)
{
	return atomic_load(&origin->load->failures);
}

FIXTURE(origins)
{
	struct config_listener *listener;
	struct origin at[NR];
};

FIXTURE_SETUP(origins)
{
	static const char *const hosts[NR] = { "192.0.2.1", "2001:db8::1",
					       "origin.test" };
	unsigned int i;

	self->listener = calloc(1, sizeof(*self->listener));
	ASSERT_NE(NULL, self->listener);
	self->listener->retry_ms = 1000;
	self->listener->retry_max_ms = 60000;
	for (i = 0; i < NR; i++) {
		self->listener->origins[i].text = hosts[i];
		self->listener->origins[i].host = hosts[i];
		self->listener->origins[i].port = 443;
		ASSERT_EQ(0, origin_init(&self->at[i], self->listener, i,
					 NULL));
	}
	self->listener->nr_origins = NR;
}

FIXTURE_TEARDOWN(origins)
{
	unsigned int i;

	for (i = 0; i < NR; i++)
		origin_fini(&self->at[i]);
	free(self->listener);
}

TEST_F(origins, numbers_need_no_look_up)
{
	EXPECT_EQ(AF_INET, self->at[0].opts.addr->sa_family);
	EXPECT_EQ(sizeof(struct sockaddr_in), self->at[0].opts.addr_len);
	EXPECT_EQ(AF_INET6, self->at[1].opts.addr->sa_family);
	EXPECT_EQ(NULL, self->at[1].opts.host);
	EXPECT_STREQ("origin.test", self->at[2].opts.host);
	EXPECT_EQ(443, self->at[2].opts.port);
	EXPECT_EQ(NULL, self->at[2].opts.addr);
	EXPECT_STREQ("192.0.2.1", self->at[0].opts.server_name);
}

TEST_F(origins, a_name_of_the_listeners_is_verified)
{
	struct origin origin;

	self->listener->sni = "other.test";
	ASSERT_EQ(0, origin_init(&origin, self->listener, 0, NULL));
	EXPECT_STREQ("other.test", origin.opts.server_name);
	origin_fini(&origin);
}

TEST_F(origins, a_path_too_long_is_refused)
{
	char path[200];
	struct origin origin;

	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	self->listener->origins[0].path = path;
	EXPECT_EQ(-ENAMETOOLONG, origin_init(&origin, self->listener, 0, NULL));
}

TEST_F(origins, the_one_with_fewest_connections_is_chosen)
{
	EXPECT_EQ(1, origin_pick(self->at, NR, 0, 0, 1, NOW));
	EXPECT_EQ(2, origin_pick(self->at, NR, 0, 0, 1, NOW));
	EXPECT_EQ(0, origin_pick(self->at, NR, 0, 0, 1, NOW));
	EXPECT_EQ(1, conns(&self->at[0]));
	origin_drop(&self->at[2]);
	EXPECT_EQ(2, origin_pick(self->at, NR, 0, 0, 0, NOW));
}

TEST_F(origins, those_that_were_tried_are_not)
{
	EXPECT_EQ(1, origin_pick(self->at, NR, 1 | 4, 0, 0, NOW));
	EXPECT_EQ(-1, origin_pick(self->at, NR, 1 | 2 | 4, 0, 0, NOW));
	EXPECT_EQ(0, conns(&self->at[0]));
}

TEST_F(origins, a_full_one_is_passed_over)
{
	EXPECT_EQ(0, origin_pick(self->at, NR, 0, 1, 0, NOW));
	EXPECT_EQ(1, origin_pick(self->at, NR, 0, 1, 0, NOW));
	EXPECT_EQ(2, origin_pick(self->at, NR, 0, 1, 0, NOW));
	EXPECT_EQ(-1, origin_pick(self->at, NR, 0, 1, 0, NOW));
	EXPECT_EQ(1, conns(&self->at[0]));
	EXPECT_EQ(1, conns(&self->at[2]));
}

TEST_F(origins, one_that_failed_is_left_alone_for_its_time)
{
	uint64_t until;

	origin_failed(&self->at[0], self->listener, NOW, 0);
	EXPECT_TRUE(origin_is_failing(&self->at[0], NOW));
	until = retry_at(&self->at[0]);
	EXPECT_LE(NOW + 750, until);
	EXPECT_GE(NOW + 1250, until);
	EXPECT_EQ(1, origin_pick(self->at, NR, 0, 0, 0, NOW));
	EXPECT_EQ(2, origin_pick(self->at, NR, 0, 0, 0, NOW));
	EXPECT_EQ(0, origin_pick(self->at, NR, 0, 0, 0, until));
}

TEST_F(origins, of_those_that_failed_the_first_to_be_ready_is_tried)
{
	origin_failed(&self->at[0], self->listener, NOW, 0);
	origin_failed(&self->at[2], self->listener, NOW - 300, 0);
	origin_failed(&self->at[1], self->listener, NOW, 500);
	EXPECT_EQ(2, origin_pick(self->at, NR, 0, 0, 0, NOW));
	EXPECT_EQ(0, origin_pick(self->at, NR, 4, 0, 0, NOW));
}

TEST_F(origins, the_time_doubles_up_to_its_end)
{
	uint64_t now = NOW, wait, before = 0;
	unsigned int i;

	for (i = 0; i < 100; i++) {
		origin_failed(&self->at[0], self->listener, now, 512);
		wait = retry_at(&self->at[0]) - now;
		if (i < 6)
			EXPECT_EQ(1000u << i, wait);
		EXPECT_LE(before, wait);
		EXPECT_GE(60000, wait);
		before = wait;
		now += wait;
	}
	EXPECT_EQ(60000, before);
	EXPECT_EQ(100, failures(&self->at[0]));
	origin_worked(&self->at[0]);
	EXPECT_FALSE(origin_is_failing(&self->at[0], now - 1));
	origin_failed(&self->at[0], self->listener, now, 512);
	EXPECT_EQ(now + 1000, retry_at(&self->at[0]));
}

TEST_F(origins, failures_together_count_as_one)
{
	unsigned int i;

	for (i = 0; i < 10; i++)
		origin_failed(&self->at[0], self->listener, NOW, 512);
	EXPECT_EQ(NOW + 1000, retry_at(&self->at[0]));
	EXPECT_EQ(10, failures(&self->at[0]));
}

TEST_F(origins, a_reload_shares_what_is_known)
{
	struct origin next;

	origin_failed(&self->at[0], self->listener, NOW, 0);
	ASSERT_EQ(0, origin_init(&next, self->listener, 0, self->at[0].load));
	origin_fini(&self->at[0]);
	EXPECT_TRUE(origin_is_failing(&next, NOW));
	origin_fini(&next);
}

TEST_HARNESS_MAIN
