// SPDX-License-Identifier: MIT
/*
 * Asks the proxy for all its listeners before a line is written: metrics are
 * in order of their names, not of the listeners. Any thread.
 */
#include "admin_view.h"

#include <errno.h>
#include <stdlib.h>

int admin_view_init(struct admin_view *view, const struct admin_ops *ops)
{
	unsigned int i, nr = ops->listeners(ops->arg);
	struct admin_listener *listeners;
	int err = 0;

	/* one more, for calloc(0) may be NULL */
	listeners = calloc((size_t)nr + 1, sizeof(*listeners));
	if (!listeners)
		err = -ENOMEM;
	for (i = 0; i < nr && !err; i++) {
		listeners[i].client.size = sizeof(listeners[i].client);
		err = ops->listener(ops->arg, i, &listeners[i]);
	}
	if (err) {
		free(listeners);
		ops->done(ops->arg);
		return err;
	}
	view->ops = ops;
	view->listeners = listeners;
	view->nr = nr;
	return 0;
}

void admin_view_fini(struct admin_view *view)
{
	free(view->listeners);
	view->ops->done(view->ops->arg);
}

int admin_text(const struct admin_ops *ops,
	       void (*write)(const struct admin_view *view, FILE *out),
	       char **out, size_t *len)
{
	struct admin_view view;
	char *text = NULL;
	size_t text_len = 0;
	bool failed;
	FILE *to;

	if (admin_view_init(&view, ops))
		return -ENOMEM;
	to = open_memstream(&text, &text_len);
	if (!to) {
		admin_view_fini(&view);
		return -ENOMEM;
	}
	write(&view, to);
	admin_view_fini(&view);
	failed = ferror(to);
	if (fclose(to) || failed) {
		free(text);
		return -ENOMEM;
	}
	*out = text;
	*len = text_len;
	return 0;
}
