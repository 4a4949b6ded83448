// SPDX-License-Identifier: MIT
/*
 * One thread, all connections in one epoll set. A connection has a buffer of
 * its own: what was read and not yet sent. It reads no more while that is
 * full, so that whoever is slow is felt at the other end.
 */
#include "serve.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "guest_io.h"

#define BUF_LEN	   65536
#define EVENTS_MAX 256
#define BACKLOG	   4096
#define TURNS_MAX  8

struct guest {
	struct guest_io io;
	uint32_t events;
	bool greeted; /* TLS: the handshake is done */
	bool eof;
	bool shut;
	bool wrong;
	uint64_t got;
	uint64_t sent;
	size_t from; /* in buf: not yet sent */
	size_t to;
	uint8_t buf[]; /* of an echo: BUF_LEN */
};

struct server {
	const struct options *opts;
	struct ssl_ctx_st *tls; /* NULL: plaintext */
	int epoll_fd;
	int listen_fd;
	int signal_fd;
	uint8_t scratch[BUF_LEN];
};

/* struct guest pointers are not these */
static const char on_listen, on_signal;

static int watch(struct server *s, int op, int fd, uint32_t events,
		 const void *what)
{
	struct epoll_event event = { .events = events,
				     .data.ptr = (void *)(uintptr_t)what };

	return epoll_ctl(s->epoll_fd, op, fd, &event) ? -errno : 0;
}

static void drop(struct guest *g, const char *how)
{
	printf("%s %llu %llu %s\n", how, (unsigned long long)g->got,
	       (unsigned long long)g->sent,
	       guest_io_resumed(&g->io) ? "r" : ".");
	guest_io_close(&g->io);
	free(g);
}

static void reset(struct guest *g)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(g->io.fd, SOL_SOCKET, SO_LINGER, &linger,
			 sizeof(linger)); /* a close without it is told apart */
	drop(g, "reset");
}

/* bytes ready to be sent, or NULL */
static const uint8_t *ready(const struct server *s, struct guest *g,
			    size_t *len)
{
	uint64_t left;

	if (s->opts->serve == SERVE_ECHO) {
		*len = g->to - g->from;
		return *len ? g->buf + g->from : NULL;
	}
	if (s->opts->serve != SERVE_SOURCE)
		return NULL;
	left = s->opts->serve_bytes - g->sent;
	*len = left > BUF_LEN ? BUF_LEN : (size_t)left;
	return left ? bytes_at(0, g->sent, len) : NULL;
}

/* a source ends first, everybody else after the client */
static bool is_to_end(const struct server *s, struct guest *g)
{
	size_t len;

	return !g->shut && (g->eof || s->opts->serve == SERVE_SOURCE) &&
	       !ready(s, g, &len);
}

/* 0, or -1: gone */
static int push(struct server *s, struct guest *g)
{
	const uint8_t *data;
	size_t len;
	int turns;

	for (turns = 0; turns < TURNS_MAX && (data = ready(s, g, &len));
	     turns++) {
		ssize_t n = guest_io_send(&g->io, data, len);

		if (n == GUEST_AGAIN)
			break;
		if (n < 0)
			return -1;
		g->sent += (uint64_t)n;
		g->from += s->opts->serve == SERVE_ECHO ? (size_t)n : 0;
		if (g->from == g->to)
			g->from = g->to = 0;
	}
	if (is_to_end(s, g)) {
		int rc = guest_io_shut(&g->io);

		if (rc && rc != GUEST_AGAIN)
			return -1;
		g->shut = !rc;
	}
	return 0;
}

/* a client of a source sends stream 1; a sink takes whatever comes */
static int pull(struct server *s, struct guest *g)
{
	bool echo = s->opts->serve == SERVE_ECHO;
	int turns;

	for (turns = 0; turns < TURNS_MAX && !g->eof; turns++) {
		uint8_t *to = echo ? g->buf + g->to : s->scratch;
		size_t room = echo ? BUF_LEN - g->to : BUF_LEN;
		ssize_t n;

		if (!room)
			break;
		n = guest_io_recv(&g->io, to, room);
		if (n == GUEST_AGAIN)
			break;
		if (n < 0)
			return -1;
		if (!n)
			g->eof = true;
		if (s->opts->serve == SERVE_SOURCE &&
		    bytes_differ(1, g->got, to, (size_t)n) != (size_t)n)
			g->wrong = true;
		g->got += (uint64_t)n;
		g->to += echo ? (size_t)n : 0;
	}
	return 0;
}

static uint32_t wants(const struct server *s, struct guest *g)
{
	bool echo = s->opts->serve == SERVE_ECHO;
	uint32_t events = 0;
	size_t len;

	if (s->opts->serve == SERVE_MUTE && g->greeted)
		return 0;
	if (!g->eof && (!echo || g->to < BUF_LEN))
		events |= EPOLLIN;
	if (g->greeted && (ready(s, g, &len) || is_to_end(s, g)))
		events |= EPOLLOUT;
	return events;
}

