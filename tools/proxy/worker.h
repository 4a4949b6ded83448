/* SPDX-License-Identifier: MIT */
/*
 * A worker: one thread, one io_uring, in which the library's loop is a guest.
 * Everything of a connection happens in one worker; the struct is open to the
 * files that do it (acceptor, link, upstream, warm), worker.c drives it.
 */
#ifndef PROXY_WORKER_H
#define PROXY_WORKER_H

#include <ktlsclient.h>
#include <liburing.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mail.h"
#include "pool.h"
#include "service.h"
#include "timers.h"
#include "warm.h"

struct acceptor;
struct link;
struct upstream;

/*
 * What a completion is about: in the low bits of user_data. Above is a pointer,
 * to an object that is aligned so that it has none of these.
 */
enum worker_op {
	OP_NONE,		/* nobody waits for it */
	OP_MAIL,		/* struct worker */
	OP_ACCEPT,		/* struct acceptor */
	OP_ACCEPT_CANCEL,	/* struct acceptor */
	OP_LINK,		/* struct link: its one receive or send */
	OP_MASK = 15,
};

/**
 * struct post - a service in one worker
 * @worker: that one
 * @next: another service's
 * @service: a reference
 * @stats: this worker's counters of it
 * @warm: connections in waiting, by origin
 * @users: links, upstream connections and acceptors that have it
 * @retired: a reload has left it; it goes with its last user
 */
struct post {
	struct worker *worker;
	struct post *next;
	struct service *service;
	struct stats_listener *stats;
	struct warm *warm;
	unsigned int users;
	bool retired;
};

/**
 * struct worker - one thread
 * @index: from 0
 * @nr_workers: how many there are
 * @thread: it
 * @running: the main thread's, changed with the proxy's lock: it can be told
 *	something
 * @counted: see count.h
 * @all_clients: of all workers and listeners
 * @box: messages for it
 * @main: where it answers
 * @ring: its ring
 * @loop: the library's, a guest in it
 * @timers: deadlines of its own
 * @now_ms: time of this round
 * @dice: random numbers, for nothing that matters
 * @turn: which origin is looked at first
 * @links: clients, in no order
 * @nr_links: how many
 * @nr_upstreams: upstream connections until CLOSED
 * @ready: links whose connection is open, to go on when all events are seen
 * @acceptors: sockets it listens at
 * @posts: services
 * @link_pool: struct link
 * @upstream_pool: struct upstream
 * @buffers: receive buffers of the loop
 * @mail_count: where the ring reads the mailbox's eventfd to
 * @err: why it ends early
 * @skip_success: the ring need not tell of what went well
 * @draining: no new clients; ends with the last one
 * @stopping: what is left was cut off
 * @leaving: for a successor: what can go is given away
 * @idle_told: MAIL_IDLE was sent
 * @drain_told: MAIL_DRAINING was sent, or is not to be
 * @move_timer: when to ask those that stayed again
 */
struct worker {
	alignas(64) unsigned int index;
	unsigned int nr_workers;
	pthread_t thread;
	bool running;
	atomic_uint counted;
	atomic_uint *all_clients;
	struct mailbox box;
	struct mailbox *main;
	struct io_uring ring;
	struct ktc_loop *loop;
	struct timers timers;
	uint64_t now_ms;
	uint32_t dice;
	unsigned int turn;
	struct link *links;
	unsigned int nr_links;
	unsigned int nr_upstreams;
	struct link *ready;
	struct acceptor *acceptors;
	struct post *posts;
	struct pool link_pool;
	struct pool upstream_pool;
	uint32_t buffers;
	uint64_t mail_count;
	int err;
	bool skip_success;
	bool draining;
	bool stopping;
	bool leaving;
	bool idle_told;
	bool drain_told;
	struct timer move_timer;
};

/**
 * worker_start() - begin a worker's thread
 * @worker: @index, @nr_workers, @all_clients, @main, @buffers are set
 *
 * MAIL_READY follows, and when it has ended MAIL_ENDED.
 *
 * Return: 0 or -errno.
 */
int worker_start(struct worker *worker);

/* After MAIL_ENDED, or MAIL_READY with an error. */
void worker_join(struct worker *worker);

/* ------------------------------------- for those who run in the worker -- */

/* A submission entry for @object; never NULL. */
struct io_uring_sqe *worker_sqe(struct worker *worker, enum worker_op op,
				void *object);

/* Closes a descriptor by the ring. */
void worker_close(struct worker *worker, int fd);

uint32_t worker_dice(struct worker *worker);

struct post *post_get(struct post *post);
void post_put(struct post *post);

#endif /* PROXY_WORKER_H */
