/* SPDX-License-Identifier: MIT */
/*
 * The plain side of a relay: a socket pair, TCP over loopback or unix, one end
 * for the relay, the other for a thread that sends and receives the pattern
 * as it is told. Everything in it is bounded by PLAIN_WAIT_MS.
 *
 *	struct plain_opts opts = { .send = 100000, .shut = true };
 *
 *	ASSERT_EQ(0, plain_start(&opts, &plain));
 *	ASSERT_EQ(0, ktc_relay(conn, plain.fd, 0));
 *	...
 *	plain_stop(&plain);	// joins the thread; plain.got says what came
 */
#ifndef SELFTESTS_PLAIN_H
#define SELFTESTS_PLAIN_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAIN_WAIT_MS 30000	/* longer without a byte is the end */

struct plain_opts {
	bool unix_socket;
	uint64_t send;		/* bytes of the pattern */
	uint64_t send_from;	/* where in it they begin */
	size_t piece;		/* bytes at once, 0: as many as it takes */
	uint64_t send_after;	/* bytes received: then it begins to send */
	bool shut;		/* SHUT_WR when all is sent */
	bool hold;		/* receive nothing before plain_go() */
	size_t sip;		/* bytes received at once, 0: any number */
	uint64_t reset_at;	/* bytes received: then it resets; 0: never */
	int buffer;		/* SO_SNDBUF and SO_RCVBUF, both ends; 0 */
};

struct plain {
	int fd;			/* the relay's end */
	/* of the thread, to be read after plain_stop() */
	uint64_t sent;
	uint64_t got;
	bool mismatch;
	bool eof;
	int err;		/* positive errno, the first */

	struct plain_opts opts;
	pthread_t thread;
	int far;		/* the thread's end */
	int wake[2];
	bool started;
};

int plain_start(const struct plain_opts *opts, struct plain *plain);
void plain_go(struct plain *plain);	/* receive from now on */
/* The thread's end is closed at once, whatever it is doing. */
void plain_quit(struct plain *plain);
/*
 * Waits until the thread is done: all sent, the end or an error received. Both
 * ends are closed then.
 */
void plain_stop(struct plain *plain);

#endif /* SELFTESTS_PLAIN_H */
