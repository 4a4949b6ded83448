// SPDX-License-Identifier: MIT
/*
 * A round of a worker: wait for completions, give each to whom it belongs,
 * take the library's events, let those links go on that became ready, fire
 * deadlines; the next wait submits whatever all of that has put into the ring.
 * Links go on only after all events of a round, because the library's relay
 * takes over what it has not told yet, and nothing else.
 */
#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "acceptor.h"
#include "count.h"
#include "link.h"
#include "listen.h"
#include "log.h"
#include "move.h"
#include "upstream.h"

#define RING_ENTRIES 1024
#define RING_COMPLETIONS 8192
#define EVENTS_AT_ONCE 64

/* ------------------------------------------------------------------ ring -- */

static int ring_open(struct worker *worker)
{
	/* from what is cheapest to what every kernel knows */
	static const unsigned int flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_COOP_TASKRUN,
		0,
	};
	struct io_uring_params params;
	int err = -EINVAL;
	size_t i;

	for (i = 0; err == -EINVAL && i < sizeof(flags) / sizeof(*flags); i++) {
		params = (struct io_uring_params){
			.flags = flags[i] | IORING_SETUP_CQSIZE |
				 IORING_SETUP_CLAMP,
			.cq_entries = RING_COMPLETIONS,
		};
		err = io_uring_queue_init_params(RING_ENTRIES, &worker->ring,
						 &params);
	}
	if (!err)
		worker->skip_success = params.features & IORING_FEAT_CQE_SKIP;
	return err;
}

struct io_uring_sqe *worker_sqe(struct worker *worker, enum worker_op op,
				void *object)
{
	struct io_uring_sqe *sqe;

	while (!(sqe = io_uring_get_sqe(&worker->ring)))
		/* EBUSY, EAGAIN: it has no memory for now; no way without it */
		(void)io_uring_submit(&worker->ring);
	io_uring_sqe_set_data64(sqe, (uintptr_t)object | op);
	return sqe;
}

