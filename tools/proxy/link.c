// SPDX-License-Identifier: MIT
/*
 * The states of a client, in the order of the enum; it goes back from
 * CONNECTING to CONNECTING when an origin fails and another is left, and from
 * RELAYING when a warm connection turns out to be dead before a byte passed.
 *
 * A client must not take what was cut off for the end: its stream is ended in
 * order only when the origin's was, which the relay sees to, and when both
 * sides are done; in all other cases its connection is reset. A unix socket
 * knows no reset: there it is closed. The worker's thread.
 */
#include "link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "acceptor.h"
#include "client_fd.h"
#include "log.h"
#include "move.h"
#include "parcel.h"
#include "proxy_header.h"
#include "room.h"
#include "upstream.h"
#include "worker.h"

/* how often the send queue of a client is looked at before a reset */
#define FLUSH_LOOK_MS 10
/* how often a client is looked at that waits for its connection */
#define CONNECT_LOOK_MS 1000

#define BIT(n) (1U << (n))

static const unsigned int state_next[LINK_NR_STATES] = {
	[LINK_NEW] = BIT(LINK_HEADER) | BIT(LINK_CONNECTING) | BIT(LINK_OVER),
	[LINK_HEADER] = BIT(LINK_CONNECTING) | BIT(LINK_OVER),
	[LINK_CONNECTING] = BIT(LINK_CONNECTING) | BIT(LINK_GREETING) |
			    BIT(LINK_RELAYING) | BIT(LINK_OVER),
	[LINK_GREETING] = BIT(LINK_GREETING) | BIT(LINK_RELAYING) |
			  BIT(LINK_OVER),
	[LINK_RELAYING] = BIT(LINK_CONNECTING) | BIT(LINK_MOVING) |
			  BIT(LINK_FLUSHING) | BIT(LINK_OVER),
	[LINK_MOVING] = BIT(LINK_OVER),
	[LINK_FLUSHING] = BIT(LINK_OVER),
};

static void set_state(struct link *link, enum link_state state)
{
	if (!(state_next[link->state] & BIT(state)))
		__builtin_trap(); /* a bug: going on could mix up bytes */
	link->state = state;
}

static struct worker *worker_of(const struct link *link)
{
	return link->post->worker;
}

static const struct config_listener *listener_of(const struct link *link)
{
	return link->post->service->listener;
}

/* False: there is no memory for it. */
static bool set_timer(struct link *link, uint64_t at_ms)
{
	struct worker *worker = worker_of(link);

	if (at_ms != TIMERS_NEVER)
		return !timers_set(&worker->timers, &link->timer, at_ms);
	timers_del(&worker->timers, &link->timer);
	return true;
}

/* ------------------------------------------------------------------- end -- */

static void link_free(struct link *link)
{
	struct post *post = link->post;

	if (link->end != STATS_END_DONE && link->fd >= 0)
		client_fd_reset(link->fd);
	if (link->fd >= 0)
		worker_close(post->worker, link->fd);
	free(link->buf);
	free(link->greeting);
	pool_put(&post->worker->link_pool, link);
	post_put(post);
}

static void link_cancel(struct link *link)
{
	struct io_uring_sqe *sqe;

	sqe = worker_sqe(worker_of(link), OP_NONE, NULL);
	io_uring_prep_cancel64(sqe, (uintptr_t)link | OP_LINK, 0);
	io_uring_sqe_set_data64(sqe, OP_NONE);
}

void link_end(struct link *link, enum stats_end why)
{
	struct upstream *upstream = link->upstream;
	struct worker *worker = worker_of(link);
	struct post *post = link->post;

	set_state(link, LINK_OVER);
	link->end = why;
	link->upstream = NULL;
	if (upstream && upstream->state == UPSTREAM_OPEN && !upstream->said)
		upstream_close(upstream);
	else if (upstream)
		upstream_abort(upstream);
	stats_add(&post->stats->ended[why], 1);
	stats_sub(&post->stats->clients, 1);
	room_give(post);
	log_event(CONFIG_DEBUG, "client_ended",
		  LOG_S("listener", listener_of(link)->name),
		  LOG_S("end", stats_end_name(why)));
	*link->prev = link->next;
	if (link->next)
		link->next->prev = link->prev;
	worker->nr_links--;
	timers_del(&worker->timers, &link->timer);
	acceptor_resume_all(worker);
	if (link->busy)
		link_cancel(link);
	else if (!link->is_ready)
		link_free(link);
}

