// SPDX-License-Identifier: GPL-2.0-only
/*
 * The two sockets of a relay. A relay listens as poll() and epoll do, with an
 * entry on the socket's wait queue: it stands beside whatever has hooked the
 * socket's callbacks (kTLS itself does), needs no field of struct sock, and
 * when it has been removed no call into this module is on its way. kTLS wakes
 * that queue once a whole record is there.
 *
 * A socket is in one relay at a time: sockets are claimed in a small table.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/tcp.h>
#include <net/af_unix.h>
#include <net/inet_connection_sock.h>
#include <net/sock.h>
#include <net/tls.h>

#include "compat.h"
#include "pump.h"
#include "side.h"

static DEFINE_HASHTABLE(claims, 10);
static DEFINE_SPINLOCK(claims_lock);

/* --------------------------------------------------------------- claims -- */

static struct ktcm_side *claim_find(const struct socket *sock)
{
	struct ktcm_side *side;

	hash_for_each_possible(claims, side, claim, (unsigned long)sock)
		if (side->sock == sock)
			return side;
	return NULL;
}

bool ktcm_is_claimed(const struct socket *sock)
{
	bool found;

	spin_lock(&claims_lock);
	found = claim_find(sock);
	spin_unlock(&claims_lock);
	return found;
}

static int claim(struct ktcm_side *side)
{
	int err = 0;

	spin_lock(&claims_lock);
	if (claim_find(side->sock))
		err = -EBUSY;
	else
		hash_add(claims, &side->claim, (unsigned long)side->sock);
	spin_unlock(&claims_lock);
	return err;
}

static void unclaim(struct ktcm_side *side)
{
	spin_lock(&claims_lock);
	hash_del(&side->claim);
	spin_unlock(&claims_lock);
}

/* ---------------------------------------------------------------- kinds -- */

bool ktcm_is_tcp(const struct sock *sk)
{
	return (sk->sk_family == AF_INET || sk->sk_family == AF_INET6) &&
	       sk->sk_type == SOCK_STREAM && sk->sk_protocol == IPPROTO_TCP;
}

bool ktcm_has_tls(const struct sock *sk)
{
	const struct tcp_ulp_ops *ulp = inet_csk(sk)->icsk_ulp_ops;

	return ulp && !strcmp(ulp->name, "tls");
}

static bool is_unix_stream(const struct sock *sk)
{
	return sk->sk_family == AF_UNIX && sk->sk_type == SOCK_STREAM;
}

static bool has_fds(struct sock *sk)
{
	return is_unix_stream(sk) &&
	       atomic_read(&unix_sk(sk)->scm_stat.nr_fds);
}

bool ktcm_side_has_fds(const struct ktcm_side *side)
{
	return has_fds(side->sock->sk);
}

static bool is_connected(const struct sock *sk)
{
	int state = READ_ONCE(sk->sk_state);

	return state == TCP_ESTABLISHED ||
	       (ktcm_is_tcp(sk) && state == TCP_CLOSE_WAIT);
}

/* In kTLS's hands, whoever computes; not in those of a TCP engine. */
static bool has_keys(int conf)
{
	return conf == TLS_SW || conf == TLS_HW;
}

static int check_tls(struct sock *sk)
{
	struct tls_context *ctx;
	int err = 0;

	if (!ktcm_is_tcp(sk))
		return -EOPNOTSUPP;
	lock_sock(sk);
	if (!is_connected(sk)) {
		err = -ENOTCONN;
	} else if (!ktcm_has_tls(sk)) {
		err = -ENOKEY;
	} else {
		ctx = tls_get_ctx(sk);
		if (!has_keys(ctx->tx_conf) || !has_keys(ctx->rx_conf))
			err = -ENOKEY;
	}
	release_sock(sk);
	return err;
}

static int check_plain(struct sock *sk)
{
	bool is_unix = is_unix_stream(sk);
	int err = 0;

	if (!is_unix && !ktcm_is_tcp(sk))
		return -EOPNOTSUPP;
	if (has_fds(sk))
		return -EOPNOTSUPP;
	lock_sock(sk);
	if (!is_connected(sk))
		err = -ENOTCONN;
	else if (!is_unix && inet_csk(sk)->icsk_ulp_ops)
		err = -EINVAL;
	release_sock(sk);
	return err;
}

/* ------------------------------------------------------------ get, put -- */

static int side_get(struct ktcm_side *side, int fd,
		    int (*check)(struct sock *sk))
{
	struct file *file = fget(fd);
	struct socket *sock;
	int err;

	if (!file)
		return -EBADF;
	sock = sock_from_file(file);
	if (!sock) {
		err = -ENOTSOCK;
		goto out_put;
	}
	err = check(sock->sk);
	if (err)
		goto out_put;
	side->sock = sock;
	err = claim(side);
	if (err)
		goto out_put;
	side->file = file;
	side->claimed = true;
	side->ino = SOCK_INODE(sock)->i_ino;
	return 0;

out_put:
	fput(file);
	return err;
}

