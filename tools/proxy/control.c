// SPDX-License-Identifier: MIT
/*
 * One request a connection, a line:
 *
 *	status, table	what is going on, as JSON or for people
 *	takeover	see takeover.h
 *	yield		"yielded", when the process drains and has left its
 *			places, or "serving": it keeps them
 *
 * Answered by the main thread, which waits for the client no longer than
 * TIMEOUT_S for each read and write, and some seconds for workers that are to
 * leave their places: whoever asks is of our own user's or root's, who could
 * stop us anyhow.
 */
#include "control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin.h"
#include "ask.h"
#include "listen.h"
#include "log.h"
#include "proxy.h"
#include "succession.h"
#include "view.h"

#define TIMEOUT_S 1
/* a successor has more to do between two messages */
#define SUCCESSOR_TIMEOUT_S 10
/* one that drains first has its workers stop to accept */
#define YIELD_TIMEOUT_S 10
#define LINE_MAX_LEN 64

static const char yielded[] = "yielded\n";
static const char serving[] = "serving\n";

struct control {
	int fd;
	char *path;
	bool left;
};

int control_adopt(const char *path, int fd, struct control **out)
{
	struct control *control = calloc(1, sizeof(*control));

	if (control)
		control->path = strdup(path);
	if (!control || !control->path) {
		(void)close(fd); /* it only listened */
		free(control);
		return -ENOMEM;
	}
	control->fd = fd;
	*out = control;
	return 0;
}

int control_open(const char *path, struct control **out)
{
	const struct config_place where = { .text = path, .path = path };
	int fd;
	int err = listen_one(&where, "control", &fd);

	return err ? err : control_adopt(path, fd, out);
}

void control_close(struct control *control)
{
	if (!control)
		return;
	if (!control->left)
		(void)unlink(control->path); /* gone is as good */
	(void)close(control->fd); /* it only listened */
	free(control->path);
	free(control);
}

void control_leave(struct control *control, bool left)
{
	control->left = left;
}

int control_fd(const struct control *control)
{
	return control && !control->left ? control->fd : -1;
}

const char *control_path(const struct control *control)
{
	return control->path;
}

static bool is_allowed(int fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len))
		return false;
	return !who.uid || who.uid == geteuid();
}

/* The line without its newline; false: none came. */
static bool read_line(int fd, char *line, size_t room)
{
	size_t len = 0;
	ssize_t n;

	while (len < room) {
		n = read(fd, line + len, 1);
		if (n < 0 && errno == EINTR)
			continue; /* work of a ring's, too, comes so */
		if (n <= 0)
			return false;
		if (line[len] == '\n') {
			line[len] = '\0';
			return true;
		}
		len++;
	}
	return false;
}

static void write_all(int fd, const char *text, size_t len)
{
	ssize_t n;

	while (len) {
		n = send(fd, text, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* it does not want to know */
		text += n;
		len -= (size_t)n;
	}
}

static void answer(int fd, struct proxy *proxy,
		   int (*make)(const struct admin_ops *, char **, size_t *))
{
	struct admin_ops ops;
	char *text;
	size_t len;

	view_ops(proxy, &ops);
	if (make(&ops, &text, &len))
		return;
	write_all(fd, text, len);
	free(text);
}

static void say(int fd, const char *text)
{
	write_all(fd, text, strlen(text));
}

void control_serve(struct control *control, struct proxy *proxy)
{
	int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC);
	char line[LINE_MAX_LEN];

	if (fd < 0)
		return;
	if (!is_allowed(fd) || !ask_patience(fd, TIMEOUT_S) ||
	    !read_line(fd, line, sizeof(line))) {
		(void)close(fd); /* nothing was asked */
		return;
	}
	if (!strcmp(line, "takeover") &&
	    ask_patience(fd, SUCCESSOR_TIMEOUT_S)) {
		proxy_succeed(proxy, fd);
		return;
	}
	if (!strcmp(line, "status"))
		answer(fd, proxy, admin_status);
	else if (!strcmp(line, "table"))
		answer(fd, proxy, admin_table);
	else if (!strcmp(line, "yield"))
		/* the control goes with it */
		say(fd, proxy_yield(proxy) ? yielded : serving);
	(void)close(fd); /* all is said */
}

/* -------------------------------------------------- the one that starts -- */

void control_ask_room(const char *path)
{
	char line[LINE_MAX_LEN] = "";
	int fd = ask(path, "yield\n", YIELD_TIMEOUT_S);

	if (fd < 0)
		return; /* nobody is there */
	if (!read_line(fd, line, sizeof(line)))
		*line = '\0';
	(void)close(fd); /* all is said */
	if (!strcmp(line, "yielded"))
		log_event(CONFIG_INFO, "predecessor_yielded",
			  LOG_S("control", path));
	else
		log_event(CONFIG_WARN, "predecessor_serves",
			  LOG_S("control", path),
			  LOG_S("why", *line ? "a process there keeps its "
					       "places; --takeover would "
					       "succeed it" :
					       "a process there does not "
					       "answer"));
}
