// SPDX-License-Identifier: MIT
/* Sockets, descriptors, memory, kernel capabilities for tests; see host.h. */
#include "host.h"

#include <ktlsclient.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys.h"

static atomic_long live;

bool host_ktls(void)
{
	struct ktc_caps caps = { .size = sizeof(caps) };

	return !ktc_probe(&caps) && caps.ktls;
}

bool host_rekey(void)
{
	struct ktc_caps caps = { .size = sizeof(caps) };

	return !ktc_probe(&caps) && caps.rekey;
}

unsigned int host_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

struct sockaddr_in host_loopback(uint16_t port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	return addr;
}

int host_listen(int backlog, struct sockaddr_in *addr)
{
	socklen_t len = sizeof(*addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	*addr = host_loopback(0);
	if (bind(fd, (struct sockaddr *)addr, len) || listen(fd, backlog) ||
	    getsockname(fd, (struct sockaddr *)addr, &len)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int connect_to(const struct sockaddr_in *addr)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)addr,
			       sizeof(*addr))) {
		close(fd);
		return -1;
	}
	return fd;
}

int host_blackhole(struct sockaddr_in *addr, int fds[2])
{
	fds[0] = host_listen(0, addr);
	if (fds[0] < 0)
		return -1;
	fds[1] = connect_to(addr);
	if (fds[1] < 0)
		close(fds[0]);
	return fds[1] < 0 ? -1 : 0;
}

int host_tcp_pair(int fds[2])
{
	struct sockaddr_in addr;
	int fd = host_listen(1, &addr);

	if (fd < 0)
		return -1;
	fds[0] = connect_to(&addr);
	fds[1] = fds[0] < 0 ? -1 : accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (fds[0] >= 0 && fds[1] < 0)
		close(fds[0]);
	close(fd);
	return fds[1] < 0 ? -1 : 0;
}

void host_reset(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

static void *counted_alloc(size_t size)
{
	void *p = sys_real.alloc(size);

	atomic_fetch_add(&live, !!p);
	return p;
}

static void counted_free(void *p)
{
	atomic_fetch_sub(&live, !!p);
	sys_real.free(p);
}

static void *counted_map(size_t len)
{
	void *p = sys_real.map(len);

	atomic_fetch_add(&live, !!p);
	return p;
}

static void counted_unmap(void *p, size_t len)
{
	atomic_fetch_sub(&live, 1);
	sys_real.unmap(p, len);
}

void host_count_memory(struct sys_ops *ops)
{
	ops->alloc = counted_alloc;
	ops->free = counted_free;
	ops->map = counted_map;
	ops->unmap = counted_unmap;
}

long host_live_memory(void)
{
	return atomic_load(&live);
}
