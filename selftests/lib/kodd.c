// SPDX-License-Identifier: MIT
/* Odd descriptors and pointers; see kodd.h. */
#include "kodd.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host.h"
#include "kdev.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static struct kodd odd_fd(const char *name, int fd)
{
	struct kodd odd = { .name = name, .fd = fd, .helper = { -1, -1 } };

	return odd;
}

void kodd_no_socket(struct kodd odd[KODD_NR_NO_SOCKET])
{
	int fds[2] = { -1, -1 };

	odd[0] = odd_fd("file", memfd_create("odd", MFD_CLOEXEC));
	odd[1] = odd_fd("pipe", pipe2(fds, O_CLOEXEC) ? -1 : fds[0]);
	odd[1].helper[0] = fds[1];
	odd[2] = odd_fd("epoll", epoll_create1(EPOLL_CLOEXEC));
	odd[3] = odd_fd("eventfd", eventfd(0, EFD_CLOEXEC));
	odd[4] = odd_fd("directory", open("/", O_DIRECTORY | O_CLOEXEC));
	odd[5] = odd_fd("device", kdev_open());
}

void kodd_no_fd(struct kodd odd[KODD_NR_NO_FD])
{
	/* not the lowest free one, which a ring's would be */
	int closed = fcntl(0, F_DUPFD, 700);

	close(closed);
	odd[0] = odd_fd("closed", closed);
	odd[1] = odd_fd("-1", -1);
	odd[2] = odd_fd("INT_MIN", INT_MIN);
	odd[3] = odd_fd("INT_MAX", INT_MAX);
}

void kodd_other(struct kodd odd[KODD_NR_OTHER])
{
	int fds[2] = { -1, -1 };

	odd[0] = odd_fd("UDP", socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	odd[1] = odd_fd("UDP over IPv6",
			socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	odd[2] = odd_fd("unix seqpacket",
			socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
				   fds) ? -1 : fds[0]);
	odd[2].helper[0] = fds[1];
	odd[3] = odd_fd("netlink", socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC,
					  NETLINK_ROUTE));
	odd[4] = odd_fd("MPTCP", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC,
					IPPROTO_MPTCP));
}

/* One end of a pair; the other is the helper. */
static struct kodd pair_end(const char *name)
{
	struct kodd odd = odd_fd(name, -1);
	int fds[2];

	if (!host_tcp_pair(fds)) {
		odd.fd = fds[0];
		odd.helper[0] = fds[1];
	}
	return odd;
}

/* Waits until the end of the other side has come. */
static void await_end(int fd)
{
	char byte;

	(void)recv(fd, &byte, 1, 0);
}

void kodd_unconnected(struct kodd odd[KODD_NR_UNCONNECTED])
{
	struct sockaddr_in addr;

	odd[0] = odd_fd("new", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	odd[1] = odd_fd("listening", host_listen(1, &addr));
	odd[2] = pair_end("after the peer's FIN");
	close(odd[2].helper[0]);
	odd[2].helper[0] = -1;
	await_end(odd[2].fd);
	odd[3] = pair_end("after a reset");
	host_reset(odd[3].helper[0]);
	odd[3].helper[0] = -1;
	await_end(odd[3].fd);
	odd[4] = pair_end("after a FIN of its own");
	shutdown(odd[4].fd, SHUT_WR);
	odd[5] = pair_end("after both");
	shutdown(odd[5].fd, SHUT_WR);
	shutdown(odd[5].helper[0], SHUT_WR);
	await_end(odd[5].fd);
}

void kodd_free(struct kodd *odd, unsigned int n)
{
	unsigned int i, j;

	for (i = 0; i < n; i++) {
		if (odd[i].fd >= 0)
			close(odd[i].fd);
		for (j = 0; j < 2; j++)
			if (odd[i].helper[j] >= 0)
				close(odd[i].helper[j]);
	}
}

/* Two pages, of which the second can be taken away. */
static char *two_pages(size_t *page)
{
	char *map;

	*page = (size_t)sysconf(_SC_PAGESIZE);
	map = mmap(NULL, 2 * *page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return map == MAP_FAILED ? NULL : map;
}

void *kodd_cut(const void *object, size_t mapped)
{
	size_t page;
	char *map = two_pages(&page);

	if (!map)
		return NULL;
	memcpy(map + page - mapped, object, mapped);
	/* no access rather than a hole, which another mapping could fill */
	(void)mprotect(map + page, page, PROT_NONE);
	return map + page - mapped;
}

void *kodd_read_only(const void *object, size_t len)
{
	size_t page;
	char *map = two_pages(&page);

	if (!map)
		return NULL;
	memcpy(map + sizeof(uint64_t), object, len);
	(void)mprotect(map, page, PROT_READ);
	return map + sizeof(uint64_t);
}

void kodd_uncut(void *p)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	/* an object never begins with the first page, but may behind it */
	if (p)
		munmap((void *)(((uintptr_t)p - 1) / page * page), 2 * page);
}
