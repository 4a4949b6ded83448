// SPDX-License-Identifier: MIT
/*
 * Bytes per second and CPU per byte. PREPARE opens all connections, so the
 * measurement holds no handshake; with --bytes each connection carries its
 * share in one body, else bodies follow each other until the time is up.
 *
 * Down: GET, with a Range when a share was asked for; a transfer is good
 * when the body was as long as Content-Length said. Up: PUT, and behind the
 * body a GET on the same connection: HTTP/1.1 answers in order, so its
 * response says that the server has read the whole body, also for servers
 * that answer the PUT before they read it.
 *
 * What all connections send is made once and shared read-only.
 */
#include "stream.h"

#include <fcntl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* sends under way per connection: one being encrypted, one to follow */
#define QUEUED_MAX 2

enum tag { TAG_HEADER, TAG_BODY };

static struct {
	char *header; /* GET or PUT */
	size_t header_len;
	char *tail; /* GET behind a PUT's body */
	size_t tail_len;
	uint8_t *chunk;
	size_t chunk_len;
	int file;
	uint64_t file_len;
	uint64_t body; /* bytes of one PUT */
} out = { .file = -1 };

static int file_open(const struct options *opts, char *why, size_t why_len)
{
	struct stat st;

	out.file = open(opts->sendfile, O_RDONLY | O_CLOEXEC);
	if (out.file < 0 || fstat(out.file, &st)) {
		(void)snprintf(why, why_len, "--sendfile: %s: %s",
			       opts->sendfile, strerror(errno));
		return -1;
	}
	if (!S_ISREG(st.st_mode) || st.st_size <= 0) {
		(void)snprintf(why, why_len,
			       "--sendfile: %s: not a regular file with bytes",
			       opts->sendfile);
		return -1;
	}
	out.file_len = (uint64_t)st.st_size;
	return 0;
}

int stream_prepare(const struct options *opts, const struct target *target,
		   char *why, size_t why_len)
{
	const char *host = target_host(target, opts->sni);
	char fields[96] = "";
	uint64_t share;

	share = (opts->bytes + opts->connections - 1) / opts->connections;
	if (opts->dir == BENCH_UP) {
		if (opts->sendfile && file_open(opts, why, why_len))
			return -1;
		out.body = share	    ? share
			   : opts->sendfile ? out.file_len
					    : opts->put_size;
		(void)snprintf(fields, sizeof(fields),
			       "Content-Type: application/octet-stream\r\n"
			       "Content-Length: %" PRIu64 "\r\n",
			       out.body);
		out.tail = http_request("GET", "/", host, "", &out.tail_len);
		out.chunk_len = opts->chunk;
		out.chunk = malloc(out.chunk_len);
		if (!out.tail || !out.chunk)
			goto no_memory;
		memset(out.chunk, 'x', out.chunk_len);
	} else if (share) {
		(void)snprintf(fields, sizeof(fields),
			       "Range: bytes=0-%" PRIu64 "\r\n", share - 1);
	}
	out.header = http_request(opts->dir == BENCH_UP ? "PUT" : "GET",
				  opts->path, host, fields, &out.header_len);
	if (out.header)
		return 0;
no_memory:
	(void)snprintf(why, why_len, "out of memory");
	return -1;
}

void stream_fini(void)
{
	free(out.header);
	free(out.tail);
	free(out.chunk);
	if (out.file >= 0)
		(void)close(out.file); /* read only */
	out.header = NULL;
	out.tail = NULL;
	out.chunk = NULL;
	out.file = -1;
}

static void pending(struct slot *slot, bool busy)
{
	slot->worker->pending += (unsigned int)busy;
	slot->worker->pending -= (unsigned int)slot->busy;
	slot->busy = busy;
}

static bool send_header(struct slot *slot, const char *text, size_t len)
{
	int err = ktc_conn_send(slot->conn, text, len, TAG_HEADER);

	if (err == -EAGAIN)
		return false; /* the next SENT tries again */
	if (err) {
		slot_give_up(slot, ktc_strerror(err));
		return false;
	}
	slot->header_bytes += len;
	slot->queued++;
	return true;
}

static bool send_piece(struct slot *slot)
{
	uint64_t len = slot->left;
	int err;

	if (out.file >= 0) {
		if (len > out.file_len - slot->offset)
			len = out.file_len - slot->offset;
		err = ktc_conn_sendfile(slot->conn, out.file, slot->offset, len,
					TAG_BODY);
	} else {
		if (len > out.chunk_len)
			len = out.chunk_len;
		err = ktc_conn_send(slot->conn, out.chunk, len, TAG_BODY);
	}
	if (err == -EAGAIN)
		return false;
	if (err) {
		slot_give_up(slot, ktc_strerror(err));
		return false;
	}
	slot->left -= len;
	slot->queued++;
	slot->offset += len;
	if (slot->offset >= out.file_len)
		slot->offset = 0;
	return true;
}

/* keeps QUEUED_MAX sends under way while the body lasts */
static void pump(struct slot *slot)
{
	if (slot->why)
		return;
	while (slot->left && slot->queued < QUEUED_MAX)
		if (!send_piece(slot))
			return;
	if (!slot->left && !slot->tail_queued)
		slot->tail_queued = send_header(slot, out.tail, out.tail_len);
}

static void transfer(struct slot *slot)
{
	memset(&slot->http, 0, sizeof(slot->http));
	slot->last_ns = 0;
	slot->confirm = false;
	slot->complete = false;
	if (!send_header(slot, out.header, out.header_len)) {
		slot_give_up(slot, "the request does not fit the send queue");
		return;
	}
	if (slot->worker->run->opts->dir == BENCH_DOWN)
		return;
	slot->left = out.body;
	slot->offset = 0;
	slot->tail_queued = false;
	pump(slot);
}

