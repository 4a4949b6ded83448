// SPDX-License-Identifier: MIT
/*
 * Record boundaries. A record's header stays readable in the frame until the
 * next byte is taken, so the caller can ask for its type when the record is
 * whole. Hostile input ends here: a type or version that TLS does not have,
 * or a length over the limit, is refused before a byte of the body is taken.
 */
#include "frame.h"

#include <ktlsclient.h>

#include "limit.h"
#include "util.h"

#include <string.h>

static int frame_check(struct frame *frame)
{
	const uint8_t *h = frame->head;
	uint32_t len = (uint32_t)h[3] << 8 | h[4];

	if (h[0] < RECORD_CCS || h[0] > RECORD_DATA || h[1] != 3 || h[2] > 4)
		return -KTC_E_RECORD;
	if (len > LIMIT_RECORD_CIPHER)
		return -KTC_E_RECORD;
	frame->body_left = len;
	return 0;
}

ssize_t frame_take(struct frame *frame, const uint8_t *p, size_t len,
		   bool *whole)
{
	size_t used = 0;
	size_t n;
	int err;

	*whole = false;
	if (frame->head_len == FRAME_HEAD && !frame->body_left)
		frame->head_len = 0; /* the last record was whole */

	if (frame->head_len < FRAME_HEAD) {
		used = MIN(len, (size_t)(FRAME_HEAD - frame->head_len));
		memcpy(frame->head + frame->head_len, p, used);
		frame->head_len += used;
		if (frame->head_len < FRAME_HEAD)
			return used;
		err = frame_check(frame);
		if (err)
			return err;
	}
	n = MIN(len - used, (size_t)frame->body_left);
	frame->body_left -= n;
	*whole = !frame->body_left;
	return used + n;
}

size_t frame_missing(const struct frame *frame)
{
	if (!frame->head_len)
		return 0;
	if (frame->head_len < FRAME_HEAD)
		return FRAME_HEAD - frame->head_len;
	return frame->body_left;
}
