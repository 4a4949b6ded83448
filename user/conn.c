// SPDX-License-Identifier: MIT
/*
 * The connection's state machine; the only file that knows the whole story.
 * States only go forward, but for the trip OPEN -> HANDING_OVER -> OPEN. Every
 * step is "something completed, note it, conn_pump()": the pump arms whatever
 * the state calls for and is harmless at any time. An error, from wherever,
 * goes through conn_fail(): the first one sticks, everything is cancelled, and
 * when the last completion has come CLOSED is told. So no buffer is given
 * back while the kernel may still write to it.
 */
#include "conn.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>

#include "inventory.h"
#include "limit.h"
#include "mem.h"
#include "probe.h"
#include "relay.h"
#include "sys.h"
#include "ticket.h"
#include "util.h"

/* ---------------------------------------------------------------- states -- */

static const char *const conn_state_names[CONN_NR_STATES] = {
	[CONN_NEW] = "new",
	[CONN_WAITING] = "waiting for the budget",
	[CONN_RESOLVING] = "resolving",
	[CONN_CONNECTING] = "connecting",
	[CONN_HANDSHAKING] = "handshaking",
	[CONN_HANDING_OVER] = "handing over",
	[CONN_OPEN] = "open",
	[CONN_CLOSING] = "closing",
	[CONN_ENDING] = "ending",
	[CONN_CLOSED] = "closed",
};

static const unsigned int conn_next[CONN_NR_STATES] = {
	[CONN_NEW] = BIT(CONN_WAITING) | BIT(CONN_RESOLVING) |
		     BIT(CONN_CONNECTING) | BIT(CONN_HANDSHAKING) |
		     BIT(CONN_OPEN) | BIT(CONN_ENDING), /* OPEN: adopted */
	[CONN_WAITING] = BIT(CONN_RESOLVING) | BIT(CONN_CONNECTING) |
			 BIT(CONN_HANDSHAKING) | BIT(CONN_ENDING),
	[CONN_RESOLVING] = BIT(CONN_CONNECTING) | BIT(CONN_ENDING),
	[CONN_CONNECTING] = BIT(CONN_HANDSHAKING) | BIT(CONN_ENDING),
	[CONN_HANDSHAKING] = BIT(CONN_HANDING_OVER) | BIT(CONN_OPEN) |
			     BIT(CONN_ENDING),
	[CONN_HANDING_OVER] = BIT(CONN_OPEN) | BIT(CONN_ENDING),
	[CONN_OPEN] = BIT(CONN_HANDING_OVER) | BIT(CONN_CLOSING) |
		      BIT(CONN_ENDING),
	[CONN_CLOSING] = BIT(CONN_ENDING),
	[CONN_ENDING] = BIT(CONN_CLOSED),
};

const char *conn_state_name(unsigned int state)
{
	return state < CONN_NR_STATES ? conn_state_names[state] : "?";
}

bool conn_state_allowed(unsigned int from, unsigned int to)
{
	return from < CONN_NR_STATES && to < CONN_NR_STATES &&
	       conn_next[from] & BIT(to);
}

void conn_set_state(struct ktc_conn *conn, enum conn_state state)
{
	if (!conn_state_allowed(conn->state, state))
		__builtin_trap(); /* a bug of ours: going on could lose bytes */
	conn->state = state;
}

/* ------------------------------------------------------------- deadlines -- */

static uint64_t after_ms(const struct ktc_conn *conn, uint64_t ms)
{
	return conn->loop->now_us + ms * 1000;
}

static uint64_t idle_until(const struct ktc_conn *conn)
{
	uint32_t ms = conn->client->config.idle_timeout_ms;

	if (!ms || conn->state != CONN_OPEN)
		return TIMER_NEVER;
	return conn->active_us + ms * 1000ull;
}

static uint64_t tickets_until(const struct ktc_conn *conn)
{
	if (!conn->setup || !conn->setup->tickets_until_us || conn->free_setup)
		return TIMER_NEVER;
	return conn->setup->tickets_until_us;
}

