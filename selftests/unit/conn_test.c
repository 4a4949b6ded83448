// SPDX-License-Identifier: GPL-2.0-only
/* Description: a connection's states and the ways between them. */
#include "conn.h"

#include <string.h>

#include "kselftest_harness.h"

TEST(every_state_has_its_own_name)
{
	unsigned int a, b;

	for (a = 0; a < CONN_NR_STATES; a++) {
		ASSERT_NE(NULL, conn_state_name(a)) TH_LOG("state %u", a);
		for (b = 0; b < a; b++)
			EXPECT_STRNE(conn_state_name(a), conn_state_name(b));
	}
	EXPECT_STREQ("?", conn_state_name(CONN_NR_STATES));
}

/* As the comment over the table says. */
TEST(states_only_go_forward_but_for_the_handover)
{
	unsigned int from, to;

	for (from = 0; from < CONN_NR_STATES; from++)
		for (to = 0; to <= from; to++)
			EXPECT_EQ(from == CONN_OPEN && to == CONN_HANDING_OVER,
				  conn_state_allowed(from, to))
				TH_LOG("%s to %s", conn_state_name(from),
				       conn_state_name(to));
}

TEST(a_connection_can_end_from_every_state)
{
	unsigned int from;

	for (from = 0; from < CONN_ENDING; from++)
		EXPECT_TRUE(conn_state_allowed(from, CONN_ENDING))
			TH_LOG("%s", conn_state_name(from));
	EXPECT_TRUE(conn_state_allowed(CONN_ENDING, CONN_CLOSED));
}

TEST(nothing_ends_but_by_way_of_ending)
{
	unsigned int from, to;

	for (from = 0; from < CONN_NR_STATES; from++)
		EXPECT_EQ(from == CONN_ENDING,
			  conn_state_allowed(from, CONN_CLOSED));
	for (to = 0; to < CONN_NR_STATES; to++)
		EXPECT_FALSE(conn_state_allowed(CONN_CLOSED, to));
}

TEST(the_wait_comes_first_and_leads_where_a_new_one_may_go)
{
	unsigned int state;
	bool new;

	for (state = 0; state < CONN_NR_STATES; state++) {
		EXPECT_EQ(state == CONN_NEW,
			  conn_state_allowed(state, CONN_WAITING));
		if (state == CONN_WAITING)
			continue;
		/* OPEN: adopted, which what waits never is */
		new = state != CONN_OPEN && conn_state_allowed(CONN_NEW, state);
		EXPECT_EQ(new, conn_state_allowed(CONN_WAITING, state));
	}
}

TEST(what_is_no_state_is_no_way)
{
	EXPECT_FALSE(conn_state_allowed(CONN_NR_STATES, CONN_ENDING));
	EXPECT_FALSE(conn_state_allowed(CONN_NEW, CONN_NR_STATES));
	EXPECT_FALSE(conn_state_allowed(CONN_NEW, UINT32_MAX));
}

TEST_HARNESS_MAIN