void worker_close(struct worker *worker, int fd)
{
	struct io_uring_sqe *sqe = worker_sqe(worker, OP_NONE, NULL);

	io_uring_prep_close(sqe, fd);
	io_uring_sqe_set_data64(sqe, OP_NONE);
	if (worker->skip_success)
		sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

/* xorshift32 (Marsaglia 2003): only spreads things in time */
uint32_t worker_dice(struct worker *worker)
{
	uint32_t x = worker->dice;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	worker->dice = x;
	return x;
}

/* ----------------------------------------------------------------- posts -- */

struct post *post_get(struct post *post)
{
	post->users++;
	return post;
}

void post_put(struct post *post)
{
	struct post **p;

	if (--post->users)
		return;
	for (p = &post->worker->posts; *p != post; p = &(*p)->next)
		;
	*p = post->next;
	warm_fini(post);
	service_put(post->service);
	free(post);
}

static int post_new(struct worker *worker, struct service *service,
		    struct post **out)
{
	struct post *post = calloc(1, sizeof(*post));
	int err;

	if (!post)
		return -ENOMEM;
	post->worker = worker;
	post->service = service;
	post->stats = &service->tally->blocks[worker->index].stats;
	post->users = 1;
	err = warm_init(post);
	if (err) {
		free(post);
		return err;
	}
	(void)service_get(service);
	post->next = worker->posts;
	worker->posts = post;
	*out = post;
	return 0;
}

/* It serves nobody new; who is being served stays with it. */
static void post_retire(struct post *post)
{
	if (post->retired)
		return;
	post->retired = true;
	warm_stop(post);
	post_put(post);
}

/* The socket number i of a place is this worker's. */
static bool is_mine(const struct worker *worker, const struct place *place,
		    unsigned int i)
{
	if (place->nr < worker->nr_workers) /* shared */
		return worker->index % place->nr == i;
	return i % worker->nr_workers == worker->index;
}

static int serve_place(struct post *post, struct acceptor *before)
{
	struct place *place = post->service->place;
	struct acceptor *acceptor;
	bool found = false;
	unsigned int i;
	int err = 0;

	for (acceptor = before; acceptor; acceptor = acceptor->next) {
		if (acceptor->place != place || acceptor->closing)
			continue;
		acceptor_set_post(acceptor, post);
		found = true;
	}
	for (i = 0; !found && !err && i < place->nr; i++)
		if (is_mine(post->worker, place, i))
			err = acceptor_new(post, place->fds[i]);
	return err;
}

static int worker_serve(struct worker *worker, struct generation *generation)
{
	struct post *old = worker->posts, *post, *next;
	struct acceptor *acceptor, *next_acceptor;
	unsigned int i;
	int err = 0;

	for (i = 0; i < generation->nr && !err; i++) {
		err = post_new(worker, generation->services[i], &post);
		if (err)
			break;
		err = serve_place(post, worker->acceptors);
		for (unsigned int o = 0; o < post->service->nr_origins; o++)
			warm_fill(&post->warm[o]);
	}
	if (err)
		log_event(CONFIG_ERROR, "serve_failed",
			  LOG_U("worker", worker->index),
			  LOG_S("error", ktc_error_name(err)));
	for (acceptor = worker->acceptors; acceptor; acceptor = next_acceptor) {
		next_acceptor = acceptor->next;
		if (acceptor->post->service->generation != generation)
			acceptor_close(acceptor, ACCEPTOR_SERVE);
	}
	for (post = old; post; post = next) {
		next = post->next;
		post_retire(post);
	}
	return err;
}

static void worker_drain(struct worker *worker, enum acceptor_rest rest)
{
	struct acceptor *acceptor, *next_acceptor;
	struct post *post, *next;

	for (acceptor = worker->acceptors; acceptor; acceptor = next_acceptor) {
		next_acceptor = acceptor->next;
		acceptor_close(acceptor, rest);
	}
	worker->draining = true;
	for (post = worker->posts; post; post = next) {
		next = post->next;
		post_retire(post);
	}
}

/* Everything stays as it is for whoever may have to come back. */
static void worker_leave(struct worker *worker)
{
	struct acceptor *acceptor, *next;
	struct post *post;

	for (acceptor = worker->acceptors; acceptor; acceptor = next) {
		next = acceptor->next;
		acceptor_close(acceptor, ACCEPTOR_SHARE);
	}
	worker->idle_told = false;
	move_begin(worker);
	for (post = worker->posts; post; post = post->next)
		warm_stop(post);
}

static void worker_look(struct worker *worker)
{
	struct acceptor *acceptor;

	for (acceptor = worker->acceptors; acceptor; acceptor = acceptor->next)
		acceptor_look(acceptor);
}

static void worker_adopt(struct worker *worker, struct parcel *parcel)
{
	const struct mail mail = {
		.type = MAIL_ADOPTED,
		.worker = worker,
		.object = parcel,
		.err = move_adopt(worker, parcel),
	};

	worker->idle_told = false;
	while (mail_send(worker->main, &mail))
		; /* no memory: its sender waits for this one */
}

static void worker_stop(struct worker *worker)
{
	struct link *link, *next;

	worker_drain(worker, ACCEPTOR_DROP);
	worker->stopping = worker->nr_links;
	for (link = worker->links; link; link = next) {
		next = link->next;
		link_cut(link, STATS_END_DRAINED);
	}
}

/* ------------------------------------------------------------------ mail -- */

static void worker_tell(struct worker *worker, enum mail_type type, int err)
{
	const struct mail mail = {
		.type = type, .worker = worker, .err = err,
	};

	while (mail_send(worker->main, &mail))
		; /* no memory: the main thread waits for this one */
}

static void arm_mail(struct worker *worker)
{
	struct io_uring_sqe *sqe = worker_sqe(worker, OP_MAIL, worker);

	io_uring_prep_read(sqe, worker->box.fd, &worker->mail_count,
			   sizeof(worker->mail_count), 0);
	io_uring_sqe_set_data64(sqe, (uintptr_t)worker | OP_MAIL);
}

static void worker_mail(struct worker *worker)
{
	struct mail *mail;

	while ((mail = mail_next(&worker->box))) {
		switch (mail->type) {
		case MAIL_SERVE:
			move_end(worker);
			worker_tell(worker, MAIL_SERVED,
				    worker_serve(worker, mail->object));
			break;
		case MAIL_DRAIN:
			move_end(worker);
			worker_drain(worker, ACCEPTOR_SERVE);
			worker->drain_told = false;
			break;
		case MAIL_STOP:
			worker_stop(worker);
			break;
		case MAIL_LEAVE:
			worker_leave(worker);
			break;
		case MAIL_LOOK:
			worker_look(worker);
			break;
		case MAIL_ADOPT:
			worker_adopt(worker, mail->object);
			break;
		case MAIL_COUNT:
			count_worker(worker, mail->object);
			break;
		default:
			break;
		}
		free(mail);
	}
	arm_mail(worker);
}

/* ---------------------------------------------------------------- rounds -- */

static void worker_completion(struct worker *worker, uint64_t user_data,
			      int res, uint32_t flags)
{
	void *object = (void *)(uintptr_t)(user_data & ~(uint64_t)OP_MASK);

	if (ktc_loop_handle_cqe(worker->loop, user_data, res, flags))
		return;
	switch (user_data & OP_MASK) {
	case OP_MAIL:
		worker_mail(worker);
		break;
	case OP_ACCEPT:
		acceptor_completion(object, res, flags);
		break;
	case OP_LINK:
		link_completion(object, res);
		break;
	default:
		break;
	}
}

static int worker_wait(struct worker *worker)
{
	uint64_t at = timers_next(&worker->timers);
	struct __kernel_timespec ts = { 0 };
	struct io_uring_cqe *cqe;
	uint64_t wait_ms;
	unsigned int head;
	int ret;

	if (at != TIMERS_NEVER) {
		wait_ms = at > worker->now_ms ? at - worker->now_ms : 0;
		ts.tv_sec = wait_ms / 1000;
		ts.tv_nsec = wait_ms % 1000 * 1000000;
	}
	ret = io_uring_submit_and_wait_timeout(&worker->ring, &cqe, 1,
					       at == TIMERS_NEVER ? NULL : &ts,
					       NULL);
	/* EBUSY, EAGAIN: completions want to be handled first */
	if (ret < 0 && ret != -ETIME && ret != -EINTR && ret != -EBUSY &&
	    ret != -EAGAIN)
		return ret;
	worker->now_ms = clock_ms();
	io_uring_for_each_cqe(&worker->ring, head, cqe) {
		const uint64_t user_data = cqe->user_data;
		const uint32_t flags = cqe->flags;
		const int res = cqe->res;

		io_uring_cqe_seen(&worker->ring, cqe);
		worker_completion(worker, user_data, res, flags);
	}
	return 0;
}

/* Until the library has nothing more to tell; all it wants is submitted. */
static int worker_events(struct worker *worker)
{
	struct ktc_event ev[EVENTS_AT_ONCE];
	int i, n;

	do {
		n = ktc_loop_events(worker->loop, ev, EVENTS_AT_ONCE, 0);
		for (i = 0; i < n; i++)
			upstream_event(worker, &ev[i]);
		link_run_ready(worker);
	} while (n > 0);
	return n;
}

static bool worker_is_over(struct worker *worker)
{
	bool idle = !worker->nr_links && !worker->nr_upstreams &&
		    !worker->acceptors;

	if (idle && worker->leaving && !worker->idle_told) {
		worker->idle_told = true;
		worker_tell(worker, MAIL_IDLE, 0);
	}
	if (!worker->acceptors && !worker->drain_told) {
		worker->drain_told = true;
		worker_tell(worker, MAIL_DRAINING, 0);
	}
	return idle && worker->draining;
}

static int worker_run(struct worker *worker)
{
	int err;

	worker->drain_told = true; /* nobody has asked */
	arm_mail(worker);
	for (;;) {
		err = worker_events(worker);
		if (err || worker_is_over(worker))
			return err;
		err = worker_wait(worker);
		if (err)
			return err;
		timers_run(&worker->timers, worker->now_ms);
	}
}

/* ---------------------------------------------------------------- thread -- */

static int worker_open(struct worker *worker)
{
	struct ktc_loop_opts opts = {
		.size = sizeof(opts),
		.ring = &worker->ring,
		.buffers = worker->buffers,
		.conns_max = 1U << 20,
	};
	int err = ring_open(worker);

	if (err)
		return err;
	err = ktc_loop_new(&opts, &worker->loop);
	if (err)
		io_uring_queue_exit(&worker->ring);
	return err;
}

/* What is left belongs to connections that an error of the ring has ended. */
static void worker_clean(struct worker *worker)
{
	ktc_loop_free(worker->loop);
	io_uring_queue_exit(&worker->ring);
	timers_fini(&worker->timers);
	pool_fini(&worker->link_pool);
	pool_fini(&worker->upstream_pool);
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	int err = worker_open(worker);

	worker_tell(worker, MAIL_READY, err);
	if (err)
		return NULL;
	err = worker_run(worker);
	if (err)
		log_event(CONFIG_ERROR, "worker_failed",
			  LOG_U("worker", worker->index),
			  LOG_S("error", ktc_error_name(err)));
	if (!err && worker->stopping)
		err = -KTC_E_CANCELED;
	worker_clean(worker);
	worker_tell(worker, MAIL_ENDED, err);
	return NULL;
}

int worker_start(struct worker *worker)
{
	int err = mailbox_init(&worker->box);

	if (err)
		return err;
	pool_init(&worker->link_pool, sizeof(struct link));
	pool_init(&worker->upstream_pool, sizeof(struct upstream));
	worker->dice = 2463534242u + worker->index;
	worker->now_ms = clock_ms();
	err = -pthread_create(&worker->thread, NULL, worker_main, worker);
	if (err)
		mailbox_fini(&worker->box);
	worker->running = !err;
	return err;
}

void worker_join(struct worker *worker)
{
	(void)pthread_join(worker->thread, NULL); /* it is ours */
	worker->running = false;
	mailbox_fini(&worker->box);
}
