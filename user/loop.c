// SPDX-License-Identifier: MIT
/*
 * The loop: takes completions off the ring and gives each to its connection,
 * runs what is due, and hands events out. All of it in one thread; only
 * loop_wake() and the resolver's threads touch it from elsewhere, through an
 * eventfd that the ring reads.
 *
 * A connection that found the ring full is put on the again list and pumped
 * once more in the next round; one that found no receive buffer waits on the
 * starved list until a buffer comes back.
 */
#include "loop.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "atomic.h"
#include "conn.h"
#include "limit.h"
#include "mem.h"
#include "relay.h"
#include "resolve.h"
#include "state.h"
#include "sys.h"
#include "util.h"

/* ---------------------------------------------------------------- slots -- */

static int loop_grow(struct ktc_loop *loop)
{
	uint32_t room = loop->nr_slots ? loop->nr_slots * 2 : 64;
	struct ktc_conn **conns;
	uint32_t *free_slots;
	uint32_t i;

	room = MIN(room, loop->conns_max);
	if (room == loop->nr_slots)
		return -EAGAIN;
	conns = mem_zalloc(room * sizeof(struct ktc_conn *));
	free_slots = mem_zalloc(room * sizeof(*free_slots));
	if (!conns || !free_slots) {
		mem_free(conns);
		mem_free(free_slots);
		return -ENOMEM;
	}
	if (loop->nr_slots)
		memcpy(conns, loop->conns,
		       loop->nr_slots * sizeof(struct ktc_conn *));
	/* all that there were are taken: the free ones are the new ones */
	for (i = room; i > loop->nr_slots; i--)
		free_slots[loop->nr_free++] = i - 1;
	mem_free(loop->conns);
	mem_free(loop->free_slots);
	loop->conns = conns;
	loop->free_slots = free_slots;
	loop->nr_slots = room;
	return 0;
}

int loop_add(struct ktc_loop *loop, struct ktc_conn *conn, uint32_t *slot)
{
	int err = 0;

	if (!loop->nr_free)
		err = loop_grow(loop);
	if (!err)
		/* its own, and the module's */
		err = timer_heap_reserve(&loop->timers, loop->nr_conns + 2);
	if (err)
		return err;
	*slot = loop->free_slots[--loop->nr_free];
	loop->conns[*slot] = conn;
	loop->nr_conns++;
	return 0;
}

void loop_remove(struct ktc_loop *loop, uint32_t slot)
{
	timer_set(&loop->timers, &loop->conns[slot]->timer, TIMER_NEVER);
	loop->conns[slot] = NULL;
	loop->free_slots[loop->nr_free++] = slot;
	loop->nr_conns--;
}

/* ----------------------------------------------------------- waiting lists */

void loop_again(struct ktc_loop *loop, struct ktc_conn *conn)
{
	if (conn->on_again)
		return;
	conn->on_again = true;
	conn->next_again = loop->again;
	loop->again = conn;
}

void loop_starve(struct ktc_loop *loop, struct ktc_conn *conn)
{
	if (conn->on_starved)
		return;
	conn->on_starved = true;
	conn->next_starved = loop->starved;
	loop->starved = conn;
}

void loop_forget(struct ktc_loop *loop, struct ktc_conn *conn)
{
	struct ktc_conn **p;

	for (p = &loop->again; conn->on_again && *p; p = &(*p)->next_again) {
		if (*p == conn) {
			*p = conn->next_again;
			conn->on_again = false;
			break;
		}
	}
	for (p = &loop->starved; conn->on_starved && *p;
	     p = &(*p)->next_starved) {
		if (*p == conn) {
			*p = conn->next_starved;
			conn->on_starved = false;
			break;
		}
	}
}

void loop_buf_give(struct ktc_loop *loop, uint32_t bid)
{
	ring_buf_give(&loop->ring, bid);
}

/*
 * As many as there are buffers, each round: one of them may turn out to need
 * none, so a wake-up is never passed on, it is made anew.
 */
