/* SPDX-License-Identifier: MIT */
/*
 * The command relay: what it costs to stand between a TLS origin and a plain
 * socket, by the kernel module, by the library on either plane, and by nginx.
 */
#ifndef BENCH_RELAY_H
#define BENCH_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"
#include "relay_cpu.h"
#include "relay_end.h"

#define RELAY_REPEAT_MAX 32

/**
 * enum relay_way - who relays
 * @RELAY_MODULE: the kernel module, asked by the library
 * @RELAY_KERNEL: the library's loop, kernel TLS
 * @RELAY_USER: the library's loop, OpenSSL
 * @RELAY_NGINX: nginx, stream with proxy_ssl
 */
enum relay_way {
	RELAY_MODULE,
	RELAY_KERNEL,
	RELAY_USER,
	RELAY_NGINX,
	RELAY_NR_WAYS,
};

enum relay_plain { RELAY_TCP, RELAY_UNIX, RELAY_NR_PLAINS };

/**
 * enum relay_load - what goes through
 * @RELAY_DOWN: large messages from the origin
 * @RELAY_UP: large messages from the client
 * @RELAY_PINGPONG: a small message to the origin, one back, and again: each
 *	is moved alone
 * @RELAY_DOWN_SMALL: small messages from the origin, as fast as they can
 * @RELAY_UP_SMALL: the same from the client
 */
enum relay_load {
	RELAY_DOWN,
	RELAY_UP,
	RELAY_PINGPONG,
	RELAY_DOWN_SMALL,
	RELAY_UP_SMALL,
	RELAY_NR_LOADS,
};

extern const char *const relay_way_name[RELAY_NR_WAYS];
extern const char *const relay_plain_name[RELAY_NR_PLAINS];
extern const char *const relay_load_name[RELAY_NR_LOADS];

/**
 * struct relay_row - one way under one load
 * @way: who relayed
 * @plain: the plain socket's kind
 * @load: what went through
 * @size: bytes of a message
 * @bytes: of one run, both directions together
 * @messages: of one run
 * @runs: how often it was measured, all over one connection
 * @cost: by run
 * @ns: by run: from its beginning to its end
 * @tls: version and cipher suite, by the origin
 * @failed: why it is not to be believed, or ""
 */
struct relay_row {
	enum relay_way way;
	enum relay_plain plain;
	enum relay_load load;
	uint32_t size;
	uint64_t bytes;
	uint64_t messages;
	uint32_t runs;
	struct cpu_cost cost[RELAY_REPEAT_MAX];
	uint64_t ns[RELAY_REPEAT_MAX];
	char tls[RELAY_TEXT_LEN];
	char failed[2 * RELAY_TEXT_LEN];
};

/**
 * struct relay_result - all of a run
 * @opts: what was asked for
 * @absent: by way: why it could not be had here, or NULL
 * @rows: by plain socket, load and way, in this order
 * @row_count: how many
 * @interrupted: a signal ended it
 */
struct relay_result {
	const struct relay_options *opts;
	const char *absent[RELAY_NR_WAYS];
	struct relay_row *rows;
	uint32_t row_count;
	bool interrupted;
};

/**
 * relay_run() - measure
 * @result: written on success only; then to be given to relay_fini()
 * @opts: what to measure; read until relay_fini()
 * @why: receives a sentence on failure
 * @why_len: bytes at @why
 *
 * SIGINT and SIGTERM end it early, with what there is by then.
 *
 * Return: 0, or -1 with @why written.
 */
int relay_run(struct relay_result *result, const struct relay_options *opts,
	      char *why, size_t why_len);
void relay_fini(struct relay_result *result);

/*
 * CPU time of the relay: its own tasks; when nothing else runs on the machine,
 * all tasks but those of the two ends and this process.
 */
uint64_t relay_cost_ns(const struct relay_result *result,
		       const struct cpu_cost *cost);

#endif /* BENCH_RELAY_H */
