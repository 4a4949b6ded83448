/* SPDX-License-Identifier: MIT */
/*
 * Who has which ticket, kept beside the inventory and independent of it. Each
 * ticket has a line in a table that outlives it; every change of hands is an
 * exchange on that line, so that a ticket which two have, or which is freed
 * while somebody has it, or twice, is seen at once. Memory goes through it as
 * well: what is freed is counted, and overwritten first.
 *
 * The first thing that is wrong is kept as a sentence. Any thread, but for
 * ledger_open() and ledger_close(). Its own atomics are relaxed: they must not
 * order what the inventory should.
 */
#ifndef SELFTESTS_LEDGER_H
#define SELFTESTS_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

struct sys_ops;
struct ticket;

/* Whose a ticket is. */
enum ledger_state {
	LEDGER_MADE,		/* the test's, never given */
	LEDGER_IN,		/* the inventory's, for a single use */
	LEDGER_SHARED,		/* the inventory's, for any number */
	LEDGER_TAKEN,		/* of one who took it */
	LEDGER_OUT,		/* spent or exported: not to come back */
	LEDGER_FREED,
};

/* An empty table with room for so many tickets. 0 or -ENOMEM. */
int ledger_open(uint32_t tickets_max);
void ledger_close(void);

/* Memory of ops is counted from now on; ops->free looks for tickets. */
void ledger_watch(struct sys_ops *ops);
/* One allocation of n fails in this thread; 0: none. */
void ledger_starve(uint32_t n);

/*
 * A ticket in the state LEDGER_MADE, or NULL when the table is full. Never
 * starved.
 */
struct ticket *ledger_make(uint32_t owner, bool single_use,
			   uint64_t expires_s);
bool ledger_is_full(void);

/*
 * Before a call that gives it away, after one that brought it. False when it
 * was in another state than from.
 */
bool ledger_move(const struct ticket *ticket, enum ledger_state from,
		 enum ledger_state to);

/* What a take brought: is it ours to have, of owner, and fresh then? */
bool ledger_took(const struct ticket *ticket, uint32_t owner, uint64_t then_s);
/* What it was made for. */
uint32_t ledger_owner(const struct ticket *ticket);

/* Keeps the sentence if it is the first. False, always. */
bool ledger_complain(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));
/* NULL when nothing is. */
const char *ledger_wrong(void);

uint64_t ledger_made(void);
uint64_t ledger_freed(void);	/* tickets */
int64_t ledger_live(void);	/* allocations of any kind */

#endif /* SELFTESTS_LEDGER_H */
