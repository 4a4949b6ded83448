/* SPDX-License-Identifier: MIT */
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

#include <linux/tls.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "frame.h"
#include "inventory.h"
#include "limit.h"
#include "mem.h"
#include "sys.h"
#include "ticket.h"
#include "util.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

/* ---------------------------------------------------------------- states -- */

static const char *const conn_state_names[CONN_NR_STATES] = {
	[CONN_NEW] = "new",
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
	[CONN_NEW] = BIT(CONN_RESOLVING) | BIT(CONN_CONNECTING) |
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
	if (!conn->setup || !conn->setup->tickets_until_us)
		return TIMER_NEVER;
	return conn->setup->tickets_until_us;
}

static uint64_t conn_next_us(const struct ktc_conn *conn)
{
	uint64_t at = conn->deadline_us;

	if (conn->state == CONN_ENDING || conn->state == CONN_CLOSED)
		return TIMER_NEVER;
	at = MIN(at, idle_until(conn));
	at = MIN(at, tickets_until(conn));
	if (conn->state == CONN_CONNECTING)
		at = MIN(at, dial_next_us(conn));
	if (conn->state == CONN_CLOSING)
		at = MIN(at, conn->drain_at_us);
	return at;
}

/*
 * A timer that is armed early enough stays: it looks again when it fires. So a
 * busy connection's idle deadline costs nothing per byte.
 */
static void conn_set_timer(struct ktc_conn *conn)
{
	uint64_t at = conn_next_us(conn);

	if (at == TIMER_NEVER || !conn->timer.index || at < conn->timer.at_us)
		timer_set(&conn->loop->timers, &conn->timer, at);
}

static void conn_set_deadline(struct ktc_conn *conn, uint64_t ms)
{
	conn->deadline_us = ms ? after_ms(conn, ms) : TIMER_NEVER;
}

/* --------------------------------------------------------------- opening -- */

static int conn_ticket(struct ktc_conn *conn)
{
	struct setup *setup = conn->setup;

	if (conn->no_resume) {
		setup->why_no_ticket = KTC_WHY_RESUME_OFF;
		return 0;
	}
	setup->why_no_ticket = inventory_take(conn->client->inventory,
					      setup->origin.id,
					      &setup->offered);
	return 0;
}

static void conn_put_back_ticket(struct ktc_conn *conn)
{
	struct setup *setup = conn->setup;

	if (setup->offered)
		inventory_putback(conn->client->inventory, setup->origin.id,
				  setup->offered);
	setup->offered = NULL;
}

/* The ClientHello is out: whatever comes, the ticket is used up. */
static void conn_spend_ticket(struct ktc_conn *conn)
{
	struct setup *setup = conn->setup;

	if (setup->offered)
		inventory_spend(conn->client->inventory, setup->offered);
	setup->offered = NULL;
}

void conn_connected(struct ktc_conn *conn, int fd)
{
	struct setup *setup = conn->setup;
	int err;

	conn->fd = fd;
	conn->connect_us = conn->loop->now_us - conn->begun_us;
	mem_free(setup->addrs);
	setup->addrs = NULL;
	conn_set_state(conn, CONN_HANDSHAKING);
	conn_set_deadline(conn, conn->client->config.handshake_timeout_ms);
	conn->plane = &plane_user;

	err = conn_ticket(conn);
	if (!err)
		err = ossl_new(conn->client->ossl, &setup->origin,
			       setup->offered, &conn_ossl_hooks, conn,
			       &setup->ossl);
	if (err) {
		conn_fail(conn, err, 0);
		return;
	}
	move_early_ulp(conn);
	err = ossl_handshake(setup->ossl);
	if (err < 0)
		conn_fail_ossl(conn, err);
}

static void conn_dial(struct ktc_conn *conn, const struct resolve_list *addrs)
{
	conn->setup->addrs = mem_dup(addrs, sizeof(*addrs));
	if (!conn->setup->addrs) {
		conn_fail(conn, -ENOMEM, 0);
		return;
	}
	conn_set_state(conn, CONN_CONNECTING);
}

void conn_resolved(struct ktc_conn *conn, int err,
		   const struct resolve_list *addrs)
{
	if (conn->state != CONN_RESOLVING)
		return; /* abandoned meanwhile */
	if (err)
		conn_fail(conn, err, 0);
	else
		conn_dial(conn, addrs);
	conn_pump(conn);
}

