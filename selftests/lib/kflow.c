// SPDX-License-Identifier: MIT
/*
 * Traffic at the ends of a relay; see kflow.h. Nothing here blocks but
 * poll(): an end that waits for the other can never hold it up.
 */
#include "kflow.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "kpair.h"
#include "pattern.h"

#define PIECE_MAX (64 * 1024)

/* Bases far apart, so that no two directions ever send the same stretch. */
#define BASE_A (1ull << 40)
#define BASE_B (2ull << 40)

uint64_t kflow_random(uint64_t *seed, uint64_t n)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (*seed >> 24) % n;
}

void kflow_init(struct kflow *flow, struct kflow_end *a, int a_fd, bool a_tls,
		struct kflow_end *b, int b_fd, bool b_tls, uint64_t len)
{
	*a = (struct kflow_end){
		.fd = a_fd, .tls = a_tls,
		.send_base = BASE_A, .recv_base = BASE_B,
		.send_len = len, .recv_len = len,
		.piece_min = 1, .piece_max = 40000,
	};
	*b = *a;
	b->fd = b_fd;
	b->tls = b_tls;
	b->send_base = BASE_B;
	b->recv_base = BASE_A;
	*flow = (struct kflow){ .end = { a, b }, .seed = 1 };
}

static bool can_send(const struct kflow_end *end)
{
	return !end->err && !end->finished &&
	       (end->sent < end->send_len || end->finish);
}

static bool can_receive(const struct kflow_end *end)
{
	return !end->err && !end->eof && !end->deaf;
}

bool kflow_end_is_done(const struct kflow_end *end)
{
	return !can_send(end) && end->received >= end->recv_len &&
	       (!end->want_eof || end->eof || end->notified);
}

/* The end of the stream: an alert, or half a close. */
static int send_finish(struct kflow_end *end)
{
	static const uint8_t close_notify[2] = { 1, 0 };
	ssize_t ret;

	if (end->tls) {
		ret = kpair_send(end->fd, KPAIR_ALERT, close_notify, 2,
				 MSG_DONTWAIT);
		if (ret < 0)
			return (int)ret;
	} else if (shutdown(end->fd, SHUT_WR)) {
		return -errno;
	}
	end->finished = true;
	return 0;
}

/* One piece. Bytes sent, or -errno. */
static ssize_t send_piece(struct kflow_end *end, uint64_t *seed)
{
	uint8_t buf[PIECE_MAX];
	uint64_t left = end->send_len - end->sent;
	size_t len = sizeof(buf);
	ssize_t ret;

	if (!left)
		return send_finish(end);
	if (end->piece_max)
		len = end->piece_min +
		      kflow_random(seed, end->piece_max - end->piece_min + 1);
	if (len > sizeof(buf))
		len = sizeof(buf);
	if (len > left)
		len = left;
	peer_pattern_fill(buf, end->send_base + end->sent, len);
	ret = send(end->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (ret < 0)
		return -errno;
	end->sent += (uint64_t)ret;
	return ret;
}

static ssize_t receive_piece(struct kflow_end *end)
{
	uint8_t buf[PIECE_MAX], type = KPAIR_DATA;
	size_t len = end->recv_max ? end->recv_max : sizeof(buf);
	ssize_t ret;

	if (end->tls) {
		ret = kpair_recv(end->fd, &type, buf, len, MSG_DONTWAIT);
	} else {
		ret = recv(end->fd, buf, len, MSG_DONTWAIT);
		if (ret < 0)
			ret = -errno;
	}
	if (ret < 0)
		return ret;
	if (!ret && (!end->tls || !type)) {
		end->eof = true;
		return 0;
	}
	if (type != KPAIR_DATA) {
		end->others++;
		if (type == KPAIR_ALERT && ret == 2 && buf[1] == 0)
			end->notified = true;
		return 0;
	}
	if (peer_pattern_check(buf, end->recv_base + end->received,
			       (size_t)ret) != (size_t)ret)
		end->mismatch = true;
	end->received += (uint64_t)ret;
	return ret;
}

static void note(struct kflow_end *end, ssize_t ret)
{
	if (ret < 0 && ret != -EAGAIN && ret != -EINTR)
		end->err = (int)ret;
}

static void serve(struct kflow_end *end, short revents, uint64_t *seed)
{
	if (revents & (POLLIN | POLLHUP | POLLERR) && can_receive(end))
		note(end, receive_piece(end));
	if (revents & POLLOUT && can_send(end))
		note(end, send_piece(end, seed));
}

static int verdict(const struct kflow *flow)
{
	int i;

	for (i = 0; i < 2; i++)
		if (flow->end[i]->mismatch ||
		    flow->end[i]->received > flow->end[i]->recv_len)
			return -EBADMSG;
	for (i = 0; i < 2; i++)
		if (flow->end[i]->err)
			return flow->end[i]->err;
	return 0;
}

int kflow_step(struct kflow *flow, int wait_ms)
{
	struct pollfd p[2];
	int i, n;

	for (i = 0; i < 2; i++) {
		struct kflow_end *end = flow->end[i];

		p[i].events = (short)((can_send(end) ? POLLOUT : 0) |
				      (can_receive(end) ? POLLIN : 0));
		/* one that waits for nothing is not woken by its errors */
		p[i].fd = p[i].events ? end->fd : -1;
		p[i].revents = 0;
	}
	n = poll(p, 2, wait_ms);
	if (!n)
		return -ETIMEDOUT;
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (i = 0; i < 2; i++)
		serve(flow->end[i], p[i].revents, &flow->seed);
	return verdict(flow);
}

int kflow_run_until(struct kflow *flow, bool (*reached)(void *arg), void *arg)
{
	int idle_ms = flow->idle_ms ? flow->idle_ms : KFLOW_IDLE_MS;
	int err = 0;

	while (!err && !reached(arg))
		err = kflow_step(flow, idle_ms);
	return err;
}

static bool both_done(void *arg)
{
	const struct kflow *flow = arg;

	return kflow_end_is_done(flow->end[0]) &&
	       kflow_end_is_done(flow->end[1]);
}

int kflow_run(struct kflow *flow)
{
	return kflow_run_until(flow, both_done, flow);
}