static uint64_t conn_next_us(const struct ktc_conn *conn)
{
	uint64_t at = conn->deadline_us;

	if (conn->state == CONN_CLOSED)
		return TIMER_NEVER;
	if (conn->state == CONN_ENDING)
		return conn->relay ? at : TIMER_NEVER;
	at = MIN(at, idle_until(conn));
	at = MIN(at, tickets_until(conn));
	if (conn->state == CONN_WAITING)
		at = MIN(at, conn->setup->look_at_us);
	if (conn->state == CONN_CONNECTING)
		at = MIN(at, dial_next_us(conn));
	if (conn->state == CONN_CLOSING)
		at = MIN(at, conn->drain_at_us);
	if (conn->relay && conn->relay->quiet)
		at = MIN(at, conn->relay->quiet_until_us);
	return at;
}

/*
 * A timer that is armed early enough stays: it looks again when it fires. So a
 * busy connection's idle deadline costs nothing per byte.
 */
static void conn_set_timer(struct ktc_conn *conn)
{
	uint64_t at = conn_next_us(conn);

	/* what is due already is looked at in the next round, not in this */
	if (at != TIMER_NEVER)
		at = MAX(at, conn->loop->now_us + 1);
	if (at == TIMER_NEVER || !conn->timer.index || at < conn->timer.at_us)
		timer_set(&conn->loop->timers, &conn->timer, at);
}

void conn_set_deadline(struct ktc_conn *conn, uint64_t ms)
{
	conn->deadline_us = ms ? after_ms(conn, ms) : TIMER_NEVER;
}

/* ------------------------------------------------------------- receiving -- */

void conn_data(struct ktc_conn *conn, uint32_t bid, const uint8_t *data,
	       size_t len)
{
	struct loop_data *node = &conn->loop->data[bid];

	if (conn->state == CONN_CLOSING || conn->state == CONN_ENDING) {
		loop_buf_give(conn->loop, bid); /* nobody wants it any more */
		return;
	}
	if (conn->relayed && !conn->relay) {
		loop_buf_give(conn->loop, bid); /* as ktc_relay() says */
		return;
	}
	conn->bytes[KTC_RX] += len;
	if (conn->relay) {
		relay_data(conn, bid, data, len);
		return;
	}
	node->conn = conn;
	node->data = data;
	node->len = len;
	event_push(conn->opened ? &conn->loop->events : &conn->setup->held,
		   &node->ev, KTC_EV_DATA);
}

void conn_close_notify(struct ktc_conn *conn)
{
	if (conn->eof)
		return;
	conn->eof = true;
	if (conn->recv_armed)
		conn_cancel_recv(conn);
	if (conn->relayed)
		return; /* the relay's to tell */
	if (conn->state == CONN_OPEN || conn->state == CONN_HANDING_OVER)
		event_push(conn->opened ? &conn->loop->events :
					  &conn->setup->held,
			   &conn->ev_eof, KTC_EV_EOF);
}

/*
 * A reset's error is told once. If a send has had it, a receive sees a plain
 * end of the stream; only the socket's state shows that no FIN ever came.
 */
static bool conn_was_reset(const struct ktc_conn *conn)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	return !conn->unix_socket &&
	       !sys->getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &len) &&
	       info.tcpi_state == TCP_CLOSE;
}

void conn_fin(struct ktc_conn *conn)
{
	conn->fin = true;
	if (conn->eof || conn->state == CONN_CLOSING)
		return;
	if (conn_was_reset(conn)) {
		conn_fail(conn, -ECONNRESET, ECONNRESET);
		return;
	}
	if (conn->state == CONN_HANDSHAKING) {
		conn->error_text = "the server closed the connection";
		conn_fail(conn, -KTC_E_HANDSHAKE, 0);
		return;
	}
	conn_fail(conn, -KTC_E_TRUNCATED, 0);
}

void conn_note(struct ktc_conn *conn, enum ktc_event_type type, int dir)
{
	uint8_t bit = type == KTC_EV_TICKET ? NOTE_TICKET :
		      dir == KTC_RX ? NOTE_REKEYED_RX : NOTE_REKEYED_TX;

	if (conn->state == CONN_ENDING)
		return;
	if (!conn->notes)
		event_push(conn->opened ? &conn->loop->events :
					  &conn->setup->held,
			   &conn->ev_notes, KTC_EV_TICKET);
	conn->notes |= bit;
}

