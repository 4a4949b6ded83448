// SPDX-License-Identifier: MIT
/*
 * See count.h. An answer that came too late for its round is still in the
 * semaphore at the next one: so each post only means that it is time to look
 * at the rounds of the workers again.
 */
#include "count.h"

#include <errno.h>
#include <time.h>

#include "link.h"
#include "upstream.h"
#include "worker.h"

/* for all workers; whoever asks by --status or for metrics is held up so */
#define PATIENCE_MS 200

void count_init(struct count *count)
{
	(void)sem_init(&count->answers, 0, 0); /* 0 is always valid */
	atomic_init(&count->round, 0);
}

void count_fini(struct count *count)
{
	(void)sem_destroy(&count->answers); /* nobody waits */
}

void count_worker(struct worker *worker, struct count *count)
{
	struct link *link;
	unsigned int round;

	/* relaxed: came with the mail, whose lock orders it */
	round = atomic_load_explicit(&count->round, memory_order_relaxed);
	for (link = worker->links; link; link = link->next)
		if (link->upstream)
			upstream_count(link->upstream);
	/* release: with what was counted; pairs with has_answered() */
	atomic_store_explicit(&worker->counted, round, memory_order_release);
	(void)sem_post(&count->answers); /* overflows after 2^31 at once */
}

static bool has_answered(const struct worker *worker, unsigned int round)
{
	/* acquire: see count_worker() */
	return atomic_load_explicit(&worker->counted, memory_order_acquire) ==
	       round;
}

static struct timespec patience(void)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until); /* it is always there */
	until.tv_nsec += PATIENCE_MS * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	return until;
}

void count_all(struct count *count, struct worker *workers, unsigned int nr)
{
	const struct mail mail = { .type = MAIL_COUNT, .object = count };
	struct timespec until = patience();
	unsigned int i, round;

	/* relaxed: see count_worker() */
	round = atomic_fetch_add_explicit(&count->round, 1,
					  memory_order_relaxed) + 1;
	for (i = 0; i < nr; i++)
		if (workers[i].running && mail_send(&workers[i].box, &mail))
			return; /* no memory: they are seen as they were */
	for (i = 0; i < nr; i++)
		while (workers[i].running && !has_answered(&workers[i], round))
			if (sem_clockwait(&count->answers, CLOCK_MONOTONIC,
					  &until) &&
			    errno != EINTR)
				return;
}
