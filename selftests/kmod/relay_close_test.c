// SPDX-License-Identifier: GPL-2.0-only
/*
 * A relay that is closed, at any moment and by any way a descriptor closes,
 * loses nothing: the test moves the rest itself by the sockets it has kept,
 * and every byte arrives once, in its place. Moments are seeded; KTC_RELAY_SEED
 * is the first seed (1).
 */
#include "kselftest_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kdev.h"
#include "kflow.h"
#include "krelay.h"

#define TIMEOUT_S 280
#define ROUNDS 16
#define QUIET_MS 300

FIXTURE(closed)
{
	struct krelay_opts opts;
	struct krelay r;
	struct kflow flow;
	struct kflow_end remote, local;
	uint64_t seed;
	uint64_t close_at;	/* bytes received in both directions together */
	struct ktcm_info before;
};

FIXTURE_VARIANT(closed)
{
	uint16_t version;
	uint16_t cipher;
	bool unix_plain;
	int buf_len;
	uint64_t close_max;	/* of close_at */
};

FIXTURE_VARIANT_ADD(closed, tls13_tcp)
{
	.version = TLS_1_3_VERSION, .cipher = TLS_CIPHER_AES_GCM_128,
	.close_max = 500000,
};

FIXTURE_VARIANT_ADD(closed, tls13_unix)
{
	.version = TLS_1_3_VERSION, .cipher = TLS_CIPHER_CHACHA20_POLY1305,
	.unix_plain = true, .close_max = 500000,
};

FIXTURE_VARIANT_ADD(closed, tls12_tcp)
{
	.version = TLS_1_2_VERSION, .cipher = TLS_CIPHER_AES_GCM_256,
	.close_max = 500000,
};

/*
 * Small queues: something is always held when the relay is closed. TCP is slow
 * with these: it waits for acknowledgements.
 */
FIXTURE_VARIANT_ADD(closed, tls13_tcp_small)
{
	.version = TLS_1_3_VERSION, .cipher = TLS_CIPHER_AES_GCM_128,
	.buf_len = 16384, .close_max = 60000,
};

FIXTURE_VARIANT_ADD(closed, tls12_unix_small)
{
	.version = TLS_1_2_VERSION, .cipher = TLS_CIPHER_AES_GCM_128,
	.unix_plain = true, .buf_len = 16384, .close_max = 60000,
};

FIXTURE_SETUP(closed)
{
	const char *seed = getenv("KTC_RELAY_SEED");
	int err;

	self->seed = seed ? strtoull(seed, NULL, 10) : 1;
	TH_LOG("seed %llu", (unsigned long long)self->seed);
	self->opts = (struct krelay_opts){
		.version = variant->version,
		.cipher = variant->cipher,
		.unix_plain = variant->unix_plain,
		.buf_len = variant->buf_len,
	};
	err = krelay_sockets(&self->r, &self->opts);
	if (err == -ENXIO)
		SKIP(return, "no /dev/ktlsclient");
	if (err == -ENOENT)
		SKIP(return, "this kernel has no kTLS with this suite");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, kdev_info(self->r.dev, &self->before));
}

FIXTURE_TEARDOWN(closed)
{
	krelay_free(&self->r);
}

static bool at_the_moment(void *arg)
{
	const struct _test_data_closed *self = arg;

	return self->remote.received + self->local.received >= self->close_at;
}

/* New sockets, a relay, and traffic that is far from its end. */
static int begin(struct _test_data_closed *self)
{
	int err;

	krelay_free(&self->r);
	err = krelay_new(&self->r, &self->opts);
	kflow_init(&self->flow, &self->remote, self->r.remote, true,
		   &self->local, self->r.local, false, 64 << 20);
	self->flow.seed = kflow_random(&self->seed, 1u << 30);
	return err;
}

/*
 * The relay is gone: the owner carries the rest from one socket to the other,
 * in another process, so that the ends outside can be served meanwhile.
 */
static void carry(int from, bool from_tls, int to, bool to_tls)
{
	uint8_t buf[16384], type = KPAIR_DATA;
	ssize_t n;

	for (;;) {
		n = from_tls ? kpair_recv(from, &type, buf, sizeof(buf), 0) :
			       recv(from, buf, sizeof(buf), 0);
		if (n < 0)
			_exit(2);
		if (!n || type != KPAIR_DATA)
			break;
		if (kpair_write_all(to, buf, (size_t)n))
			_exit(3);
	}
	if (to_tls ? kpair_close_notify(to) : shutdown(to, SHUT_WR))
		_exit(4);
	_exit(0);
}

/* Ends both streams where their senders stand. */
static void stop_sending(struct _test_data_closed *self)
{
	self->remote.send_len = self->remote.sent;
	self->local.recv_len = self->remote.sent;
	self->local.send_len = self->local.sent;
	self->remote.recv_len = self->local.sent;
	self->remote.finish = self->local.finish = true;
	self->remote.want_eof = self->local.want_eof = true;
}

static pid_t carrier(const struct krelay *r, bool down)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (down)
		carry(r->tls, true, r->plain, false);
	carry(r->plain, false, r->tls, true);
	_exit(1);
}

