// SPDX-License-Identifier: MIT
/*
 * Name look-ups in threads, because getaddrinfo(3) is the only way to all
 * that a system's name service is configured for, and it blocks.
 *
 * A struct resolver is shared by its loop and by the threads that work for
 * it; each holds a reference, and the last one frees it. So the loop can go
 * while a look-up is stuck: its answer is thrown away when it comes. There
 * are at most LIMIT_LOOKUPS threads; more look-ups wait in a queue, in order.
 * A thread ends when the queue is empty.
 *
 * An answer is good for a moment: who makes many connections to one name asks
 * once a second, not once for each. Longer it cannot be, for getaddrinfo(3)
 * does not tell how long the name's owner lets it be.
 *
 * Everything is under the lock but event_fd, which is constant, and the
 * answers kept, which are the loop's thread's.
 */
#include "resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ktlsclient.h>

#include "mem.h"
#include "sys.h"
#include "util.h"

struct lookup {
	struct lookup *next;
	uint64_t token;
	uint64_t kept_us;	/* since when it is kept */
	int err;
	struct resolve_list list;
	char service[sizeof("65535")];
	char name[];
};

struct queue {
	struct lookup *head, **tail;
};

struct resolver {
	pthread_mutex_t lock;
	unsigned int refs;	/* the loop's and one per thread */
	unsigned int threads;
	bool closed;		/* the loop has gone */
	struct queue waiting;	/* for a thread */
	struct queue done;	/* for the loop */
	struct lookup *kept[LIMIT_NAMES_KEPT];
	unsigned int next_kept;	/* goes for the next one, if there must */
	int event_fd;
};

static void queue_init(struct queue *queue)
{
	queue->head = NULL;
	queue->tail = &queue->head;
}

static void queue_push(struct queue *queue, struct lookup *lookup)
{
	lookup->next = NULL;
	*queue->tail = lookup;
	queue->tail = &lookup->next;
}

static struct lookup *queue_pop(struct queue *queue)
{
	struct lookup *lookup = queue->head;

	if (!lookup)
		return NULL;
	queue->head = lookup->next;
	if (!queue->head)
		queue->tail = &queue->head;
	return lookup;
}

/* It was the last one pushed, by the caller, under the same lock. */
static void queue_unpush(struct queue *queue, struct lookup *lookup)
{
	struct lookup **link = &queue->head;

	while (*link != lookup)
		link = &(*link)->next;
	*link = NULL;
	queue->tail = link;
}

static void lock(struct resolver *res)
{
	(void)pthread_mutex_lock(&res->lock);	/* a plain one never fails */
}

/* Drops a reference where put says so; the last one frees all. */
static void unlock(struct resolver *res, bool put)
{
	bool last = put && --res->refs == 0;

	(void)pthread_mutex_unlock(&res->lock);	/* it is ours */
	if (!last)
		return;
	(void)pthread_mutex_destroy(&res->lock);	/* nobody holds it */
	(void)sys->close(res->event_fd);	/* nothing is buffered in it */
	mem_free(res);
}

static void list_add(struct resolve_list *list, const struct addrinfo *info)
{
	struct resolve_addr *addr = &list->at[list->count++];

	memset(addr, 0, sizeof(*addr));
	memcpy(&addr->addr, info->ai_addr, info->ai_addrlen);
	addr->len = info->ai_addrlen;
}

static const struct addrinfo *next_of(const struct addrinfo *info, int family)
{
	while (info && (info->ai_family != family ||
			info->ai_addrlen > sizeof(struct sockaddr_storage)))
		info = info->ai_next;
	return info;
}

/*
 * RFC 8305 section 4: keep the system's order (RFC 6724) within a family,
 * and alternate between families, the first address's family first.
 */
static void interleave(const struct addrinfo *infos, struct resolve_list *out)
{
	const struct addrinfo *in4 = next_of(infos, AF_INET);
	const struct addrinfo *in6 = next_of(infos, AF_INET6);
	const struct addrinfo *info = infos;
	bool six;

	out->count = 0;
	while (info && info != in4 && info != in6)
		info = info->ai_next;
	for (six = info && info == in6; in4 || in6; six = !six) {
		if (out->count == LIMIT_ADDRESSES)
			return;
		if (six && in6) {
			list_add(out, in6);
			in6 = next_of(in6->ai_next, AF_INET6);
		} else if (!six && in4) {
			list_add(out, in4);
			in4 = next_of(in4->ai_next, AF_INET);
		}
	}
}

static int look_up(const char *name, const char *service,
		   struct resolve_list *out)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		/* no AAAA question where no IPv6 address is configured */
		.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV,
	};
	struct addrinfo *infos = NULL;
	int err;

	err = sys->lookup(name, service, &hints, &infos);
	if (err)
		return err == EAI_MEMORY ? -ENOMEM : -KTC_E_RESOLVE;
	interleave(infos, out);
	sys->lookup_free(infos);
	return out->count ? 0 : -KTC_E_RESOLVE;
}

static void tell(struct resolver *res)
{
	const uint64_t one = 1;
	ssize_t put;

	/* Blocks only at a count of 2^64 - 2, and then the loop knows. */
	do
		put = write(res->event_fd, &one, sizeof(one));
	while (put < 0 && errno == EINTR);
}

