// SPDX-License-Identifier: MIT
/*
 * The steps of a script that make up an honest connection, one function each:
 * handshake, data, and how output is delivered. The others are in peer_post.c.
 */
#include "peer_conn.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>

/* -------------------------------------------------------- handshake -- */

/*
 * One round: what the SSL can do with what it has. Output is collected, not
 * sent. Return: 1 when complete, 0 when it needs input, -1.
 */
static int handshake_round(struct peer_conn *c)
{
	int ret;

	ERR_clear_error();
	ret = SSL_do_handshake(c->ssl);
	if (ret == 1) {
		pconn_note_handshake(c);
		return pconn_collect(c) ? -1 : 1;
	}
	if (SSL_get_error(c->ssl, ret) == SSL_ERROR_WANT_READ)
		return pconn_collect(c);
	pconn_fail_ssl(c, ret);
	/* The alert that says why; the error stands already. */
	(void)pconn_flush(c);
	return -1;
}

static int handshake_input(struct peer_conn *c)
{
	int n;

	if (pconn_send_out(c, c->out.len))
		return -1;
	n = pconn_fill(c);
	if (!n)
		return pconn_fail(c, "the client left during the handshake");
	return n < 0 ? -1 : 0;
}

/* Goes on until complete; the last flight stays in the output queue. */
static int handshake_run(struct peer_conn *c)
{
	int done;

	while (!(done = handshake_round(c)))
		if (handshake_input(c))
			return -1;
	return done < 0 ? -1 : 0;
}

const uint8_t peer_clear[5] = { RECORD_DATA, 3, 3, 0x40, 0 };

static int op_clear(struct peer_conn *c, const struct peer_step *s)
{
	uint8_t byte, want;
	int err;

	for (uint64_t i = 0; i < sizeof(peer_clear) + s->a; i++) {
		err = pconn_wait(c, POLLIN);
		if (err)
			return pconn_fail(c, "receiving: %s", strerror(-err));
		if (recv(c->fd, &byte, 1, 0) != 1)
			return pconn_fail(c, "the client left");
		want = i < sizeof(peer_clear) ?
			       peer_clear[i] :
			       peer_pattern(i - sizeof(peer_clear));
		if (byte != want)
			return pconn_fail(c, "byte %llu is another",
					  (unsigned long long)i);
	}
	return 0;
}

static int op_handshake(struct peer_conn *c, const struct peer_step *s)
{
	(void)s;
	if (handshake_run(c))
		return -1;
	c->hold |= c->hold_last;
	return pconn_flush(c);
}

static int op_handshake_half_rtt(struct peer_conn *c,
				 const struct peer_step *s)
{
	uint64_t left = s->a, record = or_default(s->b, RECORD_DATA_MAX);
	int done;

	/* The keys come with the server's Finished. */
	while (!(done = handshake_round(c)) && !c->rs.armed)
		if (handshake_input(c))
			return -1;
	if (done < 0 || pconn_need_tls13(c))
		return -1;
	if (done)
		return pconn_fail(c, "complete before half-RTT data");
	while (left) {
		size_t n = left < record ? left : record;

		if (pconn_seal_pattern(c, RECORD_DATA, n))
			return -1;
		c->sent += n;
		left -= n;
	}
	c->res.bytes_sent = c->sent;
	return op_handshake(c, s);
}

static int op_send(struct peer_conn *c, const struct peer_step *s)
{
	uint64_t left = s->a, record = or_default(s->b, RECORD_DATA_MAX);
	uint8_t buf[RECORD_DATA_MAX];

	if (record > sizeof(buf))
		return pconn_fail(c, "record size beyond %zu", sizeof(buf));
	while (left) {
		size_t n = left < record ? left : record;

		peer_pattern_fill(buf, c->sent, n);
		if (pconn_write(c, buf, n))
			return -1;
		left -= n;
	}
	return 0;
}

static int op_handshake_speak_first(struct peer_conn *c,
				    const struct peer_step *s)
{
	bool hold;
	int err;

	if (handshake_run(c))
		return -1;
	hold = c->hold || c->hold_last;
	c->hold = true;
	err = op_send(c, s);
	c->hold = hold;
	return err ? err : pconn_flush(c);
}

static int op_hold_last_flight(struct peer_conn *c, const struct peer_step *s)
{
	(void)s;
	c->hold_last = true;
	return 0;
}

/* ------------------------------------------------------------- data -- */

