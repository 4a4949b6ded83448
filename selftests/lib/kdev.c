// SPDX-License-Identifier: MIT
/* Commands to /dev/ktlsclient; see kdev.h. A ring lives for one command. */
#include "kdev.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define NOBODY 65534
#define ANSWER_S 20		/* longer than any command takes */

int kdev_open(void)
{
	int fd = open("/dev/ktlsclient", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int ring_says(const char *what, int err)
{
	(void)fprintf(stderr, "ring: %s: %d\n", what, err);
	return -EIO;
}

/* The ring has room for both entries. */
static void submit_nop(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	assert(sqe);
	io_uring_prep_nop(sqe);
	sqe->flags = IOSQE_IO_LINK;
	sqe->user_data = 0;
}

static void submit_cmd(struct io_uring *ring, int dev, unsigned int cmd,
		       const struct ktcm_uring_cmd *payload, bool async)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	assert(sqe);
	memset(sqe, 0, sizeof(*sqe));
	sqe->flags = async ? IOSQE_ASYNC : 0;
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = dev;
	sqe->cmd_op = cmd;
	sqe->user_data = 1;
	memcpy(sqe->cmd, payload, sizeof(*payload));
}

static int wait_result(struct io_uring *ring, bool linked)
{
	struct __kernel_timespec limit = { .tv_sec = ANSWER_S };
	struct io_uring_cqe *cqe;
	int res = -EIO, err, left = linked ? 2 : 1;

	for (; left; left--) {
		err = io_uring_wait_cqe_timeout(ring, &cqe, &limit);
		if (err)
			return ring_says("no completion", err);
		if (cqe->user_data == 1)
			res = cqe->res;
		else if (cqe->res)
			return ring_says("nop", cqe->res);
		io_uring_cqe_seen(ring, cqe);
	}
	return res;
}

int kdev_uring_cmd(int dev, enum kdev_way way, unsigned int cmd,
		   const struct ktcm_uring_cmd *payload)
{
	unsigned int flags = way == KDEV_URING_SQPOLL ? IORING_SETUP_SQPOLL : 0;
	bool linked = way == KDEV_URING_LINKED;
	struct io_uring ring;
	int ret;

	ret = io_uring_queue_init(4, &ring, flags);
	if (ret)
		return ring_says("set-up", ret);
	if (linked)
		submit_nop(&ring);
	submit_cmd(&ring, dev, cmd, payload, way == KDEV_URING_ASYNC);
	ret = io_uring_submit(&ring);
	if (ret < 0)
		ret = ring_says("submit", ret);
	else
		ret = wait_result(&ring, linked);
	io_uring_queue_exit(&ring);
	return ret;
}

int kdev_cmd(int dev, enum kdev_way way, unsigned int cmd, const void *arg)
{
	const struct ktcm_uring_cmd payload = { .arg = (uintptr_t)arg };
	int ret;

	if (way != KDEV_IOCTL)
		return kdev_uring_cmd(dev, way, cmd, &payload);
	ret = ioctl(dev, cmd, arg);
	return ret < 0 ? -errno : ret;
}

int kdev_info(int dev, struct ktcm_info *info)
{
	memset(info, 0, sizeof(*info));
	info->abi = KTCM_ABI;
	return kdev_cmd(dev, KDEV_IOCTL, KTCM_IOC_INFO, info);
}

int kdev_drop_privileges(void)
{
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		return -errno;
	return 0;
}