static void loop_feed_starved(struct ktc_loop *loop)
{
	uint32_t buffers = loop->ring.nr_bufs - loop->ring.bufs_out;
	struct ktc_conn *conn;

	while (buffers-- && (conn = loop->starved)) {
		loop->starved = conn->next_starved;
		conn->on_starved = false;
		loop_again(loop, conn);
	}
}

static bool loop_can_feed(const struct ktc_loop *loop)
{
	return loop->starved && loop->ring.bufs_out < loop->ring.nr_bufs;
}

static void loop_run_again(struct ktc_loop *loop)
{
	struct ktc_conn *conn, *next;

	loop_feed_starved(loop);
	conn = loop->again;
	/* those that still find no room form a new list */
	loop->again = NULL;
	for (; conn; conn = next) {
		next = conn->next_again;
		conn->on_again = false;
		conn_pump(conn);
	}
}

/* ----------------------------------------------------------------- timer -- */

static void loop_run_timers(struct ktc_loop *loop)
{
	struct timer *timer;

	while ((timer = timer_due(&loop->timers, loop->now_us))) {
		if (timer == &loop->module.timer) {
			module_idle(&loop->module, &loop->timers,
				    loop->now_us);
			continue;
		}
		conn_timer(container_of(timer, struct ktc_conn, timer));
	}
}

static void loop_arm_timer(struct ktc_loop *loop)
{
	uint64_t at = timer_first(&loop->timers);
	uint64_t user_data = ring_user_data(&loop->ring, RING_TIMER, 0, 0);
	struct io_uring_sqe *sqe;

	if (at >= loop->timer_armed_us || !ring_room(&loop->ring, 1))
		return;
	loop->timer_ts.tv_sec = at / 1000000;
	loop->timer_ts.tv_nsec = at % 1000000 * 1000;
	sqe = ring_sqe(&loop->ring);
	if (loop->timer_inflight) {
		/* ENOENT: it has fired, and its completion arms a new one */
		io_uring_prep_timeout_update(sqe, &loop->timer_ts, user_data,
					     IORING_TIMEOUT_ABS);
		ring_tag(&loop->ring, sqe, RING_CANCEL, 1, 0);
	} else {
		io_uring_prep_timeout(sqe, &loop->timer_ts, 0,
				      IORING_TIMEOUT_ABS);
		sqe->user_data = user_data;
		loop->timer_inflight = true;
	}
	loop->timer_armed_us = at;
}

/* ------------------------------------------------------------------ wake -- */

