// SPDX-License-Identifier: MIT
/*
 * A failing system. All state is under one lock, for the library's look-up
 * threads allocate and free like its loop. Descriptors are kept by number; the
 * ones that the library got elsewhere (from the test, by dup) are not known
 * here, and no leak when they stay.
 */
#include "fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "module.h"
#include "ring.h"
#include "sys.h"

#define FDS_MAX 1024
#define THREADS_WAIT_S 10

static struct {
	pthread_mutex_t lock;
	pthread_cond_t thread_gone;
	/* what is to fail */
	unsigned int left;	/* calls until it; 0: not armed */
	int err;
	enum fault_mode mode;
	/* what has */
	unsigned int fired;
	unsigned int hit;	/* bits of enum fault_call */
	enum fault_call first;
	/* what is out */
	long allocs;
	long maps;
	long map_bytes;
	long lists;
	long threads;
	bool fd_open[FDS_MAX];	/* given out by a call of the table */
	unsigned int bad_closes;
	char leaks[256];
} fault = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.thread_gone = PTHREAD_COND_INITIALIZER,
};

/* How each fails in practice; fixed: it has no errno to choose. */
static const struct {
	const char *name;
	int err;
	bool fixed;
} calls[FAULT_NR_CALLS] = {
	[FAULT_NONE] = { "none", 0, false },
	[FAULT_ALLOC] = { "alloc", ENOMEM, true },
	[FAULT_MAP] = { "map", ENOMEM, true },
	[FAULT_SOCKET] = { "socket", EMFILE, false },
	[FAULT_CONNECT] = { "connect", ECONNREFUSED, false },
	[FAULT_SETSOCKOPT] = { "setsockopt", ENOPROTOOPT, false },
	[FAULT_GETSOCKOPT] = { "getsockopt", ENOBUFS, false },
	[FAULT_SHUTDOWN] = { "shutdown", ENOTCONN, false },
	[FAULT_SENDMSG] = { "sendmsg", EPIPE, false },
	[FAULT_SEND] = { "send", EPIPE, false },
	[FAULT_OUTQ] = { "outq", EINVAL, false },
	[FAULT_PIPE] = { "pipe", EMFILE, false },
	[FAULT_CLOSE] = { "close", EIO, false },
	[FAULT_OPEN] = { "open", ENOENT, false },
	[FAULT_IOCTL] = { "ioctl", ENOMEM, false },
	[FAULT_EVENTFD] = { "eventfd", EMFILE, false },
	[FAULT_RING_INIT] = { "ring_init", ENOMEM, false },
	[FAULT_LOOKUP] = { "lookup", EAI_AGAIN, true },
	[FAULT_THREAD] = { "thread", EAGAIN, false },
	[FAULT_CQE_CONNECT] = { "completion of connect", ECONNREFUSED, false },
	[FAULT_CQE_SOCKOPT] = { "completion of setsockopt", ENOMEM, false },
	[FAULT_CQE_RECV] = { "completion of recv", ECONNRESET, false },
	[FAULT_CQE_SEND] = { "completion of send", ECONNRESET, false },
	[FAULT_CQE_POLL] = { "completion of poll", ENOMEM, false },
	[FAULT_CQE_READ] = { "completion of read", EIO, false },
	[FAULT_CQE_SPLICE] = { "completion of splice", EIO, false },
};

static void lock(void)
{
	(void)pthread_mutex_lock(&fault.lock);	/* a plain one never fails */
}

static void unlock(void)
{
	(void)pthread_mutex_unlock(&fault.lock);	/* it is ours */
}

/* Under the lock: whether this call fails; then the errno to fail with. */
static int fails(enum fault_call call)
{
	int err;

	if (!fault.left)
		return 0;
	if (fault.left > 1) {
		fault.left--;
		return 0;
	}
	if (fault.mode == FAULT_ONCE)
		fault.left = 0;
	err = fault.err && !calls[call].fixed ? fault.err : calls[call].err;
	if (!fault.fired++)
		fault.first = call;
	fault.hit |= 1u << call;
	return err;
}

static int fault_now(enum fault_call call)
{
	int err;

	lock();
	err = fails(call);
	unlock();
	return err;
}

static void note(long *count, long by)
{
	lock();
	*count += by;
	unlock();
}

/* --------------------------------------------------------------- memory -- */

static void *fault_alloc(size_t size)
{
	void *p = fault_now(FAULT_ALLOC) ? NULL : sys_real.alloc(size);

	if (p)
		note(&fault.allocs, 1);
	return p;
}

static void fault_free(void *p)
{
	note(&fault.allocs, -1);
	sys_real.free(p);
}

static void *fault_map(size_t len)
{
	void *p = fault_now(FAULT_MAP) ? NULL : sys_real.map(len);

	if (p) {
		lock();
		fault.maps++;
		fault.map_bytes += (long)len;
		unlock();
	}
	return p;
}

