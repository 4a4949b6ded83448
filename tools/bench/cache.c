// SPDX-License-Identifier: MIT
/*
 * The frame of ktc-bench cache. A round is one store under one load for one
 * span of time: it is made and filled, its threads run, each in a loop that
 * holds nothing but the operation, and it is freed. The clock runs when every
 * thread has been round its order once: what is made at first use is there
 * then. For one load the stores and the numbers of threads follow one another,
 * and then all of it again, so that what disturbs the machine for a while
 * disturbs all of them.
 *
 * The main thread sleeps while a round runs. Threads share with it only what
 * none of them writes, and the phase, which is written twice; what a thread
 * counts it keeps in registers and stores at the end, in lines of its own.
 */
#include "cache.h"

#include <errno.h>
#include <inttypes.h>
#include <ktlsclient.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "stats.h"

/* operations between two looks at the phase; divides every sequence */
#define BATCH 64
/* tickets of an origin beside one for each thread */
#define TICKETS_SPARE 4

#define LIVE_INTERVAL_NS UINT64_C(1000000000)

enum phase { PHASE_WARM, PHASE_MEASURE, PHASE_STOP };

const struct cache_store *const cache_stores[CACHE_NR_STORES] = {
	[CACHE_INVENTORY] = &cache_store_inventory,
	[CACHE_MUTEX_LIST] = &cache_store_mutex_list,
	[CACHE_SHARDED_MUTEX] = &cache_store_sharded_mutex,
	[CACHE_OPENSSL] = &cache_store_openssl,
};

/* one thread of a round */
struct worker {
	/* two lines apart: the processor fetches lines in pairs */
	_Alignas(128) const struct round *round;
	sem_t *warm; /* counts threads that have been round their order */
	struct cache_seq seq;
	uint32_t number;
	pthread_t thread;
	/* written when the round is over */
	uint64_t ops;
	uint64_t misses;
	uint64_t ns;
	uint64_t cpu_ns;
};

struct round {
	const struct cache_store *store;
	enum cache_op op;
	const struct cache_key *keys;
	void *state; /* the store's own */
	struct worker *workers;
	uint32_t threads;
	/* away from what is above, though that is not written meanwhile */
	_Alignas(128) atomic_int phase;
};

/* what rounds have in common */
struct bench {
	struct cache_result *result;
	struct cache_key *keys;
	struct worker *workers;
	uint32_t worker_count;
	cpu_set_t cpus;
	sigset_t signals;
	uint64_t live_ns; /* when the last line was printed */
	uint32_t done; /* rounds */
	bool tty;
};

static uint64_t thread_ns(void)
{
	struct timespec ts;

	/* a thread always has its own clock */
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* a few operations in a row; how many of them missed */
static inline uint64_t ask(const struct worker *w, uint32_t from,
			   uint32_t count)
{
	const struct round *r = w->round;
	const cache_op_fn op = r->store->op[r->op];
	const struct cache_key *keys = r->keys;
	const uint32_t *at = w->seq.at;
	uint32_t number = w->number, i;
	void *state = r->state;
	uint64_t misses = 0;

	for (i = from; i < from + count; i++)
		misses += !op(state, number, &keys[at[i]]);
	return misses;
}

/* until that phase is over; the misses among *ops operations */
static uint64_t work(const struct worker *w, enum phase during, uint64_t *ops)
{
	uint32_t mask = w->seq.len - 1, from = 0;
	uint64_t done = 0, misses = 0;

	do {
		misses += ask(w, from, BATCH);
		from = (from + BATCH) & mask;
		done += BATCH;
		/* relaxed: it says when, nothing hangs on it */
	} while (atomic_load_explicit(&w->round->phase, memory_order_relaxed) ==
		 (int)during);
	*ops = done;
	return misses;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	uint64_t ops, misses, ns, cpu_ns;

	(void)ask(w, 0, w->seq.len);
	/* fails when the count overflows, and there are few threads */
	(void)sem_post(w->warm);
	(void)work(w, PHASE_WARM, &ops);
	ns = clock_ns();
	cpu_ns = thread_ns();
	misses = work(w, PHASE_MEASURE, &ops);
	w->ns = clock_ns() - ns;
	w->cpu_ns = thread_ns() - cpu_ns;
	w->ops = ops - misses;
	w->misses = misses;
	return NULL;
}

/* whether each thread can have a CPU of its own */
static bool can_pin(const struct bench *b, uint32_t threads)
{
	return threads <= (uint32_t)CPU_COUNT(&b->cpus);
}

static int nth_cpu(const cpu_set_t *cpus, uint32_t n)
{
	int cpu;

	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, cpus) && !n--)
			break;
	return cpu;
}

