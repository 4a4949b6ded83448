// SPDX-License-Identifier: MIT
/*
 * The frame of a run. Every thread has its own loop and slots; between the
 * phases all threads meet, and the last to arrive reads the clocks, so the
 * measured interval is one interval for all. The main thread handles
 * signals, the end of the time and the live line, and touches no connection.
 * All memory for connections is allocated before the threads start.
 *
 * A run ends by itself: by count, bytes, time or too many errors; what a
 * single connection may take is bounded by the library's deadlines, and
 * closing by FINISH_TIMEOUT_MS.
 */
#include "run.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define EVENTS_AT_ONCE	  64
#define FINISH_TIMEOUT_MS 6000
#define LIVE_INTERVAL_NS  UINT64_C(1000000000)
/* tickets of one identity: what the library keeps by itself, and at most */
#define TICKETS_DEFAULT 256
#define TICKETS_MAX	1024
/* descriptors beside one per connection: rings, files, standard streams */
#define FDS_EXTRA    32
#define FDS_PER_LOOP 8

#define NS_PER_MS UINT64_C(1000000)

bool run_stopping(const struct run *run)
{
	/* relaxed: a flag alone; the wake that follows it orders the rest */
	return atomic_load_explicit(&run->stop, memory_order_relaxed);
}

static void run_notify(struct run *run)
{
	uint64_t one = 1;

	/* the counter cannot overflow; a full one is readable anyway */
	(void)!write(run->event_fd, &one, sizeof(one));
}

/* any thread; the first reason stays */
static void run_stop(struct run *run, enum run_end end)
{
	unsigned int i;

	pthread_mutex_lock(&run->lock);
	if (!run_stopping(run))
		run->end = end;
	/* relaxed: see run_stopping() */
	atomic_store_explicit(&run->stop, true, memory_order_relaxed);
	for (i = 0; i < run->worker_count; i++)
		if (run->workers[i].loop)
			/* cannot fail: the loop is there */
			(void)ktc_loop_wake(run->workers[i].loop);
	pthread_mutex_unlock(&run->lock);
}

bool run_permit(struct run *run)
{
	if (run_stopping(run))
		return false;
	/* relaxed: only the number counts, no data hangs on it */
	return atomic_fetch_sub_explicit(&run->permits, 1,
					 memory_order_relaxed) > 0;
}

struct stats *worker_stats(struct worker *w)
{
	return &w->stats[w->phase];
}

