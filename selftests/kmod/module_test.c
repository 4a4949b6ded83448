// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading and unloading: refused while anything of the module is in use, clean
 * when nothing is, again and again under programs that come and go. Needs root
 * and the module's file, KTC_TEST_MODULE=path. It leaves the module loaded.
 * That the kernel's log stays clean is for the guest's runner to see.
 */
#include "kselftest_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kdev.h"
#include "kflow.h"
#include "krelay.h"

#define TIMEOUT_S 120
#define ROUNDS 30
#define USERS 2
#define GONE_TRIES 100000	/* of unloading while a file is being closed */

static int load(const char *params)
{
	const char *ko = getenv("KTC_TEST_MODULE");
	int fd, err;

	if (!ko)
		return -ENOENT;
	fd = open(ko, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = syscall(SYS_finit_module, fd, params, 0) ? -errno : 0;
	close(fd);
	return err;
}

static int unload(void)
{
	return syscall(SYS_delete_module, "ktlsclient", O_NONBLOCK) ? -errno :
								      0;
}

/*
 * After the last user: closing a file returns before its module is let go of,
 * so this may have to be tried again, but not for long.
 */
static int unload_soon(void)
{
	int err = -EWOULDBLOCK, tries;

	for (tries = 0; err == -EWOULDBLOCK && tries < GONE_TRIES; tries++) {
		err = unload();
		if (err)
			sched_yield();
	}
	return err;
}

FIXTURE(module)
{
	struct krelay r;
};

FIXTURE_SETUP(module)
{
	int err;

	self->r = (struct krelay){ -1, -1, -1, -1, -1, -1 };
	if (geteuid())
		SKIP(return, "needs root");
	if (!getenv("KTC_TEST_MODULE"))
		SKIP(return, "KTC_TEST_MODULE does not name the module's file");
	err = load("");
	ASSERT_TRUE(!err || err == -EEXIST)
	{
		TH_LOG("loading: %d", err);
	}
}

FIXTURE_TEARDOWN(module)
{
	krelay_free(&self->r);
	/* for whoever comes next */
	if (!geteuid() && getenv("KTC_TEST_MODULE"))
		(void)load("");
}

static bool passes(int from, int to)
{
	char buf[4];

	return !kpair_write_all(from, "ping", 4) &&
	       !kpair_read_all(to, buf, 4) && !memcmp(buf, "ping", 4);
}

static int new_relay(struct krelay *r)
{
	const struct krelay_opts opts = { 0 };

	return krelay_new(r, &opts);
}

TEST_F(module, comes_and_goes)
{
	int i;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, unload_soon());
		EXPECT_EQ(-ENOENT, unload());
		EXPECT_EQ(-ENOENT, kdev_open());
		ASSERT_EQ(0, load(""));
		EXPECT_EQ(-EEXIST, load(""));
	}
}

TEST_F(module, starts_with_counters_at_zero)
{
	struct ktcm_info info;
	uint64_t sum;
	int dev, i;

	ASSERT_EQ(0, unload_soon());
	ASSERT_EQ(0, load(""));
	dev = kdev_open();
	ASSERT_LE(0, dev);
	ASSERT_EQ(0, kdev_info(dev, &info));
	sum = info.attaches + info.attaches_failed + info.relays +
	      info.relays_total + info.relays_refused + info.bytes[0] +
	      info.bytes[1] + info.records + info.records_dropped +
	      info.lost_bytes;
	for (i = 0; i < 8; i++)
		sum += info.ends[i];
	EXPECT_EQ(0, sum);
	close(dev);
}

TEST_F(module, stays_while_the_device_is_open)
{
	struct ktcm_info info;

	self->r.dev = kdev_open();
	ASSERT_LE(0, self->r.dev);
	EXPECT_EQ(-EWOULDBLOCK, unload());
	EXPECT_EQ(0, kdev_info(self->r.dev, &info));
	krelay_shut(&self->r.dev);
	EXPECT_EQ(0, unload_soon());
}

TEST_F(module, stays_while_a_relay_lives)
{
	ASSERT_EQ(0, new_relay(&self->r));
	krelay_shut(&self->r.dev);
	EXPECT_EQ(-EWOULDBLOCK, unload());
	EXPECT_TRUE(passes(self->r.remote, self->r.local));
	EXPECT_TRUE(passes(self->r.local, self->r.remote));
	EXPECT_EQ(-EWOULDBLOCK, unload());
	krelay_shut(&self->r.fd);
	EXPECT_EQ(0, unload_soon());
	/* the sockets are there, and the module is not */
	EXPECT_TRUE(passes(self->r.remote, self->r.tls));
	EXPECT_TRUE(passes(self->r.plain, self->r.local));
}

