// SPDX-License-Identifier: MIT
/*
 * The peer itself: its threads, its listening socket, and what it tells the
 * test.
 *
 * One thread accepts; each connection has a thread of its own that runs its
 * section of the script (with PEER_SEQUENTIAL the accepting thread waits for
 * it). @lock guards everything the threads share, @changed is broadcast when
 * any of it changes; @stop_fd becomes readable once and stays so, which ends
 * every poll().
 */
#include "peer_conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS	1000000ull
#define NS_PER_S	1000000000ull
#define PSK_SLOTS	(2u * PEER_CONNS_MAX)

struct peer {
	struct peer_opts opts;
	struct peer_step steps[PEER_STEPS_MAX];
	struct peer_alpn alpn;
	SSL_CTX *ctx;
	int listen_fd;
	int stop_fd;
	uint16_t port;
	char unix_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	pthread_t acceptor;
	bool accepting;			/* @acceptor is to be joined */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* the rest is under @lock */
	bool stop;
	unsigned int live;		/* connections not yet joined */
	unsigned int waiting;		/* of those, at a barrier */
	unsigned int credits;		/* peer_go() calls not yet used */
	struct peer_conn *conns;
	struct peer_totals totals;
	struct peer_result **results;	/* by number; NULL: not ended */
	uint64_t *psk_seen;		/* open hash table; 0: free slot */
};

/* ------------------------------------------------------------- time -- */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint64_t deadline_of(const struct peer *peer)
{
	return now_ns() + peer->opts.timeout_ms * NS_PER_MS;
}

/* Return: 0 or -ETIMEDOUT; with the lock held. */
static int wait_changed(struct peer *peer, uint64_t deadline_ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(deadline_ns / NS_PER_S),
		.tv_nsec = (long)(deadline_ns % NS_PER_S),
	};

	return -pthread_cond_timedwait(&peer->changed, &peer->lock, &ts);
}

