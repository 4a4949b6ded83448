// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: a shelf is a stack of pointers with open and closed places:
 * order, what empties and closes leave behind, and that an item has one taker
 * however many threads there are.
 */
#include "shelf.h"

#include <pthread.h>
#include <stdlib.h>

#include "atomic.h"

#include "kselftest_harness.h"

#define PLACES 8u

/* Items are addresses; nobody looks behind them. */
static uint64_t items[64];
static uint64_t next_number = 1;

static uint64_t number(void)
{
	return add_relaxed(&next_number, 1);
}

FIXTURE(shelf)
{
	struct shelf *shelf;
};

FIXTURE_SETUP(shelf)
{
	self->shelf = calloc(1, SHELF_SIZE(PLACES));
	ASSERT_NE(NULL, self->shelf);
	shelf_init(self->shelf, PLACES, NULL);
}

FIXTURE_TEARDOWN(shelf)
{
	free(self->shelf);
}

TEST_F(shelf, a_new_one_is_closed_and_empty)
{
	uint64_t mark = 0;

	EXPECT_EQ(NULL, shelf_put(self->shelf, &items[0]));
	EXPECT_FALSE(shelf_has_room(self->shelf));
	EXPECT_FALSE(shelf_close(self->shelf, number()));
	EXPECT_EQ(NULL, shelf_take(self->shelf, number()));
	EXPECT_EQ(NULL, shelf_take_oldest(self->shelf, number()));
	EXPECT_TRUE(shelf_is_empty(self->shelf, &mark));
}

TEST_F(shelf, the_newest_is_taken_first)
{
	int i;

	for (i = 0; i < 8; i++)
		ASSERT_NE(NULL, shelf_open_put(self->shelf, &items[i]));
	EXPECT_EQ(NULL, shelf_open_put(self->shelf, &items[8]));
	for (i = 7; i >= 0; i--)
		EXPECT_EQ(&items[i], shelf_take(self->shelf, number()));
	EXPECT_EQ(NULL, shelf_take(self->shelf, number()));
}

TEST_F(shelf, a_taken_items_place_is_empty_and_may_be_used)
{
	ASSERT_NE(NULL, shelf_open_put(self->shelf, &items[0]));
	EXPECT_FALSE(shelf_has_room(self->shelf));
	EXPECT_EQ(&items[0], shelf_take(self->shelf, number()));
	EXPECT_TRUE(shelf_has_room(self->shelf));
	EXPECT_NE(NULL, shelf_put(self->shelf, &items[1]));
	EXPECT_EQ(NULL, shelf_put(self->shelf, &items[2]));
}

TEST_F(shelf, the_oldest_leaves_a_closed_place)
{
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_NE(NULL, shelf_open_put(self->shelf, &items[i]));
	EXPECT_EQ(&items[0], shelf_take_oldest(self->shelf, number()));
	EXPECT_EQ(NULL, shelf_put(self->shelf, &items[3]));
	EXPECT_EQ(&items[1], shelf_take_oldest(self->shelf, number()));
	EXPECT_EQ(&items[2], shelf_take(self->shelf, number()));
}

TEST_F(shelf, order_holds_when_it_goes_round)
{
	int i;

	for (i = 0; i < 4; i++)
		ASSERT_NE(NULL, shelf_open_put(self->shelf, &items[i]));
	/* four open places, used round and round */
	for (i = 4; i < 40; i++) {
		ASSERT_EQ(&items[i - 4],
			  shelf_take_oldest(self->shelf, number()));
		ASSERT_NE(NULL, shelf_open_put(self->shelf, &items[i]));
	}
	for (i = 39; i >= 36; i--)
		EXPECT_EQ(&items[i], shelf_take(self->shelf, number()));
}

TEST_F(shelf, closing_takes_an_empty_place_away)
{
	ASSERT_NE(NULL, shelf_open_put(self->shelf, &items[0]));
	EXPECT_FALSE(shelf_close(self->shelf, number()));
	EXPECT_EQ(&items[0], shelf_take(self->shelf, number()));
	EXPECT_TRUE(shelf_close(self->shelf, number()));
	EXPECT_FALSE(shelf_close(self->shelf, number()));
	EXPECT_EQ(NULL, shelf_put(self->shelf, &items[0]));
}

