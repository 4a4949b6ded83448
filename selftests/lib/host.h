/* SPDX-License-Identifier: MIT */
/*
 * What tests need of the machine they run on: sockets on loopback, the number
 * of open descriptors, memory that is counted, what the kernel can do.
 */
#ifndef SELFTESTS_HOST_H
#define SELFTESTS_HOST_H

#include <netinet/in.h>
#include <stdbool.h>

/* What the kernel can do, as ktc_probe() says. */
bool host_ktls(void);
bool host_rekey(void);

/* Descriptors of this process, one of the count's own included. */
unsigned int host_open_fds(void);

/* 127.0.0.1 */
struct sockaddr_in host_loopback(uint16_t port);

/* Listens on a free port of 127.0.0.1. A descriptor, or -1. */
int host_listen(int backlog, struct sockaddr_in *addr);

/*
 * An address where connecting never ends: a listener with a full queue drops
 * SYNs. fds: that listener and the one connection in it. 0 or -1.
 */
int host_blackhole(struct sockaddr_in *addr, int fds[2]);

/* The two ends of a TCP connection, the connecting one first. 0 or -1. */
int host_tcp_pair(int fds[2]);

/* Closes with a reset. */
void host_reset(int fd);

/* Makes ops count what the library allocates and maps. */
struct sys_ops;
void host_count_memory(struct sys_ops *ops);
/* Pieces that are not given back; any thread. */
long host_live_memory(void);

#endif /* SELFTESTS_HOST_H */
