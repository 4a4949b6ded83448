// SPDX-License-Identifier: MIT
/*
 * Requests are written once: all connections of a run send the same. Reads the
 * file of the prefix; one thread.
 */
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int read_prefix(struct conn_plan *plan, const char *path)
{
	ssize_t n;
	int fd;

	if (!path)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, plan->head, sizeof(plan->head));
	if (n < 0) {
		int err = -errno;

		(void)close(fd); /* read only */
		return err;
	}
	(void)close(fd); /* read only */
	plan->head_len = (size_t)n;
	return 0;
}

/* a request of @len bytes, made so by a header that nobody reads */
static int request(uint8_t *to, size_t room, size_t *used, size_t len,
		   const char *line, const char *more)
{
	static const char end[] = { '\r', '\n', '\r', '\n' };
	char *text = (char *)to + *used;
	size_t head, pad;
	int n;

	room -= *used;
	n = snprintf(text, room,
		     "%s\r\nHost: localhost\r\n%sX-Padding: ", line, more);
	if (n < 0)
		return -EMSGSIZE;
	head = (size_t)n + sizeof(end);
	pad = len > head ? len - head : 0;
	if (head + pad > room)
		return -EMSGSIZE;
	memset(text + n, 'x', pad);
	memcpy(text + n + pad, end, sizeof(end));
	*used += head + pad;
	return 0;
}

int plan_http(struct conn_plan *plan, const struct options *opts)
{
	const char *end = opts->hold ? "" : "Connection: close\r\n";
	char get[512], put[512], length[64];
	size_t len = (size_t)opts->request_bytes;
	int err;

	plan->http = true;
	plan->responses = opts->up ? 2 : 1;
	plan->client_closes = opts->client_closes;
	plan->keep = opts->hold;
	err = read_prefix(plan, opts->prefix);
	if (err)
		return err;
	(void)snprintf(get, sizeof(get), "GET %s HTTP/1.1", opts->path);
	if (!opts->up)
		return request(plan->head, sizeof(plan->head), &plan->head_len,
			       len, get, end);
	(void)snprintf(put, sizeof(put), "PUT %s HTTP/1.1", opts->put);
	(void)snprintf(length, sizeof(length),
		       "Content-Length: %" PRIu64 "\r\n", opts->up);
	err = request(plan->head, sizeof(plan->head), &plan->head_len, len,
		      put, length);
	if (err)
		return err;
	plan->body = opts->up;
	return request(plan->tail, sizeof(plan->tail), &plan->tail_len, len,
		       get, end);
}

int plan_echo(struct conn_plan *plan, const struct options *opts)
{
	plan->body = opts->bytes;
	if (!opts->bytes && !opts->down && opts->duration_ms)
		plan->body = UINT64_MAX;
	plan->down = opts->down;
	plan->wait_eof = opts->wait_eof;
	plan->half_close = opts->half_close;
	plan->no_read = opts->no_read;
	plan->reset_after = opts->reset_after;
	plan->keep = opts->hold;
	return read_prefix(plan, opts->prefix);
}
