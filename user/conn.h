/* SPDX-License-Identifier: MIT */
/*
 * A connection, as the files that carry it through its life see it. conn.c
 * owns the state machine; dial.c makes the TCP connection, move.c brings it to
 * the kernel plane, the planes move its records.
 *
 * An idle offloaded connection is this struct and nothing else of ours: what
 * only the way there needs is in struct setup and goes with it.
 */
#ifndef KTC_CONN_H
#define KTC_CONN_H

#include "client.h"
#include "event.h"
#include "handover.h"
#include "loop.h"
#include "ossl.h"
#include "origin.h"
#include "plane.h"
#include "record.h"
#include "resolve.h"
#include "util.h"

struct relay;
struct state;
struct ticket;

enum conn_state {
	CONN_NEW,
	CONN_WAITING,		/* the budget lets no full handshake begin */
	CONN_RESOLVING,
	CONN_CONNECTING,
	CONN_HANDSHAKING,
	CONN_HANDING_OVER,
	CONN_OPEN,
	CONN_CLOSING,		/* sending the rest, close_notify, the drain */
	CONN_ENDING,		/* all is cancelled; completions are awaited */
	CONN_CLOSED,		/* the last event is queued */
	CONN_NR_STATES
};

/* One send of the caller's, in order. From loop->send_pool. */
struct send_op {
	struct event_node ev;	/* KTC_EV_SENT */
	struct send_op *next;
	struct ktc_conn *conn;
	const uint8_t *buf;	/* the caller's; NULL: from a file */
	uint64_t len;
	uint64_t sealed;	/* user plane: bytes that went into records */
	uint64_t sent;		/* bytes the kernel has taken */
	uint64_t file_off;
	uint64_t tag;
	struct loop_data *piece;	/* a relay's: buf is in it; no SENT */
	int fd;
	int err;
};

/* A control record on its way, kernel plane. From loop->control_pool. */
struct control {
	struct msghdr msg;
	struct iovec iov;
	union {
		char buf[CMSG_SPACE(1)];
		struct cmsghdr align;
	} cmsg;
	uint8_t data[8];
};

/* A file on its way. Both planes. */
struct file_pump {
	int pipe[2];		/* kernel plane: -1 if not made */
	uint32_t in_pipe;
	uint8_t *buf;		/* user plane: LIMIT_FILE_CHUNK bytes */
};

struct attempt {
	int fd;
	bool active;
	bool fast_open;		/* its SYN may have to wait for bytes */
};

/* What a connection needs until its SSL goes. From loop->setup_pool. */
struct setup {
	struct origin origin;
	uint64_t begun_us;
	uint64_t token;			/* of the name look-up */
	struct ossl *ossl;
	struct ticket *offered;		/* reserved: put back or spent */
	enum ktc_reason why_no_ticket;
	bool full_begun;		/* its end is to be told the budget */
	bool hello_sent;		/* some of it at least */
	uint16_t preamble_len;
	uint8_t *preamble;		/* until the handshake begins */
	bool fast_open;			/* TCP begins with it; not seen yet */
	uint64_t look_at_us;		/* WAITING: when to look again */
	struct resolve_list *addrs;	/* until no attempt is under way */
	struct attempt attempts[LIMIT_ADDRESSES];
	uint8_t next_attempt;
	uint8_t active_attempts;
	uint64_t attempt_at_us;		/* when the next may begin */
	int connect_err;		/* of the last attempt that failed */
	struct event_queue held;	/* DATA that came before OPEN */
	const uint8_t *out;		/* user plane: bytes in flight */
	size_t out_len;
	size_t out_sent;
	uint64_t tickets_until_us;	/* kernel plane: SSL goes then */
	uint64_t weigh_from;		/* 1 + carried at an aborted move */
	/* while the kernel is at it: secrets */
	struct handover handover;
	struct ktcm_attach attach;
};

/* How far the way to the kernel plane has come. */
enum move_phase {
	MOVE_NONE,
	MOVE_QUIET,		/* sends end, receiving stops at a boundary */
	MOVE_KEYS,		/* the kernel is at it */
};

/* Events of which several may become one node. */
#define NOTE_TICKET BIT(0)
#define NOTE_REKEYED_RX BIT(1)
#define NOTE_REKEYED_TX BIT(2)

