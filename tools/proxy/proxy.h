/* SPDX-License-Identifier: MIT */
/*
 * The whole of a ktc-proxy: workers, what they serve, how it begins, changes
 * and ends. The main thread's, but for what views look at.
 */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "admin.h"
#include "config.h"
#include "count.h"
#include "mail.h"

struct control;
struct generation;
struct takeover_new;
struct takeover_old;
struct worker;

enum proxy_state {
	PROXY_STARTING,
	PROXY_RUNNING,
	PROXY_RELOADING,	/* workers change over to a new generation */
	PROXY_LEAVING,		/* a successor serves and gets what can go */
	PROXY_DRAINING,		/* no new clients */
	PROXY_STOPPING,		/* no clients at all */
	PROXY_OVER,		/* all workers have ended */
};

/**
 * struct proxy - all there is
 * @argc: for config_read(), again at a reload
 * @argv: the same
 * @lock: of @generation and what is in it, against views; of which workers
 *	run; of @count
 * @generation: what is served
 * @old: what was, until all workers have left it
 * @workers: @nr_workers of them
 * @nr_workers: how many
 * @running: of them, have begun and not ended
 * @answers: due from workers
 * @all_clients: of all listeners
 * @count: for views
 * @box: what workers tell
 * @admin: metrics; NULL: none
 * @metrics_fd: their listening socket, beside admin's; -1: none
 * @metrics_ops: what it asks by
 * @control: the control socket; NULL: none
 * @from: the process that we succeed; NULL: none
 * @to: the process that succeeds us; NULL: none
 * @idle: workers with nothing left, while leaving
 * @next_worker: that gets the next connection of a predecessor
 * @state: where the proxy is
 * @draining: for other threads
 * @deadline_ms: LEAVING, DRAINING, STOPPING: when it has had its time
 * @started_s: unix time
 * @reload_again: a SIGHUP came during a reload
 * @left: a successor has had what there was to have
 * @saved: the sessions are in their files
 * @cut_off: a client was not let finish, or a worker failed
 */
struct proxy {
	int argc;
	char **argv;
	pthread_mutex_t lock;
	struct generation *generation;
	struct generation *old;
	struct worker *workers;
	unsigned int nr_workers;
	unsigned int running;
	unsigned int answers;
	atomic_uint all_clients;
	struct count count;
	struct mailbox box;
	struct admin *admin;
	int metrics_fd;
	struct admin_ops metrics_ops;
	struct control *control;
	struct takeover_new *from;
	struct takeover_old *to;
	unsigned int idle;
	unsigned int next_worker;
	enum proxy_state state;
	atomic_bool draining;
	uint64_t deadline_ms;
	uint64_t started_s;
	bool reload_again;
	bool left;
	bool saved;
	bool cut_off;
};

/**
 * proxy_start() - open everything, drop privileges, begin to serve
 * @proxy: zeroed but for @argc and @argv
 * @config: taken, on failure too
 *
 * Return: 0, or an error that has been logged; then proxy_end() is still due.
 */
int proxy_start(struct proxy *proxy, struct config *config);

/* Reads the configuration again; what is wrong is logged, nothing changed. */
void proxy_reload(struct proxy *proxy);

/* The first time in order; the second time at once. */
void proxy_stop(struct proxy *proxy);

/*
 * While it drains: whoever starts in our place needs the control socket and the
 * metrics' place, and all places of listeners, which are closed when this
 * returns. False: it serves, or a worker is stuck, and keeps them.
 */
bool proxy_yield(struct proxy *proxy);

/* The same for all workers that run. */
void proxy_tell_all(struct proxy *proxy, enum mail_type type, void *object);

/* Serves metrics, if there are to be any: 0 or -errno. */
int proxy_start_admin(struct proxy *proxy);

/* What workers have told, by the box's descriptor or not; a deadline. */
void proxy_mail(struct proxy *proxy);
void proxy_look(struct proxy *proxy);
void proxy_deadline(struct proxy *proxy);

/* How long the main thread may wait, for poll(). */
int proxy_wait_ms(const struct proxy *proxy);

/* All that is left. Return: exit status. */
int proxy_end(struct proxy *proxy);

#endif /* PROXY_PROXY_H */
