// SPDX-License-Identifier: MIT
/*
 * The loop's own relay. Down: what a plane opened is sent to the plain socket
 * from the receive buffer it lies in, several of them in one sendmsg, and the
 * buffer goes back to the ring. Up: the plain socket is received from into the
 * same kind of buffers, and the connection's send queue sends from them. So
 * bytes are copied by the kernel alone, on both planes alike.
 *
 * Not by splice(): io_uring hands every splice to a worker thread, and a
 * worker that waits for one slow socket is a thread that waits.
 *
 * What is held is bounded by pausing the receives. A receive that is under way
 * can bring more before it stops, and the loop's buffers are everybody's: what
 * comes over a relay's share is copied, and its buffer given back, so that a
 * slow reader holds up nobody else, and not its own other direction.
 *
 * The end has four steps: something decides it (relay->end), what is held is
 * passed on or given up, the kernel lets go of the plain socket, RELAYED is
 * queued.
 *
 * A connection that is to be detached leaves its relay: the relay stops as for
 * a close, and when nothing is held and nothing is under way, both sockets are
 * as if nobody had ever read ahead, for the next owner to go on with. Up to
 * that moment it can be called off, and is when it takes too long: the relay
 * then goes on as if nothing had been asked. The loop's thread.
 */
#include "relay.h"

#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "conn.h"
#include "mem.h"
#include "sys.h"
#include "util.h"

/* A piece that lies in memory of its own, not in a receive buffer. */
struct copy {
	struct loop_data piece;
	uint8_t bytes[];
};

/*
 * What multishot recvmsg is to deliver of the plain socket. The name is not
 * wanted: it fills the buffer up to where what is left is a record's content
 * exactly, or every second record would be a tiny one.
 */
static struct msghdr plain_shape = {
	.msg_namelen = LIMIT_RECV_BUFFER - LIMIT_RECORD_PLAIN -
		       sizeof(struct io_uring_recvmsg_out),
};

/* --------------------------------------------------------------- pieces -- */

static bool piece_is_buffer(const struct ktc_loop *loop,
			    const struct loop_data *piece)
{
	return piece >= loop->data && piece < loop->data + loop->ring.nr_bufs;
}

static void piece_free(struct ktc_loop *loop, struct loop_data *piece)
{
	if (piece_is_buffer(loop, piece)) {
		loop->relay_bufs--;
		loop_buf_give(loop, piece - loop->data);
		return;
	}
	mem_free(container_of(piece, struct copy, piece));
}

/* Bytes in a receive buffer are ours from here on; waiting: pieces we have. */
static struct loop_data *piece_new(struct ktc_conn *conn, uint32_t bid,
				   const uint8_t *data, size_t len,
				   unsigned int waiting)
{
	struct ktc_loop *loop = conn->loop;
	struct loop_data *piece = &loop->data[bid];
	struct copy *copy = NULL;

	if (waiting >= LIMIT_RELAY_PIECES ||
	    loop->relay_bufs >= loop->ring.nr_bufs / 2)
		copy = mem_zalloc(sizeof(*copy) + len);
	if (copy) {
		memcpy(copy->bytes, data, len);
		data = copy->bytes;
		piece = &copy->piece;
		loop_buf_give(loop, bid);
	} else {
		/* its share, or no memory: then it stays where it is */
		loop->relay_bufs++;
	}
	piece->conn = conn;
	piece->data = data;
	piece->len = len;
	return piece;
}

/* ------------------------------------------------------------------ end -- */

static bool relay_cancelled(const struct relay *relay, enum ring_op op)
{
	if (op == RING_RELAY_RECV)
		return relay->recv_cancel;
	return op == RING_RELAY_SEND ? relay->send_cancel : relay->read_cancel;
}

void relay_cancel(struct ktc_conn *conn, enum ring_op op)
{
	struct ring *ring = &conn->loop->ring;
	struct relay *relay = conn->relay;
	struct io_uring_sqe *sqe;

	if (relay_cancelled(relay, op))
		return;
	if (!ring_room(ring, 1)) {
		loop_again(conn->loop, conn);
		return;
	}
	sqe = conn_sqe(conn);
	io_uring_prep_cancel64(sqe, ring_user_data(ring, op, 0, conn->slot), 0);
	ring_tag(ring, sqe, RING_CANCEL, 0, conn->slot);
	if (op == RING_RELAY_RECV)
		relay->recv_cancel = true;
	else if (op == RING_RELAY_SEND)
		relay->send_cancel = true;
	else
		relay->read_cancel = true;
}

