/* SPDX-License-Identifier: MIT */
/*
 * A scripted TLS server in a thread of the test's own process. A test starts
 * one with options and a script, connects to it with the client it tests, and
 * asks afterwards what the server saw.
 *
 *	static const struct peer_step script[] = {
 *		{ .op = PEER_HANDSHAKE },
 *		{ .op = PEER_SEND, .a = 100000, .b = 1000 },
 *		{ .op = PEER_CLOSE_NOTIFY },
 *		{ .op = PEER_DISCARD },
 *		{ .op = PEER_END },
 *	};
 *	struct peer_opts opts = { .cert_dir = dir, .steps = script };
 *	struct peer *peer;
 *
 *	err = peer_start(&opts, &peer);
 *	... connect to 127.0.0.1, peer_port(peer) ...
 *	err = peer_wait_done(peer, 0, &res);
 *	ASSERT_STREQ("", res.error);
 *	peer_stop(peer);
 *
 * Nothing in it waits longer than opts.timeout_ms; peer_stop() ends it at
 * once, whatever it is doing. All bytes are deterministic (pattern.h).
 */
#ifndef SELFTESTS_PEER_H
#define SELFTESTS_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pattern.h"

/* Every limit of the peer. */
#define PEER_TIMEOUT_MS		10000	/* default for one step */
#define PEER_STEPS_MAX		256	/* steps of a script, all sections */
#define PEER_LIVE_MAX		256	/* connections served at once */
#define PEER_CONNS_MAX		65536	/* connections of one peer */
#define PEER_HELD_MAX		(16u << 20) /* bytes held back */
#define PEER_RECORD_MAX		16640	/* plaintext of a self-made record */
#define PEER_ERROR_MAX		256
#define PEER_NAME_MAX		256

struct peer;

/* What looks like the head of the longest record there is. */
extern const uint8_t peer_clear[5];

/**
 * enum peer_op - what a step does; @a and @b are its arguments
 *
 * Handshake:
 * @PEER_END: end of the script (a zeroed step)
 * @PEER_CLEAR: before PEER_HANDSHAKE: peer_clear, then @a bytes that are the
 *	pattern's first, in the clear
 * @PEER_HANDSHAKE: the TLS handshake, tickets of opts.tickets included
 * @PEER_HANDSHAKE_HALF_RTT: TLS 1.3: the same with @a bytes of the stream,
 *	in records of @b bytes (0: 16384), behind the server's Finished, in
 *	the same write, before the client's Finished is read
 * @PEER_HANDSHAKE_SPEAK_FIRST: the same with @a bytes in records of @b
 *	bytes, in the same write as the handshake's last flight (TLS 1.2: NST,
 *	CCS, Finished; TLS 1.3: the tickets)
 * @PEER_HOLD_LAST_FLIGHT: before PEER_HANDSHAKE: hold back what the handshake
 *	still has to send when it is complete, as PEER_HOLD would; for a
 *	record cut anywhere behind it, see PEER_RELEASE
 *
 * Data:
 * @PEER_SEND: @a bytes of the stream in records of @b bytes (0: 16384)
 * @PEER_RECV: receive @a bytes, check that they are the stream
 * @PEER_RECV_SLOW: PEER_RECV of @a bytes, but each peer_go() lets at most @b
 *	bytes of ciphertext be read from the socket; use opts.rcvbuf with it.
 *	A client's data may be read together with its Finished: let it wait
 *	for a PEER_SEND in between when it must not
 * @PEER_ECHO: send back what comes, until close_notify or FIN
 * @PEER_DISCARD: read and count until close_notify or FIN
 * @PEER_EMPTY_RECORDS: @a application data records without data
 * @PEER_PAD: TLS 1.3: pad records to multiples of @a bytes from now on; 0: do
 *	not
 *
 * Post-handshake messages:
 * @PEER_TICKETS: @a TLS 1.3 tickets; @b: lifetime to claim, in seconds, in
 *	place of opts.ticket_lifetime_s; 0: leave it
 * @PEER_TICKET_SPLIT: one ticket, its handshake message cut over @a (at least
 *	2) records; @b: bytes of the first record, 0: even parts
 * @PEER_TICKETS_DOUBLED: @a (0: 2) tickets in one record
 * @PEER_TICKET_AND_KEYUPDATE: a ticket and a KeyUpdate in one record; @b: 1
 *	asks for an answer
 * @PEER_KEY_UPDATE: @a (0: 1) KeyUpdates; @b: 1 asks for answers
 * @PEER_WAIT_KEY_UPDATE: read until the client has sent @a (0: 1) KeyUpdates
 *	in all; data that comes before is checked and counted like PEER_RECV
 * @PEER_HELLO_REQUEST: TLS 1.2: ask for renegotiation
 *
 * Endings:
 * @PEER_ALERT: alert of level @a and description @b, sealed when there are
 *	keys, plain before
 * @PEER_CLOSE_NOTIFY: close_notify; the script may go on reading
 * @PEER_FIN: half-close the socket, no close_notify
 * @PEER_FIN_MID_RECORD: a record of @a bytes of the stream (0: 1000) of which
 *	@b bytes of ciphertext, header included (0: half), are sent, then FIN
 * @PEER_RST: reset the connection
 *
 * Violations:
 * @PEER_GARBAGE: @a random-looking bytes, always the same, unsealed
 * @PEER_BAD_RECORD: a record of @a bytes (0: 100) of the stream whose tag is
 *	wrong in one bit
 * @PEER_HUGE_RECORD: a record with @a in its length field (0: one more than
 *	the version allows) and as many bytes
 * @PEER_RECORD: a well-sealed record of content type @a with @b bytes; more
 *	than 16384 make a plaintext that is too long
 * @PEER_SILENCE: say nothing until the client goes
 * @PEER_FLOOD: @a times what @b says, enum peer_flood
 *
 * Delivery:
 * @PEER_SPLIT_TCP: from now on write ciphertext in pieces of @a bytes; 0: in
 *	one
 * @PEER_HOLD: hold back outgoing ciphertext from now on
 * @PEER_RELEASE: send @a bytes of what is held; 0: all, and hold no more
 * @PEER_BARRIER: wait for a peer_go()
 * @PEER_NEXT_CONN: not a step: what follows is the script of the next
 *	connection; the last section serves all further ones
 *
 * After its last step a connection's result is taken; then it is half-closed
 * and drained until the client's FIN, so that the client never sees a reset
 * nobody asked for. To learn of the client's close_notify, end with
 * PEER_DISCARD.
 */