static void hook_session(void *arg, struct ticket *take)
{
	struct ktc_conn *conn = arg;
	const uint8_t *id = conn->setup->origin.id;

	conn->tickets++;
	if (conn->no_tickets || conn->tickets > LIMIT_TICKETS_PER_CONN) {
		ticket_put(take);
		return;
	}
	if (take->single_use)
		inventory_give(conn->client->inventory, id, take);
	else
		inventory_share(conn->client->inventory, id, take);
	conn_note(conn, KTC_EV_TICKET, 0);
}

static void hook_rekeyed(void *arg, int dir)
{
	struct ktc_conn *conn = arg;

	conn->rekeys[dir]++;
	conn->key_records[dir] = 0;
	if (dir == KTC_RX)
		conn->rx_update_asked = false;
	conn_note(conn, KTC_EV_REKEYED, dir);
}

const struct ossl_hooks conn_ossl_hooks = {
	.session = hook_session,
	.rekeyed = hook_rekeyed,
};

/* ------------------------------------------------------------------ pump -- */

bool conn_may_send(const struct ktc_conn *conn)
{
	return (conn->state == CONN_OPEN || conn->state == CONN_CLOSING) &&
	       conn->move == MOVE_NONE && !conn->key_update_sent &&
	       !relay_has_module(conn->relay);
}

bool conn_says_goodbye(const struct ktc_conn *conn)
{
	return (conn->state == CONN_CLOSING || conn->tx_over) &&
	       !conn->send_head && !conn->close_notify_sent;
}

static bool conn_wants_recv(const struct ktc_conn *conn)
{
	if (conn->recv_armed || conn->on_starved || conn->fin)
		return false;
	/* while our sends run out the peer must not be stuck in its own */
	if (conn->move != MOVE_NONE)
		return conn->move == MOVE_QUIET && conn->opened &&
		       conn->send_busy && !conn->recv_paused && !conn->eof;
	if (conn->state == CONN_HANDSHAKING || conn->state == CONN_CLOSING)
		return !(conn->eof && conn->state == CONN_CLOSING);
	return conn->state == CONN_OPEN && !conn->recv_paused && !conn->eof;
}

void conn_count_records(struct ktc_conn *conn, int dir)
{
	uint64_t seq;

	if (conn->kernel[dir] &&
	    !handover_seq(conn->fd, conn->suite, dir, &seq))
		conn->records[dir] += seq;
}

bool conn_can_rekey(const struct ktc_conn *conn)
{
	const struct ktc_caps *caps;

	if (conn->version != KTC_TLS1_3)
		return false;
	return !conn->kernel[KTC_TX] || (!probe_caps(&caps) && caps->rekey);
}

/* Records under one key are bounded (RFC 8446 section 5.5). */
static uint64_t conn_records_max(const struct ktc_conn *conn)
{
	if (conn->client->records_max)
		return conn->client->records_max;
	return conn->suite ? conn->suite->records_max : UINT64_MAX;
}

static void conn_check_limit(struct ktc_conn *conn)
{
	uint64_t max = conn_records_max(conn);
	uint64_t seq;

	/* what we send is an upper bound: the kernel knows exactly */
	if (conn->kernel[KTC_TX] && conn->key_records[KTC_TX] >= max &&
	    !handover_seq(conn->fd, conn->suite, KTC_TX, &seq))
		conn->key_records[KTC_TX] = seq;
	if (conn->key_records[KTC_TX] < max && conn->key_records[KTC_RX] < max)
		return;
	if (conn->close_notify_sent && conn->key_records[KTC_RX] < max)
		return; /* nothing more is sent under that key */
	if (!conn_can_rekey(conn) || conn->close_notify_sent) {
		conn_fail(conn, -KTC_E_KEY_LIMIT, 0);
		return;
	}
	if (conn->key_update || conn->key_update_sent)
		return;
	if (conn->key_records[KTC_TX] >= max)
		conn->key_update = 1;
	if (conn->key_records[KTC_RX] >= max && !conn->rx_update_asked) {
		conn->key_update = 2;
		conn->rx_update_asked = true;
	}
}

