/* SPDX-License-Identifier: MIT */
/* A file that is written whole or not at all, and read for the last time. */
#ifndef KTC_PLACE_H
#define KTC_PLACE_H

#include <stddef.h>
#include <stdint.h>

struct place {
	int dir;		/* the folder, so that all is done in one */
	int file;		/* what place_read() has open, or -1 */
	const char *name;	/* in the folder; the caller's */
};

/* All of these: 0 or -errno. */

int place_open(struct place *place, const char *path);
void place_close(struct place *place);

/*
 * Puts a new file there, mode 0600, in the place of the one that may be
 * there. On failure that one is as it was.
 */
int place_write(const struct place *place, const uint8_t *bytes, size_t len);

/*
 * Reads a regular file of up to max bytes (larger: -EFBIG), for mem_free(). It
 * is locked until place_close(): -EAGAIN when somebody else reads it.
 */
int place_read(struct place *place, size_t max, uint8_t **out, size_t *len);

/*
 * Removes what place_read() has read, from the disk too. -ESTALE when there is
 * another file by now: that one stays.
 */
int place_remove(const struct place *place);

#endif /* KTC_PLACE_H */
