// SPDX-License-Identifier: GPL-2.0-only
/*
 * RELAY: the life of a relay, from the command to the last close of its
 * descriptor, and the mailbox it is read through. The bytes are pump.c's.
 *
 * A relay is the descriptor's: it begins with it and is freed by its release.
 * The works of its directions run in between. It ends when both directions are
 * over; the sockets are given back then, by the work that was last. Release
 * may come at any time before or after that. If it is before, it has the works
 * end the relay: what they hold goes into the sockets. Then it unhooks the
 * sockets, so that no kick comes from them; sets closing, so that none comes
 * from a work; and waits for both works. Then nobody else knows the relay.
 *
 * Locks, outermost first: read_lock, or KTCM_DOWN's lock and then KTCM_UP's and
 * the sockets' own; innermost box_lock, and the lock of a socket's wait queue,
 * which alone is taken in other contexts than a process's.
 */
#include <linux/anon_inodes.h>
#include <linux/cred.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/moduleparam.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "compat.h"
#include "counters.h"
#include "pages.h"
#include "relay.h"
#include "trace.h"

static unsigned int relays_max = 65536;
module_param(relays_max, uint, 0644);
MODULE_PARM_DESC(relays_max, "relays that may be there at once");

static atomic64_t relay_ids;

/* One record in the mailbox. */
struct relay_record {
	struct list_head list;
	u32 len;
	u32 dropped;
	u8 type;
	bool paused;
	u8 data[];
};

/* ------------------------------------------------- what directions say -- */

static void relay_kick(struct ktcm_relay_obj *relay)
{
	ktcm_dir_kick(&relay->dir[KTCM_DOWN]);
	ktcm_dir_kick(&relay->dir[KTCM_UP]);
}

void ktcm_relay_note(struct ktcm_relay_obj *relay, enum ktcm_end end,
		     int error)
{
	spin_lock(&relay->box_lock);
	if (!relay->end) {
		relay->end = end;
		relay->error = error;
	}
	spin_unlock(&relay->box_lock);
	relay_kick(relay);
}

void ktcm_relay_fail(struct ktcm_relay_obj *relay, enum ktcm_end end,
		     int error)
{
	WRITE_ONCE(relay->failed, true);
	ktcm_relay_note(relay, end, error);
}

static struct relay_record *record_new(u8 type, const u8 *p, size_t len)
{
	struct relay_record *record;

	record = kmalloc(struct_size(record, data, len),
			 GFP_KERNEL | __GFP_NOWARN);
	if (!record)
		return NULL;
	record->len = len;
	record->type = type;
	memcpy(record->data, p, len);
	return record;
}

static void record_free(struct relay_record *record)
{
	kfree_sensitive(record);
}

static bool box_has_room(const struct ktcm_relay_obj *relay, size_t len)
{
	return relay->nr_records < KTCM_RECORDS_MAX &&
	       relay->record_bytes + len <= KTCM_RECORD_BYTES_MAX;
}

void ktcm_relay_record(struct ktcm_relay_obj *relay, u8 type, const u8 *p,
		       size_t len, enum ktcm_weight weight)
{
	struct relay_record *record = record_new(type, p, len);

	spin_lock(&relay->box_lock);
	relay->records_seen++;
	if (record && (weight != KTCM_RECORD_PASSES ||
		       box_has_room(relay, len))) {
		record->paused = weight == KTCM_RECORD_PAUSES;
		record->dropped = relay->dropped_since;
		relay->dropped_since = 0;
		list_add_tail(&record->list, &relay->records);
		relay->nr_records++;
		relay->record_bytes += len;
		record = NULL;
	} else {
		relay->dropped_since++;
		relay->dropped++;
		ktcm_count(KTCM_N_RECORDS_DROPPED);
	}
	trace_ktlsclient_record(relay->id, type, len, relay->dropped);
	spin_unlock(&relay->box_lock);
	record_free(record);
	ktcm_count(KTCM_N_RECORDS);
	wake_up_interruptible_poll(&relay->wait, EPOLLIN | EPOLLRDNORM);
}

