// SPDX-License-Identifier: MIT
/*
 * Closed loop of short connections: each slot connects, sends the request,
 * waits for the response, closes, and starts again as soon as CLOSED came.
 *
 * PREPARE is the warm-up: with TLS 1.3's single-use tickets the first
 * connection of every slot is a full handshake of necessity, so those are
 * counted apart. The warm-up ends before the measurement begins; only at the
 * end of the time are connections cut, and counted as that.
 *
 * The request is made once and shared read-only by all threads.
 */
#include "connect.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_BYTES_MAX (UINT64_C(64) << 20)

static struct {
	char *bytes;
	size_t len;
} request;

/* a number and nothing behind it */
static bool parse_count(const char *text, uint64_t *out)
{
	uint64_t value = 0;

	if (!*text)
		return false;
	for (; *text >= '0' && *text <= '9'; text++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, *text - '0', &value))
			return false;
	if (*text)
		return false;
	*out = value;
	return true;
}

/* \r \n \t \0 as in C, any other character stands for itself */
static size_t unescape(char *out, const char *text)
{
	static const char from[] = "rnt0", to[] = "\r\n\t\0";
	const char *at;
	size_t n = 0;

	for (; *text; text++) {
		if (*text == '\\' && text[1]) {
			text++;
			at = strchr(from, *text);
			out[n++] = at ? to[at - from] : *text;
		} else {
			out[n++] = *text;
		}
	}
	return n;
}

static int make_request(struct options *opts, const struct target *target,
			char *why, size_t why_len)
{
	const char *text = opts->request_text;
	uint64_t count;

	opts->request = REQUEST_BYTES;
	if (!strcmp(text, "http")) {
		opts->request = REQUEST_HTTP;
		request.bytes = http_request("GET", opts->path,
					     target_host(target, opts->sni),
					     "Connection: close\r\n",
					     &request.len);
	} else if (parse_count(text, &count)) {
		if (count > REQUEST_BYTES_MAX) {
			(void)snprintf(why, why_len,
				       "--request: %s is above %" PRIu64, text,
				       REQUEST_BYTES_MAX);
			return -1;
		}
		request.bytes = malloc(count + 1);
		request.len = count;
		if (request.bytes)
			memset(request.bytes, 'x', count);
	} else {
		request.bytes = malloc(strlen(text) + 1);
		if (request.bytes)
			request.len = unescape(request.bytes, text);
	}
	if (request.bytes)
		return 0;
	(void)snprintf(why, why_len, "--request: out of memory");
	return -1;
}

int connect_prepare(struct options *opts, const struct target *target,
		    char *why, size_t why_len)
{
	const char *text = opts->response_text;

	if (!strcmp(text, "eof")) {
		opts->response = RESPONSE_EOF;
	} else if (!strcmp(text, "none")) {
		opts->response = RESPONSE_NONE;
	} else if (parse_count(text, &opts->response_bytes) &&
		   opts->response_bytes) {
		opts->response = RESPONSE_BYTES;
	} else {
		(void)snprintf(why, why_len,
			       "--response: \"%s\" is none of BYTES, eof, none",
			       text);
		return -1;
	}
	return make_request(opts, target, why, why_len);
}

void connect_fini(void)
{
	free(request.bytes);
	request.bytes = NULL;
}

static void next(struct slot *slot)
{
	struct worker *w = slot->worker;

	w->pending -= slot->busy;
	slot->busy = false;
	while (run_permit(w->run)) {
		if (slot_connect(slot)) {
			slot->busy = true;
			w->pending++;
			return;
		}
	}
}

static void begin(struct worker *w)
{
	unsigned int i;

	for (i = 0; i < w->slot_count; i++)
		next(&w->slots[i]);
}

static void complete(struct slot *slot)
{
	if (slot->complete || slot->why)
		return;
	slot->complete = true;
	if (ktc_conn_close(slot->conn))
		ktc_conn_abort(slot->conn);
}

static void opened(struct slot *slot)
{
	struct worker *w = slot->worker;
	int err;

	slot->resumed = stats_opened(worker_stats(w), slot->conn);
	slot->open_ns = clock_ns();
	if (request.len) {
		err = ktc_conn_send(slot->conn, request.bytes, request.len, 0);
		if (err)
			slot_give_up(slot, ktc_strerror(err));
	} else if (w->run->opts->response == RESPONSE_NONE) {
		complete(slot);
	}
}

static void data(struct slot *slot, const struct ktc_event *ev)
{
	const struct options *opts = slot->worker->run->opts;
	char why[64];

	if (slot->why)
		return;
	if (!slot->seen) {
		slot->seen = true;
		hist_record(&worker_stats(slot->worker)->hist[STATS_FIRST_BYTE],
			    clock_ns() - slot->open_ns);
	}
	slot->received += ev->len;
	if (opts->request == REQUEST_HTTP) {
		http_feed(&slot->http, ev->data, ev->len);
		if (slot->http.state == HTTP_BAD) {
			slot_give_up(slot, slot->http.why);
			return;
		}
		if (slot->http.state >= HTTP_BODY &&
		    slot->http.status / 100 != 2) {
			(void)snprintf(why, sizeof(why), "HTTP status %u",
				       slot->http.status);
			slot_give_up(slot, why);
			return;
		}
	}
	if (opts->response == RESPONSE_BYTES &&
	    slot->received >= opts->response_bytes)
		complete(slot);
}

static void ended(struct slot *slot)
{
	const struct options *opts = slot->worker->run->opts;

	if (slot->complete || slot->why)
		return;
	if (opts->response == RESPONSE_BYTES)
		slot_give_up(slot, "fewer bytes than --response says");
	else if (opts->response == RESPONSE_EOF &&
		 opts->request == REQUEST_HTTP && !http_eof(&slot->http))
		slot_give_up(slot, "HTTP response is incomplete");
	else
		complete(slot);
}

static void closed(struct slot *slot, struct ktc_event *ev)
{
	struct worker *w = slot->worker;
	struct stats *stats = worker_stats(w);

	if (slot->complete) {
		stats->done++;
		stats_planes(stats, slot->conn);
		hist_record(&stats->hist[STATS_TOTAL],
			    clock_ns() - slot->start_ns);
		if (ev->err)
			stats_unclean(stats, slot->conn, ev->err);
		live_add(&w->done, 1);
		live_add(&w->resumed, slot->resumed);
	} else {
		slot_failed(slot, ev->err);
	}
	slot->conn = NULL;
	ktc_event_release(w->loop, ev);
	next(slot);
}

static void event(struct worker *w, struct ktc_event *ev)
{
	struct slot *slot = ev->user;

	switch (ev->type) {
	case KTC_EV_OPEN:
		opened(slot);
		break;
	case KTC_EV_DATA:
		data(slot, ev);
		break;
	case KTC_EV_SENT:
		if (!ev->err && w->run->opts->response == RESPONSE_NONE)
			complete(slot);
		break;
	case KTC_EV_EOF:
		ended(slot);
		break;
	case KTC_EV_CLOSED:
		closed(slot, ev);
		return;
	case KTC_EV_TICKET:
	case KTC_EV_REKEYED:
	case KTC_EV_RELAYED:
	case KTC_EV_DETACHED:
	case KTC_EV_STAYED:
		break;
	}
	ktc_event_release(w->loop, ev);
}

static void end(struct worker *w)
{
	unsigned int i;

	for (i = 0; i < w->slot_count; i++)
		if (w->slots[i].conn)
			worker_stats(w)->cut++;
}

const struct run_ops connect_ops = {
	.begin = begin,
	.event = event,
	.end = end,
};
