// SPDX-License-Identifier: GPL-2.0-only
/*
 * Do messages arrive whole, with their descriptors, and does nothing that is
 * no message get through, or leave a descriptor behind?
 */
#include "wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "kselftest_harness.h"

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

FIXTURE(wire)
{
	int fds[2];
	struct wire_message got;
	unsigned int fds_before;
};

FIXTURE_SETUP(wire)
{
	const struct timeval patience = { .tv_usec = 100000 };

	memset(&self->got, 0, sizeof(self->got));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				self->fds));
	ASSERT_EQ(0, setsockopt(self->fds[1], SOL_SOCKET, SO_RCVTIMEO,
				&patience, sizeof(patience)));
	self->fds_before = count_fds();
}

FIXTURE_TEARDOWN(wire)
{
	wire_message_fini(&self->got);
	EXPECT_EQ(self->fds_before, count_fds());
	close(self->fds[0]);
	close(self->fds[1]);
}

TEST_F(wire, a_message_arrives)
{
	ASSERT_EQ(0, wire_send(self->fds[0], WIRE_ADOPTED, 77, "abc", 3, NULL,
			       0));
	ASSERT_EQ(0, wire_recv(self->fds[1], &self->got));
	EXPECT_EQ(WIRE_ADOPTED, self->got.type);
	EXPECT_EQ(77, self->got.id);
	ASSERT_EQ(3, self->got.len);
	EXPECT_EQ(0, memcmp("abc", self->got.data, 3));
	EXPECT_EQ(0, self->got.nr_fds);
}

TEST_F(wire, messages_do_not_run_together)
{
	unsigned int i;
	int fd = self->fds[0];

	for (i = 0; i < 20; i++)
		ASSERT_EQ(0, wire_send(self->fds[0], WIRE_CONN, i, "abcdef",
				       i % 7, &fd, i % 2));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, wire_recv(self->fds[1], &self->got));
		EXPECT_EQ(i, self->got.id);
		EXPECT_EQ(i % 7, self->got.len);
		EXPECT_EQ(i % 2, self->got.nr_fds);
		wire_message_fini(&self->got);
	}
	EXPECT_EQ(-EAGAIN, wire_recv(self->fds[1], &self->got));
}

TEST_F(wire, descriptors_arrive_and_are_closed_by_nobody_else)
{
	int fds[WIRE_FDS_MAX], ends[2];
	unsigned int i;
	char c = 0;

	ASSERT_EQ(0, pipe(ends));
	for (i = 0; i < WIRE_FDS_MAX; i++)
		fds[i] = ends[1];
	ASSERT_EQ(0, wire_send(self->fds[0], WIRE_PLACE, 0, "x", 1, fds,
			       WIRE_FDS_MAX));
	close(ends[1]);
	ASSERT_EQ(0, wire_recv(self->fds[1], &self->got));
	ASSERT_EQ(WIRE_FDS_MAX, self->got.nr_fds);
	for (i = 0; i < WIRE_FDS_MAX; i++) {
		EXPECT_EQ(FD_CLOEXEC, fcntl(self->got.fds[i], F_GETFD));
		EXPECT_EQ(1, write(self->got.fds[i], "y", 1));
		EXPECT_EQ(1, read(ends[0], &c, 1));
	}
	close(self->got.fds[3]);
	self->got.fds[3] = -1; /* taken */
	wire_message_fini(&self->got);
	/* all ends are closed */
	EXPECT_EQ(0, read(ends[0], &c, 1));
	close(ends[0]);
}

struct sender {
	int fd;
	const void *data;
	size_t len;
	int err;
};

static void *send_it(void *arg)
{
	struct sender *sender = arg;

	sender->err = wire_send(sender->fd, WIRE_SESSIONS, 1, sender->data,
				sender->len, NULL, 0);
	return NULL;
}