static int worker_start(const struct bench *b, struct worker *w, bool pin)
{
	pthread_attr_t attr;
	cpu_set_t one;
	int err;

	err = pthread_attr_init(&attr);
	if (err)
		return -err;
	if (pin) {
		CPU_ZERO(&one);
		CPU_SET(nth_cpu(&b->cpus, w->number), &one);
		err = pthread_attr_setaffinity_np(&attr, sizeof(one), &one);
	}
	if (!err)
		err = pthread_create(&w->thread, &attr, worker_main, w);
	(void)pthread_attr_destroy(&attr); /* always 0 in Linux libcs */
	return -err;
}

static void set_phase(struct round *r, enum phase phase)
{
	/* relaxed: see work() */
	atomic_store_explicit(&r->phase, phase, memory_order_relaxed);
}

/* sleeps; a signal ends it, and says so to everybody after it */
static void pass(struct bench *b, uint64_t ms)
{
	const struct timespec time = {
		.tv_sec = (time_t)(ms / 1000),
		.tv_nsec = (long)(ms % 1000 * 1000000),
	};

	if (b->result->interrupted ||
	    sigtimedwait(&b->signals, NULL, &time) < 0)
		return;
	b->result->interrupted = true;
	/* The second one ends the process. Cannot fail: a set of our own. */
	(void)pthread_sigmask(SIG_UNBLOCK, &b->signals, NULL);
}

/* a negative error when a thread could not be made */
static int run_threads(struct bench *b, struct round *r)
{
	bool pin = can_pin(b, r->threads);
	uint32_t made, i;
	int err = 0;
	sem_t warm;

	(void)sem_init(&warm, 0, 0); /* fails for other arguments */
	for (made = 0; made < r->threads; made++) {
		r->workers[made].round = r;
		r->workers[made].warm = &warm;
		err = worker_start(b, &r->workers[made], pin);
		if (err)
			break;
	}
	if (!err) {
		for (i = 0; i < made; i++)
			while (sem_wait(&warm)) /* a debugger may interrupt */
				continue;
		set_phase(r, PHASE_MEASURE);
		pass(b, b->result->opts->duration_ms);
	}
	set_phase(r, PHASE_STOP);
	for (i = 0; i < made; i++)
		(void)pthread_join(r->workers[i].thread, NULL); /* ours */
	(void)sem_destroy(&warm); /* nobody waits */
	return err;
}

static void row_add(struct cache_row *row, const struct round *r)
{
	double ns = 0, cpu_ns = 0, ops = 0, per_ns = 0;
	uint32_t i;

	for (i = 0; i < r->threads; i++) {
		const struct worker *w = &r->workers[i];

		ns += (double)w->ns;
		cpu_ns += (double)w->cpu_ns;
		ops += (double)w->ops;
		per_ns += (double)w->ops / (double)w->ns;
		row->misses += w->misses;
	}
	row->ns[row->runs] = ops > 0 ? ns / ops : INFINITY;
	row->mops[row->runs] = per_ns * 1e3;
	row->cpu[row->runs] = cpu_ns / ns;
	row->runs++;
}

