// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: the kernel module as a loop sees it, with a device of the
 * test's: when it is opened and closed, what ATTACH puts into the ring, and
 * what its completion means, for every "done" and result.
 */
#include "module.h"

#include <errno.h>
#include <string.h>

#include "fault.h"
#include "limit.h"
#include "sys.h"
#include "util.h"

#include "kselftest_harness.h"

#define DEVICE 1234
#define IDLE_US (LIMIT_MODULE_IDLE_MS * 1000ull)
#define LOOK_US (LIMIT_MODULE_LOOK_MS * 1000ull)

static struct sys_ops hooked;
static unsigned int opens, closes;
static int open_result;
static uint32_t abi, features;

static int device_open(const char *path, int flags)
{
	(void)flags;
	opens += !strcmp(path, "/dev/ktlsclient");
	return open_result;
}

static int device_close(int fd)
{
	closes += fd == DEVICE;
	return 0;
}

static int device_ioctl(int fd, unsigned long request, void *arg)
{
	struct ktcm_info *info = arg;

	if (fd != DEVICE || request != KTCM_IOC_INFO)
		return -ENOTTY;
	info->abi = abi;
	info->features = features;
	return 0;
}

FIXTURE(module)
{
	struct module m;
	struct timer_heap timers;
	struct handover h;
	struct ktcm_attach arg;
	struct io_uring_sqe sqe;
};

FIXTURE_SETUP(module)
{
	fault_install();
	hooked = *sys;
	hooked.open = device_open;
	hooked.close = device_close;
	hooked.ioctl = device_ioctl;
	sys = &hooked;
	open_result = DEVICE;
	abi = KTCM_ABI;
	features = KTCM_FEATURE_ATTACH;
	opens = 0;
	closes = 0;
	ASSERT_EQ(0, timer_heap_reserve(&self->timers, 1));
	module_init(&self->m);
	self->h.suite = suite_find(KTC_TLS1_3, 0x1301);
	ASSERT_NE(NULL, self->h.suite);
	memset(self->h.info, 0x55, sizeof(self->h.info));
	memset(&self->h.info[KTC_TX], 0x33, sizeof(self->h.info[KTC_TX]));
}

FIXTURE_TEARDOWN(module)
{
	module_fini(&self->m, &self->timers);
	timer_heap_fini(&self->timers);
	EXPECT_EQ(-1, self->m.fd);
	EXPECT_STREQ("", fault_leaks());
}

#define HAS(now, feature) \
	module_device(&self->m, &self->timers, now, feature)
#define ATTACH() module_attach(&self->m, &self->sqe, 7, &self->h, &self->arg)

TEST_F(module, is_looked_for_once_a_second)
{
	open_result = -ENOENT;
	EXPECT_EQ(-ENOENT, HAS(1000, KTCM_FEATURE_ATTACH));
	EXPECT_EQ(-ENOENT, HAS(1000 + LOOK_US - 1, KTCM_FEATURE_ATTACH));
	EXPECT_EQ(1, opens);
	open_result = DEVICE;
	EXPECT_EQ(DEVICE, HAS(1000 + LOOK_US, KTCM_FEATURE_ATTACH));
	EXPECT_EQ(DEVICE, HAS(1001 + LOOK_US, KTCM_FEATURE_ATTACH));
	EXPECT_EQ(2, opens);
}

TEST_F(module, of_another_abi_is_none)
{
	abi = KTCM_ABI + 1;
	EXPECT_EQ(-ENOENT, HAS(0, KTCM_FEATURE_ATTACH));
	EXPECT_EQ(1, closes);
}

TEST_F(module, without_a_feature_is_none_for_it)
{
	EXPECT_EQ(-ENOENT, HAS(0, KTCM_FEATURE_RELAY));
	EXPECT_EQ(DEVICE, HAS(0, KTCM_FEATURE_ATTACH));
}

