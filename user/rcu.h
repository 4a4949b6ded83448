/* SPDX-License-Identifier: MIT */
/*
 * Read-copy-update, by liburcu's "bulletproof" flavour, which registers each
 * thread by itself: a library cannot ask its callers to. What is reached
 * inside a read section stays allocated until the section ends.
 *
 * ThreadSanitizer does not see into liburcu, so its two promises are told to
 * it here: what a reader did comes before a deferred free, and what was done
 * before a defer comes before the deferred function.
 */
#ifndef KTC_RCU_H
#define KTC_RCU_H

#include <urcu/urcu-bp.h>
/*
 * Its read lock and unlock are meant for code of any licence, as they say; a
 * call for each costs more than the operations that they protect.
 */
#ifndef RCU_BY_CALL	/* for tools that object to their insides */
#include <urcu/static/urcu-bp.h>

#define urcu_bp_read_lock _urcu_bp_read_lock
#define urcu_bp_read_unlock _urcu_bp_read_unlock
#endif

#if defined(__SANITIZE_THREAD__)
#define RCU_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RCU_TSAN 1
#endif
#endif

#ifdef RCU_TSAN
#include <sanitizer/tsan_interface.h>

/* Everything before publish() of p comes before what follows receive(). */
static inline void rcu_publish(void *p)
{
	__tsan_release(p);
}

static inline void rcu_receive(void *p)
{
	__tsan_acquire(p);
}
#else
static inline void rcu_publish(void *p)
{
	(void)p;
}

static inline void rcu_receive(void *p)
{
	(void)p;
}
#endif

extern char rcu_readers;	/* what the sections' ends are told by */

static inline void rcu_enter(void)
{
	urcu_bp_read_lock();
}

static inline void rcu_leave(void)
{
	rcu_publish(&rcu_readers);
	urcu_bp_read_unlock();
}

/*
 * Starts liburcu's thread, if it does not run yet. Ends the process when there
 * is no thread to be had, as liburcu does: better now than in the middle.
 */
void rcu_start(void);

/*
 * Calls fn when every read section that has begun is over. On a thread of
 * liburcu's; never waits.
 */
void rcu_defer(struct rcu_head *head, void (*fn)(struct rcu_head *head));

/* First of all in a deferred function. */
static inline void rcu_deferred(struct rcu_head *head)
{
	rcu_receive(head);
	rcu_receive(&rcu_readers);
}

#endif /* KTC_RCU_H */
