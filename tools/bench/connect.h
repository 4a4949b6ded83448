/* SPDX-License-Identifier: MIT */
/*
 * ktc-bench connect: short connections in a closed loop.
 */
#ifndef BENCH_CONNECT_H
#define BENCH_CONNECT_H

#include "run.h"

extern const struct run_ops connect_ops;

/**
 * connect_prepare() - make the request
 * @opts: options; request and response are parsed here
 * @target: for the Host field
 * @why: receives a sentence on failure
 * @why_len: bytes at @why
 *
 * Context: before the threads start.
 * Return: 0 or -1.
 */
int connect_prepare(struct options *opts, const struct target *target,
		    char *why, size_t why_len);

/* also without connect_prepare(), or after it failed */
void connect_fini(void);

#endif /* BENCH_CONNECT_H */