struct ktc_conn {
	struct event_node ev_open;
	struct event_node ev_eof;
	struct event_node ev_last;	/* CLOSED or DETACHED */
	struct event_node ev_notes;	/* TICKET, REKEYED: one at a time */
	struct ktc_loop *loop;
	struct ktc_client *client;
	void *user;
	struct setup *setup;		/* NULL: SSL is gone */
	const struct plane_ops *plane;
	const struct suite *suite;
	struct send_op *send_head;
	struct send_op **send_tail;
	union {
		struct control *control;
		struct state *state_out; /* if detached; of state_pool */
	};
	struct file_pump *file;
	struct relay *relay;		/* from ktc_relay() to RELAYED */
	struct record_hs hs;
	struct ktc_conn *next_again;
	struct ktc_conn *next_starved;
	struct timer timer;
	uint64_t deadline_us;		/* of the state */
	uint64_t active_us;		/* last byte either way */
	uint64_t drain_at_us;		/* CLOSING: look at the queue again */
	uint64_t queued;		/* bytes in the send queue */
	/*
	 * While a direction is on the kernel plane, what the kernel counts
	 * under the present key is to be added (modulo 2^64).
	 */
	uint64_t records[2];
	uint64_t bytes[2];
	uint64_t key_records[2];	/* under this key; TX: upper bound */
	uint8_t secret[2][SUITE_SECRET_MAX]; /* TLS 1.3, for KeyUpdate */
	struct record_rate rate;
	char *alpn;
	const char *cipher;		/* OpenSSL's, static */
	const char *error_text;		/* static */
	int32_t verify_result;		/* X509_V_* */
	int err;			/* the first one; sticks */
	int os_errno;
	int offload_errno;
	int fd;
	uint32_t slot;
	uint32_t inflight;
	uint32_t connect_us;
	uint32_t handshake_us;
	uint32_t rekeys[2];
	uint16_t version;
	uint16_t tickets;
	uint16_t until_count;		/* receives until RX is counted */
	int16_t alert;
	uint8_t state;
	uint8_t error_state;
	uint8_t policy;
	uint8_t move;
	uint8_t move_left;		/* completions due of MOVE_KEYS */
	uint8_t move_why;		/* of its first failure */
	uint8_t kernel[2];		/* direction is on the kernel plane */
	uint8_t why[2];			/* enum ktc_reason: not kernel */
	uint8_t why_not_resumed;
	uint8_t why_not_module;		/* once a relay is over */
	uint8_t key_update;		/* to send: 1, or 2 asking for one */
	uint8_t notes;			/* NOTE_*, told by ev_notes */
	uint8_t drain_zeros;
	bool alert_sent : 1;
	bool resumed : 1;
	bool verified : 1;
	bool foreign_fd : 1;		/* the caller's socket */
	bool unix_socket : 1;
	bool ulp_set : 1;
	bool ulp_pending : 1;
	bool recv_armed : 1;
	bool recv_cancel : 1;		/* asked to stop */
	bool recv_exact : 1;		/* for the rest of a record */
	bool rx_update_asked : 1;	/* of the peer, for the RX limit */
	bool rx_rekeyed : 1;		/* EKEYEXPIRED may still come for it */
	bool move_fatal : 1;
	bool recv_paused : 1;
	bool on_again : 1;
	bool on_starved : 1;
	bool eof : 1;			/* close_notify came */
	bool fin : 1;			/* the stream ended */
	bool send_busy : 1;
	bool key_update_sent : 1;		/* TX keys are to be changed */
	bool closing_asked : 1;
	bool close_notify_sent : 1;
	bool shut : 1;			/* SHUT_WR done */
	bool relayed : 1;		/* ktc_relay() has begun */
	bool tx_over : 1;		/* then close_notify */
	bool detach : 1;			/* asked for */
	bool detached : 1;
	bool no_tickets : 1;
	bool no_resume : 1;
	bool opened : 1;		/* OPEN is queued or delivered */
	bool counted : 1;		/* records is whole, for good */
	bool cancelled : 1;		/* ENDING: the cancel is submitted */
	bool free_setup : 1;		/* when it is safe */
};

/* Bytes, both directions together. */
static inline uint64_t conn_carried(const struct ktc_conn *conn)
{
	return conn->bytes[KTC_RX] + conn->bytes[KTC_TX];
}

/* --------------------------------------------- conn.c, for those it calls */

const char *conn_state_name(unsigned int state);
bool conn_state_allowed(unsigned int from, unsigned int to);
void conn_set_state(struct ktc_conn *conn, enum conn_state state);

/* The state ends that many ms from now; 0: never. */
void conn_set_deadline(struct ktc_conn *conn, uint64_t ms);
/* The kernel's records under the present key join the others. */
void conn_count_records(struct ktc_conn *conn, int dir);
/* KeyUpdate is possible on the connection's plane. */
bool conn_can_rekey(const struct ktc_conn *conn);

/* Arms what should be armed. Harmless at any time. */
void conn_pump(struct ktc_conn *conn);
void conn_completion(struct ktc_conn *conn, const struct ring_tag *tag,
		     int res, uint32_t flags);
void conn_timer(struct ktc_conn *conn);

/* planes: bytes for the caller, in buffer bid, which the event holds */
void conn_data(struct ktc_conn *conn, uint32_t bid, const uint8_t *data,
	       size_t len);
/* planes: the peer's close_notify; the end of the stream */
void conn_close_notify(struct ktc_conn *conn);
void conn_fin(struct ktc_conn *conn);
/* planes: n bytes of the head of the queue were taken */
void conn_sent(struct ktc_conn *conn, uint64_t n);
void conn_head_failed(struct ktc_conn *conn, int err);
void conn_note(struct ktc_conn *conn, enum ktc_event_type type, int dir);
/* planes: may the plane begin to send now? close_notify, when all is sent? */
bool conn_may_send(const struct ktc_conn *conn);
bool conn_says_goodbye(const struct ktc_conn *conn);
/* what ossl calls up */
extern const struct ossl_hooks conn_ossl_hooks;

