// SPDX-License-Identifier: MIT
/*
 * One multishot accept for each socket (every kernel that the library runs on
 * has it). When there are no descriptors left it pauses until a client has
 * ended: those who wait are in the kernel's queue, and cost nothing there. The
 * worker's thread.
 */
#include "acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "link.h"
#include "listen.h"
#include "log.h"
#include "worker.h"

/* when there were no descriptors, and no client of this worker ends */
#define PAUSE_MS 100
/* most that are served of a socket that is closed: its whole queue */
#define SWEEP_MAX 4096

static void acceptor_arm(struct acceptor *acceptor)
{
	struct io_uring_sqe *sqe;

	sqe = worker_sqe(acceptor->worker, OP_ACCEPT, acceptor);
	io_uring_prep_multishot_accept(sqe, acceptor->fd, NULL, NULL,
				       SOCK_CLOEXEC);
	io_uring_sqe_set_data64(sqe, (uintptr_t)acceptor | OP_ACCEPT);
	acceptor->armed = true;
}

static void pause_over(struct timer *timer)
{
	struct acceptor *acceptor =
		(struct acceptor *)((char *)timer -
				    offsetof(struct acceptor, timer));

	acceptor->paused = false;
	if (!acceptor->armed && !acceptor->closing)
		acceptor_arm(acceptor);
}

int acceptor_new(struct post *post, int fd)
{
	struct acceptor *acceptor = aligned_alloc(64, 128);
	struct worker *worker = post->worker;

	_Static_assert(sizeof(*acceptor) <= 128, "see above");
	if (!acceptor)
		return -ENOMEM;
	*acceptor = (struct acceptor){
		.worker = worker,
		.next = worker->acceptors,
		.post = post_get(post),
		.place = place_get(post->service->place),
		.timer.fire = pause_over,
		.fd = fd,
	};
	worker->acceptors = acceptor;
	acceptor_arm(acceptor);
	return 0;
}

void acceptor_set_post(struct acceptor *acceptor, struct post *post)
{
	struct post *before = acceptor->post;

	acceptor->post = post_get(post);
	post_put(before);
}

/* Who had connected before the socket closes would be reset. */
static void sweep(struct acceptor *acceptor)
{
	int flags = fcntl(acceptor->fd, F_GETFL);
	int fd, n;

	if (flags < 0 || fcntl(acceptor->fd, F_SETFL, flags | O_NONBLOCK))
		return;
	for (n = 0; n < SWEEP_MAX; n++) {
		fd = accept4(acceptor->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return;
		link_begin(acceptor->post, fd);
	}
}

static void acceptor_free(struct acceptor *acceptor)
{
	struct acceptor **p = &acceptor->worker->acceptors;

	while (*p != acceptor)
		p = &(*p)->next;
	*p = acceptor->next;
	if (acceptor->sweep)
		sweep(acceptor);
	timers_del(&acceptor->worker->timers, &acceptor->timer);
	place_put(acceptor->place);
	post_put(acceptor->post);
	free(acceptor);
}

void acceptor_close(struct acceptor *acceptor, bool sweep_it)
{
	struct io_uring_sqe *sqe;

	if (acceptor->closing)
		return;
	acceptor->closing = true;
	acceptor->sweep = sweep_it;
	if (!acceptor->armed) {
		acceptor_free(acceptor);
		return;
	}
	sqe = worker_sqe(acceptor->worker, OP_NONE, NULL);
	io_uring_prep_cancel64(sqe, (uintptr_t)acceptor | OP_ACCEPT, 0);
	io_uring_sqe_set_data64(sqe, OP_NONE);
}

static void acceptor_pause(struct acceptor *acceptor, int err)
{
	struct worker *worker = acceptor->worker;

	log_event(CONFIG_WARN, "accept_paused",
		  LOG_S("listener", acceptor->post->service->listener->name),
		  LOG_S("error", ktc_error_name(err)),
		  LOG_U("clients", worker->nr_links));
	acceptor->paused = true;
	/* no memory for the timer: try at once */
	if (timers_set(&worker->timers, &acceptor->timer,
		       worker->now_ms + PAUSE_MS))
		pause_over(&acceptor->timer);
}

void acceptor_completion(struct acceptor *acceptor, int res, uint32_t flags)
{
	if (!(flags & IORING_CQE_F_MORE))
		acceptor->armed = false;
	if (res >= 0)
		link_begin(acceptor->post, res);
	if (acceptor->armed)
		return;
	if (acceptor->closing)
		acceptor_free(acceptor);
	else if (res == -EMFILE || res == -ENFILE || res == -ENOMEM ||
		 res == -ENOBUFS)
		acceptor_pause(acceptor, res);
	else
		acceptor_arm(acceptor);
}

void acceptor_resume_all(struct worker *worker)
{
	struct acceptor *acceptor;

	for (acceptor = worker->acceptors; acceptor; acceptor = acceptor->next)
		if (acceptor->paused)
			/* it is armed: cannot fail */
			(void)timers_set(&worker->timers, &acceptor->timer,
					 worker->now_ms);
}