int loop_wake(struct ktc_loop *loop)
{
	const uint64_t one = 1;
	int saved = errno;
	int err = 0;

	/*
	 * Release: what the caller did before comes before the flag. Pairs
	 * with the exchange in loop_wake_done().
	 */
	store_release(&loop->wake_asked, true);
	/* EAGAIN: the counter is full of unread wakes, which is as good */
	if (write(loop->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		err = -errno;
	errno = saved; /* a signal handler may be the caller */
	return err;
}

static void loop_arm_wake(struct ktc_loop *loop)
{
	struct io_uring_sqe *sqe;

	if (loop->wake_armed || !ring_room(&loop->ring, 1))
		return;
	sqe = ring_sqe(&loop->ring);
	io_uring_prep_read(sqe, loop->wake_fd, &loop->wake_count,
			   sizeof(loop->wake_count), 0);
	ring_tag(&loop->ring, sqe, RING_WAKE, 0, 0);
	loop->wake_armed = true;
}

static void loop_wake_done(struct ktc_loop *loop)
{
	struct resolve_list addrs;
	struct ktc_conn *conn;
	uint64_t token;
	int err;

	loop->wake_armed = false;
	/* Acquire: pairs with the release in loop_wake(). */
	if (swap_acquire(&loop->wake_asked, false))
		loop->woken = true;
	while (loop->resolver &&
	       resolver_next(loop->resolver, &token, &err, &addrs)) {
		conn = loop->conns[(uint32_t)token];
		if (conn && conn->setup && conn->setup->token == token)
			conn_resolved(conn, err, &addrs);
	}
}

int loop_resolver(struct ktc_loop *loop, struct resolver **out)
{
	int err = 0;

	if (!loop->resolver)
		err = resolver_new(loop->wake_fd, &loop->resolver);
	if (!err)
		*out = loop->resolver;
	return err;
}

/* ----------------------------------------------------------- completions -- */

static void loop_completion(struct ktc_loop *loop, const struct ring_tag *tag,
			    int res, uint32_t flags)
{
	struct ktc_conn *conn;

	if (!(flags & IORING_CQE_F_MORE))
		loop->ring.inflight--;
	res = sys->completion(tag->op, res);
	switch (tag->op) {
	case RING_TIMER:
		loop->timer_armed_us = TIMER_NEVER;
		loop->timer_inflight = false;
		loop->now_us = sys->now_us();
		loop_run_timers(loop);
		return;
	case RING_WAKE:
		loop_wake_done(loop);
		return;
	case RING_CANCEL:
		if (tag->aux)
			return; /* the loop's own */
		break;
	default:
		break;
	}
	/* a connection is there until its last completion has come */
	conn = tag->slot < loop->nr_slots ? loop->conns[tag->slot] : NULL;
	if (conn)
		conn_completion(conn, tag, res, flags);
}

int loop_handle_cqe(struct ktc_loop *loop, uint64_t user_data, int32_t res,
		    uint32_t flags)
{
	struct ring_tag tag;

	if (!ring_untag(&loop->ring, user_data, &tag))
		return 0;
	if (tag.op == RING_VOID)
		return 1;
	loop->now_us = sys->now_us();
	loop_completion(loop, &tag, res, flags);
	loop_run_again(loop);
	loop_arm_wake(loop);
	loop_arm_timer(loop);
	return 1;
}

static unsigned int loop_reap(struct ktc_loop *loop)
{
	struct io_uring_cqe *cqe;
	struct ring_tag tag;
	unsigned int n = 0;

	while (!io_uring_peek_cqe(loop->ring.u, &cqe)) {
		uint64_t user_data = cqe->user_data;
		int32_t res = cqe->res;
		uint32_t flags = cqe->flags;

		io_uring_cqe_seen(loop->ring.u, cqe);
		if (ring_untag(&loop->ring, user_data, &tag) &&
		    tag.op != RING_VOID)
			loop_completion(loop, &tag, res, flags);
		n++;
	}
	return n;
}

/*
 * With IORING_SETUP_DEFER_TASKRUN work waits for this thread, and kernels
 * differ in whom they tell: newer ones (6.18) a registered eventfd but not the
 * ring's own descriptor, 6.12 the ring's but the eventfd only once. So a host
 * gets an epoll descriptor over both. It begins readable, for what came before
 * anyone asked.
 */
int loop_fd(struct ktc_loop *loop)
{
	struct epoll_event in = { .events = EPOLLIN };
	int err, host_fd, fd;

	if (loop->ring.guest)
		return loop->ring.u->ring_fd;
	if (loop->host_fd >= 0)
		return loop->host_fd;
	host_fd = epoll_create1(EPOLL_CLOEXEC);
	if (host_fd < 0)
		return -errno;
	fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0) {
		err = -errno;
		goto out_host;
	}
	if (epoll_ctl(host_fd, EPOLL_CTL_ADD, fd, &in) ||
	    epoll_ctl(host_fd, EPOLL_CTL_ADD, loop->ring.u->ring_fd, &in)) {
		err = -errno;
		goto out_event;
	}
	err = io_uring_register_eventfd(loop->ring.u, fd);
	if (err)
		goto out_event;
	loop->poll_fd = fd;
	loop->host_fd = host_fd;
	return host_fd;

out_event:
	(void)sys->close(fd);
out_host:
	(void)sys->close(host_fd);
	return err;
}

/* ---------------------------------------------------------------- events -- */

static void event_note(struct ktc_loop *loop, struct ktc_conn *conn,
		       struct ktc_event *ev)
{
	if (conn->notes & NOTE_TICKET) {
		ev->type = KTC_EV_TICKET;
		conn->notes &= ~NOTE_TICKET;
	} else {
		ev->type = KTC_EV_REKEYED;
		ev->dir = conn->notes & NOTE_REKEYED_RX ? KTC_RX : KTC_TX;
		conn->notes &= ev->dir == KTC_RX ? ~NOTE_REKEYED_RX :
						   ~NOTE_REKEYED_TX;
	}
	if (!conn->notes)
		return;
	/* the rest of them is next */
	conn->ev_notes.next = loop->events.head;
	loop->events.head = &conn->ev_notes;
	if (!conn->ev_notes.next)
		loop->events.tail = &conn->ev_notes.next;
}

static void event_fill(struct ktc_loop *loop, struct event_node *node,
		       struct ktc_event *ev)
{
	struct ktc_conn *conn;
	struct loop_data *data;
	struct relay *relay;
	struct send_op *op;

	memset(ev, 0, sizeof(*ev));
	ev->type = node->type;
	ev->fd = -1;
	switch (node->type) {
	case KTC_EV_DATA:
		data = container_of(node, struct loop_data, ev);
		conn = data->conn;
		ev->data = data->data;
		ev->len = data->len;
		ev->priv = data - loop->data;
		break;
	case KTC_EV_SENT:
		op = container_of(node, struct send_op, ev);
		conn = op->conn;
		ev->len = op->sent;
		ev->tag = op->tag;
		ev->err = op->err;
		mem_pool_put(&loop->send_pool, op);
		break;
	case KTC_EV_RELAYED:
		relay = container_of(node, struct relay, ev);
		conn = relay->conn;
		relay_fill(loop, relay, ev);
		break;
	case KTC_EV_STAYED:
		relay = container_of(node, struct relay, ev_stay);
		conn = relay->conn;
		relay_fill_stay(relay, ev);
		break;
	case KTC_EV_OPEN:
		conn = container_of(node, struct ktc_conn, ev_open);
		break;
	case KTC_EV_EOF:
		conn = container_of(node, struct ktc_conn, ev_eof);
		break;
	case KTC_EV_TICKET:
		conn = container_of(node, struct ktc_conn, ev_notes);
		event_note(loop, conn, ev);
		break;
	default:
		conn = container_of(node, struct ktc_conn, ev_last);
		ev->err = conn->err;
		if (node->type == KTC_EV_DETACHED) {
			ev->fd = conn->fd;
			ev->data = (const uint8_t *)conn->state_out;
			ev->len = sizeof(*conn->state_out);
		}
		break;
	}
	ev->conn = conn;
	ev->user = conn->user;
}

static int loop_take(struct ktc_loop *loop, struct ktc_event *ev,
		     unsigned int max)
{
	struct event_node *node;
	unsigned int n = 0;

	while (n < max && (node = event_pop(&loop->events)))
		event_fill(loop, node, &ev[n++]);
	return n;
}

static int loop_round(struct ktc_loop *loop, int timeout_ms)
{
	int err;

	loop_run_again(loop);
	loop_arm_wake(loop);
	loop_arm_timer(loop);
	/* nobody waits while there is something to do */
	if (loop->events.head || loop->again || loop_can_feed(loop))
		timeout_ms = 0;
	err = ring_submit(&loop->ring, timeout_ms);
	if (err)
		return err;
	loop->now_us = sys->now_us();
	if (!loop->ring.guest)
		loop_reap(loop);
	return 0;
}

static bool loop_has_work(const struct ktc_loop *loop)
{
	return !loop->ring.guest &&
	       (loop->again || loop_can_feed(loop) ||
		io_uring_sq_ready(loop->ring.u));
}

/*
 * Work is left, and the time is over. A host may wait elsewhere now: what was
 * armed must be out, and what is left is to be told of.
 */
static int loop_leave(struct ktc_loop *loop)
{
	static const uint64_t one = 1;
	int err = ring_submit(&loop->ring, 0);

	if (err)
		return err;
	if (loop->poll_fd >= 0 &&
	    (loop_has_work(loop) || io_uring_cq_ready(loop->ring.u)))
		/* EAGAIN: it is readable enough */
		(void)!write(loop->poll_fd, &one, sizeof(one));
	return 0;
}

int loop_events(struct ktc_loop *loop, struct ktc_event *ev, unsigned int max,
		int timeout_ms)
{
	uint64_t count, until;
	unsigned int rounds;
	bool over;
	int err;

	err = ring_enable(&loop->ring);
	if (err)
		return err;
	if (loop->poll_fd >= 0)
		/* what it told of is done now; EAGAIN: it told of nothing */
		(void)!read(loop->poll_fd, &count, sizeof(count));
	loop->now_us = sys->now_us();
	until = timeout_ms < 0 ? TIMER_NEVER :
				 loop->now_us + timeout_ms * 1000ull;
	if (loop->ring.guest)
		timeout_ms = 0;
	for (rounds = 1;; rounds++) {
		err = loop_round(loop, timeout_ms);
		if (err)
			return err;
		if (loop->events.head)
			return loop_take(loop, ev, max);
		over = loop->woken || loop->ring.guest ||
		       (loop->now_us >= until && rounds >= LIMIT_LOOP_ROUNDS);
		if (loop_has_work(loop) && !over) {
			timeout_ms = 0;
			continue;
		}
		if (over || loop->now_us >= until) {
			loop->woken = false;
			return loop_has_work(loop) ? loop_leave(loop) : 0;
		}
		timeout_ms = until == TIMER_NEVER ? -1 :
				     (int)((until - loop->now_us + 999) / 1000);
	}
}

void loop_event_release(struct ktc_loop *loop, struct ktc_event *ev)
{
	switch (ev->type) {
	case KTC_EV_DATA:
		loop_buf_give(loop, ev->priv);
		ev->data = NULL;
		break;
	case KTC_EV_CLOSED:
	case KTC_EV_DETACHED:
		conn_free(ev->conn);
		ev->conn = NULL;
		ev->data = NULL;
		break;
	default:
		break;
	}
	ev->type = 0; /* a second release does nothing */
}

/* -------------------------------------------------------- begin and end -- */

int loop_new(const struct ktc_loop_opts *opts, struct ktc_loop **out)
{
	struct ktc_loop *loop = mem_zalloc(sizeof(*loop));
	int err;

	if (!loop)
		return -ENOMEM;
	event_queue_init(&loop->events);
	mem_pool_init(&loop->conn_pool, sizeof(struct ktc_conn));
	mem_pool_init(&loop->setup_pool, sizeof(struct setup));
	ossl_pool_init(&loop->ossl_pool);
	mem_pool_init(&loop->send_pool, sizeof(struct send_op));
	mem_pool_init(&loop->control_pool, sizeof(struct control));
	mem_pool_init(&loop->relay_pool, sizeof(struct relay));
	mem_pool_init(&loop->event_pool, relay_event_size());
	mem_pool_init(&loop->state_pool, sizeof(struct state));
	module_init(&loop->module);
	loop->conns_max = opts->conns_max ? opts->conns_max :
					    DEFAULT_LOOP_CONNS;
	loop->timer_armed_us = TIMER_NEVER;
	loop->now_us = sys->now_us();
	loop->poll_fd = -1;
	loop->host_fd = -1;
	loop->wake_fd = sys->eventfd();
	if (loop->wake_fd < 0) {
		err = loop->wake_fd;
		goto out_free;
	}
	err = ring_init(&loop->ring, opts);
	if (err)
		goto out_close;
	loop->data = mem_zalloc(loop->ring.nr_bufs * sizeof(*loop->data));
	if (!loop->data) {
		err = -ENOMEM;
		goto out_ring;
	}
	*out = loop;
	return 0;

out_ring:
	ring_fini(&loop->ring);
out_close:
	(void)sys->close(loop->wake_fd);
out_free:
	mem_free(loop);
	return err;
}

static void loop_cancel_own(struct ktc_loop *loop)
{
	static const enum ring_op ops[] = { RING_TIMER, RING_WAKE };
	struct io_uring_sqe *sqe;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		if (!ring_room(&loop->ring, 1))
			return;
		sqe = ring_sqe(&loop->ring);
		io_uring_prep_cancel64(sqe, ring_user_data(&loop->ring, ops[i],
							   0, 0),
				       IORING_ASYNC_CANCEL_ALL);
		ring_tag(&loop->ring, sqe, RING_CANCEL, 1, 0);
	}
}

