// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: one identity's tickets: how deep it becomes and how flat again,
 * what the quota is charged and given back, and what happens to those that
 * use an entry after its death. Two groups of threads, played by one.
 */
#include "entry.h"

#include <errno.h>

#include "flush.h"
#include "limit.h"
#include "sys.h"

#include "kselftest_harness.h"

#define GROUPS 2u
#define BYTES 1000u
#define ALL 1000u

static const uint8_t id[ORIGIN_ID_LEN] = { 7 };

FIXTURE(entry)
{
	struct entry *entry;
	struct quota quota;
	uint64_t numbers[GROUPS];
	struct asker asker[GROUPS];
	struct ticket *dropped;
	uint64_t bytes;		/* of the quota at first */
};

static struct ticket *make(void)
{
	struct ticket *ticket = mem_zalloc(sizeof(*ticket));

	if (!ticket)
		abort();
	ticket->bytes = BYTES;
	ticket->expires_s = 1000000;
	ticket->single_use = true;
	ticket->refs = 1;
	return ticket;
}

FIXTURE_SETUP(entry)
{
	unsigned int i;

	self->quota.sessions = ALL;
	self->quota.bytes = self->bytes = ALL * 2000;
	for (i = 0; i < GROUPS; i++)
		self->asker[i] = (struct asker){
			.quota = &self->quota,
			.numbers = &self->numbers[i],
			.bytes_max = ALL * 2000,
			.now_s = 1000,
			.stripe = i,
			.stripes = GROUPS,
			.depth_max = 64,
		};
	self->entry = entry_new(id, GROUPS);
	ASSERT_NE(NULL, self->entry);
	rcu_enter();
}

static unsigned int free_list(struct ticket **list)
{
	struct ticket *ticket;
	unsigned int n = 0;

	while ((ticket = *list)) {
		*list = ticket->next;
		ticket_put(ticket);
		n++;
	}
	return n;
}

FIXTURE_TEARDOWN(entry)
{
	rcu_leave();
	(void)free_list(&self->dropped);
	entry_free(self->entry);
	rcu_flush();
}

#define PUT(group, flags, ticket)                                      \
	entry_put(self->entry, &self->asker[group], flags, ticket,     \
		  &self->dropped)

static unsigned int take_all(struct entry *entry, const struct asker *asker)
{
	struct ticket *ticket;
	unsigned int n = 0;

	while ((ticket = entry_take(entry, asker))) {
		ticket_put(ticket);
		n++;
	}
	return n;
}

TEST_F(entry, starts_with_room_for_a_few)
{
	unsigned int i;

	for (i = 0; i < 10; i++) {
		EXPECT_EQ(i >= LIMIT_DEPTH_START,
			  entry_is_full(self->entry, &self->asker[0]));
		ASSERT_EQ(0, PUT(0, ENTRY_CAME, make()));
	}
	EXPECT_EQ(10 - LIMIT_DEPTH_START, free_list(&self->dropped));
	EXPECT_EQ(ALL - LIMIT_DEPTH_START, self->quota.sessions);
	EXPECT_EQ(LIMIT_DEPTH_START,
		  take_all(self->entry, &self->asker[0]));
}

TEST_F(entry, becomes_as_deep_as_connections_were_under_way)
{
	unsigned int i;

	for (i = 0; i < 20; i++)
		entry_ask(self->entry, &self->asker[i % GROUPS]);
	for (i = 0; i < 40; i++)
		ASSERT_EQ(0, PUT(i % GROUPS, ENTRY_CAME, make()));
	EXPECT_EQ(20, free_list(&self->dropped));
	EXPECT_EQ(ALL - 20, self->quota.sessions);
	EXPECT_EQ(20, take_all(self->entry, &self->asker[0]));
}

TEST_F(entry, is_never_deeper_than_it_may_be)
{
	unsigned int i;

	self->asker[0].depth_max = 6;
	for (i = 0; i < 50; i++)
		entry_ask(self->entry, &self->asker[0]);
	for (i = 0; i < 50; i++)
		ASSERT_EQ(0, PUT(0, ENTRY_CAME, make()));
	EXPECT_EQ(44, free_list(&self->dropped));
	EXPECT_EQ(6, take_all(self->entry, &self->asker[0]));
}

TEST_F(entry, becomes_flat_again_when_demand_is_gone)
{
	unsigned int i;

	for (i = 0; i < 32; i++)
		entry_ask(self->entry, &self->asker[0]);
	for (i = 0; i < 32; i++)
		ASSERT_EQ(0, PUT(0, ENTRY_CAME, make()));
	EXPECT_EQ(NULL, self->dropped);
	for (i = 0; i < 5; i++) {
		self->asker[0].now_s += LIMIT_DEPTH_DECAY_S;
		ASSERT_EQ(0, PUT(0, ENTRY_CAME, make()));
	}
	/* 32 kept and 5 came: all but a few had to go */
	EXPECT_EQ(37 - LIMIT_DEPTH_START, free_list(&self->dropped));
	EXPECT_EQ(ALL - LIMIT_DEPTH_START, self->quota.sessions);
	EXPECT_EQ(LIMIT_DEPTH_START,
		  take_all(self->entry, &self->asker[0]));
}

