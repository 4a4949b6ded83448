/* SPDX-License-Identifier: MIT */
/*
 * What an origin gets before the relay begins: a PROXY header, if it is to
 * have one, and what the client has sent behind its own.
 */
#ifndef PROXY_HELLO_H
#define PROXY_HELLO_H

#include <stddef.h>
#include <stdint.h>

#include "config.h"

/**
 * hello_make() - write it
 * @listener: whose client it is
 * @fd: the client
 * @buf: with @proxy_in: the client's header and what came behind it; or NULL
 * @len: bytes at @buf
 * @out: receives the bytes, for free(); NULL if there is nothing to say;
 *	written on success only
 * @out_len: receives how many
 *
 * Return: 0, -ENOMEM, -EPROTO of a header, -errno of @fd.
 */
int hello_make(const struct config_listener *listener, int fd,
	       const uint8_t *buf, size_t len, uint8_t **out, size_t *out_len);

#endif /* PROXY_HELLO_H */
