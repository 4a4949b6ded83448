/* SPDX-License-Identifier: MIT */
/*
 * The system, failing on demand: a struct sys_ops over sys_real that fails the
 * Nth call, once or from then on for ever, and counts what the library has
 * taken and not given back.
 *
 *	fault_install();
 *	for (n = 1;; n++) {
 *		fault_arm(n, 0, FAULT_ONCE);
 *		... run the scenario, free everything ...
 *		EXPECT_TRUE(fault_wait_threads());
 *		EXPECT_STREQ("", fault_leaks());
 *		if (!fault_disarm())
 *			break;		// ran clean: each call has failed
 *	}
 *
 * One table for the whole process; calls may come from any thread. The system
 * behind it is real: what is not failed happens.
 */
#ifndef SELFTESTS_FAULT_H
#define SELFTESTS_FAULT_H

#include <stdbool.h>

/**
 * enum fault_call - what can fail; the entries of struct sys_ops, completions
 *	by the operation they end
 *
 * close() has closed the descriptor when it fails, as it is in Linux. A
 * completion of a connect, receive, send, socket option, poll, read or splice
 * can be turned into an error; what the kernel did is done all the same.
 * Memory, a clock or a name list can be given back without failing, and
 * timers, wakes and cancels end as the kernel says.
 */
enum fault_call {
	FAULT_NONE,
	FAULT_ALLOC,
	FAULT_MAP,
	FAULT_SOCKET,
	FAULT_CONNECT,
	FAULT_SETSOCKOPT,
	FAULT_GETSOCKOPT,
	FAULT_SHUTDOWN,
	FAULT_SENDMSG,
	FAULT_SEND,
	FAULT_OUTQ,
	FAULT_PIPE,
	FAULT_CLOSE,
	FAULT_OPEN,
	FAULT_IOCTL,
	FAULT_EVENTFD,
	FAULT_RING_INIT,
	FAULT_LOOKUP,
	FAULT_THREAD,
	FAULT_CQE_CONNECT,
	FAULT_CQE_SOCKOPT,
	FAULT_CQE_RECV,
	FAULT_CQE_SEND,
	FAULT_CQE_POLL,
	FAULT_CQE_READ,
	FAULT_CQE_SPLICE,
	FAULT_NR_CALLS
};

enum fault_mode {
	FAULT_ONCE,
	FAULT_FOR_EVER,
};

/* Puts the table in place; no call fails yet. Before the library is used. */
void fault_install(void);

/**
 * fault_arm() - have a call fail
 * @nth: which, counted from now, from 1
 * @err: positive errno; 0: what this call fails with in practice, as memory
 *	and look-ups always do
 * @mode: this one, or all from this one on
 */
void fault_arm(unsigned int nth, int err, enum fault_mode mode);

/* No call fails any more. Returns how many have since fault_arm(). */
unsigned int fault_disarm(void);

/*
 * Since fault_arm(): how many calls failed, the first of them, and whether
 * any of a kind did.
 */
unsigned int fault_fired(void);
enum fault_call fault_first(void);
bool fault_hit(enum fault_call call);

/* What such a call gives when it fails: -errno; a look-up: EAI_*. */
int fault_result(enum fault_call call);

const char *fault_name(enum fault_call call);

/*
 * What the library has taken and not given back since fault_install(), in
 * words; "" if nothing. Descriptors closed that were not open, and memory
 * unmapped in another size than mapped, stand there too. Valid until the next
 * call.
 */
const char *fault_leaks(void);

/*
 * Waits until no thread that the library started is left. False: after 10 s
 * there still is.
 */
bool fault_wait_threads(void);

/* The caller has taken a descriptor over: it is no leak. */
void fault_disown_fd(int fd);

#endif /* SELFTESTS_FAULT_H */
