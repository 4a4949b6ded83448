/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One direction of a relay: takes bytes from one side, gives them to the
 * other, holds those that are between.
 */
#ifndef KTCM_PUMP_H
#define KTCM_PUMP_H

#include <linux/bvec.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>

#include "side.h"

/* Limits. */
#define KTCM_SEGS	4		/* of a busy direction; at rest none */
#define KTCM_BUDGET	(256 * 1024)	/* bytes of one turn, then others' */
#define KTCM_BUDGET_OPS	64		/* receives of one turn */
#define KTCM_RETRY_MS	10		/* after memory was short ... */
#define KTCM_RETRIES	1000		/* ... so often, then it is an error */
#define KTCM_LOCKED_MS	100		/* a socket in others' hands, at most */
#define KTCM_FORCE_TRIES 100		/* the same, at the end */

struct ktcm_relay_obj;

enum ktcm_dir_state {
	KTCM_DIR_MOVING,
	KTCM_DIR_CLOSING,	/* the source has ended: tell the destination */
	KTCM_DIR_CLOSED,	/* both know; in order */
	KTCM_DIR_OVER,		/* in any other way */
};

struct ktcm_dir {
	struct delayed_work work;
	struct ktcm_relay_obj *relay;
	struct ktcm_side *from;
	struct ktcm_side *to;
	unsigned int which;		/* KTCM_DOWN, KTCM_UP */
	/*
	 * The pump runs: everything below is its own. KTCM_UP's is taken
	 * inside KTCM_DOWN's, to see that it has come to rest; sockets' locks
	 * are inside both.
	 */
	struct mutex lock;
	enum ktcm_dir_state state;	/* others read it */
	bool blocked;			/* waits for room; others read it */
	bool drained;			/* the source had no more than this */
	unsigned int retries;		/* for want of memory */
	unsigned int locked;		/* in others' hands, times in a row */
	unsigned int nr_segs;		/* there are */
	unsigned int want_segs;		/* for the next receive */
	size_t off;			/* what is held: its place, */
	size_t held;			/* and how much; others read it */
	u64 bytes;			/* moved; others read it */
	struct bio_vec seg[KTCM_SEGS];
};

void ktcm_dir_init(struct ktcm_dir *dir, struct ktcm_relay_obj *relay,
		   unsigned int which, struct ktcm_side *from,
		   struct ktcm_side *to);

/* Look whether there is something to do. Any context. */
void ktcm_dir_kick(struct ktcm_dir *dir);

/* No more kicks can come, and the work is not at work: the pages go. */
void ktcm_dir_fini(struct ktcm_dir *dir);

static inline bool ktcm_dir_is_over(const struct ktcm_dir *dir)
{
	return READ_ONCE(dir->state) >= KTCM_DIR_CLOSED;
}

int ktcm_pump_init(void);	/* the workqueue; and its end, which waits */
void ktcm_pump_exit(void);

#endif /* KTCM_PUMP_H */