static void detach_pump(struct ktc_conn *conn)
{
	int err;

	if (!conn->kernel[KTC_TX]) {
		if (conn->move != MOVE_NONE)
			return;
		if (conn->relay && (conn->eof || conn->tx_over))
			/* half of it is over: nothing moves any more */
			relay_stay(conn, -KTC_E_UNSUPPORTED);
		else
			move_start(conn);
		return;
	}
	if (conn->relay)
		return; /* it leaves first, in its own time */
	if (conn->send_head || conn->send_busy || conn->key_update)
		return;
	conn->recv_paused = true;
	if (conn->recv_armed)
		conn_cancel_recv(conn);
	if (conn->inflight)
		return;
	err = conn_state_take(conn);
	if (err) {
		conn_fail(conn, err, err > -KTC_E_BASE ? -err : 0);
		return;
	}
	conn->detached = true;
	conn_end(conn);
}

static bool conn_arm(struct ktc_conn *conn)
{
	if (conn->state == CONN_CONNECTING)
		return dial_pump(conn);
	if (conn->state < CONN_HANDSHAKING || conn->state >= CONN_ENDING)
		return true;
	if (conn->move != MOVE_NONE && !move_pump(conn))
		return false;
	if (conn_wants_recv(conn) && !conn->plane->recv_arm(conn))
		return false;
	if (conn->state == CONN_OPEN && conn->recv_paused && conn->recv_armed)
		conn_cancel_recv(conn);
	return conn->state >= CONN_ENDING || conn->plane->send(conn);
}

/*
 * auto: once a connection has carried enough, offload pays. What waits to be
 * sent counts, the first time: a relay can have all of a stream queued, its end
 * with it, before the first of it is out.
 */
static void conn_weigh(struct ktc_conn *conn)
{
	uint64_t bytes = conn_carried(conn);

	if (conn->policy != KTC_POLICY_AUTO || conn->state != CONN_OPEN ||
	    conn->why[KTC_TX] != KTC_WHY_NOT_YET || conn->eof ||
	    conn->closing_asked || conn->detach || conn->tx_over)
		return;
	if (conn->setup->weigh_from)
		bytes -= conn->setup->weigh_from - 1;
	else
		bytes += conn->queued;
	if (bytes >= conn->client->config.auto_bytes)
		move_start(conn);
}

void conn_pump(struct ktc_conn *conn)
{
	if (conn->state == CONN_OPEN)
		conn_check_limit(conn);
	conn_weigh(conn);
	if (conn->state == CONN_OPEN && conn->detach &&
	    !(conn->relay && conn->closing_asked))
		detach_pump(conn);
	if (conn->relay && conn->state < CONN_ENDING)
		relay_pump(conn);
	if (conn->state == CONN_OPEN && conn->closing_asked && !conn->relay)
		close_begin(conn);
	if (!conn_arm(conn))
		loop_again(conn->loop, conn);
	if (conn->state == CONN_CLOSING)
		close_pump(conn);
	if (conn->free_setup && !conn->setup->active_attempts)
		conn_drop_setup(conn);
	if (conn->state == CONN_ENDING)
		end_pump(conn);
	if (conn->state != CONN_CLOSED)
		conn_set_timer(conn);
}

struct io_uring_sqe *conn_sqe(struct ktc_conn *conn)
{
	conn->inflight++;
	return ring_sqe(&conn->loop->ring);
}

void conn_cancel_recv(struct ktc_conn *conn)
{
	struct ring *ring = &conn->loop->ring;
	struct io_uring_sqe *sqe;

	if (conn->recv_cancel)
		return;
	if (!ring_room(ring, 1)) {
		loop_again(conn->loop, conn);
		return;
	}
	sqe = conn_sqe(conn);
	io_uring_prep_cancel64(sqe, ring_user_data(ring, RING_RECV, 0,
						   conn->slot), 0);
	ring_tag(ring, sqe, RING_CANCEL, 0, conn->slot);
	conn->recv_cancel = true;
}

/* ---------------------------------------------------------- completions -- */

