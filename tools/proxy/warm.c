// SPDX-License-Identifier: MIT
/*
 * The pool of one origin in one worker. It fills itself by a timer, so that a
 * client that takes a connection does not wait for the making of the next, and
 * so that an origin which ends them at once is asked once in a while and not
 * as fast as we can. The worker's thread.
 */
#include "warm.h"

#include <errno.h>
#include <stdlib.h>

#include "log.h"
#include "upstream.h"
#include "worker.h"

/* handshakes at once, of one pool */
#define OPENING_MAX 4u
/* before the next try, when one ended by itself or could not begin */
#define PAUSE_MS 1000u

static struct service *service_of(const struct warm *warm)
{
	return warm->post->service;
}

static struct warm *warm_of(const struct upstream *upstream)
{
	return &upstream->post->warm[upstream->origin];
}

static bool is_over(const struct warm *warm)
{
	return warm->post->retired || warm->post->worker->draining ||
	       warm->post->worker->leaving;
}

/* A timer that is armed for sooner stays. */
static void look_again(struct warm *warm, uint64_t in_ms)
{
	struct worker *worker = warm->post->worker;
	uint64_t at = worker->now_ms + in_ms;

	if (is_over(warm) || !warm->want ||
	    (warm->timer.index && warm->timer.at_ms <= at))
		return;
	/* no memory: the next connection that ends looks again */
	(void)timers_set(&worker->timers, &warm->timer, at);
}

static void timer_fill(struct timer *timer)
{
	warm_fill((struct warm *)((char *)timer -
				  offsetof(struct warm, timer)));
}

int warm_init(struct post *post)
{
	const struct config_listener *listener = post->service->listener;
	unsigned int nr = post->service->nr_origins;
	unsigned int i, want;

	post->warm = calloc(nr, sizeof(*post->warm));
	if (!post->warm)
		return -ENOMEM;
	/* rounded up: a client must find one in whichever worker it is */
	want = (listener->warm + post->worker->nr_workers - 1) /
	       post->worker->nr_workers;
	for (i = 0; i < nr; i++)
		post->warm[i] = (struct warm){
			.post = post,
			.origin = i,
			.want = want,
			.timer.fire = timer_fill,
		};
	return 0;
}

void warm_stop(struct post *post)
{
	struct upstream *upstream;
	unsigned int i;

	for (i = 0; i < post->service->nr_origins; i++) {
		post->warm[i].want = 0;
		timers_del(&post->worker->timers, &post->warm[i].timer);
		while ((upstream = warm_take(&post->warm[i])))
			upstream_close(upstream);
	}
}

void warm_fini(struct post *post)
{
	free(post->warm);
	post->warm = NULL;
}

void warm_fill(struct warm *warm)
{
	struct service *service = service_of(warm);
	struct origin *origin = &service->origins[warm->origin];
	struct worker *worker = warm->post->worker;
	struct upstream *upstream;
	int err;

	if (is_over(warm))
		return;
	if (origin_is_failing(origin, worker->now_ms)) {
		look_again(warm, PAUSE_MS);
		return;
	}
	while (warm->nr + warm->opening < warm->want &&
	       warm->opening < OPENING_MAX) {
		err = -EAGAIN;
		if (origin_use(origin, service->listener->origin_max))
			err = upstream_connect(warm->post, warm->origin, NULL,
					       &upstream);
		if (err) {
			look_again(warm, PAUSE_MS);
			return;
		}
		warm->opening++;
	}
}

static void unlink_one(struct warm *warm, struct upstream *upstream)
{
	*upstream->prev = upstream->next;
	if (upstream->next)
		upstream->next->prev = upstream->prev;
	upstream->next = NULL;
	upstream->prev = NULL;
	warm->nr--;
	stats_sub(&warm->post->stats->warm, 1);
	timers_del(&warm->post->worker->timers, &upstream->timer);
}

struct upstream *warm_take(struct warm *warm)
{
	struct upstream *upstream = warm->first;

	if (!upstream)
		return NULL;
	unlink_one(warm, upstream);
	look_again(warm, 0);
	return upstream;
}

static void too_old(struct timer *timer)
{
	struct upstream *upstream =
		(struct upstream *)((char *)timer -
				    offsetof(struct upstream, timer));
	struct warm *warm = warm_of(upstream);

	unlink_one(warm, upstream);
	upstream_close(upstream);
	look_again(warm, 0);
}

void warm_opened(struct upstream *upstream)
{
	struct warm *warm = warm_of(upstream);
	struct worker *worker = warm->post->worker;
	uint64_t life_ms = service_of(warm)->listener->warm_idle_ms;

	warm->opening--;
	if (is_over(warm)) {
		upstream_close(upstream);
		return;
	}
	/* those that were made together shall not all go together */
	life_ms -= life_ms / 8 * (worker_dice(worker) % 1024) / 1024;
	upstream->timer.fire = too_old;
	if (timers_set(&worker->timers, &upstream->timer,
		       worker->now_ms + life_ms)) {
		upstream_close(upstream);
		return;
	}
	upstream->state = UPSTREAM_WARM;
	upstream->was_warm = true;
	upstream->next = warm->first;
	upstream->prev = &warm->first;
	if (warm->first)
		warm->first->prev = &upstream->next;
	warm->first = upstream;
	warm->nr++;
	stats_add(&warm->post->stats->warm, 1);
	look_again(warm, 0);
}

void warm_failed(struct upstream *upstream)
{
	struct warm *warm = warm_of(upstream);

	warm->opening--;
	look_again(warm, PAUSE_MS);
}

void warm_ended(struct upstream *upstream)
{
	struct warm *warm = warm_of(upstream);

	unlink_one(warm, upstream);
	look_again(warm, PAUSE_MS);
}
