// SPDX-License-Identifier: MIT
/*
 * The rate is kept by the generic cell rate algorithm (ITU-T I.371): a single
 * number, the theoretical arrival time (TAT), is when the next handshake would
 * begin if they came evenly. One may come earlier by the burst's tolerance; it
 * moves the TAT on by one interval. So nothing has to be refilled, and an idle
 * budget is one whose TAT has passed.
 *
 * All accesses are relaxed: a budget's two numbers each stand alone, and
 * nothing else is published by them. What bounds them is that every change is
 * a compare-and-swap, so that no two threads begin on the same grounds.
 */
#include "budget.h"

#include <errno.h>

#include "atomic.h"
#include "limit.h"
#include "util.h"

#define US_PER_S 1000000u
#define US_PER_MS 1000u

/* Rounded up: rather a little slower than faster. */
static uint64_t interval_us(uint32_t per_s)
{
	return (US_PER_S + (uint64_t)per_s - 1) / per_s;
}

/* How much earlier than its TAT one may come, for a burst of 1 + per_s / 10 */
static uint64_t tolerance_us(uint32_t per_s)
{
	return per_s / 10 * interval_us(per_s);
}

static bool enter(struct budget *b, uint32_t at_once)
{
	uint32_t active = load_relaxed(&b->active);

	do {
		if (active >= at_once)
			return false;
	} while (!cas_relaxed(&b->active, &active, active + 1));
	return true;
}

/* Clocks are read at different moments: now_us may be less than another's. */
static int arrive(struct budget *b, uint32_t per_s, uint64_t now_us,
		  uint64_t *again_us)
{
	uint64_t early = tolerance_us(per_s);
	uint64_t tat = load_relaxed(&b->tat_us);

	do {
		if (tat > now_us && tat - now_us > early) {
			*again_us = tat - early;
			return -EAGAIN;
		}
	} while (!cas_relaxed(&b->tat_us, &tat,
			      MAX(tat, now_us) + interval_us(per_s)));
	return 0;
}

/*
 * The place comes first: it can be given back as it was, the time cannot. In
 * between, another thread may find no place; it looks again soon.
 */
int budget_begin(struct budget *b, uint32_t per_s, uint32_t at_once,
		 uint64_t now_us, uint64_t *again_us)
{
	int err = 0;

	if (at_once && !enter(b, at_once)) {
		*again_us = now_us + LIMIT_BUDGET_POLL_MS * US_PER_MS;
		return -EAGAIN;
	}
	if (per_s)
		err = arrive(b, per_s, now_us, again_us);
	if (err && at_once)
		budget_end(b);
	return err;
}

/*
 * Not below 0: an identity that was forgotten and came back knows nothing of
 * those that had begun before.
 */
void budget_end(struct budget *b)
{
	uint32_t active = load_relaxed(&b->active);

	do {
		if (!active)
			return;
	} while (!cas_relaxed(&b->active, &active, active - 1));
}

void budget_charge(struct budget *b, uint32_t per_s, uint64_t now_us)
{
	uint64_t most = now_us + LIMIT_BUDGET_DEBT_MS * US_PER_MS;
	uint64_t tat, next;

	if (!per_s)
		return;
	most += tolerance_us(per_s);
	tat = load_relaxed(&b->tat_us);
	do {
		next = MIN(MAX(tat, now_us) + interval_us(per_s), most);
		if (next <= tat)
			return;
	} while (!cas_relaxed(&b->tat_us, &tat, next));
}

bool budget_is_idle(const struct budget *b, uint64_t now_us)
{
	return !load_relaxed(&b->active) && load_relaxed(&b->tat_us) <= now_us;
}