/*
 * A guest must leave the caller's completions where they are: ours are taken
 * in place and marked void. False: the caller's completions fill the ring, so
 * that ours cannot come any more.
 */
static bool loop_reap_guest(struct ktc_loop *loop)
{
	struct io_uring *u = loop->ring.u;
	struct io_uring_cqe *cqe;
	struct ring_tag tag;
	unsigned int head;
	bool found = false;

	io_uring_for_each_cqe(u, head, cqe) {
		if (!ring_untag(&loop->ring, cqe->user_data, &tag) ||
		    tag.op == RING_VOID)
			continue;
		cqe->user_data = ring_user_data(&loop->ring, RING_VOID, 0, 0);
		loop_completion(loop, &tag, cqe->res, cqe->flags);
		found = true;
	}
	if (found || !loop->ring.inflight)
		return true;
	if (io_uring_cq_ready(u) >= u->cq.ring_entries)
		return false;
	return io_uring_submit_and_wait(u, io_uring_cq_ready(u) + 1) >= 0;
}

/*
 * What lies between head and tail is user space's to arrange: ours are taken
 * out, the caller's close up towards the tail in their order.
 */
static void loop_close_up(struct ktc_loop *loop)
{
	struct io_uring *u = loop->ring.u;
	unsigned int head = *u->cq.khead;
	unsigned int mask = u->cq.ring_mask;
	unsigned int from, to;
	struct ring_tag tag;

	from = to = head + io_uring_cq_ready(u);
	while (from-- != head) {
		const struct io_uring_cqe *cqe = &u->cq.cqes[from & mask];

		if (!ring_untag(&loop->ring, cqe->user_data, &tag))
			u->cq.cqes[--to & mask] = *cqe;
	}
	io_uring_cq_advance(u, to - head);
}

