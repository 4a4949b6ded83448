/* SPDX-License-Identifier: MIT */
/*
 * Names to addresses, off the loop's thread. A numeric address is answered at
 * once. A look-up that is abandoned goes on in its thread and is thrown away.
 */
#ifndef KTC_RESOLVE_H
#define KTC_RESOLVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "limit.h"

struct resolver;	/* one per loop; outlives the loop while look-ups run */

struct resolve_addr {
	struct sockaddr_storage addr;
	socklen_t len;
};

struct resolve_list {
	unsigned int count;
	/* for RFC 8305: families alternate, each in the system's order */
	struct resolve_addr at[LIMIT_ADDRESSES];
};

/* event_fd is written (eventfd) when a look-up has ended; borrowed by dup. */
int resolver_new(int event_fd, struct resolver **out);
/* Takes NULL; waits for nobody. */
void resolver_free(struct resolver *res);

/*
 * Starts a look-up; token comes back with its answer. 1: answered at once
 * into *now, as numbers are, and names that were asked for a moment ago; 0:
 * later, by resolver_next(); else -KTC_E_RESOLVE, -ENOMEM, -EAGAIN (no
 * thread).
 */
int resolver_start(struct resolver *res, const char *name, uint16_t port,
		   uint64_t token, struct resolve_list *now);

/* A kept answer was of no use: the next time it is asked for. NULL is fine. */
void resolver_forget(struct resolver *res, const char *name, uint16_t port);

/*
 * One ended look-up: true and *token, *err (0, -KTC_E_RESOLVE, -ENOMEM) and
 * *out. Loop's thread.
 */
bool resolver_next(struct resolver *res, uint64_t *token, int *err,
		   struct resolve_list *out);

#endif /* KTC_RESOLVE_H */
