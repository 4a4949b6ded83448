// SPDX-License-Identifier: MIT
/*
 * One multishot accept for each socket (every kernel that the library runs on
 * has it), as long as there is much room. Near a limit it is one at a time;
 * at the limit, or when there are no descriptors, none until a client has
 * ended: those who wait are in the kernel's queue, and cost nothing there. One
 * can have been accepted already, when another worker has had the last room:
 * it is held. The worker's thread.
 */
#include "acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "link.h"
#include "listen.h"
#include "log.h"
#include "room.h"
#include "worker.h"

/* when there is no room, and no client of this worker ends */
#define PAUSE_MS 50
/* with so much room a multishot accept will not go beyond the limit */
#define ROOM_MULTISHOT 1024
/* most that are served of a socket that is closed: its whole queue */
#define SWEEP_MAX 4096

static void acceptor_pause(struct acceptor *acceptor);

static void acceptor_arm(struct acceptor *acceptor)
{
	bool many = room_left(acceptor->post) > ROOM_MULTISHOT;
	struct io_uring_sqe *sqe;

	if (!room_left(acceptor->post)) {
		acceptor_pause(acceptor);
		return;
	}
	sqe = worker_sqe(acceptor->worker, OP_ACCEPT, acceptor);
	if (many)
		io_uring_prep_multishot_accept(sqe, acceptor->fd, NULL, NULL,
					       SOCK_CLOEXEC);
	else
		io_uring_prep_accept(sqe, acceptor->fd, NULL, NULL,
				     SOCK_CLOEXEC);
	io_uring_sqe_set_data64(sqe, (uintptr_t)acceptor | OP_ACCEPT);
	acceptor->cancelled = false;
	acceptor->armed = true;
}

static void acceptor_cancel(struct acceptor *acceptor)
{
	struct io_uring_sqe *sqe;

	if (acceptor->cancelled)
		return;
	acceptor->cancelled = true;
	sqe = worker_sqe(acceptor->worker, OP_NONE, NULL);
	io_uring_prep_cancel64(sqe, (uintptr_t)acceptor | OP_ACCEPT, 0);
	io_uring_sqe_set_data64(sqe, OP_NONE);
}

static void serve_held(struct acceptor *acceptor)
{
	int fd = acceptor->held;

	acceptor->held = -1;
	link_begin(acceptor->post, fd);
	acceptor_arm(acceptor);
}

static void pause_over(struct timer *timer)
{
	struct acceptor *acceptor =
		(struct acceptor *)((char *)timer -
				    offsetof(struct acceptor, timer));

	acceptor->paused = false;
	if (acceptor->armed || acceptor->closing)
		return;
	if (acceptor->held < 0)
		acceptor_arm(acceptor);
	else if (room_take(acceptor->post))
		serve_held(acceptor);
	else
		acceptor_pause(acceptor);
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
		.held = -1,
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

/*
 * Who had connected before the socket closes would be reset. Where a successor
 * accepts too, a client wakes one of the two (an exclusive wake-up); if that
 * was us, and our accept was cancelled before it came to it, nobody knows of
 * the client before the next one comes.
 */
static void sweep_queue(struct acceptor *acceptor)
{
	bool share = acceptor->rest == ACCEPTOR_SHARE;
	int fd, n;

	for (n = 0; n < SWEEP_MAX; n++) {
		if (share && !room_left(acceptor->post))
			break; /* theirs: they have room of their own */
		fd = accept4(acceptor->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			break;
		if (room_take(acceptor->post))
			link_begin(acceptor->post, fd);
		else
			link_refuse(acceptor->post, fd);
	}
}

/*
 * O_NONBLOCK is the socket's, whoever holds it: other workers, where there is
 * one for all, and a successor. So one sweeps at a time and leaves the flag as
 * it was.
 */
static void sweep(struct acceptor *acceptor)
{
	static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
	int flags;

	pthread_mutex_lock(&one);
	flags = fcntl(acceptor->fd, F_GETFL);
	if (flags >= 0 &&
	    !fcntl(acceptor->fd, F_SETFL, flags | O_NONBLOCK)) {
		sweep_queue(acceptor);
		(void)fcntl(acceptor->fd, F_SETFL, flags); /* just set */
	}
	pthread_mutex_unlock(&one);
}

static void acceptor_free(struct acceptor *acceptor)
{
	struct acceptor **p = &acceptor->worker->acceptors;

	while (*p != acceptor)
		p = &(*p)->next;
	*p = acceptor->next;
	if (acceptor->held >= 0 && room_take(acceptor->post))
		link_begin(acceptor->post, acceptor->held);
	else if (acceptor->held >= 0)
		link_refuse(acceptor->post, acceptor->held);
	if (acceptor->rest != ACCEPTOR_DROP)
		sweep(acceptor);
	timers_del(&acceptor->worker->timers, &acceptor->timer);
	place_put(acceptor->place);
	post_put(acceptor->post);
	free(acceptor);
}

void acceptor_close(struct acceptor *acceptor, enum acceptor_rest rest)
{
	if (acceptor->closing)
		return;
	acceptor->closing = true;
	acceptor->rest = rest;
	if (!acceptor->armed) {
		acceptor_free(acceptor);
		return;
	}
	acceptor_cancel(acceptor);
}

void acceptor_look(struct acceptor *acceptor)
{
	/* begun again, an accept looks first; one that is paused will be */
	if (acceptor->armed && !acceptor->closing)
		acceptor_cancel(acceptor);
}

static void acceptor_pause(struct acceptor *acceptor)
{
	struct worker *worker = acceptor->worker;

	acceptor->paused = true;
	/* no memory for the timer: a client that ends is what is left */
	(void)timers_set(&worker->timers, &acceptor->timer,
			 worker->now_ms + PAUSE_MS);
}

static void accepted(struct acceptor *acceptor, int fd)
{
	if (room_take(acceptor->post))
		link_begin(acceptor->post, fd);
	else if (acceptor->held < 0)
		acceptor->held = fd;
	else
		link_refuse(acceptor->post, fd);
}

void acceptor_completion(struct acceptor *acceptor, int res, uint32_t flags)
{
	if (!(flags & IORING_CQE_F_MORE))
		acceptor->armed = false;
	if (res >= 0)
		accepted(acceptor, res);
	if (acceptor->armed) {
		if (room_left(acceptor->post) <= ROOM_MULTISHOT)
			acceptor_cancel(acceptor);
		return;
	}
	if (acceptor->closing) {
		acceptor_free(acceptor);
	} else if (res == -EMFILE || res == -ENFILE || res == -ENOMEM ||
		   res == -ENOBUFS) {
		log_event(CONFIG_WARN, "accept_paused",
			  LOG_S("listener",
				acceptor->post->service->listener->name),
			  LOG_S("error", ktc_error_name(res)),
			  LOG_U("clients", acceptor->worker->nr_links));
		acceptor_pause(acceptor);
	} else if (acceptor->held >= 0 || res == -EAGAIN) {
		/* EAGAIN: a predecessor sweeps, and will be done at once */
		acceptor_pause(acceptor);
	} else {
		acceptor_arm(acceptor);
	}
}

void acceptor_resume_all(struct worker *worker)
{
	struct acceptor *acceptor;

	for (acceptor = worker->acceptors; acceptor; acceptor = acceptor->next)
		if (acceptor->paused)
			/* no memory: its pause goes on */
			(void)timers_set(&worker->timers, &acceptor->timer,
					 worker->now_ms);
}