static void begin_prepare(struct worker *w)
{
	unsigned int i;

	for (i = 0; i < w->slot_count; i++)
		if (slot_connect(&w->slots[i]))
			pending(&w->slots[i], true);
}

static void begin_measure(struct worker *w)
{
	struct ktc_conn_info info = { .size = sizeof(info) };
	struct slot *slot;
	unsigned int i;

	for (i = 0; i < w->slot_count; i++) {
		slot = &w->slots[i];
		if (!slot->conn)
			continue;
		if (!ktc_conn_info(slot->conn, &info)) {
			memcpy(slot->base.records, info.records,
			       sizeof(slot->base.records));
			slot->base.sent = info.bytes[KTC_TX];
		}
		slot->header_bytes = 0;
		pending(slot, true);
		transfer(slot);
	}
}

static void begin(struct worker *w)
{
	if (w->phase == RUN_PREPARE)
		begin_prepare(w);
	else
		begin_measure(w);
}

/* once per connection, when it has carried all it will */
static void account(struct slot *slot)
{
	struct ktc_conn_info info = { .size = sizeof(info) };
	struct worker *w = slot->worker;
	struct stats *stats = worker_stats(w);
	uint64_t sent;
	int dir;

	stats_planes(stats, slot->conn);
	if (ktc_conn_info(slot->conn, &info))
		return;
	for (dir = 0; dir < 2; dir++)
		stats->records[dir] +=
			info.records[dir] - slot->base.records[dir];
	sent = info.bytes[KTC_TX] - slot->base.sent;
	if (w->run->opts->dir == BENCH_UP && sent > slot->header_bytes)
		stats->bytes += sent - slot->header_bytes;
}

static void gap(struct slot *slot)
{
	uint64_t now = clock_ns();

	if (slot->last_ns)
		hist_record(&worker_stats(slot->worker)->hist[STATS_GAP],
			    now - slot->last_ns);
	slot->last_ns = now;
}

static void response_done(struct slot *slot)
{
	struct worker *w = slot->worker;
	const struct options *opts = w->run->opts;

	if (opts->dir == BENCH_UP && !slot->confirm) {
		slot->confirm = true;
		memset(&slot->http, 0, sizeof(slot->http));
		return;
	}
	if (slot->left) {
		slot_give_up(slot, "answered before the body was sent");
		return;
	}
	worker_stats(w)->transfers++;
	if (opts->bytes) {
		slot->complete = true;
		worker_stats(w)->done++;
		pending(slot, false);
	} else {
		transfer(slot);
	}
}

/* whether the header just read may stand; gives up if not */
static bool header_good(struct slot *slot)
{
	const struct http_response *r = &slot->http;
	char why[64];

	if (r->state == HTTP_BAD) {
		slot_give_up(slot, r->why);
		return false;
	}
	if (r->state < HTTP_BODY)
		return true;
	if (r->until_eof) {
		slot_give_up(slot, "HTTP response without Content-Length");
		return false;
	}
	/* the request behind a body only has to be answered */
	if (!slot->confirm && r->status / 100 != 2) {
		(void)snprintf(why, sizeof(why), "HTTP status %u", r->status);
		slot_give_up(slot, why);
		return false;
	}
	return true;
}

static void data(struct slot *slot, const struct ktc_event *ev)
{
	struct worker *w = slot->worker;
	bool down = w->run->opts->dir == BENCH_DOWN;
	size_t at = 0;
	uint64_t body;

	if (down)
		gap(slot);
	while (at < ev->len && !slot->why) {
		if (slot->complete) {
			slot_give_up(slot, "bytes behind the response");
			return;
		}
		body = slot->http.body;
		at += http_feed(&slot->http, ev->data + at, ev->len - at);
		if (!header_good(slot))
			return;
		if (down) {
			body = slot->http.body - body;
			worker_stats(w)->bytes += body;
			live_add(&w->bytes, body);
		}
		if (slot->http.state == HTTP_DONE)
			response_done(slot);
	}
}

static void sent(struct slot *slot, const struct ktc_event *ev)
{
	struct worker *w = slot->worker;

	slot->queued--;
	if (ev->err || w->run->opts->dir == BENCH_DOWN)
		return;
	gap(slot);
	if (ev->tag == TAG_BODY)
		live_add(&w->bytes, ev->len);
	pump(slot);
}

static void closed(struct slot *slot, struct ktc_event *ev)
{
	struct worker *w = slot->worker;

	if (w->phase == RUN_MEASURE)
		account(slot);
	if (!slot->complete)
		slot_failed(slot, ev->err);
	pending(slot, false);
	slot->conn = NULL;
	ktc_event_release(w->loop, ev);
}

static void event(struct worker *w, struct ktc_event *ev)
{
	struct slot *slot = ev->user;

	switch (ev->type) {
	case KTC_EV_OPEN:
		slot->resumed = stats_opened(worker_stats(w), slot->conn);
		pending(slot, false);
		break;
	case KTC_EV_DATA:
		if (w->phase == RUN_MEASURE)
			data(slot, ev);
		break;
	case KTC_EV_SENT:
		sent(slot, ev);
		break;
	case KTC_EV_EOF:
		if (!slot->complete)
			slot_give_up(slot, "closed before it was complete");
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
	struct slot *slot;
	unsigned int i;

	for (i = 0; i < w->slot_count; i++) {
		slot = &w->slots[i];
		if (!slot->conn)
			continue;
		account(slot);
		worker_stats(w)->cut += !slot->complete;
	}
}

const struct run_ops stream_ops = {
	.begin = begin,
	.event = event,
	.end = end,
};
