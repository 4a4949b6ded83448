// SPDX-License-Identifier: MIT
/*
 * A queue of bytes. What was taken leaves a gap at the front that is closed
 * when room is needed, so appending costs a copy of the queue now and then
 * and taking costs nothing.
 */
#include "bytes.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void bytes_fini(struct bytes *b)
{
	free(b->buf);
	*b = (struct bytes){ 0 };
}

uint8_t *bytes_reserve(struct bytes *b, size_t len)
{
	uint8_t *buf;
	size_t cap;

	if (b->head + b->len + len <= b->cap)
		return b->buf + b->head + b->len;
	if (b->head) {
		memmove(b->buf, b->buf + b->head, b->len);
		b->head = 0;
	}
	if (b->len + len > b->cap) {
		cap = (b->len + len) * 2;
		buf = realloc(b->buf, cap);
		if (!buf)
			return NULL;
		b->buf = buf;
		b->cap = cap;
	}
	return b->buf + b->len;
}

int bytes_append(struct bytes *b, const void *data, size_t len)
{
	uint8_t *room;

	if (!len)
		return 0;
	room = bytes_reserve(b, len);
	if (!room)
		return -ENOMEM;
	memcpy(room, data, len);
	b->len += len;
	return 0;
}

void bytes_take(struct bytes *b, size_t len)
{
	assert(len <= b->len);
	b->len -= len;
	b->head = b->len ? b->head + len : 0;
}
