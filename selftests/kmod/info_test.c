// SPDX-License-Identifier: GPL-2.0-only
/*
 * INFO, in every way a command gets to the module; what a command gives back
 * whatever it is: wrong numbers, sizes, payloads. Other commands' arguments
 * are their own tests' affair.
 */
#include "kselftest_harness.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kdev.h"
#include "krelay.h"

FIXTURE(info)
{
	int dev;
	struct ktcm_info info;
};

FIXTURE_VARIANT(info)
{
	enum kdev_way way;
	bool nobody;
};

#define VARIANT(name, w, n) \
	FIXTURE_VARIANT_ADD(info, name) { .way = KDEV_##w, .nobody = n }

VARIANT(ioctl, IOCTL, false);
VARIANT(uring, URING, false);
VARIANT(uring_async, URING_ASYNC, false);
VARIANT(uring_sqpoll, URING_SQPOLL, false);
VARIANT(uring_linked, URING_LINKED, false);
VARIANT(nobody_ioctl, IOCTL, true);
VARIANT(nobody_uring, URING, true);
VARIANT(nobody_uring_async, URING_ASYNC, true);

FIXTURE_SETUP(info)
{
	if (variant->nobody)
		ASSERT_EQ(0, kdev_drop_privileges());
	self->dev = kdev_open();
	if (self->dev == -ENOENT)
		SKIP(return, "no /dev/ktlsclient");
	ASSERT_LE(0, self->dev);
	self->info.abi = KTCM_ABI;
}

FIXTURE_TEARDOWN(info)
{
	if (self->dev >= 0)
		close(self->dev);
}

#define INFO() kdev_cmd(self->dev, variant->way, KTCM_IOC_INFO, &self->info)

TEST_F(info, says_what_the_module_is)
{
	unsigned int major, minor, patch;
	unsigned int i;
	int fields;

	memset(&self->info, 0xff, sizeof(self->info));
	self->info.abi = KTCM_ABI;
	ASSERT_EQ(0, INFO());
	EXPECT_EQ(KTCM_ABI, self->info.abi);
	EXPECT_EQ(KTCM_FEATURE_ATTACH | KTCM_FEATURE_RELAY,
		  self->info.features);
	EXPECT_EQ(0, self->info.version[sizeof(self->info.version) - 1]);
	fields = sscanf(self->info.version, "%u.%u.%u", &major, &minor, &patch);
	EXPECT_EQ(3, fields);
	for (i = 0; i < 5; i++)
		EXPECT_EQ(0, self->info.reserved[i]);
	for (i = KTCM_END_NR; i < 8; i++)
		EXPECT_EQ(0, self->info.ends[i]);
}

TEST_F(info, another_abi_is_eproto)
{
	const struct ktcm_info before = { .abi = KTCM_ABI + 1 };

	self->info = before;
	EXPECT_EQ(-EPROTO, INFO());
	EXPECT_EQ(0, memcmp(&before, &self->info, sizeof(before)));
	self->info.abi = 0;
	EXPECT_EQ(-EPROTO, INFO());
}

TEST_F(info, counts_a_relay_and_its_bytes)
{
	const struct krelay_opts opts = { 0 };
	struct ktcm_info then, now;
	struct ktcm_event end;
	struct krelay r;
	char buf[5];
	int err;

	err = krelay_sockets(&r, &opts);
	if (err == -ENOENT)
		SKIP(return, "this kernel has no kTLS");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, INFO());
	then = self->info;
	ASSERT_EQ(0, krelay_start(&r, &opts));
	ASSERT_EQ(0, INFO());
	now = self->info;
	EXPECT_EQ(then.relays + 1, now.relays);
	EXPECT_EQ(then.relays_total + 1, now.relays_total);
	ASSERT_EQ(0, kpair_write_all(r.remote, "hello", 5));
	ASSERT_EQ(0, kpair_read_all(r.local, buf, 5));
	ASSERT_EQ(0, kpair_write_all(r.local, "you", 3));
	ASSERT_EQ(0, kpair_read_all(r.remote, buf, 3));
	ASSERT_EQ(0, kpair_ticket(r.remote, 40, 1));
	ASSERT_EQ(0, kpair_close_notify(r.remote));
	ASSERT_EQ(0, shutdown(r.local, SHUT_WR));
	ASSERT_EQ(0, krelay_end(r.fd, &end));
	EXPECT_EQ(KTCM_END_DONE, end.end);
	ASSERT_EQ(0, INFO());
	now = self->info;
	EXPECT_EQ(then.bytes[KTCM_DOWN] + 5, now.bytes[KTCM_DOWN]);
	EXPECT_EQ(then.bytes[KTCM_UP] + 3, now.bytes[KTCM_UP]);
	EXPECT_LE(then.records + 1, now.records);
	EXPECT_EQ(then.records_dropped, now.records_dropped);
	EXPECT_EQ(then.relays + 1, now.relays);
	krelay_free(&r);
	ASSERT_EQ(0, INFO());
	EXPECT_EQ(then.ends[KTCM_END_DONE] + 1,
		  self->info.ends[KTCM_END_DONE]);
	EXPECT_EQ(then.relays, self->info.relays);
	EXPECT_EQ(then.lost_bytes, self->info.lost_bytes);
}

