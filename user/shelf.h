/* SPDX-License-Identifier: MIT */
#ifndef KTC_SHELF_H
#define KTC_SHELF_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A few places for pointers, newest on top. A place is open, and then empty
 * or taken by an item, or it is closed. Any thread may do anything with a
 * shelf; an operation goes once over the places, and stays at one only while
 * others put and take there.
 *
 * What empties or closes a place leaves a number there. The caller chooses
 * it, and no two may be equal in the life of a shelf.
 */
struct shelf {
	struct shelf *older;	/* constant: the one that it took over from */
	uint32_t mask;		/* constant: places - 1 */
	uint32_t top;		/* a hint: above the newest */
	uint32_t bottom;	/* a hint: the oldest */
	uint32_t reserved0;
	uintptr_t places[];
};

#define SHELF_SIZE(n) (sizeof(struct shelf) + (n) * sizeof(uintptr_t))

/* n, a power of two, closed places; the memory is zero. */
void shelf_init(struct shelf *shelf, uint32_t n, struct shelf *older);

/*
 * Puts an item, whose address is even, into an empty place, or opens a closed
 * one for it. Where it is now, or NULL: there was no such place.
 */
uintptr_t *shelf_put(struct shelf *shelf, void *item);
uintptr_t *shelf_open_put(struct shelf *shelf, void *item);

/* Takes the newest, its place is empty then. NULL: no place had an item. */
void *shelf_take(struct shelf *shelf, uint64_t number);

/* Takes the oldest and closes its place. NULL: as above. */
void *shelf_take_oldest(struct shelf *shelf, uint64_t number);

/* Takes item back if it is still where it was put. */
bool shelf_withdraw(uintptr_t *place, void *item, uint64_t number);

/* Closes an empty place. False: there was none. */
bool shelf_close(struct shelf *shelf, uint64_t number);

bool shelf_has_room(const struct shelf *shelf);

/*
 * False if an item is seen. Else the numbers seen are hashed into *mark: two
 * looks with the same result had nothing put between them.
 */
bool shelf_is_empty(const struct shelf *shelf, uint64_t *mark);

#endif /* KTC_SHELF_H */
