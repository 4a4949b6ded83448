/* SPDX-License-Identifier: MIT */
#ifndef SELFTESTS_FLUSH_H
#define SELFTESTS_FLUSH_H

/**
 * rcu_flush() - wait until all that this thread deferred has been freed
 *
 * For tests that count what is still allocated. Not in a read section.
 */
void rcu_flush(void);

#endif /* SELFTESTS_FLUSH_H */