TEST_F(wire, a_large_one_arrives)
{
	struct sender sender = { .fd = self->fds[0], .len = 3000000 };
	uint8_t *data = malloc(sender.len);
	pthread_t thread;

	ASSERT_NE(NULL, data);
	memset(data, 'z', sender.len);
	sender.data = data;
	ASSERT_EQ(0, pthread_create(&thread, NULL, send_it, &sender));
	EXPECT_EQ(0, wire_recv(self->fds[1], &self->got));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, sender.err);
	ASSERT_EQ(sender.len, self->got.len);
	EXPECT_EQ(0, memcmp(data, self->got.data, sender.len));
	free(data);
}

TEST_F(wire, what_is_too_large_is_not_sent)
{
	EXPECT_EQ(-EMSGSIZE, wire_send(self->fds[0], WIRE_CONN, 0, "",
				       WIRE_LEN_MAX + 1, NULL, 0));
	EXPECT_EQ(-EMSGSIZE, wire_send(self->fds[0], WIRE_PLACE, 0, "", 0,
				       self->fds, WIRE_FDS_MAX + 1));
}

TEST_F(wire, the_end_is_told)
{
	shutdown(self->fds[0], SHUT_WR);
	EXPECT_EQ(-EPIPE, wire_recv(self->fds[1], &self->got));
}

TEST_F(wire, an_end_in_the_middle_is_told)
{
	uint8_t head[16];

	ASSERT_EQ(0, wire_send(self->fds[0], WIRE_CONN, 0, NULL, 0, NULL, 0));
	ASSERT_EQ(16, read(self->fds[1], head, 16));
	head[12] = 6;
	ASSERT_EQ(16, write(self->fds[0], head, 16));
	ASSERT_EQ(3, write(self->fds[0], "abc", 3));
	EXPECT_EQ(-EAGAIN, wire_recv(self->fds[1], &self->got));
	ASSERT_EQ(10, write(self->fds[0], head, 10));
	shutdown(self->fds[0], SHUT_WR);
	EXPECT_EQ(-EPIPE, wire_recv(self->fds[1], &self->got));
}

/* Each byte of a head, with every bit turned over, but those of the id. */
TEST_F(wire, what_is_no_message_is_refused)
{
	int fd = self->fds[0];
	uint8_t head[16], bad[16];
	unsigned int byte, bit;

	ASSERT_EQ(0, wire_send(self->fds[0], WIRE_CONN, 0, NULL, 0, NULL, 0));
	ASSERT_EQ(16, read(self->fds[1], head, 16));
	for (byte = 0; byte < 8; byte++) {
		for (bit = 0; bit < 8; bit++) {
			memcpy(bad, head, sizeof(bad));
			bad[byte] ^= 1 << bit;
			if (byte == 6 && bad[6] > 0 && bad[6] < WIRE_NR)
				continue; /* another message */
			ASSERT_EQ(16, write(fd, bad, 16));
			EXPECT_EQ(-EPROTO, wire_recv(self->fds[1], &self->got));
		}
	}
	memset(head + 12, 0xff, 4); /* 4 GiB */
	ASSERT_EQ(16, write(fd, head, 16));
	EXPECT_EQ(-EPROTO, wire_recv(self->fds[1], &self->got));
}

TEST_F(wire, more_descriptors_than_may_be_are_refused_and_closed)
{
	union {
		char buf[CMSG_SPACE((WIRE_FDS_MAX + 1) * sizeof(int))];
		struct cmsghdr align;
	} rights = { 0 };
	uint8_t head[16];
	struct iovec iov = { .iov_base = head, .iov_len = sizeof(head) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = rights.buf,
		.msg_controllen = sizeof(rights.buf),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	unsigned int i;

	ASSERT_EQ(0, wire_send(self->fds[0], WIRE_PLACE, 0, NULL, 0, NULL, 0));
	ASSERT_EQ(16, read(self->fds[1], head, 16));
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN((WIRE_FDS_MAX + 1) * sizeof(int));
	for (i = 0; i <= WIRE_FDS_MAX; i++)
		memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &self->fds[0],
		       sizeof(int));
	ASSERT_EQ(16, sendmsg(self->fds[0], &msg, 0));
	EXPECT_EQ(-EPROTO, wire_recv(self->fds[1], &self->got));
}

TEST_HARNESS_MAIN
