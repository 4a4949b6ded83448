// SPDX-License-Identifier: MIT
/*
 * Upstream connections, and what the library tells of them. All counting of
 * connections is here: each is begun once and ends once, in CLOSED. The
 * worker's thread.
 */
#include "upstream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client_fd.h"
#include "hello.h"
#include "link.h"
#include "log.h"
#include "proxy_header.h"
#include "move.h"
#include "parcel.h"
#include "worker.h"

static struct stats_listener *stats_of(struct upstream *upstream)
{
	return upstream->post->stats;
}

struct origin *upstream_origin(const struct upstream *upstream)
{
	return &upstream->post->service->origins[upstream->origin];
}

static struct upstream *upstream_new(struct post *post, unsigned int origin,
				     struct link *link)
{
	struct upstream *upstream = pool_get(&post->worker->upstream_pool);

	if (!upstream)
		return NULL;
	upstream->post = post;
	upstream->link = link;
	upstream->origin = origin;
	return upstream;
}

/* The library has it, or refused it: then the origin is dropped again. */
static int upstream_begun(struct upstream *upstream, int err,
			  struct upstream **out)
{
	struct post *post = upstream->post;

	if (err) {
		origin_drop(upstream_origin(upstream));
		pool_put(&post->worker->upstream_pool, upstream);
		return err;
	}
	(void)post_get(post);
	post->worker->nr_upstreams++;
	stats_add(&post->stats->upstream, 1);
	*out = upstream;
	return 0;
}

/* The PROXY header, if it is to have one; bytes receives it. */
static int set_preamble(const struct link *link, uint8_t *bytes,
			struct ktc_conn_opts *opts)
{
	const struct config_listener *listener = link->post->service->listener;
	int n;

	if (listener->proxy_out == CONFIG_PROXY_NONE)
		return 0;
	n = hello_preamble(listener, link->fd, link->buf, link->len, bytes);
	if (n < 0)
		return n;
	opts->preamble = bytes;
	opts->preamble_len = (size_t)n;
	return 0;
}

int upstream_connect(struct post *post, unsigned int origin, struct link *link,
		     struct upstream **out)
{
	uint8_t preamble[PROXY_HEADER_OUT_MAX];
	struct ktc_conn_opts opts = post->service->origins[origin].opts;
	struct upstream *upstream = upstream_new(post, origin, link);
	int err = 0;

	if (!upstream) {
		origin_drop(&post->service->origins[origin]);
		return -ENOMEM;
	}
	opts.user = upstream;
	if (link)
		err = set_preamble(link, preamble, &opts);
	if (!err)
		err = ktc_connect(post->worker->loop, post->service->client,
				  &opts, &upstream->conn);
	err = upstream_begun(upstream, err, out);
	if (!err)
		stats_add(&post->stats->connects, 1);
	return err;
}

int upstream_adopt(struct post *post, unsigned int origin, struct link *link,
		   const struct parcel *parcel, struct upstream **out)
{
	struct ktc_conn_opts opts = { .size = sizeof(opts) };
	struct upstream *upstream = upstream_new(post, origin, link);
	int err;

	if (!upstream)
		return -ENOMEM;
	/* it is there, whatever the limit is */
	(void)origin_use(&post->service->origins[origin], 0);
	upstream->adopted = true;
	upstream->said = true; /* its client is in the middle of it */
	opts.user = upstream;
	err = ktc_conn_adopt(post->worker->loop, post->service->client,
			     parcel->tls_fd, parcel->state, parcel->state_len,
			     &opts, &upstream->conn);
	return upstream_begun(upstream, err, out);
}

int upstream_send(struct upstream *upstream, uint8_t *take, size_t len)
{
	int err = ktc_conn_send(upstream->conn, take, len, 0);

	if (err) {
		free(take);
		return err;
	}
	upstream->hello = take;
	upstream->said = true;
	upstream->sends++;
	return 0;
}

uint8_t *upstream_take_kept(struct upstream *upstream, size_t *len)
{
	uint8_t *kept = upstream->kept;

	*len = upstream->kept_len;
	upstream->kept = NULL;
	upstream->kept_len = 0;
	return kept;
}

int upstream_relay(struct upstream *upstream, int fd)
{
	const struct config_listener *listener =
		upstream->post->service->listener;
	int err;

	err = ktc_relay(upstream->conn, fd,
			listener->relay_module ? 0 : KTC_RELAY_LOOP);
	if (err)
		return err;
	upstream->state = UPSTREAM_RELAYING;
	return 0;
}

static void count_bytes(struct upstream *upstream, const uint64_t relayed[2])
{
	int dir;

	for (dir = 0; dir < 2; dir++) {
		/* should it be less for once, it is counted later */
		if (relayed[dir] <= upstream->counted[dir])
			continue;
		stats_add(&stats_of(upstream)->bytes[dir],
			  relayed[dir] - upstream->counted[dir]);
		upstream->counted[dir] = relayed[dir];
	}
}

