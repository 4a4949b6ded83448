/* SPDX-License-Identifier: MIT */
/*
 * One connection of a peer, as the files that make up the peer see it:
 *
 *	peer.c		threads, sockets, results
 *	peer_ctx.c	the TLS context, what is learnt from its callbacks
 *	peer_io.c	SSL <-> memory BIOs <-> re-framing <-> socket
 *	peer_ops.c	the steps of an honest connection
 *	peer_post.c	all other steps
 */
#ifndef SELFTESTS_PEER_CONN_H
#define SELFTESTS_PEER_CONN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "bytes.h"
#include "peer.h"
#include "reframe.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/**
 * struct peer_conn - a connection; its thread's alone but for @finished
 * @peer: whose it is
 * @next: list of the peer's connections, under its lock
 * @thread: runs the script
 * @finished: the thread is about to end; under the peer's lock
 * @nr: in order of acceptance
 * @steps: its section of the script
 * @step: the step that runs
 * @fd: the socket
 * @deadline_ns: of the step that runs, CLOCK_MONOTONIC
 * @ssl: the server side; reads from @rbio, writes to @wbio
 * @rs: what becomes of its records
 * @raw: taken from @wbio, not yet a whole record
 * @out: on its way to the socket
 * @hold: keep @out back
 * @hold_last: set @hold when the handshake is complete
 * @piece: longest write to the socket; 0: no limit
 * @slow: ciphertext bytes one peer_go() lets in; 0: no limit
 * @budget: of those, left
 * @sent: position in the stream of what is sent
 * @received: position in the stream of what came
 * @secret: SERVER_TRAFFIC_SECRET_0, until @rs is armed with it
 * @secret_len: its bytes; 0: none yet
 * @eof: the client's FIN was read
 * @closed: the socket is shut down for writing, or reset
 * @res: what the test is told
 */
struct peer_conn {
	struct peer *peer;
	struct peer_conn *next;
	pthread_t thread;
	bool finished;
	unsigned int nr;
	const struct peer_step *steps;
	const struct peer_step *step;
	int fd;
	uint64_t deadline_ns;
	SSL *ssl;
	BIO *rbio;
	BIO *wbio;
	struct reframe rs;
	struct bytes raw;
	struct bytes out;
	bool hold;
	bool hold_last;
	size_t piece;
	uint64_t slow;
	uint64_t budget;
	uint64_t sent;
	uint64_t received;
	uint8_t secret[EVP_MAX_MD_SIZE];
	size_t secret_len;
	bool eof;
	bool closed;
	struct peer_result res;
};

/* peer.c */

/**
 * pconn_wait() - wait until the socket is ready
 * @c: a connection
 * @events: POLLIN or POLLOUT
 *
 * Return: 0; -ETIMEDOUT at the step's deadline; -ECANCELED by peer_stop().
 */
int pconn_wait(struct peer_conn *c, short events);

/**
 * pconn_wait_go() - wait for a peer_go()
 * @c: a connection
 *
 * Return: as pconn_wait().
 */
int pconn_wait_go(struct peer_conn *c);

/**
 * pconn_note_psk() - a ClientHello offered a ticket
 * @c: a connection
 * @hash: of the ticket
 */
void pconn_note_psk(struct peer_conn *c, uint64_t hash);

/* peer_ctx.c */

/**
 * struct peer_alpn - what ALPN selection goes by
 * @wire: protocols, each behind its length
 * @len: bytes of it; 0: ignore the extension
 * @required: no common protocol is an error
 */
struct peer_alpn {
	uint8_t wire[PEER_NAME_MAX];
	unsigned int len;
	bool required;
};

/**
 * peer_ctx_new() - the TLS context for a peer
 * @opts: its options, complete
 * @alpn: zeroed; filled, and used as long as the context lives
 *
 * Return: the context; NULL with OpenSSL's reason on stderr.
 */
SSL_CTX *peer_ctx_new(const struct peer_opts *opts, struct peer_alpn *alpn);

/* Return: 0 or -ENOMEM; on success @c->ssl and its BIOs are set. */
int pconn_ssl_init(struct peer_conn *c, SSL_CTX *ctx);

/* Copies what is known after the handshake into the result. */
void pconn_note_handshake(struct peer_conn *c);

/* peer_io.c; a failure is -1 with the sentence in c->res.error */

int pconn_fail(struct peer_conn *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* pconn_fail() with OpenSSL's reason. */
int pconn_fail_ssl(struct peer_conn *c, int ret);

/* Moves what the SSL wrote to @c->out; nothing is sent. */
int pconn_collect(struct peer_conn *c);

/* Collects, then sends all of @c->out unless it is held. */
int pconn_flush(struct peer_conn *c);

/* Sends @len bytes of @c->out, held or not. */
int pconn_send_out(struct peer_conn *c, size_t len);

/**
 * pconn_fill() - read from the socket into the SSL
 * @c: a connection
 *
 * Return: bytes read; 0 for end of file or a reset (@c->eof); -1.
 */
int pconn_fill(struct peer_conn *c);

/**
 * pconn_read() - read application data
 * @c: a connection
 * @buf: receives it
 * @len: room, at least 1
 *
 * Return: bytes; 0 after close_notify or FIN, see the result; -1.
 */
int pconn_read(struct peer_conn *c, void *buf, size_t len);

/* Writes one piece of application data as OpenSSL would, and flushes. */
int pconn_write(struct peer_conn *c, const void *buf, size_t len);

/* Half-closes the socket; all that is held goes out first. */
int pconn_shutdown(struct peer_conn *c);

/* Reads and forgets ciphertext until the client is gone. 0, -ETIMEDOUT... */
int pconn_drain(struct peer_conn *c);

/* Fails unless application data can be sent over TLS 1.3. */
int pconn_need_tls13(struct peer_conn *c);

/* Seals a record of our own into @c->out, behind what OpenSSL has written. */
int pconn_seal(struct peer_conn *c, uint8_t type, const void *data,
	       size_t len);

/* The same with the next @len bytes of the stream, which stay the next. */
int pconn_seal_pattern(struct peer_conn *c, uint8_t type, size_t len);

/* peer_ops.c and peer_post.c */

#define RECORD_DATA_MAX	16384

struct peer_op_entry {
	const char *name;
	int (*run)(struct peer_conn *c, const struct peer_step *s);
};

extern const struct peer_op_entry peer_post_ops[PEER_NR_OPS];

static inline uint64_t or_default(uint64_t value, uint64_t fallback)
{
	return value ? value : fallback;
}

/* Runs one step. Return: 0, or -1 with the sentence in c->res.error. */
int pconn_step(struct peer_conn *c);

#endif /* SELFTESTS_PEER_CONN_H */
