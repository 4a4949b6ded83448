// SPDX-License-Identifier: MIT
/*
 * What this kernel can do, found by doing it on loopback sockets: a version
 * number says nothing, as distributions port features back and leave modules
 * out. Any thread; the first caller tries, under a lock, and later ones get
 * the same answer. A try that failed for want of memory or descriptors is
 * not remembered.
 */
#include "probe.h"

#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "sockopt_sqe.h"
#include "suite.h"
#include "sys.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

#define RING_WAIT_S 5

/* The machine is short of something, which says nothing about the kernel. */
static bool is_passing(int err)
{
	return err == -ENOMEM || err == -ENOBUFS || err == -EMFILE ||
	       err == -ENFILE || err == -EAGAIN || err == -EINTR;
}

static void close_pair(int fds[2])
{
	/* Nothing was sent, so nothing can be lost. */
	(void)sys->close(fds[0]);
	(void)sys->close(fds[1]);
}

/*
 * Two ends of an established TCP connection. The listener's queue takes the
 * connection before accept(), so nothing here waits.
 */
static int tcp_pair(int fds[2])
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	socklen_t len = sizeof(addr);
	int listener, client, server, err;

	listener = sys->socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0)
		return listener;
	client = sys->socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client < 0) {
		err = client;
		goto out_listener;
	}
	if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&addr, &len) < 0) {
		err = -errno;
		goto out_client;
	}
	err = sys->connect(client, (struct sockaddr *)&addr, len);
	if (err < 0)
		goto out_client;
	server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (server < 0) {
		err = -errno;
		goto out_client;
	}
	(void)sys->close(listener);	/* it has done its work */
	fds[0] = client;
	fds[1] = server;
	return 0;

out_client:
	(void)sys->close(client);
out_listener:
	(void)sys->close(listener);
	return err;
}

static int set_ulp(int fd)
{
	return sys->setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls"));
}

/* The keys of a connection that never carries a byte. */
static int set_keys(int fd, const struct suite *suite, int direction,
		    uint8_t filler)
{
	uint8_t key[SUITE_KEY_MAX], nonce[SUITE_NONCE_LEN];
	union suite_crypto_info info;

	memset(key, filler, sizeof(key));
	memset(nonce, filler, sizeof(nonce));
	suite_fill(suite, &info, key, nonce, 0);
	return sys->setsockopt(fd, SOL_TLS, direction, &info, suite->info_len);
}

static int try_ulp(struct ktc_caps *caps)
{
	int fds[2] = { -1, -1 };
	int err;

	err = tcp_pair(fds);
	if (err)
		return err;
	err = set_ulp(fds[0]);
	close_pair(fds);
	if (is_passing(err))
		return err;
	caps->ktls = !err;
	caps->ktls_errno = -err;
	return 0;
}

/*
 * One cipher, both directions. Where it is there and the version is 1.3, the
 * only one with KeyUpdate, the keys are set once more: EBUSY before Linux
 * 6.14.
 */
static int try_suite(const struct suite *suite, struct ktc_caps *caps)
{
	int fds[2] = { -1, -1 };
	int err;

	err = tcp_pair(fds);
	if (err)
		return err;
	err = set_ulp(fds[0]);
	if (!err)
		err = set_keys(fds[0], suite, TLS_TX, 1);
	if (!err)
		err = set_keys(fds[0], suite, TLS_RX, 2);
	if (err)
		goto out;
	caps->suites |= 1U << suite->caps_bit;
	if (suite->version != KTC_TLS1_3 || caps->rekey)
		goto out;
	err = set_keys(fds[0], suite, TLS_TX, 3);
	if (!err)
		err = set_keys(fds[0], suite, TLS_RX, 4);
	caps->rekey = !err;
out:
	close_pair(fds);
	return is_passing(err) ? err : 0;
}

static int try_suites(struct ktc_caps *caps)
{
	const struct suite *suite;
	size_t i;
	int err;

	for (i = 0; (suite = suite_at(i)); i++) {
		/* several suites share a kernel cipher */
		if (caps->suites & 1U << suite->caps_bit)
			continue;
		err = try_suite(suite, caps);
		if (err)
			return err;
	}
	return 0;
}

/* The next completion's result; -ETIME if none comes. */
static int ring_result(struct io_uring *ring)
{
	struct __kernel_timespec limit = { .tv_sec = RING_WAIT_S };
	struct io_uring_cqe *cqe = NULL;
	int err;

	err = io_uring_wait_cqe_timeout(ring, &cqe, &limit);
	if (err)
		return err;
	err = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return err;
}

/*
 * Sets a socket option by a command that is linked behind another, and changes
 * the submission entry once it is submitted. From Linux 6.10 on a command kept
 * a pointer to its entry, and a linked one was read when its turn came: by then
 * the entry could be another connection's, and so the keys. A kernel that has
 * mended that still sets KEEPCNT_RIGHT.
 */
#define KEEPCNT_RIGHT 3
#define KEEPCNT_WRONG 5

static int ring_chain(struct io_uring *ring, int fd)
{
	/* static: the kernel may still read them if the wait runs out */
	static const int right = KEEPCNT_RIGHT, wrong = KEEPCNT_WRONG;
	struct io_uring_sqe *sqe;
	int err;

	sqe = io_uring_get_sqe(ring);
	if (!sqe)
		return -EAGAIN;
	io_uring_prep_nop(sqe);
	sqe->flags |= IOSQE_IO_LINK;
	sqe = io_uring_get_sqe(ring);
	if (!sqe)
		return -EAGAIN;
	sockopt_sqe_prep(sqe, fd, IPPROTO_TCP, TCP_KEEPCNT, &right,
			 sizeof(right));
	err = io_uring_submit(ring);
	if (err < 0)
		return err;
	sqe->addr3 = (uintptr_t)&wrong;
	err = ring_result(ring);
	return err ? err : ring_result(ring);
}

static int try_ring(struct ktc_caps *caps)
{
	/* deferred: the linked command waits until completions are asked for */
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN,
	};
	socklen_t len = sizeof(int);
	struct io_uring ring;
	int fds[2] = { -1, -1 };
	int err, count = 0;

	err = tcp_pair(fds);
	if (err)
		return err;
	err = sys->ring_init(2, &ring, &params);
	if (!err) {
		err = ring_chain(&ring, fds[0]);
		io_uring_queue_exit(&ring);
	}
	/* Believed when seen: the option must have changed, and to this. */
	if (!err)
		err = sys->getsockopt(fds[0], IPPROTO_TCP, TCP_KEEPCNT, &count,
				      &len);
	caps->ring_sockopt = !err && count == KEEPCNT_RIGHT;
	close_pair(fds);
	/* No ring is an answer too, and no reason to have none at all. */
	return 0;
}

static int try_all(struct ktc_caps *caps)
{
	int err;

	memset(caps, 0, sizeof(*caps));
	caps->size = sizeof(*caps);
	err = try_ulp(caps);
	if (!err && caps->ktls)
		err = try_suites(caps);
	if (!err)
		err = try_ring(caps);
	return err;
}

int probe_caps(const struct ktc_caps **out)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct ktc_caps caps;	/* written once, under lock */
	static bool known;		/* under lock */
	struct ktc_caps found;
	int err = 0;

	(void)pthread_mutex_lock(&lock);	/* a plain one never fails */
	if (!known) {
		err = try_all(&found);
		if (!err) {
			caps = found;
			known = true;
		}
	}
	(void)pthread_mutex_unlock(&lock);	/* it is ours */
	if (!err)
		*out = &caps;
	return err;
}
