// SPDX-License-Identifier: MIT
/*
 * The life of the proxy: start, reload, drain, end. Workers are told by mail
 * and answer by mail; nothing here waits for one of them but the start and the
 * end. The main thread.
 */
#include "proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control.h"
#include "listen.h"
#include "log.h"
#include "notify.h"
#include "privilege.h"
#include "service.h"
#include "succession.h"
#include "takeover.h"
#include "timers.h"
#include "view.h"
#include "worker.h"

/* how long clients that are cut off may take to go */
#define STOP_MS 5000
/* how long workers may take to accept no more; less than the asker waits */
#define YIELD_MS 8000

/* ----------------------------------------------------------------- start -- */

static unsigned int threads_of(const struct config *config)
{
	cpu_set_t cpus;
	unsigned int n = config->threads;

	/* those we may run on, which can be fewer than there are */
	if (!n && !sched_getaffinity(0, sizeof(cpus), &cpus))
		n = (unsigned int)CPU_COUNT(&cpus);
	if (!n)
		n = 1;
	return n < CONFIG_THREADS_MAX ? n : CONFIG_THREADS_MAX;
}

void proxy_tell_all(struct proxy *proxy, enum mail_type type, void *object)
{
	const struct mail mail = { .type = type, .object = object };
	unsigned int i;

	for (i = 0; i < proxy->nr_workers; i++)
		while (proxy->workers[i].running &&
		       mail_send(&proxy->workers[i].box, &mail))
			; /* no memory: there is no way without it */
}

static int workers_start(struct proxy *proxy, const struct config *config)
{
	struct worker *worker;
	unsigned int i;
	int err = 0;

	for (i = 0; i < proxy->nr_workers && !err; i++) {
		worker = &proxy->workers[i];
		worker->index = i;
		worker->nr_workers = proxy->nr_workers;
		worker->all_clients = &proxy->all_clients;
		worker->main = &proxy->box;
		worker->buffers = config->buffers;
		err = worker_start(worker);
		if (!err)
			proxy->running++;
	}
	/* those that run are waited for in any case */
	proxy->answers = proxy->running;
	while (proxy->answers)
		proxy_mail(proxy);
	if (!err && proxy->running < proxy->nr_workers)
		err = -ECANCELED; /* logged by proxy_mail() */
	else if (err)
		log_event(CONFIG_ERROR, "worker_failed",
			  LOG_S("error", ktc_error_name(err)),
			  LOG_S("why", ktc_strerror(err)));
	return err;
}

/* A predecessor's socket for the same place, or one of our own. */
static int open_metrics(struct proxy *proxy, const struct config *config,
			struct listen_gift *gift)
{
	if (!config->metrics.text)
		return 0;
	if (!gift->nr || strcmp(gift->text, config->metrics.text))
		return listen_one(&config->metrics, "metrics",
				  &proxy->metrics_fd);
	proxy->metrics_fd = gift->fds[0];
	gift->fds[0] = gift->fds[--gift->nr];
	return 0;
}

static int open_control(struct proxy *proxy, const struct config *config,
			struct listen_gift *gift)
{
	int err;

	if (!config->control)
		return 0;
	if (gift->nr && !strcmp(gift->text, config->control)) {
		err = control_adopt(config->control, gift->fds[0],
				    &proxy->control);
		gift->fds[0] = gift->fds[--gift->nr];
		return err;
	}
	err = control_open(config->control, &proxy->control);
	return err ? err : privilege_give(config, config->control);
}

static int proxy_open(struct proxy *proxy, const struct config *config)
{
	struct takeover_gifts gifts = { 0 };
	int err = 0;

	if (config->takeover)
		err = takeover_new_begin(config->takeover, &gifts,
					 &proxy->from);
	else if (config->control)
		control_ask_room(config->control);
	if (!err)
		err = listen_open(proxy->generation, NULL, proxy->nr_workers,
				  gifts.places, gifts.nr_places);
	if (!err)
		err = open_metrics(proxy, config, &gifts.metrics);
	if (!err)
		err = open_control(proxy, config, &gifts.control);
	if (!err && proxy->from)
		proxy_keep_paths(proxy, true); /* they are not ours yet */
	takeover_gifts_fini(&gifts);
	return err ? err : privilege_drop(config);
}

