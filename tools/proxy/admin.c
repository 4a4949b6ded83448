// SPDX-License-Identifier: MIT
/*
 * A thread that answers HTTP. Clients are few and each has a place, a deadline
 * and a buffer; nobody is waited for. When all places are taken, the next
 * client gets that of whoever came first, so that slow ones cannot keep others
 * out. An eventfd ends the thread.
 */
#include "admin.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "admin_http.h"

#define CLIENTS_MAX 16

/* for the request; for the answer; for the client's end of the connection */
#define PHASE_MS 5000

/* what a client may still send when it has its answer */
#define LINGER_MAX 65536

/* how long nobody is accepted when the system refused */
#define PAUSE_MS 200

enum phase { PHASE_FREE, PHASE_READ, PHASE_WRITE, PHASE_LINGER };

/**
 * struct client - who asks
 * @fd: its socket
 * @phase: what comes next of it; PHASE_FREE: nobody
 * @turn: how many were accepted before it
 * @until_ms: the phase's deadline
 * @request: what came
 * @got: bytes of it; PHASE_LINGER: bytes thrown away
 * @answer: what goes out; for free()
 * @len: bytes of it
 * @sent: bytes of it that went
 */
struct client {
	int fd;
	enum phase phase;
	uint64_t turn;
	uint64_t until_ms;
	char request[HTTP_REQUEST_MAX];
	size_t got;
	char *answer;
	size_t len;
	size_t sent;
};

struct admin {
	const struct admin_ops *ops;
	pthread_t thread;
	int listen_fd;
	uint64_t accept_ms; /* not before: descriptors or memory were short */
	int stop_fd;
	uint64_t turns; /* clients accepted */
	struct client clients[CLIENTS_MAX];
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void client_end(struct client *client)
{
	if (client->phase == PHASE_FREE)
		return;
	(void)close(client->fd); /* what it wanted, it has or will not get */
	free(client->answer);
	client->answer = NULL;
	client->phase = PHASE_FREE;
}

static void client_enter(struct client *client, enum phase phase)
{
	client->phase = phase;
	client->until_ms = now_ms() + PHASE_MS;
}

/* a free place, or else that of the one who has had it longest */
static struct client *client_place(struct admin *admin)
{
	struct client *client = admin->clients, *place = client;

	for (; client < admin->clients + CLIENTS_MAX; client++) {
		if (client->phase == PHASE_FREE)
			return client;
		if (client->turn < place->turn)
			place = client;
	}
	client_end(place);
	return place;
}

static void client_accept(struct admin *admin)
{
	int fd = accept4(admin->listen_fd, NULL, NULL,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct client *client;

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
		    errno == ENOBUFS)
			admin->accept_ms = now_ms() + PAUSE_MS;
		return;
	}
	client = client_place(admin);
	client->fd = fd;
	client->turn = admin->turns++;
	client->got = 0;
	client->len = 0;
	client->sent = 0;
	client_enter(client, PHASE_READ);
}

/* the text of a path; its status */
static int answer_text(const struct admin_ops *ops, const char *path,
		       char **text, size_t *len)
{
	const char *word = "no such path; try /metrics or /healthz\n";
	int status = 404;

	if (!strcmp(path, "/metrics"))
		return admin_metrics(ops, text, len) ? 500 : 200;
	if (!strcmp(path, "/healthz")) {
		status = ops->draining(ops->arg) ? 503 : 200;
		word = status == 503 ? "draining\n" : "ok\n";
	}
	*text = strdup(word);
	*len = strlen(word);
	return *text ? status : 500;
}

static void client_answer(struct admin *admin, struct client *client,
			  int status, const struct http_request *request)
{
	char *text = NULL;
	size_t len = 0;
	bool head = status == 200 && request->head;
	int err;

	if (status == 200)
		status = answer_text(admin->ops, request->path, &text, &len);
	err = http_answer(status, text ? text : "", text ? len : 0, head,
			  &client->answer, &client->len);
	free(text);
	if (err)
		client_end(client);
	else
		client_enter(client, PHASE_WRITE);
}

static void client_read(struct admin *admin, struct client *client)
{
	struct http_request request;
	ssize_t n;
	int status;

	n = recv(client->fd, client->request + client->got,
		 sizeof(client->request) - client->got, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_end(client);
		return;
	}
	client->got += (size_t)n;
	status = http_parse(client->request, client->got, &request);
	if (status)
		client_answer(admin, client, status, &request);
}

static void client_write(struct client *client)
{
	ssize_t n = send(client->fd, client->answer + client->sent,
			 client->len - client->sent, MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		client_end(client);
		return;
	}
	client->sent += (size_t)n;
	if (client->sent < client->len)
		return;
	/*
	 * A close with bytes unread is a reset, which can overtake the answer:
	 * what still comes is read first.
	 */
	client->got = 0;
	if (shutdown(client->fd, SHUT_WR))
		client_end(client);
	else
		client_enter(client, PHASE_LINGER);
}