static u64 relay_bytes(const struct ktcm_relay_obj *relay)
{
	return READ_ONCE(relay->dir[KTCM_DOWN].bytes) +
	       READ_ONCE(relay->dir[KTCM_UP].bytes);
}

void ktcm_relay_progress(struct ktcm_relay_obj *relay)
{
	u64 bytes;

	if (!relay->progress_bytes)
		return;
	spin_lock(&relay->box_lock);
	bytes = relay_bytes(relay);
	if (bytes - relay->progress_told < relay->progress_bytes) {
		spin_unlock(&relay->box_lock);
		return;
	}
	relay->progress_told = bytes;
	relay->progress_due = true;
	spin_unlock(&relay->box_lock);
	wake_up_interruptible_poll(&relay->wait, EPOLLIN | EPOLLRDNORM);
}

static bool in_order(const struct ktcm_relay_obj *relay)
{
	return relay->dir[KTCM_DOWN].state == KTCM_DIR_CLOSED &&
	       relay->dir[KTCM_UP].state == KTCM_DIR_CLOSED;
}

void ktcm_relay_dir_over(struct ktcm_relay_obj *relay)
{
	if (!atomic_dec_and_test(&relay->dirs_open))
		return;
	ktcm_side_deafen(&relay->tls);
	ktcm_side_deafen(&relay->plain);
	ktcm_side_end(&relay->tls);
	ktcm_side_end(&relay->plain);
	spin_lock(&relay->box_lock);
	if (!relay->end)
		relay->end = in_order(relay) ? KTCM_END_DONE :
					       KTCM_END_STOPPED;
	relay->ended = true;
	spin_unlock(&relay->box_lock);
	wake_up_interruptible_poll(&relay->wait, EPOLLIN | EPOLLRDNORM);
}

void ktcm_relay_status(struct ktcm_relay_obj *relay, struct ktcm_status *out)
{
	unsigned int i;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < 2; i++) {
		out->bytes[i] = READ_ONCE(relay->dir[i].bytes);
		out->held[i] = READ_ONCE(relay->dir[i].held);
		if (!ktcm_dir_is_over(&relay->dir[i]))
			out->open |= BIT(i);
		if (READ_ONCE(relay->dir[i].state) == KTCM_DIR_CLOSED)
			out->closed |= BIT(i);
	}
	spin_lock(&relay->box_lock);
	out->end = relay->ended ? relay->end : KTCM_END_NOT;
	out->error = relay->ended ? relay->error : 0;
	out->records = relay->records_seen;
	out->dropped = relay->dropped;
	spin_unlock(&relay->box_lock);
	out->paused = READ_ONCE(relay->paused);
}

/* -------------------------------------------------------------- reading -- */

/* What a reader would get: also EPOLLHUP when nothing ever comes again. */
static __poll_t box_poll(const struct ktcm_relay_obj *relay)
{
	if (relay->end_read)
		return EPOLLHUP;
	if (relay->nr_records || relay->progress_due || relay->ended)
		return EPOLLIN | EPOLLRDNORM;
	return 0;
}

static __poll_t relay_poll(struct file *file, poll_table *pt)
{
	struct ktcm_relay_obj *relay = file->private_data;
	__poll_t events;

	poll_wait(file, &relay->wait, pt);
	spin_lock(&relay->box_lock);
	events = box_poll(relay);
	spin_unlock(&relay->box_lock);
	return events;
}

static bool box_is_quiet(struct ktcm_relay_obj *relay)
{
	bool quiet;

	spin_lock(&relay->box_lock);
	quiet = !box_poll(relay);
	spin_unlock(&relay->box_lock);
	return quiet;
}

/*
 * The oldest event, and its record if it has one. Both stay in the mailbox:
 * only readers take out, and read_lock is held. 0 when there is none.
 */
static u32 box_peek(struct ktcm_relay_obj *relay, struct ktcm_event *ev,
		    struct relay_record **record)
{
	struct relay_record *first;

