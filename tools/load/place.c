// SPDX-License-Identifier: MIT
/*
 * Parsing of places. Names go through getaddrinfo() and the first address is
 * taken: these tools talk to loopback. Any thread.
 */
#include "place.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/un.h>

#define UNIX_PREFIX "unix:"

static int parse_unix(const char *path, struct place *out)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	if (!*path || strlen(path) >= sizeof(un.sun_path))
		return -EINVAL;
	memcpy(un.sun_path, path, strlen(path) + 1);
	memcpy(&out->addr, &un, sizeof(un));
	out->len = sizeof(un);
	return 0;
}

int place_parse(const char *text, struct place *out)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	const char *host_begin = text, *colon = strrchr(text, ':');
	struct addrinfo *found;
	char host[256];
	size_t len;

	if (!strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)))
		return parse_unix(text + strlen(UNIX_PREFIX), out);
	if (!colon || colon == text)
		return -EINVAL;
	len = (size_t)(colon - text);
	if (text[0] == '[' && colon[-1] == ']') {
		host_begin++;
		len -= 2;
	}
	if (!len || len >= sizeof(host))
		return -EINVAL;
	memcpy(host, host_begin, len);
	host[len] = '\0';
	if (getaddrinfo(host, colon + 1, &hints, &found))
		return -ENOENT;
	memcpy(&out->addr, found->ai_addr, found->ai_addrlen);
	out->len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}
