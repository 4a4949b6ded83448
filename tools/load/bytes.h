/* SPDX-License-Identifier: MIT */
/*
 * Bytes that say where they belong: byte N of stream S is the same everywhere,
 * and a byte lost, doubled, moved or from another stream is noticed. The table
 * they come from has a prime length, so that no multiple of a record or page
 * falls on itself.
 */
#ifndef LOAD_BYTES_H
#define LOAD_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* fills the table; before the rest, once */
void bytes_init(void);

/**
 * bytes_at() - a piece of a stream
 * @stream: which
 * @at: position of the first byte
 * @len: in: bytes wanted; out: bytes there, at least 1
 */
const uint8_t *bytes_at(uint64_t stream, uint64_t at, size_t *len);

/**
 * bytes_differ() - the first byte that is not what the stream has there
 * @stream: which
 * @at: position of the first byte
 * @data: what came
 * @len: its length
 *
 * Return: index into @data, @len when all are right.
 */
size_t bytes_differ(uint64_t stream, uint64_t at, const uint8_t *data,
		    size_t len);

#endif /* LOAD_BYTES_H */