void link_cut(struct link *link, enum stats_end why)
{
	if (link->state == LINK_RELAYING) {
		link->cut = true;
		link->end = why;
		upstream_abort(link->upstream); /* RELAYED follows */
	} else if (link->state != LINK_OVER) {
		link_end(link, link->state == LINK_FLUSHING ? link->end : why);
	}
}

/* -------------------------------------------------------------- upstream -- */

static void link_ready(struct link *link)
{
	struct worker *worker = worker_of(link);

	if (link->is_ready)
		return;
	link->is_ready = true;
	link->next_ready = worker->ready;
	worker->ready = link;
}

static void link_attach_warm(struct link *link, struct upstream *upstream)
{
	upstream->link = link;
	upstream->state = UPSTREAM_OPEN;
	link->upstream = upstream;
	stats_add(&link->post->stats->warm_hits, 1);
	link_ready(link);
}

/* Every origin is full, by connections that wait for somebody. */
static struct upstream *any_warm(struct link *link)
{
	struct post *post = link->post;
	struct upstream *upstream = NULL;
	unsigned int i;

	for (i = 0; i < post->service->nr_origins && !upstream; i++)
		if (!link->no_warm && !(link->tried & 1U << i))
			upstream = warm_take(&post->warm[i]);
	return upstream;
}

/*
 * Nothing is received from a client before there is somebody to take it. That
 * it has gone is seen by a look now and then, which those do not even need
 * whose connection is open sooner.
 */
static void link_watch(struct link *link)
{
	uint64_t at_ms = worker_of(link)->now_ms + CONNECT_LOOK_MS;

	/* no memory: it is seen when the connection is open */
	(void)set_timer(link, at_ms < link->until_ms ? at_ms : link->until_ms);
}

static void link_connect(struct link *link)
{
	struct service *service = link->post->service;
	struct worker *worker = worker_of(link);
	struct upstream *upstream = NULL;
	int i, err;

	set_state(link, LINK_CONNECTING);
	i = origin_pick(service->origins, service->nr_origins, link->tried,
			service->listener->origin_max, worker->turn++,
			worker->now_ms);
	if (i >= 0 && !link->no_warm)
		upstream = warm_take(&link->post->warm[i]);
	else if (i < 0)
		upstream = any_warm(link);
	if (upstream) {
		if (i >= 0)
			origin_drop(&service->origins[i]); /* it has its own */
		link_attach_warm(link, upstream);
		return;
	}
	if (i < 0) {
		link_end(link, STATS_END_NO_ORIGIN);
		return;
	}
	if (service->listener->warm)
		stats_add(&link->post->stats->warm_misses, 1);
	link_watch(link);
	err = upstream_connect(link->post, i, link, &link->upstream);
	if (!err)
		return;
	log_event(CONFIG_ERROR, "connect_failed",
		  LOG_S("listener", service->listener->name),
		  LOG_S("error", ktc_error_name(err)),
		  LOG_S("why", ktc_strerror(err)));
	link_end(link, STATS_END_NO_ORIGIN);
}

void link_opened(struct link *link)
{
	link_ready(link);
}

void link_lost(struct link *link, struct upstream *was)
{
	link->upstream = NULL;
	if (link->state != LINK_CONNECTING || was->said) {
		/* the client has had something of it, or the origin of him */
		link_end(link, STATS_END_ORIGIN);
		return;
	}
	if (was->was_warm)
		link->no_warm = true;
	else
		link->tried |= 1U << was->origin;
	link_connect(link);
}

/* ----------------------------------------------------------------- relay -- */

static void link_relay(struct link *link)
{
	int err = upstream_relay(link->upstream, link->fd);

	if (!err) {
		set_state(link, LINK_RELAYING);
		/* no other origin will have to be told who the client is */
		free(link->buf);
		link->buf = NULL;
		link->len = link->header_len = 0;
		if (worker_of(link)->leaving)
			move_link(link);
		return;
	}
	if (err == -KTC_E_STATE)
		return; /* it has ended: CLOSED is on its way */
	/* the client has gone meanwhile */
	link_end(link, STATS_END_CLIENT);
}

static void greet(struct link *link)
{
	struct io_uring_sqe *sqe;

	sqe = worker_sqe(worker_of(link), OP_LINK, link);
	io_uring_prep_send(sqe, link->fd, link->greeting + link->greeted,
			   link->greeting_len - link->greeted, MSG_NOSIGNAL);
	io_uring_sqe_set_data64(sqe, (uintptr_t)link | OP_LINK);
	link->busy = true;
}

