// SPDX-License-Identifier: GPL-2.0-only
/*
 * A relay as a descriptor: what its commands, read(), poll() and flags do, and
 * what it does not do. The bytes are relay_flow_test's affair.
 */
#include "kselftest_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kdev.h"
#include "kodd.h"
#include "krelay.h"

FIXTURE(relay_fd)
{
	struct krelay r;
	struct krelay_event ev;
};

FIXTURE_VARIANT(relay_fd)
{
	bool nobody;
	uint32_t flags;
};

FIXTURE_VARIANT_ADD(relay_fd, blocking) { .flags = 0 };
FIXTURE_VARIANT_ADD(relay_fd, nonblock) { .flags = KTCM_RELAY_NONBLOCK };
FIXTURE_VARIANT_ADD(relay_fd, nobody) { .nobody = true };

FIXTURE_SETUP(relay_fd)
{
	struct krelay_opts opts = { .flags = variant->flags };
	int err;

	if (variant->nobody)
		ASSERT_EQ(0, kdev_drop_privileges());
	err = krelay_new(&self->r, &opts);
	if (err == -ENXIO)
		SKIP(return, "no /dev/ktlsclient");
	if (err == -ENOENT)
		SKIP(return, "this kernel has no kTLS");
	ASSERT_EQ(0, err);
}

FIXTURE_TEARDOWN(relay_fd)
{
	krelay_free(&self->r);
}

/* What poll() says at once, all bits asked for. */
static int poll_now(int fd)
{
	struct pollfd p = {
		.fd = fd,
		.events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM,
	};

	return poll(&p, 1, 0) < 0 ? -errno : p.revents;
}

static int poll_for(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, KRELAY_WAIT_MS) < 0 ? -errno : p.revents;
}

static int set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags);
}

static int end_in_order(const struct krelay *r)
{
	int err = kpair_close_notify(r->remote);

	return !err && shutdown(r->local, SHUT_WR) ? -errno : err;
}

TEST_F(relay_fd, flags)
{
	int flags = fcntl(self->r.fd, F_GETFL);

	EXPECT_EQ(FD_CLOEXEC, fcntl(self->r.fd, F_GETFD));
	EXPECT_EQ(!!(variant->flags & KTCM_RELAY_NONBLOCK),
		  !!(flags & O_NONBLOCK));
}

TEST_F(relay_fd, an_ordinary_read_when_there_is_nothing)
{
	ASSERT_EQ(0, set_nonblock(self->r.fd, true));
	EXPECT_EQ(-1, read(self->r.fd, &self->ev, sizeof(self->ev)));
	EXPECT_EQ(EAGAIN, errno);
}

TEST_F(relay_fd, poll_tells_events_and_the_end)
{
	EXPECT_EQ(0, poll_now(self->r.fd));
	ASSERT_EQ(0, kpair_ticket(self->r.remote, 30, 1));
	EXPECT_EQ(POLLIN, poll_for(self->r.fd, POLLIN));
	ASSERT_EQ(0, krelay_next(self->r.fd, &self->ev));
	EXPECT_EQ(KTCM_EV_RECORD, self->ev.head.type);
	EXPECT_EQ(0, poll_now(self->r.fd));
	ASSERT_EQ(0, end_in_order(&self->r));
	/* the close_notify is no event; END is */
	EXPECT_EQ(POLLIN, poll_for(self->r.fd, POLLIN));
	EXPECT_FALSE(poll_now(self->r.fd) & (POLLHUP | POLLERR));
	ASSERT_EQ(0, krelay_next(self->r.fd, &self->ev));
	EXPECT_EQ(KTCM_EV_END, self->ev.head.type);
	EXPECT_TRUE(poll_now(self->r.fd) & POLLHUP);
	EXPECT_EQ(0, read(self->r.fd, &self->ev, sizeof(self->ev)));
	EXPECT_EQ(0, read(self->r.fd, &self->ev, sizeof(self->ev)));
	EXPECT_TRUE(poll_now(self->r.fd) & POLLHUP);
}

TEST_F(relay_fd, a_blocking_read_waits_for_the_end)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, set_nonblock(self->r.fd, false));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* when the parent is asleep in read() or has not come yet */
		_exit(end_in_order(&self->r) ? 1 : 0);
	}
	EXPECT_EQ(sizeof(self->ev.head),
		  read(self->r.fd, &self->ev, sizeof(self->ev)));
	EXPECT_EQ(KTCM_EV_END, self->ev.head.type);
	EXPECT_EQ(KTCM_END_DONE, self->ev.head.end);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

static void on_alarm(int sig)
{
	(void)sig;
}

TEST_F(relay_fd, a_signal_ends_a_blocking_read)
{
	const struct sigaction action = { .sa_handler = on_alarm };
	const struct itimerval soon = {
		.it_value.tv_usec = 50000, .it_interval.tv_usec = 50000,
	};

	ASSERT_EQ(0, set_nonblock(self->r.fd, false));
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &soon, NULL));
	EXPECT_EQ(-1, read(self->r.fd, &self->ev, sizeof(self->ev)));
	EXPECT_EQ(EINTR, errno);
}

