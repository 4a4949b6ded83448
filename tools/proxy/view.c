// SPDX-License-Identifier: MIT
/* See view.h. Any thread; counters are read while workers write them. */
#include "view.h"

#include <errno.h>

#include "proxy.h"
#include "service.h"
#include "timers.h"
#include "worker.h"

/* of whoever has the lock */
static struct admin_origin origins[CONFIG_LISTENERS_MAX][CONFIG_ORIGINS_MAX];

static unsigned int view_listeners(void *arg)
{
	struct proxy *proxy = arg;

	pthread_mutex_lock(&proxy->lock);
	if (proxy->workers)
		count_all(&proxy->count, proxy->workers, proxy->nr_workers);
	return proxy->generation ? proxy->generation->nr : 0;
}

static void view_origin(const struct origin *origin, uint64_t now_ms,
			struct admin_origin *out)
{
	const struct origin_load *load = origin->load;
	uint64_t retry_at_ms;

	/* relaxed: statistics */
	retry_at_ms = atomic_load_explicit(&load->retry_at_ms,
					   memory_order_relaxed);
	out->place = origin->place->text;
	out->conns = atomic_load_explicit(&load->conns, memory_order_relaxed);
	out->failures = atomic_load_explicit(&load->failures,
					     memory_order_relaxed);
	out->failing = retry_at_ms > now_ms;
	out->retry_in_ms = out->failing ? retry_at_ms - now_ms : 0;
}

static int view_listener(void *arg, unsigned int i, struct admin_listener *out)
{
	struct proxy *proxy = arg;
	struct service *service = proxy->generation->services[i];
	uint64_t now_ms = clock_ms();
	unsigned int n;

	*out = (struct admin_listener){
		.name = service->listener->name,
		.listen = *service->bound ? service->bound :
					    service->listener->listen.text,
		.client.size = sizeof(out->client),
		.origins = origins[i],
		.nr_origins = service->nr_origins,
	};
	for (n = 0; n < service->tally->nr; n++)
		stats_sum(&out->sum, &service->tally->blocks[n].stats);
	for (n = 0; n < service->nr_origins; n++)
		view_origin(&service->origins[n], now_ms, &origins[i][n]);
	return ktc_client_stats(service->client, &out->client);
}

static void view_done(void *arg)
{
	struct proxy *proxy = arg;

	pthread_mutex_unlock(&proxy->lock);
}

static bool view_draining(void *arg)
{
	struct proxy *proxy = arg;

	/* relaxed: a flag alone */
	return atomic_load_explicit(&proxy->draining, memory_order_relaxed);
}

void view_ops(struct proxy *proxy, struct admin_ops *out)
{
	*out = (struct admin_ops){
		.listeners = view_listeners,
		.listener = view_listener,
		.done = view_done,
		.draining = view_draining,
		.arg = proxy,
		.started_s = proxy->started_s,
		.threads = proxy->nr_workers,
	};
}
