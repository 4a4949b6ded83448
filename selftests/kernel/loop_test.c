// SPDX-License-Identifier: GPL-2.0-only
/*
 * The loop and its hosts: a guest in the caller's ring, an epoll loop, other
 * threads; rings and buffers too small for what is asked of them; many
 * connections at once and one after another, of which nothing must stay. The
 * plane does not matter here: it is the kernel's where there is one.
 *
 * LOOP_TEST_CONNS and LOOP_TEST_SEQUENTIAL set how many: 1000 at once and 2000
 * in sequence if they do not, a fifth of it in an emulated machine
 * (KTC_TEST_LANE=vm).
 */
#include "kselftest_harness.h"

#include <ktlsclient.h>

#include <liburing.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "certs.h"
#include "drive.h"
#include "host.h"
#include "loop.h"
#include "peer.h"
#include "sys.h"

#define MB (1u << 20)
#define ECHO_LEN 50000
#define LIVE_PER_PEER 200	/* below PEER_LIVE_MAX: threads end late */

/* A sanitizer's allocator keeps what was freed: pages say nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static unsigned int env_count(const char *name, unsigned int count)
{
	const char *lane = getenv("KTC_TEST_LANE");
	const char *value = getenv(name);

	if (value)
		return strtoul(value, NULL, 10);
	return lane && !strcmp(lane, "vm") ? count / 5 : count;
}

/* ---------------------------------------------- a server of its own -- */

/*
 * Peers in a process of their own, so that descriptors and memory of this one
 * are the client's alone.
 */
#define SERVER_PEERS 8

struct server {
	pid_t pid;
	int fd;			/* ports come, a byte goes, totals come */
	uint16_t port[SERVER_PEERS];
};

static void server_run(const struct peer_opts *opts, unsigned int peers,
		       int fd)
{
	struct peer_totals sum = { 0 }, totals;
	struct peer *peer[SERVER_PEERS];
	uint16_t port;
	unsigned int i;
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 0; i < peers; i++) {
		if (peer_start(opts, &peer[i]))
			_exit(1);
		port = peer_port(peer[i]);
		if (write(fd, &port, sizeof(port)) != sizeof(port))
			_exit(1);
	}
	if (read(fd, &byte, 1) != 1)
		_exit(1);
	for (i = 0; i < peers; i++) {
		peer_totals(peer[i], &totals);
		peer_wait_totals(peer[i], totals.accepted, &totals);
		sum.accepted += totals.accepted;
		sum.failed += totals.failed;
		sum.handshakes += totals.handshakes;
		sum.resumed += totals.resumed;
		sum.psk_offered += totals.psk_offered;
		sum.psk_repeated += totals.psk_repeated;
		peer_stop(peer[i]);
	}
	_exit(write(fd, &sum, sizeof(sum)) != sizeof(sum));
}

static int server_start(struct server *server, const struct peer_opts *opts,
			unsigned int peers)
{
	unsigned int i;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return -1;
	server->pid = fork();
	if (!server->pid)
		server_run(opts, peers, fds[1]);
	close(fds[1]);
	server->fd = fds[0];
	for (i = 0; i < peers; i++)
		if (recv(server->fd, &server->port[i], sizeof(uint16_t),
			 MSG_WAITALL) != sizeof(uint16_t))
			return -1;
	return server->pid < 0;
}

static int server_stop(struct server *server, struct peer_totals *totals)
{
	int status = 1;
	ssize_t n;

	if (write(server->fd, "", 1) != 1)
		return -1;
	n = recv(server->fd, totals, sizeof(*totals), MSG_WAITALL);
	close(server->fd);
	waitpid(server->pid, &status, 0);
	server->pid = 0;
	return n != sizeof(*totals) || status;
}

/* ---------------------------------------------------------- fixture -- */

FIXTURE(loop)
{
	char dir[CERTS_DIR_MAX];
	char ca[CERTS_DIR_MAX + 16];
	struct ktc_client_opts client;
	struct peer_opts peer_opts;
	struct server server;
	struct drive d;
	struct drive_conn c;
	struct drive_conn *conns;
	uint8_t *pattern;
};

