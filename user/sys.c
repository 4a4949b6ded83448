// SPDX-License-Identifier: MIT
/*
 * The real system: each function calls what its name says and turns failure
 * into -errno. Nothing here decides anything. Any thread.
 */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static int result(long ret)
{
	return ret < 0 ? -errno : (int)ret;
}

static void *real_alloc(size_t size)
{
	return calloc(1, size);
}

static void real_free(void *p)
{
	free(p);
}

static void *real_map(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* Secrets in a core dump would be worse than no memory. */
	if (madvise(p, len, MADV_DONTDUMP)) {
		(void)munmap(p, len);	/* a mapping we have just made */
		return NULL;
	}
	return p;
}

static void real_unmap(void *p, size_t len)
{
	(void)munmap(p, len);	/* fails only for what is no mapping */
}

static int real_socket(int domain, int type, int protocol)
{
	return result(socket(domain, type, protocol));
}

static int real_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return result(connect(fd, addr, len));
}

static int real_setsockopt(int fd, int level, int name, const void *val,
			   socklen_t len)
{
	return result(setsockopt(fd, level, name, val, len));
}

static int real_getsockopt(int fd, int level, int name, void *val,
			   socklen_t *len)
{
	return result(getsockopt(fd, level, name, val, len));
}

static int real_shutdown(int fd, int how)
{
	return result(shutdown(fd, how));
}

static int real_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return result(sendmsg(fd, msg, flags));
}

static int real_send(int fd, const void *buf, size_t len, int flags)
{
	return result(send(fd, buf, len, flags));
}

static int real_outq(int fd)
{
	int bytes = 0;

	return ioctl(fd, SIOCOUTQ, &bytes) < 0 ? -errno : bytes;
}

static int real_pipe(int fds[2])
{
	return result(pipe2(fds, O_CLOEXEC));
}

static int real_close(int fd)
{
	return result(close(fd));
}

static int real_open(const char *path, int flags)
{
	return result(open(path, flags));
}

static int real_ioctl(int fd, unsigned long request, void *arg)
{
	return result(ioctl(fd, request, arg));
}

static int real_eventfd(void)
{
	return result(eventfd(0, EFD_CLOEXEC));
}

static int real_ring_init(unsigned int entries, struct io_uring *ring,
			  struct io_uring_params *params)
{
	return io_uring_queue_init_params(entries, ring, params);
}

static int real_completion(unsigned int op, int res)
{
	(void)op;
	return res;
}

static int real_lookup(const char *name, const char *service,
		       const struct addrinfo *hints, struct addrinfo **out)
{
	return getaddrinfo(name, service, hints, out);
}

static void real_lookup_free(struct addrinfo *list)
{
	freeaddrinfo(list);
}

static int real_thread(void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;
	int err;

	err = pthread_attr_init(&attr);
	if (err)
		return -err;
	err = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (err)
		goto out_attr;

	/* Signals are for the program's threads: ours has all blocked. */
	sigfillset(&all);
	err = pthread_sigmask(SIG_SETMASK, &all, &old);
	if (err)
		goto out_attr;
	err = pthread_create(&thread, &attr, fn, arg);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);	/* a mask it gave us */
out_attr:
	(void)pthread_attr_destroy(&attr);	/* always 0 in Linux libcs */
	return -err;
}

static uint64_t real_now_us(void)
{
	struct timespec now;

	/* The clock is always there, and the pointer is good. */
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t real_time_s(void)
{
	/* the tick's clock: needs no look at the hardware's, which is slow */
	return (uint64_t)time(NULL);	/* never fails without an argument */
}

const struct sys_ops sys_real = {
	.alloc = real_alloc,
	.free = real_free,
	.map = real_map,
	.unmap = real_unmap,
	.socket = real_socket,
	.connect = real_connect,
	.setsockopt = real_setsockopt,
	.getsockopt = real_getsockopt,
	.shutdown = real_shutdown,
	.sendmsg = real_sendmsg,
	.send = real_send,
	.outq = real_outq,
	.pipe = real_pipe,
	.close = real_close,
	.open = real_open,
	.ioctl = real_ioctl,
	.eventfd = real_eventfd,
	.ring_init = real_ring_init,
	.completion = real_completion,
	.lookup = real_lookup,
	.lookup_free = real_lookup_free,
	.thread = real_thread,
	.now_us = real_now_us,
	.time_s = real_time_s,
};

const struct sys_ops *sys = &sys_real;
