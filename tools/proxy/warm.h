/* SPDX-License-Identifier: MIT */
/*
 * Connections that are handshaken before anybody needs them: a worker keeps
 * its share of them for each origin of a service. Those that are taken, that
 * the origin has ended, or that have waited too long are replaced, a few at
 * once, and not while the origin is failing.
 */
#ifndef PROXY_WARM_H
#define PROXY_WARM_H

#include <stdbool.h>

#include "timers.h"

struct post;
struct upstream;

/**
 * struct warm - those of one origin
 * @post: the service, here
 * @origin: which of its origins
 * @first: newest: what has waited least is least likely to be dead
 * @nr: how many wait
 * @opening: how many are on their way
 * @want: this worker's share
 * @timer: when to look again
 */
struct warm {
	struct post *post;
	unsigned int origin;
	struct upstream *first;
	unsigned int nr;
	unsigned int opening;
	unsigned int want;
	struct timer timer;
};

/* 0 or -ENOMEM; nothing is begun before warm_fill(). */
int warm_init(struct post *post);
/* All that wait are closed, no more are made. */
void warm_stop(struct post *post);
void warm_fini(struct post *post);

/* Begins what is missing. */
void warm_fill(struct warm *warm);

/* One that waits, or NULL. */
struct upstream *warm_take(struct warm *warm);

/* upstream.c: one on its way is open, or failed; one that waits ended */
void warm_opened(struct upstream *upstream);
void warm_failed(struct upstream *upstream);
void warm_ended(struct upstream *upstream);

#endif /* PROXY_WARM_H */
