/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between kernels, and nothing else does: Debian's 6.1, 6.12 and
 * 7.3 are built and tested, others between them should do.
 */
#ifndef KTCM_COMPAT_H
#define KTCM_COMPAT_H

#include <linux/bvec.h>
#include <linux/net.h>
#include <linux/socket.h>
#include <linux/sockptr.h>
#include <linux/uio.h>
#include <linux/version.h>
#include <linux/workqueue.h>
#include <net/sock.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
#include <linux/io_uring/cmd.h>
#else
#include <linux/io_uring.h>
#endif

#include <uapi/linux/ktlsclient.h>

/* From 6.18 on a workqueue says that it is per CPU; before, all others are. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 18, 0)
#define KTCM_WQ_PERCPU WQ_PERCPU
#else
#define KTCM_WQ_PERCPU 0
#endif

/*
 * A socket option as its owner would set it. do_sock_setsockopt() (6.7) asks
 * security modules and BPF as the system call does; before it there is only
 * the protocol's own.
 */
static inline int ktcm_setsockopt(struct socket *sock, int level, int name,
				  sockptr_t val, unsigned int len)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	return do_sock_setsockopt(sock, false, level, name, val, len);
#else
	return sock_common_setsockopt(sock, level, name, val, len);
#endif
}

/* The command's 16 bytes: the kernel's own copy, or the ring's entry. */
static inline const struct ktcm_uring_cmd *
ktcm_cmd_payload(const struct io_uring_cmd *cmd)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	return (const void *)cmd->sqe->cmd;
#else
	return cmd->cmd;
#endif
}

/*
 * The end of a command that is handled at once. 6.1 takes a positive result
 * that is returned for a failure, and breaks the link behind it.
 */
static inline int ktcm_cmd_end(struct io_uring_cmd *cmd, int ret,
			       unsigned int issue_flags)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	if (ret > 0) {
		io_uring_cmd_done(cmd, ret, 0, issue_flags);
		return -EIOCBQUEUED;
	}
#endif
	return ret;
}

/*
 * Sends len bytes from off on of the pages at bv by reference: the caller
 * leaves their content alone until nobody else refers to them. How many were
 * taken, or -errno.
 */
static inline int ktcm_send_pages(struct socket *sock, const struct bio_vec *bv,
				  unsigned int nr, size_t off, size_t len)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
	struct msghdr msg = {
		.msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL | MSG_SPLICE_PAGES,
	};

	iov_iter_bvec(&msg.msg_iter, WRITE, bv, nr, off + len);
	iov_iter_advance(&msg.msg_iter, off);
	return sock_sendmsg(sock, &msg);
#else
	size_t sent = 0, n;
	int flags, ret;

	for (; sent < len; sent += ret, bv++, off = 0) {
		for (; off >= bv->bv_len; bv++)
			off -= bv->bv_len;
		n = min_t(size_t, len - sent, bv->bv_len - off);
		flags = MSG_DONTWAIT | MSG_NOSIGNAL;
		if (sent + n < len)
			flags |= MSG_MORE | MSG_SENDPAGE_NOTLAST;
		ret = kernel_sendpage(sock, bv->bv_page, bv->bv_offset + off, n,
				      flags);
		if (ret <= 0)
			return sent ? sent : ret;
		if (ret < n)
			return sent + ret;
	}
	return sent;
#endif
}

#endif /* KTCM_COMPAT_H */
