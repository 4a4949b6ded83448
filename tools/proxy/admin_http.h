/* SPDX-License-Identifier: MIT */
/*
 * As much of HTTP/1.1 (RFC 9112) as a GET of metrics needs: bytes in, an
 * answer out, no socket.
 */
#ifndef PROXY_ADMIN_HTTP_H
#define PROXY_ADMIN_HTTP_H

#include <stdbool.h>
#include <stddef.h>

/* request line and header fields together */
#define HTTP_REQUEST_MAX 8192

#define HTTP_PATH_MAX 64

/**
 * struct http_request - a request that was understood
 * @head: HEAD: the answer goes without its body
 * @path: without a query; "" if it is longer than any of ours
 */
struct http_request {
	bool head;
	char path[HTTP_PATH_MAX];
};

/**
 * http_parse() - look for a request
 * @buf: all that came so far
 * @len: bytes of it
 * @out: written with 200 only
 *
 * Return: 0 if there must be more; 200; else the status to refuse it with.
 */
int http_parse(const char *buf, size_t len, struct http_request *out);

/**
 * http_answer() - make an answer
 * @status: 200 or what refuses the request
 * @body: text; borrowed
 * @body_len: bytes of it
 * @head: leave the body out
 * @out: receives the answer, for free(); written on success only
 * @len: its length
 *
 * The connection is over after it, which the answer says.
 *
 * Return: 0 or -ENOMEM.
 */
int http_answer(int status, const char *body, size_t body_len, bool head,
		char **out, size_t *len);

#endif /* PROXY_ADMIN_HTTP_H */
