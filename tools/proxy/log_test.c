// SPDX-License-Identifier: MIT
/*
 * Unit test of log lines: their text, their levels, how often they come, and
 * that lines of several threads stay whole. What goes to stderr goes into a
 * file meanwhile.
 */
#include "log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "ktap.h"
#include "log_limit.h"

static int saved = -1, out = -1;
static char text[1024 * 1024];

static void catch_begin(void)
{
	char path[] = "/tmp/log_test.XXXXXX";

	out = mkostemp(path, O_CLOEXEC | O_APPEND);
	saved = dup(STDERR_FILENO);
	if (out < 0 || saved < 0 || unlink(path) ||
	    dup2(out, STDERR_FILENO) < 0)
		abort();
}

static void catch_end(void)
{
	ssize_t len;

	(void)dup2(saved, STDERR_FILENO);
	(void)close(saved);
	len = pread(out, text, sizeof(text) - 1, 0);
	text[len > 0 ? len : 0] = '\0';
	(void)close(out);
}

/* The line without its time, whose shape is looked at. */
static const char *after_time(const char *line)
{
	static const char shape[] = "{\"time\": \"dddd-dd-ddTdd:dd:dd.dddZ\", ";
	size_t i;

	for (i = 0; shape[i]; i++) {
		if (shape[i] == 'd' && i > 9 ?
			    line[i] < '0' || line[i] > '9' :
			    line[i] != shape[i]) {
			printf("# at %zu: %s", i, line);
			ktap_failed = true;
			return line;
		}
	}
	return line + i;
}

static void a_line_is_one_object(void)
{
	catch_begin();
	log_event(CONFIG_WARN, "test_fields", LOG_S("origin", "a\"b\n:443"),
		  LOG_U("n", UINT64_MAX), LOG_I("err", -5),
		  LOG_B("resumed", true), LOG_S("none", NULL));
	catch_end();
	CHECK_STR("\"level\": \"warn\", \"event\": \"test_fields\", "
		  "\"origin\": \"a\\\"b\\n:443\", \"n\": 18446744073709551615, "
		  "\"err\": -5, \"resumed\": true, \"none\": null}\n",
		  after_time(text));
}

static void a_line_may_have_no_fields(void)
{
	catch_begin();
	log_event(CONFIG_ERROR, "test_bare");
	catch_end();
	CHECK_STR("\"level\": \"error\", \"event\": \"test_bare\"}\n",
		  after_time(text));
}

static void less_important_levels_are_silent(void)
{
	catch_begin();
	log_init(CONFIG_WARN);
	log_event(CONFIG_INFO, "test_info");
	log_event(CONFIG_DEBUG, "test_debug");
	log_event(CONFIG_WARN, "test_warn");
	log_init(CONFIG_DEBUG);
	log_event(CONFIG_DEBUG, "test_debug");
	catch_end();
	CHECK(!strstr(text, "test_info"));
	CHECK(strstr(text, "\"warn\", \"event\": \"test_warn\""));
	CHECK(strstr(text, "\"debug\", \"event\": \"test_debug\""));
	CHECK(strstr(text, "test_debug") > strstr(text, "test_warn"));
	log_init(CONFIG_INFO);
}

static void what_repeats_is_counted(void)
{
	static struct log_limit limit = LOG_LIMIT_INIT;
	uint64_t left_out = 99;
	unsigned int i;

	for (i = 0; i < LOG_LIMIT_PER_S; i++) {
		CHECK(log_limit_take(&limit, "a", 7, &left_out));
		CHECK(left_out == 0);
	}
	left_out = 99;
	for (i = 0; i < 10; i++)
		CHECK(!log_limit_take(&limit, "a", 7, &left_out));
	CHECK(left_out == 99);
	/* another event is not held up by it */
	CHECK(log_limit_take(&limit, "b", 7, &left_out) && left_out == 0);
	CHECK(log_limit_take(&limit, "a", 8, &left_out) && left_out == 10);
	CHECK(log_limit_take(&limit, "a", 8, &left_out) && left_out == 0);
}