static void fault_unmap(void *p, size_t len)
{
	lock();
	fault.maps--;
	fault.map_bytes -= (long)len;
	unlock();
	sys_real.unmap(p, len);
}

/* ---------------------------------------------------------- descriptors -- */

static int fd_new(int fd)
{
	if (fd < 0 || fd >= FDS_MAX)
		return fd;
	lock();
	fault.fd_open[fd] = true;
	unlock();
	return fd;
}

static int fault_socket(int domain, int type, int protocol)
{
	int err = fault_now(FAULT_SOCKET);

	return err ? -err : fd_new(sys_real.socket(domain, type, protocol));
}

static int fault_eventfd(void)
{
	int err = fault_now(FAULT_EVENTFD);

	return err ? -err : fd_new(sys_real.eventfd());
}

static int fault_open(const char *path, int flags)
{
	int err = fault_now(FAULT_OPEN);

	return err ? -err : fd_new(sys_real.open(path, flags));
}

static int fault_ioctl(int fd, unsigned long request, void *arg)
{
	int err = fault_now(FAULT_IOCTL);
	int ret = err ? -err : sys_real.ioctl(fd, request, arg);

	return request == KTCM_IOC_RELAY ? fd_new(ret) : ret;
}

static int fault_pipe(int fds[2])
{
	int err = -fault_now(FAULT_PIPE);

	if (!err)
		err = sys_real.pipe(fds);
	if (!err) {
		(void)fd_new(fds[0]);
		(void)fd_new(fds[1]);
	}
	return err;
}

static int fault_close(int fd)
{
	int err, ret;

	lock();
	err = fails(FAULT_CLOSE);
	if (fd >= 0 && fd < FDS_MAX)
		fault.fd_open[fd] = false;
	/* under the lock: or the number could be given out before it is free */
	ret = sys_real.close(fd);
	fault.bad_closes += ret == -EBADF;
	unlock();
	return err ? -err : ret;
}

void fault_disown_fd(int fd)
{
	lock();
	if (fd >= 0 && fd < FDS_MAX)
		fault.fd_open[fd] = false;
	unlock();
}

static int fault_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	int err = fault_now(FAULT_CONNECT);

	return err ? -err : sys_real.connect(fd, addr, len);
}

static int fault_setsockopt(int fd, int level, int name, const void *val,
			    socklen_t len)
{
	int err = fault_now(FAULT_SETSOCKOPT);

	return err ? -err : sys_real.setsockopt(fd, level, name, val, len);
}

static int fault_getsockopt(int fd, int level, int name, void *val,
			    socklen_t *len)
{
	int err = fault_now(FAULT_GETSOCKOPT);

	return err ? -err : sys_real.getsockopt(fd, level, name, val, len);
}

static int fault_shutdown(int fd, int how)
{
	int err = fault_now(FAULT_SHUTDOWN);

	return err ? -err : sys_real.shutdown(fd, how);
}

static int fault_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	int err = fault_now(FAULT_SENDMSG);

	return err ? -err : sys_real.sendmsg(fd, msg, flags);
}

static int fault_send(int fd, const void *buf, size_t len, int flags)
{
	int err = fault_now(FAULT_SEND);

	return err ? -err : sys_real.send(fd, buf, len, flags);
}

static int fault_outq(int fd)
{
	int err = fault_now(FAULT_OUTQ);

	return err ? -err : sys_real.outq(fd);
}

/* ----------------------------------------------------------------- ring -- */

static int fault_ring_init(unsigned int entries, struct io_uring *ring,
			   struct io_uring_params *params)
{
	int err = fault_now(FAULT_RING_INIT);

	return err ? -err : sys_real.ring_init(entries, ring, params);
}

static int fault_completion(unsigned int op, int res)
{
	static const enum fault_call of[RING_NR_OPS] = {
		[RING_CONNECT] = FAULT_CQE_CONNECT,
		[RING_SOCKOPT] = FAULT_CQE_SOCKOPT,
		[RING_RECV] = FAULT_CQE_RECV,
		[RING_SEND] = FAULT_CQE_SEND,
		[RING_POLL] = FAULT_CQE_POLL,
		[RING_READ] = FAULT_CQE_READ,
		[RING_SPLICE_IN] = FAULT_CQE_SPLICE,
		[RING_SPLICE_OUT] = FAULT_CQE_SPLICE,
		[RING_RELAY_RECV] = FAULT_CQE_RECV,
		[RING_RELAY_SEND] = FAULT_CQE_SEND,
		[RING_RELAY_READ] = FAULT_CQE_READ,
	};
	int err;

	/* what has failed by itself, or was cancelled, stays that way */
	if (op >= RING_NR_OPS || !of[op] || res < 0)
		return res;
	err = fault_now(of[op]);
	return err ? -err : res;
}

/* ------------------------------------------------------ names, threads -- */

