/* SPDX-License-Identifier: MIT */
/*
 * What the command line of ktc-bench says. Filled by main.c, then read-only.
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define BENCH_CONNECTIONS_MAX 65536
#define BENCH_THREADS_MAX     256

/* options.warmup: as many as connections at once */
#define BENCH_WARMUP_AUTO UINT64_MAX

enum bench_command { BENCH_CONNECT, BENCH_STREAM };
enum bench_tls { BENCH_TLS_ANY, BENCH_TLS_1_2, BENCH_TLS_1_3 };
enum bench_dir { BENCH_DOWN, BENCH_UP };

/* what connect sends */
enum bench_request { REQUEST_HTTP, REQUEST_BYTES };

/* what connect waits for before it closes */
enum bench_response { RESPONSE_EOF, RESPONSE_BYTES, RESPONSE_NONE };

struct options {
	enum bench_command command;
	const char *target;
	int argc; /* as typed, for the report */
	char **argv;

	/* load */
	uint64_t connections; /* at once */
	uint64_t threads;
	uint64_t count; /* connect: in all; 0: until the time is up */
	uint64_t duration_ms; /* 0: until the count or the bytes are done */
	uint64_t warmup;
	uint64_t errors_max; /* 0: no limit */
	uint64_t timeout_ms;

	/* TLS */
	int resume; /* bool */
	int plane; /* enum ktc_policy */
	int tls; /* enum bench_tls */
	uint64_t auto_bytes;
	uint64_t tickets; /* at most; 0: what fits the connections */
	const char *ca;
	const char *ca_dir;
	const char *cert;
	const char *key;
	const char *sni;
	const char *alpn;
	const char *tls12_ciphers;
	const char *tls13_suites;
	const char *groups;
	bool insecure;

	/* exchange */
	const char *path;
	const char *request_text;
	const char *response_text;
	enum bench_request request;
	enum bench_response response;
	uint64_t response_bytes;
	int dir; /* enum bench_dir */
	uint64_t bytes; /* stream: in all; 0: until the time is up */
	uint64_t chunk;
	uint64_t put_size;
	const char *sendfile;

	/* output */
	bool json;
	bool live;
	bool fail_ok;
};

/* a choice of the commands cache and relay: every one there is */
#define BENCH_ALL (-1)

/* what the command cache is asked for */
struct cache_options {
	int argc; /* as typed, for the report */
	char **argv;
	const char *threads; /* lists of numbers */
	const char *origins;
	int op; /* enum cache_op, or BENCH_ALL */
	int skew; /* enum cache_skew, or BENCH_ALL */
	int store; /* enum cache_store_id, or BENCH_ALL */
	uint64_t duration_ms; /* of one run of one store */
	uint64_t repeat;
	bool json;
	bool live;
};

/* what the command relay is asked for */
struct relay_options {
	int argc; /* as typed, for the report */
	char **argv;
	int way; /* enum relay_way, or BENCH_ALL */
	int plain; /* enum relay_plain, or BENCH_ALL */
	int load; /* enum relay_load, or BENCH_ALL */
	uint64_t bytes; /* of one run with large messages */
	uint64_t messages; /* of one run with small ones */
	uint64_t message; /* bytes of a large one */
	uint64_t small; /* and of a small one */
	uint64_t repeat;
	uint64_t timeout_ms; /* of one step */
	int tls; /* enum bench_tls */
	const char *nginx; /* program */
	const char *nginx_module; /* to load; NULL: it is built in */
	bool alone; /* nothing else runs on the machine */
	bool json;
	bool live;
};

#endif /* BENCH_OPTIONS_H */
