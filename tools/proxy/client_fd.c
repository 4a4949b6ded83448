// SPDX-License-Identifier: MIT
/*
 * See client_fd.h. Any thread. A file of its own for <linux/tcp.h>, whose
 * struct tcp_info has what the C library's lacks, and which does not go with
 * <netinet/tcp.h>.
 */
#include "client_fd.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* TCP_CLOSE, which only the other header has */
#define STATE_CLOSE 7

#define END_OF(type, field) \
	(offsetof(type, field) + sizeof(((type *)NULL)->field))

void client_fd_reset(int fd)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	/* refused, there is nothing else to do */
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

bool client_fd_is_untouched(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	int unread;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) ||
	    len < END_OF(struct tcp_info, tcpi_bytes_received) ||
	    ioctl(fd, FIONREAD, &unread))
		return false;
	/* a FIN counts as a byte */
	return info.tcpi_bytes_received == (uint64_t)unread;
}

bool client_fd_has_ended(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLRDHUP };

	return poll(&poll_fd, 1, 0) == 1;
}

bool client_fd_is_gone(int fd)
{
	/* POLLERR and POLLHUP are always told */
	struct pollfd poll_fd = { .fd = fd };
	int unread;

	if (poll(&poll_fd, 1, 0) != 1)
		return false;
	/* a unix socket's peer may have closed after its last word */
	return poll_fd.revents & POLLERR || ioctl(fd, FIONREAD, &unread) ||
	       !unread;
}

/* A connection that was reset goes on counting what it never sent. */
static bool is_reset(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	return !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) &&
	       info.tcpi_state == STATE_CLOSE;
}

bool client_fd_has_unsent(int fd)
{
	int bytes;

	/* a socket that does not know has none that matter any more */
	return !ioctl(fd, SIOCOUTQ, &bytes) && bytes > 0 && !is_reset(fd);
}
