/* SPDX-License-Identifier: MIT */
/*
 * The two ends that a relay stands between, each a process of its own: the
 * origin, a TLS server, and the client, a plain socket. Both do what the
 * benchmark orders and check every byte that comes.
 */
#ifndef BENCH_RELAY_END_H
#define BENCH_RELAY_END_H

#include <stdint.h>
#include <sys/socket.h>

#include "relay_tls.h"

/* messages are no longer than this: one TLS record */
#define RELAY_MESSAGE_MAX 16384

/**
 * enum relay_op - what an end is ordered to do
 * @RELAY_OP_SEND: send messages
 * @RELAY_OP_RECV: receive as many bytes
 * @RELAY_OP_PING: send a message, receive one, and again
 * @RELAY_OP_ECHO: receive a message, send one, and again
 * @RELAY_OP_END: send no more; receive until the other end does not either
 */
enum relay_op {
	RELAY_OP_SEND,
	RELAY_OP_RECV,
	RELAY_OP_PING,
	RELAY_OP_ECHO,
	RELAY_OP_END,
};

/* @size: bytes of a message; @bytes: each way, a multiple of @size */
struct relay_order {
	uint32_t op;
	uint32_t size;
	uint64_t bytes;
};

#define RELAY_TEXT_LEN 160

/**
 * struct relay_answer - one for the connection, then one for each order
 * @err: 0, or a negative errno
 * @moved: RELAY_OP_*: bytes done; the relay's own: by ktc_event
 * @text: why not; for the connection: the origin's cipher suite
 */
struct relay_answer {
	int32_t err;
	uint64_t moved[2];
	char text[RELAY_TEXT_LEN];
};

/**
 * relay_origin() - be the origin
 * @listener: where to take one connection
 * @tls: certificate and version
 * @control: orders come, answers go
 *
 * Return: the exit status.
 */
int relay_origin(int listener, const struct relay_tls *tls, int control);

/**
 * relay_client() - be the client
 * @addr: the relay; tried again while nobody listens there
 * @len: bytes of it
 * @control: as above
 *
 * Return: the exit status.
 */
int relay_client(const struct sockaddr *addr, socklen_t len, int control);

/* whole structs over a socket: 0, -EPIPE at its end, or -errno */
int relay_put(int fd, const void *buf, size_t len);
int relay_get(int fd, void *buf, size_t len);

#endif /* BENCH_RELAY_END_H */
