// SPDX-License-Identifier: GPL-2.0-only
/*
 * ATTACH with everything that can be wrong with it: the errno, `done`, and a
 * socket that is as it was, with no ULP and bytes that flow plain. By ioctl
 * and ring, as root and as nobody.
 */
#include "kselftest_harness.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kdev.h"
#include "kodd.h"
#include "kpair.h"
#include "krelay.h"

#ifndef TCP_ULP
#define TCP_ULP 31
#endif

FIXTURE(abuse)
{
	int dev;
	struct kpair pair;
	struct ktcm_attach arg;
};

FIXTURE_VARIANT(abuse)
{
	enum kdev_way way;
	bool nobody;
};

FIXTURE_VARIANT_ADD(abuse, ioctl) { .way = KDEV_IOCTL };
FIXTURE_VARIANT_ADD(abuse, uring) { .way = KDEV_URING };
FIXTURE_VARIANT_ADD(abuse, nobody_ioctl) { .way = KDEV_IOCTL, .nobody = true };
FIXTURE_VARIANT_ADD(abuse, nobody_uring) { .way = KDEV_URING, .nobody = true };

FIXTURE_SETUP(abuse)
{
	int err;

	self->dev = -1;
	self->pair.fd[0] = self->pair.fd[1] = -1;
	if (variant->nobody)
		ASSERT_EQ(0, kdev_drop_privileges());
	err = kpair_new(&self->pair, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128);
	if (err == -ENOENT)
		SKIP(return, "this kernel has no kTLS");
	ASSERT_EQ(0, err);
	kpair_close(&self->pair);
	self->dev = kdev_open();
	if (self->dev == -ENOENT)
		SKIP(return, "no /dev/ktlsclient");
	ASSERT_LE(0, self->dev);
	ASSERT_EQ(0, kpair_open(&self->pair, TLS_1_3_VERSION,
				TLS_CIPHER_AES_GCM_128));
}

FIXTURE_TEARDOWN(abuse)
{
	kpair_close(&self->pair);
	if (self->dev >= 0)
		close(self->dev);
}

static void fill(struct _test_data_abuse *self)
{
	struct ktcm_attach *arg = &self->arg;

	*arg = (struct ktcm_attach){
		.abi = KTCM_ABI, .fd = self->pair.fd[KPAIR_LOCAL], .done = ~0u,
	};
	arg->info_len = (uint32_t)kpair_info(arg->tx, TLS_1_3_VERSION,
					     TLS_CIPHER_AES_GCM_128,
					     KPAIR_LOCAL, 0);
	kpair_info(arg->rx, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128,
		   KPAIR_REMOTE, 0);
}

static bool has_ulp(int fd)
{
	char name[16] = "";
	socklen_t len = sizeof(name);

	return !getsockopt(fd, IPPROTO_TCP, TCP_ULP, name, &len) && len &&
	       name[0];
}

/* No ULP, and bytes flow plain both ways. */
static bool untouched(const struct kpair *pair)
{
	char buf[4];

	return !has_ulp(pair->fd[0]) &&
	       !kpair_write_all(pair->fd[0], "ping", 4) &&
	       !kpair_read_all(pair->fd[1], buf, 4) &&
	       !memcmp(buf, "ping", 4) &&
	       !kpair_write_all(pair->fd[1], "pong", 4) &&
	       !kpair_read_all(pair->fd[0], buf, 4) &&
	       !memcmp(buf, "pong", 4);
}

#define ATTACH() \
	kdev_cmd(self->dev, variant->way, KTCM_IOC_ATTACH, &self->arg)