	memset(ev, 0, sizeof(*ev));
	*record = NULL;
	spin_lock(&relay->box_lock);
	first = list_first_entry_or_null(&relay->records, struct relay_record,
					 list);
	if (first) {
		*record = first;
		ev->type = KTCM_EV_RECORD;
		ev->len = first->len;
		ev->record_type = first->type;
		ev->paused = first->paused;
		ev->dropped = first->dropped;
	} else if (relay->ended && !relay->end_read) {
		ev->type = KTCM_EV_END;
		ev->end = relay->end;
		ev->error = relay->error;
	} else if (relay->progress_due && !relay->end_read) {
		ev->type = KTCM_EV_PROGRESS;
	}
	ev->bytes[KTCM_DOWN] = READ_ONCE(relay->dir[KTCM_DOWN].bytes);
	ev->bytes[KTCM_UP] = READ_ONCE(relay->dir[KTCM_UP].bytes);
	spin_unlock(&relay->box_lock);
	return ev->type;
}

static void box_take(struct ktcm_relay_obj *relay, const struct ktcm_event *ev,
		     struct relay_record *record)
{
	spin_lock(&relay->box_lock);
	switch (ev->type) {
	case KTCM_EV_RECORD:
		list_del(&record->list);
		relay->nr_records--;
		relay->record_bytes -= record->len;
		break;
	case KTCM_EV_PROGRESS:
		relay->progress_due = false;
		break;
	default:
		relay->end_read = true;
		break;
	}
	spin_unlock(&relay->box_lock);
	record_free(record);
}

/* 0: there is none. */
static ssize_t box_read(struct ktcm_relay_obj *relay, struct iov_iter *to)
{
	struct relay_record *record;
	struct ktcm_event ev;
	size_t len;

	if (!box_peek(relay, &ev, &record))
		return 0;
	len = sizeof(ev) + ev.len;
	if (iov_iter_count(to) < len)
		return -EMSGSIZE;
	if (copy_to_iter(&ev, sizeof(ev), to) != sizeof(ev) ||
	    (record && copy_to_iter(record->data, ev.len, to) != ev.len))
		return -EFAULT;
	box_take(relay, &ev, record);
	/* the last one: poll() has something else to say from now on */
	if (ev.type == KTCM_EV_END)
		wake_up_interruptible_poll(&relay->wait, EPOLLHUP);
	return len;
}

static ssize_t relay_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct ktcm_relay_obj *relay = iocb->ki_filp->private_data;
	bool nonblock = iocb->ki_filp->f_flags & O_NONBLOCK ||
			iocb->ki_flags & IOCB_NOWAIT;
	ssize_t ret;

	for (;;) {
		if (!nonblock)
			ret = mutex_lock_interruptible(&relay->read_lock);
		else
			ret = mutex_trylock(&relay->read_lock) ? 0 : -EAGAIN;
		if (ret)
			return ret;
		ret = box_read(relay, to);
		if (!ret && relay->end_read) {
			mutex_unlock(&relay->read_lock);
			return 0;
		}
		mutex_unlock(&relay->read_lock);
		if (ret)
			return ret;
		if (nonblock)
			return -EAGAIN;
		ret = wait_event_interruptible(relay->wait,
					       !box_is_quiet(relay));
		if (ret)
			return ret;
	}
}

/* ------------------------------------------------------------- commands -- */

static int relay_stop(struct ktcm_relay_obj *relay)
{
	WRITE_ONCE(relay->stopped, true);
	relay_kick(relay);
	return 0;
}

static int relay_resume(struct ktcm_relay_obj *relay)
{
	if (!READ_ONCE(relay->paused))
		return -EINVAL;
	WRITE_ONCE(relay->paused, false);
	relay_kick(relay);
	return 0;
}

static long relay_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct ktcm_relay_obj *relay = file->private_data;
	struct ktcm_status status;

	switch (cmd) {
	case KTCM_IOC_STATUS:
		ktcm_relay_status(relay, &status);
		if (copy_to_user((void __user *)arg, &status, sizeof(status)))
			return -EFAULT;
		return 0;
	case KTCM_IOC_STOP:
		return relay_stop(relay);
	case KTCM_IOC_RESUME:
		return relay_resume(relay);
	default:
		return -ENOTTY;
	}
}

