// SPDX-License-Identifier: MIT
/*
 * A relay is asked to let its connection go; the library says RELAYED and
 * DETACHED, or STAYED, and then it is tried again for as long as that may
 * help. What cannot go, ends here.
 */
#include "move.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "link.h"
#include "log.h"
#include "parcel.h"
#include "room.h"
#include "upstream.h"
#include "worker.h"

/* before those that stayed for a reason that may pass are asked again */
#define AGAIN_MS 500

/* ------------------------------------------------------------------- out -- */

static void look_again(struct worker *worker)
{
	/* no memory for the timer: the next that stays looks again */
	if (!worker->move_timer.index)
		(void)timers_set(&worker->timers, &worker->move_timer,
				 worker->now_ms + AGAIN_MS);
}

void move_link(struct link *link)
{
	if (link->state != LINK_RELAYING || link->moving || link->stays ||
	    link->cut)
		return;
	if (ktc_conn_detach(link->upstream->conn))
		link->stays = true; /* the user plane, or it ends already */
	else
		link->moving = true;
}

static void move_all(struct worker *worker)
{
	struct link *link, *next;

	for (link = worker->links; link; link = next) {
		next = link->next;
		move_link(link);
	}
}

static void timer_again(struct timer *timer)
{
	move_all((struct worker *)((char *)timer -
				   offsetof(struct worker, move_timer)));
}

void move_begin(struct worker *worker)
{
	struct link *link;

	worker->leaving = true;
	worker->move_timer.fire = timer_again;
	/* another successor may take what the last one would not */
	for (link = worker->links; link; link = link->next)
		link->stays = false;
	move_all(worker);
}

void move_end(struct worker *worker)
{
	worker->leaving = false;
	timers_del(&worker->timers, &worker->move_timer);
}

void move_stayed(struct link *link, int err)
{
	link->moving = false;
	if (err == -KTC_E_CLOSE_TIMEOUT || err == -ENOMEM)
		look_again(link->post->worker);
	else
		link->stays = true;
}

bool move_relayed(struct link *link, struct upstream *was,
		  const struct ktc_event *ev)
{
	if (!link->moving || link->cut || ev->end != KTC_END_STOPPED || ev->err)
		return false;
	link->upstream = was;
	was->link = link;
	return true;
}

static struct parcel *pack(const struct link *link,
			   const struct upstream *upstream,
			   const struct ktc_event *ev)
{
	const struct origin *origin = upstream_origin(upstream);
	uint64_t now_ms = link->post->worker->now_ms;
	struct parcel *parcel = parcel_new();

	if (!parcel)
		return NULL;
	if (ev->len > sizeof(parcel->state) ||
	    parcel_label(parcel, link->post->service->listener->name,
			 origin->place->text, origin->opts.server_name)) {
		parcel_free(parcel);
		return NULL;
	}
	parcel->left_ms = link->until_ms == TIMERS_NEVER ? UINT64_MAX :
			  link->until_ms > now_ms ? link->until_ms - now_ms :
						    0;
	memcpy(parcel->state, ev->data, ev->len);
	parcel->state_len = ev->len;
	return parcel;
}

void move_detached(struct link *link, const struct upstream *upstream,
		   const struct ktc_event *ev)
{
	struct parcel *parcel = pack(link, upstream, ev);
	struct worker *worker = link->post->worker;
	struct mail mail = {
		.type = MAIL_PARCEL, .worker = worker, .object = parcel,
	};

	link->upstream = NULL;
	if (parcel) {
		parcel->tls_fd = ev->fd;
		parcel->client_fd = link->fd;
		if (!mail_send(worker->main, &mail)) {
			/* it is the main thread's now */
			link->fd = -1;
			stats_add(&link->post->stats->moved, 1);
			link_end(link, STATS_END_MOVED);
			return;
		}
		parcel->client_fd = -1;
		parcel->tls_fd = -1;
	}
	/* no memory: so far, and no further */
	parcel_free(parcel);
	(void)close(ev->fd); /* the origin sees that it is cut off */
	link_end(link, STATS_END_DRAINED);
}

/* -------------------------------------------------------------------- in -- */

static struct post *find_post(struct worker *worker, const char *listener)
{
	struct post *post;

	for (post = worker->posts; post; post = post->next)
		if (!post->retired &&
		    !strcmp(post->service->listener->name, listener))
			return post;
	return NULL;
}

static bool is_same(const struct origin *origin, const struct parcel *parcel)
{
	const char *name = origin->opts.server_name;

	return !strcmp(origin->place->text, parcel->origin) &&
	       !strcmp(name ? name : "", parcel->server_name);
}

static int find_origin(const struct service *service,
		       const struct parcel *parcel)
{
	unsigned int i;

	for (i = 0; i < service->nr_origins; i++)
		if (is_same(&service->origins[i], parcel))
			return (int)i;
	return -ENOENT;
}

int move_adopt(struct worker *worker, struct parcel *parcel)
{
	struct post *post = find_post(worker, parcel->listener);
	struct link *link;
	int i, err;

	i = post ? find_origin(post->service, parcel) : -ENOENT;
	if (i < 0)
		return i;
	if (!room_take(post))
		return -EAGAIN;
	link = link_new(post, parcel->client_fd);
	if (!link)
		return -ENOMEM;
	link->stays = parcel->returned;
	err = link_adopt(link, (unsigned int)i, parcel);
	if (err)
		return err;
	parcel->client_fd = -1;
	parcel->tls_fd = -1;
	stats_add(&post->stats->adopted, 1);
	return 0;
}
