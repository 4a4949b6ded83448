// SPDX-License-Identifier: GPL-2.0-only
/* Description: the real system speaks in negative errno. */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"

TEST(the_table_has_no_hole)
{
	void *const *entries = (void *const *)&sys_real;
	size_t i;

	for (i = 0; i < sizeof(sys_real) / sizeof(void *); i++)
		EXPECT_NE(NULL, entries[i]);
	EXPECT_EQ(&sys_real, sys);
}

TEST(a_bad_descriptor_is_ebadf_everywhere)
{
	struct msghdr msg = { 0 };
	struct sockaddr addr = { .sa_family = AF_INET };
	socklen_t len = sizeof(int);
	int val = 0;

	EXPECT_EQ(-EBADF, sys->connect(-1, &addr, sizeof(addr)));
	EXPECT_EQ(-EBADF, sys->setsockopt(-1, SOL_SOCKET, SO_KEEPALIVE, &val,
					  len));
	EXPECT_EQ(-EBADF, sys->getsockopt(-1, SOL_SOCKET, SO_KEEPALIVE, &val,
					  &len));
	EXPECT_EQ(-EBADF, sys->shutdown(-1, SHUT_WR));
	EXPECT_EQ(-EBADF, sys->sendmsg(-1, &msg, 0));
	EXPECT_EQ(-EBADF, sys->send(-1, "x", 1, 0));
	EXPECT_EQ(-EBADF, sys->outq(-1));
	EXPECT_EQ(-EBADF, sys->close(-1));
	EXPECT_EQ(-EAFNOSUPPORT, sys->socket(-1, SOCK_STREAM, 0));
}

TEST(send_gives_the_count)
{
	int fds[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	EXPECT_EQ(5, sys->send(fds[0], "hello", 5, 0));
	EXPECT_EQ(0, sys->close(fds[0]));
	EXPECT_EQ(0, sys->close(fds[1]));
}

TEST(new_descriptors_are_closed_on_exec)
{
	int fds[2], fd;

	ASSERT_EQ(0, sys->pipe(fds));
	EXPECT_TRUE(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	EXPECT_TRUE(fcntl(fds[1], F_GETFD) & FD_CLOEXEC);
	fd = sys->eventfd();
	ASSERT_LE(0, fd);
	EXPECT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

TEST(mapped_memory_is_zeroed_and_left_out_of_core_dumps)
{
	unsigned long from, to;
	bool here = false, dd = false;
	char line[512];
	FILE *smaps;
	uint8_t *p;

	p = sys->map(8192);
	ASSERT_NE(NULL, p);
	EXPECT_EQ(0, p[0] | p[8191]);
	smaps = fopen("/proc/self/smaps", "r");
	ASSERT_NE(NULL, smaps);
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = from <= (uintptr_t)p && (uintptr_t)p < to;
		else if (here && !strncmp(line, "VmFlags:", 8))
			dd = strstr(line, " dd");
	}
	(void)fclose(smaps);
	EXPECT_TRUE(dd);
	sys->unmap(p, 8192);
}

TEST(memory_that_cannot_be_had_is_null)
{
	EXPECT_EQ(NULL, sys->map((size_t)1 << 62));
}

static sigset_t seen;
static int seen_fd;

static void *look_at_signals(void *arg)
{
	uint64_t one = 1;

	(void)arg;
	pthread_sigmask(SIG_SETMASK, NULL, &seen);
	if (write(seen_fd, &one, sizeof(one)) < 0)
		return NULL;
	return NULL;
}

TEST(a_thread_takes_no_signals_and_the_caller_keeps_its_own)
{
	sigset_t before, after;
	struct pollfd pfd;

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	seen_fd = sys->eventfd();
	ASSERT_LE(0, seen_fd);
	ASSERT_EQ(0, sys->thread(look_at_signals, NULL));
	pfd.fd = seen_fd;
	pfd.events = POLLIN;
	ASSERT_EQ(1, poll(&pfd, 1, 10000));
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	EXPECT_EQ(1, sigismember(&seen, SIGTERM));
	EXPECT_EQ(1, sigismember(&seen, SIGUSR1));
	EXPECT_EQ(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
	EXPECT_EQ(0, sigismember(&after, SIGUSR1));
}

TEST(clocks_go_on)
{
	uint64_t a = sys->now_us(), b = sys->now_us();

	EXPECT_LE(a, b);
	EXPECT_LT(0, a);
	EXPECT_LT(1600000000, sys->time_s());
}

TEST(a_completion_passes_unchanged)
{
	EXPECT_EQ(17, sys->completion(1, 17));
	EXPECT_EQ(-EPIPE, sys->completion(2, -EPIPE));
}

TEST(a_ring_that_is_too_large_is_an_error)
{
	struct io_uring_params params = { 0 };
	struct io_uring ring;

	EXPECT_GT(0, sys->ring_init(1u << 30, &ring, &params));
}

TEST_HARNESS_MAIN