/* By name: the look-up's answer now, or later by conn_resolved(). */
static int conn_resolve(struct ktc_conn *conn)
{
	const struct origin *origin = &conn->setup->origin;
	struct resolve_list now;
	struct resolver *resolver;
	int ret;

	ret = loop_resolver(conn->loop, &resolver);
	if (!ret)
		ret = resolver_start(resolver, origin->host, origin->port,
				     conn->token, &now);
	if (ret < 0)
		return ret;
	if (ret)
		conn_dial(conn, &now);
	else
		conn_set_state(conn, CONN_RESOLVING);
	return 0;
}

static int conn_begin(struct ktc_conn *conn, int fd)
{
	const struct origin *origin = &conn->setup->origin;
	struct resolve_list list;

	conn_set_deadline(conn, conn->client->config.connect_timeout_ms);
	if (fd >= 0) {
		conn_connected(conn, fd);
		return 0;
	}
	if (!origin->addr_len)
		return conn_resolve(conn);
	memset(&list, 0, sizeof(list));
	list.count = 1;
	list.at[0].addr = origin->addr;
	list.at[0].len = origin->addr_len;
	conn_dial(conn, &list);
	return 0;
}

/* The caller's descriptor: a connected stream socket, made blocking. */
static int fd_check(int fd, struct sockaddr_storage *peer, socklen_t *peer_len)
{
	int type, flags;
	socklen_t len = sizeof(type);
	int err;

	err = sys->getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
	if (err)
		return err;
	if (type != SOCK_STREAM)
		return -KTC_E_OPTION;
	*peer_len = sizeof(*peer);
	if (getpeername(fd, (struct sockaddr *)peer, peer_len))
		return -errno;
	/*
	 * With O_NONBLOCK io_uring gives EAGAIN back instead of waiting for
	 * the socket.
	 */
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK))
		return -errno;
	return 0;
}

int conn_new(struct ktc_loop *loop, struct ktc_client *client,
	     const struct ktc_conn_opts *opts, struct ktc_conn **out)
{
	struct sockaddr_storage peer = { 0 };
	socklen_t peer_len = 0;
	struct ktc_conn *conn;
	struct setup *setup;
	int fd = -1;
	int err;

	if (!opts->host && !opts->addr) {
		fd = opts->fd;
		err = fd_check(fd, &peer, &peer_len);
		if (err)
			return err;
	}
	conn = mem_pool_get(&loop->conn_pool);
	setup = mem_pool_get(&loop->setup_pool);
	if (!conn || !setup) {
		err = -ENOMEM;
		goto out_put;
	}
	err = origin_init(&setup->origin, &client->config, opts,
			  fd >= 0 ? (struct sockaddr *)&peer : NULL, peer_len);
	if (err)
		goto out_put;
	conn->loop = loop;
	conn->setup = setup;
	conn->user = opts->user;
	conn->fd = -1;
	conn->alert = -1;
	conn->send_tail = &conn->send_head;
	conn->policy = opts->policy ? opts->policy : client->config.policy;
	conn->why[KTC_RX] = conn->why[KTC_TX] =
		conn->policy == KTC_POLICY_NEVER ? KTC_WHY_POLICY :
						   KTC_WHY_NOT_YET;
	conn->no_resume = (opts->flags & KTC_CONN_NO_RESUME) ||
			  (client->config.flags & KTC_CLIENT_NO_RESUME);
	conn->no_tickets = (opts->flags & KTC_CONN_NO_TICKETS) ||
			   (client->config.flags & KTC_CLIENT_NO_RESUME);
	conn->recv_paused = opts->flags & KTC_CONN_RECV_PAUSED;
	conn->unix_socket = fd >= 0 ? peer.ss_family == AF_UNIX :
				      setup->origin.addr.ss_family == AF_UNIX;
	event_queue_init(&setup->held);
	conn->begun_us = conn->active_us = loop->now_us;
	err = loop_add(loop, conn, &conn->slot);
	if (err)
		goto out_origin;
	conn->client = client_get(client);
	conn->token = ring_user_data(&loop->ring, RING_VOID, ++loop->serial,
				     conn->slot);
	err = conn_begin(conn, fd);
	if (err)
		goto out_remove;
	if (out)
		*out = conn;
	conn_pump(conn);
	return 0;

out_remove:
	loop_remove(loop, conn->slot);
	client_put(client);
out_origin:
	origin_fini(&setup->origin);
out_put:
	mem_pool_put(&loop->setup_pool, setup);
	mem_pool_put(&loop->conn_pool, conn);
	return err;
}

