/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A socket in a relay: whose it is, and how it wakes the relay's directions.
 */
#ifndef KTCM_SIDE_H
#define KTCM_SIDE_H

#include <linux/list.h>
#include <linux/net.h>
#include <linux/poll.h>
#include <linux/wait.h>

struct ktcm_dir;

struct ktcm_side {
	struct file *file;		/* our reference; NULL: given back */
	struct socket *sock;
	struct ktcm_dir *in;		/* the direction that reads it */
	struct ktcm_dir *out;		/* the one that writes to it */
	wait_queue_head_t *wqh;		/* the socket's, while we listen */
	wait_queue_entry_t wait;
	poll_table pt;
	struct hlist_node claim;
	bool claimed;
	bool no_pad;			/* we have set it: TLS 1.3 */
	unsigned long ino;		/* the socket's name, for people */
};

/* Kinds of sockets. */
bool ktcm_is_tcp(const struct sock *sk);
bool ktcm_has_tls(const struct sock *sk);	/* TCP: the ULP is kTLS */

/* Is the socket in a relay? */
bool ktcm_is_claimed(const struct socket *sock);

/*
 * Take the descriptor's socket for a relay: 0, or EBADF, ENOTSOCK, and what
 * struct ktcm_relay says of each kind. ktcm_side_put() undoes it; a side that
 * is all zero, or was put before, is let be.
 */
int ktcm_side_get_tls(struct ktcm_side *side, int fd);
int ktcm_side_get_plain(struct ktcm_side *side, int fd);
void ktcm_side_put(struct ktcm_side *side);

/*
 * The relay has ended. A unix socket goes at once: its queue may hold the
 * relay, which then must not hold it. A TCP socket waits for ktcm_side_put():
 * its last close can take as long as its owner's SO_LINGER says, and a work is
 * not the one to wait for that.
 */
void ktcm_side_end(struct ktcm_side *side);

/* Somebody has sent descriptors, which lie in the socket's queue: unix. */
bool ktcm_side_has_fds(const struct ktcm_side *side);

/*
 * Kick the directions when the socket has news, from now on; no longer. Kicks
 * come in any context. After ktcm_side_deafen() none is on its way, but if
 * another thread was at that too: then once that has returned.
 */
int ktcm_side_listen(struct ktcm_side *side);
void ktcm_side_deafen(struct ktcm_side *side);

/*
 * Let the socket's send queue grow by len bytes over its size, and take that
 * back. Process context, nothing else of ours at work on the socket.
 */
struct ktcm_stretch {
	int sndbuf_was;
	int sndbuf;
	u32 lowat_was;
};

void ktcm_side_stretch(struct ktcm_side *side, size_t len,
		       struct ktcm_stretch *stretch);
void ktcm_side_relax(struct ktcm_side *side,
		     const struct ktcm_stretch *stretch);

#endif /* KTCM_SIDE_H */
