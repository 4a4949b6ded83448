/* SPDX-License-Identifier: MIT */
/*
 * Where TLS records begin and end in a byte stream (RFC 8446 section 5.1). It
 * looks at the five header bytes only and copies nothing.
 */
#ifndef KTC_FRAME_H
#define KTC_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FRAME_HEAD 5

enum record_type {
	RECORD_CCS = 20,
	RECORD_ALERT = 21,
	RECORD_HANDSHAKE = 22,
	RECORD_DATA = 23,
};

struct frame {
	uint8_t head[FRAME_HEAD];
	uint8_t head_len;	/* bytes of head that are there */
	uint32_t body_left;	/* once head is whole: bytes still to come */
};

/*
 * Takes bytes up to the end of the current record, no further. Returns how
 * many, at least 1 of a len > 0, and sets *whole when they end the record:
 * frame->head is its header until the next call. -KTC_E_RECORD if the header
 * is none of TLS, or the record is larger than TLS allows.
 */
ssize_t frame_take(struct frame *frame, const uint8_t *p, size_t len,
		   bool *whole);

/*
 * How many bytes may be received without passing the end of a header or a
 * record; 0 at a boundary.
 */
size_t frame_missing(const struct frame *frame);

#endif /* KTC_FRAME_H */