int pconn_wait(struct peer_conn *c, short events)
{
	struct pollfd fds[2] = {
		{ .fd = c->fd, .events = events },
		{ .fd = c->peer->stop_fd, .events = POLLIN },
	};
	struct timespec ts;
	uint64_t now, left;
	int n;

	do {
		now = now_ns();
		left = now < c->deadline_ns ? c->deadline_ns - now : 0;
		ts.tv_sec = (time_t)(left / NS_PER_S);
		ts.tv_nsec = (long)(left % NS_PER_S);
		n = ppoll(fds, 2, &ts, NULL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (fds[1].revents)
		return -ECANCELED;
	return n ? 0 : -ETIMEDOUT;
}

int pconn_wait_go(struct peer_conn *c)
{
	struct peer *peer = c->peer;
	int err = 0;

	pthread_mutex_lock(&peer->lock);
	peer->waiting++;
	pthread_cond_broadcast(&peer->changed);
	while (!err && !peer->credits)
		err = peer->stop ? -ECANCELED :
				   wait_changed(peer, c->deadline_ns);
	peer->waiting--;
	if (!err)
		peer->credits--;
	pthread_cond_broadcast(&peer->changed);
	pthread_mutex_unlock(&peer->lock);
	return err;
}

/* ---------------------------------------------------------- results -- */

void pconn_note_psk(struct peer_conn *c, uint64_t hash)
{
	struct peer *peer = c->peer;
	size_t slot = hash % PSK_SLOTS;

	hash |= !hash;	/* 0 marks a free slot */
	pthread_mutex_lock(&peer->lock);
	peer->totals.psk_offered++;
	/* At most one a connection: half of the slots stay free. */
	while (peer->psk_seen[slot] && peer->psk_seen[slot] != hash)
		slot = (slot + 1) % PSK_SLOTS;
	if (peer->psk_seen[slot])
		peer->totals.psk_repeated++;
	peer->psk_seen[slot] = hash;
	pthread_mutex_unlock(&peer->lock);
}

static void publish(struct peer_conn *c)
{
	struct peer_result *res = malloc(sizeof(*res));
	struct peer *peer = c->peer;

	if (!res)
		abort();	/* a test cannot go on without its result */
	*res = c->res;
	pthread_mutex_lock(&peer->lock);
	peer->results[c->nr] = res;
	peer->totals.done++;
	peer->totals.failed += res->error[0] != '\0';
	peer->totals.handshakes += res->handshake_done;
	peer->totals.resumed += res->resumed;
	peer->totals.tickets += res->tickets;
	pthread_cond_broadcast(&peer->changed);
	pthread_mutex_unlock(&peer->lock);
}

/* ------------------------------------------------------ connections -- */

static void *conn_thread(void *arg)
{
	struct peer_conn *c = arg;
	struct peer *peer = c->peer;
	int err = 0;

	for (c->step = c->steps; !err && c->step->op != PEER_END &&
	     c->step->op != PEER_NEXT_CONN; c->step++) {
		c->deadline_ns = deadline_of(peer);
		err = pconn_step(c);
		if (err)
			break;
		c->res.steps_done++;
	}
	publish(c);

	/*
	 * Closing with unread input would reset the connection and could
	 * destroy what is still on its way to the client.
	 */
	c->deadline_ns = deadline_of(peer);
	if (!c->closed || !c->eof) {
		(void)pconn_shutdown(c);	/* the result is out already */
		(void)pconn_drain(c);
	}
	close(c->fd);
	c->fd = -1;

	pthread_mutex_lock(&peer->lock);
	c->finished = true;
	pthread_cond_broadcast(&peer->changed);
	pthread_mutex_unlock(&peer->lock);
	return NULL;
}

static void conn_free(struct peer_conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	/* Else OpenSSL drops the session from its cache: not resumable. */
	if (c->ssl)
		SSL_set_shutdown(c->ssl,
				 SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(c->ssl);
	reframe_fini(&c->rs);
	bytes_fini(&c->raw);
	bytes_fini(&c->out);
	free(c);
}

/* Joins threads that have ended, or all; with the lock held. */
static void reap(struct peer *peer, bool all)
{
	struct peer_conn **link = &peer->conns;
	struct peer_conn *c;

	while ((c = *link)) {
		if (!all && !c->finished) {
			link = &c->next;
			continue;
		}
		*link = c->next;
		pthread_mutex_unlock(&peer->lock);
		pthread_join(c->thread, NULL);
		conn_free(c);
		pthread_mutex_lock(&peer->lock);
		peer->live--;
		pthread_cond_broadcast(&peer->changed);
		link = &peer->conns;	/* the list may have changed */
	}
}

/* The section of the script that connection number @nr runs. */
static const struct peer_step *section(const struct peer *peer,
				       unsigned int nr)
{
	const struct peer_step *start = peer->steps, *s;

	for (s = start; nr && s->op != PEER_END; s++) {
		if (s->op == PEER_NEXT_CONN) {
			start = s + 1;
			nr--;
		}
	}
	return start;
}

static void set_buffers(const struct peer *peer, int fd)
{
	int rcvbuf = (int)peer->opts.rcvbuf, sndbuf = (int)peer->opts.sndbuf;

	if (rcvbuf)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	if (sndbuf)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf));
}

/* The test's signals are for the test's thread. */
static int thread_start(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(thread, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -err;
}

/* With the lock held; @fd is taken on success. */
static int conn_start(struct peer *peer, int fd)
{
	struct peer_conn *c;
	int err, one = 1;

	if (peer->totals.accepted == PEER_CONNS_MAX)
		return -ENOSPC;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->peer = peer;
	c->fd = -1;
	c->nr = peer->totals.accepted;
	c->steps = section(peer, c->nr);
	c->rs.open_all = peer->opts.pad_block != 0;
	err = pconn_ssl_init(c, peer->ctx);
	if (err)
		goto out_free;
	/* Refused by a unix socket, which has no Nagle algorithm. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	set_buffers(peer, fd);
	c->fd = fd;
	err = thread_start(&c->thread, conn_thread, c);
	if (err)
		goto out_keep_fd;
	c->next = peer->conns;
	peer->conns = c;
	peer->live++;
	peer->totals.accepted++;
	pthread_cond_broadcast(&peer->changed);
	return 0;
out_keep_fd:
	c->fd = -1;
out_free:
	conn_free(c);
	return err;
}

static void *accept_thread(void *arg)
{
	struct peer *peer = arg;
	struct pollfd fds[2] = {
		{ .fd = peer->listen_fd, .events = POLLIN },
		{ .fd = peer->stop_fd, .events = POLLIN },
	};
	unsigned int live_max =
		peer->opts.flags & PEER_SEQUENTIAL ? 1 : PEER_LIVE_MAX;
	unsigned int taken = 0;
	int fd;

	while (taken < peer->opts.max_conns) {
		pthread_mutex_lock(&peer->lock);
		for (;;) {
			reap(peer, false);
			if (peer->stop || peer->live < live_max)
				break;
			(void)wait_changed(peer, deadline_of(peer));
		}
		pthread_mutex_unlock(&peer->lock);

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		if (fds[1].revents)
			break;
		fd = accept4(peer->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		taken++;
		if (peer_serve(peer, fd))
			close(fd);
	}
	/* Connects are refused from here on. */
	close(peer->listen_fd);
	peer->listen_fd = -1;
	return NULL;
}

int peer_serve(struct peer *peer, int fd)
{
	int err;

	pthread_mutex_lock(&peer->lock);
	err = peer->stop ? -ECANCELED : conn_start(peer, fd);
	pthread_mutex_unlock(&peer->lock);
	return err;
}

/* ------------------------------------------------------------ start -- */

static int check_opts(const struct peer_opts *opts, struct peer *peer)
{
	struct peer_opts *o = &peer->opts;
	size_t n = 0;

	*o = *opts;
	if (!o->cert_dir || !o->steps || (unsigned int)o->suite >
	    PEER_SUITE_CHACHA20 || (unsigned int)o->cert > PEER_CERT_REVOKED ||
	    (unsigned int)o->listen > PEER_LISTEN_NONE ||
	    (o->listen == PEER_LISTEN_UNIX &&
	     (!o->unix_path ||
	      strlen(o->unix_path) >= sizeof(peer->unix_path))) ||
	    o->max_conns > PEER_CONNS_MAX)
		return -EINVAL;
	do {
		if (n == PEER_STEPS_MAX ||
		    (unsigned int)o->steps[n].op >= PEER_NR_OPS)
			return -EINVAL;
		peer->steps[n] = o->steps[n];
	} while (o->steps[n++].op != PEER_END);

	if (!o->version_min)
		o->version_min = TLS1_2_VERSION;
	if (!o->version_max)
		o->version_max = TLS1_3_VERSION;
	if (!o->tickets)
		o->tickets = 2;
	if (!o->ticket_lifetime_s)
		o->ticket_lifetime_s = 7200;
	if (!o->max_conns)
		o->max_conns = PEER_CONNS_MAX;
	if (!o->timeout_ms)
		o->timeout_ms = PEER_TIMEOUT_MS;
	return 0;
}

static socklen_t listen_address(struct peer *peer,
				struct sockaddr_storage *ss)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;
	struct sockaddr_un *un = (struct sockaddr_un *)ss;

	memset(ss, 0, sizeof(*ss));
	switch (peer->opts.listen) {
	case PEER_LISTEN_IPV6:
		in6->sin6_family = AF_INET6;
		in6->sin6_addr = in6addr_loopback;
		return sizeof(*in6);
	case PEER_LISTEN_UNIX:
		un->sun_family = AF_UNIX;
		strcpy(un->sun_path, peer->opts.unix_path);
		strcpy(peer->unix_path, peer->opts.unix_path);
		return sizeof(*un);
	default:
		in->sin_family = AF_INET;
		in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(*in);
	}
}

static int listen_start(struct peer *peer)
{
	struct sockaddr_storage ss;
	socklen_t len = listen_address(peer, &ss);
	int fd = socket(ss.ss_family,
			SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	peer->listen_fd = fd;
	/* Accepted sockets inherit it, and agree on a window by it. */
	set_buffers(peer, fd);
	if (bind(fd, (struct sockaddr *)&ss, len) || listen(fd, SOMAXCONN))
		return -errno;
	len = sizeof(ss);
	if (getsockname(fd, (struct sockaddr *)&ss, &len))
		return -errno;
	if (ss.ss_family == AF_INET)
		peer->port = ntohs(((struct sockaddr_in *)&ss)->sin_port);
	else if (ss.ss_family == AF_INET6)
		peer->port = ntohs(((struct sockaddr_in6 *)&ss)->sin6_port);
	return 0;
}

static struct peer *peer_alloc(void)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	pthread_condattr_t attr;

	if (!peer)
		return NULL;
	peer->listen_fd = -1;
	peer->stop_fd = eventfd(0, EFD_CLOEXEC);
	peer->results = calloc(PEER_CONNS_MAX, sizeof(peer->results[0]));
	peer->psk_seen = calloc(PSK_SLOTS, sizeof(peer->psk_seen[0]));
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&peer->changed, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&peer->lock, NULL);
	return peer;
}