static void more_events_than_places_share_the_last(void)
{
	static struct log_limit limit = LOG_LIMIT_INIT;
	static char names[LOG_LIMIT_EVENTS + 8][8];
	uint64_t left_out;
	unsigned int i, told = 0;

	for (i = 0; i < LOG_LIMIT_EVENTS + 8; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "e%u", i);
		told += log_limit_take(&limit, names[i], 1, &left_out);
	}
	CHECK(told == LOG_LIMIT_EVENTS - 1 + LOG_LIMIT_PER_S);
	CHECK(log_limit_take(&limit, names[LOG_LIMIT_EVENTS + 1], 2,
			     &left_out));
	CHECK(left_out == 9 - LOG_LIMIT_PER_S);
}

static void a_line_says_how_many_were_left_out(void)
{
	struct timespec at;
	unsigned int i, lines = 0;
	const char *line;

	catch_begin();
	for (i = 0; i < 4 * LOG_LIMIT_PER_S; i++)
		log_event(CONFIG_INFO, "test_many");
	/* the next second, and a tick of the coarse clock */
	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec++;
	at.tv_nsec = 50000000;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL))
		;
	log_event(CONFIG_INFO, "test_many");
	catch_end();
	for (line = text; *line; line = strchr(line, '\n') + 1)
		lines++;
	CHECK(lines > LOG_LIMIT_PER_S && lines < i + 1);
	CHECK(strstr(text, "\"test_many\", \"left_out\": "));
}

#define THREADS 4
#define LINES	200

static void *write_lines(void *arg)
{
	static char names[THREADS][LINES][16];
	unsigned int i, me = (unsigned int)(uintptr_t)arg;

	/* each its own name, or the limit would leave most out */
	for (i = 0; i < LINES; i++) {
		(void)snprintf(names[me][i], sizeof(names[me][i]), "t%u",
			       me * 8 + i % 8);
		log_event(CONFIG_INFO, names[me][i], LOG_U("thread", me),
			  LOG_U("line", i));
	}
	return NULL;
}

static void lines_of_threads_stay_whole(void)
{
	pthread_t threads[THREADS];
	unsigned int i, lines = 0;
	char *line, *end;

	catch_begin();
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, write_lines,
				   (void *)(uintptr_t)i))
			abort();
	for (i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	catch_end();
	for (line = text; *line; line = end + 1) {
		end = strchr(line, '\n');
		if (!end)
			abort();
		*end = '\0';
		CHECK(!strncmp(after_time(line), "\"level\": \"info\", ", 17));
		CHECK(end[-1] == '}');
		CHECK(strchr(line, '}') == end - 1);
		lines++;
	}
	CHECK(lines >= THREADS * 8);
}

static void a_log_that_takes_nothing_is_no_hindrance(void)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	int before = dup(STDERR_FILENO);

	if (full < 0 || before < 0 || dup2(full, STDERR_FILENO) < 0)
		abort();
	log_event(CONFIG_INFO, "test_lost", LOG_U("n", 1));
	(void)dup2(before, STDERR_FILENO);
	(void)close(before);
	(void)close(full);
	catch_begin();
	log_event(CONFIG_INFO, "test_kept");
	catch_end();
	CHECK(strstr(text, "test_kept") && !strstr(text, "test_lost"));
}

static const struct ktap_test tests[] = {
	KTAP_TEST(a_line_is_one_object),
	KTAP_TEST(a_line_may_have_no_fields),
	KTAP_TEST(less_important_levels_are_silent),
	KTAP_TEST(what_repeats_is_counted),
	KTAP_TEST(more_events_than_places_share_the_last),
	KTAP_TEST(a_line_says_how_many_were_left_out),
	KTAP_TEST(lines_of_threads_stay_whole),
	KTAP_TEST(a_log_that_takes_nothing_is_no_hindrance),
};

int main(void)
{
	return ktap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