void live_add(atomic_uint_fast64_t *counter, uint64_t n)
{
	/* relaxed: a statistic with one writer */
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void count_failure(struct worker *w)
{
	struct run *run = w->run;
	uint64_t n;

	live_add(&w->failed, 1);
	/* relaxed: a statistic */
	n = atomic_fetch_add_explicit(&run->errors, 1, memory_order_relaxed);
	if (run->opts->errors_max && n + 1 == run->opts->errors_max)
		run_stop(run, RUN_END_ERRORS);
}

bool slot_connect(struct slot *slot)
{
	struct worker *w = slot->worker;
	const struct options *opts = w->run->opts;
	const struct target *target = w->run->target;
	const struct ktc_conn_opts conn_opts = {
		.size = sizeof(conn_opts),
		.addr = (const struct sockaddr *)&target->addr,
		.addr_len = target->addr_len,
		.fd = -1,
		.server_name = opts->sni	 ? opts->sni
			       : target->name[0] ? target->name
						 : NULL,
		.user = slot,
	};
	int err;

	memset(&slot->http, 0, sizeof(slot->http));
	slot->seen = false;
	slot->complete = false;
	slot->why = NULL;
	slot->received = 0;
	slot->start_ns = clock_ns();
	err = ktc_connect(w->loop, w->run->client, &conn_opts, &slot->conn);
	if (!err)
		return true;
	slot->conn = NULL;
	stats_call_failed(worker_stats(w), "ktc_connect", err);
	count_failure(w);
	return false;
}

void slot_failed(struct slot *slot, int err)
{
	struct worker *w = slot->worker;

	if (slot->why)
		stats_response_failed(worker_stats(w), slot->why);
	else if (err)
		stats_conn_failed(worker_stats(w), slot->conn, err);
	else
		stats_response_failed(worker_stats(w),
				      "closed before it was complete");
	count_failure(w);
}

void slot_give_up(struct slot *slot, const char *why)
{
	if (slot->why)
		return;
	(void)snprintf(slot->why_text, sizeof(slot->why_text), "%s", why);
	slot->why = slot->why_text;
	ktc_conn_abort(slot->conn);
}

/* CPU time of all that is not idle, from the first line of /proc/stat */
static uint64_t machine_cpu_ns(void)
{
	/* "cpu" user nice system idle iowait irq softirq ... */
	enum { IDLE = 3, IOWAIT = 4, FIELDS = 7 };
	long hz = sysconf(_SC_CLK_TCK);
	FILE *f = fopen("/proc/stat", "r");
	char line[256], *at, *next;
	uint64_t ticks = 0, t;
	int i;

	if (!f)
		return 0;
	at = fgets(line, sizeof(line), f);
	(void)fclose(f); /* read only */
	if (!at || strncmp(line, "cpu ", 4) || hz <= 0)
		return 0;
	at += 4;
	for (i = 0; i < FIELDS; i++) {
		t = strtoull(at, &next, 10);
		if (next == at)
			return 0;
		at = next;
		if (i != IDLE && i != IOWAIT)
			ticks += t;
	}
	return ticks * 1000000000 / (uint64_t)hz;
}

static void mark_set(struct run_mark *mark)
{
	mark->ns = clock_ns();
	(void)getrusage(RUSAGE_SELF, &mark->usage); /* cannot fail */
	mark->machine_ns = machine_cpu_ns();
}

static bool prepare_was_in_vain(const struct run *run)
{
	uint64_t done = 0, failed = 0;
	unsigned int i;

	for (i = 0; i < run->worker_count; i++) {
		done += run->workers[i].stats[RUN_PREPARE].opened;
		failed += run->workers[i].stats[RUN_PREPARE].failed;
	}
	return failed && !done;
}

/* on the last thread to arrive, under the lock */
static void phase_turn(struct run *run)
{
	const struct options *opts = run->opts;
	int64_t permits = INT64_MAX;
	bool vain = false;

	if (run->phase == RUN_PREPARE) {
		vain = prepare_was_in_vain(run);
		if (opts->count)
			permits = (int64_t)opts->count;
		/* relaxed: the lock orders this against the threads waiting */
		atomic_store_explicit(&run->permits, permits,
				      memory_order_relaxed);
	}
	if (vain && !run_stopping(run)) {
		run->end = RUN_END_VAIN;
		/* relaxed: as above */
		atomic_store_explicit(&run->stop, true, memory_order_relaxed);
	}
	run->phase++;
	mark_set(&run->mark[run->phase]);
	run->arrived = 0;
	pthread_cond_broadcast(&run->turned);
	run_notify(run);
}

static void phase_next(struct worker *w)
{
	struct run *run = w->run;

	pthread_mutex_lock(&run->lock);
	if (++run->arrived == run->worker_count)
		phase_turn(run);
	while (run->phase == w->phase)
		pthread_cond_wait(&run->turned, &run->lock);
	w->phase = run->phase;
	pthread_mutex_unlock(&run->lock);
}

static void work(struct worker *w)
{
	struct ktc_event ev[EVENTS_AT_ONCE];
	struct run *run = w->run;
	int i, n;

	w->pending = 0;
	if (run_stopping(run))
		return;
	run->ops->begin(w);
	while (w->pending && !run_stopping(run)) {
		n = ktc_loop_events(w->loop, ev, EVENTS_AT_ONCE, -1);
		if (n < 0) {
			stats_call_failed(worker_stats(w), "ktc_loop_events",
					  n);
			count_failure(w);
			run_stop(run, RUN_END_ERRORS);
			return;
		}
		for (i = 0; i < n; i++)
			run->ops->event(w, &ev[i]);
	}
}

/* closes in order what is complete, aborts the rest, and waits a while */
static void finish(struct worker *w)
{
	uint64_t end = clock_ns() + FINISH_TIMEOUT_MS * NS_PER_MS, now;
	struct ktc_event ev[EVENTS_AT_ONCE];
	unsigned int i, open = 0;
	int e, n;

	for (i = 0; i < w->slot_count; i++) {
		if (!w->slots[i].conn)
			continue;
		open++;
		if (!w->slots[i].complete || ktc_conn_close(w->slots[i].conn))
			ktc_conn_abort(w->slots[i].conn);
	}
	while (open) {
		now = clock_ns();
		if (now >= end)
			return; /* ktc_loop_free() drops them */
		n = ktc_loop_events(w->loop, ev, EVENTS_AT_ONCE,
				    (int)((end - now) / NS_PER_MS) + 1);
		if (n < 0)
			return;
		for (e = 0; e < n; e++) {
			open -= ev[e].type == KTC_EV_CLOSED;
			ktc_event_release(w->loop, &ev[e]);
		}
	}
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct run *run = w->run;
	struct ktc_loop *loop;
	bool started;

	pthread_mutex_lock(&run->lock);
	while (!run->started)
		pthread_cond_wait(&run->turned, &run->lock);
	started = run->phase == RUN_PREPARE;
	pthread_mutex_unlock(&run->lock);

	if (started) {
		work(w);
		phase_next(w);
		work(w);
		run->ops->end(w);
		phase_next(w);
		finish(w);
	}

	pthread_mutex_lock(&run->lock);
	loop = w->loop;
	w->loop = NULL; /* from here on nobody wakes it */
	pthread_mutex_unlock(&run->lock);
	ktc_loop_free(loop);

	pthread_mutex_lock(&run->lock);
	run->running--;
	pthread_mutex_unlock(&run->lock);
	run_notify(run);
	return NULL;
}

/*
 * Lets all threads go that were created. With @go false they end at once:
 * not all of them could be created.
 */
static void release_threads(struct run *run, bool go)
{
	pthread_mutex_lock(&run->lock);
	run->started = true;
	run->phase = go ? RUN_PREPARE : RUN_FINISH;
	mark_set(&run->mark[run->phase]);
	pthread_cond_broadcast(&run->turned);
	pthread_mutex_unlock(&run->lock);
}

struct live {
	bool on;
	bool tty;
	uint64_t begin_ns;
	uint64_t next_ns;
	uint64_t last_ns;
	uint64_t last_done;
	uint64_t last_bytes;
};

static void live_line(struct live *live, const struct run *run,
		      enum run_phase phase)
{
	static const char *const phase_name[] = {
		[RUN_PREPARE] = "preparing",
		[RUN_MEASURE] = "measuring",
		[RUN_FINISH] = "closing",
	};
	uint64_t done = 0, resumed = 0, failed = 0, bytes = 0;
	uint64_t now = clock_ns();
	double seconds;
	unsigned int i;

	/* relaxed: statistics that may lag */
	for (i = 0; i < run->worker_count; i++) {
		const struct worker *w = &run->workers[i];

		done += atomic_load_explicit(&w->done, memory_order_relaxed);
		resumed +=
			atomic_load_explicit(&w->resumed, memory_order_relaxed);
		failed +=
			atomic_load_explicit(&w->failed, memory_order_relaxed);
		bytes += atomic_load_explicit(&w->bytes, memory_order_relaxed);
	}
	seconds = (double)(now - live->last_ns) / 1e9;
	fprintf(stderr, "%s%4.0f s %s: ", live->tty ? "\r\033[K" : "",
		(double)(now - live->begin_ns) / 1e9, phase_name[phase]);
	if (run->opts->command == BENCH_STREAM)
		fprintf(stderr, "%.1f MB/s",
			(double)(bytes - live->last_bytes) / seconds / 1e6);
	else
		fprintf(stderr, "%.0f connections/s, resumed %.1f %%",
			(double)(done - live->last_done) / seconds,
			done ? 100.0 * (double)resumed / (double)done : 0.0);
	fprintf(stderr, ", errors %" PRIu64 "%s", failed,
		live->tty ? "" : "\n");
	live->last_ns = now;
	live->last_done = done;
	live->last_bytes = bytes;
}

/* milliseconds until @ns, rounded up; -1 for never */
static int until_ms(uint64_t ns, uint64_t now)
{
	uint64_t ms;

	if (ns == UINT64_MAX)
		return -1;
	if (ns <= now)
		return 0;
	ms = (ns - now + NS_PER_MS - 1) / NS_PER_MS;
	return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

/* what the main thread does while the others work */
static void watch(struct run *run, int signal_fd)
{
	struct live live = {
		.tty = isatty(STDERR_FILENO) == 1,
		.begin_ns = clock_ns(),
		.next_ns = UINT64_MAX,
	};
	struct pollfd fds[2] = {
		{ .fd = run->event_fd, .events = POLLIN },
		{ .fd = signal_fd, .events = POLLIN },
	};
	struct signalfd_siginfo info;
	uint64_t end_ns, now, count;
	enum run_phase phase;
	unsigned int running;
	int signals = 0;

	live.on = live.tty || run->opts->live;
	live.last_ns = live.begin_ns;
	if (live.on)
		live.next_ns = live.begin_ns + LIVE_INTERVAL_NS;
	for (;;) {
		pthread_mutex_lock(&run->lock);
		running = run->running;
		phase = run->phase;
		end_ns = UINT64_MAX;
		if (phase == RUN_MEASURE && run->opts->duration_ms &&
		    !run_stopping(run))
			end_ns = run->mark[RUN_MEASURE].ns +
				 run->opts->duration_ms * NS_PER_MS;
		pthread_mutex_unlock(&run->lock);
		if (!running)
			break;
		now = clock_ns();
		if (now >= end_ns) {
			run_stop(run, RUN_END_TIME);
			continue;
		}
		if (now >= live.next_ns) {
			live_line(&live, run, phase);
			live.next_ns = now + LIVE_INTERVAL_NS;
		}
		/* EINTR cannot be: all that could interrupt is blocked */
		(void)poll(fds, 2,
			   until_ms(end_ns < live.next_ns ? end_ns
							  : live.next_ns,
				    now));
		if (fds[0].revents &&
		    read(run->event_fd, &count, sizeof(count)) < 0)
			continue;
		if (!fds[1].revents ||
		    read(signal_fd, &info, sizeof(info)) != sizeof(info))
			continue;
		if (signals++)
			_exit(130);
		run_stop(run, RUN_END_SIGNAL);
	}
	if (live.on && live.tty)
		fputs("\r\033[K", stderr);
}

static int raise_fd_limit(const struct run *run, char *why, size_t why_len)
{
	uint64_t want = run->opts->connections + FDS_EXTRA +
			run->opts->threads * FDS_PER_LOOP;
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim))
		return 0; /* ktc_connect() will say it */
	if (lim.rlim_cur < lim.rlim_max) {
		lim.rlim_cur = lim.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &lim); /* within our right */
	}
	if (want <= lim.rlim_cur)
		return 0;
	(void)snprintf(why, why_len,
		       "--connections: %" PRIu64 " need %" PRIu64
		       " descriptors, the limit is %ju (ulimit -n)",
		       run->opts->connections, want, (uintmax_t)lim.rlim_cur);
	return -1;
}

