// SPDX-License-Identifier: MIT
/*
 * The steps behind the handshake that are not data: post-handshake messages,
 * the ways a connection ends, and what no honest server does. OpenSSL does
 * what it can be asked for; records it would never write are sealed with the
 * connection's keys (reframe.h).
 */
#include "peer_conn.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>

#define TICKET_LIFETIME_OFFSET	4	/* behind the handshake header */

#define ALERT_WARNING		1
#define ALERT_USER_CANCELED	90

/* Unsealed bytes, the same in every run. */
static int put_garbage(struct peer_conn *c, size_t len)
{
	uint8_t *room;

	if (pconn_collect(c))
		return -1;
	room = bytes_reserve(&c->out, len);
	if (!room)
		return pconn_fail(c, "no memory");
	peer_pattern_fill(room, UINT64_C(1) << 60, len);
	c->out.len += len;
	return 0;
}

static int op_empty_records(struct peer_conn *c, const struct peer_step *s)
{
	for (uint64_t i = 0; i < s->a; i++)
		if (pconn_seal(c, RECORD_DATA, NULL, 0) || pconn_flush(c))
			return -1;
	return 0;
}

/* --------------------------------------------- post-handshake messages */

/* Makes OpenSSL write one ticket; where it goes is the caller's matter. */
static int make_ticket(struct peer_conn *c)
{
	int ret;

	ERR_clear_error();
	if (SSL_new_session_ticket(c->ssl) <= 0)
		return pconn_fail_ssl(c, 0);
	ret = SSL_do_handshake(c->ssl);
	if (ret != 1)
		return pconn_fail_ssl(c, ret);
	return pconn_collect(c);
}

/* Takes @count tickets out of OpenSSL's output, as handshake messages. */
static int capture_tickets(struct peer_conn *c, uint64_t count,
			   struct bytes *msgs)
{
	int err;

	if (pconn_need_tls13(c) || pconn_collect(c))
		return -1;
	c->rs.capture = msgs;
	do {
		err = make_ticket(c);
	} while (!err && --count);
	c->rs.capture = NULL;
	if (!err && !msgs->len)
		err = pconn_fail(c, "OpenSSL wrote no ticket");
	return err;
}

static int seal_messages(struct peer_conn *c, const struct bytes *msgs)
{
	return pconn_seal(c, RECORD_HANDSHAKE, bytes_data(msgs), msgs->len);
}

static int send_ticket_lifetime(struct peer_conn *c, uint32_t lifetime_s)
{
	struct bytes msg = { 0 };
	uint8_t *p;
	int err = capture_tickets(c, 1, &msg);

	if (!err) {
		p = bytes_data(&msg) + TICKET_LIFETIME_OFFSET;
		for (int i = 3; i >= 0; i--, lifetime_s >>= 8)
			p[i] = (uint8_t)lifetime_s;
		err = seal_messages(c, &msg);
	}
	bytes_fini(&msg);
	return err;
}

static int op_tickets(struct peer_conn *c, const struct peer_step *s)
{
	if (pconn_need_tls13(c))
		return -1;
	for (uint64_t i = 0; i < s->a; i++) {
		if (s->b ? send_ticket_lifetime(c, (uint32_t)s->b) :
			   make_ticket(c))
			return -1;
		if (pconn_flush(c))
			return -1;
	}
	return 0;
}

static int op_ticket_split(struct peer_conn *c, const struct peer_step *s)
{
	uint64_t parts = s->a < 2 ? 2 : s->a;
	struct bytes msg = { 0 };
	int err = capture_tickets(c, 1, &msg);
	size_t n;

	if (!err && (parts > msg.len || s->b >= msg.len))
		err = pconn_fail(c, "a ticket has only %zu bytes", msg.len);
	for (; !err && parts; parts--) {
		n = msg.len / parts;
		if (s->b && msg.head == 0)
			n = s->b;
		err = pconn_seal(c, RECORD_HANDSHAKE, bytes_data(&msg), n);
		bytes_take(&msg, n);
	}
	bytes_fini(&msg);
	return err ? err : pconn_flush(c);
}

static int op_tickets_doubled(struct peer_conn *c, const struct peer_step *s)
{
	struct bytes msgs = { 0 };
	int err = capture_tickets(c, or_default(s->a, 2), &msgs);

	if (!err)
		err = seal_messages(c, &msgs);
	bytes_fini(&msgs);
	return err ? err : pconn_flush(c);
}

