/* SPDX-License-Identifier: MIT */
/*
 * A submission that sets a socket option (SOCKET_URING_OP_SETSOCKOPT, Linux
 * 6.7). Headers older than that lack the names, so the fields are filled in by
 * their places: level and option name are the two halves of addr, the value's
 * address lies at addr3, its length at splice_fd_in. The value must stay
 * until the completion.
 */
#ifndef KTC_SOCKOPT_SQE_H
#define KTC_SOCKOPT_SQE_H

#include <liburing.h>
#include <stdint.h>
#include <string.h>

static inline void sockopt_sqe_prep(struct io_uring_sqe *sqe, int fd,
				    uint32_t level, uint32_t name,
				    const void *val, uint32_t len)
{
	const uint32_t level_name[2] = { level, name };
	const uint32_t op = 3;	/* SOCKET_URING_OP_SETSOCKOPT */

	_Static_assert(sizeof(sqe->addr) == sizeof(level_name),
		       "level and name lie over addr");
	_Static_assert(sizeof(sqe->splice_fd_in) == sizeof(len),
		       "the length lies over splice_fd_in");
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = fd;
	memcpy(&sqe->off, &op, sizeof(op));	/* cmd_op: the first half */
	memcpy(&sqe->addr, level_name, sizeof(level_name));
	sqe->splice_fd_in = (int32_t)len;
	sqe->addr3 = (uint64_t)(uintptr_t)val;
}

#endif /* KTC_SOCKOPT_SQE_H */
