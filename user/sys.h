/* SPDX-License-Identifier: MIT */
/*
 * The system behind one table: system calls, memory, clock, name look-up and
 * the completions of the ring. Every function gives 0, a count or a pointer,
 * or negative errno (NULL for memory). Tests put a table of their own here
 * before they start; nobody else writes it.
 */
#ifndef KTC_SYS_H
#define KTC_SYS_H

#include <netdb.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct io_uring;
struct io_uring_params;

struct sys_ops {
	void *(*alloc)(size_t size);	/* zeroed */
	void (*free)(void *p);
	void *(*map)(size_t len);	/* anonymous, left out of core dumps */
	void (*unmap)(void *p, size_t len);
	int (*socket)(int domain, int type, int protocol);
	int (*connect)(int fd, const struct sockaddr *addr, socklen_t len);
	int (*setsockopt)(int fd, int level, int name, const void *val,
			  socklen_t len);
	int (*getsockopt)(int fd, int level, int name, void *val,
			  socklen_t *len);
	int (*shutdown)(int fd, int how);
	int (*sendmsg)(int fd, const struct msghdr *msg, int flags);
	int (*send)(int fd, const void *buf, size_t len, int flags);
	int (*outq)(int fd);		/* SIOCOUTQ: bytes TCP still holds */
	int (*pipe)(int fds[2]);
	int (*close)(int fd);
	int (*open)(const char *path, int flags);
	int (*ioctl)(int fd, unsigned long request, void *arg);
	int (*eventfd)(void);
	int (*ring_init)(unsigned int entries, struct io_uring *ring,
			 struct io_uring_params *params);
	/* a completion's res on its way to its handler; op is enum ring_op */
	int (*completion)(unsigned int op, int res);
	/* 0 or EAI_* as getaddrinfo(3); freed with freeaddrinfo */
	int (*lookup)(const char *name, const char *service,
		      const struct addrinfo *hints, struct addrinfo **out);
	void (*lookup_free)(struct addrinfo *list);
	int (*thread)(void *(*fn)(void *), void *arg);	/* detached */
	uint64_t (*now_us)(void);	/* monotonic */
	uint64_t (*time_s)(void);	/* wall clock, for ticket life */
};

extern const struct sys_ops sys_real;
extern const struct sys_ops *sys;

#endif /* KTC_SYS_H */
