/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A relay: two sides, two directions, and a mailbox for its owner.
 */
#ifndef KTCM_RELAY_H
#define KTCM_RELAY_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include <uapi/linux/ktlsclient.h>

#include "pump.h"
#include "side.h"

/* Limits of the mailbox. A record that must be read is let in over them. */
#define KTCM_RECORDS_MAX	32
#define KTCM_RECORD_BYTES_MAX	(64 * 1024)

/* TLS content types, RFC 8446 5.1. */
#define KTCM_TYPE_ALERT		21
#define KTCM_TYPE_HANDSHAKE	22
#define KTCM_TYPE_DATA		23

struct ktcm_relay_obj {
	struct ktcm_dir dir[2];		/* KTCM_DOWN, KTCM_UP */
	struct ktcm_side tls;
	struct ktcm_side plain;
	const struct cred *cred;	/* of who began it, for the works */
	u64 id;
	struct list_head all;		/* of the list of live relays */
	bool closing;			/* no kicks any more */
	bool paused;			/* after a KeyUpdate */
	bool stopped;			/* take no more */
	bool failed;			/* give up now */
	atomic_t dirs_open;
	/* the mailbox: fields below under box_lock */
	spinlock_t box_lock;
	struct list_head records;
	unsigned int nr_records;
	size_t record_bytes;
	u32 dropped_since;		/* the last one that found room */
	u64 records_seen;
	u64 dropped;
	u64 progress_bytes;
	u64 progress_told;
	bool progress_due;
	bool ended;			/* both directions are over */
	bool end_read;
	u32 end;			/* enum ktcm_end: the first reason */
	int error;
	wait_queue_head_t wait;		/* readers, and poll */
	struct mutex read_lock;		/* one reader at a time; outermost */
};

/* The command. A descriptor, or -errno. */
int ktcm_relay_begin(const struct ktcm_relay __user *arg);

/*
 * What directions say, from their works. note: the reason if there was none
 * before. fail: that, and nothing moves any more. record: into the mailbox, or
 * dropped if there is no room; one that pauses or ends the relay finds room,
 * and there is one of these at a time. progress: bytes were moved. dir_over:
 * one direction less.
 */
void ktcm_relay_note(struct ktcm_relay_obj *relay, enum ktcm_end end,
		     int error);
void ktcm_relay_fail(struct ktcm_relay_obj *relay, enum ktcm_end end,
		     int error);
enum ktcm_weight {
	KTCM_RECORD_PASSES,
	KTCM_RECORD_PAUSES,
	KTCM_RECORD_ENDS,
};

void ktcm_relay_record(struct ktcm_relay_obj *relay, u8 type, const u8 *p,
		       size_t len, enum ktcm_weight weight);
void ktcm_relay_progress(struct ktcm_relay_obj *relay);
void ktcm_relay_dir_over(struct ktcm_relay_obj *relay);

/* What a relay is doing, for STATUS, fdinfo and the list. */
void ktcm_relay_status(struct ktcm_relay_obj *relay, struct ktcm_status *out);

/* The list of live relays, in debugfs. */
void ktcm_list_init(void);
void ktcm_list_exit(void);
void ktcm_list_add(struct ktcm_relay_obj *relay);
void ktcm_list_del(struct ktcm_relay_obj *relay);

#endif /* KTCM_RELAY_H */
