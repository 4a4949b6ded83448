// SPDX-License-Identifier: MIT
/* See room.h. Any worker's thread; the counts are shared by all. */
#include "room.h"

#include <stdatomic.h>

#include "worker.h"

void room_give(struct post *post)
{
	/* relaxed: a number alone */
	atomic_fetch_sub_explicit(&post->service->tally->clients, 1,
				  memory_order_relaxed);
	/* release: see proxy_look(), which reads it */
	atomic_fetch_sub_explicit(post->worker->all_clients, 1,
				  memory_order_release);
}

static uint64_t left(uint64_t max, unsigned int now)
{
	return max > now ? max - now : 0;
}

uint64_t room_left(const struct post *post)
{
	struct service *service = post->service;
	uint64_t here, all;

	/* relaxed: room_take() is exact */
	here = left(service->listener->clients_max,
		    atomic_load_explicit(&service->tally->clients,
					 memory_order_relaxed));
	all = left(service->generation->clients_max,
		   atomic_load_explicit(post->worker->all_clients,
					memory_order_relaxed));
	return here < all ? here : all;
}

bool room_take(struct post *post)
{
	struct service *service = post->service;
	unsigned int all, here;

	/* relaxed: taken before it is looked at, so that it is exact */
	all = atomic_fetch_add_explicit(post->worker->all_clients, 1,
					memory_order_relaxed);
	here = atomic_fetch_add_explicit(&service->tally->clients, 1,
					 memory_order_relaxed);
	if (all < service->generation->clients_max &&
	    here < service->listener->clients_max)
		return true;
	room_give(post);
	return false;
}