/* A good argument with one thing changed. */
#define BAD(err, change) \
	do { \
		fill(self); \
		change; \
		EXPECT_EQ(-(err), ATTACH()) \
		{ \
			TH_LOG("%s", #change); \
		} \
		if ((err) != EPROTO) \
			EXPECT_EQ(0, self->arg.done); \
		EXPECT_TRUE(untouched(&self->pair)) \
		{ \
			TH_LOG("%s", #change); \
		} \
	} while (0)

#define ARG (self->arg)

/* The yardstick: what all other tests here change one thing of. */
TEST_F(abuse, the_good_argument_is_good)
{
	fill(self);
	EXPECT_TRUE(untouched(&self->pair));
	EXPECT_EQ(0, ATTACH());
	EXPECT_EQ(KTCM_ATTACH_ULP | KTCM_ATTACH_TX | KTCM_ATTACH_RX, ARG.done);
	EXPECT_TRUE(has_ulp(self->pair.fd[KPAIR_LOCAL]));
}

TEST_F(abuse, fields)
{
	BAD(EPROTO, ARG.abi = 0);
	BAD(EPROTO, ARG.abi = KTCM_ABI + 1);
	BAD(EPROTO, ARG.abi = UINT_MAX);
	BAD(EINVAL, ARG.flags = 1);
	BAD(EINVAL, ARG.flags = 1u << 31);
	BAD(EINVAL, ARG.reserved[0] = 1);
	BAD(EINVAL, ARG.reserved[1] = 1u << 31);
	BAD(EINVAL, ARG.reserved[2] = 1);
}

static void set_head(uint8_t *info, uint16_t version, uint16_t cipher)
{
	const struct tls_crypto_info head = {
		.version = version, .cipher_type = cipher,
	};

	memcpy(info, &head, sizeof(head));
}

#define HEADS(v, c) \
	do { \
		set_head(ARG.tx, v, c); \
		set_head(ARG.rx, v, c); \
	} while (0)

TEST_F(abuse, versions_and_ciphers_that_ktls_does_not_know)
{
	const uint16_t versions[] = { 0, 0x0300, 0x0301, 0x0302, 0x0305,
				      0x0403, 0xfefd, 0xffff };
	const uint16_t ciphers[] = { 0, 1, 50, 59, 60, 0x1301, 0xffff };
	unsigned int i;

	for (i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		BAD(EINVAL, HEADS(versions[i], TLS_CIPHER_AES_GCM_128));
	for (i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++)
		BAD(EINVAL, HEADS(TLS_1_3_VERSION, ciphers[i]));
}

TEST_F(abuse, two_directions_that_differ)
{
	uint8_t info[KTCM_CRYPTO_INFO_MAX];
	uint32_t len;

	BAD(EINVAL, set_head(ARG.rx, TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128));
	BAD(EINVAL, set_head(ARG.tx, TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128));
	/* of one size as well */
	BAD(EINVAL, set_head(ARG.rx, TLS_1_3_VERSION, TLS_CIPHER_AES_CCM_128));
	BAD(EINVAL, set_head(ARG.rx, TLS_1_3_VERSION, TLS_CIPHER_SM4_GCM));
	len = (uint32_t)kpair_info(info, TLS_1_3_VERSION,
				   TLS_CIPHER_AES_GCM_256, KPAIR_REMOTE, 0);
	BAD(EINVAL, memcpy(ARG.rx, info, sizeof(info)));
	BAD(EINVAL, (memcpy(ARG.rx, info, sizeof(info)), ARG.info_len = len));
}

TEST_F(abuse, sizes)
{
	uint32_t len;
	unsigned int i;

	BAD(EINVAL, ARG.info_len = 0);
	BAD(EINVAL, ARG.info_len = sizeof(struct tls_crypto_info));
	BAD(EINVAL, ARG.info_len = KTCM_CRYPTO_INFO_MAX);
	BAD(EINVAL, ARG.info_len = KTCM_CRYPTO_INFO_MAX + 1);
	BAD(EINVAL, ARG.info_len = 1u << 31);
	BAD(EINVAL, ARG.info_len = UINT_MAX);
	for (i = 0; i < KPAIR_NR_SUITES; i++) {
		const struct kpair_suite *suite = &kpair_suites[i];
		uint16_t version = TLS_1_2_VERSION, cipher = suite->cipher;

		len = suite->info_len;
		BAD(EINVAL, (kpair_info(ARG.tx, version, cipher, 0, 0),
			     kpair_info(ARG.rx, version, cipher, 1, 0),
			     ARG.info_len = len - 1));
		BAD(EINVAL, (kpair_info(ARG.tx, version, cipher, 0, 0),
			     kpair_info(ARG.rx, version, cipher, 1, 0),
			     ARG.info_len = len + 1));
	}
	fill(self);
	len = ARG.info_len;
	BAD(EINVAL, ARG.tx[len] = 1);
	BAD(EINVAL, ARG.rx[len] = 1);
	BAD(EINVAL, ARG.tx[KTCM_CRYPTO_INFO_MAX - 1] = 1);
	BAD(EINVAL, ARG.rx[KTCM_CRYPTO_INFO_MAX - 1] = 0x80);
}

static void refuses_all(struct __test_metadata *_metadata,
			struct _test_data_abuse *self, enum kdev_way way,
			const struct kodd *odd, unsigned int n, int err)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		/* what this kernel does not have */
		if (odd[i].fd == -1 && err != EBADF)
			continue;
		fill(self);
		ARG.fd = odd[i].fd;
		EXPECT_EQ(-err, kdev_cmd(self->dev, way, KTCM_IOC_ATTACH,
					 &self->arg))
		{
			TH_LOG("%s", odd[i].name);
		}
		EXPECT_EQ(0, ARG.done);
		if (err == ENOTCONN)
			EXPECT_FALSE(has_ulp(odd[i].fd));
	}
}

#define REFUSES_ALL(odd, n, err) \
	refuses_all(_metadata, self, variant->way, odd, n, err)

TEST_F(abuse, other_descriptors)
{
	struct kodd no_fd[KODD_NR_NO_FD], no_socket[KODD_NR_NO_SOCKET];
	struct kodd other[KODD_NR_OTHER], unix_fd;
	int fds[2];

	kodd_no_fd(no_fd);
	REFUSES_ALL(no_fd, KODD_NR_NO_FD, EBADF);
	kodd_no_socket(no_socket);
	REFUSES_ALL(no_socket, KODD_NR_NO_SOCKET, ENOTSOCK);
	kodd_free(no_socket, KODD_NR_NO_SOCKET);
	kodd_other(other);
	REFUSES_ALL(other, KODD_NR_OTHER, EOPNOTSUPP);
	kodd_free(other, KODD_NR_OTHER);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	unix_fd = (struct kodd){ "unix", fds[0], { fds[1], -1 } };
	REFUSES_ALL(&unix_fd, 1, EOPNOTSUPP);
	kodd_free(&unix_fd, 1);
}

TEST_F(abuse, sockets_without_a_connection)
{
	struct kodd odd[KODD_NR_UNCONNECTED];

	kodd_unconnected(odd);
	REFUSES_ALL(odd, KODD_NR_UNCONNECTED, ENOTCONN);
	kodd_free(odd, KODD_NR_UNCONNECTED);
}

#define SET(direction, sender) \
	kpair_set(self->pair.fd[KPAIR_LOCAL], direction, TLS_1_3_VERSION, \
		  TLS_CIPHER_AES_GCM_128, sender, 0)

TEST_F(abuse, keys_that_are_there)
{
	int fd = self->pair.fd[KPAIR_LOCAL];

	ASSERT_EQ(0, kpair_ulp(fd));
	ASSERT_EQ(0, SET(TLS_TX, KPAIR_LOCAL));
	fill(self);
	EXPECT_EQ(-EBUSY, ATTACH());
	EXPECT_EQ(0, ARG.done);
	/* the other direction has been left free */
	EXPECT_EQ(0, SET(TLS_RX, KPAIR_REMOTE));
	fill(self);
	EXPECT_EQ(-EBUSY, ATTACH());
	EXPECT_EQ(0, ARG.done);
}

TEST_F(abuse, a_receiving_key_that_is_there)
{
	ASSERT_EQ(0, kpair_ulp(self->pair.fd[KPAIR_LOCAL]));
	ASSERT_EQ(0, SET(TLS_RX, KPAIR_REMOTE));
	fill(self);
	EXPECT_EQ(-EBUSY, ATTACH());
	EXPECT_EQ(0, ARG.done);
	EXPECT_EQ(0, SET(TLS_TX, KPAIR_LOCAL));
}

TEST_F(abuse, twice)
{
	fill(self);
	ASSERT_EQ(0, ATTACH());
	fill(self);
	EXPECT_EQ(-EBUSY, ATTACH());
	EXPECT_EQ(0, ARG.done);
}

TEST_F(abuse, the_plain_side_of_a_relay)
{
	const struct krelay_opts opts = { 0 };
	struct krelay r;
	char buf[4];

	ASSERT_EQ(0, krelay_new(&r, &opts));
	fill(self);
	ARG.fd = r.plain;
	EXPECT_EQ(-EBUSY, ATTACH());
	EXPECT_EQ(0, ARG.done);
	ARG.fd = r.tls;
	EXPECT_EQ(-EBUSY, ATTACH());
	EXPECT_EQ(0, kpair_write_all(r.local, "ping", 4));
	EXPECT_EQ(0, kpair_read_all(r.remote, buf, 4));
	krelay_free(&r);
}

/* The struct ends in the middle, at each of its words. */
TEST_F(abuse, memory_that_ends)
{
	struct ktcm_attach *cut;
	size_t mapped;

	fill(self);
	for (mapped = 0; mapped < sizeof(self->arg); mapped += 4) {
		cut = kodd_cut(&self->arg, mapped);
		ASSERT_NE(NULL, cut);
		EXPECT_EQ(-EFAULT, kdev_cmd(self->dev, variant->way,
					    KTCM_IOC_ATTACH, cut))
		{
			TH_LOG("%zu bytes", mapped);
		}
		kodd_uncut(cut);
		EXPECT_TRUE(untouched(&self->pair));
	}
}

TEST_F(abuse, memory_that_cannot_be_written)
{
	struct ktcm_attach *arg;

	fill(self);
	arg = kodd_read_only(&self->arg, sizeof(self->arg));
	ASSERT_NE(NULL, arg);
	EXPECT_EQ(-EFAULT, kdev_cmd(self->dev, variant->way, KTCM_IOC_ATTACH,
				    arg));
	kodd_uncut(arg);
	EXPECT_TRUE(untouched(&self->pair));
}

/* Nobody else's descriptors, nobody else's sockets: no descriptor leaks. */
TEST_F(abuse, no_reference_is_left)
{
	char byte;

	BAD(EINVAL, ARG.flags = 1);
	BAD(EINVAL, ARG.info_len++);
	fill(self);
	ASSERT_EQ(0, ATTACH());
	/* the peer sees the end: nothing holds the socket any more */
	ASSERT_EQ(0, close(self->pair.fd[KPAIR_LOCAL]));
	self->pair.fd[KPAIR_LOCAL] = -1;
	EXPECT_EQ(0, recv(self->pair.fd[KPAIR_REMOTE], &byte, 1, 0));
}

TEST_HARNESS_MAIN
