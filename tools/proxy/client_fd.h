/* SPDX-License-Identifier: MIT */
/* What can be asked of a client's socket, and done to it. */
#ifndef PROXY_CLIENT_FD_H
#define PROXY_CLIENT_FD_H

#include <stdbool.h>

/* Its close() will be a reset. A unix socket knows none: it stays as it is. */
void client_fd_reset(int fd);

/*
 * Nobody has read a byte of the client's: all that TCP has received is still
 * there. False if that cannot be told, as of unix sockets, or if the client
 * has ended its stream.
 */
bool client_fd_is_untouched(int fd);

/* The client has ended its stream. */
bool client_fd_has_ended(int fd);

/*
 * There is no way back to the client. One that has only ended its stream, which
 * may wait for the answer, is told apart; TCP does not tell one that has closed
 * its socket from that, before it is sent something, but one that has reset it.
 */
bool client_fd_is_gone(int fd);

/* Bytes that the client's machine has not taken yet. */
bool client_fd_has_unsent(int fd);

#endif /* PROXY_CLIENT_FD_H */
