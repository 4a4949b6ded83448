/* SPDX-License-Identifier: MIT */
/* All listeners at one time, for who writes them down. */
#ifndef PROXY_ADMIN_VIEW_H
#define PROXY_ADMIN_VIEW_H

#include <stdio.h>

#include "admin.h"

/**
 * struct admin_view - what an answer is made of
 * @ops: where it comes from
 * @listeners: each of them; what they point to stays until
 *	admin_view_fini()
 * @nr: how many
 */
struct admin_view {
	const struct admin_ops *ops;
	struct admin_listener *listeners;
	unsigned int nr;
};

/* 0 or -errno; then there is nothing to end */
int admin_view_init(struct admin_view *view, const struct admin_ops *ops);
void admin_view_fini(struct admin_view *view);

/**
 * admin_text() - make a text of a view
 * @ops: whom to ask
 * @write: writes it
 * @out: receives the text, for free(); written on success only
 * @len: its length
 *
 * Return: 0 or -ENOMEM.
 */
int admin_text(const struct admin_ops *ops,
	       void (*write)(const struct admin_view *view, FILE *out),
	       char **out, size_t *len);

#endif /* PROXY_ADMIN_VIEW_H */
