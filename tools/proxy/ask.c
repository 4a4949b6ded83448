// SPDX-License-Identifier: MIT
/* See ask.h. Any thread. */
#include "ask.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

bool ask_patience(int fd, time_t seconds)
{
	const struct timeval patience = { .tv_sec = seconds };

	return !setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
			   sizeof(patience)) &&
	       !setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
			   sizeof(patience));
}

int ask(const char *path, const char *request, time_t patience_s)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(un.sun_path))
		return -ENAMETOOLONG;
	memcpy(un.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (!ask_patience(fd, patience_s) ||
	    connect(fd, (struct sockaddr *)&un, sizeof(un)) ||
	    /* so short a line goes out whole or not at all */
	    send(fd, request, strlen(request), MSG_NOSIGNAL) < 0) {
		err = -errno;
		(void)close(fd); /* nothing came of it */
		return err;
	}
	return fd;
}
