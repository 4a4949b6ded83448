// SPDX-License-Identifier: MIT
/*
 * Choice and back-off. All atomics here are relaxed: each is a number by
 * itself, and a choice made on one that is a moment old is as good. @conns
 * alone is strict where there is a limit, for it is taken before it is looked
 * at.
 */
#include "origin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

/* a back-off that has doubled so often is at its end in any case */
#define DOUBLINGS_MAX 20

static socklen_t numeric_address(const struct config_place *place,
				 struct sockaddr_storage *out)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	struct sockaddr_in *in = (struct sockaddr_in *)out;

	if (inet_pton(AF_INET, place->host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(place->port);
		return sizeof(*in);
	}
	if (inet_pton(AF_INET6, place->host, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(place->port);
		return sizeof(*in6);
	}
	return 0;
}

static int unix_address(const struct config_place *place,
			struct sockaddr_storage *out)
{
	struct sockaddr_un *un = (struct sockaddr_un *)out;

	if (strlen(place->path) >= sizeof(un->sun_path))
		return -ENAMETOOLONG;
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, place->path, strlen(place->path) + 1);
	return 0;
}

int origin_init(struct origin *origin, const struct config_listener *listener,
		unsigned int i, struct origin_load *load)
{
	const struct config_place *place = &listener->origins[i];
	socklen_t len = 0;
	int err;

	memset(origin, 0, sizeof(*origin));
	origin->place = place;
	origin->opts.size = sizeof(origin->opts);
	origin->opts.fd = -1;
	origin->opts.server_name = listener->sni ? listener->sni : place->host;
	if (place->path) {
		err = unix_address(place, &origin->addr);
		if (err)
			return err;
		len = sizeof(struct sockaddr_un);
	} else {
		len = numeric_address(place, &origin->addr);
	}
	if (len) {
		origin->opts.addr = (const struct sockaddr *)&origin->addr;
		origin->opts.addr_len = len;
	} else {
		origin->opts.host = place->host;
		origin->opts.port = place->port;
	}
	if (!load) {
		load = calloc(1, sizeof(*load));
		if (!load)
			return -ENOMEM;
	}
	atomic_fetch_add_explicit(&load->refs, 1, memory_order_relaxed);
	origin->load = load;
	return 0;
}

void origin_fini(struct origin *origin)
{
	/*
	 * Acquire and release: what others did with it is over before the
	 * last one frees it. Pairs with itself.
	 */
	if (origin->load &&
	    atomic_fetch_sub_explicit(&origin->load->refs, 1,
				      memory_order_acq_rel) == 1)
		free(origin->load);
	origin->load = NULL;
}

bool origin_use(struct origin *origin, uint64_t max)
{
	unsigned int before = atomic_fetch_add_explicit(&origin->load->conns, 1,
							memory_order_relaxed);

	if (!max || before < max)
		return true;
	origin_drop(origin);
	return false;
}

void origin_drop(struct origin *origin)
{
	atomic_fetch_sub_explicit(&origin->load->conns, 1,
				  memory_order_relaxed);
}

static uint64_t retry_at(const struct origin *origin)
{
	return atomic_load_explicit(&origin->load->retry_at_ms,
				    memory_order_relaxed);
}

bool origin_is_failing(const struct origin *origin, uint64_t now_ms)
{
	return retry_at(origin) > now_ms;
}

/* Of two, the better one: not backed off, or sooner ready; fewer connections */
static bool better(const struct origin *a, const struct origin *b,
		   uint64_t now_ms)
{
	uint64_t a_at = retry_at(a), b_at = retry_at(b);

	if (a_at > now_ms || b_at > now_ms)
		return a_at < b_at;
	return atomic_load_explicit(&a->load->conns, memory_order_relaxed) <
	       atomic_load_explicit(&b->load->conns, memory_order_relaxed);
}

int origin_pick(struct origin *origins, unsigned int nr, uint32_t tried,
		uint64_t max, unsigned int turn, uint64_t now_ms)
{
	unsigned int i, at;
	int best;

	for (;;) {
		best = -1;
		for (i = 0; i < nr; i++) {
			at = (turn + i) % nr;
			if (tried & 1U << at)
				continue;
			if (best < 0 || better(&origins[at], &origins[best],
					       now_ms))
				best = at;
		}
		if (best < 0 || origin_use(&origins[best], max))
			return best;
		tried |= 1U << best; /* full */
	}
}

void origin_worked(struct origin *origin)
{
	struct origin_load *load = origin->load;

	/* looked at first: all workers have the line, as long as all is well */
	if (!atomic_load_explicit(&load->in_a_row, memory_order_relaxed))
		return;
	atomic_store_explicit(&load->in_a_row, 0, memory_order_relaxed);
	atomic_store_explicit(&load->retry_at_ms, 0, memory_order_relaxed);
}

void origin_failed(struct origin *origin,
		   const struct config_listener *listener, uint64_t now_ms,
		   uint32_t dice)
{
	struct origin_load *load = origin->load;
	unsigned int n;
	uint64_t wait;

	atomic_fetch_add_explicit(&load->failures, 1, memory_order_relaxed);
	/* connections that were under way together are one failure */
	if (origin_is_failing(origin, now_ms))
		return;
	n = atomic_fetch_add_explicit(&load->in_a_row, 1,
				      memory_order_relaxed);
	if (n > DOUBLINGS_MAX)
		n = DOUBLINGS_MAX;
	wait = listener->retry_ms << n;
	if (wait > listener->retry_max_ms)
		wait = listener->retry_max_ms;
	/* a quarter more or less, so that proxies do not come back as one */
	wait = wait * 3 / 4 + wait / 2 * (dice % 1024) / 1024;
	atomic_store_explicit(&load->retry_at_ms, now_ms + wait,
			      memory_order_relaxed);
}