static int run_round(struct bench *b, struct cache_row *row)
{
	const struct cache_store *store = cache_stores[row->store];
	struct round r = {
		.store = store,
		.op = row->op,
		.keys = b->keys,
		.workers = b->workers,
		.threads = row->threads,
	};
	const struct cache_fill fill = {
		.op = row->op,
		.keys = b->keys,
		.origins = row->origins,
		.threads = row->threads,
		.tickets = row->threads + TICKETS_SPARE,
	};
	int err;

	atomic_init(&r.phase, PHASE_WARM);
	err = store->init(&fill, &r.state);
	if (err)
		return err;
	err = run_threads(b, &r);
	store->fini(r.state);
	/* What was cut short would be no figure like the others. */
	if (!err && !b->result->interrupted)
		row_add(row, &r);
	return err;
}

static void live_line(struct bench *b, const struct cache_row *row)
{
	const struct cache_options *o = b->result->opts;
	uint64_t now = clock_ns();

	b->done++;
	if (!b->tty && (!o->live || now - b->live_ns < LIVE_INTERVAL_NS))
		return;
	b->live_ns = now;
	fprintf(stderr,
		"%s%" PRIu32 "/%" PRIu64 " %s, %" PRIu32 " origin%s, %s, "
		"%" PRIu32 " thread%s%s",
		b->tty ? "\r\033[K" : "", b->done,
		b->result->row_count * o->repeat,
		row->op == CACHE_SHARE ? "share" : "take+give", row->origins,
		row->origins > 1 ? "s" : "", cache_stores[row->store]->name,
		row->threads, row->threads > 1 ? "s" : "", b->tty ? "" : "\n");
}

static void seqs_fini(struct bench *b)
{
	uint32_t i;

	for (i = 0; i < b->worker_count; i++)
		cache_seq_fini(&b->workers[i].seq);
}

static int seqs_init(struct bench *b, const struct cache_row *row)
{
	int err = 0;
	uint32_t i;

	for (i = 0; i < b->worker_count && !err; i++)
		err = cache_seq_init(&b->workers[i].seq, row->skew,
				     row->origins, i);
	if (err)
		seqs_fini(b);
	return err;
}

/* all rounds of one load, whose rows begin at @rows */
static int run_group(struct bench *b, struct cache_row *rows)
{
	uint32_t threads = b->result->threads.count, t, s;
	uint64_t n;
	int err;

	err = seqs_init(b, rows);
	for (n = 0; n < b->result->opts->repeat; n++)
		for (t = 0; t < threads; t++)
			for (s = 0; s < b->result->stores; s++) {
				struct cache_row *row = &rows[s * threads + t];

				if (err || b->result->interrupted)
					goto out;
				live_line(b, row);
				err = run_round(b, row);
			}
out:
	seqs_fini(b);
	return err;
}

static bool wanted(int choice, int value)
{
	return choice == BENCH_ALL || choice == value;
}

/* The order of choosing from one origin is the same, however it is chosen. */
static bool has_skew(const struct cache_options *o, uint32_t origins,
		     enum cache_skew skew)
{
	if (origins == 1 && o->skew == BENCH_ALL)
		return skew == CACHE_UNIFORM;
	return wanted(o->skew, (int)skew);
}

static void add_rows(struct cache_result *res, const struct cache_row *like)
{
	struct cache_row *row;
	unsigned int s, t;

	for (s = 0; s < CACHE_NR_STORES; s++) {
		if (!wanted(res->opts->store, (int)s))
			continue;
		for (t = 0; t < res->threads.count; t++) {
			row = &res->rows[res->row_count++];
			*row = *like;
			row->store = (enum cache_store_id)s;
			row->threads = res->threads.value[t];
		}
	}
}

static void plan(struct cache_result *res)
{
	const struct cache_options *o = res->opts;
	struct cache_row like = { 0 };
	unsigned int op, i, skew;

	res->stores = o->store == BENCH_ALL ? CACHE_NR_STORES : 1;
	for (op = 0; op < CACHE_NR_OPS; op++)
		for (i = 0; i < res->origins.count; i++)
			for (skew = 0; skew < CACHE_NR_SKEWS; skew++) {
				like.op = (enum cache_op)op;
				like.origins = res->origins.value[i];
				like.skew = (enum cache_skew)skew;
				if (wanted(o->op, (int)op) &&
				    has_skew(o, like.origins, like.skew))
					add_rows(res, &like);
			}
}

