// SPDX-License-Identifier: MIT
/* The plain side of a relay; see plain.h. One thread each. */
#include "plain.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "pattern.h"
#include "util.h"

static int tcp_pair(int fds[2])
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;
	int err = 0;

	fds[0] = fds[1] = -1;
	if (listener < 0)
		return -errno;
	if (bind(listener, (struct sockaddr *)&addr, len) ||
	    listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&addr, &len))
		err = -errno;
	if (!err) {
		fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fds[0] < 0 ||
		    connect(fds[0], (struct sockaddr *)&addr, len))
			err = -errno;
	}
	if (!err) {
		fds[1] = accept(listener, NULL, NULL);
		if (fds[1] < 0 ||
		    setsockopt(fds[1], IPPROTO_TCP, TCP_NODELAY, &on,
			       sizeof(on)))
			err = -errno;
	}
	(void)close(listener);
	return err;
}

static void plain_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void plain_reset(struct plain *plain)
{
	const struct linger now = { .l_onoff = 1 };

	(void)setsockopt(plain->far, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	plain_close(&plain->far);
}

static void plain_failed(struct plain *plain)
{
	if (!plain->err)
		plain->err = errno;
}

static bool plain_send(struct plain *plain)
{
	uint64_t left = plain->opts.send - plain->sent;
	uint8_t buf[16384];
	size_t n = MIN(left, sizeof(buf));
	ssize_t ret;

	if (plain->opts.piece)
		n = MIN(n, plain->opts.piece);
	peer_pattern_fill(buf, plain->opts.send_from + plain->sent, n);
	ret = send(plain->far, buf, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (ret < 0 && errno == EAGAIN)
		return true;
	if (ret < 0) {
		plain_failed(plain);
		return false;
	}
	plain->sent += ret;
	if (plain->sent == plain->opts.send && plain->opts.shut)
		(void)shutdown(plain->far, SHUT_WR); /* the relay will see */
	return true;
}

static bool plain_recv(struct plain *plain)
{
	uint8_t buf[65536];
	size_t room = plain->opts.sip ? plain->opts.sip : sizeof(buf);
	ssize_t ret;

	ret = recv(plain->far, buf, MIN(room, sizeof(buf)), MSG_DONTWAIT);
	if (ret < 0 && errno == EAGAIN)
		return true;
	if (ret < 0) {
		plain_failed(plain);
		return false;
	}
	if (!ret) {
		plain->eof = true;
		return true;
	}
	if (peer_pattern_check(buf, plain->got, ret) != (size_t)ret)
		plain->mismatch = true;
	plain->got += ret;
	return true;
}

static void *plain_run(void *arg)
{
	struct plain *plain = arg;
	const struct plain_opts *opts = &plain->opts;
	struct pollfd at[2];
	bool held = opts->hold;
	char what;

	for (;;) {
		bool sends = plain->sent < opts->send &&
			     plain->got >= opts->send_after;

		if (plain->eof && !sends)
			break;
		at[0].fd = plain->far;
		at[0].events = (sends ? POLLOUT : 0) |
			       (!held && !plain->eof ? POLLIN : 0);
		at[1].fd = plain->wake[0];
		at[1].events = POLLIN;
		if (poll(at, 2, PLAIN_WAIT_MS) <= 0) {
			errno = ETIMEDOUT;
			plain_failed(plain);
			break;
		}
		if (at[1].revents) {
			if (read(plain->wake[0], &what, 1) != 1 || what == 'q')
				break;
			held = false;
		}
		if (at[0].revents & POLLOUT && !plain_send(plain))
			break;
		if (at[0].revents & (POLLIN | POLLERR | POLLHUP) &&
		    !plain_recv(plain))
			break;
		if (opts->reset_at && plain->got >= opts->reset_at) {
			plain_reset(plain);
			return NULL;
		}
	}
	plain_close(&plain->far);
	return NULL;
}

int plain_start(const struct plain_opts *opts, struct plain *plain)
{
	int fds[2], i, err;

	memset(plain, 0, sizeof(*plain));
	plain->fd = plain->far = plain->wake[0] = plain->wake[1] = -1;
	plain->opts = *opts;
	if (opts->unix_socket)
		err = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) ?
			      -errno : 0;
	else
		err = tcp_pair(fds);
	plain->fd = fds[0];
	plain->far = fds[1];
	for (i = 0; !err && opts->buffer && i < 2; i++)
		if (setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &opts->buffer,
			       sizeof(int)) ||
		    setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &opts->buffer,
			       sizeof(int)))
			err = -errno;
	if (!err && pipe2(plain->wake, O_CLOEXEC))
		err = -errno;
	if (!err)
		err = -pthread_create(&plain->thread, NULL, plain_run, plain);
	plain->started = !err;
	return err;
}

static void plain_tell(struct plain *plain, char what)
{
	/* a pipe takes a byte; the thread may be gone, which is as good */
	(void)!write(plain->wake[1], &what, 1);
}

void plain_go(struct plain *plain)
{
	plain_tell(plain, 'g');
}

void plain_quit(struct plain *plain)
{
	plain_tell(plain, 'q');
}

void plain_stop(struct plain *plain)
{
	/* a relay that has not ended it would keep the thread waiting */
	plain_close(&plain->fd);
	if (plain->started)
		(void)pthread_join(plain->thread, NULL);
	plain->started = false;
	plain_close(&plain->far);
	plain_close(&plain->wake[0]);
	plain_close(&plain->wake[1]);
}
