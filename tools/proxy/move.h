/* SPDX-License-Identifier: MIT */
/*
 * Clients that change their owner with their connections: out of a worker in a
 * parcel, and into one. The worker's thread.
 */
#ifndef PROXY_MOVE_H
#define PROXY_MOVE_H

#include <stdbool.h>

struct ktc_event;
struct link;
struct parcel;
struct upstream;
struct worker;

/* Whatever is relayed, and will be, goes out in parcels, to the main thread. */
void move_begin(struct worker *worker);
/* What has not gone yet stays. */
void move_end(struct worker *worker);

/* link.c: a relay has begun; one is over: true if that is for its move */
void move_link(struct link *link);
bool move_relayed(struct link *link, struct upstream *was,
		  const struct ktc_event *ev);

/* upstream.c: the relay goes on, for that reason; the connection is out */
void move_stayed(struct link *link, int err);
void move_detached(struct link *link, const struct upstream *upstream,
		   const struct ktc_event *ev);

/**
 * move_adopt() - go on with a connection
 * @worker: where
 * @parcel: its descriptors are taken on success, nothing is touched on failure
 *
 * The listener of that name must lead to that origin, with the same name to be
 * verified: no client is taken where its settings would not have led it.
 *
 * Return: 0; -ENOENT: no such listener or origin; -EAGAIN: no room; else as
 * ktc_conn_adopt().
 */
int move_adopt(struct worker *worker, struct parcel *parcel);

#endif /* PROXY_MOVE_H */
