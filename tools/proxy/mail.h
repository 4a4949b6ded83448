/* SPDX-License-Identifier: MIT */
/*
 * Messages between the main thread and workers: rare ones, of a start, a
 * reload, a drain, of whoever wants to see numbers. A lock and an eventfd; no
 * client's byte passes here.
 */
#ifndef PROXY_MAIL_H
#define PROXY_MAIL_H

#include <pthread.h>

struct worker;

enum mail_type {
	/* to a worker */
	MAIL_SERVE,	/* object: struct generation, a reference: serve it */
	MAIL_DRAIN,	/* accept no more, end when nothing is left */
	MAIL_STOP,	/* end at once */
	MAIL_LEAVE,	/* accept no more, give away what can go */
	MAIL_LOOK,	/* who has connected, and was not told of? */
	MAIL_ADOPT,	/* object: struct parcel: go on with it */
	MAIL_COUNT,	/* object: struct count: bytes of what is under way */
	/* to the main thread, from @worker */
	MAIL_READY,	/* it runs, or could not begin: err */
	MAIL_SERVED,	/* what it served before is served no more */
	MAIL_DRAINING,	/* it accepts no more */
	MAIL_IDLE,	/* leaving, it has nothing left */
	MAIL_PARCEL,	/* object: struct parcel: given away */
	MAIL_ADOPTED,	/* object: that of MAIL_ADOPT; err: it is not */
	MAIL_ENDED,	/* its thread is over; err: something was cut off */
};

struct mail {
	struct mail *next;
	enum mail_type type;
	struct worker *worker;
	void *object;
	int err;
};

/**
 * struct mailbox - for one reader
 * @lock: of the list
 * @first: oldest message
 * @last: where the next is put
 * @fd: eventfd, readable when there is one; blocking
 */
struct mailbox {
	pthread_mutex_t lock;
	struct mail *first;
	struct mail **last;
	int fd;
};

int mailbox_init(struct mailbox *box);
/* What is left is thrown away: whoever was to get it has ended. */
void mailbox_fini(struct mailbox *box);

/* Copies @model into a message of its own: 0 or -ENOMEM. Any thread. */
int mail_send(struct mailbox *box, const struct mail *model);

/* The next message, for free(), or NULL. The fd is the reader's to read. */
struct mail *mail_next(struct mailbox *box);

#endif /* PROXY_MAIL_H */
