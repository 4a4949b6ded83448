/* SPDX-License-Identifier: MIT */
/*
 * What ktc-load is told by its command line.
 */
#ifndef LOAD_OPTIONS_H
#define LOAD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum load_serve {
	SERVE_ECHO,
	SERVE_SOURCE,
	SERVE_SINK,
	SERVE_MUTE,
	SERVE_RESET,
};

/**
 * struct options - of all commands; each reads what it has options for
 * @place: operand: where to connect or listen
 * @count: connections in all; 0: by @duration_ms
 * @at_once: of them at a time
 * @warmup: connections before, which are not counted
 * @rate: begun in a second; 0: as soon as another has ended
 * @duration_ms: how long to begin connections, or to keep an endless one busy
 * @timeout_ms: longest time without progress
 * @retry_ms: pause after one that failed
 * @fail_ok: failed connections are counted and no more
 * @cpu_of: processes whose CPU time is told
 * @prefix: file with bytes that are sent before anything else
 * @hold: keep all open after their exchange, until told to end
 * @opening: of those to be held, in their exchange at a time
 * @path: HTTP: what to GET
 * @request_bytes: HTTP: length of the request
 * @up: HTTP: bytes to PUT
 * @put: HTTP: where to
 * @client_closes: HTTP: do not wait for the server's end
 * @bytes: echo: bytes of a connection; 0 with @duration_ms: endless
 * @down: echo: bytes that come of themselves, instead of an echo
 * @wait_eof: echo: send when the other side has ended
 * @half_close: echo: end sending, wait for the other side's end
 * @no_read: echo: never read
 * @reset_after: echo: reset when so many bytes have come
 * @serve: serve: what
 * @serve_bytes: serve: of a source
 * @cert: serve: PEM chain; NULL: plaintext
 * @key: serve: its key; NULL: in the same file
 */
struct options {
	const char *place;
	uint64_t count;
	uint64_t at_once;
	uint64_t warmup;
	uint64_t rate;
	uint64_t duration_ms;
	uint64_t timeout_ms;
	uint64_t retry_ms;
	bool fail_ok;
	const char *cpu_of;
	const char *prefix;
	bool hold;
	uint64_t opening;
	const char *path;
	uint64_t request_bytes;
	uint64_t up;
	const char *put;
	bool client_closes;
	uint64_t bytes;
	uint64_t down;
	bool wait_eof;
	bool half_close;
	bool no_read;
	uint64_t reset_after;
	int serve; /* enum load_serve */
	uint64_t serve_bytes;
	const char *cert;
	const char *key;
};

#endif /* LOAD_OPTIONS_H */
