/* SPDX-License-Identifier: MIT */
/*
 * CPU time of other processes, in nanoseconds: of all their threads, those
 * that have ended and io_uring's workers among them.
 */
#ifndef LOAD_CPU_H
#define LOAD_CPU_H

#include <stdint.h>

#define CPU_PROCS_MAX 16

struct cpu_procs {
	unsigned int count;
	int pids[CPU_PROCS_MAX];
};

/**
 * cpu_parse() - processes from a list
 * @text: numbers with commas between them; NULL: none
 * @out: written on success only
 *
 * Return: 0, or -EINVAL.
 */
int cpu_parse(const char *text, struct cpu_procs *out);

/**
 * cpu_now() - what they have used so far
 * @procs: which
 * @ns: written on success only
 *
 * Return: 0, or -ESRCH when one is gone.
 */
int cpu_now(const struct cpu_procs *procs, uint64_t *ns);

/**
 * cpu_settled() - the same once they have come to rest
 * @procs: which
 * @ns: written on success only
 *
 * Closing what a client has left is part of what a connection costs. Waits a
 * second at most for 20 ms with next to nothing.
 *
 * Return: 0, or -ESRCH when one is gone.
 */
int cpu_settled(const struct cpu_procs *procs, uint64_t *ns);

#endif /* LOAD_CPU_H */
