// SPDX-License-Identifier: MIT
/*
 * Log lines. A line is made in memory of the caller's own and goes out by one
 * write(), so that lines of several threads do not mix; no lock is held
 * meanwhile. A line that cannot be made or written is lost: the proxy's work
 * does not wait for its log. Any thread.
 */
#include "log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "json.h"
#include "log_limit.h"

static atomic_int least = CONFIG_INFO;
static struct log_limit limit = LOG_LIMIT_INIT;

void log_init(enum config_level level)
{
	/* relaxed: a number alone */
	atomic_store_explicit(&least, (int)level, memory_order_relaxed);
}

static const char *level_name(enum config_level level)
{
	static const char *const names[] = {
		[CONFIG_ERROR] = "error",
		[CONFIG_WARN] = "warn",
		[CONFIG_INFO] = "info",
		[CONFIG_DEBUG] = "debug",
	};

	return names[level];
}

/* RFC 3339, UTC, milliseconds */
static void put_time(struct json *json)
{
	char text[sizeof("2026-01-01T00:00:00.000Z") + 8];
	struct timespec now;
	struct tm tm;
	size_t len;

	clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
	if (!gmtime_r(&now.tv_sec, &tm))
		return;
	len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text + len, sizeof(text) - len, ".%03uZ",
		       (unsigned int)(now.tv_nsec / 1000000) % 1000);
	json_string(json, "time", text);
}

static void put_field(struct json *json, const struct log_field *field)
{
	switch (field->type) {
	case LOG_STRING:
		json_string(json, field->key, field->string);
		break;
	case LOG_UINT:
		json_uint(json, field->key, field->number);
		break;
	case LOG_INT:
		json_int(json, field->key, (int64_t)field->number);
		break;
	case LOG_BOOL:
		json_bool(json, field->key, field->number);
		break;
	}
}

void log_fields(enum config_level level, const char *event,
		const struct log_field *fields)
{
	struct timespec now;
	uint64_t left_out;
	struct json json;
	char *text = NULL;
	size_t len = 0;
	FILE *out;
	int err;

	if ((int)level > atomic_load_explicit(&least, memory_order_relaxed))
		return;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now); /* cannot fail */
	if (!log_limit_take(&limit, event, (uint64_t)now.tv_sec, &left_out))
		return;
	out = open_memstream(&text, &len);
	if (!out)
		return;
	json_init_line(&json, out);
	json_object_begin(&json, NULL);
	put_time(&json);
	json_string(&json, "level", level_name(level));
	json_string(&json, "event", event);
	for (; fields->key; fields++)
		put_field(&json, fields);
	if (left_out)
		json_uint(&json, "left_out", left_out);
	json_object_end(&json);
	err = json_fini(&json);
	if (fclose(out))
		err = -1;
	/* what does not go out at once is lost: see above */
	if (!err)
		(void)!write(STDERR_FILENO, text, len);
	free(text);
}
