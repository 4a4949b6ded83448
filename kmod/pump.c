// SPDX-License-Identifier: GPL-2.0-only
/*
 * A direction of a relay. Its work takes what the source has, into pages, and
 * gives it to the destination; what that does not take at once is held, and
 * nothing more is taken before it is gone: so TCP holds the sender back, and a
 * relay's memory has a bound. Every step is non-blocking. The work ends when
 * the source has nothing or the destination no room, and their wait queues
 * kick it again; or when its turn is over, and it goes to the end of the
 * queue.
 *
 * Down, the TLS socket opens its records into our pages, and if these are well
 * filled the plain socket gets them by reference: there is no copy, and a page
 * that somebody still refers to is replaced, not written to. Up, kTLS has
 * sealed what it took when it returns, so the pages can be used again.
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/socket.h>
#include <linux/string.h>
#include <linux/tcp.h>
#include <linux/tls.h>
#include <net/sock.h>
#include <net/tls.h>

#include "compat.h"
#include "counters.h"
#include "pages.h"
#include "pump.h"
#include "relay.h"

/* Messages and alerts, RFC 8446 4 and 6. */
#define MESSAGE_KEY_UPDATE 24
#define ALERT_WARNING 1
#define ALERT_FATAL 2
#define ALERT_CLOSE_NOTIFY 0
#define ALERT_USER_CANCELED 90

static struct workqueue_struct *pump_wq;

/* ---------------------------------------------------------------- pages -- */

static void segs_free_from(struct ktcm_dir *dir, unsigned int first)
{
	while (dir->nr_segs > first)
		ktcm_seg_put(&dir->seg[--dir->nr_segs]);
}

static void segs_free(struct ktcm_dir *dir)
{
	segs_free_from(dir, 0);
}

/* Pages to receive into: as many as wanted, and nobody's but ours. */
static int segs_prepare(struct ktcm_dir *dir)
{
	unsigned int i;
	int err;

	for (i = 0; i < dir->nr_segs; i++) {
		if (ktcm_seg_is_ours(&dir->seg[i]))
			continue;
		ktcm_seg_put(&dir->seg[i]);
		dir->seg[i--] = dir->seg[--dir->nr_segs];
	}
	while (dir->nr_segs < dir->want_segs) {
		err = ktcm_seg_get(&dir->seg[dir->nr_segs]);
		if (err && !dir->nr_segs)
			return err;
		if (err)
			break;
		dir->nr_segs++;
	}
	/* what is not data must lie in one piece */
	if (dir->seg[0].bv_len < KTCM_RECORD_MAX)
		segs_free_from(dir, 1);
	return 0;
}

static size_t segs_size(const struct ktcm_dir *dir)
{
	size_t size = 0;
	unsigned int i;

	for (i = 0; i < dir->nr_segs; i++)
		size += dir->seg[i].bv_len;
	return size;
}

/*
 * What lies in the pages that len bytes need is at least half of these: only
 * then are they worth giving away, for a socket's queue counts the bytes.
 */
static bool segs_are_filled(const struct ktcm_dir *dir, size_t len)
{
	size_t size = 0;
	unsigned int i;

	for (i = 0; i < dir->nr_segs && size < len; i++)
		size += dir->seg[i].bv_len;
	return len >= size / 2;
}

/* ------------------------------------------------------------- receiving -- */

/* The record type of what was received: 0 if kTLS has told none. */
static u8 record_type(const struct msghdr *msg, const struct cmsghdr *cmsg,
		      size_t room)
{
	if (msg->msg_controllen == room || cmsg->cmsg_level != SOL_TLS ||
	    cmsg->cmsg_type != TLS_GET_RECORD_TYPE)
		return 0;
	return *(const u8 *)CMSG_DATA(cmsg);
}

/* Bytes received, 0 at the end of the stream, -errno; *type as above. */
static int dir_recv(struct ktcm_dir *dir, u8 *type)
{
	union {
		struct cmsghdr cmsg;
		char buf[CMSG_SPACE(sizeof(u8))];
	} control = {};
	struct msghdr msg = {};
	size_t size = segs_size(dir);
	int ret;

	/* unix: no room for control, or it would be taken for user space's */
	if (dir->which == KTCM_DOWN) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	iov_iter_bvec(&msg.msg_iter, READ, dir->seg, dir->nr_segs, size);
	ret = sock_recvmsg(dir->from->sock, &msg, MSG_DONTWAIT);
	*type = 0;
	if (ret >= 0 && dir->which == KTCM_DOWN)
		*type = record_type(&msg, &control.cmsg, sizeof(control));
	return ret;
}

