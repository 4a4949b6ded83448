// SPDX-License-Identifier: MIT
/*
 * Records through OpenSSL: the handshake, and data until the connection moves
 * to the kernel plane, or for good. What came in a receive buffer is opened
 * into its shadow, one record at a time, so that the sequence numbers are
 * known at every record boundary. Sending seals a batch of the queue, sends
 * it as a whole and then tells whose bytes went.
 */
#include "plane.h"

#include <errno.h>

#include "conn.h"
#include "limit.h"
#include "util.h"

static bool user_recv_arm(struct ktc_conn *conn)
{
	struct ring *ring = &conn->loop->ring;
	struct io_uring_sqe *sqe;

	if (!ring_room(ring, 1))
		return false;
	sqe = conn_sqe(conn);
	if (conn->state == CONN_OPEN || conn->state == CONN_CLOSING ||
	    (conn->opened && conn->send_busy)) {
		conn->recv_exact = false;
		io_uring_prep_recv_multishot(sqe, conn->fd, NULL, 0, 0);
	} else {
		/*
		 * One receive at a time: before a handover nothing may be
		 * taken from the socket that is the kernel's to open. While
		 * the move waits for a boundary, not a byte past it.
		 */
		size_t len = LIMIT_RECV_BUFFER;

		conn->recv_exact = conn->move == MOVE_QUIET;
		if (conn->recv_exact)
			len = ossl_missing(conn->setup->ossl);
		io_uring_prep_recv(sqe, conn->fd, NULL, len, 0);
	}
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = ring->buf_group;
	ring_tag(ring, sqe, RING_RECV, 0, conn->slot);
	conn->recv_armed = true;
	return true;
}

/* One whole record is in OpenSSL. Bytes of data it gave, or an error. */
static ssize_t user_record(struct ktc_conn *conn, uint8_t *out, size_t room)
{
	struct ossl *o = conn->setup->ossl;
	size_t got = 0;
	ssize_t n;

	while ((n = ossl_read(o, out + got, room - got)) > 0)
		got += n;
	conn->records[KTC_RX]++;
	conn->key_records[KTC_RX]++;
	if (n < 0)
		return n;
	if (!got && !record_rate_take(&conn->rate, conn->loop->now_us))
		return -KTC_E_FLOOD;
	return got;
}

static void user_input(struct ktc_conn *conn, uint32_t bid, size_t len)
{
	const uint8_t *p = ring_buf(&conn->loop->ring, bid);
	uint8_t *out = ring_shadow(&conn->loop->ring, bid);
	struct ossl *o = conn->setup->ossl;
	bool handshaking = conn->state == CONN_HANDSHAKING;
	bool whole, done = false;
	size_t got = 0;
	ssize_t n = 0;

	while (len && !ossl_closed(o)) {
		n = ossl_feed(o, p, len, &whole);
		if (n < 0)
			break;
		p += n;
		len -= n;
		if (handshaking && !done) {
			n = ossl_handshake(o);
			done = n == 1;
		} else if (whole) {
			n = user_record(conn, out + got, RING_SHADOW_LEN - got);
			got += MAX(n, 0);
		} else {
			/* OpenSSL keeps the beginning of a record itself */
			n = ossl_read(o, out + got, RING_SHADOW_LEN - got);
		}
		if (n < 0)
			break;
	}
	if (done)
		conn_handshaken(conn);
	if (got)
		conn_data(conn, bid, out, got);
	else
		loop_buf_give(conn->loop, bid);
	if (n < 0)
		conn_fail_ossl(conn, n);
	else if (ossl_closed(o))
		conn_close_notify(conn);
}

static void user_recv_done(struct ktc_conn *conn, int res, int bid)
{
	if (res > 0 && bid >= 0) {
		if (conn->setup->fast_open)
			conn_reached(conn);
		user_input(conn, bid, res);
		return;
	}
	if (bid >= 0)
		loop_buf_give(conn->loop, bid);
	if (!res)
		conn_fin(conn);
	else if (res == -ENOBUFS)
		loop_starve(conn->loop, conn);
	else if (res != -ECANCELED)
		conn_fail(conn, res, -res);
}

