// SPDX-License-Identifier: MIT
/*
 * The ends of a relay: plain blocking sockets, one thread each, so that they
 * do the same work whatever stands between them. What is sent is a stretch of
 * fixed random bytes over and over, each end from another place in it, so a
 * byte that is lost, doubled or out of order is seen by the receiver.
 */
#include "relay_end.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* a prime: no message size divides it */
#define PATTERN_PERIOD 65521
#define PATTERN_CLIENT 32003

#define RECV_MAX 65536

#define CONNECT_TRIES	 1000
#define CONNECT_EVERY_NS 10000000

static uint8_t pattern[PATTERN_PERIOD + RECV_MAX];
static uint8_t received[RECV_MAX];

/**
 * struct end - one end
 * @fd: its socket
 * @ssl: NULL for the client
 * @out: place in the pattern of the next byte to send
 * @in: of the next one to come
 */
struct end {
	int fd;
	struct ssl_st *ssl;
	uint64_t out;
	uint64_t in;
};

int relay_put(int fd, const void *buf, size_t len)
{
	const char *at = buf;
	ssize_t n;

	while (len) {
		n = send(fd, at, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int relay_get(int fd, void *buf, size_t len)
{
	char *at = buf;
	ssize_t n;

	while (len) {
		n = recv(fd, at, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EPIPE;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static void pattern_make(void)
{
	uint32_t state = 0x9e3779b9;
	size_t i;

	for (i = 0; i < PATTERN_PERIOD; i++) {
		state ^= state << 13;
		state ^= state >> 17;
		state ^= state << 5;
		pattern[i] = (uint8_t)(state >> 24);
	}
	for (; i < sizeof(pattern); i++)
		pattern[i] = pattern[i - PATTERN_PERIOD];
}

/* what OpenSSL says of a call that did not work */
static int ssl_errno(const struct end *e, int ret)
{
	switch (SSL_get_error(e->ssl, ret)) {
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		return errno ? -errno : -EPIPE;
	default:
		return -EPROTO;
	}
}

static int end_send(struct end *e, size_t len)
{
	const uint8_t *from = pattern + e->out % PATTERN_PERIOD;
	int err;

	if (e->ssl) {
		int n = SSL_write(e->ssl, from, (int)len);

		err = n > 0 ? 0 : ssl_errno(e, n);
		if (n == 0)
			err = -EPIPE;
	} else {
		err = relay_put(e->fd, from, len);
	}
	e->out += len;
	return err;
}

/* bytes, 0 at an orderly end, -EILSEQ for wrong ones, or -errno */
static ssize_t end_recv(struct end *e, size_t max)
{
	ssize_t n;

	if (max > RECV_MAX)
		max = RECV_MAX;
	if (e->ssl) {
		n = SSL_read(e->ssl, received, (int)max);
		if (n <= 0)
			return ssl_errno(e, (int)n);
	} else {
		do {
			n = recv(e->fd, received, max, 0);
		} while (n < 0 && errno == EINTR);
		if (n < 0)
			return -errno;
	}
	if (memcmp(received, pattern + e->in % PATTERN_PERIOD, (size_t)n))
		return -EILSEQ;
	e->in += (uint64_t)n;
	return n;
}

static int recv_all(struct end *e, uint64_t bytes)
{
	ssize_t n;

	while (bytes) {
		n = end_recv(e, bytes > RECV_MAX ? RECV_MAX : (size_t)bytes);
		if (n <= 0)
			return n ? (int)n : -EPIPE;
		bytes -= (uint64_t)n;
	}
	return 0;
}

static int send_end(struct end *e)
{
	if (!e->ssl)
		return shutdown(e->fd, SHUT_WR) ? -errno : 0;
	return SSL_shutdown(e->ssl) < 0 ? -EPROTO : 0;
}

/* the client ends first, as it does before a proxy that knows no half-close */
static int do_end(struct end *e)
{
	ssize_t n;
	int err;

	if (!e->ssl) {
		err = send_end(e);
		if (err)
			return err;
	}
	n = end_recv(e, 1);
	if (n > 0)
		return -EILSEQ;
	if (!n && e->ssl)
		return send_end(e);
	return (int)n;
}

static int do_order(struct end *e, const struct relay_order *o)
{
	uint64_t left;
	int err = 0;

	switch ((enum relay_op)o->op) {
	case RELAY_OP_SEND:
		for (left = o->bytes; left && !err; left -= o->size)
			err = end_send(e, o->size);
		return err;
	case RELAY_OP_RECV:
		return recv_all(e, o->bytes);
	case RELAY_OP_PING:
		for (left = o->bytes; left && !err; left -= o->size) {
			err = end_send(e, o->size);
			if (!err)
				err = recv_all(e, o->size);
		}
		return err;
	case RELAY_OP_ECHO:
		for (left = o->bytes; left && !err; left -= o->size) {
			err = recv_all(e, o->size);
			if (!err)
				err = end_send(e, o->size);
		}
		return err;
	case RELAY_OP_END:
		return do_end(e);
	}
	return -EINVAL;
}

static const char *why_text(int err)
{
	switch (err) {
	case -EILSEQ:
		return "bytes are not those that were sent";
	case -EPIPE:
		return "ended before all bytes had come";
	case -EPROTO:
		return "TLS failed, or ended without close_notify";
	default:
		return strerror(-err);
	}
}

static int answer(int control, const struct end *e, int err, const char *text)
{
	struct relay_answer a = {
		.err = err,
		.moved = { e->out, e->in },
	};

	(void)snprintf(a.text, sizeof(a.text), "%s", text);
	return relay_put(control, &a, sizeof(a));
}

/* does orders until there are no more or one failed */
static int obey(struct end *e, int control, uint64_t out, uint64_t in)
{
	struct end told;
	struct relay_order order;
	int err;

	e->out = out;
	e->in = in;
	while (!relay_get(control, &order, sizeof(order))) {
		err = do_order(e, &order);
		told = *e;
		told.out -= out;
		told.in -= in;
		if (answer(control, &told, err, err ? why_text(err) : "") ||
		    err)
			return 1;
	}
	return 0;
}

static void no_delay(int fd)
{
	int on = 1;

	/* not there on a unix socket, and not needed */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static int origin_accept(struct end *e, int listener,
			 const struct relay_tls *tls, char *text)
{
	SSL_CTX *ctx = relay_tls_server(tls);

	(void)snprintf(text, RELAY_TEXT_LEN, "OpenSSL failed");
	if (!ctx)
		return -EIO;
	e->ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	if (!e->ssl)
		return -EIO;
	e->fd = accept(listener, NULL, NULL);
	if (e->fd < 0) {
		(void)snprintf(text, RELAY_TEXT_LEN, "accept: %s",
			       strerror(errno));
		return -errno;
	}
	no_delay(e->fd);
	if (!SSL_set_fd(e->ssl, e->fd) || SSL_accept(e->ssl) != 1) {
		(void)snprintf(text, RELAY_TEXT_LEN, "handshake: %s",
			       ERR_reason_error_string(ERR_peek_error()));
		return -EPROTO;
	}
	(void)snprintf(text, RELAY_TEXT_LEN, "%s, %s", SSL_get_version(e->ssl),
		       SSL_get_cipher(e->ssl));
	return 0;
}

int relay_origin(int listener, const struct relay_tls *tls, int control)
{
	struct end e = { .fd = -1 };
	char text[RELAY_TEXT_LEN];
	int err;

	pattern_make();
	err = origin_accept(&e, listener, tls, text);
	if (answer(control, &e, err, text) || err)
		return 1;
	return obey(&e, control, 0, PATTERN_CLIENT);
}

/* who listens there may not have begun to */
static int client_connect(const struct sockaddr *addr, socklen_t len)
{
	const struct timespec pause = { .tv_nsec = CONNECT_EVERY_NS };
	int fd, err, i;

	for (i = 0; i < CONNECT_TRIES; i++) {
		fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			return -errno;
		if (!connect(fd, addr, len))
			return fd;
		err = -errno;
		(void)close(fd); /* never connected */
		if (err != -ECONNREFUSED && err != -ENOENT)
			return err;
		(void)nanosleep(&pause, NULL); /* how long matters little */
	}
	return err;
}

int relay_client(const struct sockaddr *addr, socklen_t len, int control)
{
	struct end e = { .fd = client_connect(addr, len) };
	int err = e.fd < 0 ? e.fd : 0;

	pattern_make();
	if (!err)
		no_delay(e.fd);
	if (answer(control, &e, err, err ? strerror(-err) : "") || err)
		return 1;
	return obey(&e, control, PATTERN_CLIENT, 0);
}