enum peer_op {
	PEER_END = 0,

	PEER_CLEAR,
	PEER_HANDSHAKE,
	PEER_HANDSHAKE_HALF_RTT,
	PEER_HANDSHAKE_SPEAK_FIRST,
	PEER_HOLD_LAST_FLIGHT,

	PEER_SEND,
	PEER_RECV,
	PEER_RECV_SLOW,
	PEER_ECHO,
	PEER_DISCARD,
	PEER_EMPTY_RECORDS,
	PEER_PAD,

	PEER_TICKETS,
	PEER_TICKET_SPLIT,
	PEER_TICKETS_DOUBLED,
	PEER_TICKET_AND_KEYUPDATE,
	PEER_KEY_UPDATE,
	PEER_WAIT_KEY_UPDATE,
	PEER_HELLO_REQUEST,

	PEER_ALERT,
	PEER_CLOSE_NOTIFY,
	PEER_FIN,
	PEER_FIN_MID_RECORD,
	PEER_RST,

	PEER_GARBAGE,
	PEER_BAD_RECORD,
	PEER_HUGE_RECORD,
	PEER_RECORD,
	PEER_SILENCE,
	PEER_FLOOD,

	PEER_SPLIT_TCP,
	PEER_HOLD,
	PEER_RELEASE,
	PEER_BARRIER,
	PEER_NEXT_CONN,

	PEER_NR_OPS
};

/**
 * enum peer_flood - which record PEER_FLOOD repeats
 * @PEER_FLOOD_EMPTY: application data without data
 * @PEER_FLOOD_WARNINGS: user_canceled, at level warning
 * @PEER_FLOOD_TICKETS: TLS 1.3 tickets, each a fresh one
 * @PEER_FLOOD_KEY_UPDATES: TLS 1.3 KeyUpdates that ask for no answer
 * @PEER_FLOOD_HELLO_REQUESTS: TLS 1.2 HelloRequests
 */
enum peer_flood {
	PEER_FLOOD_EMPTY,
	PEER_FLOOD_WARNINGS,
	PEER_FLOOD_TICKETS,
	PEER_FLOOD_KEY_UPDATES,
	PEER_FLOOD_HELLO_REQUESTS,
};

struct peer_step {
	enum peer_op op;
	uint64_t a;
	uint64_t b;
};