/* ktc_conn_detach() was called, and the keys are where they have to be. */
static bool relay_is_leaving(const struct ktc_conn *conn)
{
	return conn->detach && conn->kernel[KTC_TX];
}

bool relay_is_stopping(const struct ktc_conn *conn)
{
	return conn->relay->stopping || relay_is_leaving(conn);
}

static void relay_decide(struct relay *relay, enum ktc_relay_end end, int err)
{
	if (relay->end != KTC_END_NONE)
		return; /* the first one counts */
	relay->end = end;
	relay->err = err;
}

/* What waits for the plain socket will not get there. */
static void relay_drop_down(struct ktc_conn *conn)
{
	struct relay *relay = conn->relay;
	struct event_node *node;

	if (relay->send_busy)
		return; /* the kernel still reads it */
	while ((node = event_pop(&relay->down)))
		piece_free(conn->loop,
			   container_of(node, struct loop_data, ev));
	relay->nr_down = 0;
}

/*
 * The plain socket is of no use any more. What came from it before is still
 * sent, for a while; then the caller has the connection back.
 */
void relay_plain_failed(struct ktc_conn *conn, int err)
{
	struct relay *relay = conn->relay;

	relay_drop_down(conn);
	relay->down_shut = true;
	relay->up_eof = true;
	if (conn->state >= CONN_ENDING || relay->end != KTC_END_NONE)
		return;
	relay_decide(relay, KTC_END_PLAIN, err);
}

void relay_give_up(struct ktc_conn *conn)
{
	struct relay *relay = conn->relay;

	relay->gave_up = true;
	if (relay->send_busy)
		relay_cancel(conn, RING_RELAY_SEND);
	relay_drop_down(conn);
}

/* The connection ends; the close deadline holds for what is left to do. */
void relay_conn_ended(struct ktc_conn *conn)
{
	int err = conn->err;

	if (err == -KTC_E_CANCELED || (!err && conn->relay->stopping))
		relay_decide(conn->relay, KTC_END_STOPPED, err);
	else if (err == -KTC_E_TRUNCATED)
		relay_decide(conn->relay, KTC_END_TRUNCATED, err);
	else
		relay_decide(conn->relay, err ? KTC_END_TLS : KTC_END_DONE,
			     err);
	conn_set_deadline(conn, conn->client->config.close_timeout_ms);
	if (err == -KTC_E_CANCELED || err == -KTC_E_CLOSE_TIMEOUT)
		relay_give_up(conn);
}

/* The kernel has let go of the plain socket: it is the caller's. */
void relay_over(struct ktc_conn *conn)
{
	struct relay *relay = conn->relay;

	relay_drop_down(conn);
	if (relay->moved_by != KTC_LANE_MODULE)
		/* no reason yet: a side was over before the module was there */
		conn->why_not_module = relay->why ? relay->why :
						    KTC_WHY_HALF_CLOSED;
	/* O_NONBLOCK, if it was set; it fails for a bad descriptor alone */
	(void)fcntl(relay->fd, F_SETFL, relay->fd_flags);
	conn->relay = NULL;
	conn->loop->nr_relays--;
	event_push(&conn->loop->events, &relay->ev, KTC_EV_RELAYED);
}

void relay_fill(struct ktc_loop *loop, struct relay *relay,
		struct ktc_event *ev)
{
	ev->err = relay->err;
	ev->fd = relay->fd;
	ev->end = relay->end;
	ev->moved_by = relay->moved_by;
	ev->relayed[KTC_RX] = relay->moved[KTC_RX];
	ev->relayed[KTC_TX] = relay->moved[KTC_TX];
	mem_pool_put(&loop->relay_pool, relay);
}

/* ----------------------------------------------------------------- down -- */

