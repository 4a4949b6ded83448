/* SPDX-License-Identifier: MIT */
/* Small macros that every file may use. */
#ifndef KTC_UTIL_H
#define KTC_UTIL_H

#include <stddef.h>

#define BIT(n) (1U << (n))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#endif /* KTC_UTIL_H */