static void conn_recv_completion(struct ktc_conn *conn, int res,
				 uint32_t flags)
{
	int bid = -1;

	if (flags & IORING_CQE_F_BUFFER) {
		bid = flags >> IORING_CQE_BUFFER_SHIFT;
		conn->loop->ring.bufs_out++;
	}
	if (!(flags & IORING_CQE_F_MORE)) {
		conn->recv_armed = false;
		conn->recv_cancel = false;
	}
	conn->active_us = conn->loop->now_us;
	if (conn->state < CONN_ENDING && !conn->eof) {
		conn->plane->recv_done(conn, res, bid);
		return;
	}
	/*
	 * After close_notify nothing counts any more (RFC 8446 section 6.1),
	 * neither data nor the way the peer's TCP ends.
	 */
	if (bid >= 0)
		loop_buf_give(conn->loop, bid);
	else if (res != -ECANCELED && res != -ENOBUFS)
		conn->fin = true;
}

static void conn_send_completion(struct ktc_conn *conn, enum ring_op op,
				 int res)
{
	conn->send_busy = false;
	conn->active_us = conn->loop->now_us;
	/* whatever the state is by now: the ClientHello is on the wire */
	if (res > 0 && conn->setup) {
		conn->setup->hello_sent = true;
		conn_spend_ticket(conn);
	}
	if (conn->state < CONN_ENDING)
		conn->plane->send_done(conn, op, res);
}

void conn_completion(struct ktc_conn *conn, const struct ring_tag *tag,
		     int res, uint32_t flags)
{
	if (!(flags & IORING_CQE_F_MORE))
		conn->inflight--;
	switch (tag->op) {
	case RING_CONNECT:
		dial_done(conn, tag->aux, res);
		break;
	case RING_SOCKOPT:
		move_done(conn, tag->aux, res);
		break;
	case RING_RECV:
		conn_recv_completion(conn, res, flags);
		break;
	case RING_SEND:
	case RING_READ:
	case RING_SPLICE_IN:
	case RING_SPLICE_OUT:
		conn_send_completion(conn, tag->op, res);
		break;
	case RING_RELAY_RECV:
	case RING_RELAY_SEND:
	case RING_RELAY_READ:
		relay_completion(conn, tag->op, res, flags);
		break;
	default: /* a cancel: what it did shows elsewhere */
		break;
	}
	conn_pump(conn);
}

/* With fast open the time was the connect's; was that done, there is more. */
static void handshake_is_late(struct ktc_conn *conn)
{
	if (!conn->setup->fast_open)
		conn_fail(conn, -KTC_E_HANDSHAKE_TIMEOUT, 0);
	else if (dial_is_unanswered(conn->fd))
		conn_fail(conn, -KTC_E_CONNECT_TIMEOUT, 0);
	else
		conn_reached(conn);
}

static void conn_deadline(struct ktc_conn *conn)
{
	switch (conn->state) {
	case CONN_WAITING:
		conn_fail(conn, -KTC_E_BUDGET, 0);
		break;
	case CONN_RESOLVING:
	case CONN_CONNECTING:
		conn_fail(conn, -KTC_E_CONNECT_TIMEOUT, 0);
		break;
	case CONN_HANDING_OVER:
		if (conn->opened) {
			/* a peer that stops in mid-record: stay as we are */
			move_abandon(conn, KTC_WHY_NOT_YET);
			break;
		}
		/* fallthrough */
	case CONN_HANDSHAKING:
		handshake_is_late(conn);
		break;
	case CONN_CLOSING:
		/* all bytes are out; only the peer's answer is missing */
		conn_fail(conn, conn->shut ? 0 : -KTC_E_CLOSE_TIMEOUT, 0);
		break;
	case CONN_OPEN:
	case CONN_ENDING:
		if (conn->relay)
			relay_deadline(conn);
		break;
	default:
		break;
	}
}

void conn_timer(struct ktc_conn *conn)
{
	uint64_t now = conn->loop->now_us;

	if (now >= conn->deadline_us) {
		conn->deadline_us = TIMER_NEVER;
		conn_deadline(conn);
	}
	if (conn->state == CONN_WAITING)
		conn_look_again(conn);
	if (conn->state < CONN_ENDING && now >= idle_until(conn)) {
		if (relay_module_active(conn))
			conn->active_us = now;
		else
			conn_fail(conn, -KTC_E_IDLE_TIMEOUT, 0);
	}
	if (conn->state < CONN_ENDING && now >= tickets_until(conn))
		conn->free_setup = true;
	conn_pump(conn);
}
