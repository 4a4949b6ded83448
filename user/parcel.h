/* SPDX-License-Identifier: MIT */
/* A file that is written whole or not at all, and read for the last time. */
#ifndef KTC_PARCEL_H
#define KTC_PARCEL_H

#include <stddef.h>
#include <stdint.h>

struct parcel {
	int dir;		/* the folder, so that all is done in one */
	int file;		/* what parcel_read() has open, or -1 */
	const char *name;	/* in the folder; the caller's */
};

/* All of these: 0 or -errno. */

int parcel_open(struct parcel *parcel, const char *path);
void parcel_close(struct parcel *parcel);

/*
 * Puts a new file there, mode 0600, in the place of the one that may be
 * there. On failure that one is as it was.
 */
int parcel_write(const struct parcel *parcel, const uint8_t *bytes, size_t len);

/*
 * Reads a regular file of up to max bytes (larger: -EFBIG), for mem_free(). It
 * is locked until parcel_close(): -EAGAIN when somebody else reads it.
 */
int parcel_read(struct parcel *parcel, size_t max, uint8_t **out, size_t *len);

/*
 * Removes what parcel_read() has read. What cannot be removed stays; -ESTALE
 * when there is another file by now, which stays as well.
 */
int parcel_remove(const struct parcel *parcel);

#endif /* KTC_PARCEL_H */