/*
 * TLS 1.3: kTLS opens records straight into the pages it is given only if it
 * is told that the peer does not pad them. It finds out about one that does,
 * and about records that are not data, and opens those a second time. What it
 * has written behind such a record by then (before 6.1.192, 6.12.115) lies in
 * pages of ours that are not looked at. The owner gets the socket back as it
 * was.
 */
static void set_no_pad(struct ktcm_side *side, u32 value)
{
	side->no_pad = !ktcm_setsockopt(side->sock, SOL_TLS,
					TLS_RX_EXPECT_NO_PAD,
					KERNEL_SOCKPTR(&value),
					sizeof(value)) && value;
}

int ktcm_side_get_tls(struct ktcm_side *side, int fd)
{
	int err = side_get(side, fd, check_tls);

	/* what cannot be set (TLS 1.2) needs not to be */
	if (!err && !tls_get_ctx(side->sock->sk)->rx_no_pad)
		set_no_pad(side, 1);
	return err;
}

int ktcm_side_get_plain(struct ktcm_side *side, int fd)
{
	return side_get(side, fd, check_plain);
}

static void side_leave(struct ktcm_side *side)
{
	if (!side->claimed)
		return;
	if (side->no_pad)
		set_no_pad(side, 0);
	unclaim(side);
	side->claimed = false;
}

void ktcm_side_end(struct ktcm_side *side)
{
	side_leave(side);
	if (is_unix_stream(side->sock->sk))
		ktcm_side_put(side);
}

void ktcm_side_put(struct ktcm_side *side)
{
	if (!side->file)
		return;
	side_leave(side);
	fput(side->file);
	side->file = NULL;
}

/* --------------------------------------------------------------- waking -- */

/*
 * With the wait queue's lock held, in whatever context the news came. A key of
 * 0 is a change of the socket's state.
 */
static int side_wake(wait_queue_entry_t *wait, unsigned int mode, int sync,
		     void *key)
{
	struct ktcm_side *side = container_of(wait, struct ktcm_side, wait);
	__poll_t events = key_to_poll(key);

	if (!events || events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) {
		ktcm_dir_kick(side->in);
		ktcm_dir_kick(side->out);
		return 0;
	}
	/*
	 * One that waits for room reads on by itself when it has found it. But
	 * descriptors end the relay, lest its own is among them for ever.
	 */
	if (events & EPOLLIN && (!READ_ONCE(side->in->blocked) ||
				 ktcm_side_has_fds(side)))
		ktcm_dir_kick(side->in);
	if (events & EPOLLOUT && READ_ONCE(side->out->blocked))
		ktcm_dir_kick(side->out);
	return 0;
}

static void side_queue(struct file *file, wait_queue_head_t *wqh,
		       poll_table *pt)
{
	struct ktcm_side *side = container_of(pt, struct ktcm_side, pt);

	if (side->wqh)
		return;
	side->wqh = wqh;
	add_wait_queue(wqh, &side->wait);
}

int ktcm_side_listen(struct ktcm_side *side)
{
	init_waitqueue_func_entry(&side->wait, side_wake);
	init_poll_funcptr(&side->pt, side_queue);
	(void)vfs_poll(side->file, &side->pt);	/* each is looked at anyway */
	return side->wqh ? 0 : -EOPNOTSUPP;
}

void ktcm_side_deafen(struct ktcm_side *side)
{
	wait_queue_head_t *wqh = xchg(&side->wqh, NULL);

	if (wqh)
		remove_wait_queue(wqh, &side->wait);
}

/* ---------------------------------------------------- more than its size -- */

void ktcm_side_stretch(struct ktcm_side *side, size_t len,
		       struct ktcm_stretch *stretch)
{
	struct sock *sk = side->sock->sk;
	s64 room;

	lock_sock(sk);
	/* the bytes, and what the kernel keeps with them */
	room = max(READ_ONCE(sk->sk_wmem_queued), sk_wmem_alloc_get(sk));
	room = max_t(s64, room, sk->sk_sndbuf) + 4 * len + SZ_128K;
	stretch->sndbuf_was = sk->sk_sndbuf;
	stretch->sndbuf = min_t(s64, room, INT_MAX);
	WRITE_ONCE(sk->sk_sndbuf, stretch->sndbuf);
	if (ktcm_is_tcp(sk)) {
		stretch->lowat_was = tcp_sk(sk)->notsent_lowat;
		WRITE_ONCE(tcp_sk(sk)->notsent_lowat, U32_MAX);
	}
	release_sock(sk);
}

void ktcm_side_relax(struct ktcm_side *side,
		     const struct ktcm_stretch *stretch)
{
	struct sock *sk = side->sock->sk;

	lock_sock(sk);
	/* its owner, or TCP, may have set another size meanwhile */
	if (sk->sk_sndbuf == stretch->sndbuf)
		WRITE_ONCE(sk->sk_sndbuf, stretch->sndbuf_was);
	if (ktcm_is_tcp(sk) && tcp_sk(sk)->notsent_lowat == U32_MAX)
		WRITE_ONCE(tcp_sk(sk)->notsent_lowat, stretch->lowat_was);
	release_sock(sk);
}