/* A ring waits for the event, whether the descriptor blocks or not. */
TEST_F(relay_fd, a_ring_reads_an_event)
{
	struct __kernel_timespec limit = { .tv_sec = 15 };
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct io_uring ring;

	ASSERT_EQ(0, set_nonblock(self->r.fd, false));
	ASSERT_EQ(0, io_uring_queue_init(4, &ring, 0));
	sqe = io_uring_get_sqe(&ring);
	ASSERT_NE(NULL, sqe);
	io_uring_prep_read(sqe, self->r.fd, &self->ev, sizeof(self->ev), 0);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(-EAGAIN, io_uring_peek_cqe(&ring, &cqe));
	ASSERT_EQ(0, kpair_ticket(self->r.remote, 100, 3));
	ASSERT_EQ(0, io_uring_wait_cqe_timeout(&ring, &cqe, &limit));
	EXPECT_EQ((int)sizeof(self->ev.head) + 100, cqe->res);
	EXPECT_EQ(KTCM_EV_RECORD, self->ev.head.type);
	EXPECT_EQ(100, self->ev.head.len);
	io_uring_cqe_seen(&ring, cqe);
	io_uring_queue_exit(&ring);
}

TEST_F(relay_fd, a_ring_polls_the_end)
{
	struct __kernel_timespec limit = { .tv_sec = 15 };
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct io_uring ring;

	ASSERT_EQ(0, io_uring_queue_init(4, &ring, 0));
	sqe = io_uring_get_sqe(&ring);
	ASSERT_NE(NULL, sqe);
	io_uring_prep_poll_add(sqe, self->r.fd, POLLIN);
	ASSERT_EQ(1, io_uring_submit(&ring));
	ASSERT_EQ(0, end_in_order(&self->r));
	ASSERT_EQ(0, io_uring_wait_cqe_timeout(&ring, &cqe, &limit));
	EXPECT_TRUE(cqe->res & POLLIN);
	io_uring_cqe_seen(&ring, cqe);
	io_uring_queue_exit(&ring);
	ASSERT_EQ(0, krelay_next(self->r.fd, &self->ev));
	EXPECT_EQ(KTCM_EV_END, self->ev.head.type);
}

TEST_F(relay_fd, a_short_buffer_loses_nothing)
{
	const size_t sizes[] = {
		0, 1, sizeof(struct ktcm_event) - 1, sizeof(struct ktcm_event),
		sizeof(struct ktcm_event) + 99,
	};
	unsigned int i;

	ASSERT_EQ(0, kpair_ticket(self->r.remote, 100, 7));
	ASSERT_EQ(POLLIN, poll_for(self->r.fd, POLLIN));
	/* a read of 0 bytes is answered by nobody */
	for (i = 1; i < 5; i++) {
		EXPECT_EQ(-1, read(self->r.fd, &self->ev, sizes[i]));
		EXPECT_EQ(EMSGSIZE, errno);
	}
	EXPECT_EQ((ssize_t)sizeof(struct ktcm_event) + 100,
		  read(self->r.fd, &self->ev,
		       sizeof(struct ktcm_event) + 100));
	EXPECT_EQ(KTCM_EV_RECORD, self->ev.head.type);
	EXPECT_EQ(100, self->ev.head.len);
	EXPECT_EQ(22, self->ev.head.record_type);
	EXPECT_EQ(4, self->ev.record[0]);
	EXPECT_EQ((uint8_t)(7 + 99), self->ev.record[99]);
}

TEST_F(relay_fd, a_bad_buffer_loses_nothing)
{
	void *p = kodd_read_only(&self->ev, sizeof(self->ev.head));

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, kpair_ticket(self->r.remote, 100, 7));
	ASSERT_EQ(POLLIN, poll_for(self->r.fd, POLLIN));
	EXPECT_EQ(-1, read(self->r.fd, p, sizeof(self->ev.head) + 100));
	EXPECT_EQ(EFAULT, errno);
	kodd_uncut(p);
	ASSERT_EQ(0, krelay_next(self->r.fd, &self->ev));
	EXPECT_EQ(KTCM_EV_RECORD, self->ev.head.type);
	EXPECT_EQ(100, self->ev.head.len);
}

TEST_F(relay_fd, what_it_does_not_do)
{
	char byte = 0;

	EXPECT_EQ(-1, write(self->r.fd, &byte, 1));
	EXPECT_EQ(-1, ftruncate(self->r.fd, 0));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED,
				   self->r.fd, 0));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_PRIVATE,
				   self->r.fd, 0));
	EXPECT_EQ(-1, send(self->r.fd, &byte, 1, 0));
	EXPECT_EQ(ENOTSOCK, errno);
}

