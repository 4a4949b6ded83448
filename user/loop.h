/* SPDX-License-Identifier: MIT */
/*
 * One thread's ring, connections, deadlines and events. The struct is open to
 * the files that run connections; loop.c alone drives it.
 */
#ifndef KTC_LOOP_H
#define KTC_LOOP_H

#include "event.h"
#include "mem.h"
#include "module.h"
#include "ossl.h"
#include "ring.h"
#include "timer.h"

struct ktc_conn;
struct resolver;

/* One per receive buffer. */
struct loop_data {
	struct event_node ev;		/* KTC_EV_DATA */
	struct ktc_conn *conn;
	const uint8_t *data;
	uint32_t len;
};

struct ktc_loop {
	struct ring ring;
	struct event_queue events;
	struct loop_data *data;		/* by buffer id */
	struct ktc_conn **conns;	/* by slot */
	uint32_t *free_slots;		/* a stack of nr_free */
	uint32_t nr_free;
	uint32_t nr_slots;		/* room at conns */
	uint32_t conns_max;
	uint32_t nr_conns;
	uint32_t serial;		/* tells look-ups of a slot apart */
	struct mem_pool conn_pool;	/* with secrets in them */
	struct mem_pool setup_pool;
	struct ossl_pool ossl_pool;
	struct mem_pool send_pool;
	struct mem_pool control_pool;
	struct mem_pool relay_pool;
	struct mem_pool event_pool;	/* what the module tells */
	struct mem_pool state_pool;	/* of what is detached: secrets */
	struct module module;
	uint32_t nr_relays;
	uint32_t relay_bufs;		/* receive buffers that relays hold */
	struct timer_heap timers;
	uint64_t timer_armed_us;	/* what the ring will wake us at */
	bool timer_inflight;
	struct __kernel_timespec timer_ts; /* of the last RING_TIMER */
	uint64_t now_us;		/* of this round */
	struct ktc_conn *again;		/* found no room in the ring */
	struct ktc_conn *starved;	/* found no receive buffer */
	struct resolver *resolver;	/* made with the first name */
	int wake_fd;
	int poll_fd;			/* eventfd of the ring; or -1 */
	int host_fd;			/* epoll over it and the ring; or -1 */
	uint64_t wake_count;		/* where the ring reads wake_fd to */
	bool wake_armed;
	bool wake_asked;		/* atomic: by ktc_loop_wake() */
	bool woken;
};

int loop_new(const struct ktc_loop_opts *opts, struct ktc_loop **out);
void loop_free(struct ktc_loop *loop);
int loop_events(struct ktc_loop *loop, struct ktc_event *ev, unsigned int max,
		int timeout_ms);
int loop_handle_cqe(struct ktc_loop *loop, uint64_t user_data, int32_t res,
		    uint32_t flags);
void loop_event_release(struct ktc_loop *loop, struct ktc_event *ev);
int loop_fd(struct ktc_loop *loop);
int loop_wake(struct ktc_loop *loop);	/* any thread */

/* A slot for a new connection; -EAGAIN when full, -ENOMEM. */
int loop_add(struct ktc_loop *loop, struct ktc_conn *conn, uint32_t *slot);
void loop_remove(struct ktc_loop *loop, uint32_t slot);

/* Gives a receive buffer back to the kernel. */
void loop_buf_give(struct ktc_loop *loop, uint32_t bid);

/* Run conn_pump() once more when the ring has room, or a buffer is back. */
void loop_again(struct ktc_loop *loop, struct ktc_conn *conn);
void loop_starve(struct ktc_loop *loop, struct ktc_conn *conn);
void loop_forget(struct ktc_loop *loop, struct ktc_conn *conn);

/* The resolver, made when first asked for. */
int loop_resolver(struct ktc_loop *loop, struct resolver **out);

#endif /* KTC_LOOP_H */
