// SPDX-License-Identifier: MIT
/*
 * The benchmark's target. The name is resolved here, before the clock runs:
 * a benchmark of handshakes should not measure a resolver. Set-up only, one
 * thread.
 */
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define TRY_TIMEOUT_MS 3000

static int resolve_unix(struct target *t, const char *path, char *why,
			size_t why_len)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&t->addr;

	if (!path[0] || strlen(path) >= sizeof(un->sun_path)) {
		(void)snprintf(why, why_len,
			       "unix:%s: a path has 1 to %zu bytes", path,
			       sizeof(un->sun_path) - 1);
		return -1;
	}
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, strlen(path) + 1);
	t->addr_len = sizeof(*un);
	(void)snprintf(t->text, sizeof(t->text), "unix:%s", path);
	return 0;
}

/* splits "host:port" and "[v6]:port" */
static bool split(struct target *t, char port[8], const char *spec)
{
	const char *host = spec, *colon = strrchr(spec, ':');
	size_t len;

	if (!colon || !colon[1] || strlen(colon + 1) >= 8)
		return false;
	len = (size_t)(colon - host);
	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	} else if (memchr(host, ':', len)) {
		return false;
	}
	if (!len || len >= sizeof(t->name))
		return false;
	memcpy(t->name, host, len);
	t->name[len] = '\0';
	memcpy(port, colon + 1, strlen(colon + 1) + 1);
	return strspn(port, "0123456789") == strlen(port);
}

/* 0 when a TCP connection is taken within TRY_TIMEOUT_MS, else an errno */
static int try_connect(const struct addrinfo *ai)
{
	struct pollfd pfd = { .events = POLLOUT };
	socklen_t len = sizeof(int);
	int err = 0;

	pfd.fd = socket(ai->ai_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (pfd.fd < 0)
		return errno;
	if (connect(pfd.fd, ai->ai_addr, ai->ai_addrlen) < 0)
		err = errno;
	if (err == EINPROGRESS) {
		if (poll(&pfd, 1, TRY_TIMEOUT_MS) != 1)
			err = ETIMEDOUT;
		else if (getsockopt(pfd.fd, SOL_SOCKET, SO_ERROR, &err, &len))
			err = errno;
	}
	(void)close(pfd.fd); /* nothing was written */
	return err;
}

static void use(struct target *t, const struct addrinfo *ai)
{
	char host[64], port[8];

	memcpy(&t->addr, ai->ai_addr, ai->ai_addrlen);
	t->addr_len = ai->ai_addrlen;
	if (getnameinfo(ai->ai_addr, ai->ai_addrlen, host, sizeof(host), port,
			sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
		(void)snprintf(t->text, sizeof(t->text), "?");
	else
		(void)snprintf(t->text, sizeof(t->text),
			       ai->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s",
			       host, port);
}

static int resolve_tcp(struct target *t, const char *spec, char *why,
		       size_t why_len)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV,
	};
	struct addrinfo *list, *ai;
	unsigned long number = 0;
	char port[8], *p;
	int err;

	if (!split(t, port, spec)) {
		(void)snprintf(why, why_len,
			       "%s: not HOST:PORT, [ADDRESS]:PORT or unix:PATH",
			       spec);
		return -1;
	}
	for (p = port; *p; p++)
		number = number * 10 + (unsigned long)(*p - '0');
	if (!number || number > UINT16_MAX) {
		(void)snprintf(why, why_len, "%s: a port is 1 to 65535", spec);
		return -1;
	}
	t->port = (uint16_t)number;
	err = getaddrinfo(t->name, port, &hints, &list);
	if (err) {
		(void)snprintf(why, why_len, "%s: %s", t->name,
			       gai_strerror(err));
		return -1;
	}
	err = 0;
	for (ai = list; ai; ai = ai->ai_next) {
		/* one address is not tried: its error belongs in the report */
		if (!list->ai_next)
			break;
		err = try_connect(ai);
		if (!err)
			break;
	}
	if (ai)
		use(t, ai);
	else
		(void)snprintf(why, why_len, "%s: no address answers: %s", spec,
			       strerror(err));
	freeaddrinfo(list);
	return ai ? 0 : -1;
}

int target_resolve(struct target *target, const char *spec, char *why,
		   size_t why_len)
{
	struct target t = { .port = 0 };
	int err;

	if (!strncmp(spec, "unix:", 5))
		err = resolve_unix(&t, spec + 5, why, why_len);
	else
		err = resolve_tcp(&t, spec, why, why_len);
	if (!err)
		*target = t;
	return err;
}

const char *target_host(const struct target *target, const char *sni)
{
	if (sni)
		return sni;
	return target->name[0] ? target->name : "localhost";
}
