/* SPDX-License-Identifier: MIT */
/*
 * The only spelling of memory orders. Objects are of plain types, so that a
 * structure does not depend on who reads it; what is shared between threads
 * is touched through these and nothing else. Each use but the relaxed ones
 * says at its place which access it pairs with.
 */
#ifndef KTC_ATOMIC_H
#define KTC_ATOMIC_H

#define load_relaxed(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define load_seq_cst(p) __atomic_load_n(p, __ATOMIC_SEQ_CST)

#define store_relaxed(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)
#define store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)

/* The value before. */
#define add_relaxed(p, v) __atomic_fetch_add(p, v, __ATOMIC_RELAXED)
#define sub_relaxed(p, v) __atomic_fetch_sub(p, v, __ATOMIC_RELAXED)
#define sub_acq_rel(p, v) __atomic_fetch_sub(p, v, __ATOMIC_ACQ_REL)
#define swap_acquire(p, v) __atomic_exchange_n(p, v, __ATOMIC_ACQUIRE)
#define swap_seq_cst(p, v) __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST)

/*
 * True if *p was *expected and is v now; else *expected is what was found,
 * read with the order named second.
 */
#define cas_relaxed(p, expected, v) \
	__atomic_compare_exchange_n(p, expected, v, false, \
				    __ATOMIC_RELAXED, __ATOMIC_RELAXED)
#define cas_acq_rel(p, expected, v) \
	__atomic_compare_exchange_n(p, expected, v, false, \
				    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
#define cas_seq_cst(p, expected, v) \
	__atomic_compare_exchange_n(p, expected, v, false, \
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

#endif /* KTC_ATOMIC_H */
