/* SPDX-License-Identifier: MIT */
/*
 * What the service manager is told: sd_notify(3)'s protocol, which is one
 * datagram to the socket that $NOTIFY_SOCKET names. libsystemd would be a
 * library, and what it is linked to, for one sendto().
 */
#ifndef PROXY_NOTIFY_H
#define PROXY_NOTIFY_H

void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);
/* A line for people; no newline in it. */
void notify_status(const char *text);
/* The process that is the service from now on: a successor. */
void notify_main_pid(int pid);

#endif /* PROXY_NOTIFY_H */