int peer_start(const struct peer_opts *opts, struct peer **out)
{
	struct peer *peer = peer_alloc();
	int err = -ENOMEM;

	if (!peer || peer->stop_fd < 0 || !peer->results || !peer->psk_seen)
		goto out_stop;
	err = check_opts(opts, peer);
	if (err)
		goto out_stop;
	peer->ctx = peer_ctx_new(&peer->opts, &peer->alpn);
	if (!peer->ctx) {
		err = -EIO;
		goto out_stop;
	}
	if (opts->listen != PEER_LISTEN_NONE) {
		err = listen_start(peer);
		if (!err)
			err = thread_start(&peer->acceptor, accept_thread,
					   peer);
		if (err)
			goto out_stop;
		peer->accepting = true;
	}
	*out = peer;
	return 0;
out_stop:
	peer_stop(peer);
	return err;
}

void peer_stop(struct peer *peer)
{
	uint64_t one = 1;

	if (!peer)
		return;
	pthread_mutex_lock(&peer->lock);
	peer->stop = true;
	pthread_cond_broadcast(&peer->changed);
	pthread_mutex_unlock(&peer->lock);
	if (peer->stop_fd >= 0 &&
	    write(peer->stop_fd, &one, sizeof(one)) != sizeof(one))
		abort();	/* an eventfd takes its first write */
	if (peer->accepting)
		pthread_join(peer->acceptor, NULL);
	pthread_mutex_lock(&peer->lock);
	reap(peer, true);
	pthread_mutex_unlock(&peer->lock);

	if (peer->listen_fd >= 0)
		close(peer->listen_fd);
	if (peer->unix_path[0])
		unlink(peer->unix_path);
	if (peer->stop_fd >= 0)
		close(peer->stop_fd);
	SSL_CTX_free(peer->ctx);
	for (unsigned int i = 0; peer->results && i < PEER_CONNS_MAX; i++)
		free(peer->results[i]);
	free(peer->results);
	free(peer->psk_seen);
	pthread_cond_destroy(&peer->changed);
	pthread_mutex_destroy(&peer->lock);
	free(peer);
}

