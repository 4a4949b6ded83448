/* SPDX-License-Identifier: MIT */
/*
 * How a ktc-proxy is seen from outside: Prometheus text, the table of
 * --status, log lines. Reads counters, when the workers have brought them up to
 * date.
 */
#ifndef PROXY_ADMIN_H
#define PROXY_ADMIN_H

#include <ktlsclient.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stats.h"

struct config;

/**
 * struct admin_origin - one origin now
 * @place: as configured
 * @conns: connections now, all threads
 * @failing: backed off until @retry_in_ms is over
 * @retry_in_ms: the time left
 * @failures: connections that failed, since the start
 */
struct admin_origin {
	const char *place;
	uint64_t conns;
	bool failing;
	uint64_t retry_in_ms;
	uint64_t failures;
};

/**
 * struct admin_listener - one listener now
 * @name: as configured
 * @listen: as configured, or with the port that the kernel chose
 * @sum: all threads' blocks added up
 * @client: the library's counters
 * @origins: each of them
 * @nr_origins: how many
 */
struct admin_listener {
	const char *name;
	const char *listen;
	struct stats_listener sum;
	struct ktc_client_stats client;
	const struct admin_origin *origins;
	unsigned int nr_origins;
};

/**
 * struct admin_ops - what the admin side asks the proxy; any thread
 * @listeners: how many there are now; waits a moment for their numbers
 * @listener: fills @out for number @i, with memory that stays until @done
 * @done: the answer has been written
 * @arg: passed to each
 * @started_s: unix time of the start
 * @threads: loops
 * @draining: the proxy is on its way out
 */
struct admin_ops {
	unsigned int (*listeners)(void *arg);
	int (*listener)(void *arg, unsigned int i, struct admin_listener *out);
	void (*done)(void *arg);
	bool (*draining)(void *arg);
	void *arg;
	uint64_t started_s;
	unsigned int threads;
};

struct admin;

/**
 * admin_start() - serve metrics and status from a thread of its own
 * @metrics_fd: a listening socket for HTTP, or -1; taken
 * @ops: kept by reference
 * @out: written on success only
 *
 * Answers GET and HEAD of /metrics, /healthz (200; 503 while draining); 404,
 * 405, 400 for the rest. One request a connection; header at most 8 KiB, 5 s
 * for all of it, 16 clients at once.
 *
 * Return: 0 or -errno; then @metrics_fd is closed too.
 */
int admin_start(int metrics_fd, const struct admin_ops *ops,
		struct admin **out);

/* Ends the thread, waits for it; NULL is fine. */
void admin_stop(struct admin *admin);

/* The Prometheus text (version 0.0.4): 0 or -ENOMEM; *out is for free(). */
int admin_metrics(const struct admin_ops *ops, char **out, size_t *len);

/*
 * What --status shows, as JSON: 0 or -ENOMEM; *out is for free(). The control
 * socket's answer to the line "status".
 */
int admin_status(const struct admin_ops *ops, char **out, size_t *len);

/*
 * The same as text for a terminal, 1 MiB at most. The control socket's answer
 * to the line "table"; it closes the connection after it, as after "status".
 */
int admin_table(const struct admin_ops *ops, char **out, size_t *len);

/**
 * admin_status_print() - ask the proxy for its table, and print it
 * @control: path of the proxy's control socket
 *
 * Return: exit status of ktc-proxy --status: 0; 1 with a sentence on stderr.
 */
int admin_status_print(const char *control);

#endif /* PROXY_ADMIN_H */
