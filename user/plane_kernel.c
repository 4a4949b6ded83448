// SPDX-License-Identifier: MIT
/*
 * Records through kernel TLS. Receiving is one multishot recvmsg with room for
 * the record type, so that a ticket, a KeyUpdate or an alert in the middle of
 * a transfer is one more completion and never EIO. Sending is one operation
 * at a time, in order; the kernel takes short, and we go on where it stopped
 * (MSG_WAITALL is EOPNOTSUPP on kTLS).
 */
#include "plane.h"

#include <linux/tls.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "conn.h"
#include "frame.h"
#include "inventory.h"
#include "keysched.h"
#include "limit.h"
#include "sys.h"
#include "util.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

/* What multishot recvmsg is to deliver: no name, one record type. */
static struct msghdr recv_shape = { .msg_controllen = CMSG_SPACE(1) };

static bool kernel_recv_arm(struct ktc_conn *conn)
{
	struct ring *ring = &conn->loop->ring;
	struct io_uring_sqe *sqe;

	if (!ring_room(ring, 1))
		return false;
	sqe = conn_sqe(conn);
	io_uring_prep_recvmsg_multishot(sqe, conn->fd, &recv_shape, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = ring->buf_group;
	ring_tag(ring, sqe, RING_RECV, 0, conn->slot);
	conn->recv_armed = true;
	return true;
}

/* ------------------------------------------------------- control records -- */

static void kernel_key_update(struct ktc_conn *conn, uint8_t request)
{
	int err;

	conn_count_records(conn, KTC_RX);
	err = keysched_next(conn->suite, conn->secret[KTC_RX]);
	if (!err)
		err = handover_rekey(conn->fd, conn->suite, KTC_RX,
				     conn->secret[KTC_RX]);
	if (err) {
		/* before Linux 6.14: EBUSY, and all that follows is lost */
		conn_fail(conn, -KTC_E_KEY_UPDATE, -err);
		return;
	}
	conn->rekeys[KTC_RX]++;
	conn->rx_rekeyed = true;
	conn->rx_update_asked = false;
	conn->key_records[KTC_RX] = 0;
	conn_note(conn, KTC_EV_REKEYED, KTC_RX);
	if (request && !conn->key_update)
		conn->key_update = 1;
}

static void kernel_ticket(struct ktc_conn *conn, const uint8_t *msg, size_t len)
{
	struct setup *setup = conn->setup;

	if (!setup || conn->free_setup)
		return; /* enough were kept */
	/*
	 * A failure spoils the SSL, which is of no use any more then; the
	 * connection itself does not depend on it.
	 */
	if (ossl_ingest(setup->ossl, msg, len) ||
	    conn->tickets >= LIMIT_TICKETS_PER_CONN ||
	    inventory_is_full(conn->client->inventory, setup->origin.id))
		conn->free_setup = true;
}

static int kernel_message(void *arg, const uint8_t *msg, size_t len, bool last)
{
	struct ktc_conn *conn = arg;
	bool tls13 = conn->suite->version == KTC_TLS1_3;

	switch (msg[0]) {
	case MESSAGE_NEW_SESSION_TICKET:
		if (!tls13)
			return -KTC_E_UNEXPECTED;
		kernel_ticket(conn, msg, len);
		return 0;
	case MESSAGE_KEY_UPDATE:
		/* RFC 8446 5.1: keys change at a record's end */
		if (!tls13 || !last || len != RECORD_MESSAGE_HEAD + 1 ||
		    msg[RECORD_MESSAGE_HEAD] > 1)
			return -KTC_E_UNEXPECTED;
		kernel_key_update(conn, msg[RECORD_MESSAGE_HEAD]);
		return 0;
	case MESSAGE_HELLO_REQUEST:
		/* RFC 5246 7.4.1.1: may be ignored; we do not renegotiate */
		return tls13 ? -KTC_E_UNEXPECTED : 0;
	default:
		return -KTC_E_UNEXPECTED;
	}
}

static void kernel_alert(struct ktc_conn *conn, const uint8_t *p, size_t len)
{
	bool fatal;
	uint8_t desc;
	int err;

	err = record_alert(p, len, conn->suite->version == KTC_TLS1_3, &fatal,
			   &desc);
	if (err) {
		conn_fail(conn, err, 0);
	} else if (desc == ALERT_CLOSE_NOTIFY) {
		conn_close_notify(conn);
	} else if (fatal) {
		conn->alert = desc;
		conn->alert_sent = false;
		conn_fail(conn, -KTC_E_ALERT, 0);
	}
}

void plane_kernel_control(struct ktc_conn *conn, uint8_t type,
			  const uint8_t *p, size_t len)
{
	int err;

	if (!record_rate_take(&conn->rate, conn->loop->now_us)) {
		conn_fail(conn, -KTC_E_FLOOD, 0);
		return;
	}
	switch (type) {
	case RECORD_ALERT:
		kernel_alert(conn, p, len);
		return;
	case RECORD_HANDSHAKE:
		err = record_hs_feed(&conn->hs, p, len, kernel_message, conn);
		if (err)
			conn_fail(conn, err, 0);
		return;
	case RECORD_DATA: /* an empty data record: allowed, but not for ever */
		return;
	default:
		conn_fail(conn, -KTC_E_UNEXPECTED, 0);
	}
}

/* -------------------------------------------------------------- receive -- */

/* The record type of a completion; 0: it has none. */
static uint8_t kernel_type(struct io_uring_recvmsg_out *out)
{
	struct cmsghdr *cmsg = io_uring_recvmsg_cmsg_firsthdr(out, &recv_shape);

	if (!cmsg || cmsg->cmsg_level != SOL_TLS ||
	    cmsg->cmsg_type != TLS_GET_RECORD_TYPE)
		return 0;
	return *CMSG_DATA(cmsg);
}

/*
 * One receive can hold thousands of small records, which only the kernel has
 * counted: it is asked often enough for the limit, seldom enough for the cost.
 */
static void kernel_count_rx(struct ktc_conn *conn)
{
	uint64_t seq;

	if (conn->until_count--)
		return;
	conn->until_count = LIMIT_COUNT_RECEIVES;
	if (!handover_seq(conn->fd, conn->suite, KTC_RX, &seq))
		conn->key_records[KTC_RX] = seq;
}

void plane_kernel_count(struct ktc_conn *conn)
{
	uint64_t seq;
	int dir;

	for (dir = 0; dir < 2; dir++)
		if (!handover_seq(conn->fd, conn->suite, dir, &seq))
			conn->key_records[dir] = seq;
}

static void kernel_record(struct ktc_conn *conn, uint32_t bid, size_t res)
{
	uint8_t *buf = ring_buf(&conn->loop->ring, bid);
	struct io_uring_recvmsg_out *out;
	const uint8_t *p;
	uint8_t type;
	size_t len;

	out = io_uring_recvmsg_validate(buf, res, &recv_shape);
	if (!out) {
		loop_buf_give(conn->loop, bid);
		conn_fail(conn, -KTC_E_INTERNAL, 0);
		return;
	}
	p = io_uring_recvmsg_payload(out, &recv_shape);
	len = MIN(out->payloadlen, LIMIT_RECV_BUFFER - (size_t)(p - buf));
	type = kernel_type(out);
	kernel_count_rx(conn);
	if (type == RECORD_DATA && len) {
		conn_data(conn, bid, p, len);
		return;
	}
	if (!type && !len)
		conn_fin(conn); /* no record at all: the stream's end */
	else
		plane_kernel_control(conn, type, p, len);
	/* a ticket's plaintext does not lie around in a buffer */
	mem_wipe(buf, res);
	loop_buf_give(conn->loop, bid);
}

void plane_kernel_failed(struct ktc_conn *conn, int err)
{
	switch (err) {
	case -EBADMSG:
		conn_fail(conn, -KTC_E_DECRYPT, EBADMSG);
		break;
	case -EMSGSIZE:
	case -EINVAL: /* header with another version or length */
		conn_fail(conn, -KTC_E_RECORD, -err);
		break;
	default:
		conn_fail(conn, err, -err);
	}
}

static void kernel_recv_done(struct ktc_conn *conn, int res, int bid)
{
	if (res >= 0 && bid >= 0) {
		kernel_record(conn, bid, res);
		return;
	}
	if (bid >= 0)
		loop_buf_give(conn->loop, bid);
	switch (res) {
	case 0:
		conn_fin(conn);
		break;
	case -ENOBUFS:
		loop_starve(conn->loop, conn);
		break;
	case -ECANCELED:
		break;
	case -EKEYEXPIRED:
		/*
		 * After a KeyUpdate, whose new key is set by now. The kernel
		 * judges by a record's first byte: a message in pieces can
		 * stop it too, and there is no way on from there.
		 */
		if (!conn->rx_rekeyed)
			conn_fail(conn, -KTC_E_UNEXPECTED, EKEYEXPIRED);
		conn->rx_rekeyed = false;
		break;
	default:
		plane_kernel_failed(conn, res);
	}
}

/* ----------------------------------------------------------------- send -- */

/* A record of another type than data. False: no room. */
static bool kernel_send_control(struct ktc_conn *conn, uint8_t type,
				const uint8_t *data, size_t len)
{
	struct ring *ring = &conn->loop->ring;
	struct io_uring_sqe *sqe;
	struct control *control;
	struct cmsghdr *cmsg;

	if (!ring_room(ring, 1))
		return false;
	control = mem_pool_get(&conn->loop->control_pool);
	if (!control) {
		conn_fail(conn, -ENOMEM, 0);
		return true;
	}
	memcpy(control->data, data, len);
	control->iov.iov_base = control->data;
	control->iov.iov_len = len;
	control->msg.msg_iov = &control->iov;
	control->msg.msg_iovlen = 1;
	control->msg.msg_control = control->cmsg.buf;
	control->msg.msg_controllen = sizeof(control->cmsg.buf);
	cmsg = CMSG_FIRSTHDR(&control->msg);
	cmsg->cmsg_level = SOL_TLS;
	cmsg->cmsg_type = TLS_SET_RECORD_TYPE;
	cmsg->cmsg_len = CMSG_LEN(1);
	*CMSG_DATA(cmsg) = type;

	sqe = conn_sqe(conn);
	io_uring_prep_sendmsg(sqe, conn->fd, &control->msg, MSG_NOSIGNAL);
	ring_tag(ring, sqe, RING_SEND, 0, conn->slot);
	conn->control = control;
	conn->send_busy = true;
	return true;
}

static bool kernel_send_key_update(struct ktc_conn *conn)
{
	uint8_t msg[] = { MESSAGE_KEY_UPDATE, 0, 0, 1, conn->key_update == 2 };

	if (!kernel_send_control(conn, RECORD_HANDSHAKE, msg, sizeof(msg)))
		return false;
	conn->key_update = 0;
	/* it goes out under the old key; nothing else until the new one */
	conn->key_update_sent = true;
	return true;
}

static bool kernel_splice(struct ktc_conn *conn, struct send_op *op)
{
	struct ring *ring = &conn->loop->ring;
	struct file_pump *file = conn->file;
	uint64_t left = op->len - op->sent;
	struct io_uring_sqe *sqe;
	int err;

	if (!file) {
		file = mem_zalloc(sizeof(*file));
		if (!file) {
			conn_head_failed(conn, -ENOMEM);
			return true;
		}
		file->pipe[0] = file->pipe[1] = -1;
		conn->file = file;
	}
	if (file->pipe[0] < 0) {
		err = sys->pipe(file->pipe);
		if (err) {
			conn_head_failed(conn, err);
			return true;
		}
	}
	if (!ring_room(ring, 1))
		return false;
	if (!file->in_pipe) {
		sqe = conn_sqe(conn);
		io_uring_prep_splice(sqe, op->fd, op->file_off + op->sent,
				     file->pipe[1], -1,
				     MIN(left, LIMIT_FILE_CHUNK), 0);
		ring_tag(ring, sqe, RING_SPLICE_IN, 0, conn->slot);
	} else {
		sqe = conn_sqe(conn);
		io_uring_prep_splice(sqe, file->pipe[0], -1, conn->fd, -1,
				     file->in_pipe,
				     left > file->in_pipe ? SPLICE_F_MORE : 0);
		ring_tag(ring, sqe, RING_SPLICE_OUT, 0, conn->slot);
	}
	conn->send_busy = true;
	return true;
}

static bool kernel_send(struct ktc_conn *conn)
{
	static const uint8_t close_notify[] = { 1, ALERT_CLOSE_NOTIFY };
	struct ring *ring = &conn->loop->ring;
	struct send_op *op = conn->send_head;
	struct io_uring_sqe *sqe;

	if (conn->send_busy || !conn_may_send(conn))
		return true;
	/* not inside a file's record that is still open in the kernel */
	if (conn->key_update && !conn->close_notify_sent &&
	    !(conn->file && conn->file->in_pipe))
		return kernel_send_key_update(conn);
	if (!op) {
		if (!conn_says_goodbye(conn))
			return true;
		if (!kernel_send_control(conn, RECORD_ALERT, close_notify,
					 sizeof(close_notify)))
			return false;
		conn->close_notify_sent = true;
		return true;
	}
	if (!op->buf)
		return kernel_splice(conn, op);
	if (!ring_room(ring, 1))
		return false;
	sqe = conn_sqe(conn);
	io_uring_prep_send(sqe, conn->fd, op->buf + op->sent,
			   MIN(op->len - op->sent, (uint64_t)1 << 30),
			   MSG_NOSIGNAL);
	ring_tag(ring, sqe, RING_SEND, 0, conn->slot);
	conn->send_busy = true;
	return true;
}

static void kernel_rekey_tx(struct ktc_conn *conn)
{
	int err;

	conn->key_update_sent = false;
	conn_count_records(conn, KTC_TX);
	err = keysched_next(conn->suite, conn->secret[KTC_TX]);
	if (!err)
		err = handover_rekey(conn->fd, conn->suite, KTC_TX,
				     conn->secret[KTC_TX]);
	if (err) {
		conn_fail(conn, -KTC_E_KEY_UPDATE, -err);
		return;
	}
	conn->key_records[KTC_TX] = 0;
	conn->rekeys[KTC_TX]++;
	conn_note(conn, KTC_EV_REKEYED, KTC_TX);
}

static void kernel_send_done(struct ktc_conn *conn, enum ring_op op, int res)
{
	if (conn->control) {
		mem_pool_put(&conn->loop->control_pool, conn->control);
		conn->control = NULL;
		if (res < 0)
			conn_fail(conn, res, -res);
		else if (conn->key_update_sent)
			kernel_rekey_tx(conn);
		return;
	}
	if (op == RING_SPLICE_IN) {
		if (res > 0)
			conn->file->in_pipe = res;
		else
			conn_head_failed(conn, res ? res : -ENODATA);
		return;
	}
	if (res < 0) {
		conn_fail(conn, res, -res);
		return;
	}
	if (op == RING_SPLICE_OUT)
		conn->file->in_pipe -= res;
	conn_sent(conn, res);
}

const struct plane_ops plane_kernel = {
	.id = KTC_PLANE_KERNEL,
	.recv_arm = kernel_recv_arm,
	.recv_done = kernel_recv_done,
	.send = kernel_send,
	.send_done = kernel_send_done,
};
