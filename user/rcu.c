// SPDX-License-Identifier: MIT
/*
 * Deferred freeing by liburcu. A child made by fork() without exec has none of
 * liburcu's threads: nothing that was deferred is freed there.
 */
#include "rcu.h"

char rcu_readers;

void rcu_defer(struct rcu_head *head, void (*fn)(struct rcu_head *head))
{
	rcu_publish(head);
	urcu_bp_call_rcu(head, fn);
}