static void *work(void *arg)
{
	struct resolver *res = arg;
	struct lookup *lookup;

	lock(res);
	while (!res->closed && (lookup = queue_pop(&res->waiting))) {
		unlock(res, false);
		lookup->err = look_up(lookup->name, lookup->service,
				      &lookup->list);
		lock(res);
		if (res->closed) {
			mem_free(lookup);
		} else {
			queue_push(&res->done, lookup);
			tell(res);
		}
	}
	res->threads--;
	unlock(res, true);
	return NULL;
}

int resolver_new(int event_fd, struct resolver **out)
{
	struct resolver *res = mem_zalloc(sizeof(*res));
	int err;

	if (!res)
		return -ENOMEM;
	res->event_fd = fcntl(event_fd, F_DUPFD_CLOEXEC, 0);
	if (res->event_fd < 0) {
		err = -errno;
		mem_free(res);
		return err;
	}
	(void)pthread_mutex_init(&res->lock, NULL);	/* always 0 in glibc */
	res->refs = 1;
	queue_init(&res->waiting);
	queue_init(&res->done);
	*out = res;
	return 0;
}

void resolver_free(struct resolver *res)
{
	struct lookup *lookup;
	unsigned int i;

	if (!res)
		return;
	for (i = 0; i < LIMIT_NAMES_KEPT; i++)
		mem_free(res->kept[i]);
	lock(res);
	res->closed = true;
	while ((lookup = queue_pop(&res->waiting)) ||
	       (lookup = queue_pop(&res->done)))
		mem_free(lookup);
	unlock(res, true);
}

/* --------------------------------------------------------- answers kept -- */

static struct lookup **find_kept(struct resolver *res, const char *name,
				 const char *service)
{
	unsigned int i;

	for (i = 0; i < LIMIT_NAMES_KEPT; i++)
		if (res->kept[i] && !strcmp(res->kept[i]->name, name) &&
		    !strcmp(res->kept[i]->service, service))
			return &res->kept[i];
	return NULL;
}

static bool answer_kept(struct resolver *res, const char *name,
			const char *service, struct resolve_list *now)
{
	struct lookup **kept = find_kept(res, name, service);

	if (!kept || sys->now_us() - (*kept)->kept_us >=
			     LIMIT_NAME_FRESH_MS * 1000ull)
		return false;
	*now = (*kept)->list;
	return true;
}

static void keep(struct resolver *res, struct lookup *lookup)
{
	struct lookup **kept = find_kept(res, lookup->name, lookup->service);

	if (!kept)
		kept = &res->kept[res->next_kept++ % LIMIT_NAMES_KEPT];
	mem_free(*kept);
	lookup->kept_us = sys->now_us();
	*kept = lookup;
}

void resolver_forget(struct resolver *res, const char *name, uint16_t port)
{
	char service[sizeof("65535")];
	struct lookup **kept;

	if (!res)
		return;
	(void)snprintf(service, sizeof(service), "%u", port);	/* fits */
	kept = find_kept(res, name, service);
	if (!kept)
		return;
	mem_free(*kept);
	*kept = NULL;
}

static bool numeric(const char *name, uint16_t port, struct resolve_list *now)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_port = htons(port),
	};
	struct sockaddr_in6 in6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(port),
	};
	struct addrinfo info = { 0 };

	if (inet_pton(AF_INET, name, &in.sin_addr) == 1) {
		info.ai_addr = (struct sockaddr *)&in;
		info.ai_addrlen = sizeof(in);
	} else if (inet_pton(AF_INET6, name, &in6.sin6_addr) == 1) {
		info.ai_addr = (struct sockaddr *)&in6;
		info.ai_addrlen = sizeof(in6);
	} else {
		return false;
	}
	now->count = 0;
	list_add(now, &info);
	return true;
}

/* Under the lock, with one look-up more than before in the queue. */
static int want_thread(struct resolver *res)
{
	int err;

	if (res->threads == LIMIT_LOOKUPS)
		return 0;
	res->threads++;
	res->refs++;
	err = sys->thread(work, res);
	if (!err)
		return 0;
	res->threads--;
	res->refs--;
	/* With another thread at work it will only take longer. */
	return res->threads ? 0 : -EAGAIN;
}

int resolver_start(struct resolver *res, const char *name, uint16_t port,
		   uint64_t token, struct resolve_list *now)
{
	char service[sizeof("65535")];
	size_t len = strlen(name);
	struct lookup *lookup;
	int err;

	if (numeric(name, port, now))
		return 1;
	if (!len || len > LIMIT_NAME + 1)	/* a dot may end it */
		return -KTC_E_RESOLVE;
	(void)snprintf(service, sizeof(service), "%u", port);	/* fits */
	if (answer_kept(res, name, service, now))
		return 1;
	lookup = mem_zalloc(sizeof(*lookup) + len + 1);
	if (!lookup)
		return -ENOMEM;
	lookup->token = token;
	memcpy(lookup->name, name, len);
	memcpy(lookup->service, service, sizeof(service));

	lock(res);
	queue_push(&res->waiting, lookup);
	err = want_thread(res);
	if (err)
		queue_unpush(&res->waiting, lookup);
	unlock(res, false);
	if (err)
		mem_free(lookup);
	return err;
}

bool resolver_next(struct resolver *res, uint64_t *token, int *err,
		   struct resolve_list *out)
{
	struct lookup *lookup;

	lock(res);
	lookup = queue_pop(&res->done);
	unlock(res, false);
	if (!lookup)
		return false;
	*token = lookup->token;
	*err = lookup->err;
	*out = lookup->list;
	if (lookup->err)
		mem_free(lookup);
	else
		keep(res, lookup);
	return true;
}
