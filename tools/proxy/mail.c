// SPDX-License-Identifier: MIT
/* See mail.h. Any thread; the lock is held for a few instructions. */
#include "mail.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

int mailbox_init(struct mailbox *box)
{
	*box = (struct mailbox){ .fd = eventfd(0, EFD_CLOEXEC) };
	if (box->fd < 0)
		return -errno;
	(void)pthread_mutex_init(&box->lock, NULL); /* never fails on Linux */
	box->last = &box->first;
	return 0;
}

void mailbox_fini(struct mailbox *box)
{
	struct mail *mail;

	while ((mail = mail_next(box)))
		free(mail);
	(void)close(box->fd); /* an eventfd */
	(void)pthread_mutex_destroy(&box->lock); /* nobody has it */
}

int mail_send(struct mailbox *box, const struct mail *model)
{
	struct mail *mail = malloc(sizeof(*mail));
	const uint64_t one = 1;

	if (!mail)
		return -ENOMEM;
	*mail = *model;
	mail->next = NULL;
	pthread_mutex_lock(&box->lock);
	*box->last = mail;
	box->last = &mail->next;
	pthread_mutex_unlock(&box->lock);
	/* the counter cannot be full: each unit in it is a message */
	(void)!write(box->fd, &one, sizeof(one));
	return 0;
}

struct mail *mail_next(struct mailbox *box)
{
	struct mail *mail;

	pthread_mutex_lock(&box->lock);
	mail = box->first;
	if (mail) {
		box->first = mail->next;
		if (!box->first)
			box->last = &box->first;
	}
	pthread_mutex_unlock(&box->lock);
	return mail;
}
