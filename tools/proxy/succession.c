// SPDX-License-Identifier: MIT
/*
 * While it leaves, a proxy keeps all it needs to come back: its sockets, which
 * are the successor's too, and its workers. When the successor dies it serves
 * again, with whatever had not gone; when nothing is left, or its time is
 * over, it ends as it does after a drain.
 */
#include "succession.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "client_fd.h"
#include "control.h"
#include "listen.h"
#include "log.h"
#include "notify.h"
#include "parcel.h"
#include "proxy.h"
#include "service.h"
#include "takeover.h"
#include "timers.h"
#include "worker.h"

void proxy_keep_paths(struct proxy *proxy, bool keep)
{
	struct generation *generation = proxy->generation;
	struct place *place;
	unsigned int i;

	if (proxy->control)
		control_leave(proxy->control, keep);
	for (i = 0; i < generation->nr; i++) {
		place = generation->services[i]->place;
		/* relaxed: looked at when all that use the place have ended */
		atomic_store_explicit(&place->keep_path, keep,
				      memory_order_relaxed);
	}
}

/* ----------------------------------------------------------- the old one -- */

void proxy_succeed(struct proxy *proxy, int fd)
{
	uint64_t drain_ms = proxy->generation->config->drain_ms;

	if (proxy->state != PROXY_RUNNING || proxy->from) {
		log_event(CONFIG_WARN, "takeover_failed",
			  LOG_S("why", "not now: a start, a reload or a drain "
				       "is not over"));
		(void)close(fd); /* it sees that it is not wanted */
		return;
	}
	if (takeover_old_begin(proxy, fd, &proxy->to)) {
		/* it may have begun to accept */
		proxy_tell_all(proxy, MAIL_LOOK, NULL);
		return;
	}
	proxy_keep_paths(proxy, true);
	admin_stop(proxy->admin);
	proxy->admin = NULL;
	proxy->state = PROXY_LEAVING;
	proxy->left = true;
	proxy->idle = 0;
	proxy->deadline_ms = clock_ms() + drain_ms;
	log_event(CONFIG_INFO, "succeeded", LOG_U("drain_ms", drain_ms));
	proxy_tell_all(proxy, MAIL_LEAVE, NULL);
}

/* To a worker: the one that had it, or any. False: there is none. */
static bool adopt(struct proxy *proxy, struct parcel *parcel)
{
	const struct mail mail = { .type = MAIL_ADOPT, .object = parcel };
	struct worker *worker;
	unsigned int i;

	for (i = 0; i < proxy->nr_workers; i++) {
		worker = &proxy->workers[proxy->next_worker++ %
					 proxy->nr_workers];
		if (worker->running && !mail_send(&worker->box, &mail))
			return true;
	}
	return false;
}

static void take_back(struct proxy *proxy, struct parcel *parcel)
{
	struct parcel *next;

	for (; parcel; parcel = next) {
		next = parcel->next;
		parcel->returned = true;
		/* its worker was idle, or will say so again */
		if (!adopt(proxy, parcel))
			proxy_adopted(proxy, parcel, -ESRCH);
	}
}

void proxy_parcel(struct proxy *proxy, struct worker *worker,
		  struct parcel *parcel)
{
	(void)worker; /* any other will do as well */
	if (proxy->to) {
		takeover_old_give(proxy->to, parcel);
		return;
	}
	parcel->next = NULL;
	take_back(proxy, parcel);
}

void proxy_part(struct proxy *proxy)
{
	struct parcel *back = NULL;
	unsigned int lost = takeover_old_end(proxy->to, &back);

	proxy->to = NULL;
	take_back(proxy, back);
	if (!lost)
		return;
	proxy->cut_off = true;
	log_event(CONFIG_ERROR, "connections_lost", LOG_U("connections", lost),
		  LOG_S("why", "the successor had them, and did not say what "
			       "became of them"));
}

/* The successor has died: everything is here to go on. */
static void come_back(struct proxy *proxy)
{
	proxy_part(proxy);
	log_event(CONFIG_ERROR, "successor_died",
		  LOG_S("why", "this process serves again"));
	proxy_keep_paths(proxy, false);
	if (proxy_start_admin(proxy))
		log_event(CONFIG_ERROR, "metrics_failed", LOG_S("why", ""));
	notify_main_pid(getpid());
	proxy->left = false;
	proxy->state = PROXY_RELOADING;
	proxy->answers = proxy->running;
	proxy_tell_all(proxy, MAIL_SERVE, proxy->generation);
}

static void successor_says(struct proxy *proxy)
{
	struct parcel *back = NULL;
	int err = takeover_old_read(proxy->to, &back);

	take_back(proxy, back);
	if (err)
		come_back(proxy);
	else
		proxy_look(proxy);
}

bool proxy_has_left(const struct proxy *proxy)
{
	return proxy->to && takeover_old_is_idle(proxy->to) &&
	       proxy->idle >= proxy->running;
}

/* ----------------------------------------------------------- the new one -- */

static void predecessor_says(struct proxy *proxy)
{
	struct parcel *parcel;

	if (takeover_new_read(proxy->from, &parcel)) {
		log_event(CONFIG_INFO, "succession_over",
			  LOG_S("why", "the predecessor has no more to give"));
		takeover_new_end(proxy->from);
		proxy->from = NULL;
		/* should it have died before it stopped to accept */
		proxy_tell_all(proxy, MAIL_LOOK, NULL);
		return;
	}
	if (parcel && !adopt(proxy, parcel))
		proxy_adopted(proxy, parcel, -ESRCH);
}

void proxy_adopted(struct proxy *proxy, struct parcel *parcel, int err)
{
	if (err)
		log_event(CONFIG_WARN, "not_adopted",
			  LOG_S("listener", parcel->listener),
			  LOG_S("origin", parcel->origin),
			  LOG_S("error", ktc_error_name(err)),
			  LOG_S("why", ktc_strerror(err)));
	if (!parcel->returned && proxy->from) {
		takeover_new_answer(proxy->from, parcel, !err);
	} else if (err) {
		/* nobody else has it */
		proxy->cut_off = true;
		client_fd_reset(parcel->client_fd);
	}
	parcel_free(parcel);
}

int proxy_peer_fd(const struct proxy *proxy)
{
	if (proxy->to)
		return takeover_old_fd(proxy->to);
	return takeover_new_fd(proxy->from);
}

void proxy_peer(struct proxy *proxy)
{
	if (proxy->to)
		successor_says(proxy);
	else if (proxy->from)
		predecessor_says(proxy);
}