void upstream_count(struct upstream *upstream)
{
	uint64_t relayed[2];

	/* over: RELAYED, which is on its way, has the rest */
	if (upstream->state == UPSTREAM_RELAYING &&
	    !ktc_conn_relayed(upstream->conn, relayed))
		count_bytes(upstream, relayed);
}

void upstream_close(struct upstream *upstream)
{
	upstream->link = NULL;
	upstream->ours = true;
	upstream->state = UPSTREAM_ENDING;
	/* it fails after CLOSED alone, which is on its way then */
	(void)ktc_conn_close(upstream->conn);
}

void upstream_abort(struct upstream *upstream)
{
	upstream->ours = true;
	if (upstream->state != UPSTREAM_RELAYING) {
		upstream->link = NULL;
		upstream->state = UPSTREAM_ENDING;
	}
	ktc_conn_abort(upstream->conn);
}

/* ---------------------------------------------------------------- events -- */

static void opened(struct upstream *upstream)
{
	struct ktc_conn_info info = { .size = sizeof(info) };
	struct stats_listener *stats = stats_of(upstream);

	upstream->open = true;
	if (!upstream->adopted)
		origin_worked(upstream_origin(upstream));
	if (!upstream->adopted && !ktc_conn_info(upstream->conn, &info)) {
		stats_record(&stats->connect_us, info.connect_us);
		stats_record(&stats->handshake_us, info.handshake_us);
		stats_add(info.resumed ? &stats->resumed : &stats->full, 1);
		if (!info.resumed)
			stats_add(&stats->not_resumed[info.why_not_resumed], 1);
	}
	if (upstream->state != UPSTREAM_OPENING)
		return; /* nobody wants it any more */
	if (upstream->link) {
		upstream->state = UPSTREAM_OPEN;
		link_opened(upstream->link);
	} else {
		warm_opened(upstream);
	}
}

/*
 * What the origin says before it is asked: a greeting, for the client to come.
 * It is copied, so that connections in waiting hold no receive buffer; more of
 * it waits in the origin's TCP.
 */
static void keep(struct upstream *upstream, const struct ktc_event *ev)
{
	uint8_t *kept = NULL;

	if (upstream->state == UPSTREAM_RELAYING ||
	    upstream->state == UPSTREAM_ENDING)
		return;
	if (ev->len <= UPSTREAM_KEPT_MAX - upstream->kept_len)
		kept = realloc(upstream->kept, upstream->kept_len + ev->len);
	if (!kept) {
		ktc_conn_abort(upstream->conn);
		return;
	}
	memcpy(kept + upstream->kept_len, ev->data, ev->len);
	upstream->kept = kept;
	upstream->kept_len += ev->len;
	/* it fails when the connection has ended: CLOSED tells */
	(void)ktc_conn_recv_pause(upstream->conn);
}

/* At the end: a relay can find its way to the module at any time. */
static void count_lane(struct upstream *upstream, const struct ktc_event *ev)
{
	struct ktc_conn_info info = { .size = sizeof(info) };
	struct stats_listener *stats = stats_of(upstream);

	stats_add(&stats->lane[ev->moved_by], 1);
	if (ev->moved_by != KTC_LANE_MODULE &&
	    !ktc_conn_info(upstream->conn, &info))
		stats_add(&stats->not_module[info.why_not_module], 1);
}

static void relayed(struct upstream *upstream, const struct ktc_event *ev)
{
	struct link *link = upstream->link;

	count_bytes(upstream, ev->relayed);
	count_lane(upstream, ev);
	if (ev->end == KTC_END_TRUNCATED)
		upstream->client_ended = client_fd_has_ended(ev->fd);
	upstream->link = NULL;
	upstream->state = UPSTREAM_ENDING;
	/*
	 * A client that is gone has not ended its stream in order: the origin
	 * must not take it for that.
	 */
	if (ev->end == KTC_END_DONE)
		upstream_close(upstream);
	else if (ev->end == KTC_END_PLAIN)
		upstream_abort(upstream);
	if (link)
		link_relayed(link, upstream, ev);
}

/* close_notify before the relay, which would see to it: a warm one is dead. */
static void ended(struct upstream *upstream)
{
	struct link *link = upstream->link;

	if (upstream->state == UPSTREAM_WARM) {
		warm_ended(upstream);
		upstream_close(upstream);
	} else if (upstream->state == UPSTREAM_OPEN && upstream->was_warm &&
		   !upstream->kept_len) {
		upstream_close(upstream);
		if (link)
			link_lost(link, upstream);
	}
}