/* What came with the client's header. False: then the link is over. */
static bool say_hello(struct link *link)
{
	size_t len = link->len - link->header_len;
	uint8_t *hello;
	int err = 0;

	if (len) {
		hello = malloc(len);
		if (hello)
			memcpy(hello, link->buf + link->header_len, len);
		err = hello ? upstream_send(link->upstream, hello, len) :
			      -ENOMEM;
	}
	if (err == -KTC_E_STATE)
		return true; /* it has ended: CLOSED is on its way */
	if (err)
		link_end(link, STATS_END_CLIENT);
	return !err;
}

/* Its connection is open: what came first goes first, then the relay. */
static void link_go(struct link *link)
{
	/* it has one, or its life has no end: no memory is needed */
	(void)set_timer(link, link->until_ms);
	link->greeting = upstream_take_kept(link->upstream,
					    &link->greeting_len);
	if (!link->greeting) {
		link_relay(link);
		return;
	}
	set_state(link, LINK_GREETING);
	link->was_greeted = true;
	link->greeted = 0;
	greet(link);
}

static void greeting_sent(struct link *link, int res)
{
	if (res <= 0) {
		link_end(link, STATS_END_CLIENT);
		return;
	}
	link->greeted += res;
	if (link->greeted < link->greeting_len) {
		greet(link);
		return;
	}
	free(link->greeting);
	link->greeting = NULL;
	if (link->upstream)
		link_go(link);
}

void link_run_ready(struct worker *worker)
{
	struct link *link;

	while ((link = worker->ready)) {
		worker->ready = link->next_ready;
		link->is_ready = false;
		if (link->state == LINK_OVER)
			link_free(link);
		else if (link->state == LINK_CONNECTING && link->upstream &&
			 link->upstream->state == UPSTREAM_OPEN &&
			 say_hello(link))
			link_go(link);
	}
}

static bool was_dead(const struct link *link, const struct upstream *was,
		     const struct ktc_event *ev)
{
	return was->was_warm && !link->cut && !link->was_greeted &&
	       !was->said &&
	       (ev->end == KTC_END_TLS || ev->end == KTC_END_TRUNCATED) &&
	       ev->err != -KTC_E_IDLE_TIMEOUT && !ev->relayed[KTC_RX] &&
	       !ev->relayed[KTC_TX] && client_fd_is_untouched(link->fd);
}

static enum stats_end end_of(const struct link *link,
			     const struct ktc_event *ev)
{
	if (link->cut)
		return link->end;
	switch (ev->end) {
	case KTC_END_DONE:
		return STATS_END_DONE;
	case KTC_END_PLAIN:
		return STATS_END_CLIENT;
	case KTC_END_TRUNCATED:
		return STATS_END_TRUNCATED;
	case KTC_END_TLS:
		if (ev->err == -KTC_E_IDLE_TIMEOUT)
			return STATS_END_IDLE;
		return STATS_END_ORIGIN;
	default:
		return STATS_END_DRAINED;
	}
}

/*
 * A reset throws away what the client's machine has not taken yet, though it
 * is good: it waits for that, for a while. False: there is nothing.
 */
static bool link_flush(struct link *link, enum stats_end why)
{
	struct worker *worker = worker_of(link);

	if (worker->stopping || !client_fd_has_unsent(link->fd) ||
	    !set_timer(link, worker->now_ms + FLUSH_LOOK_MS))
		return false;
	set_state(link, LINK_FLUSHING);
	link->end = why;
	link->until_ms = worker->now_ms + listener_of(link)->close_ms;
	return true;
}

static void link_look(struct link *link)
{
	struct worker *worker = worker_of(link);

	if (worker->now_ms >= link->until_ms ||
	    !client_fd_has_unsent(link->fd) ||
	    !set_timer(link, worker->now_ms + FLUSH_LOOK_MS))
		link_end(link, link->end);
}

void link_relayed(struct link *link, struct upstream *was,
		  const struct ktc_event *ev)
{
	enum stats_end why;

	link->upstream = NULL;
	if (move_relayed(link, was, ev)) {
		set_state(link, LINK_MOVING);
		return;
	}
	if (was_dead(link, was, ev)) {
		link->no_warm = true;
		link_connect(link);
		return;
	}
	why = end_of(link, ev);
	if (why == STATS_END_DONE || why == STATS_END_CLIENT ||
	    !link_flush(link, why))
		link_end(link, why);
}

/* ----------------------------------------------------------------- begin -- */

static void link_look_for_client(struct link *link)
{
	if (client_fd_is_gone(link->fd))
		link_end(link, STATS_END_CLIENT);
	else
		link_watch(link);
}