static int client_new(struct run *run, char *why, size_t why_len)
{
	const struct options *o = run->opts;
	uint64_t tickets = o->tickets;
	struct ktc_client_opts opts = {
		.size = sizeof(opts),
		.policy = (enum ktc_policy)o->plane,
		.ca_file = o->ca,
		.ca_dir = o->ca_dir,
		.cert_file = o->cert,
		.key_file = o->key,
		.alpn = o->alpn,
		.tls12_ciphers = o->tls12_ciphers,
		.tls13_suites = o->tls13_suites,
		.groups = o->groups,
		.version_min = o->tls == BENCH_TLS_1_3 ? KTC_TLS1_3 : 0,
		.version_max = o->tls == BENCH_TLS_1_2 ? KTC_TLS1_2 : 0,
		.auto_bytes = o->auto_bytes,
		.connect_timeout_ms = (uint32_t)o->timeout_ms,
		.handshake_timeout_ms = (uint32_t)o->timeout_ms,
		.idle_timeout_ms = (uint32_t)o->timeout_ms,
	};
	char sentence[200];
	int err;

	if (o->insecure)
		opts.flags |= KTC_CLIENT_INSECURE_NO_VERIFY;
	if (!o->resume)
		opts.flags |= KTC_CLIENT_NO_RESUME;
	/* a closed loop of N connections wants N tickets of one identity */
	if (!tickets && o->connections > TICKETS_DEFAULT)
		tickets = o->connections < TICKETS_MAX ? o->connections :
							 TICKETS_MAX;
	opts.tickets_per_identity = (uint32_t)tickets;
	err = ktc_client_new(&opts, &run->client);
	if (!err)
		return 0;
	sentence[0] = '\0';
	(void)ktc_client_check(&opts, sentence, sizeof(sentence));
	(void)snprintf(why, why_len, "%s: %s", ktc_error_name(err),
		       sentence[0] ? sentence : ktc_strerror(err));
	return -1;
}