void relay_data(struct ktc_conn *conn, uint32_t bid, const uint8_t *data,
		size_t len)
{
	struct relay *relay = conn->relay;
	struct loop_data *piece;

	if (relay->down_shut || relay->gave_up) {
		loop_buf_give(conn->loop, bid); /* nobody to give it to */
		return;
	}
	piece = piece_new(conn, bid, data, len, relay->nr_down);
	event_push(&relay->down, &piece->ev, KTC_EV_DATA);
	relay->nr_down++;
}

/* Sends what is held, if nothing is on its way. False: no room. */
static bool relay_send(struct ktc_conn *conn)
{
	struct ring *ring = &conn->loop->ring;
	struct relay *relay = conn->relay;
	struct event_node *node = relay->down.head;
	struct io_uring_sqe *sqe;
	struct loop_data *piece;
	unsigned int n = 0;

	if (relay->send_busy || !node || relay->gave_up)
		return true;
	if (!ring_room(ring, 1))
		return false;
	for (; node && n < LIMIT_RELAY_GATHER; node = node->next, n++) {
		piece = container_of(node, struct loop_data, ev);
		relay->iov[n].iov_base = (void *)(uintptr_t)piece->data;
		relay->iov[n].iov_len = piece->len;
	}
	relay->msg.msg_iov = relay->iov;
	relay->msg.msg_iovlen = n;
	sqe = conn_sqe(conn);
	io_uring_prep_sendmsg(sqe, relay->fd, &relay->msg, MSG_NOSIGNAL);
	ring_tag(ring, sqe, RING_RELAY_SEND, 0, conn->slot);
	relay->send_busy = true;
	return true;
}

static void relay_send_done(struct ktc_conn *conn, int res)
{
	struct relay *relay = conn->relay;
	struct loop_data *piece;
	size_t left = MAX(res, 0);
	size_t n;

	relay->send_busy = false;
	relay->send_cancel = false;
	relay->moved[KTC_RX] += left;
	while (left) {
		piece = container_of(relay->down.head, struct loop_data, ev);
		n = MIN(left, (size_t)piece->len);
		piece->data += n;
		piece->len -= n;
		left -= n;
		if (piece->len)
			break;
		(void)event_pop(&relay->down); /* it is piece */
		piece_free(conn->loop, piece);
		relay->nr_down--;
	}
	if (relay->gave_up || relay->down_shut)
		relay_drop_down(conn);
	else if (res < 0)
		relay_plain_failed(conn, res);
}

/* The server has ended, and all it sent has passed: so does this side. */
static void relay_end_down(struct ktc_conn *conn)
{
	struct relay *relay = conn->relay;
	int err;

	if (!conn->eof || relay->nr_down || relay->send_busy ||
	    relay->down_shut || relay->gave_up)
		return;
	relay->down_shut = true;
	err = sys->shutdown(relay->fd, SHUT_WR);
	if (err)
		relay_plain_failed(conn, err);
}

/* ------------------------------------------------------------------- up -- */

/* Room for more of the plain socket's; some, before it is begun again. */
static bool relay_has_room(const struct ktc_conn *conn)
{
	uint32_t queue_max = conn->client->config.send_queue_max;
	const struct relay *relay = conn->relay;
	unsigned int part = relay->recv_full ? 2 : 1;

	return relay->nr_up < LIMIT_RELAY_PIECES / part &&
	       conn->queued < MAX(queue_max / part, 1);
}

