/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that a command must refuse, by the errno they are refused with,
 * and memory that ends in the middle of a struct.
 */
#ifndef SELFTESTS_KODD_H
#define SELFTESTS_KODD_H

#include <stddef.h>

struct kodd {
	const char *name;
	int fd;
	int helper[2];		/* what keeps it so; -1: nothing */
};

/* Files that are no socket, and what is no descriptor at all. */
#define KODD_NR_NO_SOCKET	6
#define KODD_NR_NO_FD		4
/* Sockets that are neither TCP nor unix streams. */
#define KODD_NR_OTHER		5
/* TCP sockets without a connection, or with the end of one. */
#define KODD_NR_UNCONNECTED	6

/*
 * The descriptor is -1 where this kernel has no such thing: pass it over. Of
 * kodd_no_fd() there is nothing to free.
 */
void kodd_no_socket(struct kodd odd[KODD_NR_NO_SOCKET]);
void kodd_no_fd(struct kodd odd[KODD_NR_NO_FD]);
void kodd_other(struct kodd odd[KODD_NR_OTHER]);
void kodd_unconnected(struct kodd odd[KODD_NR_UNCONNECTED]);
void kodd_free(struct kodd *odd, unsigned int n);

/*
 * A struct of which only the first mapped bytes are there: behind them the
 * memory cannot be accessed. Less than a page; NULL without memory.
 */
void *kodd_cut(const void *object, size_t mapped);
/* The same, all of it there and read-only. */
void *kodd_read_only(const void *object, size_t len);
void kodd_uncut(void *p);

#endif /* SELFTESTS_KODD_H */
