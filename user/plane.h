/* SPDX-License-Identifier: MIT */
/*
 * The seam between the connection and who makes its records. A plane arms the
 * ring's operations and understands their completions; the connection decides
 * when, and turns what comes into state and events.
 */
#ifndef KTC_PLANE_H
#define KTC_PLANE_H

#include <ktlsclient.h>

#include "ring.h"

struct ktc_conn;

struct plane_ops {
	enum ktc_plane id;
	/* Arm receiving. False: no room in the ring, ask again. */
	bool (*recv_arm)(struct ktc_conn *conn);
	/* A receive ended or went on; bid is its buffer, or -1. */
	void (*recv_done)(struct ktc_conn *conn, int res, int bid);
	/* Send what is due, if anything is. False: no room in the ring. */
	bool (*send)(struct ktc_conn *conn);
	/* An operation that send() began has ended. */
	void (*send_done)(struct ktc_conn *conn, enum ring_op op, int res);
};

extern const struct plane_ops plane_user;
extern const struct plane_ops plane_kernel;

/* For a relay in the module, whose records it tells of: */

/* a record that is not data; an error of the socket */
void plane_kernel_control(struct ktc_conn *conn, uint8_t type,
			  const uint8_t *p, size_t len);
void plane_kernel_failed(struct ktc_conn *conn, int err);
/* Asks the kernel how many records the keys have seen. */
void plane_kernel_count(struct ktc_conn *conn);

#endif /* KTC_PLANE_H */
