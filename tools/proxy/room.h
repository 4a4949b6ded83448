/* SPDX-License-Identifier: MIT */
/*
 * How many clients there may be: of a listener, of all, of as many as there
 * are descriptors for. A place is taken before it is used, so that no two
 * workers take the last one.
 */
#ifndef PROXY_ROOM_H
#define PROXY_ROOM_H

#include <stdbool.h>
#include <stdint.h>

struct post;

/* For so many clients there is room now; others take it too. */
uint64_t room_left(const struct post *post);

/* Takes room for one, if there is; gives it back. */
bool room_take(struct post *post);
void room_give(struct post *post);

#endif /* PROXY_ROOM_H */
