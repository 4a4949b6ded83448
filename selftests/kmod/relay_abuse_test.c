// SPDX-License-Identifier: GPL-2.0-only
/*
 * RELAY with everything that can be wrong with it: the errno, and sockets that
 * are free and flow as before. By ioctl and ring, as root and as nobody. What
 * is wrong with a running relay's descriptor is relay_fd_test's.
 */
#include "kselftest_harness.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host.h"
#include "kdev.h"
#include "kodd.h"
#include "krelay.h"

#define RELAYS_MAX "/sys/module/ktlsclient/parameters/relays_max"

FIXTURE(abuse)
{
	struct krelay r;	/* a good one, not started */
	struct ktcm_relay arg;
};

FIXTURE_VARIANT(abuse)
{
	enum kdev_way way;
	bool nobody;
	bool unix_plain;
};

#define VARIANT(name, w, n, u) \
	FIXTURE_VARIANT_ADD(abuse, name) \
	{ \
		.way = KDEV_##w, .nobody = n, .unix_plain = u, \
	}

VARIANT(ioctl, IOCTL, false, false);
VARIANT(uring, URING, false, true);
VARIANT(nobody_ioctl, IOCTL, true, true);
VARIANT(nobody_uring, URING, true, false);

FIXTURE_SETUP(abuse)
{
	struct krelay_opts opts = { .unix_plain = variant->unix_plain };
	int err;

	if (variant->nobody)
		ASSERT_EQ(0, kdev_drop_privileges());
	err = krelay_sockets(&self->r, &opts);
	if (err == -ENXIO)
		SKIP(return, "no /dev/ktlsclient");
	if (err == -ENOENT)
		SKIP(return, "this kernel has no kTLS");
	ASSERT_EQ(0, err);
}

FIXTURE_TEARDOWN(abuse)
{
	krelay_free(&self->r);
}

static void fill(struct _test_data_abuse *self)
{
	self->arg = (struct ktcm_relay){
		.abi = KTCM_ABI,
		.tls_fd = self->r.tls,
		.plain_fd = self->r.plain,
	};
}

static bool passes(int from, int to)
{
	char buf[4];

	return !kpair_write_all(from, "ping", 4) &&
	       !kpair_read_all(to, buf, 4) && !memcmp(buf, "ping", 4);
}

/* Nobody takes a byte of the two sockets, and nobody has them. */
static bool untouched(const struct krelay *r)
{
	return passes(r->tls, r->remote) && passes(r->remote, r->tls) &&
	       passes(r->plain, r->local) && passes(r->local, r->plain);
}

#define RELAY() \
	kdev_cmd(self->r.dev, variant->way, KTCM_IOC_RELAY, &self->arg)

/* A good argument with one thing changed. */
#define BAD(err, change) \
	do { \
		unsigned int fds = host_open_fds(); \
		fill(self); \
		change; \
		EXPECT_EQ(-(err), RELAY()) \
		{ \
			TH_LOG("%s", #change); \
		} \
		EXPECT_EQ(fds, host_open_fds()); \
		EXPECT_TRUE(untouched(&self->r)) \
		{ \
			TH_LOG("%s", #change); \
		} \
	} while (0)

#define ARG (self->arg)

/* The yardstick; and after all that was refused it is still good. */
static void expect_good(struct __test_metadata *_metadata,
			struct _test_data_abuse *self, enum kdev_way way)
{
	int fd;

	fill(self);
	fd = kdev_cmd(self->r.dev, way, KTCM_IOC_RELAY, &self->arg);
	ASSERT_LE(0, fd);
	EXPECT_TRUE(passes(self->r.local, self->r.remote));
	EXPECT_TRUE(passes(self->r.remote, self->r.local));
	close(fd);
	EXPECT_TRUE(untouched(&self->r));
}

#define EXPECT_GOOD() expect_good(_metadata, self, variant->way)

TEST_F(abuse, the_good_argument_is_good)
{
	EXPECT_GOOD();
	EXPECT_GOOD();
}

TEST_F(abuse, fields)
{
	BAD(EPROTO, ARG.abi = 0);
	BAD(EPROTO, ARG.abi = KTCM_ABI + 1);
	BAD(EINVAL, ARG.flags = KTCM_RELAY_NONBLOCK << 1);
	BAD(EINVAL, ARG.flags = 1u << 31);
	BAD(EINVAL, ARG.reserved[0] = 1);
	BAD(EINVAL, ARG.reserved[1] = 1ull << 63);
	EXPECT_GOOD();
}

static void refuses_all(struct __test_metadata *_metadata,
			struct _test_data_abuse *self, enum kdev_way way,
			const struct kodd *odd, unsigned int n, int tls_err,
			int plain_err)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		/* what this kernel does not have */
		if (odd[i].fd == -1 && tls_err != EBADF)
			continue;
		if (tls_err) {
			fill(self);
			ARG.tls_fd = odd[i].fd;
			EXPECT_EQ(-tls_err,
				  kdev_cmd(self->r.dev, way, KTCM_IOC_RELAY,
					   &self->arg))
			{
				TH_LOG("%s as tls_fd", odd[i].name);
			}
		}
		if (plain_err) {
			fill(self);
			ARG.plain_fd = odd[i].fd;
			EXPECT_EQ(-plain_err,
				  kdev_cmd(self->r.dev, way, KTCM_IOC_RELAY,
					   &self->arg))
			{
				TH_LOG("%s as plain_fd", odd[i].name);
			}
		}
	}
	EXPECT_TRUE(untouched(&self->r));
}

