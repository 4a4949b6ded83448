/* SPDX-License-Identifier: MIT */
/*
 * How many full handshakes one identity may begin in a second, and have under
 * way. Embedded in what stands for the identity; all zero is a fresh one. Any
 * thread, lock-free: each call is a loop of compare-and-swap that ends unless
 * others succeed all the time.
 *
 * Within any second at most per_s + burst begin, burst being 1 + per_s / 10.
 */
#ifndef KTC_BUDGET_H
#define KTC_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

struct budget {
	uint64_t tat_us;	/* theoretical arrival time; never goes back */
	uint32_t active;	/* under way; counted with an at_once only */
};

/*
 * 0: one may begin, and budget_end() is said when it is over. -EAGAIN: not
 * before *again_us. A per_s or at_once of 0 is no limit; for one budget they
 * are always the same.
 */
int budget_begin(struct budget *b, uint32_t per_s, uint32_t at_once,
		 uint64_t now_us, uint64_t *again_us);
void budget_end(struct budget *b);

/*
 * One began that nobody asked for: others wait for it. However many there are,
 * they wait LIMIT_BUDGET_DEBT_MS at most.
 */
void budget_charge(struct budget *b, uint32_t per_s, uint64_t now_us);

/* As good as a fresh one: forgetting it allows nothing more. */
bool budget_is_idle(const struct budget *b, uint64_t now_us);

#endif /* KTC_BUDGET_H */
