/* SPDX-License-Identifier: MIT */
/*
 * What every task of a machine has used of the CPU, exactly: the scheduler's
 * own sum, to be read while the tasks that matter are at rest.
 */
#ifndef BENCH_RELAY_CPU_H
#define BENCH_RELAY_CPU_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * enum cpu_kind - whose task it is
 * @CPU_RELAY: of the process group that is measured
 * @CPU_KERNEL: a thread of the kernel
 * @CPU_ENDS: of the two processes that the relay stands between
 * @CPU_SELF: of this process
 * @CPU_OTHER: anything else
 */
enum cpu_kind {
	CPU_RELAY,
	CPU_KERNEL,
	CPU_ENDS,
	CPU_SELF,
	CPU_OTHER,
	CPU_NR_KINDS,
};

/* who is who; pids that are not known are 0 */
struct cpu_cast {
	pid_t relay; /* process group */
	pid_t ends[2];
};

struct cpu_task {
	pid_t pid;
	pid_t tid;
	enum cpu_kind kind;
	uint64_t ns;
	uint64_t turns; /* how often it was given the CPU */
};

/* all tasks at one moment; zeroed is empty */
struct cpu_shot {
	struct cpu_task *tasks;
	size_t count;
	size_t room;
};

/**
 * struct cpu_cost - what was used between two shots
 * @ns: by kind
 * @turns: by kind: how often a task was given the CPU
 * @gone: of the relay and the kernel: tasks that ended between, with what
 *	they used
 */
struct cpu_cost {
	uint64_t ns[CPU_NR_KINDS];
	uint64_t turns[CPU_NR_KINDS];
	unsigned int gone;
};

/**
 * cpu_take() - read all tasks
 * @shot: refilled; to be given to cpu_fini() in the end, on failure too
 * @cast: who is who
 *
 * Return: 0; -ENOENT when this kernel keeps no such sum; -ENOMEM; -errno.
 */
int cpu_take(struct cpu_shot *shot, const struct cpu_cast *cast);
void cpu_fini(struct cpu_shot *shot);

void cpu_diff(struct cpu_cost *cost, const struct cpu_shot *from,
	      const struct cpu_shot *to);

#endif /* BENCH_RELAY_CPU_H */