static bool is_tls13(const struct ktcm_side *side)
{
	return tls_get_ctx(side->sock->sk)->prot_info.version ==
	       TLS_1_3_VERSION;
}

/*
 * After a KeyUpdate nothing can be read before the key is changed: a kernel
 * that can change it (6.14) says so at the next look. It judges by a record's
 * first byte.
 */
static bool waits_for_key(struct ktcm_dir *dir)
{
	struct msghdr msg = {};
	struct kvec vec = {};
	u8 byte;

	vec.iov_base = &byte;
	vec.iov_len = sizeof(byte);
	return kernel_recvmsg(dir->from->sock, &msg, &vec, 1, sizeof(byte),
			      MSG_DONTWAIT | MSG_PEEK) == -EKEYEXPIRED;
}

/* A KeyUpdate and nothing else; not a piece of a message that begins so. */
static bool is_key_update(const u8 *p, size_t len)
{
	static const u8 head[] = { MESSAGE_KEY_UPDATE, 0, 0, 1 };

	return len == sizeof(head) + 1 && !memcmp(p, head, sizeof(head));
}

static void dir_handshake(struct ktcm_dir *dir, const u8 *p, size_t len)
{
	enum ktcm_weight weight = KTCM_RECORD_PASSES;
	struct ktcm_relay_obj *relay = dir->relay;
	struct ktcm_dir *up = &relay->dir[KTCM_UP];

	if (is_tls13(dir->from) && len && p[0] == MESSAGE_KEY_UPDATE) {
		if (waits_for_key(dir))
			weight = KTCM_RECORD_PAUSES;
		else if (is_key_update(p, len))
			weight = KTCM_RECORD_ENDS; /* nothing can be opened */
	}
	if (weight == KTCM_RECORD_PAUSES) {
		/* both ways: an answer is the last record under the old key */
		WRITE_ONCE(relay->paused, true);
		mutex_lock_nested(&up->lock, SINGLE_DEPTH_NESTING);
		mutex_unlock(&up->lock);
	}
	ktcm_relay_record(relay, KTCM_TYPE_HANDSHAKE, p, len, weight);
	if (weight == KTCM_RECORD_ENDS)
		ktcm_relay_fail(relay, KTCM_END_KEY_UPDATE, 0);
}

static void dir_alert(struct ktcm_dir *dir, const u8 *p, size_t len)
{
	bool warning;

	if (len == 2 && p[1] == ALERT_CLOSE_NOTIFY) {
		WRITE_ONCE(dir->state, KTCM_DIR_CLOSING);
		return;
	}
	/* RFC 8446 6: the level says nothing any more */
	warning = len == 2 &&
		  (p[1] == ALERT_USER_CANCELED ||
		   (p[0] == ALERT_WARNING && !is_tls13(dir->from)));
	ktcm_relay_record(dir->relay, KTCM_TYPE_ALERT, p, len,
			  warning ? KTCM_RECORD_PASSES : KTCM_RECORD_ENDS);
	if (!warning)
		ktcm_relay_fail(dir->relay, KTCM_END_ALERT, 0);
}

/*
 * A record that is not data, in the first segment; a piece of it, if memory
 * was short. It may hold secrets.
 */
static void dir_control(struct ktcm_dir *dir, u8 type, size_t len)
{
	u8 *p = page_address(dir->seg[0].bv_page);

	if (type == KTCM_TYPE_ALERT)
		dir_alert(dir, p, len);
	else if (type == KTCM_TYPE_HANDSHAKE)
		dir_handshake(dir, p, len);
	else
		ktcm_relay_record(dir->relay, type, p, len,
				  KTCM_RECORD_PASSES);
	memzero_explicit(p, len);
}

/* Records that have been opened, or are whole: no kick comes for these. */
static bool has_records(struct sock *sk)
{
	struct tls_sw_context_rx *ctx = tls_sw_ctx_rx(tls_get_ctx(sk));

	return READ_ONCE(ctx->strp.msg_ready) ||
	       !skb_queue_empty_lockless(&ctx->rx_list);
}

/*
 * After less than there was room for: does nothing come before the next kick?
 * What comes from now on kicks. What may have come before is an end, an error,
 * and what a receive stops at: a record of another type, in a plain socket
 * urgent data of TCP or another sender's credentials.
 */
