/* SPDX-License-Identifier: MIT */
/*
 * One client's way through the proxy: its PROXY header, an origin, the relay,
 * the end. The state says what is awaited.
 */
#ifndef PROXY_LINK_H
#define PROXY_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stats.h"
#include "timers.h"

struct ktc_event;
struct parcel;
struct post;
struct upstream;
struct worker;

/* bytes of a client's PROXY header, with what came behind it */
#define LINK_HEADER_ROOM 4096u

enum link_state {
	LINK_NEW,
	LINK_HEADER,		/* the client's PROXY header */
	LINK_CONNECTING,	/* OPEN of its upstream connection */
	LINK_GREETING,		/* what the origin said first is being sent */
	LINK_RELAYING,		/* RELAYED */
	LINK_MOVING,		/* DETACHED, behind RELAYED */
	LINK_FLUSHING,		/* the client to take what it is to have */
	LINK_OVER,		/* its last completion */
	LINK_NR_STATES
};

/**
 * struct link - one client
 * @post: the service, here; a use
 * @next: of the worker's links
 * @prev: what leads to it there
 * @next_ready: of the worker's ready links
 * @upstream: its connection, from CONNECTING on
 * @timer: of the header, the next look at the client, its life
 * @until_ms: the end of its life, or TIMERS_NEVER
 * @buf: the client's PROXY header and what came behind it
 * @len: bytes in it
 * @header_len: of them the header's
 * @greeting: what the origin said first
 * @greeting_len: bytes of it
 * @greeted: of them sent to the client
 * @tried: a bit for each origin that has failed
 * @fd: the client; -1: given away
 * @state: enum link_state
 * @end: enum stats_end: why, once @cut or over
 * @cut: the relay was stopped by us
 * @was_greeted: it has had bytes of an origin
 * @busy: the ring has an operation of it
 * @is_ready: on the ready list
 * @no_warm: a warm one was dead: only fresh ones
 * @moving: it was asked to leave
 * @stays: it cannot leave
 */
struct link {
	struct post *post;
	struct link *next;
	struct link **prev;
	struct link *next_ready;
	struct upstream *upstream;
	struct timer timer;
	uint64_t until_ms;
	uint8_t *buf;
	size_t len;
	size_t header_len;
	uint8_t *greeting;
	size_t greeting_len;
	size_t greeted;
	uint32_t tried;
	int fd;
	uint8_t state;
	uint8_t end;
	bool cut;
	bool was_greeted;
	bool busy;
	bool is_ready;
	bool no_warm;
	bool moving;
	bool stays;
};

/* A client came, for whom room was taken: its descriptor is taken. */
void link_begin(struct post *post, int fd);

/* A client came, and there is no room: its descriptor is taken. */
void link_refuse(struct post *post, int fd);

/* worker.c: a completion; all events of a round have been seen */
void link_completion(struct link *link, int res);
void link_run_ready(struct worker *worker);

/* upstream.c: its connection is open; is over without a relay; relay over */
void link_opened(struct link *link);
void link_lost(struct link *link, struct upstream *was);
void link_relayed(struct link *link, struct upstream *was,
		  const struct ktc_event *ev);

/* move.c: room was taken; NULL: no memory, and the room was given back */
struct link *link_new(struct post *post, int fd);
/* Its connection is a parcel's; on failure it is gone, not what it had. */
int link_adopt(struct link *link, unsigned int origin,
	       const struct parcel *parcel);
/* It is over; its upstream connection has ended, or is of no use. */
void link_end(struct link *link, enum stats_end why);

/* Everything is cut off, for that reason. */
void link_cut(struct link *link, enum stats_end why);

#endif /* PROXY_LINK_H */