/*
 * Operations of a connection: counted, so that it outlives the last one. After
 * ring_room(); ring_tag() it when it is filled in.
 */
struct io_uring_sqe *conn_sqe(struct ktc_conn *conn);
void conn_cancel_recv(struct ktc_conn *conn);

/* ----------------------------------------------------------------- open.c */

int conn_new(struct ktc_loop *loop, struct ktc_client *client,
	     const struct ktc_conn_opts *opts, struct ktc_conn **out);
/* The caller's descriptor: a connected stream socket, and its peer. */
int fd_check(int fd, struct sockaddr_storage *peer, socklen_t *peer_len);
int fd_make_blocking(int fd);
void conn_resolved(struct ktc_conn *conn, int err,
		   const struct resolve_list *addrs);
/* conn.c: in CONN_WAITING, at the time or before it */
void conn_look_again(struct ktc_conn *conn);
/* dial.c: the TCP connection is there, or with fast open may be soon */
void conn_connected(struct ktc_conn *conn, int fd, bool fast_open);
/* plane_user.c, conn.c: it is there, after a fast open */
void conn_reached(struct ktc_conn *conn);
/* plane_user.c: the handshake is done */
void conn_handshaken(struct ktc_conn *conn);
/* move.c: on the kernel plane, or staying where it was */
void conn_moved(struct ktc_conn *conn);
/* Data may flow: OPEN, the first time. */
void conn_open(struct ktc_conn *conn);
/* The ClientHello is out: whatever comes, its ticket is used up. */
void conn_spend_ticket(struct ktc_conn *conn);
/*
 * What was taken for a handshake that is over, or will not be: the ticket, if
 * the ClientHello did not go out, and the budget's leave. Once each.
 */
void conn_give_back(struct ktc_conn *conn);
/* Its full handshake, if it has leave for one, is over. */
void conn_leave_budget(struct ktc_conn *conn);

/* ---------------------------------------------------------------- adopt.c */

/*
 * The state of a connection on the kernel plane, into conn->state_out. Nothing
 * may be under way, and the connection must end without another record.
 */
int conn_state_take(struct ktc_conn *conn);
/* ktc_conn_adopt(), its options checked. */
int conn_adopt(struct ktc_loop *loop, struct ktc_client *client, int fd,
	       const void *bytes, size_t len, const struct ktc_conn_opts *opts,
	       struct ktc_conn **out);

/* ---------------------------------------------------------------- close.c */

/* The first error sticks; the connection ends. os_errno positive or 0. */
void conn_fail(struct ktc_conn *conn, int err, int os_errno);
/* The same, with what OpenSSL says of it. */
void conn_fail_ossl(struct ktc_conn *conn, int err);
/* The end in order: begin it; go on with it (CONN_CLOSING). */
void close_begin(struct ktc_conn *conn);
void close_pump(struct ktc_conn *conn);
/* Without a word to anyone; go on with it (CONN_ENDING). */
void conn_end(struct ktc_conn *conn);
void end_pump(struct ktc_conn *conn);
/* The user plane has bytes that are not on their way yet. */
bool conn_unsent(const struct ktc_conn *conn);
/* The SSL has no more to give. */
void conn_drop_setup(struct ktc_conn *conn);
/* Everything a connection holds; its completions have all come. */
void conn_free(struct ktc_conn *conn);

/* ----------------------------------------------------------------- dial.c */

bool dial_pump(struct ktc_conn *conn);
void dial_done(struct ktc_conn *conn, unsigned int attempt, int res);
bool dial_cancel(struct ktc_conn *conn);	/* false: no room for all */
uint64_t dial_next_us(const struct ktc_conn *conn);
/* Its SYN was not answered yet, or not even sent. */
bool dial_is_unanswered(int fd);

/* ----------------------------------------------------------------- move.c */

/* KTC_WHY_NOTHING: it may move; else why it cannot. */
enum ktc_reason move_possible(const struct ktc_conn *conn);
/* Begin the move; nothing happens if it is not possible (why says so). */
void move_start(struct ktc_conn *conn);
bool move_pump(struct ktc_conn *conn);
void move_done(struct ktc_conn *conn, unsigned int step, int res);
void move_abandon(struct ktc_conn *conn, enum ktc_reason why);
/* always: the ULP as soon as the socket is ESTABLISHED */
void move_early_ulp(struct ktc_conn *conn);

/* ----------------------------------------------------------------- send.c */

/* -EAGAIN: the queue is full; -ENOMEM */
int send_queue(struct ktc_conn *conn, const struct send_op *model);
/* The same, however full it is. */
int send_add(struct ktc_conn *conn, const struct send_op *model);
void send_drop_all(struct ktc_conn *conn, int err);

#endif /* KTC_CONN_H */
