// SPDX-License-Identifier: MIT
/* One relay and its four sockets; see krelay.h. */
#include "krelay.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host.h"
#include "kdev.h"

static int set_buf_len(const struct krelay *r, int len)
{
	const int fds[] = { r->tls, r->remote, r->plain, r->local };
	unsigned int i;

	for (i = 0; i < 4; i++)
		if (setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &len,
			       sizeof(len)) ||
		    setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &len,
			       sizeof(len)))
			return -errno;
	return 0;
}

static int plain_pair(struct krelay *r, bool is_unix)
{
	int fds[2];

	if (is_unix ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) :
		      host_tcp_pair(fds))
		return -errno;
	r->plain = fds[0];
	r->local = fds[1];
	return 0;
}

static int tls_pair(struct krelay *r, const struct krelay_opts *opts)
{
	uint16_t version = opts->version ? : TLS_1_3_VERSION;
	uint16_t cipher = opts->cipher ? : TLS_CIPHER_AES_GCM_128;
	struct kpair pair;
	int err;

	err = kpair_open(&pair, version, cipher);
	r->tls = pair.fd[KPAIR_LOCAL];
	r->remote = pair.fd[KPAIR_REMOTE];
	if (!err && opts->buf_len)
		err = set_buf_len(r, opts->buf_len);
	if (!err)
		err = kpair_arm(r->tls, version, cipher, KPAIR_LOCAL);
	if (!err && !opts->raw_remote)
		err = kpair_arm(r->remote, version, cipher, KPAIR_REMOTE);
	return err;
}

int krelay_sockets(struct krelay *r, const struct krelay_opts *opts)
{
	int err;

	*r = (struct krelay){ -1, -1, -1, -1, -1, -1 };
	r->dev = kdev_open();
	if (r->dev < 0)
		return -ENXIO;
	err = plain_pair(r, opts->unix_plain);
	if (!err)
		err = tls_pair(r, opts);
	if (err)
		krelay_free(r);
	return err;
}

int krelay_start(struct krelay *r, const struct krelay_opts *opts)
{
	const struct ktcm_relay arg = {
		.abi = KTCM_ABI,
		.flags = opts->flags,
		.tls_fd = r->tls,
		.plain_fd = r->plain,
		.progress_bytes = opts->progress_bytes,
	};
	int ret = kdev_cmd(r->dev, KDEV_IOCTL, KTCM_IOC_RELAY, &arg);

	if (ret < 0)
		return ret;
	r->fd = ret;
	return 0;
}

int krelay_new(struct krelay *r, const struct krelay_opts *opts)
{
	int err = krelay_sockets(r, opts);

	if (err)
		return err;
	err = krelay_start(r, opts);
	if (err)
		krelay_free(r);
	return err;
}

void krelay_shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void krelay_free(struct krelay *r)
{
	krelay_shut(&r->fd);
	krelay_shut(&r->tls);
	krelay_shut(&r->remote);
	krelay_shut(&r->plain);
	krelay_shut(&r->local);
	krelay_shut(&r->dev);
}

int krelay_event(int fd, struct krelay_event *ev, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t ret;
	int n;

	ev->head = (struct ktcm_event){ 0 };
	do {
		n = poll(&p, 1, timeout_ms);
		if (n < 0 && errno != EINTR)
			return -errno;
	} while (n < 0);
	if (!n)
		return -ETIMEDOUT;
	ret = read(fd, ev, sizeof(*ev));
	if (ret < 0)
		return -errno;
	if (!ret)
		return -ENODATA;
	return (size_t)ret == sizeof(ev->head) + ev->head.len ? 0 : -EIO;
}

int krelay_next(int fd, struct krelay_event *ev)
{
	int err;

	do
		err = krelay_event(fd, ev, KRELAY_WAIT_MS);
	while (!err && ev->head.type == KTCM_EV_PROGRESS);
	return err;
}

int krelay_end(int fd, struct ktcm_event *end)
{
	struct krelay_event ev;
	int err;

	do
		err = krelay_next(fd, &ev);
	while (!err && ev.head.type != KTCM_EV_END);
	*end = ev.head;
	return err;
}

int krelay_status(int fd, struct ktcm_status *status)
{
	return ioctl(fd, KTCM_IOC_STATUS, status) ? -errno : 0;
}
