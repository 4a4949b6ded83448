// SPDX-License-Identifier: MIT
/*
 * Deferred freeing by liburcu. A child made by fork() without exec has none of
 * liburcu's threads: nothing that was deferred is freed there.
 */
#include "rcu.h"

#include <pthread.h>
#include <stdbool.h>

#include "util.h"

char rcu_readers;

void rcu_defer(struct rcu_head *head, void (*fn)(struct rcu_head *head))
{
	rcu_publish(head);
	urcu_bp_call_rcu(head, fn);
}

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

/*
 * What is deferred is done in order. liburcu's own barrier does the same, but
 * ThreadSanitizer does not understand how.
 */
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
