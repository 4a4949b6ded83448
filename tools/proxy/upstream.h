/* SPDX-License-Identifier: MIT */
/*
 * A connection to an origin: for a link, or warm for whoever comes. It takes
 * the library's events and tells its link, or the warm pool; it outlives its
 * link until CLOSED. What the origin says before the relay begins is kept.
 */
#ifndef PROXY_UPSTREAM_H
#define PROXY_UPSTREAM_H

#include <ktlsclient.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "origin.h"
#include "timers.h"

struct link;
struct parcel;
struct post;
struct worker;

/* what an origin may say before anybody listens: a greeting */
#define UPSTREAM_KEPT_MAX 65536u

enum upstream_state {
	UPSTREAM_OPENING,
	UPSTREAM_WARM,		/* open, nobody's */
	UPSTREAM_OPEN,		/* a link's, before the relay */
	UPSTREAM_RELAYING,
	UPSTREAM_ENDING,	/* CLOSED is what is left */
	UPSTREAM_NR_STATES
};

/**
 * struct upstream - one connection
 * @post: the service, here; a use
 * @conn: the library's
 * @link: whose it is, or NULL
 * @next: in the warm pool
 * @prev: what leads to it there
 * @timer: warm: when it is too old
 * @kept: bytes of the origin's that came before the relay
 * @kept_len: how many
 * @hello: what was sent before the relay; the library's until @sends is 0
 * @sends: SENT that are due
 * @origin: which of the service's
 * @state: enum upstream_state
 * @was_warm: waited in the pool
 * @open: OPEN came
 * @said: it has had bytes of ours
 * @adopted: somebody else made it
 * @client_ended: before the origin did
 * @ours: it ends because we wanted it
 * @counted: of the bytes it relays, those that are in the counters
 */
struct upstream {
	struct post *post;
	struct ktc_conn *conn;
	struct link *link;
	struct upstream *next;
	struct upstream **prev;
	struct timer timer;
	uint8_t *kept;
	size_t kept_len;
	uint8_t *hello;
	unsigned int sends;
	uint64_t counted[2];
	uint8_t origin;
	uint8_t state;
	bool was_warm;
	bool open;
	bool said;
	bool adopted;
	bool client_ended;
	bool ours;
};

/**
 * upstream_connect() - begin a connection
 * @post: the service
 * @origin: which of its origins; origin_use() was called for it
 * @link: whose it will be; NULL: for the warm pool
 * @out: written on success only
 *
 * Return: 0 or an error, then the origin has been dropped again.
 */
int upstream_connect(struct post *post, unsigned int origin, struct link *link,
		     struct upstream **out);

/**
 * upstream_adopt() - go on with a connection of somebody else's
 * @post: the service
 * @origin: which of its origins
 * @link: whose it will be, when OPEN comes
 * @parcel: the connection; its descriptor for it is taken on success
 * @out: written on success only
 *
 * Return: 0, or as ktc_conn_adopt().
 */
int upstream_adopt(struct post *post, unsigned int origin, struct link *link,
		   const struct parcel *parcel, struct upstream **out);

struct origin *upstream_origin(const struct upstream *upstream);

/**
 * upstream_send() - send bytes before the relay begins
 * @upstream: open
 * @take: from malloc(); freed when sent
 * @len: how many
 */
int upstream_send(struct upstream *upstream, uint8_t *take, size_t len);

/* The bytes kept are the caller's: for free(). NULL: none. */
uint8_t *upstream_take_kept(struct upstream *upstream, size_t *len);

/* The relay begins. 0 or an error: then it ends, or the client's fd is bad. */
int upstream_relay(struct upstream *upstream, int fd);

/* What has been relayed since it was counted last, is counted. */
void upstream_count(struct upstream *upstream);

/* Nobody wants it any more: in order, or so that nothing looks like an end. */
void upstream_close(struct upstream *upstream);
void upstream_abort(struct upstream *upstream);

/* An event of the library's; releases it. */
void upstream_event(struct worker *worker, struct ktc_event *ev);

#endif /* PROXY_UPSTREAM_H */
