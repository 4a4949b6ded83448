/* SPDX-License-Identifier: MIT */
/*
 * Messages between a proxy and its successor, over a unix stream socket:
 * a head, bytes, and descriptors. Whoever is at the other end is of our own
 * user, but can be of another version, or dying: everything has a limit.
 */
#ifndef PROXY_WIRE_H
#define PROXY_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define WIRE_VERSION 1

/* descriptors with one message; SCM_RIGHTS takes 253 */
#define WIRE_FDS_MAX 64

/* bytes of a message; of one with sessions */
#define WIRE_LEN_MAX	      65536u
#define WIRE_SESSIONS_LEN_MAX (64u << 20)

enum wire_type {
	/* from the old process */
	WIRE_PLACE = 1,	/* text; sockets that listen there, or some of them */
	WIRE_METRICS,	/* text; the socket of the metrics */
	WIRE_CONTROL,	/* path; the control socket */
	WIRE_PLACES,	/* those were all: make ready */
	WIRE_KEY,	/* of the sessions that follow */
	WIRE_SESSIONS,	/* name, NUL, sealed sessions of that listener */
	WIRE_COMMIT,	/* serve */
	WIRE_CONN,	/* a parcel; two sockets */
	WIRE_OVER,	/* there is nothing more to come */
	/* from the new one */
	WIRE_READY,	/* all is open that it needs */
	WIRE_SERVING,	/* it accepts: the old one need not any more */
	WIRE_ADOPTED,	/* the connection of that id is its own */
	WIRE_REFUSED,	/* it is not, and was not touched */
	WIRE_NR
};

/**
 * struct wire_message - one that came
 * @type: enum wire_type
 * @id: what it is about
 * @data: its bytes
 * @len: how many
 * @fds: descriptors; whoever takes one writes -1
 * @nr_fds: how many
 */
struct wire_message {
	uint16_t type;
	uint32_t id;
	uint8_t *data;
	size_t len;
	int fds[WIRE_FDS_MAX];
	unsigned int nr_fds;
};

/**
 * wire_send() - send a message
 * @fd: a unix stream socket, with timeouts
 * @type: enum wire_type
 * @id: what it is about
 * @data: its bytes, at most WIRE_LEN_MAX or WIRE_SESSIONS_LEN_MAX
 * @len: how many
 * @fds: descriptors; the caller's as before
 * @nr_fds: how many, at most WIRE_FDS_MAX
 *
 * Return: 0; -errno, -EAGAIN after the timeout: then the socket is of no use.
 */
int wire_send(int fd, enum wire_type type, uint32_t id, const void *data,
	      size_t len, const int *fds, unsigned int nr_fds);

/**
 * wire_recv() - receive a message
 * @fd: a unix stream socket, with timeouts
 * @out: written on success only; for wire_message_fini()
 *
 * Return: 0; -EPIPE at the end; -EPROTO of something that is no message;
 * -ENOMEM; -errno: then the socket is of no use.
 */
int wire_recv(int fd, struct wire_message *out);

/* Its bytes are wiped, descriptors that nobody took are closed. */
void wire_message_fini(struct wire_message *message);

#endif /* PROXY_WIRE_H */
