/* SPDX-License-Identifier: MIT */
/*
 * The control socket: who may connect to it (its owner, and root) asks for the
 * status, or succeeds this process.
 */
#ifndef PROXY_CONTROL_H
#define PROXY_CONTROL_H

struct admin_ops;
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
/* NULL is fine; the file goes, but for a successor's. */
void control_close(struct control *control);

/* For poll(); -1 without one. */
int control_fd(const struct control *control);

/* Somebody connects: answers, within a second. */
void control_serve(struct control *control, struct proxy *proxy);

#endif /* PROXY_CONTROL_H */