static void relay_fdinfo(struct seq_file *m, struct file *file)
{
	struct ktcm_relay_obj *relay = file->private_data;
	struct ktcm_status status;

	ktcm_relay_status(relay, &status);
	seq_printf(m, "ktlsclient-relay:\t%llu\n", relay->id);
	seq_printf(m, "tls:\t%lu\nplain:\t%lu\n", relay->tls.ino,
		   relay->plain.ino);
	seq_printf(m, "down:\t%llu\nup:\t%llu\n", status.bytes[KTCM_DOWN],
		   status.bytes[KTCM_UP]);
	seq_printf(m, "end:\t%u\nerror:\t%d\n", status.end, status.error);
}

/* ------------------------------------------------------- begin and end -- */

static void box_empty(struct ktcm_relay_obj *relay)
{
	struct relay_record *record, *next;

	list_for_each_entry_safe(record, next, &relay->records, list)
		record_free(record);
}

/*
 * Each work may have kicked the other one, or itself, before it saw closing;
 * once both have been waited for, none has missed it.
 */
static void works_wait(struct ktcm_relay_obj *relay)
{
	unsigned int i;

	WRITE_ONCE(relay->closing, true);
	for (i = 0; i < 4; i++)
		cancel_delayed_work_sync(&relay->dir[i % 2].work);
}

static void relay_free(struct ktcm_relay_obj *relay)
{
	ktcm_side_put(&relay->tls);
	ktcm_side_put(&relay->plain);
	put_cred(relay->cred);
	box_empty(relay);
	mutex_destroy(&relay->read_lock);
	kfree(relay);
	ktcm_add(KTCM_N_RELAYS, -1);
	if (!ktcm_counted(KTCM_N_RELAYS))
		ktcm_segs_drain();
}

static bool is_over(const struct ktcm_relay_obj *relay)
{
	return ktcm_dir_is_over(&relay->dir[KTCM_DOWN]) &&
	       ktcm_dir_is_over(&relay->dir[KTCM_UP]);
}

/*
 * The works give what they hold to the sockets, and none of them waits for
 * anybody. One that finds a socket in other hands tries again, which is why
 * there may be several rounds.
 */
static void relay_give_up(struct ktcm_relay_obj *relay)
{
	unsigned int tries;

	WRITE_ONCE(relay->failed, true);
	for (tries = 0; tries < KTCM_FORCE_TRIES; tries++) {
		relay_kick(relay);
		flush_delayed_work(&relay->dir[KTCM_DOWN].work);
		flush_delayed_work(&relay->dir[KTCM_UP].work);
		if (is_over(relay))
			return;
		usleep_range(1000, 2000);
	}
}

static int relay_release(struct inode *inode, struct file *file)
{
	struct ktcm_relay_obj *relay = file->private_data;

	ktcm_list_del(relay);
	ktcm_count(KTCM_N_ENDS + (relay->ended ? relay->end : KTCM_END_NOT));
	if (relay->tls.wqh && relay->plain.wqh && !is_over(relay))
		relay_give_up(relay);
	/* the end, in one of the works, may be at this too */
	ktcm_side_deafen(&relay->tls);
	ktcm_side_deafen(&relay->plain);
	works_wait(relay);
	ktcm_dir_fini(&relay->dir[KTCM_DOWN]);
	ktcm_dir_fini(&relay->dir[KTCM_UP]);
	trace_ktlsclient_relay_end(relay->id, relay->end, relay->error,
				   relay->dir[KTCM_DOWN].bytes,
				   relay->dir[KTCM_UP].bytes);
	relay_free(relay);
	return 0;
}

static const struct file_operations relay_fops = {
	.owner = THIS_MODULE,
	.read_iter = relay_read_iter,
	.poll = relay_poll,
	.unlocked_ioctl = relay_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = relay_release,
	.llseek = noop_llseek,
	.show_fdinfo = relay_fdinfo,
};