static bool ended_well(pid_t pid)
{
	int status;

	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

/* Everything arrives, by the sockets that were the relay's. */
static bool rest_arrives(struct _test_data_closed *self)
{
	pid_t down = carrier(&self->r, true), up = carrier(&self->r, false);
	bool ok;

	stop_sending(self);
	ok = !kflow_run(&self->flow) &&
	     self->local.received == self->remote.sent &&
	     self->remote.received == self->local.sent;
	if (!ok) {
		fprintf(stderr,
			"down %llu of %llu, up %llu of %llu, errors %d %d%s\n",
			(unsigned long long)self->local.received,
			(unsigned long long)self->remote.sent,
			(unsigned long long)self->remote.received,
			(unsigned long long)self->local.sent,
			self->local.err, self->remote.err,
			self->local.mismatch || self->remote.mismatch ?
				", other bytes" : "");
		kill(down, SIGKILL);
		kill(up, SIGKILL);
	}
	ok = ended_well(down) && ok;
	return ended_well(up) && ok;
}

#define EXPECT_NOTHING_LOST() \
	do { \
		struct ktcm_info now; \
		ASSERT_EQ(0, kdev_info(self->r.dev, &now)); \
		EXPECT_EQ(self->before.lost_bytes, now.lost_bytes); \
		EXPECT_EQ(self->before.relays, now.relays); \
	} while (0)

TEST_F_TIMEOUT(closed, at_random_moments, TIMEOUT_S)
{
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, begin(self));
		self->close_at = kflow_random(&self->seed, variant->close_max);
		ASSERT_EQ(0, kflow_run_until(&self->flow, at_the_moment, self));
		krelay_shut(&self->r.fd);
		ASSERT_TRUE(rest_arrives(self))
		{
			TH_LOG("round %u, closed at %llu", i,
			       (unsigned long long)self->close_at);
		}
	}
	EXPECT_NOTHING_LOST();
}

/* Nobody reads: every queue is full, and what is held must go in on top. */
TEST_F_TIMEOUT(closed, with_full_queues, TIMEOUT_S)
{
	struct ktcm_status status;
	unsigned int i;

	for (i = 1; i < 4; i++) {
		ASSERT_EQ(0, begin(self));
		/* the one reader, the other, both */
		self->remote.deaf = i & 1;
		self->local.deaf = i & 2;
		if (!self->remote.deaf)
			self->local.send_len = self->remote.recv_len = 50000;
		if (!self->local.deaf)
			self->remote.send_len = self->local.recv_len = 50000;
		self->flow.idle_ms = QUIET_MS;
		ASSERT_EQ(-ETIMEDOUT, kflow_run(&self->flow));
		ASSERT_EQ(0, krelay_status(self->r.fd, &status));
		/* TCP with small queues is so slow that it looks full before */
		if (!variant->buf_len)
			EXPECT_LT(0, status.held[KTCM_DOWN] +
				     status.held[KTCM_UP]);
		krelay_shut(&self->r.fd);
		self->flow.idle_ms = 0;
		self->remote.deaf = self->local.deaf = false;
		ASSERT_TRUE(rest_arrives(self))
		{
			TH_LOG("round %u", i);
		}
	}
	EXPECT_NOTHING_LOST();
}

/* Begun again and again on the same sockets, in the middle of the traffic. */
TEST_F_TIMEOUT(closed, and_begun_again, TIMEOUT_S)
{
	unsigned int i;

	ASSERT_EQ(0, begin(self));
	self->close_at = 0;
	for (i = 0; i < ROUNDS; i++) {
		self->close_at += kflow_random(&self->seed,
					       variant->close_max / 8);
		ASSERT_EQ(0, kflow_run_until(&self->flow, at_the_moment, self));
		krelay_shut(&self->r.fd);
		ASSERT_EQ(0, krelay_start(&self->r, &self->opts));
	}
	krelay_shut(&self->r.fd);
	EXPECT_TRUE(rest_arrives(self));
	EXPECT_NOTHING_LOST();
}

/* Sends a descriptor to whoever has the other end; it is still open here. */
static int pass_fd(int to, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = {
		.cmsg_len = CMSG_LEN(sizeof(int)),
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	} };
	struct iovec iov = { "x", 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	return sendmsg(to, &msg, 0) == 1 ? 0 : -errno;
}

static int take_fd(int from)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(from, &msg, MSG_CMSG_CLOEXEC) != 1 ||
	    !CMSG_FIRSTHDR(&msg))
		return -1;
	memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	return fd;
}

/* Another process gets the relay, is asked to close it, and says so. */
static void receiver(int channel)
{
	char byte;
	int fd = take_fd(channel);

	if (fd < 0 || recv(channel, &byte, 1, 0) != 1)
		_exit(1);
	close(fd);
	_exit(send(channel, "c", 1, 0) == 1 ? 0 : 1);
}