static void conn_learn(struct ktc_conn *conn)
{
	struct ossl_info info;

	ossl_info(conn->setup->ossl, &info);
	conn->suite = suite_find(info.version, info.suite_id);
	conn->cipher = info.cipher;
	conn->version = info.version;
	conn->resumed = info.resumed;
	conn->verify_result = info.verify_result;
	conn->verified = !(conn->client->config.flags &
			   KTC_CLIENT_INSECURE_NO_VERIFY);
	if (info.resumed)
		conn->why_not_resumed = KTC_WHY_NOTHING;
	else if (conn->setup->why_no_ticket != KTC_WHY_NOTHING)
		conn->why_not_resumed = conn->setup->why_no_ticket;
	else
		conn->why_not_resumed = KTC_WHY_DECLINED;
	if (info.alpn_len) {
		conn->alpn = mem_zalloc(info.alpn_len + 1);
		if (conn->alpn)
			memcpy(conn->alpn, info.alpn, info.alpn_len);
		else
			conn_fail(conn, -ENOMEM, 0);
	}
}

static void conn_open(struct ktc_conn *conn)
{
	conn_set_state(conn, CONN_OPEN);
	conn->deadline_us = TIMER_NEVER;
	conn->active_us = conn->loop->now_us;
	if (conn->opened)
		return;
	conn->opened = true;
	conn->handshake_us = conn->loop->now_us - conn->begun_us -
			     conn->connect_us;
	client_count(conn->client,
		     conn->resumed ? COUNT_RESUMED : COUNT_FULL);
	event_push(&conn->loop->events, &conn->ev_open, KTC_EV_OPEN);
	event_splice(&conn->loop->events, &conn->setup->held);
}

void conn_handshaken(struct ktc_conn *conn)
{
	conn_spend_ticket(conn);
	conn_learn(conn);
	if (conn->state != CONN_HANDSHAKING)
		return;
	if (conn->policy == KTC_POLICY_ALWAYS)
		move_start(conn);
	else
		conn_open(conn);
}

void conn_moved(struct ktc_conn *conn)
{
	if (!conn->kernel[KTC_TX] && conn->policy != KTC_POLICY_NEVER)
		client_count(conn->client, COUNT_OFFLOAD_REFUSED);
	if (conn->state != CONN_OPEN)
		conn_open(conn);
	if (conn->detach && !conn->kernel[KTC_TX])
		conn_fail(conn, -KTC_E_UNSUPPORTED, conn->offload_errno);
}

/* -------------------------------------------------------------- receiving -- */

/* auto: once a connection has carried enough, offload pays. */
static void conn_weigh(struct ktc_conn *conn)
{
	if (conn->policy == KTC_POLICY_AUTO && conn->state == CONN_OPEN &&
	    conn->why[KTC_TX] == KTC_WHY_NOT_YET && !conn->eof &&
	    conn->bytes[KTC_RX] + conn->bytes[KTC_TX] >=
		    conn->client->config.auto_bytes)
		move_start(conn);
}

void conn_data(struct ktc_conn *conn, uint32_t bid, const uint8_t *data,
	       size_t len)
{
	struct loop_data *node = &conn->loop->data[bid];

	if (conn->state == CONN_CLOSING || conn->state == CONN_ENDING) {
		loop_buf_give(conn->loop, bid); /* nobody wants it any more */
		return;
	}
	conn->bytes[KTC_RX] += len;
	node->conn = conn;
	node->data = data;
	node->len = len;
	event_push(conn->opened ? &conn->loop->events : &conn->setup->held,
		   &node->ev, KTC_EV_DATA);
	if (conn->opened)
		conn_weigh(conn);
}

void conn_close_notify(struct ktc_conn *conn)
{
	if (conn->eof)
		return;
	conn->eof = true;
	if (conn->recv_armed)
		conn_cancel_recv(conn);
	if (conn->state == CONN_OPEN || conn->state == CONN_HANDING_OVER)
		event_push(conn->opened ? &conn->loop->events :
					  &conn->setup->held,
			   &conn->ev_eof, KTC_EV_EOF);
}

