/* SPDX-License-Identifier: MIT */
/*
 * ktc-bench stream: bodies down or up over connections that are open before
 * the measurement begins.
 */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include "run.h"

extern const struct run_ops stream_ops;

/**
 * stream_prepare() - make the requests, open the file
 * @opts: options
 * @target: for the Host field
 * @why: receives a sentence on failure
 * @why_len: bytes at @why
 *
 * Context: before the threads start.
 * Return: 0 or -1.
 */
int stream_prepare(const struct options *opts, const struct target *target,
		   char *why, size_t why_len);

/* also without stream_prepare(), or after it failed */
void stream_fini(void);

#endif /* BENCH_STREAM_H */
