// SPDX-License-Identifier: MIT
/*
 * How bytes move in a connection of the peer:
 *
 *	SSL -> wbio -> raw -> whole records -> reframe -> out -> socket
 *	SSL <- rbio <- socket
 *
 * The socket blocks; poll() before each call keeps the step's deadline and
 * lets peer_stop() in.
 */
#include "peer_conn.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>

#define FILL_MAX	16384

int pconn_fail(struct peer_conn *c, const char *fmt, ...)
{
	char *text = c->res.error;
	va_list ap;
	int n;

	/* The first error says what went wrong. */
	if (*text)
		return -1;
	n = snprintf(text, sizeof(c->res.error), "step %u (%s): ",
		     (unsigned int)(c->step - c->steps),
		     peer_op_name(c->step->op));
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(c->res.error) - (size_t)n, fmt, ap);
	va_end(ap);
	return -1;
}

int pconn_fail_ssl(struct peer_conn *c, int ret)
{
	int why = SSL_get_error(c->ssl, ret);
	unsigned long code = ERR_peek_error();
	const char *text = ERR_reason_error_string(code);

	pconn_fail(c, "OpenSSL: %s (SSL_get_error %d)",
		   text ? text : "no reason given", why);
	ERR_clear_error();
	return -1;
}

static int fail_errno(struct peer_conn *c, const char *what, int err)
{
	return pconn_fail(c, "%s: %s", what, strerror(-err));
}

/* TLS 1.2 keys are due when ChangeCipherSpec is on its way. */
static int arm(struct peer_conn *c, uint8_t type)
{
	const SSL_CIPHER *cipher;
	int err = 0;

	if (c->secret_len) {
		cipher = SSL_get_pending_cipher(c->ssl);
		if (!cipher)
			cipher = SSL_get_current_cipher(c->ssl);
		err = reframe_arm_tls13(&c->rs, cipher, c->secret,
					c->secret_len);
		OPENSSL_cleanse(c->secret, sizeof(c->secret));
		c->secret_len = 0;
	} else if (type == RECORD_CCS &&
		   SSL_version(c->ssl) == TLS1_2_VERSION) {
		err = reframe_arm_tls12(&c->rs, c->ssl);
	}
	return err ? fail_errno(c, "server keys", err) : 0;
}

static int collect_record(struct peer_conn *c, const uint8_t *rec, size_t len)
{
	int err;

	if (!c->rs.armed && arm(c, rec[0]))
		return -1;
	err = reframe_feed(&c->rs, rec, len, &c->out);
	return err ? fail_errno(c, "re-framing", err) : 0;
}

int pconn_collect(struct peer_conn *c)
{
	size_t pending = BIO_ctrl_pending(c->wbio);
	const uint8_t *rec;
	uint8_t *room;
	size_t len;

	if (pending) {
		room = bytes_reserve(&c->raw, pending);
		if (!room)
			return fail_errno(c, "output", -ENOMEM);
		if (BIO_read(c->wbio, room, (int)pending) != (int)pending)
			return pconn_fail(c, "short read from memory BIO");
		c->raw.len += pending;
	}
	while (c->raw.len >= RECORD_HEADER_LEN) {
		rec = bytes_data(&c->raw);
		len = RECORD_HEADER_LEN + ((size_t)rec[3] << 8 | rec[4]);
		if (c->raw.len < len)
			break;
		if (collect_record(c, rec, len))
			return -1;
		bytes_take(&c->raw, len);
	}
	if (c->hold && c->out.len > PEER_HELD_MAX)
		return pconn_fail(c, "more than %u bytes held", PEER_HELD_MAX);
	return 0;
}

static int send_error(struct peer_conn *c, int err)
{
	c->res.reset = err == EPIPE || err == ECONNRESET;
	return fail_errno(c, "send", -err);
}