TEST_F_TIMEOUT(closed, by_another_process_that_was_given_it, TIMEOUT_S)
{
	int channel[2];
	char byte;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		krelay_free(&self->r);
		close(channel[0]);
		receiver(channel[1]);
	}
	close(channel[1]);
	ASSERT_EQ(0, begin(self));
	ASSERT_EQ(0, pass_fd(channel[0], self->r.fd));
	krelay_shut(&self->r.fd);
	/* it runs on: the other process has it */
	self->close_at = variant->close_max / 2;
	ASSERT_EQ(0, kflow_run_until(&self->flow, at_the_moment, self));
	ASSERT_EQ(1, send(channel[0], "x", 1, 0));
	EXPECT_EQ(1, recv(channel[0], &byte, 1, 0));
	EXPECT_TRUE(rest_arrives(self));
	EXPECT_TRUE(ended_well(pid));
	close(channel[0]);
	EXPECT_NOTHING_LOST();
}

/* On its way in a message that nobody takes, when the channel is closed. */
TEST_F_TIMEOUT(closed, on_its_way_to_nobody, TIMEOUT_S)
{
	int channel[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
	ASSERT_EQ(0, begin(self));
	ASSERT_EQ(0, pass_fd(channel[0], self->r.fd));
	krelay_shut(&self->r.fd);
	self->close_at = variant->close_max / 2;
	ASSERT_EQ(0, kflow_run_until(&self->flow, at_the_moment, self));
	close(channel[0]);
	close(channel[1]);
	EXPECT_TRUE(rest_arrives(self));
	EXPECT_NOTHING_LOST();
}

/*
 * A process that begins a relay, says so, and is killed while it runs; its
 * parent has the sockets.
 */
static pid_t holder(struct _test_data_closed *self, int channel)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (krelay_start(&self->r, &self->opts) ||
	    send(channel, "r", 1, 0) != 1)
		_exit(1);
	for (;;)
		pause();
}

TEST_F_TIMEOUT(closed, by_the_death_of_its_process, TIMEOUT_S)
{
	unsigned int i;
	int status;
	pid_t pid;

	for (i = 0; i < ROUNDS; i++) {
		int channel[2];
		char byte;

		ASSERT_EQ(0, begin(self));
		krelay_shut(&self->r.fd);
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
		pid = holder(self, channel[1]);
		ASSERT_LT(0, pid);
		close(channel[1]);
		ASSERT_EQ(1, recv(channel[0], &byte, 1, 0));
		close(channel[0]);
		self->close_at = kflow_random(&self->seed, variant->close_max);
		ASSERT_EQ(0, kflow_run_until(&self->flow, at_the_moment, self));
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(SIGKILL, WTERMSIG(status));
		ASSERT_TRUE(rest_arrives(self))
		{
			TH_LOG("round %u, killed at %llu", i,
			       (unsigned long long)self->close_at);
		}
	}
	EXPECT_NOTHING_LOST();
}

/* One relay in two processes: the first close is none. */
TEST_F_TIMEOUT(closed, by_the_last_of_two_processes, TIMEOUT_S)
{
	pid_t pid;

	ASSERT_EQ(0, begin(self));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(self->r.fd);
		_exit(0);
	}
	ASSERT_TRUE(ended_well(pid));
	self->close_at = variant->close_max / 2;
	ASSERT_EQ(0, kflow_run_until(&self->flow, at_the_moment, self));
	krelay_shut(&self->r.fd);
	EXPECT_TRUE(rest_arrives(self));
	EXPECT_NOTHING_LOST();
}

/* exec() closes it: the program that is run does not even know. */
TEST_F_TIMEOUT(closed, by_exec, TIMEOUT_S)
{
	int channel[2];
	char byte;
	pid_t pid;

	ASSERT_EQ(0, begin(self));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				channel));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		dup2(channel[1], STDIN_FILENO);
		dup2(channel[1], STDOUT_FILENO);
		execlp("cat", "cat", NULL);
		_exit(127);
	}
	close(channel[1]);
	krelay_shut(&self->r.fd);
	/* when it answers, exec() has been */
	ASSERT_EQ(1, send(channel[0], "x", 1, 0));
	ASSERT_EQ(1, recv(channel[0], &byte, 1, 0));
	EXPECT_EQ('x', byte);
	EXPECT_NOTHING_LOST();
	EXPECT_TRUE(rest_arrives(self));
	shutdown(channel[0], SHUT_WR);
	EXPECT_TRUE(ended_well(pid));
	close(channel[0]);
}

/* All descriptors at once, relay and sockets: nothing to carry on with. */
TEST_F_TIMEOUT(closed, together_with_its_sockets, TIMEOUT_S)
{
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, begin(self));
		self->close_at = kflow_random(&self->seed, variant->close_max);
		ASSERT_EQ(0, kflow_run_until(&self->flow, at_the_moment, self));
		krelay_shut(&self->r.tls);
		krelay_shut(&self->r.plain);
		if (i % 3 == 0)
			krelay_shut(&self->r.remote);
		if (i % 3 == 1)
			krelay_shut(&self->r.local);
		krelay_shut(&self->r.fd);
	}
	krelay_free(&self->r);
	self->r.dev = kdev_open();
	EXPECT_NOTHING_LOST();
}

TEST_HARNESS_MAIN
