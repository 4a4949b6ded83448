/* SPDX-License-Identifier: MIT */
/*
 * Many plaintext connections at once, in one thread.
 */
#ifndef LOAD_CLIENT_H
#define LOAD_CLIENT_H

#include <stdint.h>

#include "../common/hist.h"
#include "conn.h"
#include "cpu.h"
#include "options.h"
#include "place.h"

/**
 * struct client_sums - what a run has come to
 * @ends: connections by enum conn_end
 * @sent: bytes
 * @got: bytes
 * @begin_ns: of the measurement, monotonic
 * @end_ns: of it
 * @cpu_ns: of the processes that were asked for
 * @held: open at the same time, with hold
 * @latency: from when a connection should have begun to its end, or with hold
 *	to the end of its exchange, ns; of those that were as they should be
 */
struct client_sums {
	uint64_t ends[CONN_NR_ENDS];
	uint64_t sent;
	uint64_t got;
	uint64_t begin_ns;
	uint64_t end_ns;
	uint64_t cpu_ns;
	uint64_t held;
	struct hist latency;
};

/**
 * client_run() - begin connections and see each to its end
 * @opts: how many, how fast, how long
 * @plan: what each does
 * @place: where to
 * @procs: whose CPU time is of interest
 * @out: written on success only
 *
 * SIGTERM and SIGINT begin no more, and end what is endless or held. With hold
 * a line "held N" goes to standard output once all have had their exchange,
 * and the end of standard input is the same as a signal.
 *
 * Return: 0 or a negative errno, for what is no connection's fault.
 */
int client_run(const struct options *opts, const struct conn_plan *plan,
	       const struct place *place, const struct cpu_procs *procs,
	       struct client_sums *out);

#endif /* LOAD_CLIENT_H */
