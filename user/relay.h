/* SPDX-License-Identifier: MIT */
/*
 * ktc_relay(): a connection and a plain socket, bytes both ways. What conn.c,
 * close.c, send.c and the loop need to know of it; relay.c does it.
 *
 * Down is from the server to the plain socket (KTC_RX), up is from there to
 * the server (KTC_TX).
 */
#ifndef KTC_RELAY_H
#define KTC_RELAY_H

#include <sys/uio.h>

#include "event.h"
#include "limit.h"
#include "loop.h"

struct ktc_conn;
struct send_op;

/* What only a connection that is relayed needs. From loop->relay_pool. */
struct relay {
	struct event_node ev;		/* KTC_EV_RELAYED */
	struct event_node ev_stay;	/* KTC_EV_STAYED */
	struct ktc_conn *conn;
	struct event_queue down;	/* struct loop_data, not yet sent */
	struct msghdr msg;		/* of the send that is under way */
	struct iovec iov[LIMIT_RELAY_GATHER];
	uint64_t moved[2];		/* KTC_RX: down, KTC_TX: up */
	int fd;				/* the caller's */
	int fd_flags;			/* as they were, for fcntl() */
	int err;			/* with end */
	int stay_err;			/* of ev_stay */
	int module_fd;			/* the module's relay; or -1 */
	void *event;			/* where that is read to */
	uint64_t counted[2];		/* of its bytes, by KTCM_* */
	uint64_t quiet_until_us;	/* for the module, no longer */
	uint64_t again_us;		/* when to try the module again */
	uint32_t flags;			/* KTC_RELAY_* */
	uint16_t nr_down;		/* pieces in down */
	uint16_t nr_up;			/* pieces in the send queue */
	uint8_t end;			/* enum ktc_relay_end, once known */
	uint8_t moved_by;		/* enum ktc_lane */
	uint8_t why;			/* enum ktc_reason: not the module */
	bool recv_armed : 1;		/* of fd */
	bool recv_cancel : 1;		/* asked to stop */
	bool recv_full : 1;		/* not again before there is room */
	bool send_busy : 1;		/* of fd */
	bool send_cancel : 1;
	bool up_eof : 1;		/* fd's stream ended */
	bool down_shut : 1;		/* fd has been told so */
	bool stopping : 1;		/* ktc_conn_close() */
	bool gave_up : 1;		/* nothing is sent any more */
	bool quiet : 1;			/* the module wants the sockets */
	bool read_armed : 1;		/* of module_fd */
	bool read_cancel : 1;
	bool module_stop : 1;		/* its END is due */
	bool module_leave : 1;		/* and is not waited for any more */
	bool stay_queued : 1;		/* ev_stay, not told yet */
};

/* ktc_relay(), its arguments checked but for fd. */
int relay_start(struct ktc_conn *conn, int fd, uint32_t flags);

/* ktc_conn_detach(): may it be asked for now? 0 or the error */
int relay_may_leave(const struct ktc_conn *conn);
/* It was, and comes to nothing: STAYED is told, the relay goes on. */
void relay_stay(struct ktc_conn *conn, int err);

/* conn.c, the connection being open: go on; bytes; a completion; a deadline */
void relay_pump(struct ktc_conn *conn);
void relay_data(struct ktc_conn *conn, uint32_t bid, const uint8_t *data,
		size_t len);
void relay_completion(struct ktc_conn *conn, enum ring_op op, int res,
		      uint32_t flags);
void relay_deadline(struct ktc_conn *conn);

/*
 * close.c, the connection being in CONN_ENDING: it ends for conn->err; what is
 * held for fd goes on (false: ask again); all completions have come.
 */
void relay_conn_ended(struct ktc_conn *conn);
bool relay_flush(struct ktc_conn *conn);
void relay_over(struct ktc_conn *conn);
/* Whatever is held is dropped. */
void relay_give_up(struct ktc_conn *conn);

/* send.c: an operation of ours left the queue; it is freed here */
void relay_up_ended(struct ktc_conn *conn, struct send_op *op);

/* loop.c: the event, for which the relay was kept, is told; STAYED is */
void relay_fill(struct ktc_loop *loop, struct relay *relay,
		struct ktc_event *ev);
void relay_fill_stay(struct relay *relay, struct ktc_event *ev);

/* relay.c, for relay_module.c: nothing more is to be received for it */
bool relay_is_stopping(const struct ktc_conn *conn);
/* stop what is under way; the socket failed */
void relay_cancel(struct ktc_conn *conn, enum ring_op op);
void relay_plain_failed(struct ktc_conn *conn, int err);

/* ---------------------------------------------------------- relay_module.c */

size_t relay_event_size(void);
/* True: the sockets are the module's, or about to be; keep still. */
bool relay_module_pump(struct ktc_conn *conn);
void relay_module_read(struct ktc_conn *conn, int res);
/* The connection ends: the sockets come back, now or with a completion. */
void relay_module_end(struct ktc_conn *conn);
/* conn.c, at the idle deadline: bytes have passed all the same */
bool relay_module_active(struct ktc_conn *conn);
/* What has come out so far, by either lane: 0 or -errno. */
int relay_moved(const struct relay *relay, uint64_t moved[2]);

static inline bool relay_has_module(const struct relay *relay)
{
	return relay && relay->module_fd >= 0;
}

#endif /* KTC_RELAY_H */
