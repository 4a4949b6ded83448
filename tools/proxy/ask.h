/* SPDX-License-Identifier: MIT */
/*
 * A question at another process's control socket: what is going on, may I
 * succeed you, may I have your place.
 */
#ifndef PROXY_ASK_H
#define PROXY_ASK_H

#include <stdbool.h>
#include <time.h>

/**
 * ask() - connect to a control socket and send a request
 * @path: the socket
 * @request: a line, with its end
 * @patience_s: for each read and write, then too
 *
 * Return: a descriptor to read the answer from, the caller's; -ENAMETOOLONG,
 * -errno.
 */
int ask(const char *path, const char *request, time_t patience_s);

/* Each read and write waits no longer. False: errno says why. */
bool ask_patience(int fd, time_t seconds);

#endif /* PROXY_ASK_H */