/* ------------------------------------------------------------- asks -- */

uint16_t peer_port(const struct peer *peer)
{
	return peer->port;
}

void peer_go(struct peer *peer)
{
	pthread_mutex_lock(&peer->lock);
	peer->credits++;
	pthread_cond_broadcast(&peer->changed);
	pthread_mutex_unlock(&peer->lock);
}

int peer_wait_barrier(struct peer *peer)
{
	uint64_t deadline_ns = deadline_of(peer);
	int err = 0;

	pthread_mutex_lock(&peer->lock);
	while (!err && (!peer->waiting || peer->credits))
		err = wait_changed(peer, deadline_ns);
	pthread_mutex_unlock(&peer->lock);
	return err;
}

int peer_wait_done(struct peer *peer, unsigned int nr,
		   struct peer_result *res)
{
	uint64_t deadline_ns = deadline_of(peer);
	int err = 0;

	if (nr >= PEER_CONNS_MAX)
		return -EINVAL;
	pthread_mutex_lock(&peer->lock);
	while (!err && !peer->results[nr])
		err = wait_changed(peer, deadline_ns);
	if (peer->results[nr]) {
		*res = *peer->results[nr];
		err = 0;
	}
	pthread_mutex_unlock(&peer->lock);
	return err;
}

void peer_totals(struct peer *peer, struct peer_totals *out)
{
	pthread_mutex_lock(&peer->lock);
	*out = peer->totals;
	pthread_mutex_unlock(&peer->lock);
}

int peer_wait_totals(struct peer *peer, unsigned int done,
		     struct peer_totals *out)
{
	uint64_t deadline_ns = deadline_of(peer);
	int err = 0;

	pthread_mutex_lock(&peer->lock);
	while (!err && peer->totals.done < done)
		err = wait_changed(peer, deadline_ns);
	if (peer->totals.done >= done)
		err = 0;
	*out = peer->totals;
	pthread_mutex_unlock(&peer->lock);
	return err;
}
