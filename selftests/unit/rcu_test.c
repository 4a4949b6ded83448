// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: liburcu's thread is there before it is needed and takes no
 * signal of the program's; what is deferred is done, in order.
 */
#include "rcu.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "flush.h"
#include "util.h"

#include "kselftest_harness.h"

/* The signals that a thread blocks, bit n - 1 for signal n; 0: unknown. */
static unsigned long long blocked_by(const char *tid)
{
	unsigned long long mask = 0;
	char path[300], line[200];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%s/status", tid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "SigBlk: %llx", &mask) == 1)
			break;
	if (file)
		(void)fclose(file);
	return mask;
}

TEST(its_thread_blocks_the_programs_signals)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGTERM, SIGCHLD,
				       SIGALRM, SIGUSR1, SIGUSR2, SIGPIPE };
	unsigned int threads = 0, i;
	struct dirent *entry;
	sigset_t now;
	DIR *dir;

	rcu_start();
	rcu_start();	/* one is enough */
	dir = opendir("/proc/self/task");
	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir))) {
		unsigned long long mask;

		if (entry->d_name[0] == '.' || atoi(entry->d_name) == getpid())
			continue;
		threads++;
		mask = blocked_by(entry->d_name);
		for (i = 0; i < ARRAY_SIZE(signals); i++)
			EXPECT_TRUE(mask >> (signals[i] - 1) & 1);
	}
	ASSERT_EQ(0, closedir(dir));
#ifndef RCU_TSAN	/* which has a thread of its own */
	EXPECT_EQ(1, threads);
#endif
	/* and our own mask is as it was */
	ASSERT_EQ(0, sigprocmask(SIG_SETMASK, NULL, &now));
	EXPECT_EQ(0, sigismember(&now, SIGTERM));
}

struct thing {
	struct rcu_head rcu;
	unsigned int turn;	/* in which it was done */
};

static unsigned int turns;

static void done(struct rcu_head *head)
{
	rcu_deferred(head);
	container_of(head, struct thing, rcu)->turn = ++turns;
}

TEST(what_is_deferred_is_done_in_order)
{
	struct thing thing[3] = { 0 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(thing); i++)
		rcu_defer(&thing[i].rcu, done);
	rcu_flush();
	for (i = 0; i < ARRAY_SIZE(thing); i++)
		EXPECT_EQ(i + 1, thing[i].turn);
}

TEST_HARNESS_MAIN