static const struct peer_step echo[] = {
	{ .op = PEER_HANDSHAKE }, { .op = PEER_ECHO }, { 0 },
};

FIXTURE_SETUP(loop)
{
	ASSERT_EQ(0, certs_make_temp(self->dir));
	snprintf(self->ca, sizeof(self->ca), "%s/ca.pem", self->dir);
	self->client.size = sizeof(self->client);
	self->client.ca_file = self->ca;
	self->client.policy = KTC_POLICY_ALWAYS;
	self->client.handshake_timeout_ms = 60000;
	self->client.connect_timeout_ms = 60000;
	self->peer_opts.cert_dir = self->dir;
	self->peer_opts.steps = echo;
	self->peer_opts.timeout_ms = 60000;
	self->pattern = malloc(MB);
	ASSERT_NE(NULL, self->pattern);
	peer_pattern_fill(self->pattern, 0, MB);
}

FIXTURE_TEARDOWN(loop)
{
	drive_fini(&self->d);
	if (self->server.pid > 0) {
		kill(self->server.pid, SIGKILL);
		waitpid(self->server.pid, NULL, 0);
	}
	if (self->dir[0])
		certs_remove(self->dir);
	free(self->conns);
	free(self->pattern);
}

#define UNTIL(condition) ASSERT_TRUE(DRIVE_UNTIL(&self->d, condition))

#define SERVER(peers) \
	ASSERT_EQ(0, server_start(&self->server, &self->peer_opts, peers))

static int connect_flags(struct drive *d, struct drive_conn *c, uint16_t port,
			 uint32_t flags)
{
	struct sockaddr_in addr = host_loopback(port);
	struct ktc_conn_opts opts = {
		.addr = (struct sockaddr *)&addr,
		.addr_len = sizeof(addr),
		.server_name = "localhost",
		.flags = flags,
	};

	return drive_connect(d, c, &opts);
}

static int connect_port(struct drive *d, struct drive_conn *c, uint16_t port)
{
	return connect_flags(d, c, port, 0);
}

/* One step of a connection that sends, is echoed, closes. True: it is over. */
static bool echo_step(struct drive_conn *c, const uint8_t *pattern, size_t len)
{
	if (c->closed)
		return true;
	if (c->open && c->raw) {
		c->raw = false;		/* send once */
		(void)ktc_conn_send(c->conn, pattern, len, 0);
	}
	if (c->received == len)
		(void)ktc_conn_close(c->conn);
	return false;
}

/* As drive_event(), for connections that echo. raw: has not sent yet. */
static void echo_event(struct ktc_loop *loop, struct ktc_event *ev,
		       const uint8_t *pattern, size_t len)
{
	struct drive_conn *c = ev->user;
	bool unsent = c->raw;

	c->raw = false;
	drive_event(loop, ev);
	c->raw = unsent;
	echo_step(c, pattern, len);
}

static bool echo_went_well(const struct drive_conn *c, size_t len)
{
	return c->closed && !c->err && !c->mismatch && c->received == len &&
	       c->sent == 1 && !c->sent_err && c->sent_bytes == len;
}

/* Nothing is left in a loop but its own wake-up and timer. */
#define EXPECT_IDLE(loop_) \
	do { \
		const struct ktc_loop *l_ = (loop_); \
		\
		EXPECT_EQ(0, l_->nr_conns); \
		EXPECT_EQ(0, l_->ring.bufs_out); \
		EXPECT_GE(2, l_->ring.inflight); \
		EXPECT_EQ(0, l_->conn_pool.live); \
		EXPECT_EQ(0, l_->setup_pool.live); \
		EXPECT_EQ(0, l_->send_pool.live); \
		EXPECT_EQ(0, l_->control_pool.live); \
		EXPECT_EQ(NULL, l_->again); \
		EXPECT_EQ(NULL, l_->starved); \
		EXPECT_EQ(NULL, l_->events.head); \
	} while (0)