/* What would be used twice if it was used here before a predecessor's end. */
static int proxy_load(struct proxy *proxy)
{
	if (proxy->from)
		return takeover_new_ready(proxy->from, proxy->generation);
	generation_load_tickets(proxy->generation);
	return 0;
}

static int proxy_init(struct proxy *proxy, struct config *config)
{
	size_t size;
	int err;

	proxy->started_s = (uint64_t)time(NULL);
	proxy->nr_workers = threads_of(config);
	(void)pthread_mutex_init(&proxy->lock, NULL); /* never fails on Linux */
	count_init(&proxy->count);
	proxy->metrics_fd = -1;
	proxy->box.fd = -1;
	privilege_descriptors();
	err = generation_new(config, proxy->nr_workers, NULL,
			     &proxy->generation);
	if (!err)
		err = mailbox_init(&proxy->box);
	if (err)
		return err;
	/* each on cache lines of its own */
	size = proxy->nr_workers * sizeof(*proxy->workers);
	proxy->workers = aligned_alloc(alignof(struct worker), size);
	if (!proxy->workers)
		return -ENOMEM;
	memset(proxy->workers, 0, size);
	return 0;
}

int proxy_start(struct proxy *proxy, struct config *config)
{
	int err = proxy_init(proxy, config);

	if (!err)
		err = proxy_open(proxy, config);
	if (!err)
		err = workers_start(proxy, config);
	if (!err)
		err = proxy_load(proxy);
	if (err)
		return err;
	proxy->answers = proxy->nr_workers;
	proxy_tell_all(proxy, MAIL_SERVE, proxy->generation);
	return 0;
}

