/* SPDX-License-Identifier: MIT */
/*
 * The PROXY protocol's header: who the client of the proxy before us is, and
 * who ours is, for the one behind. Bytes in, bytes out; any thread.
 */
#ifndef PROXY_HEADER_H
#define PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "config.h"

/* version 1, with its line end */
#define PROXY_HEADER_V1_MAX 107

/* version 2: what comes behind the first 16 bytes; TLVs too */
#define PROXY_HEADER_V2_BODY_MAX 2048

/* a buffer of this size holds any header that is taken */
#define PROXY_HEADER_MAX (16 + PROXY_HEADER_V2_BODY_MAX)

/* a buffer of this size holds any header that is written */
#define PROXY_HEADER_OUT_MAX PROXY_HEADER_V1_MAX

/**
 * struct proxy_header - what a header says
 * @local: no addresses: those of the connection itself are the right ones
 * @src: the client
 * @src_len: bytes of it; 0 if @local
 * @dst: where it had connected to
 * @dst_len: the same
 */
struct proxy_header {
	bool local;
	struct sockaddr_storage src;
	socklen_t src_len;
	struct sockaddr_storage dst;
	socklen_t dst_len;
};

/**
 * proxy_header_parse() - read a header, of either version
 * @buf: the first bytes of a connection
 * @len: how many there are
 * @out: written with a header only
 *
 * What cannot become a header any more is refused at once.
 *
 * Return: bytes of the header; 0: there must be more; -EPROTO.
 */
int proxy_header_parse(const uint8_t *buf, size_t len,
		       struct proxy_header *out);

/**
 * proxy_header_write() - write a header
 * @version: which; with CONFIG_PROXY_NONE nothing
 * @src: the client; NULL: nobody's connection, but our own
 * @dst: where it had connected to; NULL as @src is
 * @buf: receives it
 * @size: bytes at @buf; PROXY_HEADER_OUT_MAX are enough
 *
 * IPv4 addresses that an IPv6 socket has given are written as IPv4. A client
 * that has no such address, as of a unix socket, is written as unknown.
 *
 * Return: bytes; -ENOSPC.
 */
int proxy_header_write(enum config_proxy version, const struct sockaddr *src,
		       const struct sockaddr *dst, uint8_t *buf, size_t size);

#endif /* PROXY_HEADER_H */
