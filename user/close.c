// SPDX-License-Identifier: MIT
/*
 * How a connection ends. In order: what is queued goes out, then close_notify,
 * then TCP is seen to have it all, then FIN, then the peer's answer. In error:
 * the peer is told if that can be done at once, everything is cancelled, and
 * when the last completion has come the last event is queued. Both ways lead
 * through CONN_ENDING, where the kernel gives back what it holds.
 */
#include "conn.h"

#include <linux/tls.h>

#include <errno.h>
#include <string.h>

#include "frame.h"
#include "limit.h"
#include "mem.h"
#include "relay.h"
#include "sys.h"
#include "util.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

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
		/* a ClientHello that never went out is none */
		if (conn->state == CONN_HANDSHAKING && !conn->setup->hello_sent)
			return;
		if (conn->opened && (err == -KTC_E_IDLE_TIMEOUT ||
				     err == -KTC_E_KEY_LIMIT))
			(void)ossl_close_notify(conn->setup->ossl);
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

void conn_end(struct ktc_conn *conn)
{
	conn_count_records(conn, KTC_RX);
	conn_count_records(conn, KTC_TX);
	conn->counted = true;
	if (conn->fd >= 0 && !conn->detached)
		/* wakes what waits in a worker; a refusal has no meaning */
		(void)sys->shutdown(conn->fd, SHUT_RDWR);
	conn_set_state(conn, CONN_ENDING);
	loop_forget(conn->loop, conn);
	timer_set(&conn->loop->timers, &conn->timer, TIMER_NEVER);
	if (conn->relay)
		relay_conn_ended(conn);
}

/* Both sides have said goodbye, or will without a byte more of data. */
static bool conn_is_parting(const struct ktc_conn *conn)
{
	return conn->eof &&
	       (conn->state == CONN_CLOSING ||
		(conn->close_notify_sent && !conn->send_head));
}

/* None of the addresses was of use: the name may have others by now. */
static void conn_forget_name(struct ktc_conn *conn)
{
	const struct origin *origin = &conn->setup->origin;

	if (origin->host)
		resolver_forget(conn->loop->resolver, origin->host,
				origin->port);
}

void conn_fail(struct ktc_conn *conn, int err, int os_errno)
{
	if (conn->state >= CONN_ENDING) {
		/* a relay's last bytes may be on their way yet */
		if (conn->relay && err == -KTC_E_CANCELED)
			relay_give_up(conn);
		return;
	}
	if (conn->state == CONN_CONNECTING && err != -KTC_E_CANCELED)
		conn_forget_name(conn);
	/* the peer has said goodbye, and so have we: what comes is no error */
	if (conn_is_parting(conn) &&
	    (err == -EPIPE || err == -ECONNRESET))
		err = 0;
	/* the receive has taken the socket's ECONNRESET before the send */
	if (err == -EPIPE) {
		err = -ECONNRESET;
		os_errno = ECONNRESET;
	}
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
	if (conn->detached)
		return; /* its state lies there, for the event */
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
	conn_give_back(conn);
	ossl_free(setup->ossl);
	mem_free(setup->addrs);
	mem_free(setup->preamble);
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
	if (conn->relay)
		relay_over(conn);
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
	if (conn->detached)
		mem_pool_put(&loop->state_pool, conn->state_out);
	mem_pool_put(&loop->conn_pool, conn);
}

void end_pump(struct ktc_conn *conn)
{
	struct ring *ring = &conn->loop->ring;
	struct io_uring_sqe *sqe;

	if (conn->relay && !relay_flush(conn))
		return;
	if (!conn->inflight) {
		conn_finish(conn);
		return;
	}
	if (conn->cancelled || conn->detached)
		return;
	if ((conn->setup && !dial_cancel(conn)) || !ring_room(ring, 1)) {
		loop_again(conn->loop, conn);
		return;
	}
	conn->cancelled = true;
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

	if (!conn->kernel[KTC_TX] ||
	    (!conn->foreign_fd && conn->bytes[KTC_TX] < LIMIT_NEVER_WAITS))
		return true;
	if (conn->drain_at_us != TIMER_NEVER &&
	    conn->loop->now_us < conn->drain_at_us)
		return false;
	outq = sys->outq(conn->fd);
	if (outq < 0)
		return true; /* the connection is gone */
	conn->drain_zeros = outq ? 0 : conn->drain_zeros + 1;
	if (conn->drain_zeros >= 2)
		return true;
	conn->drain_at_us = conn->loop->now_us + LIMIT_DRAIN_POLL_MS * 1000ull;
	return false;
}

bool conn_unsent(const struct ktc_conn *conn)
{
	const struct setup *setup = conn->setup;

	return !conn->kernel[KTC_TX] &&
	       (ossl_out_pending(setup->ossl) ||
		setup->out_sent != setup->out_len);
}

void close_pump(struct ktc_conn *conn)
{
	if (!conn->close_notify_sent || conn->send_busy || conn->send_head ||
	    conn_unsent(conn)) {
		conn->drain_at_us = TIMER_NEVER;
		return;
	}
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

void close_begin(struct ktc_conn *conn)
{
	conn_set_state(conn, CONN_CLOSING);
	conn->drain_at_us = TIMER_NEVER;
	/* a relay's end has begun it already */
	if (conn->deadline_us == TIMER_NEVER)
		conn_set_deadline(conn, conn->client->config.close_timeout_ms);
}
