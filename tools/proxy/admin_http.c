// SPDX-License-Identifier: MIT
/*
 * HTTP requests and answers, in memory. Strict where leniency would let two
 * readers see two requests: one line end (CRLF), no blank before a colon, no
 * continued lines, one Host. A body is neither expected nor read. Any thread.
 */
#include "admin_http.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* one line of the request, without its end */
struct line {
	const char *at;
	size_t len;
};

static const char *reason_of(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 431:
		return "Request Header Fields Too Large";
	case 503:
		return "Service Unavailable";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return "Internal Server Error";
	}
}

/* RFC 9110 section 5.6.2 */
static bool is_token(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) &&
		    (!s[i] || !strchr("!#$%&'*+-.^_`|~", s[i])))
			return false;
	return len > 0;
}

/* the end of the header, or NULL; bytes that no header has give @bad */
static const char *find_end(const char *buf, size_t len, bool *bad)
{
	size_t i;

	*bad = false;
	for (i = 0; i < len; i++) {
		if (buf[i] == '\n' && (!i || buf[i - 1] != '\r'))
			break;
		if (buf[i] == '\r' && i + 1 < len && buf[i + 1] != '\n')
			break;
		if ((unsigned char)buf[i] < ' ' && !strchr("\t\r\n", buf[i]))
			break;
		if (!buf[i] || buf[i] == 0x7f)
			break;
		if (i >= 3 && !memcmp(buf + i - 3, "\r\n\r\n", 4))
			return buf + i + 1;
	}
	*bad = i < len;
	return NULL;
}

static struct line next_line(const char **at, const char *end)
{
	const char *start = *at, *lf;

	lf = memchr(start, '\n', (size_t)(end - start));
	*at = lf + 1; /* find_end() has seen that there is one */
	return (struct line){ start, (size_t)(lf - 1 - start) };
}

/* one word of a line, up to a blank or its end */
static struct line next_word(struct line *line)
{
	const char *blank = memchr(line->at, ' ', line->len);
	struct line word = { line->at, line->len };

	if (blank)
		word.len = (size_t)(blank - line->at);
	line->at += word.len + !!blank;
	line->len -= word.len + !!blank;
	return word;
}

static bool line_is(struct line line, const char *text)
{
	return line.len == strlen(text) && !memcmp(line.at, text, line.len);
}

/* @old: HTTP/1.0, which has no need of Host */
static int parse_request_line(struct line line, struct http_request *out,
			      bool *old)
{
	struct line method = next_word(&line), target = next_word(&line);
	const char *query;

	if (!is_token(method.at, method.len) || !target.len ||
	    target.at[0] != '/' || memchr(line.at, ' ', line.len))
		return 400;
	if (!line_is(line, "HTTP/1.1") && !line_is(line, "HTTP/1.0"))
		return line.len == 8 && !memcmp(line.at, "HTTP/", 5) ? 505 :
								       400;
	out->head = line_is(method, "HEAD");
	if (!out->head && !line_is(method, "GET"))
		return 405;
	query = memchr(target.at, '?', target.len);
	if (query)
		target.len = (size_t)(query - target.at);
	if (target.len >= sizeof(out->path))
		target.len = 0;
	memcpy(out->path, target.at, target.len);
	out->path[target.len] = '\0';
	*old = line_is(line, "HTTP/1.0");
	return 200;
}

int http_parse(const char *buf, size_t len, struct http_request *out)
{
	struct http_request request = { 0 };
	unsigned int hosts = 0;
	const char *end, *colon;
	struct line line;
	bool bad, old;
	int status;

	end = find_end(buf, len, &bad);
	if (bad)
		return 400;
	if (!end)
		return len >= HTTP_REQUEST_MAX ? 431 : 0;
	status = parse_request_line(next_line(&buf, end), &request, &old);
	if (status != 200)
		return status;
	for (;;) {
		line = next_line(&buf, end);
		if (!line.len)
			break;
		colon = memchr(line.at, ':', line.len);
		if (!colon || !is_token(line.at, (size_t)(colon - line.at)))
			return 400;
		if (colon - line.at == 4 && !strncasecmp(line.at, "Host", 4))
			hosts++;
	}
	if (hosts > 1 || (!hosts && !old))
		return 400;
	*out = request;
	return 200;
}

int http_answer(int status, const char *body, size_t body_len, bool head,
		char **out, size_t *len)
{
	char *text = NULL;
	size_t used = 0;
	FILE *to = open_memstream(&text, &used);
	bool failed;

	if (!to)
		return -ENOMEM;
	fprintf(to,
		"HTTP/1.1 %d %s\r\n"
		"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
		"Content-Length: %zu\r\n"
		"Connection: close\r\n%s\r\n",
		status, reason_of(status), body_len,
		status == 405 ? "Allow: GET, HEAD\r\n" : "");
	if (!head)
		fwrite(body, 1, body_len, to);
	failed = ferror(to);
	if (fclose(to) || failed) {
		free(text);
		return -ENOMEM;
	}
	*out = text;
	*len = used;
	return 0;
}