static int worker_init(struct worker *w, struct run *run, unsigned int slots,
		       char *why, size_t why_len)
{
	const struct ktc_loop_opts opts = {
		.size = sizeof(opts),
		/* a CLOSED not yet released still has its place */
		.conns_max = 2 * slots,
	};
	unsigned int i;
	int err = -ENOMEM;

	w->run = run;
	w->slot_count = slots;
	w->slots = calloc(slots, sizeof(*w->slots));
	w->stats = calloc(RUN_NR_PHASES, sizeof(*w->stats));
	if (w->slots && w->stats)
		err = ktc_loop_new(&opts, &w->loop);
	if (err) {
		(void)snprintf(why, why_len, "no loop: %s: %s",
			       ktc_error_name(err), ktc_strerror(err));
		return -1;
	}
	for (i = 0; i < slots; i++)
		w->slots[i].worker = w;
	return 0;
}

static int workers_init(struct run *run, char *why, size_t why_len)
{
	uint64_t threads = run->opts->threads;
	uint64_t conns = run->opts->connections;
	uint64_t i;

	run->workers = calloc(threads, sizeof(*run->workers));
	if (!run->workers) {
		(void)snprintf(why, why_len, "out of memory");
		return -1;
	}
	run->worker_count = (unsigned int)threads;
	for (i = 0; i < threads; i++)
		if (worker_init(&run->workers[i], run,
				(unsigned int)(conns / threads +
					       (i < conns % threads)),
				why, why_len))
			return -1;
	return 0;
}

