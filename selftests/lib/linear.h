/* SPDX-License-Identifier: MIT */
/*
 * Was what the threads saw possible? A history is what each call on an
 * inventory was asked and answered, and when it began and ended. It is
 * linearizable if the calls can be put in one order, each at a moment between
 * its two ends, in which an inventory that does one thing at a time would have
 * answered the same. linear_is_legal() tries all such orders.
 *
 * That inventory is, for each identity, a bag of single-use tickets and at
 * most one shared session. A take gives any ticket of the bag, the shared one
 * if the bag is empty, nothing if there is neither.
 */
#ifndef SELFTESTS_LINEAR_H
#define SELFTESTS_LINEAR_H

#include <stdbool.h>
#include <stdint.h>

#define LINEAR_OPS_MAX 32u
#define LINEAR_TICKETS_MAX 14u	/* single-use and shared, numbered from 0 */
#define LINEAR_IDENTITIES_MAX 2u
/* instead of a ticket's number */
#define LINEAR_ALIEN 14u	/* none that was ever put in */
#define LINEAR_MISS 15u		/* a take gave nothing */

enum linear_call {
	LINEAR_TAKE,	/* ticket: what it gave */
	LINEAR_PUT,	/* give, or put back */
	LINEAR_SHARE,	/* replaces what was shared */
};

struct linear_op {
	enum linear_call call;
	uint8_t identity;
	uint8_t ticket;
	/* Of one clock; no two numbers of a history are equal. */
	uint64_t begin, end;
};

struct linear_history {
	struct linear_op ops[LINEAR_OPS_MAX];	/* in any order */
	unsigned int count;
	/* Tickets and sessions may vanish by themselves at any moment. */
	bool may_evict;
};

/*
 * Explores orders depth first and remembers from where there is no way on, as
 * Wing and Gong (1993) and Lowe (2017) do. One thread at a time.
 */
bool linear_is_legal(const struct linear_history *history);

/* Two calls at least were under way at once. */
bool linear_is_concurrent(const struct linear_history *history);

/* To standard error. */
void linear_print(const struct linear_history *history);

#endif /* SELFTESTS_LINEAR_H */
