// SPDX-License-Identifier: MIT
/*
 * A client connection's two directions. What is sent is head, body and tail,
 * found by position, so that a short send needs no memory. What comes is
 * judged as it comes. Belongs to the loop's thread.
 */
#include "conn.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "bytes.h"

/* a busy connection lets others have a turn */
#define TURNS_MAX 8

static const char *const end_names[CONN_NR_ENDS] = {
	[CONN_GOES_ON] = "goes_on", [CONN_DONE] = "done",
	[CONN_KEPT] = "kept",	    [CONN_WAS_RESET] = "was_reset",
	[CONN_REFUSED] = "refused", [CONN_RESET] = "reset",
	[CONN_EOF] = "eof",	    [CONN_WRONG] = "wrong",
	[CONN_STATUS] = "status",   [CONN_TIMEOUT] = "timeout",
	[CONN_SYSTEM] = "system",
};

const char *conn_end_name(enum conn_end end)
{
	return end_names[end];
}

static uint64_t total_of(const struct conn_plan *plan, uint64_t body)
{
	if (body == UINT64_MAX)
		return UINT64_MAX;
	return plan->head_len + body + plan->tail_len;
}

void conn_init(struct conn *conn, const struct conn_plan *plan, int fd,
	       uint64_t stream)
{
	unsigned int index = conn->index;

	memset(conn, 0, sizeof(*conn));
	conn->index = index;
	conn->fd = fd;
	conn->stream = stream;
	conn->total = total_of(plan, plan->body);
}

void conn_again(struct conn *conn, const struct conn_plan *plan)
{
	conn->sent = 0;
	conn->got = 0;
	conn->answers = 0;
	conn->header_len = 0;
	conn->in_body = false;
	conn->total = total_of(plan, plan->body);
}

void conn_stop(struct conn *conn, const struct conn_plan *plan)
{
	if (conn->total == UINT64_MAX)
		conn->total = conn->sent < plan->head_len ? plan->head_len
							  : conn->sent;
	conn->stopped = true;
}

/* the piece at conn->sent */
static const uint8_t *piece(const struct conn *conn,
			    const struct conn_plan *plan, size_t *len)
{
	uint64_t at = conn->sent, left = conn->total - at;

	*len = left > CONN_BUF_LEN ? CONN_BUF_LEN : (size_t)left;
	if (at < plan->head_len) {
		*len = plan->head_len - at;
		return plan->head + at;
	}
	left -= plan->tail_len;
	if (left && left <= conn->total) {
		if (*len > left)
			*len = (size_t)left;
		return bytes_at(conn->stream, at - plan->head_len, len);
	}
	*len = (size_t)(conn->total - at);
	return plan->tail + (plan->tail_len - *len);
}

static enum conn_end by_errno(int err)
{
	switch (err) {
	case ECONNREFUSED:
	case ENOENT:
	case ETIMEDOUT:
		return CONN_REFUSED;
	case ECONNRESET:
	case EPIPE:
		return CONN_RESET;
	default:
		return CONN_SYSTEM;
	}
}

static bool may_send(const struct conn *conn, const struct conn_plan *plan)
{
	return conn->sent < conn->total && (!plan->wait_eof || conn->eof);
}

static enum conn_end send_some(struct conn *conn, const struct conn_plan *plan)
{
	int turns;

	for (turns = 0; may_send(conn, plan) && turns < TURNS_MAX; turns++) {
		const uint8_t *data;
		size_t len;
		ssize_t n;

		data = piece(conn, plan, &len);
		n = send(conn->fd, data, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return by_errno(errno);
		conn->sent += (uint64_t)n;
		if ((size_t)n < len)
			break;
	}
	if (conn->sent == conn->total && plan->half_close && !conn->shut) {
		if (shutdown(conn->fd, SHUT_WR))
			return by_errno(errno);
		conn->shut = true;
	}
	return CONN_GOES_ON;
}

/* the value of a header line, or NULL */
static const char *header_value(const char *header, const char *name)
{
	size_t len = strlen(name);

	while ((header = strchr(header, '\n'))) {
		header++;
		if (!strncasecmp(header, name, len) && header[len] == ':')
			return header + len + 1;
	}
	return NULL;
}

static enum conn_end read_header(struct conn *conn)
{
	const char *length;