/* nr connections at once over the server's ports; all must go well. */
static void echo_all(struct __test_metadata *const _metadata,
		     struct _test_data_loop *self, unsigned int nr,
		     unsigned int peers, size_t len)
{
	unsigned int i, n, over = 0;
	struct ktc_event ev[64];

	self->conns = calloc(nr, sizeof(*self->conns));
	ASSERT_NE(NULL, self->conns);
	for (i = 0; i < nr; i++) {
		self->conns[i].raw = true;
		ASSERT_EQ(0, connect_port(&self->d, &self->conns[i],
					  self->server.port[i % peers]));
	}
	while (over < nr) {
		int ret = ktc_loop_events(self->d.loop, ev, 64, 60000);

		ASSERT_LT(0, ret) TH_LOG("%u of %u over", over, nr);
		for (n = 0; n < (unsigned int)ret; n++) {
			over += ev[n].type == KTC_EV_CLOSED;
			echo_event(self->d.loop, &ev[n], self->pattern, len);
		}
	}
	for (i = 0; i < nr; i++) {
		ASSERT_TRUE(echo_went_well(&self->conns[i], len))
			TH_LOG("%u: received %llu, %s", i,
			       (unsigned long long)self->conns[i].received,
			       self->conns[i].error.text);
	}
	EXPECT_IDLE(self->d.loop);
	free(self->conns);
	self->conns = NULL;
}

/* ------------------------------------------------- too small a ring -- */

#define SMALL(entries_, buffers_) \
	TEST_F_TIMEOUT(loop, small_##entries_##_entries_##buffers_##_buffers, \
		       120) \
	{ \
		const struct ktc_loop_opts opts = { \
			.size = sizeof(opts), \
			.entries = entries_, .buffers = buffers_, \
		}; \
		\
		SERVER(1); \
		ASSERT_EQ(0, drive_init(&self->d, &self->client, &opts)); \
		echo_all(_metadata, self, 40, 1, ECHO_LEN); \
	}

SMALL(1, 1)
SMALL(2, 2)
SMALL(1, 4)
SMALL(256, 1)
SMALL(1, 256)

/* Who holds DATA holds buffers; the others go on when they come back. */
TEST_F(loop, held_data_starves_and_nothing_is_lost)
{
	const struct ktc_loop_opts opts = {
		.size = sizeof(opts), .buffers = 2,
	};
	struct ktc_event held[2];
	unsigned int n = 0;

	SERVER(1);
	ASSERT_EQ(0, drive_init(&self->d, &self->client, &opts));
	ASSERT_EQ(0, connect_port(&self->d, &self->c, self->server.port[0]));
	UNTIL(self->c.open || self->c.closed);
	ASSERT_EQ(0, ktc_conn_send(self->c.conn, self->pattern, MB, 0));
	while (n < 2) {
		ASSERT_EQ(1, ktc_loop_events(self->d.loop, &held[n], 1, 10000));
		if (held[n].type == KTC_EV_DATA)
			n++;
		else
			drive_event(self->d.loop, &held[n]);
	}
	/* no buffer is left, so no DATA comes; other events may */
	while (1) {
		struct ktc_event ev;

		if (ktc_loop_events(self->d.loop, &ev, 1, 200) <= 0)
			break;
		ASSERT_NE(KTC_EV_DATA, ev.type);
		drive_event(self->d.loop, &ev);
	}
	drive_event(self->d.loop, &held[0]);
	drive_event(self->d.loop, &held[1]);
	UNTIL(self->c.received == MB || self->c.closed);
	EXPECT_FALSE(self->c.mismatch);
	EXPECT_FALSE(self->c.closed);
}

TEST_F(loop, a_full_loop_says_so)
{
	const struct ktc_loop_opts opts = {
		.size = sizeof(opts), .conns_max = 3,
	};
	struct drive_conn c[4] = { 0 };
	unsigned int i;

	SERVER(1);
	ASSERT_EQ(0, drive_init(&self->d, &self->client, &opts));
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, connect_port(&self->d, &c[i],
					  self->server.port[0]));
	EXPECT_EQ(-EAGAIN,
		  connect_port(&self->d, &c[3], self->server.port[0]));
	ktc_conn_abort(c[0].conn);
	UNTIL(c[0].closed);
	ASSERT_EQ(0, connect_port(&self->d, &c[3], self->server.port[0]));
	UNTIL(c[3].open || c[3].closed);
	EXPECT_TRUE(c[3].open);
}

