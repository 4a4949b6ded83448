// SPDX-License-Identifier: MIT
/*
 * A connection's send queue: the caller's operations in order, bounded in
 * bytes. What the planes have got through comes back as conn_sent(); each
 * operation ends in one SENT, whatever happens.
 */
#include <errno.h>

#include "conn.h"
#include "limit.h"
#include "relay.h"
#include "util.h"

int send_queue(struct ktc_conn *conn, const struct send_op *model)
{
	uint32_t max = conn->client->config.send_queue_max;

	/* an empty queue takes any size, or a large file could never go */
	if (conn->send_head && (conn->queued >= max ||
				model->len > max - conn->queued))
		return -EAGAIN;
	return send_add(conn, model);
}

int send_add(struct ktc_conn *conn, const struct send_op *model)
{
	struct send_op *op;

	op = mem_pool_get(&conn->loop->send_pool);
	if (!op)
		return -ENOMEM;
	*op = *model;
	op->conn = conn;
	*conn->send_tail = op;
	conn->send_tail = &op->next;
	conn->queued += op->len;
	return 0;
}

static void send_pop(struct ktc_conn *conn, int err)
{
	struct send_op *op = conn->send_head;

	conn->send_head = op->next;
	if (!conn->send_head)
		conn->send_tail = &conn->send_head;
	conn->queued -= op->len - op->sent;
	if (op->piece) {
		relay_up_ended(conn, op);
		return;
	}
	op->err = err;
	event_push(&conn->loop->events, &op->ev, KTC_EV_SENT);
}

void conn_sent(struct ktc_conn *conn, uint64_t n)
{
	struct send_op *op = conn->send_head;

	n = MIN(n, op->len - op->sent);
	op->sent += n;
	conn->queued -= n;
	conn->bytes[KTC_TX] += n;
	if (op->piece && conn->relay)
		conn->relay->moved[KTC_TX] += n;
	/* an upper bound: each piece may end in a record of its own */
	conn->key_records[KTC_TX] += n / LIMIT_RECORD_PLAIN + 1;
	if (op->sent == op->len)
		send_pop(conn, 0);
}

void conn_head_failed(struct ktc_conn *conn, int err)
{
	send_pop(conn, err);
	/* bytes of it may be out: what follows would not mean the same */
	conn_fail(conn, err, err > -KTC_E_BASE ? -err : 0);
}

void send_drop_all(struct ktc_conn *conn, int err)
{
	while (conn->send_head)
		send_pop(conn, err);
}
