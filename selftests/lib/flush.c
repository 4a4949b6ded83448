// SPDX-License-Identifier: MIT
/*
 * Waiting for RCU, by deferring one thing more: what is deferred is done in
 * order. liburcu's own barrier does the same, but ThreadSanitizer does not
 * understand how. Any thread.
 */
#include "flush.h"

#include <pthread.h>
#include <stdbool.h>

#include "rcu.h"
#include "util.h"

/* Somebody waits for this head's turn. */
struct flush {
	struct rcu_head head;
	pthread_mutex_t lock;
	pthread_cond_t turn;
	bool done;
};

static void flush_done(struct rcu_head *head)
{
	struct flush *flush = container_of(head, struct flush, head);

	rcu_deferred(head);
	/* Plain ones of our own: they cannot fail. */
	(void)pthread_mutex_lock(&flush->lock);
	flush->done = true;
	(void)pthread_cond_signal(&flush->turn);
	(void)pthread_mutex_unlock(&flush->lock);
}

void rcu_flush(void)
{
	struct flush flush = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.turn = PTHREAD_COND_INITIALIZER,
	};

	rcu_defer(&flush.head, flush_done);
	(void)pthread_mutex_lock(&flush.lock);
	while (!flush.done)
		(void)pthread_cond_wait(&flush.turn, &flush.lock);
	(void)pthread_mutex_unlock(&flush.lock);
}
