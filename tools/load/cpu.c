// SPDX-License-Identifier: MIT
/*
 * The processes' CPU clocks (clock_getcpuclockid(3)): the scheduler's own sum,
 * brought up to date by the reading, not the ticks that /proc/PID/stat has.
 * One thread.
 */
#include "cpu.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <time.h>

#define REST_NS	   50000
#define REST_TURNS 50

int cpu_parse(const char *text, struct cpu_procs *out)
{
	struct cpu_procs procs = { 0 };
	char *end;

	while (text && *text) {
		long pid = strtol(text, &end, 10);

		if (end == text || pid < 1 || pid > INT_MAX ||
		    procs.count == CPU_PROCS_MAX || (*end && *end != ','))
			return -EINVAL;
		procs.pids[procs.count++] = (int)pid;
		text = *end ? end + 1 : end;
	}
	*out = procs;
	return 0;
}

int cpu_now(const struct cpu_procs *procs, uint64_t *ns)
{
	struct timespec ts;
	uint64_t sum = 0;
	unsigned int i;
	clockid_t clock;

	for (i = 0; i < procs->count; i++) {
		if (clock_getcpuclockid(procs->pids[i], &clock) ||
		    clock_gettime(clock, &ts))
			return -ESRCH;
		sum += (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	}
	*ns = sum;
	return 0;
}

int cpu_settled(const struct cpu_procs *procs, uint64_t *ns)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	uint64_t before, now;
	int i, err;

	err = cpu_now(procs, &before);
	for (i = 0; !err && procs->count && i < REST_TURNS; i++) {
		(void)nanosleep(&pause, NULL); /* shorter does no harm */
		err = cpu_now(procs, &now);
		if (err || now - before < REST_NS)
			break;
		before = now;
	}
	if (!err)
		*ns = before;
	return err;
}
