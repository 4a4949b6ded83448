// SPDX-License-Identifier: MIT
/*
 * HTTP/1.1 response framing: status, Content-Length, end. A body without a
 * length, chunked ones among them, is taken to end with the connection and
 * is not decoded. Works on any split of the bytes and allocates nothing. A
 * state only moves forward, but for interim responses, which start over.
 */
#include "http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

char *http_request(const char *method, const char *path, const char *host,
		   const char *fields, size_t *len)
{
	static const char fmt[] = "%s %s HTTP/1.1\r\n"
				  "Host: %s%s%s\r\n"
				  "User-Agent: ktc-bench\r\n"
				  "%s\r\n";
	bool v6 = strchr(host, ':');
	const char *open = v6 ? "[" : "", *close = v6 ? "]" : "";
	int n = snprintf(NULL, 0, fmt, method, path, open, host, close, fields);
	char *text;

	if (n < 0)
		return NULL;
	text = malloc((size_t)n + 1);
	if (!text)
		return NULL;
	(void)snprintf(text, (size_t)n + 1, fmt, method, path, open, host,
		       close, fields); /* as long as computed above */
	*len = (size_t)n;
	return text;
}

static void bad(struct http_response *r, const char *why)
{
	r->state = HTTP_BAD;
	r->why = why;
}

static void status_line(struct http_response *r)
{
	const char *s = r->line;

	if (r->line_len < 12 || strncmp(s, "HTTP/1.", 7) || s[8] != ' ' ||
	    strspn(s + 9, "0123456789") < 3) {
		bad(r, "not an HTTP/1 status line");
		return;
	}
	r->status = (unsigned int)(s[9] - '0') * 100 +
		    (unsigned int)(s[10] - '0') * 10 +
		    (unsigned int)(s[11] - '0');
	r->state = HTTP_FIELDS;
}

static void content_length(struct http_response *r, const char *text)
{
	uint64_t value = 0;

	text += strspn(text, " \t");
	if (*text < '0' || *text > '9') {
		bad(r, "Content-Length is not a number");
		return;
	}
	for (; *text >= '0' && *text <= '9'; text++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, *text - '0', &value)) {
			bad(r, "Content-Length is too large");
			return;
		}
	}
	r->length = value;
	r->has_length = true;
}

static void header_end(struct http_response *r)
{
	unsigned int status = r->status;

	if (status >= 100 && status < 200) {
		memset(r, 0, sizeof(*r));
		return;
	}
	if (status == 204 || status == 304)
		r->length = 0;
	else if (!r->has_length)
		r->until_eof = true;
	r->left = r->length;
	r->state = r->left || r->until_eof ? HTTP_BODY : HTTP_DONE;
}

/* @r->line is one line, without its end */
static void header_line(struct http_response *r)
{
	if (r->state == HTTP_STATUS)
		status_line(r);
	else if (!r->line_len)
		header_end(r);
	else if (!strncasecmp(r->line, "content-length:", 15))
		content_length(r, r->line + 15);
	r->line_len = 0;
}

static void header_byte(struct http_response *r, char c)
{
	if (++r->header_len > HTTP_HEADER_MAX) {
		bad(r, "header too long");
		return;
	}
	if (c == '\n') {
		if (r->line_len && r->line[r->line_len - 1] == '\r')
			r->line_len--;
		r->line[r->line_len] = '\0';
		header_line(r);
	} else if (r->line_len < HTTP_LINE_MAX - 1) {
		r->line[r->line_len++] = c;
	}
}

size_t http_feed(struct http_response *r, const uint8_t *data, size_t len)
{
	size_t used = 0, take;

	while (used < len) {
		switch (r->state) {
		case HTTP_STATUS:
		case HTTP_FIELDS:
			header_byte(r, (char)data[used++]);
			break;
		case HTTP_BODY:
			take = len - used;
			if (!r->until_eof && take > r->left)
				take = r->left;
			if (!r->until_eof)
				r->left -= take;
			r->body += take;
			used += take;
			if (!r->until_eof && !r->left)
				r->state = HTTP_DONE;
			break;
		case HTTP_DONE:
		case HTTP_BAD:
			return used;
		}
	}
	return used;
}

bool http_eof(struct http_response *r)
{
	if (r->state == HTTP_BODY && r->until_eof)
		r->state = HTTP_DONE;
	return r->state == HTTP_DONE;
}