static int op_ticket_and_keyupdate(struct peer_conn *c,
				   const struct peer_step *s)
{
	uint8_t key_update[] = { MSG_KEY_UPDATE, 0, 0, 1, s->b != 0 };
	struct bytes msgs = { 0 };
	int err = capture_tickets(c, 1, &msgs);

	if (!err && bytes_append(&msgs, key_update, sizeof(key_update)))
		err = pconn_fail(c, "no memory");
	if (!err)
		err = seal_messages(c, &msgs);
	bytes_fini(&msgs);
	if (err)
		return err;
	if (reframe_next_keys(&c->rs))
		return pconn_fail(c, "next keys");
	c->res.key_updates_sent++;
	return pconn_flush(c);
}

static int op_key_update(struct peer_conn *c, const struct peer_step *s)
{
	int type = s->b ? SSL_KEY_UPDATE_REQUESTED :
			  SSL_KEY_UPDATE_NOT_REQUESTED;
	uint64_t left = or_default(s->a, 1);
	int ret;

	if (pconn_need_tls13(c))
		return -1;
	while (left--) {
		ERR_clear_error();
		if (SSL_key_update(c->ssl, type) <= 0)
			return pconn_fail_ssl(c, 0);
		ret = SSL_do_handshake(c->ssl);
		if (ret != 1)
			return pconn_fail_ssl(c, ret);
		if (pconn_flush(c))
			return -1;
	}
	return 0;
}

/* Takes the record that SSL_peek() has found, and no byte behind it. */
static int take_record(struct peer_conn *c)
{
	uint8_t buf[RECORD_DATA_MAX];
	int n = pconn_read(c, buf, (size_t)SSL_pending(c->ssl));

	if (n < 0)
		return -1;
	if (peer_pattern_check(buf, c->received - (uint64_t)n, (size_t)n) !=
	    (size_t)n)
		return pconn_fail(c, "data received is wrong");
	return 0;
}

static int op_wait_key_update(struct peer_conn *c, const struct peer_step *s)
{
	uint64_t want = or_default(s->a, 1);
	uint8_t byte;
	bool again;
	int n;

	while (c->res.key_updates_received < want) {
		/* OpenSSL reads messages; the data stays for other steps. */
		ERR_clear_error();
		n = SSL_peek(c->ssl, &byte, 1);
		again = SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ;
		if (n <= 0 && !again)
			return pconn_fail_ssl(c, n);
		if (pconn_flush(c))
			return -1;
		if (c->res.key_updates_received >= want)
			break;
		if (n > 0) {
			if (take_record(c))
				return -1;
			continue;
		}
		n = pconn_fill(c);
		if (n <= 0)
			return n ? -1 : pconn_fail(c, "the client left");
	}
	return 0;
}

static int op_hello_request(struct peer_conn *c, const struct peer_step *s)
{
	static const uint8_t msg[4];	/* HelloRequest is type 0, empty */

	(void)s;
	if (pconn_seal(c, RECORD_HANDSHAKE, msg, sizeof(msg)))
		return -1;
	return pconn_flush(c);
}

/* ---------------------------------------------------------- endings -- */

static int op_alert(struct peer_conn *c, const struct peer_step *s)
{
	const uint8_t alert[] = { (uint8_t)s->a, (uint8_t)s->b };
	const uint8_t plain[] = { RECORD_ALERT, 3, 3, 0, 2, alert[0],
				  alert[1] };

	if (pconn_collect(c))
		return -1;
	if (c->rs.armed) {
		if (pconn_seal(c, RECORD_ALERT, alert, sizeof(alert)))
			return -1;
	} else if (bytes_append(&c->out, plain, sizeof(plain))) {
		return pconn_fail(c, "no memory");
	}
	return pconn_flush(c);
}

static int op_close_notify(struct peer_conn *c, const struct peer_step *s)
{
	int ret;

	(void)s;
	ERR_clear_error();
	ret = SSL_shutdown(c->ssl);
	if (ret < 0 && SSL_get_error(c->ssl, ret) != SSL_ERROR_WANT_READ)
		return pconn_fail_ssl(c, ret);
	return pconn_flush(c);
}

static int op_fin(struct peer_conn *c, const struct peer_step *s)
{
	(void)s;
	return pconn_shutdown(c);
}

static int op_fin_mid_record(struct peer_conn *c, const struct peer_step *s)
{
	size_t before, len;

	if (pconn_collect(c))
		return -1;
	before = c->out.len;
	if (pconn_seal_pattern(c, RECORD_DATA, or_default(s->a, 1000)))
		return -1;
	len = c->out.len - before;
	if (s->b >= len)
		return pconn_fail(c, "the record has only %zu bytes", len);
	c->out.len = before + or_default(s->b, len / 2);
	return pconn_shutdown(c);
}

