/* SPDX-License-Identifier: MIT */
/*
 * A connection between two owners: a worker that gives it away, and one that
 * goes on with it, in this process or in its successor.
 */
#ifndef PROXY_PARCEL_H
#define PROXY_PARCEL_H

#include <ktlsclient.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* longest strings; a listener with a longer one keeps its connections */
#define PARCEL_TEXT_MAX 512u

/* of a packed one */
#define PARCEL_LEN_MAX (64u + 3 * PARCEL_TEXT_MAX + KTC_STATE_LEN_MAX)

/**
 * struct parcel - one connection
 * @next: in a list of the main thread's
 * @id: what it is called on the wire
 * @returned: the successor did not want it
 * @client_fd: the client's socket; -1: somebody else's by now
 * @tls_fd: the origin's, with its keys in the kernel; the same
 * @left_ms: what is left of its life; UINT64_MAX: no limit
 * @listener: name of whose it is
 * @origin: where it leads, as configured
 * @server_name: whom the server was verified to be; "": nobody
 * @state: the library's; secret
 * @state_len: bytes of it
 */
struct parcel {
	struct parcel *next;
	uint32_t id;
	bool returned;
	int client_fd;
	int tls_fd;
	uint64_t left_ms;
	char listener[PARCEL_TEXT_MAX + 1];
	char origin[PARCEL_TEXT_MAX + 1];
	char server_name[PARCEL_TEXT_MAX + 1];
	uint8_t state[KTC_STATE_LEN_MAX];
	size_t state_len;
};

/* An empty one, or NULL. */
struct parcel *parcel_new(void);

/* Wiped; descriptors that are still its own are closed. NULL is fine. */
void parcel_free(struct parcel *parcel);

/* 0, or -ENAMETOOLONG. @server_name NULL: "". */
int parcel_label(struct parcel *parcel, const char *listener,
		 const char *origin, const char *server_name);

/* Writes all but the descriptors: bytes, PARCEL_LEN_MAX at most. */
size_t parcel_pack(const struct parcel *parcel, uint8_t *buf);

/* 0, or -EPROTO of anything that parcel_pack() does not write. */
int parcel_unpack(struct parcel *parcel, const uint8_t *buf, size_t len);

#endif /* PROXY_PARCEL_H */
