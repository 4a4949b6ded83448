// SPDX-License-Identifier: GPL-2.0-only
/*
 * ATTACH does what three setsockopt() calls do: the same keys, the same data,
 * the same errors, for every suite. What it refuses is attach_abuse_test's.
 */
#include "kselftest_harness.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kdev.h"
#include "kpair.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

FIXTURE(attach)
{
	int dev;
	struct kpair pair;
	struct kpair model;	/* armed by setsockopt */
	struct ktcm_attach arg;
};

FIXTURE_VARIANT(attach)
{
	uint16_t version;
	uint16_t cipher;
	enum kdev_way way;
};

#define VARIANT(v, c, w) \
	FIXTURE_VARIANT_ADD(attach, tls1_##v##_##c##_##w) \
	{ \
		.version = TLS_1_##v##_VERSION, \
		.cipher = TLS_CIPHER_##c, \
		.way = KDEV_##w, \
	}

VARIANT(2, AES_GCM_128, IOCTL);
VARIANT(3, AES_GCM_128, IOCTL);
VARIANT(2, AES_GCM_128, URING);
VARIANT(3, AES_GCM_128, URING);
VARIANT(2, AES_GCM_256, IOCTL);
VARIANT(3, AES_GCM_256, IOCTL);
VARIANT(2, AES_GCM_256, URING);
VARIANT(3, AES_GCM_256, URING);
VARIANT(2, CHACHA20_POLY1305, IOCTL);
VARIANT(3, CHACHA20_POLY1305, IOCTL);
VARIANT(2, CHACHA20_POLY1305, URING);
VARIANT(3, CHACHA20_POLY1305, URING);
VARIANT(2, AES_CCM_128, IOCTL);
VARIANT(3, AES_CCM_128, IOCTL);
VARIANT(2, AES_CCM_128, URING);
VARIANT(3, AES_CCM_128, URING);
VARIANT(2, SM4_GCM, IOCTL);
VARIANT(3, SM4_GCM, IOCTL);
VARIANT(2, SM4_GCM, URING);
VARIANT(3, SM4_GCM, URING);
VARIANT(2, SM4_CCM, IOCTL);
VARIANT(3, SM4_CCM, IOCTL);
VARIANT(2, SM4_CCM, URING);
VARIANT(3, SM4_CCM, URING);
VARIANT(2, ARIA_GCM_128, IOCTL);
VARIANT(3, ARIA_GCM_128, IOCTL);
VARIANT(2, ARIA_GCM_128, URING);
VARIANT(3, ARIA_GCM_128, URING);
VARIANT(2, ARIA_GCM_256, IOCTL);
VARIANT(3, ARIA_GCM_256, IOCTL);
VARIANT(2, ARIA_GCM_256, URING);
VARIANT(3, ARIA_GCM_256, URING);

static void fill(struct ktcm_attach *arg, const struct kpair *pair)
{
	*arg = (struct ktcm_attach){
		.abi = KTCM_ABI, .fd = pair->fd[KPAIR_LOCAL], .done = ~0u,
	};
	arg->info_len = (uint32_t)kpair_info(arg->tx, pair->version,
					     pair->cipher, KPAIR_LOCAL, 0);
	kpair_info(arg->rx, pair->version, pair->cipher, KPAIR_REMOTE, 0);
}

FIXTURE_SETUP(attach)
{
	self->pair.fd[0] = self->pair.fd[1] = -1;
	self->model = self->pair;
	self->dev = kdev_open();
	if (self->dev == -ENOENT)
		SKIP(return, "no /dev/ktlsclient");
	ASSERT_LE(0, self->dev);
	ASSERT_EQ(0, kpair_open(&self->pair, variant->version,
				variant->cipher));
	ASSERT_EQ(0, kpair_open(&self->model, variant->version,
				variant->cipher));
	fill(&self->arg, &self->pair);
}

FIXTURE_TEARDOWN(attach)
{
	kpair_close(&self->pair);
	kpair_close(&self->model);
	if (self->dev >= 0)
		close(self->dev);
}

/* What three calls give, and how far they come. */
static int by_setsockopt(const struct kpair *pair, unsigned int *done)
{
	int fd = pair->fd[KPAIR_LOCAL];
	int err = kpair_ulp(fd);

	*done = err ? 0 : KTCM_ATTACH_ULP;
	if (!err)
		err = kpair_set(fd, TLS_TX, pair->version, pair->cipher,
				KPAIR_LOCAL, 0);
	if (!err) {
		*done |= KTCM_ATTACH_TX;
		err = kpair_set(fd, TLS_RX, pair->version, pair->cipher,
				KPAIR_REMOTE, 0);
	}
	if (!err)
		*done |= KTCM_ATTACH_RX;
	return err;
}

/* Do both sockets show the same crypto_info in this direction? */
static bool same_keys(int a, int b, int direction, size_t len)
{
	uint8_t of_a[KTCM_CRYPTO_INFO_MAX], of_b[KTCM_CRYPTO_INFO_MAX];
	socklen_t len_a = (socklen_t)len, len_b = (socklen_t)len;

	return !getsockopt(a, SOL_TLS, direction, of_a, &len_a) &&
	       !getsockopt(b, SOL_TLS, direction, of_b, &len_b) &&
	       len_a == len && len_b == len && !memcmp(of_a, of_b, len);
}

static bool both_ways(const struct kpair *pair)
{
	int local = pair->fd[KPAIR_LOCAL], remote = pair->fd[KPAIR_REMOTE];
	uint8_t type, buf[32];

	return !kpair_write_all(local, "to the peer", 11) &&
	       kpair_recv(remote, &type, buf, sizeof(buf), 0) == 11 &&
	       type == KPAIR_DATA && !memcmp(buf, "to the peer", 11) &&
	       !kpair_write_all(remote, "and back", 8) &&
	       kpair_recv(local, &type, buf, sizeof(buf), 0) == 8 &&
	       type == KPAIR_DATA && !memcmp(buf, "and back", 8) &&
	       !kpair_close_notify(local) &&
	       kpair_recv(remote, &type, buf, sizeof(buf), 0) == 2 &&
	       type == KPAIR_ALERT;
}

#define ATTACH() \
	kdev_cmd(self->dev, variant->way, KTCM_IOC_ATTACH, &self->arg)

TEST_F(attach, gives_what_three_calls_give)
{
	int fd = self->pair.fd[KPAIR_LOCAL];
	int model = self->model.fd[KPAIR_LOCAL];
	unsigned int done;
	int err;

	err = by_setsockopt(&self->model, &done);
	if (!done)
		SKIP(return, "this kernel has no kTLS");
	ASSERT_EQ(err, ATTACH());
	/* ARIA with TLS 1.3: the calls had set the ULP before they knew */
	ASSERT_EQ(err == -EINVAL ? 0 : done, self->arg.done);
	if (err)
		SKIP(return, "same error %d; no such suite here", err);
	EXPECT_TRUE(same_keys(fd, model, TLS_TX, self->arg.info_len));
	EXPECT_TRUE(same_keys(fd, model, TLS_RX, self->arg.info_len));
	ASSERT_EQ(0, kpair_arm(self->pair.fd[KPAIR_REMOTE], variant->version,
			       variant->cipher, KPAIR_REMOTE));
	ASSERT_EQ(0, kpair_arm(self->model.fd[KPAIR_REMOTE], variant->version,
			       variant->cipher, KPAIR_REMOTE));
	EXPECT_TRUE(both_ways(&self->pair));
	EXPECT_TRUE(both_ways(&self->model));
	/* the sequence numbers have moved alike */
	EXPECT_TRUE(same_keys(fd, model, TLS_TX, self->arg.info_len));
	EXPECT_TRUE(same_keys(fd, model, TLS_RX, self->arg.info_len));
}

TEST_F(attach, takes_a_socket_that_has_the_ulp)
{
	unsigned int done;
	int err;

	err = kpair_ulp(self->pair.fd[KPAIR_LOCAL]);
	if (err == -ENOENT)
		SKIP(return, "this kernel has no kTLS");
	ASSERT_EQ(0, err);
	err = by_setsockopt(&self->model, &done);
	ASSERT_EQ(err, ATTACH());
	/* ARIA with TLS 1.3: the calls had set the ULP before they knew */
	ASSERT_EQ(err == -EINVAL ? 0 : done, self->arg.done);
	if (err)
		SKIP(return, "same error %d; no such suite here", err);
	ASSERT_EQ(0, kpair_arm(self->pair.fd[KPAIR_REMOTE], variant->version,
			       variant->cipher, KPAIR_REMOTE));
	EXPECT_TRUE(both_ways(&self->pair));
}

/* A server that answers and ends before the client came to attach. */
TEST_F(attach, with_the_ulp_it_can_come_after_the_peers_end)
{
	int remote = self->pair.fd[KPAIR_REMOTE];
	uint8_t type, buf[8];
	int err;

	err = kpair_ulp(self->pair.fd[KPAIR_LOCAL]);
	if (!err)
		err = kpair_arm(remote, variant->version, variant->cipher,
				KPAIR_REMOTE);
	if (err)
		SKIP(return, "no such suite here: %d", err);
	ASSERT_EQ(0, kpair_write_all(remote, "early", 5));
	ASSERT_EQ(0, shutdown(remote, SHUT_WR));
	ASSERT_EQ(0, ATTACH());
	EXPECT_EQ(5, kpair_recv(self->pair.fd[KPAIR_LOCAL], &type, buf,
				sizeof(buf), 0));
	EXPECT_EQ(KPAIR_DATA, type);
	EXPECT_EQ(0, kpair_recv(self->pair.fd[KPAIR_LOCAL], &type, buf,
				sizeof(buf), 0));
}

TEST_F(attach, is_counted)
{
	struct ktcm_info then, now;
	int err;

	ASSERT_EQ(0, kdev_info(self->dev, &then));
	err = ATTACH();
	ASSERT_EQ(0, kdev_info(self->dev, &now));
	EXPECT_EQ(then.attaches + !err, now.attaches);
	EXPECT_EQ(then.attaches_failed + !!err, now.attaches_failed);
}

TEST_HARNESS_MAIN
