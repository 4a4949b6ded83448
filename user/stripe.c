// SPDX-License-Identifier: MIT
/*
 * One group's part of an identity: a list of shelves, the newest twice as
 * large as the one before. What is put goes to the newest; the older ones only
 * run empty. The first shelf is part of the stripe, in cache lines of its own.
 *
 * Demand is counted with relaxed loads and stores: what two threads of a
 * group lose between them when they race makes an estimate no worse.
 */
#include "stripe.h"

#include <errno.h>

#include "atomic.h"
#include "limit.h"
#include "util.h"

#define SHELVES_MAX 16u		/* more than LIMIT_TICKETS_PER_IDENTITY needs */

_Static_assert(LIMIT_TICKETS_PER_IDENTITY <= UINT16_MAX, "demand is 16 bits");

void stripe_init(struct stripe *stripe)
{
	stripe->newest = &stripe->first.shelf;
	shelf_init(stripe->newest, STRIPE_PLACES, NULL);
}

void stripe_fini(struct stripe *stripe)
{
	struct shelf *shelf, *older;
	struct ticket *ticket;

	while ((ticket = stripe_take(stripe, 0)))
		ticket_put(ticket);
	for (shelf = stripe->newest; shelf != &stripe->first.shelf;
	     shelf = older) {
		older = shelf->older;
		mem_free(shelf);
	}
}

static struct shelf *newest_shelf(const struct stripe *stripe)
{
	/*
	 * Acquires the shelf's contents, from stripe_deepen(). Sequentially
	 * consistent, as the places are: who looks at all of them must not
	 * miss a new shelf.
	 */
	return load_seq_cst(&stripe->newest);
}

int stripe_deepen(struct stripe *stripe, uint32_t depth)
{
	struct shelf *newest = newest_shelf(stripe), *shelf;
	uint32_t places = newest->mask + 1;

	if (places >= depth)
		return 0;
	while (places < depth)
		places *= 2;
	shelf = mem_zalloc(SHELF_SIZE(places));
	if (!shelf)
		return -ENOMEM;
	shelf_init(shelf, places, newest);
	/* Releases the contents to newest_shelf(). */
	if (!cas_seq_cst(&stripe->newest, &newest, shelf))
		mem_free(shelf); /* another has done it */
	return 0;
}

struct ticket *stripe_take(struct stripe *stripe, uint64_t number)
{
	struct shelf *shelf;

	for (shelf = newest_shelf(stripe); shelf; shelf = shelf->older) {
		struct ticket *ticket = shelf_take(shelf, number);

		if (ticket)
			return ticket;
	}
	return NULL;
}

struct ticket *stripe_take_oldest(struct stripe *stripe, uint64_t number)
{
	struct shelf *shelves[SHELVES_MAX], *shelf;
	unsigned int n = 0;

	for (shelf = newest_shelf(stripe); shelf && n < SHELVES_MAX;
	     shelf = shelf->older)
		shelves[n++] = shelf;
	while (n--) {
		struct ticket *ticket = shelf_take_oldest(shelves[n], number);

		if (ticket)
			return ticket;
	}
	return NULL;
}

uintptr_t *stripe_put(struct stripe *stripe, struct ticket *ticket)
{
	return shelf_put(newest_shelf(stripe), ticket);
}

uintptr_t *stripe_open_put(struct stripe *stripe, struct ticket *ticket)
{
	return shelf_open_put(newest_shelf(stripe), ticket);
}

bool stripe_close(struct stripe *stripe, uint64_t number)
{
	struct shelf *shelf;

	/* an empty place of an older shelf is of no use to anybody else */
	for (shelf = newest_shelf(stripe); shelf; shelf = shelf->older)
		if (shelf_close(shelf, number))
			return true;
	return false;
}

/* It only grows. Relaxed: what is swept is looked at again. */
void stripe_live_until(struct stripe *stripe, uint64_t until_s)
{
	uint64_t have = load_relaxed(&stripe->fresh_until_s);

	while (have < until_s)
		if (cas_relaxed(&stripe->fresh_until_s, &have, until_s))
			return;
}

bool stripe_has_room(const struct stripe *stripe)
{
	const struct shelf *shelf;

	for (shelf = newest_shelf(stripe); shelf; shelf = shelf->older)
		if (shelf_has_room(shelf))
			return true;
	return false;
}

bool stripe_is_empty(const struct stripe *stripe, uint64_t *mark)
{
	const struct shelf *shelf;

	for (shelf = newest_shelf(stripe); shelf; shelf = shelf->older)
		if (!shelf_is_empty(shelf, mark))
			return false;
	return true;
}

void stripe_ask(struct stripe *stripe, uint32_t max, uint64_t now_s)
{
	uint32_t asked = MIN(load_relaxed(&stripe->asked) + 1u, max);

	store_relaxed(&stripe->asked, (uint16_t)asked);
	if (asked < load_relaxed(&stripe->peak))
		return;
	store_relaxed(&stripe->peak, (uint16_t)asked);
	store_relaxed(&stripe->peak_s, now_s);
}

void stripe_answer(struct stripe *stripe)
{
	uint32_t asked = load_relaxed(&stripe->asked);

	if (asked)
		store_relaxed(&stripe->asked, (uint16_t)(asked - 1));
}

void stripe_decay(struct stripe *stripe, uint64_t now_s)
{
	uint32_t asked = load_relaxed(&stripe->asked);

	if (now_s < load_relaxed(&stripe->peak_s) + LIMIT_DEPTH_DECAY_S)
		return;
	store_relaxed(&stripe->peak_s, now_s);
	store_relaxed(&stripe->peak,
		      (uint16_t)MAX(asked, load_relaxed(&stripe->peak) / 2u));
	/* those that never get an answer are forgotten in time */
	store_relaxed(&stripe->asked, (uint16_t)(asked / 2));
}