/* Return: bytes that came and are the stream; 0 at the end; -1. */
static int read_checked(struct peer_conn *c, uint8_t *buf, size_t len)
{
	uint64_t start = c->received;
	int n = pconn_read(c, buf, len);
	size_t good;

	if (n <= 0)
		return n;
	good = peer_pattern_check(buf, start, (size_t)n);
	if (good < (size_t)n)
		return pconn_fail(c, "byte %llu received is wrong",
				  (unsigned long long)start + good);
	return n;
}

static int op_recv(struct peer_conn *c, const struct peer_step *s)
{
	uint8_t buf[RECORD_DATA_MAX];
	uint64_t left = s->a;
	int n;

	while (left) {
		n = read_checked(c, buf,
				 left < sizeof(buf) ? left : sizeof(buf));
		if (n < 0)
			return -1;
		if (!n)
			return pconn_fail(c, "%llu bytes are missing",
					  (unsigned long long)left);
		left -= (uint64_t)n;
	}
	return 0;
}

static int op_recv_slow(struct peer_conn *c, const struct peer_step *s)
{
	int err;

	c->slow = or_default(s->b, 1);
	c->budget = 0;
	err = op_recv(c, s);
	c->slow = 0;
	return err;
}

static int op_echo(struct peer_conn *c, const struct peer_step *s)
{
	uint8_t buf[RECORD_DATA_MAX];
	int n;

	(void)s;
	while ((n = pconn_read(c, buf, sizeof(buf))) > 0)
		if (pconn_write(c, buf, (size_t)n))
			return -1;
	return n;
}

static int op_discard(struct peer_conn *c, const struct peer_step *s)
{
	uint8_t buf[RECORD_DATA_MAX];
	int n;

	(void)s;
	while ((n = pconn_read(c, buf, sizeof(buf))) > 0)
		;
	return n;
}

static int op_pad(struct peer_conn *c, const struct peer_step *s)
{
	/* A padded KeyUpdate is not told by its length any more. */
	c->rs.open_all = true;
	if (SSL_set_block_padding(c->ssl, s->a) <= 0)
		return pconn_fail(c, "block size refused");
	return 0;
}

/* --------------------------------------------------------- delivery -- */

static int op_split_tcp(struct peer_conn *c, const struct peer_step *s)
{
	c->piece = s->a;
	return 0;
}

static int op_hold(struct peer_conn *c, const struct peer_step *s)
{
	(void)s;
	c->hold = true;
	return 0;
}

static int op_release(struct peer_conn *c, const struct peer_step *s)
{
	if (s->a > c->out.len)
		return pconn_fail(c, "only %zu bytes are held", c->out.len);
	if (s->a)
		return pconn_send_out(c, s->a);
	c->hold = false;
	return pconn_flush(c);
}

static int op_barrier(struct peer_conn *c, const struct peer_step *s)
{
	int err = pconn_wait_go(c);

	(void)s;
	return err ? pconn_fail(c, "%s", strerror(-err)) : 0;
}

static const struct peer_op_entry peer_ops[PEER_NR_OPS] = {
	[PEER_END] = { "end", NULL },
	[PEER_CLEAR] = { "clear", op_clear },
	[PEER_HANDSHAKE] = { "handshake", op_handshake },
	[PEER_HANDSHAKE_HALF_RTT] = { "handshake half-rtt",
				      op_handshake_half_rtt },
	[PEER_HANDSHAKE_SPEAK_FIRST] = { "handshake speak-first",
					 op_handshake_speak_first },
	[PEER_HOLD_LAST_FLIGHT] = { "hold last flight", op_hold_last_flight },
	[PEER_SEND] = { "send", op_send },
	[PEER_RECV] = { "recv", op_recv },
	[PEER_RECV_SLOW] = { "recv slow", op_recv_slow },
	[PEER_ECHO] = { "echo", op_echo },
	[PEER_DISCARD] = { "discard", op_discard },
	[PEER_PAD] = { "pad", op_pad },
	[PEER_SPLIT_TCP] = { "split tcp", op_split_tcp },
	[PEER_HOLD] = { "hold", op_hold },
	[PEER_RELEASE] = { "release", op_release },
	[PEER_BARRIER] = { "barrier", op_barrier },
	[PEER_NEXT_CONN] = { "next conn", NULL },
};

static const struct peer_op_entry *entry(enum peer_op op)
{
	if ((unsigned int)op >= PEER_NR_OPS)
		return NULL;
	return peer_ops[op].name ? &peer_ops[op] : &peer_post_ops[op];
}

const char *peer_op_name(enum peer_op op)
{
	const struct peer_op_entry *e = entry(op);

	return e ? e->name : "?";
}

int pconn_step(struct peer_conn *c)
{
	return entry(c->step->op)->run(c, c->step);
}