/* ----------------------------------------------------- many of them -- */

TEST_F_TIMEOUT(loop, a_thousand_at_once, 300)
{
	unsigned int nr = env_count("LOOP_TEST_CONNS", 1000);
	struct rlimit limit;
	unsigned int fds;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = limit.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	if (limit.rlim_cur < nr * 2)
		SKIP(return, "RLIMIT_NOFILE is too low");
	nr = nr < SERVER_PEERS * LIVE_PER_PEER ? nr :
						 SERVER_PEERS * LIVE_PER_PEER;
	SERVER(SERVER_PEERS);
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	fds = host_open_fds();
	echo_all(_metadata, self, nr, SERVER_PEERS, 10000);
	EXPECT_EQ(fds, host_open_fds());
}

static size_t rss_kib(void)
{
	unsigned long size = 0, rss = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f && fscanf(f, "%lu %lu", &size, &rss) != 2)
		rss = 0;
	if (f)
		fclose(f);
	return rss * (sysconf(_SC_PAGESIZE) / 1024);
}

/* One after another: no descriptor, no piece of memory, no page too many. */
static void echo_in_turn(struct __test_metadata *const _metadata,
			 struct _test_data_loop *self)
{
	unsigned int nr = env_count("LOOP_TEST_SEQUENTIAL", 2000);
	unsigned int warm = nr / 4, i, fds = 0;
	/* few, so that the first connections have touched all their pages */
	const struct ktc_loop_opts opts = {
		.size = sizeof(opts), .buffers = 16,
	};
	static struct sys_ops counted;
	size_t rss = 0, heap = 0;
	long live = 0;

	counted = sys_real;
	host_count_memory(&counted);
	sys = &counted;
	SERVER(1);
	ASSERT_EQ(0, drive_init(&self->d, &self->client, &opts));
	for (i = 0; i < nr; i++) {
		struct ktc_event ev;

		if (i == warm) {
			rss = rss_kib();
			fds = host_open_fds();
			live = host_live_memory();
			heap = mallinfo2().uordblks;
		}
		memset(&self->c, 0, sizeof(self->c));
		self->c.raw = true;
		ASSERT_EQ(0, connect_port(&self->d, &self->c,
					  self->server.port[0]));
		while (!self->c.closed) {
			ASSERT_EQ(1, ktc_loop_events(self->d.loop, &ev, 1,
						     20000));
			echo_event(self->d.loop, &ev, self->pattern, 1000);
		}
		ASSERT_TRUE(echo_went_well(&self->c, 1000))
			TH_LOG("%u: %s", i, self->c.error.text);
	}
	TH_LOG("%u connections, RSS %zu KiB, %zu KiB after %u", nr, rss_kib(),
	       rss, warm);
	EXPECT_IDLE(self->d.loop);
	EXPECT_EQ(fds, host_open_fds());
	EXPECT_EQ(live, host_live_memory());
	/* OpenSSL's too: 20 bytes a connection would be seen */
	EXPECT_GE(heap + 8192 + (nr - warm) * 20, mallinfo2().uordblks);
	/*
	 * Free pieces between those in use may cost some pages, and receive
	 * buffers that were not touched before two each: 256 of them.
	 */
	if (!SANITIZED)
		EXPECT_GE(rss + 1024 + 2048, rss_kib());
	drive_fini(&self->d);
	EXPECT_EQ(0, host_live_memory());
	sys = &sys_real;
}

TEST_F_TIMEOUT(loop, one_after_another_tls13, 300)
{
	echo_in_turn(_metadata, self);
}

TEST_F_TIMEOUT(loop, one_after_another_tls12, 300)
{
	self->peer_opts.version_max = KTC_TLS1_2;
	echo_in_turn(_metadata, self);
}

/* ------------------------------------------------------------ hosts -- */

/* The ring's work for this thread may interrupt the wait. */
static int wait_readable(int ep)
{
	struct epoll_event got;
	int n;

	do
		n = epoll_wait(ep, &got, 1, 10000);
	while (n < 0 && errno == EINTR);
	return n;
}

