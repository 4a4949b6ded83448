// SPDX-License-Identifier: MIT
/*
 * Places for pointers, used as a stack. All that counts happens in one
 * compare-and-swap of one place, so an item has one taker, whatever else goes
 * on; and it does not matter that the same item may be put a second time, for
 * who finds it in a place may take it.
 *
 *	a place:	an item's address	.. 0
 *			empty, number		.. 01
 *			closed, number		.. 11
 *
 *	               bottom          top
 *	                 v              v
 *	places: [ ][ oldest .. newest ][ ][ ][ ]	as a ring
 *
 * top and bottom are hints, relaxed. With one thread at work they are right,
 * and the order is exactly last in, first out. When threads race they may be
 * off; the search then looks a little further, and the order is about right.
 */
#include "shelf.h"

#include <stddef.h>

#include "atomic.h"

#define EMPTY 1u
#define CLOSED 3u

/* An odd multiplier mixes well; this one is 2^64 / golden ratio. */
#define MIX 0x9e3779b97f4a7c15ull

static bool has_item(uintptr_t word)
{
	return !(word & EMPTY);
}

static uintptr_t word_of(uint64_t number, unsigned int state)
{
	return (uintptr_t)(number << 2 | state);
}

void shelf_init(struct shelf *shelf, uint32_t n, struct shelf *older)
{
	uint32_t i;

	shelf->older = older;
	shelf->mask = n - 1;
	for (i = 0; i < n; i++)
		shelf->places[i] = CLOSED;
}

/* Into the next place from top on that is in this state. */
static uintptr_t *put_where(struct shelf *shelf, void *item,
			    unsigned int state)
{
	uint32_t i = load_relaxed(&shelf->top);
	uint32_t n;

	for (n = 0; n <= shelf->mask; n++, i++) {
		uintptr_t *place = &shelf->places[i & shelf->mask];
		/* Relaxed: the exchange below judges. */
		uintptr_t word = load_relaxed(place);

		/*
		 * Releases what the item points to, to its taker in
		 * take_from(). Sequentially consistent for entry.c, where the
		 * caller looks for the end of the identity after it.
		 */
		if ((word & CLOSED) == state &&
		    cas_seq_cst(place, &word, (uintptr_t)item)) {
			store_relaxed(&shelf->top, i + 1);
			return place;
		}
	}
	return NULL;
}

uintptr_t *shelf_put(struct shelf *shelf, void *item)
{
	return put_where(shelf, item, EMPTY);
}

uintptr_t *shelf_open_put(struct shelf *shelf, void *item)
{
	return put_where(shelf, item, CLOSED);
}

static void *take_from(uintptr_t *place, uintptr_t empty)
{
	/* Sequentially consistent: after the end of an identity, entry.c. */
	uintptr_t word = load_seq_cst(place);

	while (has_item(word))
		/* Acquires what the item points to, from put_where(). */
		if (cas_seq_cst(place, &word, empty))
			return (void *)word;
	return NULL;
}

void *shelf_take(struct shelf *shelf, uint64_t number)
{
	uintptr_t empty = word_of(number, EMPTY);
	uint32_t i = load_relaxed(&shelf->top);
	uint32_t n;

	for (n = 0; n <= shelf->mask; n++) {
		void *item = take_from(&shelf->places[--i & shelf->mask],
				       empty);

		if (item) {
			store_relaxed(&shelf->top, i);
			return item;
		}
	}
	return NULL;
}

void *shelf_take_oldest(struct shelf *shelf, uint64_t number)
{
	uintptr_t closed = word_of(number, CLOSED);
	uint32_t i = load_relaxed(&shelf->bottom);
	uint32_t n;

	for (n = 0; n <= shelf->mask; n++, i++) {
		void *item = take_from(&shelf->places[i & shelf->mask],
				       closed);

		if (item) {
			store_relaxed(&shelf->bottom, i + 1);
			return item;
		}
	}
	return NULL;
}

bool shelf_withdraw(uintptr_t *place, void *item, uint64_t number)
{
	uintptr_t word = (uintptr_t)item;

	/*
	 * Against a taker's exchange in take_from(). The item is ours again,
	 * as if it had never left.
	 */
	return cas_seq_cst(place, &word, word_of(number, EMPTY));
}

bool shelf_close(struct shelf *shelf, uint64_t number)
{
	uint32_t i = load_relaxed(&shelf->bottom);
	uint32_t n;

	/* below the oldest first, so that the newest keep their order */
	for (n = 0; n <= shelf->mask; n++) {
		uintptr_t *place = &shelf->places[--i & shelf->mask];
		/* Relaxed: nothing is behind an empty place. */
		uintptr_t word = load_relaxed(place);

		if ((word & CLOSED) == EMPTY &&
		    cas_relaxed(place, &word, word_of(number, CLOSED)))
			return true;
	}
	return false;
}

bool shelf_has_room(const struct shelf *shelf)
{
	uint32_t i;

	for (i = 0; i <= shelf->mask; i++)
		/* Relaxed: the answer may be old when it arrives anyway. */
		if ((load_relaxed(&shelf->places[i]) & CLOSED) == EMPTY)
			return true;
	return false;
}

bool shelf_is_empty(const struct shelf *shelf, uint64_t *mark)
{
	uint32_t i;

	for (i = 0; i <= shelf->mask; i++) {
		/* After what was seen before; pairs with put_where(). */
		uintptr_t word = load_seq_cst(&shelf->places[i]);

		if (has_item(word))
			return false;
		*mark = (*mark ^ word) * MIX;
	}
	return true;
}
