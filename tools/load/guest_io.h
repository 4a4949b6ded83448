/* SPDX-License-Identifier: MIT */
/*
 * A server's side of one connection, in plaintext or over TLS: the same four
 * calls. TLS ends as it should, with close_notify in each direction by itself,
 * which not every server does that people run.
 */
#ifndef LOAD_GUEST_IO_H
#define LOAD_GUEST_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ssl_ctx_st;
struct ssl_st;

#define GUEST_AGAIN (-1)
#define GUEST_LOST  (-2) /* reset, cut off, or TLS that is none */

/**
 * struct guest_io - a connection
 * @fd: does not block
 * @ssl: NULL: plaintext
 */
struct guest_io {
	int fd;
	struct ssl_st *ssl;
};

/**
 * guest_tls() - what all connections of a server share
 * @cert: PEM chain
 * @key: its key
 * @out: written on success only; kept until the process ends
 *
 * Return: 0, or -EINVAL for a file that is not what it should be.
 */
int guest_tls(const char *cert, const char *key, struct ssl_ctx_st **out);

/* takes @fd on success; @ctx NULL: plaintext; 0 or -ENOMEM */
int guest_io_open(struct guest_io *io, struct ssl_ctx_st *ctx, int fd);

void guest_io_close(struct guest_io *io);

/* bytes, 0 at the other side's end, GUEST_AGAIN, GUEST_LOST */
ssize_t guest_io_recv(struct guest_io *io, uint8_t *buf, size_t len);

/* bytes, GUEST_AGAIN, GUEST_LOST */
ssize_t guest_io_send(struct guest_io *io, const uint8_t *buf, size_t len);

/* ends this side's direction: 0, GUEST_AGAIN, GUEST_LOST */
int guest_io_shut(struct guest_io *io);

/* goes on with a handshake: 0 when it is done, GUEST_AGAIN, GUEST_LOST */
int guest_io_greet(struct guest_io *io);

/* bytes that no event will tell of */
bool guest_io_pending(const struct guest_io *io);

/* whether a handshake resumed a session */
bool guest_io_resumed(const struct guest_io *io);

#endif /* LOAD_GUEST_IO_H */