void conn_fin(struct ktc_conn *conn)
{
	conn->fin = true;
	if (conn->eof || conn->state == CONN_CLOSING)
		return;
	if (conn->state == CONN_HANDSHAKING) {
		conn->error_text = "the server closed the connection during the handshake";
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
	if (dir == KTC_TX)
		conn->key_records = 0;
	conn_note(conn, KTC_EV_REKEYED, dir);
}

const struct ossl_hooks conn_ossl_hooks = {
	.session = hook_session,
	.rekeyed = hook_rekeyed,
};

/* ---------------------------------------------------------------- ending -- */

/* Best effort: what is wrong, told to the peer without waiting for it. */
static void conn_send_alert(struct ktc_conn *conn, uint8_t desc)
{
	union {
		char buf[CMSG_SPACE(1)];
		struct cmsghdr align;
	} control = { 0 };
	uint8_t alert[2] = { desc ? 2 : 1, desc };
	struct iovec iov = { .iov_base = alert, .iov_len = sizeof(alert) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_TLS;
	cmsg->cmsg_type = TLS_SET_RECORD_TYPE;
	cmsg->cmsg_len = CMSG_LEN(1);
	*CMSG_DATA(cmsg) = RECORD_ALERT;
	(void)sys->sendmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void conn_tell_peer(struct ktc_conn *conn, int err)
{
	const uint8_t *p;
	uint8_t desc;
	size_t len;

	if (conn->fd < 0 || conn->send_busy || conn->close_notify_sent)
		return;
	if (!conn->kernel[KTC_TX]) {
		/* OpenSSL has written the alert, if there is one to send */
		if (!conn->setup || !conn->setup->ossl ||
		    conn->setup->out_len != conn->setup->out_sent)
			return;
		len = ossl_out(conn->setup->ossl, &p);
		if (len)
			(void)sys->send(conn->fd, p, len,
					MSG_DONTWAIT | MSG_NOSIGNAL);
		return;
	}
	switch (-err) {
	case KTC_E_UNEXPECTED:
		desc = ALERT_UNEXPECTED_MESSAGE;
		break;
	case KTC_E_RECORD:
		desc = ALERT_DECODE_ERROR;
		break;
	case KTC_E_DECRYPT:
		desc = ALERT_BAD_RECORD_MAC;
		break;
	case KTC_E_FLOOD:
		desc = ALERT_INTERNAL_ERROR;
		break;
	case KTC_E_KEY_UPDATE:
	case KTC_E_KEY_LIMIT:
	case KTC_E_IDLE_TIMEOUT:
		desc = ALERT_CLOSE_NOTIFY;
		break;
	default:
		return;
	}
	conn_send_alert(conn, desc);
	if (desc != ALERT_CLOSE_NOTIFY) {
		conn->alert = desc;
		conn->alert_sent = true;
	}
}

static void conn_end(struct ktc_conn *conn)
{
	if (conn->fd >= 0 && !conn->detached)
		/* wakes what waits in a worker; a refusal has no meaning */
		(void)sys->shutdown(conn->fd, SHUT_RDWR);
	conn_set_state(conn, CONN_ENDING);
	timer_set(&conn->loop->timers, &conn->timer, TIMER_NEVER);
}

void conn_fail(struct ktc_conn *conn, int err, int os_errno)
{
	if (conn->state >= CONN_ENDING)
		return;
	/* the peer has said goodbye, and so have we: what comes is no error */
	if (conn->state == CONN_CLOSING && conn->eof &&
	    (err == -EPIPE || err == -ECONNRESET))
		err = 0;
	if (!conn->err && err) {
		conn->err = err;
		conn->os_errno = os_errno;
		conn->error_state = conn->state;
		conn_tell_peer(conn, err);
	}
	conn_end(conn);
}

void conn_fail_ossl(struct ktc_conn *conn, int err)
{
	struct ossl_fault fault;

	/* data that came before the fault is told before it */
	if (conn->state == CONN_HANDING_OVER && conn->setup->held.head)
		conn_open(conn);
	ossl_fault(conn->setup->ossl, &fault);
	if (!conn->err && conn->state < CONN_ENDING) {
		conn->error_text = fault.text;
		conn->alert = fault.alert;
		conn->alert_sent = fault.alert_sent;
		conn->verify_result = fault.verify_result;
	}
	conn_fail(conn, err, 0);
}

static void control_free(struct ktc_conn *conn)
{
	if (conn->control)
		mem_pool_put(&conn->loop->control_pool, conn->control);
	conn->control = NULL;
}

static void file_free(struct ktc_conn *conn)
{
	struct file_pump *file = conn->file;
	int i;

	if (!file)
		return;
	for (i = 0; i < 2; i++)
		if (file->pipe[i] >= 0)
			(void)sys->close(file->pipe[i]);
	mem_free(file->buf);
	mem_free(file);
	conn->file = NULL;
}

void conn_drop_setup(struct ktc_conn *conn)
{
	struct setup *setup = conn->setup;
	struct event_node *node;

	if (!setup)
		return;
	while ((node = event_pop(&setup->held)))
		if (node->type == KTC_EV_DATA)
			loop_buf_give(conn->loop,
				      container_of(node, struct loop_data, ev) -
					      conn->loop->data);
	conn_put_back_ticket(conn);
	ossl_free(setup->ossl);
	mem_free(setup->addrs);
	origin_fini(&setup->origin);
	mem_pool_put(&conn->loop->setup_pool, setup);
	conn->setup = NULL;
	conn->free_setup = false;
}

/* Nothing of this connection is with the kernel any more. */
static void conn_finish(struct ktc_conn *conn)
{
	conn_drop_setup(conn);
	send_drop_all(conn, conn->err ? conn->err : -KTC_E_CANCELED);
	record_hs_fini(&conn->hs);
	control_free(conn);
	file_free(conn);
	mem_wipe(conn->secret, sizeof(conn->secret));
	if (conn->fd >= 0 && !conn->detached)
		(void)sys->close(conn->fd); /* Linux: closed even on error */
	if (!conn->opened)
		client_count(conn->client, COUNT_FAILED);
	conn_set_state(conn, CONN_CLOSED);
	event_push(&conn->loop->events, &conn->ev_last,
		   conn->detached ? KTC_EV_DETACHED : KTC_EV_CLOSED);
}

void conn_free(struct ktc_conn *conn)
{
	struct ktc_loop *loop = conn->loop;

	loop_forget(loop, conn);
	loop_remove(loop, conn->slot);
	client_put(conn->client);
	mem_free(conn->alpn);
	mem_pool_put(&loop->conn_pool, conn);
}

static void ending_pump(struct ktc_conn *conn)
{
	struct ring *ring = &conn->loop->ring;
	struct io_uring_sqe *sqe;

	if (!conn->inflight) {
		conn_finish(conn);
		return;
	}
	if (conn->cancelled || conn->detached)
		return;
	if (!ring_room(ring, 1 + LIMIT_ADDRESSES)) {
		loop_again(conn->loop, conn);
		return;
	}
	conn->cancelled = true;
	if (conn->setup)
		dial_cancel(conn);
	if (conn->fd < 0)
		return;
	sqe = conn_sqe(conn);
	io_uring_prep_cancel_fd(sqe, conn->fd, IORING_ASYNC_CANCEL_ALL);
	ring_tag(ring, sqe, RING_CANCEL, 0, conn->slot);
}

/* --------------------------------------------------------------- closing -- */

/*
 * Bytes that the kernel has accepted for kTLS can be lost by shutdown() or
 * close() while they wait for room in TCP. They leave in order: once TCP holds
 * nothing, twice in a row, nothing is left above it either. What is so small
 * that TCP always had room for it never waited.
 */
static bool conn_drained(struct ktc_conn *conn)
{
	int outq;

	if (!conn->kernel[KTC_TX] || conn->bytes[KTC_TX] < LIMIT_NEVER_WAITS)
		return true;
	outq = sys->outq(conn->fd);
	if (outq < 0)
		return true; /* the connection is gone */
	conn->drain_zeros = outq ? 0 : conn->drain_zeros + 1;
	if (conn->drain_zeros >= 2)
		return true;
	conn->drain_at_us = after_ms(conn, LIMIT_DRAIN_POLL_MS);
	return false;
}

static void closing_pump(struct ktc_conn *conn)
{
	if (!conn->close_notify_sent || conn->send_busy || conn->send_head)
		return;
	if (!conn->shut) {
		if (!conn_drained(conn))
			return;
		conn->drain_at_us = TIMER_NEVER;
		conn->shut = true;
		/* a failure means that the peer has reset: fine by now */
		(void)sys->shutdown(conn->fd, SHUT_WR);
	}
	if (conn->eof || conn->fin)
		conn_end(conn);
}

static void conn_close_now(struct ktc_conn *conn)
{
	conn_set_state(conn, CONN_CLOSING);
	conn->drain_at_us = TIMER_NEVER;
	conn_set_deadline(conn, conn->client->config.close_timeout_ms);
}

/* ------------------------------------------------------------------ pump -- */

bool conn_may_send(const struct ktc_conn *conn)
{
	return (conn->state == CONN_OPEN || conn->state == CONN_CLOSING) &&
	       conn->move == MOVE_NONE && !conn->key_update_sent;
}

static bool conn_wants_recv(const struct ktc_conn *conn)
{
	if (conn->recv_armed || conn->on_starved || conn->fin ||
	    conn->move != MOVE_NONE)
		return false;
	if (conn->state == CONN_HANDSHAKING || conn->state == CONN_CLOSING)
		return !(conn->eof && conn->state == CONN_CLOSING);
	return conn->state == CONN_OPEN && !conn->recv_paused && !conn->eof;
}

/* Records under one key are bounded (RFC 8446 section 5.5). */
static void conn_check_limit(struct ktc_conn *conn)
{
	uint64_t max = conn->client->records_max;

	if (!max && conn->suite)
		max = conn->suite->records_max;
	if (!max || conn->key_records < max || conn->key_update)
		return;
	if (conn->version == KTC_TLS1_3) {
		conn->key_update = 1;
		return;
	}
	conn_fail(conn, -KTC_E_KEY_LIMIT, 0);
}

static void detach_pump(struct ktc_conn *conn)
{
	if (!conn->kernel[KTC_TX]) {
		if (conn->move == MOVE_NONE)
			move_start(conn);
		return;
	}
	if (conn->send_head || conn->send_busy || conn->key_update)
		return;
	conn->recv_paused = true;
	if (conn->recv_armed)
		conn_cancel_recv(conn);
	if (conn->inflight)
		return;
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

void conn_pump(struct ktc_conn *conn)
{
	if (conn->state == CONN_OPEN)
		conn_check_limit(conn);
	if (conn->state == CONN_OPEN && conn->detach)
		detach_pump(conn);
	if (conn->state == CONN_OPEN && conn->closing_asked)
		conn_close_now(conn);
	if (!conn_arm(conn))
		loop_again(conn->loop, conn);
	if (conn->state == CONN_CLOSING)
		closing_pump(conn);
	if (conn->free_setup && !conn->setup->active_attempts)
		conn_drop_setup(conn);
	if (conn->state == CONN_ENDING)
		ending_pump(conn);
	else if (conn->state != CONN_CLOSED)
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
	if (conn->state < CONN_ENDING)
		conn->plane->recv_done(conn, res, flags, bid);
	else if (bid >= 0)
		loop_buf_give(conn->loop, bid);
}

static void conn_send_completion(struct ktc_conn *conn, enum ring_op op,
				 int res)
{
	conn->send_busy = false;
	conn->active_us = conn->loop->now_us;
	if (res > 0 && conn->setup && conn->state == CONN_HANDSHAKING)
		conn_spend_ticket(conn);
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
	default: /* a cancel: what it did shows elsewhere */
		break;
	}
	conn_pump(conn);
}

static void conn_deadline(struct ktc_conn *conn)
{
	switch (conn->state) {
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
		conn_fail(conn, -KTC_E_HANDSHAKE_TIMEOUT, 0);
		break;
	case CONN_CLOSING:
		/* all bytes are out; only the peer's answer is missing */
		conn_fail(conn, conn->shut ? 0 : -KTC_E_CLOSE_TIMEOUT, 0);
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
	if (conn->state < CONN_ENDING && now >= idle_until(conn))
		conn_fail(conn, -KTC_E_IDLE_TIMEOUT, 0);
	if (conn->state < CONN_ENDING && now >= tickets_until(conn))
		conn->free_setup = true;
	conn_pump(conn);
}
