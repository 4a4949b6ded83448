/* SPDX-License-Identifier: MIT */
/*
 * The control socket: who may connect to it (its owner, and root) asks for the
 * status, succeeds this process, or starts in its place while it drains.
 */
#ifndef PROXY_CONTROL_H
#define PROXY_CONTROL_H

#include <stdbool.h>

struct proxy;

struct control;

/**
 * control_open() - open the socket
 * @path: where
 * @out: written on success only
 *
 * Return: 0, or -errno that has been logged.
 */
int control_open(const char *path, struct control **out);
/* With a predecessor's socket: taken. */
int control_adopt(const char *path, int fd, struct control **out);

/*
 * Before anything is opened: should a process behind @path drain, it gives up
 * that socket and its metrics' place. One that serves keeps them. What comes
 * of it is logged.
 */
void control_ask_room(const char *path);

/* NULL is fine; the file goes, unless it is a successor's. */
void control_close(struct control *control);
/* The socket's file is a successor's, or ours again. */
void control_leave(struct control *control, bool left);

/* For poll(); -1 without one, or when a successor answers. */
int control_fd(const struct control *control);
const char *control_path(const struct control *control);

/* Somebody connects: answers, within a second. */
void control_serve(struct control *control, struct proxy *proxy);

#endif /* PROXY_CONTROL_H */