#define REFUSES_ALL(odd, n, tls_err, plain_err) \
	refuses_all(_metadata, self, variant->way, odd, n, tls_err, plain_err)

TEST_F(abuse, other_descriptors)
{
	struct kodd no_fd[KODD_NR_NO_FD], no_socket[KODD_NR_NO_SOCKET];
	struct kodd other[KODD_NR_OTHER], stream;
	int fds[2];

	kodd_no_fd(no_fd);
	REFUSES_ALL(no_fd, KODD_NR_NO_FD, EBADF, EBADF);
	kodd_no_socket(no_socket);
	REFUSES_ALL(no_socket, KODD_NR_NO_SOCKET, ENOTSOCK, ENOTSOCK);
	kodd_free(no_socket, KODD_NR_NO_SOCKET);
	kodd_other(other);
	REFUSES_ALL(other, KODD_NR_OTHER, EOPNOTSUPP, EOPNOTSUPP);
	kodd_free(other, KODD_NR_OTHER);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	stream = (struct kodd){ "unix stream", fds[0], { fds[1], -1 } };
	REFUSES_ALL(&stream, 1, EOPNOTSUPP, 0);
	kodd_free(&stream, 1);
	EXPECT_GOOD();
}

/*
 * TCP that is half closed may be a plain side all the same: its other half
 * can carry what there is.
 */
TEST_F(abuse, sockets_without_a_connection)
{
	struct kodd odd[KODD_NR_UNCONNECTED], unix_fd[2];
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	unsigned int i;
	int err;

	kodd_unconnected(odd);
	for (i = 0; i < KODD_NR_UNCONNECTED; i++) {
		bool never = i < 2;	/* never was connected */

		fill(self);
		ARG.tls_fd = odd[i].fd;
		err = RELAY();
		EXPECT_TRUE(err == -ENOTCONN || (!never && err == -ENOKEY))
		{
			TH_LOG("%s: %d", odd[i].name, err);
		}
	}
	REFUSES_ALL(odd, 2, 0, ENOTCONN);
	kodd_free(odd, KODD_NR_UNCONNECTED);
	unix_fd[0] = (struct kodd){ "new unix",
				    socket(AF_UNIX, SOCK_STREAM, 0),
				    { -1, -1 } };
	unix_fd[1] = unix_fd[0];
	unix_fd[1].name = "listening unix";
	unix_fd[1].fd = socket(AF_UNIX, SOCK_STREAM, 0);
	/* autobind: a name nobody else has */
	ASSERT_EQ(0, bind(unix_fd[1].fd, (struct sockaddr *)&addr,
			  sizeof(addr.sun_family)));
	ASSERT_EQ(0, listen(unix_fd[1].fd, 1));
	REFUSES_ALL(unix_fd, 2, 0, ENOTCONN);
	kodd_free(unix_fd, 2);
	EXPECT_GOOD();
}

/* TCP with everything short of keys both ways. */
TEST_F(abuse, sockets_without_keys)
{
	enum { NONE, ULP, TX, RX, NR };
	struct kpair pair;
	int kind, fd;

	for (kind = NONE; kind < NR; kind++) {
		ASSERT_EQ(0, kpair_open(&pair, TLS_1_3_VERSION,
					TLS_CIPHER_AES_GCM_128));
		fd = pair.fd[KPAIR_LOCAL];
		if (kind >= ULP)
			ASSERT_EQ(0, kpair_ulp(fd));
		if (kind >= TX)
			ASSERT_EQ(0, kpair_set(fd, kind == TX ? TLS_TX : TLS_RX,
					       pair.version, pair.cipher,
					       KPAIR_LOCAL, 0));
		BAD(ENOKEY, ARG.tls_fd = fd);
		if (kind >= ULP)
			BAD(EINVAL, ARG.plain_fd = fd);
		kpair_close(&pair);
	}
	EXPECT_GOOD();
}

TEST_F(abuse, the_same_socket_twice)
{
	int twin = dup(self->r.tls);

	ASSERT_LE(0, twin);
	BAD(EINVAL, ARG.plain_fd = ARG.tls_fd);
	BAD(EINVAL, ARG.plain_fd = twin);
	BAD(EINVAL, (ARG.plain_fd = ARG.tls_fd, ARG.tls_fd = twin));
	close(twin);
	EXPECT_GOOD();
}