/* The ring knows it by number: closed, the number could be another file's. */
TEST_F(module, stays_open_while_a_command_is_queued)
{
	uint64_t now = 0;
	int err;

	ASSERT_EQ(DEVICE, HAS(now, KTCM_FEATURE_ATTACH));
	ATTACH();
	ATTACH();
	now += IDLE_US;
	ASSERT_EQ(&self->m.timer, timer_due(&self->timers, now));
	module_idle(&self->m, &self->timers, now);
	EXPECT_EQ(0, closes);
	(void)module_attached(&self->m, &self->arg, -EBUSY, &err);
	now += IDLE_US;
	ASSERT_EQ(&self->m.timer, timer_due(&self->timers, now));
	module_idle(&self->m, &self->timers, now);
	EXPECT_EQ(0, closes);
	(void)module_attached(&self->m, &self->arg, -EBUSY, &err);
	now += IDLE_US;
	ASSERT_EQ(&self->m.timer, timer_due(&self->timers, now));
	module_idle(&self->m, &self->timers, now);
	EXPECT_EQ(1, closes);
	EXPECT_EQ(TIMER_NEVER, timer_first(&self->timers));
}

TEST_F(module, attach_is_what_the_abi_says)
{
	const unsigned int len = self->h.suite->info_len;
	struct ktcm_uring_cmd cmd;
	uint32_t op, i;
	int err;

	ASSERT_EQ(DEVICE, HAS(0, KTCM_FEATURE_ATTACH));
	memset(&self->arg, 0xff, sizeof(self->arg));
	memset(&self->sqe, 0xff, sizeof(self->sqe));
	ATTACH();
	EXPECT_EQ(IORING_OP_URING_CMD, self->sqe.opcode);
	EXPECT_EQ(DEVICE, self->sqe.fd);
	EXPECT_EQ(0, self->sqe.flags);
	memcpy(&op, (uint8_t *)&self->sqe + 8, sizeof(op));
	EXPECT_EQ(KTCM_IOC_ATTACH, op);
	memcpy(&cmd, (uint8_t *)&self->sqe + 48, sizeof(cmd));
	EXPECT_EQ((uintptr_t)&self->arg, cmd.arg);
	EXPECT_EQ(0, cmd.reserved);

	EXPECT_EQ(KTCM_ABI, self->arg.abi);
	EXPECT_EQ(0, self->arg.flags);
	EXPECT_EQ(7, self->arg.fd);
	EXPECT_EQ(len, self->arg.info_len);
	EXPECT_EQ(0, self->arg.done);
	for (i = 0; i < ARRAY_SIZE(self->arg.reserved); i++)
		EXPECT_EQ(0, self->arg.reserved[i]);
	for (i = 0; i < KTCM_CRYPTO_INFO_MAX; i++) {
		ASSERT_EQ(i < len ? 0x33 : 0, self->arg.tx[i]);
		ASSERT_EQ(i < len ? 0x55 : 0, self->arg.rx[i]);
	}
	(void)module_attached(&self->m, &self->arg, 0, &err);
}

/* What "done" says counts, whatever the result beside it is. */
TEST_F(module, attached_goes_by_done)
{
	static const enum handover_step step[] = {
		[0] = HANDOVER_ULP,
		[KTCM_ATTACH_ULP] = HANDOVER_TX,
		[KTCM_ATTACH_ULP | KTCM_ATTACH_TX] = HANDOVER_RX,
		[KTCM_ATTACH_ULP | KTCM_ATTACH_TX | KTCM_ATTACH_RX] =
			HANDOVER_DONE,
	};
	static const uint32_t dones[] = { 0, 1, 3, 7 };
	unsigned int i;
	int err, res;

	for (i = 0; i < ARRAY_SIZE(dones); i++) {
		for (res = 0; res > -140; res--) {
			self->m.queued = 1;
			self->arg.done = dones[i];
			ASSERT_EQ(step[dones[i]],
				  module_attached(&self->m, &self->arg, res,
						  &err));
			ASSERT_EQ(0, self->m.queued);
			ASSERT_EQ(dones[i] == 7 ? 0 : res ? -res : EIO, err);
		}
	}
}

TEST_HARNESS_MAIN
