/* SPDX-License-Identifier: MIT */
/*
 * Where clients come in. A TCP place has a socket for each worker
 * (SO_REUSEPORT: the kernel spreads clients, no worker waits for another), a
 * unix place one that they share. A place outlives a reload that keeps it, and
 * its sockets can come from a predecessor.
 */
#ifndef PROXY_LISTEN_H
#define PROXY_LISTEN_H

#include <stdatomic.h>
#include <stdbool.h>

#include "config.h"

struct generation;

/**
 * struct place - one place that is listened at
 * @refs: services that have it, acceptors of workers
 * @text: as configured
 * @fds: sockets
 * @nr: how many; worker w has those with a number of w modulo the workers
 * @is_unix: a unix socket
 * @keep_path: the socket's file is somebody else's by now: not removed
 * @path: that file
 */
struct place {
	atomic_uint refs;
	char *text;
	int *fds;
	unsigned int nr;
	bool is_unix;
	atomic_bool keep_path;
	char *path;
};

/* A socket of a predecessor's, to be used instead of a new one. */
struct listen_gift {
	char *text;
	int *fds;
	unsigned int nr;
};

/**
 * listen_open() - give each service of a generation its place
 * @generation: a new one
 * @before: what it follows: places of the same text are kept; NULL: nothing
 * @threads: workers
 * @gifts: sockets of a predecessor; those that are used are taken
 * @nr_gifts: how many
 *
 * Return: 0 or -errno, which has been logged; then nothing stays open that was
 * not before.
 */
int listen_open(struct generation *generation, struct generation *before,
		unsigned int threads, struct listen_gift *gifts,
		unsigned int nr_gifts);

/*
 * One listening socket at a place, as metrics has it. @event: told by the log.
 * -errno: logged.
 */
int listen_one(const struct config_place *where, const char *event, int *out);

struct place *place_get(struct place *place);
void place_put(struct place *place);

#endif /* PROXY_LISTEN_H */
