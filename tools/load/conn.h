/* SPDX-License-Identifier: MIT */
/*
 * One plaintext connection of a client: what it sends, what it wants to see,
 * and how it ended. Knows no loop: it is told when its socket may be tried.
 */
#ifndef LOAD_CONN_H
#define LOAD_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* longest request or response header */
#define CONN_HEADER_MAX 16384

/* bytes of the buffer that conn_step() is lent */
#define CONN_BUF_LEN (256 << 10)

/**
 * struct conn_plan - what all connections of a run do
 * @http: HTTP is spoken; else bytes of bytes.h come back as they were sent
 * @head: sent first
 * @head_len: its length
 * @body: bytes.h bytes after it; UINT64_MAX: until told to stop
 * @tail: sent last
 * @tail_len: its length
 * @responses: HTTP: how many
 * @down: not HTTP: bytes of stream 0 that come instead of what was sent
 * @wait_eof: not HTTP: send only when the other side has ended
 * @half_close: not HTTP: end sending, then wait for the other side's end
 * @client_closes: HTTP: do not wait for the server's end of the connection
 * @keep: the connection stays open after the exchange
 * @no_read: read nothing, ever
 * @reset_after: reset when so many bytes have come; 0: never
 */
struct conn_plan {
	bool http;
	uint8_t head[CONN_HEADER_MAX];
	size_t head_len;
	uint64_t body;
	uint8_t tail[CONN_HEADER_MAX];
	size_t tail_len;
	unsigned int responses;
	uint64_t down;
	bool wait_eof;
	bool half_close;
	bool client_closes;
	bool keep;
	bool no_read;
	uint64_t reset_after;
};

enum conn_end {
	CONN_GOES_ON,
	CONN_DONE,	/* all was right */
	CONN_KEPT,	/* the exchange was, and the connection is open */
	CONN_WAS_RESET, /* by this side, as asked */
	CONN_REFUSED,	/* no connection */
	CONN_RESET,	/* by the other side */
	CONN_EOF,	/* ended too early */
	CONN_WRONG,	/* bytes that should not be */
	CONN_STATUS,	/* HTTP: not 2xx */
	CONN_TIMEOUT,	/* given by the caller */
	CONN_SYSTEM,	/* a call failed here */
	CONN_NR_ENDS,
};

/**
 * struct conn - a connection
 * @fd: its socket, connecting or connected; the caller's to close
 * @stream: which bytes it sends
 * @started_ns: the caller's
 * @moved_ns: the caller's
 * @events: the caller's
 * @index: the caller's
 * @sent: bytes
 * @got: bytes
 * @total: bytes to send
 * @shut: sending was ended
 * @eof: the other side has ended
 * @stopped: no more of an endless body
 * @header: HTTP: of the response that is being read
 * @header_len: bytes there
 * @body_left: HTTP: of the response; UINT64_MAX: to the end
 * @in_body: HTTP
 * @answers: HTTP: complete responses
 */
struct conn {
	int fd;
	uint64_t stream;
	uint64_t started_ns;
	uint64_t moved_ns;
	uint32_t events;
	unsigned int index;
	uint64_t sent;
	uint64_t got;
	uint64_t total;
	bool shut;
	bool eof;
	bool stopped;
	char header[1024];
	size_t header_len;
	uint64_t body_left;
	bool in_body;
	unsigned int answers;
};

/**
 * conn_init() - the beginning
 * @conn: the connection
 * @plan: of it
 * @fd: a socket that does not block
 * @stream: which bytes it sends
 */
void conn_init(struct conn *conn, const struct conn_plan *plan, int fd,
	       uint64_t stream);

/* another exchange on a connection that was kept; it is the last one */
void conn_again(struct conn *conn, const struct conn_plan *plan);

/* an endless body ends here */
void conn_stop(struct conn *conn, const struct conn_plan *plan);

/**
 * conn_step() - try what the socket allows
 * @conn: the connection
 * @plan: of it
 * @buf: CONN_BUF_LEN bytes of scratch
 *
 * Return: how it ended, or CONN_GOES_ON.
 */
enum conn_end conn_step(struct conn *conn, const struct conn_plan *plan,
			uint8_t *buf);

/* what it waits for: EPOLLIN, EPOLLOUT */
uint32_t conn_wants(const struct conn *conn, const struct conn_plan *plan);

/* a word for each end */
const char *conn_end_name(enum conn_end end);

#endif /* LOAD_CONN_H */