TEST_F(module, stays_while_an_ended_relay_is_open)
{
	struct ktcm_event end;

	ASSERT_EQ(0, new_relay(&self->r));
	krelay_shut(&self->r.dev);
	ASSERT_EQ(0, ioctl(self->r.fd, KTCM_IOC_STOP));
	ASSERT_EQ(0, krelay_end(self->r.fd, &end));
	EXPECT_EQ(-EWOULDBLOCK, unload());
	krelay_shut(&self->r.fd);
	EXPECT_EQ(0, unload_soon());
}

TEST_F(module, stays_while_a_relay_is_on_its_way_to_another_process)
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
	int channel[2];

	ASSERT_EQ(0, new_relay(&self->r));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
	memcpy(CMSG_DATA(&control.head), &self->r.fd, sizeof(int));
	ASSERT_EQ(1, sendmsg(channel[0], &msg, 0));
	krelay_shut(&self->r.fd);
	krelay_shut(&self->r.dev);
	EXPECT_EQ(-EWOULDBLOCK, unload());
	EXPECT_TRUE(passes(self->r.remote, self->r.local));
	close(channel[0]);
	close(channel[1]);
	EXPECT_EQ(0, unload_soon());
}

/* A socket that was attached by the module does not need it any more. */
TEST_F(module, may_go_when_sockets_are_attached)
{
	struct ktcm_attach arg = { .abi = KTCM_ABI };
	struct kpair pair;
	int dev = kdev_open();

	ASSERT_LE(0, dev);
	ASSERT_EQ(0, kpair_open(&pair, TLS_1_3_VERSION,
				TLS_CIPHER_AES_GCM_128));
	arg.fd = pair.fd[KPAIR_LOCAL];
	arg.info_len = (uint32_t)kpair_info(arg.tx, pair.version, pair.cipher,
					    KPAIR_LOCAL, 0);
	kpair_info(arg.rx, pair.version, pair.cipher, KPAIR_REMOTE, 0);
	ASSERT_EQ(0, kdev_cmd(dev, KDEV_IOCTL, KTCM_IOC_ATTACH, &arg));
	close(dev);
	EXPECT_EQ(0, unload_soon());
	ASSERT_EQ(0, kpair_arm(pair.fd[KPAIR_REMOTE], pair.version, pair.cipher,
			       KPAIR_REMOTE));
	EXPECT_TRUE(passes(pair.fd[0], pair.fd[1]));
	EXPECT_TRUE(passes(pair.fd[1], pair.fd[0]));
	kpair_close(&pair);
}

/* Opens, relays, closes, without end; does not mind a device that is gone. */
static void user(unsigned int nr)
{
	const struct krelay_opts opts = { .unix_plain = nr % 2 };
	uint64_t seed = nr, pause;
	struct krelay r;
	int err;

	for (;;) {
		/* a while in which the module may be free, or be away */
		for (pause = kflow_random(&seed, 200); pause; pause--)
			sched_yield();
		err = krelay_new(&r, &opts);
		if (err == -ENXIO)
			continue;
		if (err || !passes(r.remote, r.local) ||
		    !passes(r.local, r.remote))
			_exit(1);
		/* the relay first or last */
		if (seed & 1 << 30)
			krelay_shut(&r.fd);
		krelay_free(&r);
	}
}

TEST_F_TIMEOUT(module, comes_and_goes_under_use, TIMEOUT_S)
{
	unsigned int loads = 0, refused = 0, i;
	uint64_t seed = 1, pause;
	pid_t pid[USERS];
	int err, status;

	for (i = 0; i < USERS; i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i])
			user(i);
	}
	/* both must have been seen often: in use, and not */
	while (loads < ROUNDS || refused < ROUNDS) {
		for (pause = kflow_random(&seed, 100); pause; pause--)
			sched_yield();
		err = unload();
		if (err == -EWOULDBLOCK) {
			refused++;
			continue;
		}
		ASSERT_EQ(0, err);
		ASSERT_EQ(0, load(""));
		if (++loads % 10)
			continue;
		/* one dies with whatever it has now, and comes back */
		i = loads / 10 % USERS;
		ASSERT_EQ(0, kill(pid[i], SIGKILL));
		ASSERT_EQ(pid[i], waitpid(pid[i], &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i])
			user(i);
	}
	TH_LOG("%u loads, %u times refused", loads, refused);
	for (i = 0; i < USERS; i++) {
		EXPECT_EQ(0, waitpid(pid[i], &status, WNOHANG));
		kill(pid[i], SIGKILL);
		waitpid(pid[i], &status, 0);
		EXPECT_TRUE(WIFSIGNALED(status));
	}
	EXPECT_EQ(0, unload_soon());
}

TEST_F(module, parameters)
{
	ASSERT_EQ(0, unload_soon());
	EXPECT_EQ(-EINVAL, load("relays_max=many"));
	ASSERT_EQ(0, load("relays_max=0"));
	EXPECT_EQ(-ENFILE, krelay_new(&self->r, &(struct krelay_opts){ 0 }));
	EXPECT_EQ(0, unload_soon());
}

TEST_HARNESS_MAIN