static int rows_new(struct cache_result *res)
{
	size_t most = (size_t)CACHE_NR_OPS * CACHE_NR_SKEWS * CACHE_NR_STORES *
		      res->origins.count * res->threads.count;

	res->rows = calloc(most, sizeof(*res->rows));
	if (!res->rows)
		return -ENOMEM;
	plan(res);
	return 0;
}

static int bench_init(struct bench *b)
{
	uint32_t i;

	if (sched_getaffinity(0, sizeof(b->cpus), &b->cpus))
		return -errno;
	b->result->pinned = can_pin(b, b->worker_count);
	b->keys = cache_keys_new(cache_list_largest(&b->result->origins));
	b->workers = aligned_alloc(_Alignof(struct worker),
				   b->worker_count * sizeof(struct worker));
	if (!b->keys || !b->workers)
		return -ENOMEM;
	memset(b->workers, 0, b->worker_count * sizeof(struct worker));
	for (i = 0; i < b->worker_count; i++)
		b->workers[i].number = i;
	return rows_new(b->result);
}

static int run_groups(struct bench *b)
{
	struct cache_result *res = b->result;
	uint32_t i;
	int err = 0;

	for (i = 0; i < res->row_count && !err && !res->interrupted;
	     i += res->stores * res->threads.count)
		err = run_group(b, &res->rows[i]);
	return err;
}

/* SIGINT and SIGTERM are waited for, here and not in the threads */
static int measure(struct bench *b)
{
	int err;

	sigemptyset(&b->signals);
	sigaddset(&b->signals, SIGINT);
	sigaddset(&b->signals, SIGTERM);
	err = -pthread_sigmask(SIG_BLOCK, &b->signals, NULL);
	if (err)
		return err;
	err = run_groups(b);
	if (b->tty)
		fputs("\r\033[K", stderr);
	/* Cannot fail: a set of our own. */
	(void)pthread_sigmask(SIG_UNBLOCK, &b->signals, NULL);
	return err;
}

static int lists(struct cache_result *res, char *why, size_t why_len)
{
	const struct cache_options *o = res->opts;

	if (cache_list_parse(&res->threads, o->threads, BENCH_THREADS_MAX)) {
		(void)snprintf(why, why_len,
			       "--threads: \"%s\" is no list of at most %d "
			       "numbers from 1 to %d",
			       o->threads, CACHE_LIST_MAX, BENCH_THREADS_MAX);
		return -1;
	}
	if (cache_list_parse(&res->origins, o->origins, CACHE_ORIGINS_MAX)) {
		(void)snprintf(why, why_len,
			       "--origins: \"%s\" is no list of at most %d "
			       "numbers from 1 to %u",
			       o->origins, CACHE_LIST_MAX, CACHE_ORIGINS_MAX);
		return -1;
	}
	return 0;
}

int cache_run(struct cache_result *result, const struct cache_options *opts,
	      char *why, size_t why_len)
{
	struct cache_result res = { .opts = opts };
	struct bench b = {
		.result = &res,
		.tty = isatty(STDERR_FILENO) == 1,
	};
	int err;

	if (lists(&res, why, why_len))
		return -1;
	b.worker_count = cache_list_largest(&res.threads);
	err = bench_init(&b);
	if (!err)
		err = measure(&b);
	free(b.workers);
	free(b.keys);
	if (!err) {
		*result = res;
		return 0;
	}
	cache_fini(&res);
	(void)snprintf(why, why_len, "not measured: %s", ktc_strerror(err));
	return -1;
}

void cache_fini(struct cache_result *result)
{
	free(result->rows);
	result->rows = NULL;
	result->row_count = 0;
}