int pconn_send_out(struct peer_conn *c, size_t len)
{
	size_t piece;
	ssize_t n;
	int err;

	while (len) {
		err = pconn_wait(c, POLLOUT);
		if (err)
			return fail_errno(c, "sending", err);
		piece = c->piece && c->piece < len ? c->piece : len;
		n = send(c->fd, bytes_data(&c->out), piece,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return send_error(c, errno);
		bytes_take(&c->out, (size_t)n);
		len -= (size_t)n;
	}
	return 0;
}

int pconn_flush(struct peer_conn *c)
{
	if (pconn_collect(c))
		return -1;
	return c->hold ? 0 : pconn_send_out(c, c->out.len);
}

static int await_input(struct peer_conn *c)
{
	int err;

	if (c->slow && !c->budget) {
		err = pconn_wait_go(c);
		if (err)
			return err;
		c->budget = c->slow;
	}
	return pconn_wait(c, POLLIN);
}

/* Returns what recv() does; a reset is an end of file that is remembered. */
static ssize_t receive(struct peer_conn *c, void *buf, size_t len)
{
	ssize_t n;

	do {
		n = recv(c->fd, buf, len, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == ECONNRESET || errno == EPIPE)) {
		c->res.reset = true;
		n = 0;
	} else if (n == 0) {
		c->res.fin = true;
	}
	c->eof = n == 0;
	return n;
}

int pconn_fill(struct peer_conn *c)
{
	uint8_t buf[FILL_MAX];
	size_t len = sizeof(buf);
	ssize_t n;
	int err;

	do {
		err = await_input(c);
		if (err)
			return fail_errno(c, "receiving", err);
		if (c->slow && c->budget < len)
			len = c->budget;
		n = receive(c, buf, len);
	} while (n < 0 && errno == EAGAIN);
	if (n < 0)
		return fail_errno(c, "recv", -errno);
	if (c->slow)
		c->budget -= (uint64_t)n;
	if (n && BIO_write(c->rbio, buf, (int)n) != (int)n)
		return pconn_fail(c, "short write to memory BIO");
	return (int)n;
}

int pconn_read(struct peer_conn *c, void *buf, size_t len)
{
	int n, why;

	for (;;) {
		ERR_clear_error();
		n = SSL_read(c->ssl, buf, len > INT32_MAX ? INT32_MAX :
			     (int)len);
		why = SSL_get_error(c->ssl, n);
		/* It may have answered a KeyUpdate or sent an alert. */
		if (pconn_flush(c))
			return -1;
		if (n > 0) {
			c->received += (uint64_t)n;
			c->res.bytes_received = c->received;
			return n;
		}
		/* Behind a user_canceled the error is not ZERO_RETURN. */
		if (why == SSL_ERROR_ZERO_RETURN || c->res.close_notify)
			return 0;
		if (why != SSL_ERROR_WANT_READ)
			return pconn_fail_ssl(c, n);
		if (c->eof)
			return 0;
		if (pconn_fill(c) < 0)
			return -1;
	}
}

int pconn_write(struct peer_conn *c, const void *buf, size_t len)
{
	int n;

	ERR_clear_error();
	n = SSL_write(c->ssl, buf, (int)len);
	if (n <= 0)
		return pconn_fail_ssl(c, n);
	c->sent += len;
	c->res.bytes_sent = c->sent;
	return pconn_flush(c);
}

int pconn_shutdown(struct peer_conn *c)
{
	int err = 0;

	if (c->closed)
		return 0;
	c->hold = false;
	err = pconn_flush(c);
	c->closed = true;
	shutdown(c->fd, SHUT_WR);
	return err;
}

int pconn_drain(struct peer_conn *c)
{
	uint8_t buf[FILL_MAX];
	int err = 0;

	while (!err && !c->eof) {
		err = pconn_wait(c, POLLIN);
		if (!err && receive(c, buf, sizeof(buf)) < 0 &&
		    errno != EAGAIN)
			err = -errno;
	}
	return err;
}

int pconn_need_tls13(struct peer_conn *c)
{
	if (c->rs.armed && SSL_version(c->ssl) == TLS1_3_VERSION)
		return 0;
	return pconn_fail(c, "needs TLS 1.3 and its application keys");
}

/* Seals a record of our own into the output queue. */
int pconn_seal(struct peer_conn *c, uint8_t type, const void *data,
	       size_t len)
{
	/* What OpenSSL has written comes first. */
	if (pconn_collect(c))
		return -1;
	if (reframe_send(&c->rs, type, data, len, &c->out))
		return pconn_fail(c, "sealing a record: are there keys?");
	return 0;
}

/* The same with bytes of the stream. */
int pconn_seal_pattern(struct peer_conn *c, uint8_t type, size_t len)
{
	uint8_t buf[PEER_RECORD_MAX];

	if (len > sizeof(buf))
		return pconn_fail(c, "more than %zu bytes", sizeof(buf));
	peer_pattern_fill(buf, c->sent, len);
	return pconn_seal(c, type, buf, len);
}
