// SPDX-License-Identifier: GPL-2.0-only
/* Description: the queue of events keeps their order. */
#include "event.h"

#include "kselftest_harness.h"

FIXTURE(queue)
{
	struct event_queue q, other;
	struct event_node node[6];
};

FIXTURE_SETUP(queue)
{
	event_queue_init(&self->q);
	event_queue_init(&self->other);
}

FIXTURE_TEARDOWN(queue)
{
}

TEST_F(queue, an_empty_one_gives_nothing)
{
	EXPECT_EQ(NULL, event_pop(&self->q));
	EXPECT_EQ(NULL, event_pop(&self->q));
}

TEST_F(queue, first_in_is_first_out)
{
	int i;

	for (i = 0; i < 6; i++)
		event_push(&self->q, &self->node[i], KTC_EV_OPEN + i);
	for (i = 0; i < 6; i++) {
		ASSERT_EQ(&self->node[i], event_pop(&self->q));
		EXPECT_EQ((unsigned int)KTC_EV_OPEN + i, self->node[i].type);
	}
	EXPECT_EQ(NULL, event_pop(&self->q));
}

TEST_F(queue, it_can_be_used_again_once_it_was_empty)
{
	int round;

	for (round = 0; round < 3; round++) {
		event_push(&self->q, &self->node[0], KTC_EV_DATA);
		event_push(&self->q, &self->node[1], KTC_EV_EOF);
		EXPECT_EQ(&self->node[0], event_pop(&self->q));
		event_push(&self->q, &self->node[2], KTC_EV_CLOSED);
		EXPECT_EQ(&self->node[1], event_pop(&self->q));
		EXPECT_EQ(&self->node[2], event_pop(&self->q));
		EXPECT_EQ(NULL, event_pop(&self->q));
	}
}

/* What was in q, what was in other, what came later: for each being empty. */
TEST_F(queue, splicing_keeps_the_order_and_empties_the_other)
{
	int before, moved, i, n;

	for (before = 0; before < 3; before++) {
		for (moved = 0; moved < 3; moved++) {
			n = 0;
			for (i = 0; i < before; i++)
				event_push(&self->q, &self->node[n++],
					   KTC_EV_DATA);
			for (i = 0; i < moved; i++)
				event_push(&self->other, &self->node[n++],
					   KTC_EV_SENT);
			event_splice(&self->q, &self->other);
			EXPECT_EQ(NULL, event_pop(&self->other));
			event_push(&self->q, &self->node[n++], KTC_EV_CLOSED);
			for (i = 0; i < n; i++)
				EXPECT_EQ(&self->node[i], event_pop(&self->q));
			EXPECT_EQ(NULL, event_pop(&self->q));
			/* and the other one goes on by itself */
			event_push(&self->other, &self->node[0], KTC_EV_OPEN);
			EXPECT_EQ(NULL, event_pop(&self->q));
			EXPECT_EQ(&self->node[0], event_pop(&self->other));
		}
	}
}

TEST_HARNESS_MAIN