	if (strncmp(conn->header, "HTTP/1.", 7))
		return CONN_WRONG;
	if (conn->header[9] != '2')
		return CONN_STATUS;
	length = header_value(conn->header, "Content-Length");
	if (length)
		conn->body_left = strtoull(length, NULL, 10);
	else
		conn->body_left = !strncmp(conn->header + 9, "204", 3)
					  ? 0
					  : UINT64_MAX;
	conn->in_body = true;
	return CONN_GOES_ON;
}

static enum conn_end http_bytes(struct conn *conn,
				const struct conn_plan *plan,
				const uint8_t *data, size_t len)
{
	while (len || (conn->in_body && !conn->body_left)) {
		enum conn_end end;
		size_t n;

		if (conn->in_body) {
			n = len < conn->body_left ? len
						  : (size_t)conn->body_left;
			if (conn->body_left != UINT64_MAX)
				conn->body_left -= n;
			data += n;
			len -= n;
			if (!conn->body_left) {
				conn->answers++;
				conn->in_body = false;
				conn->header_len = 0;
			}
			continue;
		}
		if (conn->answers == plan->responses ||
		    conn->header_len == sizeof(conn->header) - 1)
			return CONN_WRONG;
		conn->header[conn->header_len++] = (char)*data++;
		conn->header[conn->header_len] = '\0';
		len--;
		if (conn->header_len >= 4 &&
		    !strcmp(conn->header + conn->header_len - 4, "\r\n\r\n")) {
			end = read_header(conn);
			if (end != CONN_GOES_ON)
				return end;
		}
	}
	return CONN_GOES_ON;
}

static enum conn_end judge(struct conn *conn, const struct conn_plan *plan,
			   const uint8_t *data, size_t len)
{
	uint64_t stream = plan->down ? 0 : conn->stream;
	uint64_t most = conn->sent;

	if (plan->http)
		return http_bytes(conn, plan, data, len);
	if (plan->down)
		most = plan->down;
	else
		most -= most < plan->head_len ? most : plan->head_len;
	if (conn->got + len > most ||
	    bytes_differ(stream, conn->got, data, len) != len)
		return CONN_WRONG;
	return CONN_GOES_ON;
}

static enum conn_end reset(struct conn *conn)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	if (setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &linger,
		       sizeof(linger)))
		return CONN_SYSTEM;
	return CONN_WAS_RESET;
}

static enum conn_end recv_some(struct conn *conn, const struct conn_plan *plan,
			       uint8_t *buf)
{
	enum conn_end end = CONN_GOES_ON;
	int turns;

	for (turns = 0; turns < TURNS_MAX && !conn->eof; turns++) {
		ssize_t n = recv(conn->fd, buf, CONN_BUF_LEN, 0);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return by_errno(errno);
		if (!n) {
			conn->eof = true;
			break;
		}
		end = judge(conn, plan, buf, (size_t)n);
		if (end != CONN_GOES_ON)
			return end;
		conn->got += (uint64_t)n;
		if (plan->reset_after && conn->got >= plan->reset_after)
			return reset(conn);
	}
	return end;
}

/* all that was to come has */
static bool is_complete(const struct conn *conn, const struct conn_plan *plan)
{
	if (conn->sent < conn->total)
		return false;
	if (plan->http)
		return conn->answers == plan->responses ||
		       (conn->in_body && conn->body_left == UINT64_MAX &&
			conn->answers + 1 == plan->responses && conn->eof);
	if (plan->down)
		return conn->got == plan->down;
	return conn->got + plan->head_len == conn->total;
}

static bool needs_eof(const struct conn_plan *plan)
{
	if (plan->keep)
		return false;
	return plan->http ? !plan->client_closes
			  : plan->half_close || plan->wait_eof;
}

enum conn_end conn_step(struct conn *conn, const struct conn_plan *plan,
			uint8_t *buf)
{
	enum conn_end end;

	if (!plan->no_read) {
		end = recv_some(conn, plan, buf);
		if (end != CONN_GOES_ON)
			return end;
	}
	end = send_some(conn, plan);
	if (end != CONN_GOES_ON)
		return end;
	if (plan->no_read)
		return CONN_GOES_ON;
	if (is_complete(conn, plan)) {
		if (plan->keep && !conn->eof)
			return CONN_KEPT;
		if (conn->eof || !needs_eof(plan))
			return CONN_DONE;
	} else if (conn->eof && !(plan->wait_eof && may_send(conn, plan))) {
		return CONN_EOF;
	}
	return CONN_GOES_ON;
}

uint32_t conn_wants(const struct conn *conn, const struct conn_plan *plan)
{
	uint32_t events = 0;

	if (may_send(conn, plan))
		events |= EPOLLOUT;
	if (!plan->no_read && !conn->eof)
		events |= EPOLLIN;
	return events;
}