static bool loop_drain(struct ktc_loop *loop)
{
	while (loop->ring.inflight) {
		loop_run_again(loop);
		if (loop->ring.guest) {
			if (io_uring_submit(loop->ring.u) < 0 ||
			    !loop_reap_guest(loop))
				return false;
		} else {
			if (ring_submit(&loop->ring, 100))
				return false;
			loop_reap(loop);
		}
	}
	if (loop->ring.guest)
		loop_close_up(loop);
	return true;
}

void loop_free(struct ktc_loop *loop)
{
	struct event_node *node;
	struct ktc_event ev;
	uint32_t i;

	if (!loop || ring_enable(&loop->ring))
		return;
	for (i = 0; i < loop->nr_slots; i++) {
		if (!loop->conns[i])
			continue;
		conn_fail(loop->conns[i], -KTC_E_CANCELED, 0);
		conn_pump(loop->conns[i]);
	}
	loop_cancel_own(loop);
	if (!loop_drain(loop)) {
		/* the kernel may still write there: better to leak */
		for (i = 0; i < loop->nr_slots; i++)
			if (loop->conns[i] && loop->conns[i]->setup)
				conn_leave_budget(loop->conns[i]);
		return;
	}
	resolver_free(loop->resolver);
	while ((node = event_pop(&loop->events))) {
		event_fill(loop, node, &ev);
		if (ev.type == KTC_EV_DETACHED)
			(void)sys->close(ev.fd); /* nobody took it */
	}
	for (i = 0; i < loop->nr_slots; i++)
		if (loop->conns[i])
			conn_free(loop->conns[i]);
	mem_pool_fini(&loop->conn_pool);
	mem_pool_fini(&loop->setup_pool);
	ossl_pool_fini(&loop->ossl_pool);
	mem_pool_fini(&loop->send_pool);
	mem_pool_fini(&loop->control_pool);
	mem_pool_fini(&loop->relay_pool);
	mem_pool_fini(&loop->event_pool);
	mem_pool_fini(&loop->state_pool);
	module_fini(&loop->module, &loop->timers);
	timer_heap_fini(&loop->timers);
	ring_fini(&loop->ring);
	if (loop->host_fd >= 0) {
		(void)sys->close(loop->host_fd);
		(void)sys->close(loop->poll_fd);
	}
	(void)sys->close(loop->wake_fd);
	mem_free(loop->conns);
	mem_free(loop->free_slots);
	mem_free(loop->data);
	mem_free(loop);
}
