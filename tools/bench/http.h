/* SPDX-License-Identifier: MIT */
/*
 * As much of HTTP/1.1 responses as a benchmark must understand to know that
 * one was complete and successful.
 */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* longest header line looked at; what is beyond is skipped */
#define HTTP_LINE_MAX 128
/* longest header taken */
#define HTTP_HEADER_MAX 65536

enum http_state {
	HTTP_STATUS, /* expects the status line */
	HTTP_FIELDS, /* expects header fields or the empty line */
	HTTP_BODY, /* expects bytes of the body */
	HTTP_DONE, /* complete */
	HTTP_BAD, /* cannot become complete; see @why */
};

/**
 * struct http_response - one response being read; zeroed is a fresh one
 * @state: what comes next
 * @status: three digits, 0 before the status line
 * @until_eof: the body ends with the connection
 * @length: Content-Length; 0 without
 * @left: bytes of the body still to come
 * @body: bytes of the body so far
 * @why: HTTP_BAD: the reason
 * @header_len: bytes of the header so far
 * @line_len: bytes in @line
 * @line: the header line being read
 */
struct http_response {
	enum http_state state;
	unsigned int status;
	bool until_eof;
	bool has_length;
	uint64_t length;
	uint64_t left;
	uint64_t body;
	const char *why;
	size_t header_len;
	size_t line_len;
	char line[HTTP_LINE_MAX];
};

/**
 * http_request() - make a request's header
 * @method: e.g. "GET"
 * @path: e.g. "/"
 * @host: for the Host field, as typed; brackets are added to IPv6 addresses
 * @fields: more fields, each with its "\r\n"
 * @len: receives its length
 *
 * Return: memory to free(), or NULL.
 */
char *http_request(const char *method, const char *path, const char *host,
		   const char *fields, size_t *len);

/**
 * http_feed() - read on
 * @r: the response
 * @data: bytes of the connection
 * @len: how many
 *
 * Interim (1xx) responses are skipped.
 *
 * Return: bytes used; fewer than @len only when @r is done or bad, the rest
 * belongs to the next response.
 */
size_t http_feed(struct http_response *r, const uint8_t *data, size_t len);

/**
 * http_eof() - the connection ended in order
 * @r: the response
 *
 * Return: whether the response is complete.
 */
bool http_eof(struct http_response *r);

#endif /* BENCH_HTTP_H */
