/* SPDX-License-Identifier: MIT */
/*
 * Log lines: one JSON object of one event each on stderr, written by one
 * write(). Any thread. Never a secret, never bytes of a client's or an
 * origin's: names, places, codes, numbers. What repeats is told at most a few
 * times a second, with how many were left out.
 */
#ifndef PROXY_LOG_H
#define PROXY_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"

/* a field of an event; a list of them ends with a NULL key */
struct log_field {
	const char *key;
	enum { LOG_STRING, LOG_UINT, LOG_INT, LOG_BOOL } type;
	const char *string;
	uint64_t number;
};

#define LOG_S(k, v) { .key = (k), .type = LOG_STRING, .string = (v) }
#define LOG_U(k, v) { .key = (k), .type = LOG_UINT, .number = (v) }
#define LOG_I(k, v) \
	{ .key = (k), .type = LOG_INT, .number = (uint64_t)(int64_t)(v) }
#define LOG_B(k, v) { .key = (k), .type = LOG_BOOL, .number = (v) }

/* Least important level told from now on. */
void log_init(enum config_level level);

void log_fields(enum config_level level, const char *event,
		const struct log_field *fields);

/* log_event(CONFIG_WARN, "origin_failed", LOG_S("origin", place), ...) */
#define log_event(level, event, ...) \
	log_fields(level, event, \
		   &((const struct log_field[]){ \
			   { .key = "" }, ##__VA_ARGS__, { .key = NULL } })[1])

#endif /* PROXY_LOG_H */
