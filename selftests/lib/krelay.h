/* SPDX-License-Identifier: MIT */
/*
 * One relay with all that is around it:
 *
 *	local ---- plain [relay] tls ---- remote
 *
 * The relay has the two in the middle, tests play the two outside: remote is
 * a TLS peer through kTLS of its own, local a program that knows no TLS.
 */
#ifndef SELFTESTS_KRELAY_H
#define SELFTESTS_KRELAY_H

#include <stdbool.h>
#include <stdint.h>
#include <uapi/linux/ktlsclient.h>

#include "kpair.h"

#define KRELAY_WAIT_MS 15000	/* the longest wait for one event */

struct krelay_opts {
	uint16_t version;	/* 0: TLS 1.3 */
	uint16_t cipher;	/* 0: AES-128-GCM */
	bool unix_plain;	/* the plain side is a unix socket, not TCP */
	bool raw_remote;	/* the remote end has no keys: raw bytes */
	uint32_t flags;		/* KTCM_RELAY_* */
	uint64_t progress_bytes;
	int buf_len;		/* SO_SNDBUF and SO_RCVBUF of all; 0: default */
};

struct krelay {
	int dev;
	int fd;			/* the relay; -1: none */
	int tls, remote;
	int plain, local;
};

/* One read() of a relay. */
struct krelay_event {
	struct ktcm_event head;
	uint8_t record[KTCM_RECORD_MAX];
};

/*
 * The sockets and the relay; or the sockets only, and the relay later. 0 or
 * -errno: -ENXIO without the module, -ENOENT without kTLS or the cipher.
 */
int krelay_new(struct krelay *r, const struct krelay_opts *opts);
int krelay_sockets(struct krelay *r, const struct krelay_opts *opts);
int krelay_start(struct krelay *r, const struct krelay_opts *opts);
void krelay_free(struct krelay *r);

/* Closes a descriptor if it is one, and forgets it. */
void krelay_shut(int *fd);

/*
 * The next event of any type: 0, -ETIMEDOUT, -ENODATA (after END), or -errno.
 * krelay_next() passes over PROGRESS, krelay_end() waits for END and checks
 * nothing on the way.
 */
int krelay_event(int fd, struct krelay_event *ev, int timeout_ms);
int krelay_next(int fd, struct krelay_event *ev);
int krelay_end(int fd, struct ktcm_event *end);

int krelay_status(int fd, struct ktcm_status *status);

#endif /* SELFTESTS_KRELAY_H */
