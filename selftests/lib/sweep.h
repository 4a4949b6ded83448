/* SPDX-License-Identifier: MIT */
/*
 * One scenario against a peer, run once for each call that can fail in it
 * (fault.h), with that call failing once and then with all calls from there on
 * failing. After every run the connection has ended with an error that the
 * failed call explains, or has worked; nothing is left behind.
 *
 *	static bool scenario(struct sweep *s)
 *	{
 *		sweep_arm(s);
 *		return sweep_setup(s) && sweep_connect(s) &&
 *		       sweep_until_open(s) && sweep_close(s);
 *	}
 *
 *	ASSERT_EQ(0, sweep_init(&s, KTC_TLS1_3, KTC_POLICY_NEVER));
 *	s.peer_opts.steps = script;
 *	SWEEP(&s, scenario);
 *	sweep_fini(&s);
 */
#ifndef SELFTESTS_SWEEP_H
#define SELFTESTS_SWEEP_H

#include "certs.h"
#include "drive.h"
#include "fault.h"
#include "peer.h"

#define SWEEP_WAIT_MS 5000	/* longer without an event is a hang */
#define SWEEP_DEADLINE_MS 2000	/* the client's deadlines, all of them */
#define SWEEP_CALLS_MAX 2000	/* a scenario has fewer */
/*
 * So many runs in a row without a failure end a sweep: how many calls there
 * are varies a little with timing.
 */
#define SWEEP_CLEAN 3
#define SWEEP_BYTES 200000	/* pattern at hand */

struct sweep {
	/* for the test to change before sweep_all() */
	struct peer_opts peer_opts;
	struct ktc_client_opts client_opts;
	struct ktc_loop_opts loop_opts;
	struct ktc_conn_opts conn_opts;
	unsigned int calls_min;	/* fewer would mean that nothing was swept */

	/* of the run that is on */
	struct peer *peer;
	struct drive d;
	struct drive_conn c;
	unsigned int conns;	/* begun against this peer */
	unsigned int sends;	/* accepted */
	int err;		/* the first that a call returned */

	/* for the whole sweep */
	char dir[CERTS_DIR_MAX];
	char ca_file[CERTS_DIR_MAX + 16];
	uint8_t *pattern;
	unsigned int nth;
	enum fault_mode mode;
	char wrong[512];	/* the first thing that was */
};

/* True when all was done and as it should be; false ends the run early. */
typedef bool (*sweep_fn)(struct sweep *s);

/*
 * Certificates, a peer and a client for one TLS version, fault_install().
 * 0 or -errno.
 */
int sweep_init(struct sweep *s, uint16_t version, enum ktc_policy policy);
void sweep_fini(struct sweep *s);

/* NULL, or what is wrong, with the call that had failed. */
const char *sweep_all(struct sweep *s, sweep_fn fn);

/* The same as the body of a TEST. */
#define SWEEP(s, fn) \
	do { \
		const char *wrong_ = sweep_all(s, fn); \
		ASSERT_EQ(NULL, wrong_) TH_LOG("%s", wrong_); \
	} while (0)

/* What the kernel can do: for SKIP. Before sweep_init(). */
bool sweep_has_ktls(void);
bool sweep_has_chain(void);
/*
 * From here on the library finds that the ring cannot set socket options.
 * Before the library is used. 0 or -errno.
 */
int sweep_without_chain(void);

/* For scenarios. Each is false when the run cannot go on. */
void sweep_arm(struct sweep *s);		/* calls count from here */
bool sweep_setup(struct sweep *s);		/* client and loop */
bool sweep_connect(struct sweep *s);		/* conn_opts, or to the peer */
/* What a call returned; KTC_E_STATE: CLOSED is on its way and is awaited. */
bool sweep_call(struct sweep *s, int err);
bool sweep_step(struct sweep *s);
bool sweep_until_open(struct sweep *s);
bool sweep_open(struct sweep *s);		/* all of it, then arm */
bool sweep_send(struct sweep *s, size_t off, size_t len);
bool sweep_close(struct sweep *s);		/* and wait for the end */
bool sweep_wrong(struct sweep *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));	/* false, always */

/* False when the connection has ended, too. */
#define SWEEP_UNTIL(s, condition) \
	({ \
		bool more_ = true; \
		while (!(condition) && !(s)->c.closed && more_) \
			more_ = sweep_step(s); \
		(condition) && !(s)->c.closed; \
	})

#endif /* SELFTESTS_SWEEP_H */
