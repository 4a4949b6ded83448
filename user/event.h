/* SPDX-License-Identifier: MIT */
/*
 * The queue of events a loop has for its caller. Nodes live inside what they
 * tell of (a connection, a send, a receive buffer), so queueing cannot fail.
 */
#ifndef KTC_EVENT_H
#define KTC_EVENT_H

#include <ktlsclient.h>

struct event_node {
	struct event_node *next;
	enum ktc_event_type type;
};

struct event_queue {
	struct event_node *head;
	struct event_node **tail;
};

static inline void event_queue_init(struct event_queue *q)
{
	q->head = NULL;
	q->tail = &q->head;
}

static inline void event_push(struct event_queue *q, struct event_node *node,
			      enum ktc_event_type type)
{
	node->type = type;
	node->next = NULL;
	*q->tail = node;
	q->tail = &node->next;
}

static inline struct event_node *event_pop(struct event_queue *q)
{
	struct event_node *node = q->head;

	if (!node)
		return NULL;
	q->head = node->next;
	if (!q->head)
		q->tail = &q->head;
	return node;
}

/* All of from behind what q has; from is empty afterwards. */
static inline void event_splice(struct event_queue *q,
				struct event_queue *from)
{
	if (!from->head)
		return;
	*q->tail = from->head;
	q->tail = from->tail;
	event_queue_init(from);
}

#endif /* KTC_EVENT_H */