/* what was read and lies in TLS' buffer makes no event */
static bool has_more(const struct server *s, const struct guest *g)
{
	return guest_io_pending(&g->io) && !g->eof &&
	       (s->opts->serve != SERVE_ECHO || g->to < BUF_LEN);
}

static int exchange(struct server *s, struct guest *g)
{
	int rc = guest_io_greet(&g->io);

	if (rc)
		return rc == GUEST_AGAIN ? 0 : -1;
	g->greeted = true;
	if (s->opts->serve == SERVE_MUTE)
		return 0;
	do {
		if (pull(s, g) || push(s, g))
			return -1;
	} while (has_more(s, g));
	return 0;
}

static int on_guest(struct server *s, struct guest *g)
{
	uint32_t events;

	if (exchange(s, g)) {
		drop(g, "reset");
		return 0;
	}
	if (s->opts->serve == SERVE_RESET && g->got) {
		reset(g);
		return 0;
	}
	if (g->eof && g->shut) {
		drop(g, g->wrong ? "wrong" : "done");
		return 0;
	}
	events = wants(s, g);
	if (events == g->events)
		return 0;
	g->events = events;
	return watch(s, EPOLL_CTL_MOD, g->io.fd, events, g);
}

static int on_new(struct server *s)
{
	bool echo = s->opts->serve == SERVE_ECHO;
	struct guest *g;
	int fd, err;

	fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return errno == EAGAIN || errno == ECONNABORTED ||
				       errno == EMFILE
			       ? 0
			       : -errno;
	g = calloc(1, sizeof(*g) + (echo ? BUF_LEN : 0));
	if (!g) {
		(void)close(fd); /* nothing was said on it */
		return -ENOMEM;
	}
	err = guest_io_open(&g->io, s->tls, fd);
	if (err) {
		(void)close(fd); /* the same */
		free(g);
		return err;
	}
	g->events = EPOLLIN;
	err = watch(s, EPOLL_CTL_ADD, fd, g->events, g);
	return err ? err : on_guest(s, g);
}

/* one that reads nothing learns of an end by this alone */
static bool is_hung_up(const struct server *s, const struct epoll_event *event)
{
	return s->opts->serve == SERVE_MUTE &&
	       event->events & (EPOLLHUP | EPOLLERR);
}

static int loop(struct server *s)
{
	struct epoll_event events[EVENTS_MAX];
	int i, n, err = 0;

	while (!err) {
		if (fflush(stdout))
			return -errno;
		n = epoll_wait(s->epoll_fd, events, EVENTS_MAX, -1);
		if (n < 0 && errno != EINTR)
			return -errno;
		for (i = 0; !err && i < n; i++) {
			if (events[i].data.ptr == &on_signal)
				return 0;
			if (events[i].data.ptr == &on_listen)
				err = on_new(s);
			else if (is_hung_up(s, &events[i]))
				drop(events[i].data.ptr, "reset");
			else
				err = on_guest(s, events[i].data.ptr);
		}
	}
	return err;
}

static int tell_port(int fd)
{
	struct sockaddr_storage addr = { 0 };
	socklen_t len = sizeof(addr);
	unsigned int port = 0;

	if (getsockname(fd, (struct sockaddr *)&addr, &len))
		return -errno;
	if (addr.ss_family == AF_INET)
		port = ntohs(((struct sockaddr_in *)&addr)->sin_port);
	else if (addr.ss_family == AF_INET6)
		port = ntohs(((struct sockaddr_in6 *)&addr)->sin6_port);
	printf("listening %u\n", port);
	return 0;
}

static int listen_at(struct server *s, const struct place *place)
{
	const int on = 1;
	int fd = socket(place->addr.ss_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	s->listen_fd = fd;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
			 sizeof(on)); /* bind() will say */
	if (bind(fd, (const struct sockaddr *)&place->addr, place->len) ||
	    listen(fd, BACKLOG))
		return -errno;
	return tell_port(fd);
}

static int set_up(struct server *s, const struct place *place)
{
	sigset_t set;
	int err;

	/* OpenSSL writes without MSG_NOSIGNAL */
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -errno;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->signal_fd < 0 || s->epoll_fd < 0)
		return -errno;
	err = listen_at(s, place);
	if (!err)
		err = watch(s, EPOLL_CTL_ADD, s->listen_fd, EPOLLIN,
			    &on_listen);
	if (!err)
		err = watch(s, EPOLL_CTL_ADD, s->signal_fd, EPOLLIN,
			    &on_signal);
	return err;
}

int serve_run(const struct options *opts, const struct place *place)
{
	struct server *s = calloc(1, sizeof(*s));
	int err = 0;

	if (!s)
		return -ENOMEM;
	s->opts = opts;
	if (opts->cert)
		err = guest_tls(opts->cert, opts->key ? opts->key : opts->cert,
				&s->tls);
	s->epoll_fd = -1;
	s->listen_fd = -1;
	s->signal_fd = -1;
	if (!err)
		err = set_up(s, place);
	if (!err)
		err = loop(s);
	/* the process ends now, and its sockets with it */
	free(s);
	return err;
}