/* What says nothing about the origin, but of us. */
static bool is_our_trouble(int err)
{
	enum ktc_class class_ = ktc_error_class(err);

	return err == -KTC_E_BUDGET || class_ == KTC_CLASS_USAGE ||
	       class_ == KTC_CLASS_SYSTEM || class_ == KTC_CLASS_AGAIN ||
	       class_ == KTC_CLASS_INTERNAL;
}

/*
 * Many servers close TCP without a word when the client has gone: nothing that
 * anybody still waits for is missing.
 */
static bool is_usual(const struct upstream *upstream, int err)
{
	return err == -KTC_E_TRUNCATED && upstream->client_ended;
}

static void failed(struct upstream *upstream, int err)
{
	struct service *service = upstream->post->service;
	struct worker *worker = upstream->post->worker;
	struct ktc_conn_error error = { .size = sizeof(error) };
	bool blame = !upstream->open && !is_our_trouble(err);

	stats_add(&stats_of(upstream)->errors[ktc_error_class(err)], 1);
	if (blame)
		origin_failed(upstream_origin(upstream), service->listener,
			      worker->now_ms, worker_dice(worker));
	if (ktc_conn_error(upstream->conn, &error))
		return;
	log_event(blame ? CONFIG_WARN : CONFIG_INFO,
		  upstream->open ? "upstream_failed" : "origin_failed",
		  LOG_S("listener", service->listener->name),
		  LOG_S("origin", upstream_origin(upstream)->place->text),
		  LOG_S("class", ktc_class_name(error.class_)),
		  LOG_S("error", ktc_error_name(err)),
		  LOG_S("state", error.state), LOG_S("why", error.text),
		  LOG_I("alert", error.alert));
}

static void count_plane(struct upstream *upstream)
{
	struct ktc_conn_info info = { .size = sizeof(info) };
	struct stats_listener *stats = stats_of(upstream);

	if (ktc_conn_info(upstream->conn, &info))
		return;
	stats_add(&stats->plane[info.plane[KTC_RX]], 1);
	if (info.plane[KTC_RX] != KTC_PLANE_KERNEL)
		stats_add(&stats->not_kernel[info.why_not_kernel[KTC_RX]], 1);
}

/* Its last event has been seen: it goes. */
static void gone(struct upstream *upstream, struct ktc_event *ev)
{
	struct post *post = upstream->post;
	struct worker *worker = post->worker;

	if (upstream->open)
		count_plane(upstream);
	stats_sub(&post->stats->upstream, 1);
	timers_del(&worker->timers, &upstream->timer);
	free(upstream->kept);
	free(upstream->hello);
	ktc_event_release(worker->loop, ev);
	pool_put(&worker->upstream_pool, upstream);
	worker->nr_upstreams--;
	post_put(post);
}

/* The end: whoever waits for it is told. */
static void closed(struct upstream *upstream, struct ktc_event *ev)
{
	struct link *link = upstream->link;

	if (ev->err && !upstream->ours && !is_usual(upstream, ev->err))
		failed(upstream, ev->err);
	if (upstream->state == UPSTREAM_WARM)
		warm_ended(upstream);
	else if (upstream->state == UPSTREAM_OPENING && !link)
		warm_failed(upstream);
	upstream->link = NULL;
	origin_drop(upstream_origin(upstream));
	if (link)
		link_lost(link, upstream);
	gone(upstream, ev);
}

static void detached(struct upstream *upstream, struct ktc_event *ev)
{
	struct link *link = upstream->link;

	upstream->link = NULL;
	origin_drop(upstream_origin(upstream));
	if (link)
		move_detached(link, upstream, ev);
	else
		(void)close(ev->fd); /* its client has been cut off */
	gone(upstream, ev);
}

void upstream_event(struct worker *worker, struct ktc_event *ev)
{
	struct upstream *upstream = ev->user;

	switch (ev->type) {
	case KTC_EV_OPEN:
		opened(upstream);
		break;
	case KTC_EV_DATA:
		keep(upstream, ev);
		break;
	case KTC_EV_SENT:
		if (!--upstream->sends) {
			free(upstream->hello);
			upstream->hello = NULL;
		}
		break;
	case KTC_EV_TICKET:
		stats_add(&stats_of(upstream)->tickets, 1);
		break;
	case KTC_EV_EOF:
		ended(upstream);
		break;
	case KTC_EV_RELAYED:
		relayed(upstream, ev);
		break;
	case KTC_EV_STAYED:
		if (upstream->link)
			move_stayed(upstream->link, ev->err);
		break;
	case KTC_EV_DETACHED:
		detached(upstream, ev);
		return;
	case KTC_EV_CLOSED:
		closed(upstream, ev);
		return;
	default:
		break;
	}
	ktc_event_release(worker->loop, ev);
}