TEST_F(relay_fd, unknown_commands_are_enotty)
{
	const unsigned long cmds[] = {
		KTCM_IOC_INFO, KTCM_IOC_ATTACH, KTCM_IOC_RELAY,
		_IOR(KTCM_IOC_MAGIC, 16, char[sizeof(struct ktcm_status) - 8]),
		_IOR(KTCM_IOC_MAGIC, 16, char[sizeof(struct ktcm_status) + 8]),
		_IOWR(KTCM_IOC_MAGIC, 16, struct ktcm_status),
		_IOW(KTCM_IOC_MAGIC, 17, int), _IOW(KTCM_IOC_MAGIC, 18, int),
		_IO(KTCM_IOC_MAGIC, 19), _IO(KTCM_IOC_MAGIC ^ 1, 17),
		0x5401,		/* TCGETS */
	};
	uint64_t room[64] = { KTCM_ABI };
	unsigned int i;

	for (i = 0; i < sizeof(cmds) / sizeof(cmds[0]); i++) {
		EXPECT_EQ(-1, ioctl(self->r.fd, cmds[i], room))
		{
			TH_LOG("command %#lx", cmds[i]);
		}
		EXPECT_EQ(ENOTTY, errno);
	}
	EXPECT_EQ(-EOPNOTSUPP, kdev_cmd(self->r.fd, KDEV_URING,
					KTCM_IOC_INFO, room));
}

TEST_F(relay_fd, status_where_it_cannot_be_written)
{
	struct ktcm_status status = { .end = 77 };
	void *p;

	EXPECT_EQ(-1, ioctl(self->r.fd, KTCM_IOC_STATUS, NULL));
	EXPECT_EQ(EFAULT, errno);
	p = kodd_read_only(&status, sizeof(status));
	EXPECT_EQ(-1, ioctl(self->r.fd, KTCM_IOC_STATUS, p));
	EXPECT_EQ(EFAULT, errno);
	kodd_uncut(p);
	p = kodd_cut(&status, sizeof(status) - 1);
	EXPECT_EQ(-1, ioctl(self->r.fd, KTCM_IOC_STATUS, p));
	EXPECT_EQ(EFAULT, errno);
	kodd_uncut(p);
}

TEST_F(relay_fd, status_of_a_new_relay)
{
	const struct ktcm_status fresh = { .open = 3 };
	struct ktcm_status status;

	memset(&status, 0xff, sizeof(status));
	ASSERT_EQ(0, krelay_status(self->r.fd, &status));
	EXPECT_EQ(0, memcmp(&fresh, &status, sizeof(status)));
}

TEST_F(relay_fd, resume_without_a_pause_is_einval)
{
	struct ktcm_event end;

	EXPECT_EQ(-1, ioctl(self->r.fd, KTCM_IOC_RESUME));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, end_in_order(&self->r));
	ASSERT_EQ(0, krelay_end(self->r.fd, &end));
	EXPECT_EQ(-1, ioctl(self->r.fd, KTCM_IOC_RESUME));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(relay_fd, stop_as_often_as_one_likes)
{
	struct ktcm_status status;
	struct ktcm_event end;

	EXPECT_EQ(0, ioctl(self->r.fd, KTCM_IOC_STOP));
	EXPECT_EQ(0, ioctl(self->r.fd, KTCM_IOC_STOP));
	ASSERT_EQ(0, krelay_end(self->r.fd, &end));
	EXPECT_EQ(KTCM_END_STOPPED, end.end);
	EXPECT_EQ(0, end.error);
	EXPECT_EQ(0, ioctl(self->r.fd, KTCM_IOC_STOP));
	ASSERT_EQ(0, krelay_status(self->r.fd, &status));
	EXPECT_EQ(KTCM_END_STOPPED, status.end);
}

TEST_F(relay_fd, stop_after_the_end_changes_nothing)
{
	struct ktcm_event end;

	ASSERT_EQ(0, end_in_order(&self->r));
	ASSERT_EQ(POLLIN, poll_for(self->r.fd, POLLIN));
	EXPECT_EQ(0, ioctl(self->r.fd, KTCM_IOC_STOP));
	ASSERT_EQ(0, krelay_end(self->r.fd, &end));
	EXPECT_EQ(KTCM_END_DONE, end.end);
}

/* An ended relay that is still open has its sockets given back. */
TEST_F(relay_fd, after_the_end_the_sockets_are_free)
{
	struct ktcm_event end;
	char buf[4];

	ASSERT_EQ(0, ioctl(self->r.fd, KTCM_IOC_STOP));
	ASSERT_EQ(0, krelay_end(self->r.fd, &end));
	ASSERT_EQ(0, kpair_write_all(self->r.remote, "ping", 4));
	EXPECT_EQ(0, kpair_read_all(self->r.tls, buf, 4));
	ASSERT_EQ(0, kpair_write_all(self->r.local, "pong", 4));
	EXPECT_EQ(0, kpair_read_all(self->r.plain, buf, 4));
}

TEST_HARNESS_MAIN