static int signals_take(int *fd, char *why, size_t why_len)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	/* threads made later inherit it */
	if (!pthread_sigmask(SIG_BLOCK, &set, NULL)) {
		*fd = signalfd(-1, &set, SFD_CLOEXEC);
		if (*fd >= 0)
			return 0;
	}
	(void)snprintf(why, why_len, "signalfd: %s", strerror(errno));
	return -1;
}

static int threads_run(struct run *run, int signal_fd, char *why,
		       size_t why_len)
{
	unsigned int i, made;
	int err = 0;

	for (made = 0; made < run->worker_count; made++) {
		err = pthread_create(&run->workers[made].thread, NULL,
				     worker_main, &run->workers[made]);
		if (err)
			break;
	}
	run->running = made;
	release_threads(run, !err);
	if (!err)
		watch(run, signal_fd);
	for (i = 0; i < made; i++)
		(void)pthread_join(run->workers[i].thread, NULL);
	if (!err)
		return 0;
	(void)snprintf(why, why_len, "pthread_create: %s", strerror(err));
	return -1;
}

int run_all(struct run *run, char *why, size_t why_len)
{
	int signal_fd = -1, err;

	pthread_mutex_init(&run->lock, NULL);
	pthread_cond_init(&run->turned, NULL);
	atomic_init(&run->permits, (int64_t)run->opts->warmup);
	run->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (run->event_fd < 0) {
		(void)snprintf(why, why_len, "eventfd: %s", strerror(errno));
		err = -1;
		goto out;
	}
	err = signals_take(&signal_fd, why, why_len);
	if (!err)
		err = raise_fd_limit(run, why, why_len);
	if (!err)
		err = client_new(run, why, why_len);
	if (!err)
		err = workers_init(run, why, why_len);
	if (!err)
		err = threads_run(run, signal_fd, why, why_len);
out:
	if (signal_fd >= 0)
		(void)close(signal_fd);
	if (err)
		run_fini(run);
	return err;
}

void run_fini(struct run *run)
{
	unsigned int i;

	for (i = 0; i < run->worker_count; i++) {
		ktc_loop_free(run->workers[i].loop); /* NULL if it ran */
		free(run->workers[i].slots);
		free(run->workers[i].stats);
	}
	free(run->workers);
	run->workers = NULL;
	run->worker_count = 0;
	ktc_client_put(run->client);
	run->client = NULL;
	if (run->event_fd >= 0)
		(void)close(run->event_fd);
	run->event_fd = -1;
	pthread_cond_destroy(&run->turned);
	pthread_mutex_destroy(&run->lock);
}
