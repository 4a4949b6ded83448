// SPDX-License-Identifier: MIT
/*
 * Deferred freeing by liburcu. A child made by fork() without exec has none of
 * liburcu's threads: nothing that was deferred is freed there.
 */
#include "rcu.h"

#include <signal.h>

char rcu_readers;

/* It inherits a mask with all signals blocked: they are the program's. */
void rcu_start(void)
{
	sigset_t all, old;

	(void)sigfillset(&all);	/* fails for no set that is one */
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);	/* nor does this */
	(void)urcu_bp_get_default_call_rcu_data();
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void rcu_defer(struct rcu_head *head, void (*fn)(struct rcu_head *head))
{
	rcu_publish(head);
	urcu_bp_call_rcu(head, fn);
}