TEST_F(loop, an_epoll_host)
{
	struct epoll_event want = { .events = EPOLLIN };
	struct ktc_event ev;
	int ep, fds[2];

	SERVER(1);
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	self->c.raw = true;
	ASSERT_EQ(0, connect_port(&self->d, &self->c, self->server.port[0]));
	ep = epoll_create1(EPOLL_CLOEXEC);
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, ktc_loop_fd(self->d.loop),
			       &want));
	while (1) {
		while (ktc_loop_events(self->d.loop, &ev, 1, 0) > 0)
			echo_event(self->d.loop, &ev, self->pattern, ECHO_LEN);
		if (self->c.closed)
			break;
		ASSERT_EQ(1, wait_readable(ep));
	}
	EXPECT_TRUE(echo_went_well(&self->c, ECHO_LEN));
	drive_fini(&self->d);

	/* a deadline makes it readable too */
	ASSERT_EQ(0, host_tcp_pair(fds));
	self->client.handshake_timeout_ms = 300;
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, ktc_loop_fd(self->d.loop),
			       &want));
	memset(&self->c, 0, sizeof(self->c));

	struct ktc_conn_opts opts = {
		.fd = fds[0], .server_name = "localhost",
	};

	ASSERT_EQ(0, drive_connect(&self->d, &self->c, &opts));
	while (1) {
		while (ktc_loop_events(self->d.loop, &ev, 1, 0) > 0)
			drive_event(self->d.loop, &ev);
		if (self->c.closed)
			break;
		ASSERT_EQ(1, wait_readable(ep));
	}
	EXPECT_EQ(-KTC_E_HANDSHAKE_TIMEOUT, self->c.err);
	close(fds[1]);
	close(ep);
}

static void *wake_it(void *arg)
{
	return (void *)(intptr_t)ktc_loop_wake(arg);
}

TEST_F(loop, woken_from_another_thread)
{
	struct ktc_event ev;
	pthread_t thread;
	void *err;

	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	ASSERT_EQ(0, pthread_create(&thread, NULL, wake_it, self->d.loop));
	/* without a limit: only the wake can end it */
	EXPECT_EQ(0, ktc_loop_events(self->d.loop, &ev, 1, -1));
	pthread_join(thread, &err);
	EXPECT_EQ(NULL, err);
	/* wakes before the wait are not lost, and are one */
	EXPECT_EQ(0, ktc_loop_wake(self->d.loop));
	EXPECT_EQ(0, ktc_loop_wake(self->d.loop));
	EXPECT_EQ(0, ktc_loop_events(self->d.loop, &ev, 1, -1));
	EXPECT_EQ(0, ktc_loop_events(self->d.loop, &ev, 1, 0));
}

struct runner {
	struct drive d;
	uint16_t port;
	unsigned int nr;
	uint32_t flags;
	const uint8_t *pattern;
	unsigned int well, resumed;
};

/* Connections one after another in a thread, and the end of its loop. */
static void *run_loop(void *arg)
{
	struct runner *r = arg;
	struct drive_conn c;
	struct ktc_event ev;
	unsigned int i;

	for (i = 0; i < r->nr; i++) {
		memset(&c, 0, sizeof(c));
		c.raw = true;
		if (connect_flags(&r->d, &c, r->port, r->flags))
			break;
		while (!c.closed &&
		       ktc_loop_events(r->d.loop, &ev, 1, 20000) == 1)
			echo_event(r->d.loop, &ev, r->pattern, 1000);
		r->well += echo_went_well(&c, 1000);
		r->resumed += c.info.resumed;
		if (!c.closed)
			break;
	}
	ktc_loop_free(r->d.loop);
	return NULL;
}

TEST_F(loop, made_in_one_thread_run_in_another)
{
	struct runner r = { .nr = 3, .pattern = self->pattern };
	pthread_t thread;

	SERVER(1);
	r.port = self->server.port[0];
	ASSERT_EQ(0, drive_init(&r.d, &self->client, NULL));
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_loop, &r));
	pthread_join(thread, NULL);
	ktc_client_put(r.d.client);
	EXPECT_EQ(3, r.well);
}

