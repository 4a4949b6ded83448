/* SPDX-License-Identifier: MIT */
/* How often an event is told: a few times a second, the rest is counted. */
#ifndef PROXY_LOG_LIMIT_H
#define PROXY_LOG_LIMIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* lines a second of one event */
#define LOG_LIMIT_PER_S 5

/* events known; those beyond share the last place */
#define LOG_LIMIT_EVENTS 64

/**
 * struct log_limit_event - one event
 * @name: its name, a string constant
 * @second: that @told is about
 * @told: lines
 * @left_out: since the last line
 */
struct log_limit_event {
	const char *name;
	uint64_t second;
	unsigned int told;
	uint64_t left_out;
};

struct log_limit {
	pthread_mutex_t lock; /* all below; held for a few comparisons */
	struct log_limit_event events[LOG_LIMIT_EVENTS];
};

#define LOG_LIMIT_INIT { .lock = PTHREAD_MUTEX_INITIALIZER }

/**
 * log_limit_take() - ask whether an event may be told
 * @limit: of all events
 * @name: which; kept by reference
 * @second: the time, in whole seconds
 * @left_out: receives how many were left out before this one; written on
 *	success only
 *
 * Context: any thread.
 * Return: whether it may; if not, it is counted.
 */
bool log_limit_take(struct log_limit *limit, const char *name, uint64_t second,
		    uint64_t *left_out);

#endif /* PROXY_LOG_LIMIT_H */