/* Reads the next piece of a file. False: no room. */
static bool user_read_file(struct ktc_conn *conn, struct send_op *op)
{
	struct ring *ring = &conn->loop->ring;
	struct file_pump *file = conn->file;
	struct io_uring_sqe *sqe;

	if (!file) {
		file = mem_zalloc(sizeof(*file));
		if (file)
			file->buf = mem_zalloc(LIMIT_FILE_CHUNK);
		if (!file || !file->buf) {
			mem_free(file);
			conn_head_failed(conn, -ENOMEM);
			return true;
		}
		file->pipe[0] = file->pipe[1] = -1;
		conn->file = file;
	}
	if (!ring_room(ring, 1))
		return false;
	sqe = conn_sqe(conn);
	io_uring_prep_read(sqe, op->fd, file->buf,
			   MIN(op->len - op->sealed, LIMIT_FILE_CHUNK),
			   op->file_off + op->sealed);
	ring_tag(ring, sqe, RING_READ, 0, conn->slot);
	conn->send_busy = true;
	return true;
}

static int user_seal(struct ktc_conn *conn, const uint8_t *p, uint64_t len)
{
	uint64_t records = (len + LIMIT_RECORD_PLAIN - 1) / LIMIT_RECORD_PLAIN;
	int err = ossl_write(conn->setup->ossl, p, len);

	if (!err)
		conn->records[KTC_TX] += records;
	return err;
}

/* Seals from the queue, up to a batch. True: a file is to be read first. */
static bool user_seal_queue(struct ktc_conn *conn)
{
	uint64_t room = LIMIT_USER_BATCH;
	struct send_op *op;
	uint64_t n;
	int err = 0;

	for (op = conn->send_head; op && room; op = op->next) {
		if (op->sealed == op->len)
			continue;
		if (!op->buf)
			return room == LIMIT_USER_BATCH;
		n = MIN(op->len - op->sealed, room);
		err = user_seal(conn, op->buf + op->sealed, n);
		if (err)
			break;
		op->sealed += n;
		room -= n;
	}
	if (err)
		conn_fail_ossl(conn, err);
	return false;
}

static bool user_send(struct ktc_conn *conn)
{
	struct ring *ring = &conn->loop->ring;
	struct setup *setup = conn->setup;
	struct io_uring_sqe *sqe;
	int err = 0;

	if (conn->send_busy)
		return true;
	if (setup->out_sent == setup->out_len) {
		if (conn_may_send(conn) && !ossl_out_pending(setup->ossl)) {
			if (conn->key_update && !conn->close_notify_sent) {
				err = ossl_key_update(setup->ossl,
						      conn->key_update == 2);
				conn->key_update = 0;
			}
			if (!err && user_seal_queue(conn))
				return user_read_file(conn, conn->send_head);
			if (!err && conn_says_goodbye(conn)) {
				err = ossl_close_notify(setup->ossl);
				conn->close_notify_sent = true;
			}
			if (err) {
				conn_fail_ossl(conn, err);
				return true;
			}
		}
		if (conn->state == CONN_ENDING ||
		    !ossl_out_pending(setup->ossl))
			return true;
		if (!ring_room(ring, 1))
			return false;
		setup->out_len = ossl_out(setup->ossl, &setup->out);
		setup->out_sent = 0;
	}
	if (!ring_room(ring, 1))
		return false;
	sqe = conn_sqe(conn);
	/* plain TCP or unix: the kernel may finish short sends by itself */
	io_uring_prep_send(sqe, conn->fd, setup->out + setup->out_sent,
			   setup->out_len - setup->out_sent,
			   MSG_NOSIGNAL | MSG_WAITALL);
	ring_tag(ring, sqe, RING_SEND, 0, conn->slot);
	conn->send_busy = true;
	return true;
}

/* The batch is out: each operation's sealed bytes are sent ones. */
static void user_batch_done(struct ktc_conn *conn)
{
	ossl_out_done(conn->setup->ossl);
	conn->setup->out_len = conn->setup->out_sent = 0;
	while (conn->send_head && conn->send_head->sealed >
					  conn->send_head->sent)
		conn_sent(conn, conn->send_head->sealed -
					conn->send_head->sent);
}

static void user_send_done(struct ktc_conn *conn, enum ring_op op, int res)
{
	struct setup *setup = conn->setup;
	struct send_op *head = conn->send_head;
	int err;

	if (op == RING_READ) {
		if (res <= 0) {
			conn_head_failed(conn, res ? res : -ENODATA);
			return;
		}
		err = user_seal(conn, conn->file->buf, res);
		if (err)
			conn_fail_ossl(conn, err);
		else
			head->sealed += res;
		return;
	}
	if (res < 0) {
		conn_fail(conn, res, -res);
		return;
	}
	setup->out_sent += res;
	if (setup->out_sent == setup->out_len)
		user_batch_done(conn);
}

const struct plane_ops plane_user = {
	.id = KTC_PLANE_USER,
	.recv_arm = user_recv_arm,
	.recv_done = user_recv_done,
	.send = user_send,
	.send_done = user_send_done,
};