#define THREADS 4
#define PER_THREAD 100
#define WARM_UP 4

TEST_F_TIMEOUT(loop, threads_share_a_client_and_no_ticket, 120)
{
	struct runner r[THREADS + 1] = { 0 };
	unsigned int i, well = 0, resumed = 0;
	pthread_t thread[THREADS + 1];
	struct peer_totals totals;
	struct ktc_client *client;

	self->peer_opts.version_min = KTC_TLS1_3;
	self->client.tickets_per_identity = 2 * WARM_UP;
	SERVER(1);
	ASSERT_EQ(0, ktc_client_new(&self->client, &client));
	for (i = 0; i <= THREADS; i++) {
		r[i].nr = i ? PER_THREAD : WARM_UP;
		r[i].port = self->server.port[0];
		r[i].pattern = self->pattern;
		r[i].d.client = ktc_client_get(client);
		ASSERT_EQ(0, ktc_loop_new(NULL, &r[i].d.loop));
	}
	ktc_client_put(client);
	/*
	 * The first alone, in full: two tickets a connection, for all. A
	 * resumed one brings one ticket, as it takes one.
	 */
	r[0].flags = KTC_CONN_NO_RESUME;
	run_loop(&r[0]);
	ASSERT_EQ(WARM_UP, r[0].well);
	for (i = 1; i <= THREADS; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, run_loop, &r[i]));
	for (i = 1; i <= THREADS; i++) {
		pthread_join(thread[i], NULL);
		well += r[i].well;
		resumed += r[i].resumed;
	}
	for (i = 0; i <= THREADS; i++)
		ktc_client_put(r[i].d.client);
	ASSERT_EQ(0, server_stop(&self->server, &totals));
	EXPECT_EQ(THREADS * PER_THREAD, well);
	/* 99.9 % */
	EXPECT_LE(THREADS * PER_THREAD * 999 / 1000, resumed);
	EXPECT_EQ(0, totals.failed);
	EXPECT_EQ(0, totals.psk_repeated);
	EXPECT_EQ(resumed, totals.psk_offered);
}

/* ----------------------------------------------------------- guests -- */

/* The caller's own traffic: numbers, a NOP each. */
#define OWN_NOPS 7

struct host {
	struct io_uring ring;
	unsigned int own_sent;
	unsigned int own_seen;
	bool own_wrong;		/* not in the order they were sent in */
	unsigned int strange;	/* nobody's completion */
	struct ktc_loop *loop[2];
};

static void host_nops(struct host *h)
{
	unsigned int i;

	for (i = 0; i < OWN_NOPS; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&h->ring);

		if (!sqe)
			return;
		io_uring_prep_nop(sqe);
		sqe->user_data = ++h->own_sent;
	}
}

static void host_completion(struct host *h, uint64_t user_data, int res,
			    uint32_t flags)
{
	int i;

	for (i = 0; i < 2; i++)
		if (h->loop[i] && ktc_loop_handle_cqe(h->loop[i], user_data,
						      res, flags))
			return;
	if (user_data > h->own_sent)
		h->strange++;
	else if (user_data != ++h->own_seen)
		h->own_wrong = true;
}

/* One turn of the caller's loop. False: nothing came for a long time. */
static bool host_turn(struct host *h, const uint8_t *pattern, size_t len)
{
	struct __kernel_timespec ts = { .tv_sec = 10 };
	struct io_uring_cqe *cqe;
	struct ktc_event ev;
	int i, ret;

	host_nops(h);
	ret = io_uring_submit_and_wait_timeout(&h->ring, &cqe, 1, &ts, NULL);
	if (ret < 0 && ret != -EINTR && ret != -EBUSY)
		return false;
	while (!io_uring_peek_cqe(&h->ring, &cqe)) {
		host_completion(h, cqe->user_data, cqe->res, cqe->flags);
		io_uring_cqe_seen(&h->ring, cqe);
	}
	for (i = 0; i < 2; i++)
		while (h->loop[i] &&
		       ktc_loop_events(h->loop[i], &ev, 1, 0) > 0)
			echo_event(h->loop[i], &ev, pattern, len);
	return true;
}

