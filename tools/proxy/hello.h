/* SPDX-License-Identifier: MIT */
/*
 * What an origin gets before the TLS handshake, in the clear: a PROXY header,
 * if it is to have one.
 */
#ifndef PROXY_HELLO_H
#define PROXY_HELLO_H

#include <stddef.h>
#include <stdint.h>

#include "config.h"

/**
 * hello_preamble() - write the PROXY header for an origin
 * @listener: whose client it is
 * @fd: the client
 * @buf: with @proxy_in: the client's header and what came behind it; or NULL
 * @len: bytes at @buf
 * @out: receives at most PROXY_HEADER_OUT_MAX bytes
 *
 * Return: how many, -EPROTO of a header, -errno of @fd.
 */
int hello_preamble(const struct config_listener *listener, int fd,
		   const uint8_t *buf, size_t len, uint8_t *out);

#endif /* PROXY_HELLO_H */
