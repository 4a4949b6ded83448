/* SPDX-License-Identifier: MIT */
/*
 * The client's side of a test: a loop, its connections, and what their events
 * said. Received bytes are compared with the pattern as they come and given
 * back at once.
 *
 *	drive_init(&d, &client_opts, NULL);
 *	drive_connect(&d, &c, &opts);
 *	ASSERT_TRUE(DRIVE_UNTIL(&d, c.open));
 *	...
 *	drive_fini(&d);
 */
#ifndef SELFTESTS_DRIVE_H
#define SELFTESTS_DRIVE_H

#include <ktlsclient.h>

#include "pattern.h"
#include "peer.h"

#define DRIVE_STEP_MS 15000	/* the longest wait for one event */

/* One connection's story so far. */
struct drive_conn {
	struct ktc_conn *conn;
	bool open;
	bool eof;
	bool closed;		/* CLOSED or DETACHED; conn is gone */
	bool detached;
	bool relayed;		/* RELAYED; what it said: */
	unsigned int relays;	/* how often */
	int relay_err;
	enum ktc_relay_end relay_end;
	enum ktc_lane moved_by;
	uint64_t moved[2];
	unsigned int stays;	/* STAYED, and the last one's error */
	int stay_err;
	bool close_at_eof;	/* set by the test: answer EOF with close */
	bool raw;		/* set by the test: no pattern in the data */
	int err;		/* of CLOSED */
	int fd;			/* of DETACHED; and its state: */
	uint8_t state[KTC_STATE_LEN_MAX];
	size_t state_len;
	uint64_t received;
	bool mismatch;		/* a byte was not the pattern's */
	unsigned int sent;	/* SENT events */
	uint64_t sent_bytes;
	int sent_err;		/* the last one's */
	uint64_t sent_tag;
	unsigned int tickets;
	unsigned int rekeyed[2];
	unsigned int events;
	struct ktc_conn_info info;	/* at OPEN, and again at the end */
	struct ktc_conn_error error;	/* at the end */
};

struct drive {
	struct ktc_client *client;
	struct ktc_loop *loop;
};

int drive_init(struct drive *d, const struct ktc_client_opts *client,
	       const struct ktc_loop_opts *loop);
void drive_fini(struct drive *d);

/*
 * c is zeroed but for the fields the test sets; opts->size and ->user are
 * filled in.
 */
int drive_connect(struct drive *d, struct drive_conn *c,
		  struct ktc_conn_opts *opts);
/* To a peer on 127.0.0.1, as "localhost" */
int drive_connect_peer(struct drive *d, struct drive_conn *c,
		       const struct peer *peer, enum ktc_policy policy);

/*
 * Goes on with what c was: its descriptor and its state; the counts go on,
 * what ended is as before the end.
 */
int drive_adopt(struct drive *d, struct drive_conn *c, uint32_t flags);

/* Takes events and notes them. False when none came for DRIVE_STEP_MS. */
bool drive_step(struct drive *d);
/* The same for one event of a loop that the test runs itself. */
void drive_event(struct ktc_loop *loop, struct ktc_event *ev);

void drive_info(struct drive_conn *c);

#define DRIVE_UNTIL(d, condition) \
	({ \
		bool more_ = true; \
		while (!(condition) && more_) \
			more_ = drive_step(d); \
		(condition); \
	})

/*
 * The same for what no event tells; drive_step() would not return between. It
 * comes within DRIVE_STEP_MS.
 */
#define DRIVE_INSIDE(d, condition) \
	({ \
		uint64_t until_ = sys->now_us() + DRIVE_STEP_MS * 1000ull; \
		struct ktc_event ev_; \
		while (!(condition) && sys->now_us() < until_) \
			if (ktc_loop_events((d)->loop, &ev_, 1, 5) == 1) \
				drive_event((d)->loop, &ev_); \
		!!(condition); \
	})

#endif /* SELFTESTS_DRIVE_H */