static int op_rst(struct peer_conn *c, const struct peer_step *s)
{
	struct linger now = { .l_onoff = 1 };
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };

	(void)s;
	c->closed = true;
	c->eof = true;
	if (setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)))
		return pconn_fail(c, "SO_LINGER: %s", strerror(errno));
	/*
	 * Disconnecting resets a TCP connection at once; a unix socket, which
	 * cannot, is reset when it is closed behind the script.
	 */
	(void)connect(c->fd, &unspec, sizeof(unspec));
	return 0;
}

/* ------------------------------------------------------- violations -- */

static int op_garbage(struct peer_conn *c, const struct peer_step *s)
{
	return put_garbage(c, s->a) ? -1 : pconn_flush(c);
}

static int op_bad_record(struct peer_conn *c, const struct peer_step *s)
{
	if (pconn_seal_pattern(c, RECORD_DATA, or_default(s->a, 100)))
		return -1;
	bytes_data(&c->out)[c->out.len - 1] ^= 1;
	return pconn_flush(c);
}

static int op_huge_record(struct peer_conn *c, const struct peer_step *s)
{
	size_t max = RECORD_DATA_MAX +
		     (SSL_version(c->ssl) == TLS1_3_VERSION ? 256 : 2048);
	size_t len = or_default(s->a, max + 1);
	uint8_t header[] = { RECORD_DATA, 3, 3, (uint8_t)(len >> 8),
			     (uint8_t)len };

	if (len > UINT16_MAX)
		return pconn_fail(c, "does not fit a length field");
	if (pconn_collect(c))
		return -1;
	if (bytes_append(&c->out, header, sizeof(header)))
		return pconn_fail(c, "no memory");
	return put_garbage(c, len) ? -1 : pconn_flush(c);
}

static int op_record(struct peer_conn *c, const struct peer_step *s)
{
	if (pconn_seal_pattern(c, (uint8_t)s->a, s->b))
		return -1;
	return pconn_flush(c);
}

static int op_silence(struct peer_conn *c, const struct peer_step *s)
{
	int err = pconn_drain(c);

	(void)s;
	return err ? pconn_fail(c, "%s", strerror(-err)) : 0;
}

static int flood_one(struct peer_conn *c, enum peer_flood what)
{
	static const struct peer_step one = { .a = 1 };
	static const struct peer_step warning = {
		.a = ALERT_WARNING, .b = ALERT_USER_CANCELED,
	};

	switch (what) {
	case PEER_FLOOD_EMPTY:
		return op_empty_records(c, &one);
	case PEER_FLOOD_WARNINGS:
		return op_alert(c, &warning);
	case PEER_FLOOD_TICKETS:
		return op_tickets(c, &one);
	case PEER_FLOOD_KEY_UPDATES:
		return op_key_update(c, &one);
	case PEER_FLOOD_HELLO_REQUESTS:
		return op_hello_request(c, &one);
	}
	return pconn_fail(c, "no such flood");
}

static int op_flood(struct peer_conn *c, const struct peer_step *s)
{
	for (uint64_t i = 0; i < s->a; i++)
		if (flood_one(c, (enum peer_flood)s->b))
			return -1;
	return 0;
}

const struct peer_op_entry peer_post_ops[PEER_NR_OPS] = {
	[PEER_EMPTY_RECORDS] = { "empty records", op_empty_records },
	[PEER_TICKETS] = { "tickets", op_tickets },
	[PEER_TICKET_SPLIT] = { "ticket split", op_ticket_split },
	[PEER_TICKETS_DOUBLED] = { "tickets doubled", op_tickets_doubled },
	[PEER_TICKET_AND_KEYUPDATE] = { "ticket and keyupdate",
					op_ticket_and_keyupdate },
	[PEER_KEY_UPDATE] = { "key update", op_key_update },
	[PEER_WAIT_KEY_UPDATE] = { "wait key update", op_wait_key_update },
	[PEER_HELLO_REQUEST] = { "hello request", op_hello_request },
	[PEER_ALERT] = { "alert", op_alert },
	[PEER_CLOSE_NOTIFY] = { "close_notify", op_close_notify },
	[PEER_FIN] = { "fin", op_fin },
	[PEER_FIN_MID_RECORD] = { "fin mid record", op_fin_mid_record },
	[PEER_RST] = { "rst", op_rst },
	[PEER_GARBAGE] = { "garbage", op_garbage },
	[PEER_BAD_RECORD] = { "bad record", op_bad_record },
	[PEER_HUGE_RECORD] = { "huge record", op_huge_record },
	[PEER_RECORD] = { "record", op_record },
	[PEER_SILENCE] = { "silence", op_silence },
	[PEER_FLOOD] = { "flood", op_flood },
};