TEST_F(info, counts_what_is_refused)
{
	struct ktcm_attach attach = { .abi = KTCM_ABI, .fd = -1 };
	struct ktcm_relay relay = {
		.abi = KTCM_ABI, .tls_fd = -1, .plain_fd = -1,
	};
	struct ktcm_info then;

	ASSERT_EQ(0, INFO());
	then = self->info;
	EXPECT_GT(0, kdev_cmd(self->dev, variant->way, KTCM_IOC_ATTACH,
			      &attach));
	EXPECT_EQ(-EBADF, kdev_cmd(self->dev, variant->way, KTCM_IOC_RELAY,
				   &relay));
	ASSERT_EQ(0, INFO());
	EXPECT_EQ(then.attaches_failed + 1, self->info.attaches_failed);
	EXPECT_EQ(then.attaches, self->info.attaches);
	EXPECT_EQ(then.relays_refused + 1, self->info.relays_refused);
	EXPECT_EQ(then.relays_total, self->info.relays_total);
	EXPECT_EQ(then.relays, self->info.relays);
}

TEST_F(info, a_closed_running_relay_counts_as_not_ended)
{
	const struct krelay_opts opts = { .unix_plain = true };
	struct ktcm_info then;
	struct krelay r;
	int err;

	ASSERT_EQ(0, INFO());
	then = self->info;
	err = krelay_new(&r, &opts);
	if (err == -ENOENT)
		SKIP(return, "this kernel has no kTLS");
	ASSERT_EQ(0, err);
	krelay_free(&r);
	ASSERT_EQ(0, INFO());
	EXPECT_EQ(then.ends[KTCM_END_NOT] + 1, self->info.ends[KTCM_END_NOT]);
	EXPECT_EQ(then.relays, self->info.relays);
}

/* An unknown number is ENOTTY, as with any device. */
TEST_F(info, unknown_commands_and_sizes_are_enotty)
{
	const unsigned int cmds[] = {
		_IOWR(KTCM_IOC_MAGIC, 0, char[sizeof(struct ktcm_info) - 1]),
		_IOWR(KTCM_IOC_MAGIC, 0, char[sizeof(struct ktcm_info) + 1]),
		_IOWR(KTCM_IOC_MAGIC, 1, char[sizeof(struct ktcm_attach) - 1]),
		_IOWR(KTCM_IOC_MAGIC, 1, char[sizeof(struct ktcm_attach) + 8]),
		_IOW(KTCM_IOC_MAGIC, 2, char[sizeof(struct ktcm_relay) - 8]),
		_IOW(KTCM_IOC_MAGIC, 2, char[sizeof(struct ktcm_relay) + 1]),
		_IOR(KTCM_IOC_MAGIC, 0, struct ktcm_info),
		_IOWR(KTCM_IOC_MAGIC, 2, struct ktcm_relay),
		_IOWR(KTCM_IOC_MAGIC, 3, struct ktcm_info),
		_IOWR(KTCM_IOC_MAGIC ^ 1, 0, struct ktcm_info),
		KTCM_IOC_STATUS, KTCM_IOC_STOP, KTCM_IOC_RESUME, 0, ~0u,
	};
	uint64_t room[64] = { KTCM_ABI };
	unsigned int i;

	for (i = 0; i < sizeof(cmds) / sizeof(cmds[0]); i++) {
		EXPECT_EQ(-ENOTTY, kdev_cmd(self->dev, variant->way, cmds[i],
					    room)) {
			TH_LOG("command %#x", cmds[i]);
		}
	}
}

TEST_F(info, bad_pointers_are_efault)
{
	const unsigned int cmds[] = {
		KTCM_IOC_INFO, KTCM_IOC_ATTACH, KTCM_IOC_RELAY,
	};
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct ktcm_info *info;
	unsigned int i;
	char *map;

	map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	/* no access rather than a hole, which a ring would fill */
	ASSERT_EQ(0, mprotect(map + page, page, PROT_NONE));
	for (i = 0; i < 3; i++) {
		/* nowhere, the kernel's, the end of a page, over its edge */
		const uintptr_t bad[] = {
			0, 1, (uintptr_t)-4096, 1ull << 63,
			(uintptr_t)map + page, (uintptr_t)map + page - 8,
		};
		unsigned int j;

		memset(map, 0, page);
		memcpy(map + page - 8, &(uint32_t){ KTCM_ABI }, 4);
		for (j = 0; j < sizeof(bad) / sizeof(bad[0]); j++) {
			EXPECT_EQ(-EFAULT,
				  kdev_cmd(self->dev, variant->way, cmds[i],
					   (void *)bad[j])) {
				TH_LOG("command %u at %#lx", i,
				       (unsigned long)bad[j]);
			}
		}
	}
	/* readable, and cannot be written */
	info = (void *)map;
	info->abi = KTCM_ABI;
	ASSERT_EQ(0, mprotect(map, page, PROT_READ));
	EXPECT_EQ(-EFAULT, kdev_cmd(self->dev, variant->way, KTCM_IOC_INFO,
				    info));
	munmap(map, 2 * page);
}

TEST_F(info, a_reserved_word_of_the_entry_is_einval)
{
	struct ktcm_uring_cmd payload = {
		.arg = (uintptr_t)&self->info, .reserved = 1,
	};

	if (variant->way == KDEV_IOCTL)
		SKIP(return, "an ioctl has no entry");
	EXPECT_EQ(-EINVAL, kdev_uring_cmd(self->dev, variant->way,
					  KTCM_IOC_INFO, &payload));
	payload.reserved = 1ull << 63;
	EXPECT_EQ(-EINVAL, kdev_uring_cmd(self->dev, variant->way,
					  KTCM_IOC_INFO, &payload));
	payload.reserved = 0;
	EXPECT_EQ(0, kdev_uring_cmd(self->dev, variant->way, KTCM_IOC_INFO,
				    &payload));
}

TEST_F(info, the_device_cannot_be_read_or_mapped)
{
	char byte = 0;

	EXPECT_EQ(-1, read(self->dev, &byte, 1));
	EXPECT_EQ(-1, write(self->dev, &byte, 1));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED,
				   self->dev, 0));
}

TEST_HARNESS_MAIN
