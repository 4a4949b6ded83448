// SPDX-License-Identifier: MIT
/*
 * The client's loop. A slot is a connection or a pause before the next one;
 * there are as many as connections at once. Phases go forward only: warm-up,
 * measured, held, ending. One thread, no memory taken once it runs.
 */
#include "client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

#define EVENTS_MAX 256
/* how often time limits are looked at */
#define LOOK_MS 100

/* what an event is about, beside the number of a slot */
#define ON_SIGNAL UINT64_MAX
#define ON_STDIN  (UINT64_MAX - 1)

enum phase { WARM_UP, MEASURED, HELD, ENDING };

struct slot {
	struct conn conn;
	bool open;
	bool kept;
	uint64_t after_ns; /* no new connection before */
};

struct client {
	const struct options *opts;
	const struct conn_plan *plan;
	const struct place *place;
	const struct cpu_procs *procs;
	enum phase phase;
	struct slot *slots;
	unsigned int *idle; /* slots without a connection, a stack */
	unsigned int nr_idle;
	uint64_t begun; /* of this phase */
	uint64_t over;
	uint64_t kept;
	uint64_t stop_ns; /* none is begun after, endless ones end */
	uint64_t looked_ns;
	uint64_t cpu_ns;
	int epoll_fd;
	int signal_fd;
	uint8_t *buf;
	struct client_sums sums;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail */
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint64_t wanted(const struct client *c)
{
	if (c->phase == WARM_UP)
		return c->opts->warmup;
	if (c->phase != MEASURED)
		return 0;
	/* without a count: as many as there is time for */
	return c->opts->count ? c->opts->count : UINT64_MAX;
}

static int watch(struct client *c, int op, int fd, uint32_t events,
		 uint64_t what)
{
	struct epoll_event event = { .events = events, .data.u64 = what };

	return epoll_ctl(c->epoll_fd, op, fd, &event) ? -errno : 0;
}

static void account(struct client *c, const struct conn *conn,
		    enum conn_end end, uint64_t now)
{
	c->over++;
	if (c->phase == WARM_UP)
		return;
	c->sums.ends[end]++;
	c->sums.sent += conn->sent;
	c->sums.got += conn->got;
	if (end == CONN_DONE && !c->plan->keep)
		hist_record(&c->sums.latency, now - conn->started_ns);
}

static void finish(struct client *c, unsigned int i, enum conn_end end,
		   uint64_t now)
{
	struct slot *slot = &c->slots[i];

	(void)close(slot->conn.fd); /* leaves the epoll set with it */
	slot->open = false;
	if (slot->kept)
		c->kept--;
	slot->kept = false;
	if (end != CONN_DONE)
		slot->after_ns = now + c->opts->retry_ms * NS_PER_MS;
	account(c, &slot->conn, end, now);
	c->idle[c->nr_idle++] = i;
}

static void keep(struct client *c, unsigned int i, uint64_t now)
{
	struct slot *slot = &c->slots[i];

	if (c->phase == ENDING) {
		finish(c, i, CONN_DONE, now);
		return;
	}
	hist_record(&c->sums.latency, now - slot->conn.started_ns);
	slot->kept = true;
	c->kept++;
}

static int step(struct client *c, unsigned int i, uint64_t now)
{
	struct slot *slot = &c->slots[i];
	uint64_t before = slot->conn.sent + slot->conn.got;
	enum conn_end end = conn_step(&slot->conn, c->plan, c->buf);
	uint32_t events;

	if (slot->conn.sent + slot->conn.got != before)
		slot->conn.moved_ns = now;
	if (end == CONN_KEPT && !slot->kept)
		keep(c, i, now);
	else if (end != CONN_GOES_ON && end != CONN_KEPT)
		finish(c, i, end, now);
	if (!slot->open)
		return 0;
	events = conn_wants(&slot->conn, c->plan);
	if (events == slot->conn.events)
		return 0;
	slot->conn.events = events;
	return watch(c, EPOLL_CTL_MOD, slot->conn.fd, events, i);
}

static int begin(struct client *c, unsigned int i, uint64_t due, uint64_t now)
{
	struct slot *slot = &c->slots[i];
	const struct sockaddr *addr = (const void *)&c->place->addr;
	const int on = 1;
	int fd, err;

	fd = socket(addr->sa_family,
		    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	c->begun++;
	slot->conn.index = i;
	conn_init(&slot->conn, c->plan, fd, c->plan->down ? 1 : c->begun);
	slot->conn.started_ns = due;
	slot->conn.moved_ns = now;
	slot->open = true;
	if (addr->sa_family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on,
				 sizeof(on)); /* slower, not wrong, without */
	if (connect(fd, addr, c->place->len) && errno != EINPROGRESS) {
		finish(c, i, errno == EAGAIN ? CONN_SYSTEM : CONN_REFUSED, now);
		return 0;
	}
	slot->conn.events = EPOLLIN | EPOLLOUT;
	err = watch(c, EPOLL_CTL_ADD, fd, slot->conn.events, i);
	if (err)
		return err;
	return step(c, i, now);
}

/* as many as may be are in the exchange before they are kept */
static bool is_opening_enough(const struct client *c)
{
	return c->plan->keep &&
	       c->begun - c->over - c->kept >= c->opts->opening;
}

/* when connection number c->begun should begin */
static uint64_t due_ns(const struct client *c, uint64_t now)
{
	if (c->phase != MEASURED || !c->opts->rate)
		return now;
	return c->sums.begin_ns + c->begun * NS_PER_S / c->opts->rate;
}

static int begin_those_due(struct client *c, uint64_t now)
{
	unsigned int tries = c->nr_idle;

	while (tries-- && c->nr_idle && c->begun < wanted(c)) {
		uint64_t due = due_ns(c, now);
		unsigned int i = c->idle[c->nr_idle - 1];
		int err;

		if (due > now || now >= c->stop_ns || is_opening_enough(c))
			break;
		if (c->slots[i].after_ns > now) {
			/* the others first: it goes to the bottom */
			memmove(c->idle + 1, c->idle,
				(c->nr_idle - 1) * sizeof(*c->idle));
			c->idle[0] = i;
			continue;
		}
		c->nr_idle--;
		err = begin(c, i, due, now);
		if (err)
			return err;
	}
	return 0;
}

static int end_phase(struct client *c)
{
	int err;

	/* waits for the processes to rest: the time begins after that */
	err = c->opts->warmup ? cpu_settled(c->procs, &c->cpu_ns)
			      : cpu_now(c->procs, &c->cpu_ns);
	c->begun = 0;
	c->over = 0;
	c->phase = MEASURED;
	c->sums.begin_ns = now_ns();
	if (c->opts->duration_ms)
		c->stop_ns = c->sums.begin_ns + c->opts->duration_ms *
							NS_PER_MS;
	return err;
}

/* all held ones have another exchange and close */
static int release(struct client *c, uint64_t now)
{
	unsigned int i;
	int err = 0;

	c->phase = ENDING;
	for (i = 0; !err && i < c->opts->at_once; i++) {
		struct slot *slot = &c->slots[i];

		if (!slot->open || !slot->kept)
			continue;
		conn_again(&slot->conn, c->plan);
		slot->conn.moved_ns = now;
		slot->kept = false;
		c->kept--;
		err = step(c, i, now);
	}
	return err;
}

static int stop(struct client *c, uint64_t now)
{
	unsigned int i;
	int err = 0;

	c->stop_ns = now;
	if (c->phase == HELD)
		return release(c, now);
	if (c->phase == ENDING)
		return 0;
	for (i = 0; !err && i < c->opts->at_once; i++)
		if (c->slots[i].open && !c->slots[i].conn.stopped) {
			conn_stop(&c->slots[i].conn, c->plan);
			err = step(c, i, now);
		}
	return err;
}

static void cut_the_late(struct client *c, uint64_t now)
{
	uint64_t limit = c->opts->timeout_ms * NS_PER_MS;
	unsigned int i;

	for (i = 0; i < c->opts->at_once; i++)
		if (c->slots[i].open && !c->slots[i].kept &&
		    now - c->slots[i].conn.moved_ns > limit)
			finish(c, i, CONN_TIMEOUT, now);
}

static int look(struct client *c, uint64_t now)
{
	if (now - c->looked_ns < LOOK_MS * NS_PER_MS)
		return 0;
	c->looked_ns = now;
	cut_the_late(c, now);
	if (now >= c->stop_ns && c->phase == MEASURED)
		return stop(c, now);
	return 0;
}

static int hold(struct client *c, uint64_t now)
{
	int err;

	c->phase = HELD;
	c->sums.held = c->kept;
	printf("held %llu\n", (unsigned long long)c->kept);
	if (fflush(stdout))
		return -errno;
	err = watch(c, EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, ON_STDIN);
	/* a file or /dev/null, at whose end we are already */
	return err == -EPERM ? release(c, now) : err;
}

/* true when there is nothing more to wait for */
static bool is_over(struct client *c, uint64_t now, int *err)
{
	bool no_more = c->begun >= wanted(c) || now >= c->stop_ns;

	*err = 0;
	if (c->phase == WARM_UP && c->over >= c->opts->warmup)
		*err = end_phase(c);
	else if (c->phase == MEASURED && no_more && c->plan->keep &&
		 c->over + c->kept == c->begun)
		*err = hold(c, now);
	else
		return c->phase != WARM_UP && no_more &&
		       c->nr_idle == c->opts->at_once;
	return false;
}

static int on_stdin(struct client *c, uint64_t now)
{
	char text[64];
	ssize_t n = read(STDIN_FILENO, text, sizeof(text));

	if (n > 0 || (n < 0 && errno == EINTR))
		return 0;
	(void)watch(c, EPOLL_CTL_DEL, STDIN_FILENO, 0, 0); /* it was there */
	return stop(c, now);
}

static int on_signal(struct client *c, uint64_t now)
{
	struct signalfd_siginfo info;

	if (read(c->signal_fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	return stop(c, now);
}

static int dispatch(struct client *c, const struct epoll_event *event,
		    uint64_t now)
{
	if (event->data.u64 == ON_SIGNAL)
		return on_signal(c, now);
	if (event->data.u64 == ON_STDIN)
		return on_stdin(c, now);
	/* one that an event before this one has ended */
	if (!c->slots[event->data.u64].open)
		return 0;
	return step(c, (unsigned int)event->data.u64, now);
}

static int wait_ms(const struct client *c, uint64_t now)
{
	uint64_t due;

	if (!c->nr_idle || c->begun >= wanted(c) || now >= c->stop_ns)
		return LOOK_MS;
	due = due_ns(c, now);
	if (due > now)
		return due - now > LOOK_MS * NS_PER_MS
			       ? LOOK_MS
			       : (int)((due - now) / NS_PER_MS);
	return 1; /* pauses after a failure */
}

static int loop(struct client *c)
{
	struct epoll_event events[EVENTS_MAX];
	int i, n, err;

	for (;;) {
		uint64_t now = now_ns();

		err = look(c, now);
		if (err || is_over(c, now, &err) || err)
			break;
		now = now_ns(); /* a phase that ends takes its time */
		err = begin_those_due(c, now);
		if (err)
			break;
		n = epoll_wait(c->epoll_fd, events, EVENTS_MAX,
			       wait_ms(c, now));
		if (n < 0 && errno != EINTR)
			return -errno;
		now = now_ns();
		for (i = 0; !err && i < n; i++)
			err = dispatch(c, &events[i], now);
		if (err)
			break;
	}
	return err;
}

static int set_up(struct client *c)
{
	sigset_t set;
	unsigned int i;

	c->slots = calloc(c->opts->at_once, sizeof(*c->slots));
	c->idle = calloc(c->opts->at_once, sizeof(*c->idle));
	c->buf = malloc(CONN_BUF_LEN);
	if (!c->slots || !c->idle || !c->buf)
		return -ENOMEM;
	for (i = 0; i < c->opts->at_once; i++)
		c->idle[i] = (unsigned int)c->opts->at_once - 1 - i;
	c->nr_idle = i;
	c->stop_ns = UINT64_MAX;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	c->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->signal_fd < 0 || c->epoll_fd < 0)
		return -errno;
	return watch(c, EPOLL_CTL_ADD, c->signal_fd, EPOLLIN, ON_SIGNAL);
}

static void tear_down(struct client *c)
{
	unsigned int i;

	for (i = 0; c->slots && i < c->opts->at_once; i++)
		if (c->slots[i].open)
			(void)close(c->slots[i].conn.fd); /* on an error */
	free(c->slots);
	free(c->idle);
	free(c->buf);
	if (c->signal_fd >= 0)
		(void)close(c->signal_fd); /* nothing is lost with it */
	if (c->epoll_fd >= 0)
		(void)close(c->epoll_fd); /* the same */
}

int client_run(const struct options *opts, const struct conn_plan *plan,
	       const struct place *place, const struct cpu_procs *procs,
	       struct client_sums *out)
{
	struct client *c = calloc(1, sizeof(*c));
	uint64_t cpu_ns;
	int err;

	if (!c)
		return -ENOMEM;
	c->opts = opts;
	c->plan = plan;
	c->place = place;
	c->procs = procs;
	c->epoll_fd = -1;
	c->signal_fd = -1;
	err = set_up(c);
	if (!err && !opts->warmup)
		err = end_phase(c);
	if (!err)
		err = loop(c);
	c->sums.end_ns = now_ns();
	if (!err)
		err = cpu_settled(procs, &cpu_ns);
	if (!err) {
		c->sums.cpu_ns = cpu_ns - c->cpu_ns;
		*out = c->sums;
	}
	tear_down(c);
	free(c);
	return err;
}