static int arg_check(const struct ktcm_relay *arg)
{
	if (arg->abi != KTCM_ABI)
		return -EPROTO;
	if (arg->flags & ~KTCM_RELAY_NONBLOCK ||
	    memchr_inv(arg->reserved, 0, sizeof(arg->reserved)))
		return -EINVAL;
	return 0;
}

/* A relay with its sockets, not yet at work. */
static int relay_new(const struct ktcm_relay *arg,
		     struct ktcm_relay_obj **out)
{
	struct ktcm_relay_obj *relay;
	int err;

	relay = kzalloc(sizeof(*relay), GFP_KERNEL_ACCOUNT);
	if (!relay)
		return -ENOMEM;
	err = ktcm_side_get_tls(&relay->tls, arg->tls_fd);
	if (err)
		goto out_free;
	err = ktcm_side_get_plain(&relay->plain, arg->plain_fd);
	if (err)
		goto out_put;
	spin_lock_init(&relay->box_lock);
	mutex_init(&relay->read_lock);
	init_waitqueue_head(&relay->wait);
	INIT_LIST_HEAD(&relay->records);
	atomic_set(&relay->dirs_open, 2);
	relay->progress_bytes = arg->progress_bytes;
	relay->cred = get_current_cred();
	relay->id = atomic64_inc_return(&relay_ids);
	ktcm_dir_init(&relay->dir[KTCM_DOWN], relay, KTCM_DOWN, &relay->tls,
		      &relay->plain);
	ktcm_dir_init(&relay->dir[KTCM_UP], relay, KTCM_UP, &relay->plain,
		      &relay->tls);
	*out = relay;
	return 0;

out_put:
	ktcm_side_put(&relay->tls);
out_free:
	kfree(relay);
	return err;
}

/* Its descriptor's file, which owns it from then on. */
static struct file *relay_file(struct ktcm_relay_obj *relay, u32 flags)
{
	unsigned int f_flags = O_RDWR | O_CLOEXEC;
	struct file *file;

	if (flags & KTCM_RELAY_NONBLOCK)
		f_flags |= O_NONBLOCK;
	file = anon_inode_getfile("[ktlsclient-relay]", &relay_fops, relay,
				  f_flags);
	if (!IS_ERR(file))
		file->f_mode |= FMODE_NOWAIT;	/* io_uring polls, then reads */
	return file;
}

static int relay_begin(const struct ktcm_relay *arg)
{
	struct ktcm_relay_obj *relay;
	struct file *file;
	int fd, err;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	err = -ENFILE;
	if (ktcm_count_up_to(KTCM_N_RELAYS, READ_ONCE(relays_max)))
		goto out_fd;
	err = relay_new(arg, &relay);
	if (err) {
		ktcm_add(KTCM_N_RELAYS, -1);
		goto out_fd;
	}
	file = relay_file(relay, arg->flags);
	if (IS_ERR(file)) {
		err = PTR_ERR(file);
		relay_free(relay);
		goto out_fd;
	}
	/* from here on it is release that undoes things */
	ktcm_list_add(relay);
	err = ktcm_side_listen(&relay->tls);
	if (!err)
		err = ktcm_side_listen(&relay->plain);
	if (err) {
		fput(file);
		goto out_fd;
	}
	trace_ktlsclient_relay_begin(relay->id, relay->tls.ino,
				     relay->plain.ino);
	ktcm_count(KTCM_N_RELAYS_TOTAL);
	relay_kick(relay);
	fd_install(fd, file);
	return fd;

out_fd:
	put_unused_fd(fd);
	return err;
}

int ktcm_relay_begin(const struct ktcm_relay __user *user)
{
	struct ktcm_relay arg;
	int ret;

	if (copy_from_user(&arg, user, sizeof(arg)))
		ret = -EFAULT;
	else
		ret = arg_check(&arg);
	if (!ret)
		ret = relay_begin(&arg);
	if (ret < 0)
		ktcm_count(KTCM_N_RELAYS_REFUSED);
	return ret;
}
