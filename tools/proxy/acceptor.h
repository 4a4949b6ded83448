/* SPDX-License-Identifier: MIT */
/*
 * A socket that one worker accepts from.
 */
#ifndef PROXY_ACCEPTOR_H
#define PROXY_ACCEPTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "timers.h"

struct place;
struct post;
struct worker;

/* what becomes of those who have connected, and are in the kernel's queue */
enum acceptor_rest {
	ACCEPTOR_DROP,		/* cut off */
	ACCEPTOR_SERVE,		/* served: the socket closes */
	ACCEPTOR_SHARE,		/* a successor, who accepts there too, has them
				 * or we
				 */
};

/**
 * struct acceptor - one socket
 * @worker: whose
 * @next: another of the worker's
 * @post: whom its clients are given to; a use. A reload changes it.
 * @place: where the socket is from; a reference
 * @timer: after a pause
 * @fd: the socket, which is @place's
 * @armed: the ring accepts
 * @cancelled: it was asked to stop
 * @held: a client for whom there was no room any more; or -1
 * @closing: no more; it goes when the ring has let go
 * @rest: enum acceptor_rest, once @closing
 * @paused: there was no room, or no descriptors
 */
struct acceptor {
	struct worker *worker;
	struct acceptor *next;
	struct post *post;
	struct place *place;
	struct timer timer;
	int fd;
	int held;
	bool armed;
	bool cancelled;
	bool closing;
	uint8_t rest;
	bool paused;
};

/* Begins to accept; 0 or -ENOMEM. */
int acceptor_new(struct post *post, int fd);

/* Its clients go to another post from now on. */
void acceptor_set_post(struct acceptor *acceptor, struct post *post);

/* Ends. */
void acceptor_close(struct acceptor *acceptor, enum acceptor_rest rest);

/*
 * Looks into the kernel's queue once more: somebody who accepted there too may
 * have been woken for a client, and is gone.
 */
void acceptor_look(struct acceptor *acceptor);

/* worker.c: a completion */
void acceptor_completion(struct acceptor *acceptor, int res, uint32_t flags);

/* A client has ended: there may be descriptors again. */
void acceptor_resume_all(struct worker *worker);

#endif /* PROXY_ACCEPTOR_H */