static void client_linger(struct client *client)
{
	ssize_t n = recv(client->fd, client->request, sizeof(client->request),
			 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		client->got += (size_t)n;
	if (n <= 0 || client->got > LINGER_MAX)
		client_end(client);
}

static void client_step(struct admin *admin, struct client *client)
{
	switch (client->phase) {
	case PHASE_FREE:
		break;
	case PHASE_READ:
		client_read(admin, client);
		break;
	case PHASE_WRITE:
		client_write(client);
		break;
	case PHASE_LINGER:
		client_linger(client);
		break;
	}
}

/* Ends those whose time is over; returns the time to the next deadline. */
static int expire(struct admin *admin, uint64_t now)
{
	struct client *client = admin->clients;
	uint64_t next = UINT64_MAX;

	if (admin->accept_ms > now)
		next = admin->accept_ms;
	for (; client < admin->clients + CLIENTS_MAX; client++) {
		if (client->phase == PHASE_FREE)
			continue;
		if (client->until_ms <= now)
			client_end(client);
		else if (client->until_ms < next)
			next = client->until_ms;
	}
	return next == UINT64_MAX ? -1 : (int)(next - now);
}

/* whom to wait for: the stop, the listening socket, each client */
static void poll_fill(struct admin *admin, struct pollfd *fds, uint64_t now)
{
	const struct client *client;
	unsigned int i;

	*fds++ = (struct pollfd){ admin->stop_fd, POLLIN, 0 };
	*fds++ = (struct pollfd){
		admin->accept_ms > now ? -1 : admin->listen_fd, POLLIN, 0
	};
	for (i = 0; i < CLIENTS_MAX; i++) {
		client = &admin->clients[i];
		fds[i] = (struct pollfd){
			client->phase == PHASE_FREE ? -1 : client->fd,
			client->phase == PHASE_WRITE ? POLLOUT : POLLIN, 0
		};
	}
}

static void *serve(void *arg)
{
	struct admin *admin = arg;
	struct pollfd fds[CLIENTS_MAX + 2];
	unsigned int i;
	int wait_ms;

	for (;;) {
		uint64_t now = now_ms();

		wait_ms = expire(admin, now);
		poll_fill(admin, fds, now);
		if (poll(fds, CLIENTS_MAX + 2, wait_ms) < 0)
			continue; /* no memory for a moment */
		if (fds[0].revents)
			return NULL;
		for (i = 0; i < CLIENTS_MAX; i++)
			if (fds[i + 2].revents)
				client_step(admin, &admin->clients[i]);
		/* last, for it may give one of those places away */
		if (fds[1].revents)
			client_accept(admin);
	}
}

static int start_thread(struct admin *admin)
{
	sigset_t all, before;
	int err;

	/* signals are the main thread's */
	sigfillset(&all);
	err = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (err)
		return -err;
	err = pthread_create(&admin->thread, NULL, serve, admin);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* was in force */
	return -err;
}

int admin_start(int metrics_fd, const struct admin_ops *ops,
		struct admin **out)
{
	struct admin *admin = calloc(1, sizeof(*admin));
	int err = -ENOMEM;

	if (!admin)
		goto out_close;
	/* a client may be gone again before it is accepted */
	if (metrics_fd >= 0 && fcntl(metrics_fd, F_SETFL, O_NONBLOCK)) {
		err = -errno;
		goto out_free;
	}
	admin->ops = ops;
	admin->listen_fd = metrics_fd;
	admin->stop_fd = eventfd(0, EFD_CLOEXEC);
	err = -errno;
	if (admin->stop_fd < 0)
		goto out_free;
	err = start_thread(admin);
	if (err)
		goto out_stop;
	*out = admin;
	return 0;
out_stop:
	(void)close(admin->stop_fd); /* nothing in it */
out_free:
	free(admin);
out_close:
	if (metrics_fd >= 0)
		(void)close(metrics_fd); /* nobody was served */
	return err;
}

void admin_stop(struct admin *admin)
{
	struct client *client;

	if (!admin)
		return;
	(void)eventfd_write(admin->stop_fd, 1); /* cannot fail: it is 0 */
	(void)pthread_join(admin->thread, NULL); /* it is ours, and joinable */
	for (client = admin->clients; client < admin->clients + CLIENTS_MAX;
	     client++)
		client_end(client);
	if (admin->listen_fd >= 0)
		(void)close(admin->listen_fd);
	(void)close(admin->stop_fd);
	free(admin);
}