/* The metrics' socket stays ours too, for a successor. */
int proxy_start_admin(struct proxy *proxy)
{
	int fd;

	if (proxy->metrics_fd < 0)
		return 0;
	fd = fcntl(proxy->metrics_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	view_ops(proxy, &proxy->metrics_ops);
	return admin_start(fd, &proxy->metrics_ops, &proxy->admin);
}

/* ---------------------------------------------------------------- reload -- */

/* What only a start can change. */
static void warn_of_unchanged(const struct config *old,
			      const struct config *new)
{
	if (old->threads == new->threads && old->buffers == new->buffers &&
	    !old->control == !new->control &&
	    (!old->control || !strcmp(old->control, new->control)) &&
	    !old->metrics.text == !new->metrics.text &&
	    (!old->metrics.text ||
	     !strcmp(old->metrics.text, new->metrics.text)))
		return;
	log_event(CONFIG_WARN, "reload_partial",
		  LOG_S("why", "threads, buffers, control and metrics stay as "
			       "they are until a restart"));
}

static int reload(struct proxy *proxy)
{
	struct generation *next;
	char why[CONFIG_WHY_LEN];
	struct config *config;
	int err;

	err = config_read(proxy->argc, proxy->argv, &config, why, sizeof(why));
	if (err) {
		log_event(CONFIG_ERROR, "reload_refused",
			  LOG_S("why", err == -EINVAL ? why :
							ktc_strerror(err)));
		return err;
	}
	warn_of_unchanged(proxy->generation->config, config);
	err = generation_new(config, proxy->nr_workers, proxy->generation,
			     &next);
	if (err)
		return err;
	err = listen_open(next, proxy->generation, proxy->nr_workers, NULL, 0);
	if (err) {
		generation_retire(next);
		return err;
	}
	generation_move_sessions(proxy->generation, next);
	pthread_mutex_lock(&proxy->lock);
	proxy->old = proxy->generation;
	proxy->generation = next;
	pthread_mutex_unlock(&proxy->lock);
	log_init((enum config_level)config->log_level);
	proxy->state = PROXY_RELOADING;
	proxy->answers = proxy->running;
	proxy_tell_all(proxy, MAIL_SERVE, next);
	return 0;
}

void proxy_reload(struct proxy *proxy)
{
	if (proxy->state != PROXY_RUNNING) {
		/* a start or a reload is not over; a drain has no use for it */
		proxy->reload_again = proxy->state < PROXY_DRAINING;
		return;
	}
	notify_reloading();
	if (!reload(proxy))
		return;
	log_event(CONFIG_WARN, "reload_failed",
		  LOG_S("why", "what was served before goes on"));
	notify_ready();
}

/* The first time, or again. */
static void begun(struct proxy *proxy)
{
	int err = 0;

	if (!proxy->admin)
		err = proxy_start_admin(proxy);
	if (err)
		log_event(CONFIG_ERROR, "metrics_failed",
			  LOG_S("error", ktc_error_name(err)),
			  LOG_S("why", ktc_strerror(err)));
	if (proxy->from && takeover_new_serving(proxy->from)) {
		/* it goes on, and so do we, at the same places */
		takeover_new_end(proxy->from);
		proxy->from = NULL;
		proxy_tell_all(proxy, MAIL_LOOK, NULL);
	}
	proxy_keep_paths(proxy, false);
	notify_main_pid(getpid());
}

/* All workers serve the new generation. */
static void reloaded(struct proxy *proxy)
{
	bool started = proxy->state == PROXY_STARTING;

	if (started)
		begun(proxy);
	proxy->state = PROXY_RUNNING;
	pthread_mutex_lock(&proxy->lock);
	generation_retire(proxy->old);
	proxy->old = NULL;
	pthread_mutex_unlock(&proxy->lock);
	log_event(CONFIG_INFO, started ? "started" : "reloaded",
		  LOG_U("listeners", proxy->generation->nr),
		  LOG_U("threads", proxy->nr_workers),
		  LOG_S("version", ktc_version()));
	notify_ready();
	if (proxy->reload_again) {
		proxy->reload_again = false;
		proxy_reload(proxy);
	}
}

/* ------------------------------------------------------------------- end -- */

static uint64_t clients_now(const struct proxy *proxy)
{
	/* acquire: see proxy_look(); pairs with room_give() */
	return atomic_load_explicit(&proxy->all_clients, memory_order_acquire);
}

static void drain(struct proxy *proxy)
{
	uint64_t drain_ms = proxy->generation->config->drain_ms;
	bool left = proxy->state == PROXY_LEAVING;

	proxy->state = PROXY_DRAINING;
	/* relaxed: a flag alone */
	atomic_store_explicit(&proxy->draining, true, memory_order_relaxed);
	proxy->deadline_ms = clock_ms() + drain_ms;
	log_event(CONFIG_INFO, "draining",
		  LOG_U("clients", clients_now(proxy)),
		  LOG_U("drain_ms", drain_ms));
	if (!left) { /* after that it is another's service */
		notify_stopping();
		notify_status("draining");
	}
	/* answers that were due still come, before these */
	proxy->answers += proxy->running;
	proxy_tell_all(proxy, MAIL_DRAIN, NULL);
}

static void stop(struct proxy *proxy)
{
	log_event(CONFIG_WARN, "cutting_off",
		  LOG_U("clients", clients_now(proxy)));
	proxy->state = PROXY_STOPPING;
	proxy->deadline_ms = clock_ms() + STOP_MS;
	proxy_tell_all(proxy, MAIL_STOP, NULL);
}

void proxy_stop(struct proxy *proxy)
{
	if (proxy->state == PROXY_LEAVING)
		proxy_part(proxy);
	if (proxy->state < PROXY_DRAINING)
		drain(proxy);
	else if (proxy->state == PROXY_DRAINING)
		stop(proxy);
}

/* Once; a successor has them all. */
static void save_tickets(struct proxy *proxy)
{
	if (!proxy->left && !proxy->saved)
		generation_save_tickets(proxy->generation);
	proxy->saved = true;
}

bool proxy_yield(struct proxy *proxy)
{
	struct pollfd box = { proxy->box.fd, POLLIN, 0 };
	uint64_t now_ms = clock_ms(), until_ms = now_ms + YIELD_MS;

	if (proxy->state < PROXY_DRAINING)
		return false;
	for (; proxy->answers && now_ms < until_ms; now_ms = clock_ms())
		if (poll(&box, 1, (int)(until_ms - now_ms)) == 1)
			proxy_mail(proxy);
	if (proxy->answers)
		return false; /* a worker is stuck: its sockets are open */
	/* for who comes; what is made from now on, we have no use for */
	save_tickets(proxy);
	log_event(CONFIG_INFO, "yielded",
		  LOG_S("why", "another process starts in our place"));
	admin_stop(proxy->admin);
	proxy->admin = NULL;
	if (proxy->metrics_fd >= 0)
		(void)close(proxy->metrics_fd); /* it only listened */
	proxy->metrics_fd = -1;
	control_close(proxy->control);
	proxy->control = NULL;
	return true;
}

void proxy_deadline(struct proxy *proxy)
{
	if (proxy->state == PROXY_LEAVING)
		proxy_part(proxy);
	if (proxy->state == PROXY_LEAVING || proxy->state == PROXY_DRAINING) {
		stop(proxy);
	} else if (proxy->state == PROXY_STOPPING) {
		log_event(CONFIG_ERROR, "worker_stuck",
			  LOG_U("workers", proxy->running));
		/* nothing that they use may be freed */
		_exit(EXIT_FAILURE);
	}
}

int proxy_wait_ms(const struct proxy *proxy)
{
	uint64_t now_ms = clock_ms();

	if (proxy->state < PROXY_LEAVING)
		return -1;
	if (now_ms >= proxy->deadline_ms)
		return 0;
	return (int)(proxy->deadline_ms - now_ms);
}

/* A worker's thread is over, by itself or because it could not begin. */
static void worker_over(struct proxy *proxy, struct worker *worker, int err)
{
	pthread_mutex_lock(&proxy->lock);
	worker_join(worker);
	pthread_mutex_unlock(&proxy->lock);
	proxy->running--;
	if (err)
		proxy->cut_off = true;
	if (proxy->state >= PROXY_DRAINING) {
		if (!proxy->running)
			proxy->state = PROXY_OVER;
		return;
	}
	/* its clients are gone; who supervises us starts us anew */
	if (proxy->state != PROXY_STARTING)
		proxy_stop(proxy);
}

static void take_mail(struct proxy *proxy)
{
	struct mail *mail;

	while ((mail = mail_next(&proxy->box))) {
		switch (mail->type) {
		case MAIL_READY:
			proxy->answers--;
			if (mail->err) {
				log_event(CONFIG_ERROR, "worker_failed",
					  LOG_S("error",
						ktc_error_name(mail->err)),
					  LOG_S("why",
						ktc_strerror(mail->err)));
				worker_over(proxy, mail->worker, mail->err);
			}
			break;
		case MAIL_SERVED:
			proxy->answers--;
			if (!proxy->answers && proxy->state < PROXY_DRAINING)
				reloaded(proxy);
			break;
		case MAIL_PARCEL:
			proxy_parcel(proxy, mail->worker, mail->object);
			break;
		case MAIL_ADOPTED:
			proxy_adopted(proxy, mail->object, mail->err);
			break;
		case MAIL_IDLE:
			proxy->idle++;
			break;
		case MAIL_DRAINING:
			if (!--proxy->answers) {
				generation_leave_places(proxy->generation);
				/* drained in the middle of a reload */
				if (proxy->old)
					generation_leave_places(proxy->old);
			}
			break;
		case MAIL_ENDED:
			worker_over(proxy, mail->worker, mail->err);
			break;
		default:
			break;
		}
		free(mail);
	}
}

/*
 * A worker sends what it gives away before it counts its client down. So when
 * there are no clients, what is in the box now is all there will be.
 */
void proxy_look(struct proxy *proxy)
{
	bool none = !clients_now(proxy);

	take_mail(proxy);
	if (none && proxy->state == PROXY_LEAVING && proxy_has_left(proxy))
		proxy_stop(proxy);
}

void proxy_mail(struct proxy *proxy)
{
	uint64_t count;

	if (read(proxy->box.fd, &count, sizeof(count)) == sizeof(count))
		proxy_look(proxy);
}

int proxy_end(struct proxy *proxy)
{
	bool good = proxy->state == PROXY_OVER && !proxy->cut_off;

	if (proxy->state != PROXY_OVER && proxy->running) {
		/* the start has failed half-way */
		stop(proxy);
		while (proxy->running)
			proxy_mail(proxy);
	}
	admin_stop(proxy->admin);
	control_close(proxy->control);
	takeover_new_end(proxy->from);
	if (proxy->metrics_fd >= 0)
		(void)close(proxy->metrics_fd); /* it only listened */
	if (proxy->state == PROXY_OVER)
		save_tickets(proxy);
	generation_retire(proxy->old);
	generation_retire(proxy->generation);
	if (proxy->box.fd >= 0)
		mailbox_fini(&proxy->box);
	free(proxy->workers);
	count_fini(&proxy->count);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