static int fault_lookup(const char *name, const char *service,
			const struct addrinfo *hints, struct addrinfo **out)
{
	int err = fault_now(FAULT_LOOKUP);

	if (!err)
		err = sys_real.lookup(name, service, hints, out);
	else
		return err;
	if (!err)
		note(&fault.lists, 1);
	return err;
}

static void fault_lookup_free(struct addrinfo *list)
{
	note(&fault.lists, -1);
	sys_real.lookup_free(list);
}

struct thread {
	void *(*fn)(void *arg);
	void *arg;
};

static void thread_gone(void)
{
	lock();
	fault.threads--;
	(void)pthread_cond_broadcast(&fault.thread_gone); /* never fails */
	unlock();
}

static void *thread_run(void *arg)
{
	struct thread thread = *(struct thread *)arg;
	void *ret;

	sys_real.free(arg);
	ret = thread.fn(thread.arg);
	thread_gone();
	return ret;
}

static int fault_thread(void *(*fn)(void *arg), void *arg)
{
	struct thread *thread;
	int err = fault_now(FAULT_THREAD);

	if (err)
		return -err;
	thread = sys_real.alloc(sizeof(*thread));
	if (!thread)
		return -ENOMEM;
	thread->fn = fn;
	thread->arg = arg;
	note(&fault.threads, 1);
	err = sys_real.thread(thread_run, thread);
	if (err) {
		sys_real.free(thread);
		thread_gone();
	}
	return err;
}

/* ----------------------------------------------------------------- test -- */

static struct sys_ops fault_ops = {
	.alloc = fault_alloc,
	.free = fault_free,
	.map = fault_map,
	.unmap = fault_unmap,
	.socket = fault_socket,
	.connect = fault_connect,
	.setsockopt = fault_setsockopt,
	.getsockopt = fault_getsockopt,
	.shutdown = fault_shutdown,
	.sendmsg = fault_sendmsg,
	.send = fault_send,
	.outq = fault_outq,
	.pipe = fault_pipe,
	.close = fault_close,
	.open = fault_open,
	.ioctl = fault_ioctl,
	.eventfd = fault_eventfd,
	.ring_init = fault_ring_init,
	.completion = fault_completion,
	.lookup = fault_lookup,
	.lookup_free = fault_lookup_free,
	.thread = fault_thread,
};

void fault_install(void)
{
	fault_ops.now_us = sys_real.now_us;
	fault_ops.time_s = sys_real.time_s;
	sys = &fault_ops;
}

void fault_arm(unsigned int nth, int err, enum fault_mode mode)
{
	lock();
	fault.left = nth;
	fault.err = err;
	fault.mode = mode;
	fault.fired = 0;
	fault.first = FAULT_NONE;
	fault.hit = 0;
	unlock();
}

unsigned int fault_disarm(void)
{
	unsigned int fired;

	lock();
	fault.left = 0;
	fired = fault.fired;
	unlock();
	return fired;
}

unsigned int fault_fired(void)
{
	unsigned int fired;

	lock();
	fired = fault.fired;
	unlock();
	return fired;
}

enum fault_call fault_first(void)
{
	enum fault_call first;

	lock();
	first = fault.first;
	unlock();
	return first;
}

bool fault_hit(enum fault_call call)
{
	bool hit;

	lock();
	hit = fault.hit & 1u << call;
	unlock();
	return hit;
}

int fault_result(enum fault_call call)
{
	int err;

	lock();
	err = fault.err && !calls[call].fixed ? fault.err : calls[call].err;
	unlock();
	return call == FAULT_LOOKUP ? err : -err;
}

const char *fault_name(enum fault_call call)
{
	return call < FAULT_NR_CALLS ? calls[call].name : "?";
}

static void tell(const char *what, long count)
{
	size_t len = strlen(fault.leaks);

	if (count)
		(void)snprintf(fault.leaks + len, sizeof(fault.leaks) - len,
			       "%s%ld %s", len ? ", " : "", count, what);
}

const char *fault_leaks(void)
{
	long fds = 0;
	int i;

	lock();
	for (i = 0; i < FDS_MAX; i++)
		fds += fault.fd_open[i];
	fault.leaks[0] = '\0';
	tell("allocations", fault.allocs);
	tell("mappings", fault.maps);
	tell("mapped bytes", fault.map_bytes);
	tell("descriptors", fds);
	tell("name lists", fault.lists);
	tell("threads", fault.threads);
	tell("wrong closes", fault.bad_closes);
	unlock();
	return fault.leaks;
}

bool fault_wait_threads(void)
{
	struct timespec until;
	int err = 0;
	bool none;

	(void)clock_gettime(CLOCK_REALTIME, &until);	/* always there */
	until.tv_sec += THREADS_WAIT_S;
	lock();
	while (fault.threads && !err)
		err = pthread_cond_timedwait(&fault.thread_gone, &fault.lock,
					     &until);
	none = !fault.threads;
	unlock();
	return none;
}