static bool is_drained(const struct ktcm_dir *dir, size_t len)
{
	struct sock *sk = dir->from->sock->sk;

	if (len == segs_size(dir) || READ_ONCE(sk->sk_err) ||
	    READ_ONCE(sk->sk_shutdown) & RCV_SHUTDOWN)
		return false;
	if (dir->which == KTCM_DOWN)
		return !has_records(sk);
	return skb_queue_empty_lockless(&sk->sk_receive_queue);
}

static void dir_received(struct ktcm_dir *dir, int len, u8 type)
{
	struct ktcm_relay_obj *relay = dir->relay;

	if (dir->which == KTCM_DOWN && type && type != KTCM_TYPE_DATA) {
		dir_control(dir, type, len);
		return;
	}
	if (len) {
		dir->off = 0;
		dir->held = len;
		dir->drained = is_drained(dir, len);
		dir->want_segs = dir->drained ? 1 : KTCM_SEGS;
		return;
	}
	if (dir->which == KTCM_UP)
		WRITE_ONCE(dir->state, KTCM_DIR_CLOSING);
	else if (!type)
		ktcm_relay_fail(relay, KTCM_END_TRUNCATED, 0);
}

/* --------------------------------------------------------------- sending -- */

static int send_copy(struct ktcm_dir *dir)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };

	iov_iter_bvec(&msg.msg_iter, WRITE, dir->seg, dir->nr_segs,
		      dir->off + dir->held);
	iov_iter_advance(&msg.msg_iter, dir->off);
	return sock_sendmsg(dir->to->sock, &msg);
}

/*
 * A socket's owner can hold the locks that sending takes for as long as he
 * likes (a blocking send on kTLS, a buffer that faults), and the relay's works
 * are everybody's. These locks are waited for interruptibly: with a signal
 * pending, which a kernel thread has no other use for, not at all.
 */
static void nowait_begin(void)
{
	set_thread_flag(TIF_SIGPENDING);
}

static void nowait_end(void)
{
	clear_thread_flag(TIF_SIGPENDING);
}

/* In others' hands: what an interruptible wait for a lock gives. */
static bool is_locked(int err)
{
	return err == -EINTR || err == -ERESTARTSYS;
}

/* How much of what is held was taken; never 0. */
static int dir_send(struct ktcm_dir *dir)
{
	int ret;

	nowait_begin();
	if (dir->which == KTCM_DOWN &&
	    segs_are_filled(dir, dir->off + dir->held))
		ret = ktcm_send_pages(dir->to->sock, dir->seg, dir->nr_segs,
				      dir->off, dir->held);
	else
		ret = send_copy(dir);
	nowait_end();
	return ret ? ret : -EAGAIN;
}

