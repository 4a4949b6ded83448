// SPDX-License-Identifier: MIT
/*
 * Sockets are opened by the main thread, before privileges are dropped or at a
 * reload. What a client's socket inherits from the one it came in by
 * (TCP_NODELAY, keepalive) is set here, once, instead of for each client.
 */
#include "listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "service.h"

#define BACKLOG 4096
/* probes without an answer before a peer is taken for dead */
#define KEEPALIVE_PROBES 4
/* connections whose SYN had data that wait to be accepted */
#define FASTOPEN_QUEUE 256

/* ---------------------------------------------------------------- places -- */

static struct place *place_new(const struct config_place *where)
{
	struct place *place = calloc(1, sizeof(*place));

	if (!place)
		return NULL;
	place->refs = 1;
	place->is_unix = where->path;
	place->text = strdup(where->text);
	place->path = where->path ? strdup(where->path) : NULL;
	if (!place->text || (where->path && !place->path)) {
		place_put(place);
		return NULL;
	}
	return place;
}

struct place *place_get(struct place *place)
{
	/* relaxed: whoever takes a reference has one already */
	atomic_fetch_add_explicit(&place->refs, 1, memory_order_relaxed);
	return place;
}

void place_put(struct place *place)
{
	unsigned int i;

	/* acquire and release: what others did is over; pairs with itself */
	if (!place || atomic_fetch_sub_explicit(&place->refs, 1,
						memory_order_acq_rel) != 1)
		return;
	/* relaxed: the counts above order it behind proxy_keep_paths() */
	if (place->path && place->nr &&
	    !atomic_load_explicit(&place->keep_path, memory_order_relaxed))
		(void)unlink(place->path); /* gone is as good */
	for (i = 0; i < place->nr; i++)
		(void)close(place->fds[i]); /* it only listened */
	free(place->fds);
	free(place->text);
	free(place->path);
	free(place);
}

static int place_add(struct place *place, int fd)
{
	int *fds = reallocarray(place->fds, place->nr + 1, sizeof(*fds));

	if (!fds)
		return -ENOMEM;
	place->fds = fds;
	fds[place->nr++] = fd;
	return 0;
}

/* --------------------------------------------------------------- sockets -- */

static void set_int(int fd, int level, int name, int value)
{
	/* each makes something better and nothing right: a refusal is borne */
	(void)setsockopt(fd, level, name, &value, sizeof(value));
}

static void set_options(int fd, const struct config_listener *listener)
{
	int idle_s = (int)((listener->keepalive_ms + 999) / 1000);
	int gap_s = idle_s / KEEPALIVE_PROBES;

	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, idle_s > 0);
	if (idle_s > 0) {
		set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_s);
		set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, gap_s ? gap_s : 1);
		set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
	}
	set_int(fd, IPPROTO_TCP, TCP_FASTOPEN,
		listener->fastopen ? FASTOPEN_QUEUE : 0);
}

/* The first address of a place. */
static int resolve(const struct config_place *where,
		   struct sockaddr_storage *addr, socklen_t *len)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	};
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)addr;
	struct addrinfo *found;
	char port[8];

	memset(addr, 0, sizeof(*addr));
	if (!where->host) { /* IPv4 comes in there as well */
		in6->sin6_family = AF_INET6;
		in6->sin6_addr = in6addr_any;
		in6->sin6_port = htons(where->port);
		*len = sizeof(*in6);
		return 0;
	}
	(void)snprintf(port, sizeof(port), "%u", where->port);
	if (getaddrinfo(where->host, port, &hints, &found))
		return -EADDRNOTAVAIL;
	memcpy(addr, found->ai_addr, found->ai_addrlen);
	*len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

/*
 * @join: others are bound to it already. The first one is bound without
 * SO_REUSEPORT, so that a place which another program listens at is told.
 */
static int tcp_listen(struct sockaddr_storage *addr, socklen_t len, bool join,
		      int *out)
{
	int fd, err;

	fd = socket(addr->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 && errno == EAFNOSUPPORT && addr->ss_family == AF_INET6) {
		/* no IPv6 here: every address is every IPv4 address */
		*(struct sockaddr_in *)addr = (struct sockaddr_in){
			.sin_family = AF_INET,
			.sin_port = ((struct sockaddr_in6 *)addr)->sin6_port,
		};
		len = sizeof(struct sockaddr_in);
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	}
	if (fd < 0)
		return -errno;
	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (addr->ss_family == AF_INET6)
		set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	set_int(fd, SOL_SOCKET, SO_REUSEPORT, join);
	if (bind(fd, (struct sockaddr *)addr, len))
		goto out_close;
	set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (listen(fd, BACKLOG))
		goto out_close;
	/* port 0: the next ones join the same */
	if (getsockname(fd, (struct sockaddr *)addr, &len))
		goto out_close;
	*out = fd;
	return 0;

out_close:
	err = -errno;
	(void)close(fd); /* nothing has come */
	return err;
}

/* A socket's file that nobody listens at is left over. */
static bool is_left_over(const struct sockaddr_un *un)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool over;

	if (fd < 0)
		return false;
	over = connect(fd, (const struct sockaddr *)un, sizeof(*un)) &&
	       errno == ECONNREFUSED;
	(void)close(fd); /* nothing was said */
	return over;
}

