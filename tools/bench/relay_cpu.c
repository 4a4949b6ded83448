// SPDX-License-Identifier: MIT
/*
 * CPU time of tasks from /proc/<pid>/task/<tid>/schedstat, whose first number
 * is the scheduler's sum of nanoseconds, the third how often the task was given
 * the CPU. The sum is brought up to date when a task
 * leaves the CPU, so it is exact for all that sleep or wait. A task that ends
 * while the list is read is left out. One thread.
 */
#include "relay_cpu.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* words of /proc/<pid>/stat behind the name, and a flag: PF_KTHREAD */
#define FIELD_PGRP	   2
#define FIELD_FLAGS	   6
#define FLAG_KERNEL_THREAD 0x00200000U

/* bytes read, or -errno; at most @len - 1, with a NUL behind them */
static ssize_t read_text(const char *path, char *text, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, len - 1);
	if (n < 0)
		n = -errno;
	else
		text[n] = '\0';
	(void)close(fd); /* read only */
	return n;
}

static bool is_gone(ssize_t err)
{
	return err == -ENOENT || err == -ESRCH;
}

/* the number that is word @index of @text, from 0; false: there is none */
static bool field(const char *text, unsigned int index, uint64_t *number)
{
	char *end;

	text += strspn(text, " ");
	for (; index; index--) {
		text += strcspn(text, " ");
		text += strspn(text, " ");
	}
	*number = strtoull(text, &end, 10);
	return end != text;
}

/* the kind of a process; a negative errno when it cannot be told */
static int kind_of(pid_t pid, const struct cpu_cast *cast)
{
	char path[64], text[512], *after;
	uint64_t pgrp, flags;
	ssize_t n;

	if (pid == getpid())
		return CPU_SELF;
	if (pid == cast->ends[0] || pid == cast->ends[1])
		return CPU_ENDS;
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	n = read_text(path, text, sizeof(text));
	if (n < 0)
		return (int)n;
	/* the name before it may have any character */
	after = strrchr(text, ')');
	if (!after || !field(after + 1, FIELD_PGRP, &pgrp) ||
	    !field(after + 1, FIELD_FLAGS, &flags))
		return -EPROTO;
	if (flags & FLAG_KERNEL_THREAD)
		return CPU_KERNEL;
	return cast->relay && pgrp == (uint64_t)cast->relay ? CPU_RELAY
							    : CPU_OTHER;
}

static int add(struct cpu_shot *shot, const struct cpu_task *task)
{
	struct cpu_task *more;

	if (shot->count == shot->room) {
		size_t room = shot->room ? 2 * shot->room : 128;

		more = realloc(shot->tasks, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		shot->tasks = more;
		shot->room = room;
	}
	shot->tasks[shot->count++] = *task;
	return 0;
}

static int take_task(struct cpu_shot *shot, struct cpu_task *task)
{
	char path[96], text[128];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat",
		       (int)task->pid, (int)task->tid);
	n = read_text(path, text, sizeof(text));
	if (n < 0)
		return (int)n;
	if (!field(text, 0, &task->ns) || !field(text, 2, &task->turns))
		return -EPROTO;
	return add(shot, task);
}

/* calls @fn for each entry of @path that is a number, until one fails */
static int each_number(const char *path, int (*fn)(pid_t number, void *arg),
		       void *arg)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int err = 0;

	if (!dir)
		return -errno;
	while (!err && (entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]))
			err = fn((pid_t)strtol(entry->d_name, NULL, 10), arg);
	(void)closedir(dir); /* read only */
	return err;
}

struct reading {
	struct cpu_shot *shot;
	const struct cpu_cast *cast;
	struct cpu_task task;
};

static int read_tid(pid_t tid, void *arg)
{
	struct reading *r = arg;
	int err;

	r->task.tid = tid;
	err = take_task(r->shot, &r->task);
	return is_gone(err) ? 0 : err;
}

static int read_pid(pid_t pid, void *arg)
{
	struct reading *r = arg;
	int kind = kind_of(pid, r->cast), err;
	char path[64];

	if (kind < 0)
		return is_gone(kind) ? 0 : kind;
	r->task.pid = pid;
	r->task.kind = (enum cpu_kind)kind;
	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	err = each_number(path, read_tid, r);
	return is_gone(err) ? 0 : err;
}

int cpu_take(struct cpu_shot *shot, const struct cpu_cast *cast)
{
	struct reading r = { .shot = shot, .cast = cast };
	int err;

	shot->count = 0;
	err = each_number("/proc", read_pid, &r);
	/* this process is always there, unless the file is not */
	if (!err && !shot->count)
		err = -ENOENT;
	return err;
}

void cpu_fini(struct cpu_shot *shot)
{
	free(shot->tasks);
	memset(shot, 0, sizeof(*shot));
}

static const struct cpu_task *find(const struct cpu_shot *shot,
				   const struct cpu_task *task)
{
	size_t i;

	for (i = 0; i < shot->count; i++)
		if (shot->tasks[i].tid == task->tid &&
		    shot->tasks[i].pid == task->pid)
			return &shot->tasks[i];
	return NULL;
}

void cpu_diff(struct cpu_cost *cost, const struct cpu_shot *from,
	      const struct cpu_shot *to)
{
	const struct cpu_task *task, *before;
	size_t i;

	memset(cost, 0, sizeof(*cost));
	for (i = 0; i < to->count; i++) {
		task = &to->tasks[i];
		before = find(from, task);
		cost->ns[task->kind] += task->ns - (before ? before->ns : 0);
		cost->turns[task->kind] +=
			task->turns - (before ? before->turns : 0);
	}
	for (i = 0; i < from->count; i++) {
		task = &from->tasks[i];
		if (task->kind <= CPU_KERNEL && !find(to, task))
			cost->gone++;
	}
}