/**
 * enum peer_listen - where the peer listens
 * @PEER_LISTEN_IPV4: 127.0.0.1, a free port
 * @PEER_LISTEN_IPV6: ::1, a free port
 * @PEER_LISTEN_UNIX: opts.unix_path
 * @PEER_LISTEN_NONE: nowhere; connections come by peer_serve()
 */
enum peer_listen {
	PEER_LISTEN_IPV4,
	PEER_LISTEN_IPV6,
	PEER_LISTEN_UNIX,
	PEER_LISTEN_NONE,
};

/**
 * enum peer_suite - the one suite the peer agrees to
 * @PEER_SUITE_ANY: all three
 *
 * With TLS 1.2 they are ECDHE-ECDSA suites.
 */
enum peer_suite {
	PEER_SUITE_ANY,
	PEER_SUITE_AES128,
	PEER_SUITE_AES256,
	PEER_SUITE_CHACHA20,
};

/**
 * enum peer_cert - the certificate the peer shows, see certs.h
 */
enum peer_cert {
	PEER_CERT_GOOD,		/* localhost, origin.test, 127.0.0.1, ::1 */
	PEER_CERT_OTHER,	/* other.test only */
	PEER_CERT_EXPIRED,
	PEER_CERT_UNKNOWN_CA,
	PEER_CERT_REVOKED,
};

/* peer_opts.flags */
#define PEER_WANT_CLIENT_CERT	(1U << 0) /* ask, and refuse if none comes */
#define PEER_STATEFUL_TICKETS	(1U << 1) /* session ids, server-side cache */
#define PEER_ALPN_REQUIRED	(1U << 2) /* no_application_protocol alert */
#define PEER_SEQUENTIAL		(1U << 3) /* one connection after another */

/**
 * struct peer_opts - a peer; all zero but cert_dir and steps is a good one
 * @cert_dir: folder certs_make() has filled; borrowed during peer_start()
 * @steps: the script, ended by PEER_END; copied
 * @listen: where
 * @unix_path: for PEER_LISTEN_UNIX; removed by peer_stop()
 * @flags: PEER_*
 * @version_min: 0x0303 or 0x0304; 0: 0x0303
 * @version_max: 0: 0x0304
 * @suite: the AEAD
 * @groups: OpenSSL group list; NULL: the library's default
 * @cert: which certificate
 * @alpn: comma-separated protocols, best first; NULL: the extension is
 *	ignored
 * @tickets: TLS 1.3 tickets sent by the handshake itself; TLS 1.2 has one if
 *	not 0. PEER_NO_TICKETS: none. 0: 2
 * @ticket_lifetime_s: lifetime of sessions and tickets; 0: 7200
 * @ticket_seed: peers with the same seed, not 0, accept each other's
 *	(stateless) tickets; 0: random keys
 * @pad_block: as PEER_PAD, from the handshake on
 * @rcvbuf: SO_RCVBUF of the connections, bytes; 0: the system's
 * @sndbuf: SO_SNDBUF likewise
 * @max_conns: connections to accept, then the listening socket is closed; 0:
 *	PEER_CONNS_MAX
 * @timeout_ms: longest time for one step; 0: PEER_TIMEOUT_MS
 */
struct peer_opts {
	const char *cert_dir;
	const struct peer_step *steps;
	enum peer_listen listen;
	const char *unix_path;
	uint32_t flags;
	uint16_t version_min;
	uint16_t version_max;
	enum peer_suite suite;
	const char *groups;
	enum peer_cert cert;
	const char *alpn;
	unsigned int tickets;
	unsigned int ticket_lifetime_s;
	uint64_t ticket_seed;
	unsigned int pad_block;
	unsigned int rcvbuf;
	unsigned int sndbuf;
	unsigned int max_conns;
	unsigned int timeout_ms;
};

#define PEER_NO_TICKETS ((unsigned int)-1)

/**
 * struct peer_result - what one connection's script saw
 * @error: "" when every step succeeded, else a sentence naming the step
 * @steps_done: steps that succeeded
 * @handshake_done: the handshake completed on the server
 * @resumed: by resumption
 * @offered_psk: the ClientHello had a TLS 1.3 ticket
 * @version: 0x0303 or 0x0304
 * @cipher: IANA number of the suite
 * @server_name: SNI, "" if none
 * @alpn: protocol agreed, "" if none
 * @client_cert: common name of the client's certificate, "" if none
 * @bytes_sent: application bytes
 * @bytes_received: application bytes
 * @records_received: TLS records of any kind
 * @tickets: NewSessionTicket messages sent
 * @key_updates_sent: by the server
 * @key_updates_received: from the client
 * @alert_level: of the last alert received, close_notify excluded; 0: none
 * @alert: its description
 * @close_notify: the client's close_notify came
 * @fin: the client's FIN came
 * @reset: the connection broke (ECONNRESET, EPIPE)
 */
