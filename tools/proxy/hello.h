/* SPDX-License-Identifier: MIT */
/*
 * What an origin gets before the relay begins: a PROXY header, if it is to
 * have one, in the clear before the TLS handshake; and what the client has sent
 * behind its own header, as the first bytes of the connection.
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

/**
 * hello_rest() - what came behind a client's header
 * @buf: the header, and that
 * @len: bytes at @buf
 * @out: receives the bytes, for free(); NULL if there are none; written on
 *	success only
 * @out_len: receives how many
 *
 * Return: 0, -ENOMEM, -EPROTO of a header.
 */
int hello_rest(const uint8_t *buf, size_t len, uint8_t **out, size_t *out_len);

#endif /* PROXY_HELLO_H */