static int send_close_notify(struct ktcm_dir *dir)
{
	union {
		struct cmsghdr cmsg;
		char buf[CMSG_SPACE(sizeof(u8))];
	} control = {};
	u8 alert[2] = { ALERT_WARNING, ALERT_CLOSE_NOTIFY };
	struct kvec vec = { .iov_base = alert, .iov_len = sizeof(alert) };
	struct msghdr msg = {
		.msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int ret;

	control.cmsg.cmsg_level = SOL_TLS;
	control.cmsg.cmsg_type = TLS_SET_RECORD_TYPE;
	control.cmsg.cmsg_len = CMSG_LEN(sizeof(u8));
	*(u8 *)CMSG_DATA(&control.cmsg) = KTCM_TYPE_ALERT;
	nowait_begin();
	ret = kernel_sendmsg(dir->to->sock, &msg, &vec, 1, sizeof(alert));
	nowait_end();
	return ret < 0 ? ret : 0;
}

/* The source has ended in order: the destination is told. */
static int dir_close(struct ktcm_dir *dir)
{
	if (dir->which == KTCM_UP)
		return send_close_notify(dir);
	/* ENOTCONN: it is gone already, which its other direction will see */
	(void)kernel_sock_shutdown(dir->to->sock, SHUT_WR);
	return 0;
}

/* -------------------------------------------------------------- the pump -- */

static void dir_end(struct ktcm_dir *dir, enum ktcm_dir_state state)
{
	segs_free(dir);
	WRITE_ONCE(dir->held, 0);
	WRITE_ONCE(dir->state, state);
	ktcm_relay_dir_over(dir->relay);
}

static void dir_moved(struct ktcm_dir *dir, size_t n)
{
	dir->off += n;
	WRITE_ONCE(dir->held, dir->held - n);
	WRITE_ONCE(dir->bytes, dir->bytes + n);
	dir->retries = 0;
	dir->locked = 0;
	ktcm_add(KTCM_N_DOWN_BYTES + dir->which, n);
}

static void dir_unblock(struct ktcm_dir *dir)
{
	if (!dir->blocked)
		return;
	/*
	 * Before the source is looked at again: pairs with the barrier in the
	 * socket's wake-up, between its news and side_wake()'s look at this.
	 */
	smp_store_mb(dir->blocked, false);
	dir->drained = false;
}

static void dir_later(struct ktcm_dir *dir, unsigned int ms)
{
	queue_delayed_work(pump_wq, &dir->work, msecs_to_jiffies(ms));
}

/* No room. True the first time: room may have come before we said so. */
static bool dir_block(struct ktcm_dir *dir)
{
	struct sock *sk = dir->to->sock->sk;

	if (!dir->blocked) {
		/* as above, for the destination's room */
		smp_store_mb(dir->blocked, true);
		return true;
	}
	/* there is room, it was memory that TCP had not: no wake-up follows */
	if (ktcm_is_tcp(sk) && sk_stream_is_writeable(sk))
		dir_later(dir, KTCM_RETRY_MS);
	return false;
}

/* Memory is short: later again. True if that has been said often enough. */
static bool dir_retry(struct ktcm_dir *dir)
{
	if (dir->retries++ >= KTCM_RETRIES)
		return true;
	dir_later(dir, KTCM_RETRY_MS);
	return false;
}

/* Others have the socket, who do not tell when they are done. */
static void dir_wait_turn(struct ktcm_dir *dir)
{
	dir->locked++;
	dir_later(dir, min_t(unsigned int, dir->locked, KTCM_LOCKED_MS));
}

static bool is_short_of_memory(int err)
{
	return err == -ENOMEM || err == -ENOBUFS;
}

/*
 * Something to give. True to go on; false: it waits, or is over.
 */
static bool pump_out(struct ktcm_dir *dir)
{
	enum ktcm_end end = dir->which == KTCM_UP ? KTCM_END_TLS :
						    KTCM_END_PLAIN;
	int ret;

	ret = dir->held ? dir_send(dir) : dir_close(dir);
	if (ret >= 0) {
		dir_unblock(dir);
		if (dir->held)
			dir_moved(dir, ret);
		else
			dir_end(dir, KTCM_DIR_CLOSED);
		return !ktcm_dir_is_over(dir);
	}
	if (ret == -EAGAIN)
		return dir_block(dir);
	if (is_locked(ret)) {
		dir_wait_turn(dir);
		return false;
	}
	if (is_short_of_memory(ret) && !dir_retry(dir))
		return false;
	/*
	 * The destination is gone. What it had sent before can still be read:
	 * the other direction finds its end by itself.
	 */
	ktcm_relay_note(dir->relay, end, -ret);
	dir_end(dir, KTCM_DIR_OVER);
	return false;
}

static enum ktcm_end source_end(const struct ktcm_dir *dir)
{
	return dir->which == KTCM_UP ? KTCM_END_PLAIN : KTCM_END_TLS;
}

/* Room to take something. True to go on. */
static bool pump_in(struct ktcm_dir *dir)
{
	u8 type = 0;
	int ret;

	ret = segs_prepare(dir);
	if (!ret)
		ret = dir_recv(dir, &type);
	if (ret >= 0) {
		dir_received(dir, ret, type);
		return true;
	}
	if (ret == -EAGAIN) {
		dir->drained = true;
		return true;
	}
	if (is_short_of_memory(ret) && !dir_retry(dir))
		return false;
	ktcm_relay_fail(dir->relay, source_end(dir), -ret);
	return true;
}

/*
 * What is held, to a socket that takes it whatever room it has. False to try
 * once more: the socket is in other hands, or memory is short.
 */
static bool dir_force(struct ktcm_dir *dir)
{
	struct ktcm_stretch stretch;
	int ret = 0;

	if (!dir->held)
		return true;
	ktcm_side_stretch(dir->to, dir->held, &stretch);
	while (dir->held && ret >= 0) {
		ret = dir_send(dir);
		if (ret > 0)
			dir_moved(dir, ret);
	}
	ktcm_side_relax(dir->to, &stretch);
	if (ret != -EAGAIN && !is_locked(ret) && !is_short_of_memory(ret))
		return true;	/* all of it, or there is nobody to take it */
	if (dir->locked < KTCM_FORCE_TRIES) {
		dir_wait_turn(dir);
		return false;
	}
	ktcm_add(KTCM_N_LOST_BYTES, dir->held);
	return true;
}

/* Paused, nobody reads: an end that is not seen there is looked for here. */
static bool is_dead(const struct ktcm_dir *dir)
{
	return READ_ONCE(dir->from->sock->sk->sk_err);
}

/* True when the turn is over with more to do. */
static bool dir_pump(struct ktcm_dir *dir)
{
	struct ktcm_relay_obj *relay = dir->relay;
	u64 until = dir->bytes + KTCM_BUDGET;
	unsigned int ops = KTCM_BUDGET_OPS;

	dir->drained = false;
	while (!ktcm_dir_is_over(dir)) {
		if (READ_ONCE(relay->failed)) {
			if (!dir_force(dir))
				return false;
			dir_end(dir, KTCM_DIR_OVER);
		} else if (ktcm_side_has_fds(dir->from)) {
			ktcm_relay_fail(relay, source_end(dir), EOPNOTSUPP);
		} else if (READ_ONCE(relay->paused) &&
			   !READ_ONCE(relay->stopped)) {
			if (!is_dead(dir))
				return false;
			ktcm_relay_fail(relay, source_end(dir),
					READ_ONCE(dir->from->sock->sk->sk_err));
		} else if (dir->held || dir->state == KTCM_DIR_CLOSING) {
			if (!pump_out(dir))
				return false;
		} else if (READ_ONCE(relay->stopped)) {
			dir_end(dir, KTCM_DIR_OVER);
		} else if (dir->drained) {
			segs_free(dir);	/* who rests costs nothing */
			return false;
		} else if (dir->bytes >= until || !ops--) {
			return true;
		} else if (!pump_in(dir)) {
			return false;
		}
	}
	return false;
}

static void dir_work(struct work_struct *work)
{
	struct ktcm_dir *dir = container_of(to_delayed_work(work),
					    struct ktcm_dir, work);
	const struct cred *kernels;
	u64 before;
	bool again;

	/* bytes are sent as by who began the relay */
	kernels = override_creds(dir->relay->cred);
	mutex_lock(&dir->lock);
	before = dir->bytes;
	again = dir_pump(dir);
	if (dir->bytes != before)
		ktcm_relay_progress(dir->relay);
	mutex_unlock(&dir->lock);
	revert_creds(kernels);
	if (again)
		ktcm_dir_kick(dir);
}

/* --------------------------------------------------------- begin and end -- */

void ktcm_dir_kick(struct ktcm_dir *dir)
{
	if (!READ_ONCE(dir->relay->closing))
		queue_delayed_work(pump_wq, &dir->work, 0);
}

void ktcm_dir_init(struct ktcm_dir *dir, struct ktcm_relay_obj *relay,
		   unsigned int which, struct ktcm_side *from,
		   struct ktcm_side *to)
{
	INIT_DELAYED_WORK(&dir->work, dir_work);
	mutex_init(&dir->lock);
	dir->relay = relay;
	dir->which = which;
	dir->from = from;
	dir->to = to;
	dir->want_segs = 1;
	from->in = dir;
	to->out = dir;
}

void ktcm_dir_fini(struct ktcm_dir *dir)
{
	if (!ktcm_dir_is_over(dir))
		ktcm_add(KTCM_N_LOST_BYTES, dir->held);
	segs_free(dir);
	mutex_destroy(&dir->lock);
}

int ktcm_pump_init(void)
{
	/* per CPU: where the bytes are warm; a turn is short */
	pump_wq = alloc_workqueue("ktlsclient", KTCM_WQ_PERCPU, 0);
	return pump_wq ? 0 : -ENOMEM;
}

void ktcm_pump_exit(void)
{
	destroy_workqueue(pump_wq);
	/*
	 * Its memory goes by RCU, from a thread of the workqueues' own: let
	 * that come first, and wait, or it looks like left behind by this
	 * module. Where there is one CPU, synchronize_rcu() does not wait.
	 */
	synchronize_rcu();
	schedule_timeout_uninterruptible(1);
	rcu_barrier();
}