TEST_F(entry, one_group_takes_what_another_has_left)
{
	struct ticket *a = make(), *b = make();

	ASSERT_EQ(0, PUT(0, ENTRY_CAME, a));
	ASSERT_EQ(0, PUT(1, ENTRY_CAME, b));
	EXPECT_EQ(b, entry_take(self->entry, &self->asker[1]));
	EXPECT_EQ(a, entry_take(self->entry, &self->asker[1]));
	EXPECT_EQ(NULL, entry_take(self->entry, &self->asker[1]));
	/* and their places move with it: no more is set aside */
	ASSERT_EQ(0, PUT(1, ENTRY_CAME, a));
	ASSERT_EQ(0, PUT(1, ENTRY_CAME, b));
	EXPECT_EQ(ALL - 2, self->quota.sessions);
	EXPECT_EQ(2, take_all(self->entry, &self->asker[0]));
}

TEST_F(entry, counts_all_tickets_as_large_as_the_largest)
{
	struct ticket *large = make();

	ASSERT_EQ(0, PUT(0, ENTRY_CAME, make()));
	EXPECT_EQ(self->bytes - 1280, self->quota.bytes);
	large->bytes = 2 * BYTES;
	ASSERT_EQ(0, PUT(0, ENTRY_CAME, large));
	EXPECT_EQ(self->bytes - 2 * 2304, self->quota.bytes);
	EXPECT_EQ(2, take_all(self->entry, &self->asker[0]));
}

TEST_F(entry, without_quota_it_tells_or_gives_up_its_oldest)
{
	struct ticket *first = make(), *second = make();

	self->quota.sessions = 1;
	ASSERT_EQ(0, PUT(0, ENTRY_CAME, first));
	EXPECT_EQ(-ENOSPC, PUT(0, ENTRY_CAME, second));
	EXPECT_EQ(NULL, self->dropped);
	ASSERT_EQ(0, PUT(0, ENTRY_CAME | ENTRY_NO_GROW, second));
	EXPECT_EQ(first, self->dropped);
	EXPECT_EQ(second, entry_take(self->entry, &self->asker[0]));
	ticket_put(second);
	EXPECT_EQ(0, self->quota.sessions);
}

TEST_F(entry, dead_it_keeps_nothing_and_has_paid_back_all)
{
	struct ticket *ticket = make(), *session = make(), *more = make();
	unsigned int shared = 0, replaced = 0;

	session->single_use = false;
	more->single_use = false;
	ASSERT_EQ(0, PUT(0, ENTRY_CAME, make()));
	ASSERT_EQ(0, PUT(1, ENTRY_CAME, make()));
	ASSERT_EQ(0, entry_share(self->entry, &self->asker[0], session,
				 &replaced));
	entry_kill(self->entry, &self->asker[0], &self->dropped, &shared);
	EXPECT_EQ(2, free_list(&self->dropped));
	EXPECT_EQ(1, shared);
	EXPECT_EQ(0, replaced);
	EXPECT_EQ(ALL, self->quota.sessions);
	EXPECT_EQ(self->bytes, self->quota.bytes);

	EXPECT_EQ(-ESTALE, PUT(0, ENTRY_CAME, ticket));
	EXPECT_EQ(-ESTALE, entry_share(self->entry, &self->asker[0], more,
				       &replaced));
	EXPECT_EQ(NULL, entry_take(self->entry, &self->asker[0]));
	EXPECT_FALSE(entry_is_full(self->entry, &self->asker[0]));
	EXPECT_EQ(ALL, self->quota.sessions);
	ticket_put(ticket);
	ticket_put(more);
}

TEST_F(entry, a_shared_session_is_replaced_within_its_own_quota)
{
	struct ticket *a = make(), *b = make(), *got;
	unsigned int replaced = 0;

	a->single_use = false;
	b->single_use = false;
	self->quota.sessions = 1;
	ASSERT_EQ(0, entry_share(self->entry, &self->asker[0], a, &replaced));
	EXPECT_EQ(0, replaced);
	ASSERT_EQ(0, entry_share(self->entry, &self->asker[0], b, &replaced));
	EXPECT_EQ(1, replaced);
	EXPECT_EQ(0, self->quota.sessions);
	EXPECT_EQ(0, entry_shared(self->entry, &self->asker[0], &got));
	EXPECT_EQ(b, got);
	ticket_put(got);
}

TEST_F(entry, an_expired_shared_session_leaves)
{
	struct ticket *session = make(), *got;
	unsigned int replaced = 0;

	session->single_use = false;
	ASSERT_EQ(0, entry_share(self->entry, &self->asker[0], session,
				 &replaced));
	self->asker[0].now_s = session->expires_s;
	EXPECT_EQ(-ETIME, entry_shared(self->entry, &self->asker[0], &got));
	EXPECT_EQ(NULL, got);
	EXPECT_EQ(ALL, self->quota.sessions);
	EXPECT_EQ(self->bytes, self->quota.bytes);
}

TEST_HARNESS_MAIN
