/* SPDX-License-Identifier: MIT */
/*
 * A run: threads, each with a loop and a fixed set of connection slots, going
 * through the same phases together.
 */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include <ktlsclient.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "http.h"
#include "options.h"
#include "stats.h"
#include "target.h"

struct run;
struct worker;

/**
 * enum run_phase - what all threads are doing; they pass from one to the next
 *	together
 * @RUN_PREPARE: not measured: warm-up, or opening the connections
 * @RUN_MEASURE: measured
 * @RUN_FINISH: not measured: closing what is open
 */
enum run_phase { RUN_PREPARE, RUN_MEASURE, RUN_FINISH, RUN_NR_PHASES };

enum run_end {
	RUN_END_DONE, /* count or bytes reached */
	RUN_END_TIME,
	RUN_END_SIGNAL,
	RUN_END_ERRORS, /* too many */
	RUN_END_VAIN, /* no connection worked in PREPARE: not measured */
};

/**
 * struct slot - one connection after another, or one for the whole run
 * @worker: whose it is
 * @conn: NULL between connections
 * @start_ns: ktc_connect()
 * @open_ns: OPEN
 * @last_ns: stream: the last DATA or SENT
 * @seen: bytes came
 * @resumed: by a resumed handshake
 * @busy: counts in @worker->pending
 * @complete: it did what it was for
 * @why: the bench's own reason why it failed, or NULL
 * @why_text: room for @why
 * @received: connect: bytes
 * @http: response being read
 * @left: stream: bytes of the body not yet queued
 * @queued: stream: sends without SENT
 * @confirm: stream up: @http reads the response of the request behind the
 *	body
 * @tail_queued: stream up: the request behind the body was queued
 * @offset: stream up: in the file
 * @header_bytes: stream: sent that are no body
 * @base: stream: records and bytes when the measurement began
 */
struct slot {
	struct worker *worker;
	struct ktc_conn *conn;
	uint64_t start_ns;
	uint64_t open_ns;
	uint64_t last_ns;
	bool seen;
	bool resumed;
	bool busy;
	bool complete;
	bool confirm;
	bool tail_queued;
	const char *why;
	char why_text[64];
	uint64_t received;
	struct http_response http;
	uint64_t left;
	unsigned int queued;
	uint64_t offset;
	uint64_t header_bytes;
	struct {
		uint64_t records[2];
		uint64_t sent;
	} base;
};

/**
 * struct worker - one thread
 * @run: the run
 * @thread: its thread
 * @loop: its loop; NULL after it ended, changed under @run->lock
 * @slots: its connections
 * @slot_count: how many
 * @pending: slots with work left in this phase
 * @phase: the phase it is in
 * @stats: by phase; its own until the thread ended
 * @done: for the live line: connections complete
 * @resumed: of them
 * @failed: connections failed
 * @bytes: of bodies
 */
struct worker {
	struct run *run;
	pthread_t thread;
	struct ktc_loop *loop;
	struct slot *slots;
	unsigned int slot_count;
	unsigned int pending;
	enum run_phase phase;
	struct stats *stats;
	atomic_uint_fast64_t done;
	atomic_uint_fast64_t resumed;
	atomic_uint_fast64_t failed;
	atomic_uint_fast64_t bytes;
};

/**
 * struct run_mark - clocks at the border of two phases
 * @ns: monotonic
 * @usage: CPU time of this process
 * @machine_ns: CPU time of the whole machine, all that was not idle; 0 where
 *	/proc/stat cannot be read
 */
struct run_mark {
	uint64_t ns;
	struct rusage usage;
	uint64_t machine_ns;
};

/**
 * struct run_ops - what a command does with the slots
 * @begin: start a phase (PREPARE, MEASURE): start work and count it pending
 * @event: one event, in PREPARE and MEASURE; must end in
 *	ktc_event_release()
 * @end: MEASURE is over, connections may still be open; counts what is left
 */
struct run_ops {
	void (*begin)(struct worker *w);
	void (*event)(struct worker *w, struct ktc_event *ev);
	void (*end)(struct worker *w);
};

/**
 * struct run - all of it
 * @opts: read-only
 * @target: read-only
 * @ops: of the command
 * @client: shared by all threads
 * @workers: the threads
 * @worker_count: how many
 * @permits: connections that may still be started in this phase
 * @errors: failures so far, all phases
 * @stop: no more work in PREPARE and MEASURE
 * @lock: protects @phase, @arrived, @running, @end, @mark, @started and
 *	every @workers[].loop once the threads run
 * @turned: signalled when @phase or @started changes
 * @event_fd: readable when main has something to look at
 */
struct run {
	const struct options *opts;
	const struct target *target;
	const struct run_ops *ops;
	struct ktc_client *client;
	struct worker *workers;
	unsigned int worker_count;
	atomic_int_fast64_t permits;
	atomic_uint_fast64_t errors;
	atomic_bool stop;
	pthread_mutex_t lock;
	pthread_cond_t turned;
	enum run_phase phase;
	unsigned int arrived;
	unsigned int running;
	bool started;
	enum run_end end;
	struct run_mark mark[RUN_NR_PHASES]; /* the phase's beginning */
	int event_fd;
};

/**
 * run_all() - make client and loops, run all phases, wait for the end
 * @run: @opts, @target and @ops set, the rest zero
 * @why: receives a sentence on failure
 * @why_len: bytes at @why
 *
 * Blocks SIGINT and SIGTERM and takes them itself: the first ends the run in
 * order, the second ends the process.
 *
 * Return: 0, run_fini() must follow; or -1, nothing is left.
 */
int run_all(struct run *run, char *why, size_t why_len);

void run_fini(struct run *run);

/* for commands, on a worker's thread: */

/* takes a permit: whether one more connection may be started */
bool run_permit(struct run *run);

/* whether no more work should be begun */
bool run_stopping(const struct run *run);

/* the statistics of the phase the worker is in */
struct stats *worker_stats(struct worker *w);

/* connects a slot; failure is counted. Returns whether it was started */
bool slot_connect(struct slot *slot);

/*
 * Counts a connection that ended without being complete, and releases
 * nothing; @err is what CLOSED said.
 */
void slot_failed(struct slot *slot, int err);

/* notes the bench's own reason and aborts; CLOSED follows */
void slot_give_up(struct slot *slot, const char *why);

/* adds to a live counter */
void live_add(atomic_uint_fast64_t *counter, uint64_t n);

#endif /* BENCH_RUN_H */
