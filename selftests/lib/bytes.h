/* SPDX-License-Identifier: MIT */
/*
 * A queue of bytes that grows: append at the tail, take from the head.
 */
#ifndef SELFTESTS_BYTES_H
#define SELFTESTS_BYTES_H

#include <stddef.h>
#include <stdint.h>

struct bytes {
	uint8_t *buf;
	size_t head;	/* index of the first byte in the queue */
	size_t len;	/* bytes in the queue */
	size_t cap;	/* bytes allocated at buf */
};

static inline uint8_t *bytes_data(const struct bytes *b)
{
	return b->buf + b->head;
}

void bytes_fini(struct bytes *b);

/**
 * bytes_reserve() - make room at the tail
 * @b: a queue
 * @len: bytes of room
 *
 * Return: where they go, until the next call on @b; NULL without memory. They
 * join the queue when the caller adds to @b->len.
 */
uint8_t *bytes_reserve(struct bytes *b, size_t len);

/* Return: 0 or -ENOMEM, nothing appended. */
int bytes_append(struct bytes *b, const void *data, size_t len);

void bytes_take(struct bytes *b, size_t len);

#endif /* SELFTESTS_BYTES_H */