static void timed_out(struct timer *timer)
{
	struct link *link = (struct link *)((char *)timer -
					    offsetof(struct link, timer));

	if (link->state == LINK_FLUSHING)
		link_look(link);
	else if (link->state == LINK_CONNECTING &&
		 worker_of(link)->now_ms < link->until_ms)
		link_look_for_client(link);
	else
		link_cut(link, link->state == LINK_HEADER ?
				       STATS_END_HEADER : STATS_END_LIFETIME);
}

/* Reads on, until the client's PROXY header is whole. */
static void read_header(struct link *link)
{
	struct io_uring_sqe *sqe;

	sqe = worker_sqe(worker_of(link), OP_LINK, link);
	io_uring_prep_recv(sqe, link->fd, link->buf + link->len,
			   LINK_HEADER_ROOM - link->len, 0);
	io_uring_sqe_set_data64(sqe, (uintptr_t)link | OP_LINK);
	link->busy = true;
}

static void header_read(struct link *link, int res)
{
	struct proxy_header header;
	int n = -EPROTO;

	if (res > 0) {
		link->len += (size_t)res;
		n = proxy_header_parse(link->buf, link->len, &header);
	}
	link->header_len = n > 0 ? (size_t)n : 0;
	if (!n && link->len < LINK_HEADER_ROOM) {
		read_header(link);
	} else if (n <= 0 || !set_timer(link, link->until_ms)) {
		log_event(CONFIG_INFO, "no_proxy_header",
			  LOG_S("listener", listener_of(link)->name),
			  LOG_U("bytes", link->len));
		link_end(link, STATS_END_HEADER);
	} else {
		link_connect(link);
	}
}

/* False: there is no memory for it. */
static bool await_header(struct link *link)
{
	uint64_t at_ms = worker_of(link)->now_ms + listener_of(link)->header_ms;

	link->buf = malloc(LINK_HEADER_ROOM);
	if (!link->buf)
		return false;
	set_state(link, LINK_HEADER);
	if (!set_timer(link, at_ms < link->until_ms ? at_ms : link->until_ms))
		return false;
	read_header(link);
	return true;
}

void link_completion(struct link *link, int res)
{
	link->busy = false;
	if (link->state == LINK_OVER) {
		if (!link->is_ready)
			link_free(link);
		return;
	}
	if (link->state == LINK_HEADER)
		header_read(link, res);
	else if (link->state == LINK_GREETING)
		greeting_sent(link, res);
}

void link_refuse(struct post *post, int fd)
{
	stats_add(&post->stats->accepted, 1);
	stats_add(&post->stats->ended[STATS_END_LIMIT], 1);
	log_event(CONFIG_WARN, "client_refused",
		  LOG_S("listener", post->service->listener->name),
		  LOG_U("room", room_left(post)));
	client_fd_reset(fd);
	worker_close(post->worker, fd);
}

struct link *link_new(struct post *post, int fd)
{
	const struct config_listener *listener = post->service->listener;
	struct worker *worker = post->worker;
	struct link *link = pool_get(&worker->link_pool);

	if (!link) {
		room_give(post);
		return NULL;
	}
	link->post = post_get(post);
	link->fd = fd;
	link->timer.fire = timed_out;
	link->until_ms = listener->lifetime_ms ?
				 worker->now_ms + listener->lifetime_ms :
				 TIMERS_NEVER;
	link->next = worker->links;
	link->prev = &worker->links;
	if (link->next)
		link->next->prev = &link->next;
	worker->links = link;
	worker->nr_links++;
	stats_add(&post->stats->clients, 1);
	return link;
}

void link_begin(struct post *post, int fd)
{
	struct link *link = link_new(post, fd);
	bool proxy_in = post->service->listener->proxy_in;

	if (!link) {
		link_refuse(post, fd);
		return;
	}
	stats_add(&post->stats->accepted, 1);
	if (proxy_in ? !await_header(link) : !set_timer(link, link->until_ms))
		link_end(link, STATS_END_LIMIT);
	else if (!proxy_in)
		link_connect(link);
}

int link_adopt(struct link *link, unsigned int origin,
	       const struct parcel *parcel)
{
	struct worker *worker = worker_of(link);
	struct post *post = link->post; /* the worker has it too */
	int err = -ENOMEM;

	if (parcel->left_ms != UINT64_MAX)
		link->until_ms = worker->now_ms + parcel->left_ms;
	set_state(link, LINK_CONNECTING);
	if (set_timer(link, link->until_ms))
		err = upstream_adopt(link->post, origin, link, parcel,
				     &link->upstream);
	if (err) {
		link->fd = -1; /* still the caller's */
		link_end(link, STATS_END_MOVED);
		stats_sub(&post->stats->ended[STATS_END_MOVED], 1);
	}
	return err;
}
