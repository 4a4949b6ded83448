/* SPDX-License-Identifier: MIT */
/*
 * How a proxy leaves for a successor, and how it gets a predecessor's
 * connections: what takeover.h sends, given to workers and taken from them.
 * The main thread's.
 */
#ifndef PROXY_SUCCESSION_H
#define PROXY_SUCCESSION_H

#include <stdbool.h>

struct parcel;
struct proxy;
struct worker;

/* Somebody wants to succeed us; @fd is taken. */
void proxy_succeed(struct proxy *proxy, int fd);

/* A predecessor or a successor says something: for poll(), or -1. */
int proxy_peer_fd(const struct proxy *proxy);
void proxy_peer(struct proxy *proxy);

/* A worker has given a connection away; has been given one. */
void proxy_parcel(struct proxy *proxy, struct worker *worker,
		  struct parcel *parcel);
void proxy_adopted(struct proxy *proxy, struct parcel *parcel, int err);

/* The files of sockets are somebody else's, or ours. */
void proxy_keep_paths(struct proxy *proxy, bool keep);

/* There are no clients: nothing else is left either. */
bool proxy_has_left(const struct proxy *proxy);

/* No more goes to the successor; what is left ends here. */
void proxy_part(struct proxy *proxy);

#endif /* PROXY_SUCCESSION_H */