TEST_F(abuse, a_plain_side_with_keys)
{
	BAD(EINVAL, ARG.plain_fd = self->r.remote);
	EXPECT_GOOD();
}

TEST_F(abuse, sockets_in_another_relay)
{
	struct krelay_opts opts = { .unix_plain = variant->unix_plain };
	struct krelay busy;
	int twin;

	ASSERT_EQ(0, krelay_new(&busy, &opts));
	twin = dup(busy.tls);
	BAD(EBUSY, ARG.tls_fd = busy.tls);
	BAD(EBUSY, ARG.tls_fd = twin);
	BAD(EBUSY, ARG.plain_fd = busy.plain);
	BAD(EBUSY, (ARG.tls_fd = busy.tls, ARG.plain_fd = busy.plain));
	EXPECT_TRUE(passes(busy.local, busy.remote));
	EXPECT_TRUE(passes(busy.remote, busy.local));
	/* the other end of a plain side is anybody's */
	krelay_shut(&busy.fd);
	EXPECT_TRUE(untouched(&busy));
	fill(self);
	ARG.tls_fd = busy.tls;
	busy.fd = RELAY();
	EXPECT_LE(0, busy.fd);
	EXPECT_TRUE(passes(self->r.local, busy.remote));
	close(twin);
	krelay_free(&busy);
	EXPECT_GOOD();
}

TEST_F(abuse, memory_that_ends)
{
	struct ktcm_relay *cut;
	size_t mapped;

	fill(self);
	for (mapped = 0; mapped < sizeof(self->arg); mapped += 4) {
		cut = kodd_cut(&self->arg, mapped);
		ASSERT_NE(NULL, cut);
		EXPECT_EQ(-EFAULT, kdev_cmd(self->r.dev, variant->way,
					    KTCM_IOC_RELAY, cut))
		{
			TH_LOG("%zu bytes", mapped);
		}
		kodd_uncut(cut);
	}
	EXPECT_TRUE(untouched(&self->r));
	EXPECT_GOOD();
}

TEST_F(abuse, read_only_memory_will_do)
{
	const struct ktcm_relay *arg;
	int fd;

	fill(self);
	arg = kodd_read_only(&self->arg, sizeof(self->arg));
	ASSERT_NE(NULL, arg);
	fd = kdev_cmd(self->r.dev, variant->way, KTCM_IOC_RELAY, arg);
	EXPECT_LE(0, fd);
	close(fd);
}

TEST_F(abuse, no_descriptor_left)
{
	struct rlimit old, limit;
	int ret, next;

	if (variant->way != KDEV_IOCTL)
		SKIP(return, "a ring needs a descriptor itself");
	next = dup(0);
	ASSERT_LE(0, next);
	close(next);
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	limit = old;
	limit.rlim_cur = (rlim_t)next;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	fill(self);
	ret = RELAY();
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	EXPECT_EQ(-EMFILE, ret);
	EXPECT_TRUE(untouched(&self->r));
	EXPECT_GOOD();
}

static bool relays_max_write(unsigned long value)
{
	FILE *file = fopen(RELAYS_MAX, "w");
	bool ok = file && fprintf(file, "%lu\n", value) > 0;

	if (file && fclose(file))
		ok = false;
	return ok;
}

TEST_F(abuse, more_relays_than_allowed)
{
	struct ktcm_info info;
	unsigned long old = 0;
	FILE *file = fopen(RELAYS_MAX, "r");
	int first, second;

	ASSERT_NE(NULL, file);
	EXPECT_EQ(1, fscanf(file, "%lu", &old));
	fclose(file);
	EXPECT_LT(0, old);
	ASSERT_EQ(0, kdev_info(self->r.dev, &info));
	if (variant->nobody) {
		EXPECT_FALSE(relays_max_write(1));
		return;
	}
	ASSERT_TRUE(relays_max_write(info.relays));
	fill(self);
	first = RELAY();
	relays_max_write(info.relays + 1);
	second = RELAY();
	relays_max_write(old);
	EXPECT_EQ(-ENFILE, first);
	EXPECT_LE(0, second);
	close(second);
	EXPECT_TRUE(untouched(&self->r));
	EXPECT_GOOD();
}

/* What was refused, and what was closed, holds no reference to the sockets. */
TEST_F(abuse, no_reference_is_left)
{
	char byte;

	BAD(EINVAL, ARG.flags = 1u << 31);
	BAD(EBADF, ARG.plain_fd = -1);
	EXPECT_GOOD();
	krelay_shut(&self->r.tls);
	krelay_shut(&self->r.plain);
	EXPECT_EQ(0, recv(self->r.remote, &byte, 1, 0));
	EXPECT_EQ(0, recv(self->r.local, &byte, 1, 0));
}

TEST_HARNESS_MAIN
