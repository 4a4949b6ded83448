/* SPDX-License-Identifier: MIT */
/*
 * KTAP output for the tools' unit tests. The tools build without a kernel
 * tree, so their tests do not use the kernel's harness; this prints the same
 * format: a table of functions, one result line each, a diagnostic line for
 * every check that failed.
 */
#ifndef TOOLS_KTAP_H
#define TOOLS_KTAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ktap_test {
	const char *name;
	void (*run)(void);
};

#define KTAP_TEST(fn)   \
	{               \
#fn, fn \
	}

static bool ktap_failed;

#define CHECK(cond)                                                         \
	do {                                                                \
		if (!(cond)) {                                              \
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #cond); \
			ktap_failed = true;                                 \
		}                                                           \
	} while (0)

#define CHECK_STR(want, got)                                               \
	do {                                                               \
		const char *want_ = (want), *got_ = (got);                 \
									\
		if (strcmp(want_, got_)) {                                 \
			printf("# %s:%d: want <%s>, got <%s>\n", __FILE__, \
			       __LINE__, want_, got_);                     \
			ktap_failed = true;                                \
		}                                                          \
	} while (0)

/* A copy of its own size, so that a byte too many is a sanitizer's. */
static inline void *ktap_copy(const void *bytes, size_t len)
{
	void *copy = malloc(len ? len : 1);

	if (!copy)
		abort();
	return memcpy(copy, bytes, len);
}

/* returns the exit status */
static inline int ktap_run(const struct ktap_test *tests, size_t count)
{
	size_t i, bad = 0;

	printf("KTAP version 1\n1..%zu\n", count);
	for (i = 0; i < count; i++) {
		ktap_failed = false;
		tests[i].run();
		bad += ktap_failed;
		printf("%s %zu %s\n", ktap_failed ? "not ok" : "ok", i + 1,
		       tests[i].name);
		fflush(stdout);
	}
	return bad ? 1 : 0;
}

#endif /* TOOLS_KTAP_H */
