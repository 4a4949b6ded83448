// SPDX-License-Identifier: MIT
/*
 * A place for each event's name, taken by the first that asks and never given
 * back: names are constants of the program, so they are few. Any thread.
 */
#include "log_limit.h"

#include <string.h>

static struct log_limit_event *find(struct log_limit *limit, const char *name)
{
	struct log_limit_event *event = limit->events;
	struct log_limit_event *last = event + LOG_LIMIT_EVENTS - 1;

	for (; event < last; event++) {
		if (!event->name)
			event->name = name;
		if (event->name == name || !strcmp(event->name, name))
			break;
	}
	return event;
}

bool log_limit_take(struct log_limit *limit, const char *name, uint64_t second,
		    uint64_t *left_out)
{
	struct log_limit_event *event;
	bool may;

	pthread_mutex_lock(&limit->lock);
	event = find(limit, name);
	if (event->second != second) {
		event->second = second;
		event->told = 0;
	}
	may = event->told < LOG_LIMIT_PER_S;
	if (may) {
		event->told++;
		*left_out = event->left_out;
		event->left_out = 0;
	} else {
		event->left_out++;
	}
	pthread_mutex_unlock(&limit->lock);
	return may;
}