TEST_F(shelf, closing_leaves_no_hole_where_the_newest_go)
{
	int i;

	for (i = 0; i < 4; i++)
		ASSERT_NE(NULL, shelf_open_put(self->shelf, &items[i]));
	/* round, until they lie at both ends of the places */
	for (i = 4; i < 10; i++) {
		ASSERT_NE(NULL, shelf_take_oldest(self->shelf, number()));
		ASSERT_NE(NULL, shelf_open_put(self->shelf, &items[i]));
	}
	EXPECT_EQ(&items[9], shelf_take(self->shelf, number()));
	EXPECT_EQ(&items[8], shelf_take(self->shelf, number()));
	EXPECT_TRUE(shelf_close(self->shelf, number()));
	ASSERT_NE(NULL, shelf_put(self->shelf, &items[10]));
	for (i = 11; i < 16; i++)
		ASSERT_NE(NULL, shelf_open_put(self->shelf, &items[i]));
	for (i = 15; i >= 10; i--)
		EXPECT_EQ(&items[i], shelf_take(self->shelf, number()));
	EXPECT_EQ(&items[7], shelf_take(self->shelf, number()));
	EXPECT_EQ(&items[6], shelf_take(self->shelf, number()));
}

TEST_F(shelf, what_was_put_can_be_withdrawn_once)
{
	uintptr_t *place = shelf_open_put(self->shelf, &items[0]);

	ASSERT_NE(NULL, place);
	EXPECT_FALSE(shelf_withdraw(place, &items[1], number()));
	EXPECT_TRUE(shelf_withdraw(place, &items[0], number()));
	EXPECT_FALSE(shelf_withdraw(place, &items[0], number()));
	EXPECT_EQ(NULL, shelf_take(self->shelf, number()));
}

TEST_F(shelf, two_looks_differ_when_something_passed_between_them)
{
	uint64_t first = 0, second = 0, third = 0, seen = 0;

	ASSERT_NE(NULL, shelf_open_put(self->shelf, &items[0]));
	EXPECT_FALSE(shelf_is_empty(self->shelf, &seen));
	EXPECT_EQ(&items[0], shelf_take(self->shelf, number()));
	EXPECT_TRUE(shelf_is_empty(self->shelf, &first));
	EXPECT_TRUE(shelf_is_empty(self->shelf, &second));
	EXPECT_EQ(first, second);
	/* the very same item, in the very same place */
	ASSERT_NE(NULL, shelf_put(self->shelf, &items[0]));
	EXPECT_EQ(&items[0], shelf_take(self->shelf, number()));
	EXPECT_TRUE(shelf_is_empty(self->shelf, &third));
	EXPECT_NE(first, third);
}

#define THREADS 4
#define ROUNDS 100000

static uint32_t holders[PLACES];	/* of each item: 1, and never 2 */
static bool held_twice;

/* Puts back what it takes: items are neither doubled nor lost. */
static void *juggle(void *arg)
{
	struct shelf *shelf = arg;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		uint64_t *item = i & 1 ? shelf_take(shelf, number()) :
					 shelf_take_oldest(shelf, number());
		size_t at;

		if (!item)
			continue;
		at = (size_t)(item - items);
		if (add_relaxed(&holders[at], 1))
			store_relaxed(&held_twice, true);
		sub_acq_rel(&holders[at], 1);
		while (!shelf_put(shelf, item) && !shelf_open_put(shelf, item))
			;	/* as many places as items: there is one */
	}
	return NULL;
}

TEST_F(shelf, an_item_has_one_taker)
{
	pthread_t threads[THREADS];
	unsigned int i, seen = 0;
	uint64_t *item;

	for (i = 0; i < PLACES; i++)
		ASSERT_NE(NULL, shelf_open_put(self->shelf, &items[i]));
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, juggle,
					    self->shelf));
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
	EXPECT_FALSE(held_twice);
	while ((item = shelf_take(self->shelf, number())))
		seen |= 1u << (item - items);
	EXPECT_EQ(0xffu, seen);
}

TEST_HARNESS_MAIN