static int guest_new(struct host *h, int i)
{
	struct ktc_loop_opts opts = {
		.size = sizeof(opts), .ring = &h->ring, .buffers = 16,
		.mark = i ? 0x7777 : 0, .buf_group = i + 3,
	};

	return ktc_loop_new(&opts, &h->loop[i]);
}

TEST_F(loop, two_guests_in_a_ring_with_traffic_of_its_own)
{
	struct host h = { 0 };
	struct drive_conn c[6] = { 0 };
	unsigned int i, over;

	ASSERT_EQ(0, io_uring_queue_init(64, &h.ring, 0));
	ASSERT_EQ(0, guest_new(&h, 0));
	ASSERT_EQ(0, guest_new(&h, 1));
	SERVER(1);
	ASSERT_EQ(0, ktc_client_new(&self->client, &self->d.client));
	for (i = 0; i < 6; i++) {
		c[i].raw = true;
		self->d.loop = h.loop[i % 2];
		ASSERT_EQ(0, connect_port(&self->d, &c[i],
					  self->server.port[0]));
	}
	self->d.loop = NULL;
	do {
		ASSERT_TRUE(host_turn(&h, self->pattern, ECHO_LEN));
		for (i = over = 0; i < 6; i++)
			over += c[i].closed;
	} while (over < 6);
	for (i = 0; i < 6; i++) {
		EXPECT_TRUE(echo_went_well(&c[i], ECHO_LEN))
			TH_LOG("%s", c[i].error.text);
	}
	EXPECT_FALSE(h.own_wrong);
	EXPECT_EQ(0, h.strange);
	EXPECT_IDLE(h.loop[0]);
	EXPECT_IDLE(h.loop[1]);
	ktc_loop_free(h.loop[0]);
	ktc_loop_free(h.loop[1]);
	io_uring_queue_exit(&h.ring);
}

/* With live connections, and completions of the caller's not yet taken. */
TEST_F(loop, a_guest_leaves_the_ring_as_it_found_it)
{
	struct host h = { 0 };
	struct io_uring_cqe *cqe;
	struct ktc_loop *other;
	unsigned int fds;

	ASSERT_EQ(0, io_uring_queue_init(64, &h.ring, 0));
	fds = host_open_fds();
	SERVER(1);
	ASSERT_EQ(0, guest_new(&h, 0));
	ASSERT_EQ(0, ktc_client_new(&self->client, &self->d.client));
	self->d.loop = h.loop[0];
	self->c.raw = true;
	ASSERT_EQ(0, connect_port(&self->d, &self->c, self->server.port[0]));
	self->d.loop = NULL;
	/* never done: the echo of more than is asked for */
	while (!self->c.received)
		ASSERT_TRUE(host_turn(&h, self->pattern, ECHO_LEN * 2));
	host_nops(&h);
	ASSERT_LE(0, io_uring_submit(&h.ring));
	ktc_loop_free(h.loop[0]);
	h.loop[0] = NULL;
	while (!io_uring_peek_cqe(&h.ring, &cqe)) {
		host_completion(&h, cqe->user_data, cqe->res, cqe->flags);
		io_uring_cqe_seen(&h.ring, cqe);
	}
	EXPECT_EQ(h.own_sent, h.own_seen);
	EXPECT_FALSE(h.own_wrong);
	EXPECT_EQ(0, h.strange);
	EXPECT_EQ(fds + 1, host_open_fds()); /* the server's */
	/* its buffer group is free again */
	ASSERT_EQ(0, guest_new(&h, 0));
	other = h.loop[0];
	EXPECT_NE(0, guest_new(&h, 0));
	ktc_loop_free(other);
	io_uring_queue_exit(&h.ring);
}

TEST(a_guest_needs_a_ring_of_some_size)
{
	struct host h = { 0 };

	ASSERT_EQ(0, io_uring_queue_init(2, &h.ring, 0));
	EXPECT_EQ(-KTC_E_OPTION, guest_new(&h, 0));
	io_uring_queue_exit(&h.ring);
}

TEST_HARNESS_MAIN