struct peer_result {
	char error[PEER_ERROR_MAX];
	unsigned int steps_done;
	bool handshake_done;
	bool resumed;
	bool offered_psk;
	uint16_t version;
	uint16_t cipher;
	char server_name[PEER_NAME_MAX];
	char alpn[PEER_NAME_MAX];
	char client_cert[PEER_NAME_MAX];
	uint64_t bytes_sent;
	uint64_t bytes_received;
	uint64_t records_received;
	unsigned int tickets;
	unsigned int key_updates_sent;
	unsigned int key_updates_received;
	int alert_level;
	int alert;
	bool close_notify;
	bool fin;
	bool reset;
};

/**
 * struct peer_totals - sums over a peer's connections
 * @accepted: connections taken
 * @done: of those, scripts ended
 * @failed: of those, with an error
 * @handshakes: completed
 * @resumed: of those, resumed
 * @tickets: NewSessionTicket messages sent
 * @psk_offered: ClientHellos with a TLS 1.3 ticket; one a connection
 * @psk_repeated: of those, with a ticket another connection of this peer had
 *	offered before: a client that uses tickets once keeps this 0
 */
struct peer_totals {
	unsigned int accepted;
	unsigned int done;
	unsigned int failed;
	unsigned int handshakes;
	unsigned int resumed;
	unsigned int tickets;
	unsigned int psk_offered;
	unsigned int psk_repeated;
};

/**
 * peer_start() - start a peer
 * @opts: options and script; copied
 * @out: receives the peer; written on success only
 *
 * It listens when this returns.
 *
 * Return: 0; -EINVAL for an impossible option; -errno of the socket calls;
 * -EIO when OpenSSL refused something (the reason is printed on stderr).
 */
int peer_start(const struct peer_opts *opts, struct peer **out);

/**
 * peer_stop() - end a peer and all its connections, free it
 * @peer: a peer, or NULL
 */
void peer_stop(struct peer *peer);

/**
 * peer_port() - the TCP port it listens on, host byte order; 0 if none
 * @peer: a peer
 */
uint16_t peer_port(const struct peer *peer);

/**
 * peer_serve() - run the script on a connected socket
 * @peer: a peer; any kind of listening
 * @fd: a stream socket; taken on success
 *
 * The connection counts like an accepted one.
 *
 * Return: 0 or -errno.
 */
int peer_serve(struct peer *peer, int fd);

/**
 * peer_go() - let a connection past a barrier
 * @peer: a peer
 *
 * One call lets one PEER_BARRIER, or one portion of PEER_RECV_SLOW, pass; if
 * none stands there, the next one does not stop.
 */
void peer_go(struct peer *peer);

/**
 * peer_wait_barrier() - wait until a connection stands at a barrier
 * @peer: a peer
 *
 * Return: 0, or -ETIMEDOUT after opts.timeout_ms.
 */
int peer_wait_barrier(struct peer *peer);

/**
 * peer_wait_done() - wait until a script has ended
 * @peer: a peer
 * @nr: number of the connection, in order of acceptance, from 0
 * @res: receives what it saw
 *
 * Return: 0, also when the script failed (see @res->error); -ETIMEDOUT when
 * it has not ended within opts.timeout_ms.
 */
int peer_wait_done(struct peer *peer, unsigned int nr,
		   struct peer_result *res);

/**
 * peer_totals() - read the sums
 * @peer: a peer
 * @out: receives them
 */
void peer_totals(struct peer *peer, struct peer_totals *out);

/**
 * peer_wait_totals() - wait until a number of scripts have ended
 * @peer: a peer
 * @done: how many
 * @out: receives the sums, also when the time is up
 *
 * Return: 0, or -ETIMEDOUT after opts.timeout_ms.
 */
int peer_wait_totals(struct peer *peer, unsigned int done,
		     struct peer_totals *out);

/**
 * peer_op_name() - an operation in lower-case words
 * @op: an operation
 */
const char *peer_op_name(enum peer_op op);

#endif /* SELFTESTS_PEER_H */
