// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: what the probe concludes. The kernel is a fake that lacks
 * what the test says, but for the last test, which agrees with the real one.
 */
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys.h"

#include "kselftest_harness.h"

static struct sys_ops fake;
static int ulp_err, again_err;
static uint16_t missing_cipher, missing_version;
static int tx_sets[1024];	/* by descriptor */
static int sockets_left = 1000000;

static int fake_socket(int domain, int type, int protocol)
{
	int fd;

	if (!sockets_left)
		return -EMFILE;
	sockets_left--;
	fd = sys_real.socket(domain, type, protocol);
	if (fd >= 0)
		tx_sets[fd] = 0;
	return fd;
}

static int fake_setsockopt(int fd, int level, int name, const void *val,
			   socklen_t len)
{
	const struct tls_crypto_info *info = val;

	if (level == IPPROTO_TCP && name == TCP_ULP)
		return ulp_err;
	if (level != 282)
		return sys_real.setsockopt(fd, level, name, val, len);
	if (info->cipher_type == missing_cipher &&
	    (!missing_version || info->version == missing_version))
		return -ENOENT;
	if (name == TLS_TX && tx_sets[fd]++)
		return again_err;
	return 0;
}

static int no_ring(unsigned int entries, struct io_uring *ring,
		   struct io_uring_params *params)
{
	(void)entries;
	(void)ring;
	(void)params;
	return -EPERM;
}

FIXTURE(caps)
{
	const struct ktc_caps *caps, *again;
};

FIXTURE_SETUP(caps)
{
	self->caps = NULL;
	fake = sys_real;
	fake.socket = fake_socket;
	fake.setsockopt = fake_setsockopt;
	fake.ring_init = no_ring;
	sys = &fake;
}

FIXTURE_TEARDOWN(caps)
{
}

TEST_F(caps, a_kernel_with_everything_has_all_bits)
{
	ASSERT_EQ(0, probe_caps(&self->caps));
	EXPECT_EQ(sizeof(*self->caps), self->caps->size);
	EXPECT_TRUE(self->caps->ktls);
	EXPECT_EQ(0, self->caps->ktls_errno);
	EXPECT_EQ(0x0f0f, self->caps->suites);
	EXPECT_TRUE(self->caps->rekey);
}

TEST_F(caps, without_ktls_the_errno_tells_why)
{
	ulp_err = -ENOENT;
	ASSERT_EQ(0, probe_caps(&self->caps));
	EXPECT_FALSE(self->caps->ktls);
	EXPECT_EQ(ENOENT, self->caps->ktls_errno);
	EXPECT_EQ(0, self->caps->suites);
	EXPECT_FALSE(self->caps->rekey);
}

TEST_F(caps, a_missing_cipher_clears_its_bits_only)
{
	missing_cipher = TLS_CIPHER_CHACHA20_POLY1305;
	ASSERT_EQ(0, probe_caps(&self->caps));
	EXPECT_EQ(0x0b0b, self->caps->suites);
}

TEST_F(caps, a_cipher_may_be_missing_for_one_version)
{
	missing_cipher = TLS_CIPHER_AES_CCM_128;
	missing_version = TLS_1_3_VERSION;
	ASSERT_EQ(0, probe_caps(&self->caps));
	EXPECT_EQ(0x0f07, self->caps->suites);
}

TEST_F(caps, ebusy_for_second_keys_means_no_rekey)
{
	again_err = -EBUSY;
	ASSERT_EQ(0, probe_caps(&self->caps));
	EXPECT_FALSE(self->caps->rekey);
	EXPECT_EQ(0x0f0f, self->caps->suites);
}

TEST_F(caps, a_forbidden_ring_sets_no_socket_option)
{
	ASSERT_EQ(0, probe_caps(&self->caps));
	EXPECT_FALSE(self->caps->ring_sockopt);
}

TEST_F(caps, a_shortage_is_reported_and_not_remembered)
{
	sockets_left = 5;
	EXPECT_EQ(-EMFILE, probe_caps(&self->caps));
	EXPECT_EQ(NULL, self->caps);
	sockets_left = 0;
	EXPECT_EQ(-EMFILE, probe_caps(&self->caps));
	sockets_left = 1000000;
	ulp_err = -ENOMEM;
	EXPECT_EQ(-ENOMEM, probe_caps(&self->caps));
	ulp_err = 0;
	ASSERT_EQ(0, probe_caps(&self->caps));
	EXPECT_TRUE(self->caps->ktls);
}

TEST_F(caps, a_success_is_remembered_for_ever)
{
	ASSERT_EQ(0, probe_caps(&self->caps));
	sockets_left = 0;
	ulp_err = -ENOENT;
	ASSERT_EQ(0, probe_caps(&self->again));
	EXPECT_EQ(self->caps, self->again);
	EXPECT_TRUE(self->again->ktls);
}

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		(void)closedir(dir);
	return n;
}

TEST_F(caps, no_descriptor_is_left_open)
{
	int before = count_fds();

	ASSERT_LT(0, before);
	sockets_left = 15;
	EXPECT_EQ(-EMFILE, probe_caps(&self->caps));
	EXPECT_EQ(before, count_fds());
	sockets_left = 1000000;
	fake.ring_init = sys_real.ring_init;
	ASSERT_EQ(0, probe_caps(&self->caps));
	EXPECT_EQ(before, count_fds());
}

TEST(the_real_kernel_is_described_without_contradiction)
{
	const struct ktc_caps *caps;

	ASSERT_EQ(0, probe_caps(&caps));
	EXPECT_EQ(caps->ktls, !caps->ktls_errno);
	EXPECT_EQ(0, caps->suites & ~0x0f0fu);
	if (!caps->ktls)
		EXPECT_EQ(0, caps->suites);
	if (caps->rekey)
		EXPECT_NE(0, caps->suites & 0xff);
	TH_LOG("ktls %d (%s) rekey %d ring_sockopt %d suites 0x%04x",
	       caps->ktls, strerror(caps->ktls_errno), caps->rekey,
	       caps->ring_sockopt, caps->suites);
}

TEST_HARNESS_MAIN