static int unix_listen(const char *path, mode_t mode, int *out)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	mode_t umask_before;
	int fd, err = 0;

	if (strlen(path) >= sizeof(un.sun_path))
		return -ENAMETOOLONG;
	memcpy(un.sun_path, path, strlen(path) + 1);
	if (is_left_over(&un))
		(void)unlink(path); /* bind() will tell */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* it has its permissions before anyone can connect */
	umask_before = umask(~mode & 0777);
	if (bind(fd, (struct sockaddr *)&un, sizeof(un)))
		err = -errno;
	(void)umask(umask_before); /* cannot fail */
	if (!err && listen(fd, BACKLOG))
		err = -errno;
	if (err) {
		(void)close(fd); /* nothing has come */
		return err;
	}
	*out = fd;
	return 0;
}

static int place_failed(const struct config_place *where, int err)
{
	log_event(CONFIG_ERROR, "listen_failed", LOG_S("place", where->text),
		  LOG_S("error", ktc_error_name(err)),
		  LOG_S("why", ktc_strerror(err)));
	return err;
}

/* ------------------------------------------------------------------ open -- */

/* As many sockets as there are workers, beside those that are there. */
static int place_fill(struct place *place,
		      const struct config_listener *listener,
		      unsigned int threads)
{
	struct sockaddr_storage addr = { 0 };
	socklen_t len = sizeof(addr);
	int fd = -1, err = 0;

	if (place->is_unix) {
		if (place->nr)
			return 0;
		err = unix_listen(listener->listen.path, listener->listen_mode,
				  &fd);
		if (!err)
			err = place_add(place, fd);
		return err;
	}
	if (place->nr) {
		if (getsockname(place->fds[0], (struct sockaddr *)&addr, &len))
			err = -errno;
	} else {
		err = resolve(&listener->listen, &addr, &len);
	}
	while (!err && place->nr < threads) {
		err = tcp_listen(&addr, len, place->nr, &fd);
		if (!err)
			err = place_add(place, fd);
	}
	return err;
}

static void take_gift(struct place *place, struct listen_gift *gifts,
		      unsigned int nr_gifts)
{
	unsigned int i;

	for (i = 0; i < nr_gifts; i++) {
		if (!gifts[i].nr || strcmp(gifts[i].text, place->text))
			continue;
		place->fds = gifts[i].fds;
		place->nr = gifts[i].nr;
		gifts[i].fds = NULL;
		gifts[i].nr = 0;
		return;
	}
}

static struct place *find(struct generation *generation, const char *text)
{
	unsigned int i;

	for (i = 0; generation && i < generation->nr; i++)
		if (generation->services[i]->place &&
		    !strcmp(generation->services[i]->place->text, text))
			return generation->services[i]->place;
	return NULL;
}

/* False: it has none, as a unix socket. */
static bool name_of(int fd, char host[NI_MAXHOST], char port[NI_MAXSERV])
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);

	*host = *port = '\0';
	return !getsockname(fd, (struct sockaddr *)&addr, &len) &&
	       addr.ss_family != AF_UNIX &&
	       !getnameinfo((struct sockaddr *)&addr, len, host, NI_MAXHOST,
			    port, NI_MAXSERV, NI_NUMERICHOST | NI_NUMERICSERV);
}

static void log_listening(const char *event, const char *text, int fd,
			  unsigned int sockets)
{
	char host[NI_MAXHOST], port[NI_MAXSERV];

	(void)name_of(fd, host, port); /* then both are empty */
	log_event(CONFIG_INFO, event, LOG_S("place", text),
		  LOG_S("address", host), LOG_S("port", port),
		  LOG_U("sockets", sockets));
}

/* For those who look: a port that was not chosen by them. */
static void set_bound(struct service *service)
{
	const struct config_place *where = &service->listener->listen;
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (where->path || where->port ||
	    !name_of(service->place->fds[0], host, port))
		return;
	(void)snprintf(service->bound, sizeof(service->bound),
		       strchr(host, ':') ? "[%.64s]:%.8s" : "%.64s:%.8s", host,
		       port);
}

int listen_one(const struct config_place *where, const char *event, int *out)
{
	struct sockaddr_storage addr = { 0 };
	socklen_t len = 0;
	int err;

	if (where->path) {
		err = unix_listen(where->path, 0600, out);
	} else {
		err = resolve(where, &addr, &len);
		if (!err)
			err = tcp_listen(&addr, len, false, out);
	}
	if (err)
		return place_failed(where, err);
	log_listening(event, where->text, *out, 1);
	return 0;
}

static int service_open(struct service *service, struct generation *before,
			unsigned int threads, struct listen_gift *gifts,
			unsigned int nr_gifts)
{
	const struct config_listener *listener = service->listener;
	struct place *place = find(before, listener->listen.text);
	unsigned int i;
	int err;

	if (place) {
		service->place = place_get(place);
	} else {
		place = place_new(&listener->listen);
		if (!place)
			return -ENOMEM;
		service->place = place;
		take_gift(place, gifts, nr_gifts);
		err = place_fill(place, listener, threads);
		if (err)
			return err;
		log_listening("listening", place->text, place->fds[0],
			      place->nr);
	}
	set_bound(service);
	for (i = 0; !place->is_unix && i < place->nr; i++)
		set_options(place->fds[i], listener);
	return 0;
}

int listen_open(struct generation *generation, struct generation *before,
		unsigned int threads, struct listen_gift *gifts,
		unsigned int nr_gifts)
{
	unsigned int i;
	int err;

	for (i = 0; i < generation->nr; i++) {
		err = service_open(generation->services[i], before, threads,
				   gifts, nr_gifts);
		if (err)
			return place_failed(
				&generation->services[i]->listener->listen,
				err);
	}
	return 0;
}
