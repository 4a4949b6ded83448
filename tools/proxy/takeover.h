/* SPDX-License-Identifier: MIT */
/*
 * A process succeeds another one that serves: sockets, sessions, connections.
 * The new one asks by the old one's control socket. Until it has said that it
 * serves, nothing changes for the old one; after that the old one gives its
 * connections away, and comes back if the new one dies.
 *
 *	new				old
 *	"takeover"
 *					PLACE... METRICS CONTROL PLACES
 *	(opens all it needs) READY
 *					KEY SESSIONS... COMMIT
 *	(accepts) SERVING
 *					(accepts no more) CONN...
 *	ADOPTED or REFUSED, each
 *					OVER, when it ends
 *
 * The main thread's.
 */
#ifndef PROXY_TAKEOVER_H
#define PROXY_TAKEOVER_H

#include <stdbool.h>

#include "listen.h"

struct generation;
struct parcel;
struct proxy;

/* ---------------------------------------------------------- the old one -- */

struct takeover_old;

/**
 * takeover_old_begin() - somebody wants to succeed us
 * @proxy: running
 * @fd: who; taken
 * @out: written on success only
 *
 * Waits for the other for a few seconds at most.
 *
 * Return: 0: it serves; or an error that has been logged: all is as before.
 */
int takeover_old_begin(struct proxy *proxy, int fd, struct takeover_old **out);

int takeover_old_fd(const struct takeover_old *old);

/* A connection goes there; taken. */
void takeover_old_give(struct takeover_old *old, struct parcel *parcel);

/*
 * The fd is readable: 0, or an error when there is no successor any more.
 * @back: what it did not want, for us to go on with.
 */
int takeover_old_read(struct takeover_old *old, struct parcel **back);

/* Nothing is on its way. */
bool takeover_old_is_idle(const struct takeover_old *old);

/*
 * Says that it is over. What was not sent is in @back; what was, without an
 * answer, is lost: how many is the result. NULL is fine.
 */
unsigned int takeover_old_end(struct takeover_old *old, struct parcel **back);

/* ---------------------------------------------------------- the new one -- */

struct takeover_new;

/**
 * struct takeover_gifts - what a predecessor gives at once
 * @places: listening sockets by place; those nobody took are closed at the end
 * @nr_places: how many
 * @metrics: one, if it has one
 * @control: the same
 */
struct takeover_gifts {
	struct listen_gift places[CONFIG_LISTENERS_MAX];
	unsigned int nr_places;
	struct listen_gift metrics;
	struct listen_gift control;
};

/**
 * takeover_new_begin() - ask to succeed
 * @path: the control socket of the one that serves
 * @gifts: receives its sockets; for takeover_gifts_fini(), on failure too
 * @out: written on success only
 *
 * Return: 0, or an error that has been logged.
 */
int takeover_new_begin(const char *path, struct takeover_gifts *gifts,
		       struct takeover_new **out);
void takeover_gifts_fini(struct takeover_gifts *gifts);

/*
 * All is open: gets the sessions. 0: accept, then say so; or an error that has
 * been logged: the old one goes on.
 */
int takeover_new_ready(struct takeover_new *new,
		       struct generation *generation);
int takeover_new_serving(struct takeover_new *new);

int takeover_new_fd(const struct takeover_new *new);

/*
 * The fd is readable: 0 and a connection to go on with, or NULL; an error when
 * nothing more comes.
 */
int takeover_new_read(struct takeover_new *new, struct parcel **out);

/* What has become of it. */
void takeover_new_answer(struct takeover_new *new, const struct parcel *parcel,
			 bool adopted);

/* NULL is fine. */
void takeover_new_end(struct takeover_new *new);

#endif /* PROXY_TAKEOVER_H */