/* Arms the plain socket's receive, or stops it. False: no room. */
static bool relay_recv(struct ktc_conn *conn)
{
	struct ring *ring = &conn->loop->ring;
	struct relay *relay = conn->relay;
	struct io_uring_sqe *sqe;

	if (relay->up_eof || relay_is_stopping(conn) || relay->quiet ||
	    conn->state >= CONN_ENDING) {
		if (relay->recv_armed)
			relay_cancel(conn, RING_RELAY_RECV);
		return true;
	}
	relay->recv_full = !relay_has_room(conn);
	if (relay->recv_full && relay->recv_armed)
		relay_cancel(conn, RING_RELAY_RECV);
	if (relay->recv_full || relay->recv_armed || conn->on_starved)
		return true;
	if (!ring_room(ring, 1))
		return false;
	sqe = conn_sqe(conn);
	io_uring_prep_recvmsg_multishot(sqe, relay->fd, &plain_shape, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = ring->buf_group;
	ring_tag(ring, sqe, RING_RELAY_RECV, 0, conn->slot);
	relay->recv_armed = true;
	return true;
}

static void relay_up(struct ktc_conn *conn, uint32_t bid, size_t res)
{
	uint8_t *buf = ring_buf(&conn->loop->ring, bid);
	struct io_uring_recvmsg_out *out;
	struct relay *relay = conn->relay;
	struct send_op op = { .fd = -1 };

	out = io_uring_recvmsg_validate(buf, res, &plain_shape);
	if (!out) {
		loop_buf_give(conn->loop, bid);
		conn_fail(conn, -KTC_E_INTERNAL, 0);
		return;
	}
	op.buf = io_uring_recvmsg_payload(out, &plain_shape);
	op.len = MIN(out->payloadlen,
		     LIMIT_RECV_BUFFER - (size_t)(op.buf - buf));
	if (!op.len) { /* the stream's end: close_notify when all is out */
		relay->up_eof = true;
		conn->tx_over = !relay->stopping;
		loop_buf_give(conn->loop, bid);
		return;
	}
	op.piece = piece_new(conn, bid, op.buf, op.len, relay->nr_up);
	op.buf = op.piece->data;
	if (send_add(conn, &op)) {
		piece_free(conn->loop, op.piece);
		conn_fail(conn, -ENOMEM, 0);
		return;
	}
	relay->nr_up++;
}

static void relay_recv_done(struct ktc_conn *conn, int res, int bid)
{
	/* the end can be told by more than one completion, of tests' faults */
	if (bid >= 0 && res >= 0 && conn->state < CONN_ENDING &&
	    !conn->relay->up_eof) {
		relay_up(conn, bid, res);
		return;
	}
	if (bid >= 0)
		loop_buf_give(conn->loop, bid);
	if (conn->state >= CONN_ENDING || conn->relay->up_eof)
		return;
	if (res == -ENOBUFS)
		loop_starve(conn->loop, conn);
	else if (res < 0 && res != -ECANCELED)
		relay_plain_failed(conn, res);
}

void relay_up_ended(struct ktc_conn *conn, struct send_op *op)
{
	piece_free(conn->loop, op->piece);
	if (conn->relay)
		conn->relay->nr_up--;
	mem_pool_put(&conn->loop->send_pool, op);
}

/* ----------------------------------------------------------------- both -- */

void relay_completion(struct ktc_conn *conn, enum ring_op op, int res,
		      uint32_t flags)
{
	struct relay *relay = conn->relay;
	int bid = -1;

	conn->active_us = conn->loop->now_us;
	if (op == RING_RELAY_SEND) {
		relay_send_done(conn, res);
		return;
	}
	if (op == RING_RELAY_READ) {
		relay_module_read(conn, res);
		return;
	}
	if (flags & IORING_CQE_F_BUFFER) {
		bid = flags >> IORING_CQE_BUFFER_SHIFT;
		conn->loop->ring.bufs_out++;
	}
	if (!(flags & IORING_CQE_F_MORE)) {
		relay->recv_armed = false;
		relay->recv_cancel = false;
	}
	relay_recv_done(conn, res, bid);
}

/* Nothing of the relay's is on its way to the server any more. */
static bool relay_up_out(const struct ktc_conn *conn)
{
	return !conn->send_head && !conn->send_busy && !conn_unsent(conn);
}

/* ------------------------------------------------------------- leaving -- */

int relay_may_leave(const struct ktc_conn *conn)
{
	const struct relay *relay = conn->relay;

	if (conn->state >= CONN_CLOSING || conn->closing_asked ||
	    conn->detach || conn->eof || relay->end != KTC_END_NONE ||
	    relay->stay_queued)
		return -KTC_E_STATE;
	/* what is known to be impossible need not be tried */
	if (!conn->kernel[KTC_TX] &&
	    (conn->tx_over || move_possible(conn) != KTC_WHY_NOTHING))
		return -KTC_E_UNSUPPORTED;
	return 0;
}

void relay_stay(struct ktc_conn *conn, int err)
{
	struct relay *relay = conn->relay;

	conn->detach = false;
	relay->module_leave = false;
	if (conn->state == CONN_OPEN && relay->end == KTC_END_NONE)
		conn->deadline_us = TIMER_NEVER;
	relay->stay_err = err;
	relay->stay_queued = true;
	event_push(&conn->loop->events, &relay->ev_stay, KTC_EV_STAYED);
	loop_again(conn->loop, conn);
}

void relay_fill_stay(struct relay *relay, struct ktc_event *ev)
{
	relay->stay_queued = false;
	ev->err = relay->stay_err;
}

/*
 * Nothing is held. The state is written while all can still go on; then
 * nothing can fail any more, and DETACHED follows RELAYED.
 */
static bool relay_leaves(struct ktc_conn *conn)
{
	int err;

	if (conn->inflight || conn->key_update || conn->key_update_sent ||
	    (conn->tx_over && !conn->close_notify_sent))
		return false;
	err = conn_state_take(conn);
	if (err) {
		relay_stay(conn, err);
		return false;
	}
	conn->detached = true;
	relay_decide(conn->relay, KTC_END_STOPPED, 0);
	return true;
}

/*
 * What the module holds is the sockets' once it is left, however full they
 * are. It has had the time to stop: no record will come that it would take
 * with it.
 */
static void relay_cannot_leave(struct ktc_conn *conn)
{
	struct relay *relay = conn->relay;

	if (!relay_has_module(relay) || relay->module_leave) {
		relay_stay(conn, -KTC_E_CLOSE_TIMEOUT);
		return;
	}
	relay->module_leave = true;
	conn_set_deadline(conn, conn->client->config.close_timeout_ms);
}

/* -------------------------------------------------------------- ending -- */

static bool relay_is_over(struct ktc_conn *conn)
{
	struct relay *relay = conn->relay;

	if (relay->send_busy || relay->recv_armed ||
	    relay_has_module(relay) || conn->state != CONN_OPEN)
		return false;
	if (relay->end == KTC_END_PLAIN)
		return !relay->nr_up || relay->gave_up;
	if (relay->nr_down || !relay_up_out(conn))
		return false;
	if (relay->down_shut && relay->up_eof && conn->close_notify_sent) {
		relay_decide(relay, KTC_END_DONE, 0);
		return true;
	}
	if (conn->recv_armed)
		return false;
	if (!relay->stopping)
		return relay_is_leaving(conn) && relay_leaves(conn);
	relay_decide(relay, KTC_END_STOPPED, 0);
	return true;
}

/*
 * The module, told to stop, receives from nobody until both sides have taken
 * what it holds, so a server that is stuck in its own sends stays stuck. One
 * that leaves need not wait for that: see relay_cannot_leave().
 */
static uint32_t relay_time_ms(const struct ktc_conn *conn)
{
	uint32_t ms = conn->client->config.close_timeout_ms;

	if (relay_is_leaving(conn) && relay_has_module(conn->relay))
		ms = MIN(ms, LIMIT_MODULE_STOP_MS);
	return ms;
}

/* What is to end, ends within the close deadline; a move has its own. */
static void relay_hurry(struct ktc_conn *conn)
{
	struct relay *relay = conn->relay;

	if (conn->state != CONN_OPEN)
		return;
	if (conn->closing_asked && !relay->stopping) {
		relay->stopping = true;
		/* a close has its own time, whatever was before it */
		if (conn->detach && relay->end == KTC_END_NONE)
			conn->deadline_us = TIMER_NEVER;
		conn->detach = false;
	}
	/* it would have nothing to tell the next owner's plain socket by */
	if (relay_is_leaving(conn) && conn->eof)
		relay_stay(conn, -KTC_E_STATE);
	if ((relay_is_stopping(conn) || relay->end != KTC_END_NONE) &&
	    conn->deadline_us == TIMER_NEVER)
		conn_set_deadline(conn, relay_time_ms(conn));
}

/*
 * What is to end takes no more from the server; but as long as bytes are left
 * for it, one that closes does: a server that answers what it reads stops to
 * read while its answers find no room.
 */
static bool relay_has_had_enough(const struct ktc_conn *conn)
{
	return conn->relay->end != KTC_END_NONE ||
	       (relay_is_stopping(conn) && relay_up_out(conn));
}

void relay_pump(struct ktc_conn *conn)
{
	struct relay *relay = conn->relay;
	unsigned int part = conn->recv_paused ? 2 : 1;
	bool still;

	relay_hurry(conn);
	still = relay_module_pump(conn);
	if (relay_has_module(relay)) {
		conn->recv_paused = true;
		return;
	}
	conn->recv_paused = still || relay_has_had_enough(conn) ||
			    relay->nr_down >= LIMIT_RELAY_PIECES / part;
	if (!relay_send(conn) || !relay_recv(conn))
		loop_again(conn->loop, conn);
	relay_end_down(conn);
	if (conn->state >= CONN_ENDING || !relay_is_over(conn))
		return;
	conn->recv_paused = true;
	if (!relay->stopping)
		conn->deadline_us = TIMER_NEVER;
	/* what has ended by itself is not passed on */
	conn->detach = false;
	relay_over(conn);
	if (conn->detached)
		conn_end(conn);
}

void relay_deadline(struct ktc_conn *conn)
{
	struct relay *relay = conn->relay;

	if (conn->state == CONN_ENDING || relay->end == KTC_END_PLAIN) {
		relay_give_up(conn);
		return;
	}
	if (relay_is_leaving(conn)) {
		relay_cannot_leave(conn);
		return;
	}
	relay_decide(relay, KTC_END_STOPPED, -KTC_E_CLOSE_TIMEOUT);
	conn_fail(conn, -KTC_E_CLOSE_TIMEOUT, 0);
}

bool relay_flush(struct ktc_conn *conn)
{
	bool room;

	relay_module_end(conn);
	if (relay_has_module(conn->relay))
		return conn->inflight;
	room = relay_send(conn) && relay_recv(conn);
	relay_end_down(conn);
	if (!room)
		loop_again(conn->loop, conn);
	return room;
}

/* ---------------------------------------------------------------- start -- */

/* A connected stream socket, and not the connection's own. */
static int relay_check_fd(const struct ktc_conn *conn, int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(int);
	int domain, type, err;

	err = sys->getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
	if (err)
		return err;
	len = sizeof(int);
	err = sys->getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	if (err)
		return err;
	if (fd == conn->fd || type != SOCK_STREAM ||
	    (domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX))
		return -KTC_E_OPTION;
	len = sizeof(peer);
	return getpeername(fd, (struct sockaddr *)&peer, &len) ? -errno : 0;
}

/* DATA that the caller has not been given yet, and EOF, are ours. */
static void relay_take_events(struct ktc_conn *conn)
{
	struct event_queue *events = &conn->loop->events;
	struct relay *relay = conn->relay;
	struct event_queue all = { 0 };
	struct event_node *node;

	event_queue_init(&all);
	event_splice(&all, events);
	while ((node = event_pop(&all))) {
		if (node == &conn->ev_eof)
			continue; /* conn->eof says it */
		if (node->type != KTC_EV_DATA ||
		    container_of(node, struct loop_data, ev)->conn != conn) {
			event_push(events, node, node->type);
			continue;
		}
		event_push(&relay->down, node, KTC_EV_DATA);
		conn->loop->relay_bufs++;
		relay->nr_down++;
	}
}

int relay_start(struct ktc_conn *conn, int fd, uint32_t flags)
{
	struct relay *relay;
	int fd_flags;
	int err;

	err = relay_check_fd(conn, fd);
	if (err)
		return err;
	fd_flags = fcntl(fd, F_GETFL);
	if (fd_flags < 0)
		return -errno;
	relay = mem_pool_get(&conn->loop->relay_pool);
	if (!relay)
		return -ENOMEM;
	/* with it io_uring gives EAGAIN back instead of waiting */
	if (fcntl(fd, F_SETFL, fd_flags & ~O_NONBLOCK)) {
		err = -errno;
		mem_pool_put(&conn->loop->relay_pool, relay);
		return err;
	}
	relay->conn = conn;
	relay->fd = fd;
	relay->fd_flags = fd_flags;
	relay->flags = flags;
	relay->module_fd = -1;
	relay->moved_by = KTC_LANE_LOOP;
	/* adopted, its plain side's end having been passed on before */
	relay->up_eof = conn->tx_over;
	event_queue_init(&relay->down);
	conn->relay = relay;
	conn->relayed = true;
	conn->recv_paused = false;
	conn->loop->nr_relays++;
	relay_take_events(conn);
	return 0;
}
