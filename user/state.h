/* SPDX-License-Identifier: MIT */
/*
 * What a process must know of a connection whose keys are in the kernel to go
 * on with it: written when it is detached, read when it is adopted. It holds
 * the traffic secrets of TLS 1.3.
 */
#ifndef KTC_STATE_H
#define KTC_STATE_H

#include <ktlsclient.h>

#include "digest.h"
#include "limit.h"
#include "suite.h"

#define STATE_MAGIC 0x7473746bu		/* the machine's order, as all below */
#define STATE_VERSION 1

/* state.flags */
#define STATE_VERIFIED	(1U << 0)
#define STATE_RESUMED	(1U << 1)
#define STATE_EOF	(1U << 2)	/* the server's close_notify came */
#define STATE_TX_OVER	(1U << 3)	/* ours was sent */
#define STATE_RX_ASKED	(1U << 4)	/* the peer is to change its keys */
#define STATE_FLAGS	((1U << 5) - 1)

#define STATE_HEAD 4			/* a handshake message's header */

/*
 * Sockets do not leave their machine, so this is memory as it lies there: the
 * same for every compiler, for nothing in it is padded.
 */
struct state {
	uint32_t magic;
	uint16_t version;		/* of this layout */
	uint16_t len;			/* bytes of it */
	uint16_t tls_version;
	uint16_t suite_id;		/* IANA */
	uint32_t flags;
	uint64_t records[2];		/* before these keys, modulo 2^64 */
	uint64_t seq[2];		/* the kernel's, when it was written */
	uint64_t bytes[2];
	uint32_t rekeys[2];
	uint32_t connect_us;
	uint32_t handshake_us;
	int32_t verify_result;
	uint32_t hs_len;		/* of a message that came in part */
	uint8_t hs_head[STATE_HEAD];	/* its first bytes */
	uint16_t tickets;
	uint8_t why_not_resumed;
	uint8_t alpn_len;
	uint8_t alpn[256];		/* a string */
	uint8_t secret[2][SUITE_SECRET_MAX]; /* TLS 1.3; else zeros */
	/* over all of it and the keys in the kernel */
	uint8_t sum[DIGEST_LEN];
};

_Static_assert(sizeof(struct state) == 480 &&
	       sizeof(struct state) <= KTC_STATE_LEN_MAX,
	       "its layout is what STATE_VERSION says");

/*
 * All with the keys that are in the kernel, KTC_RX and KTC_TX, which both
 * functions only read.
 */

/* Ends the writing: magic, version, length and sum. 0 or -KTC_E_OPENSSL. */
int state_seal(struct state *state, const union suite_crypto_info info[2]);

/*
 * The first look at bytes that anybody may have made: their form, and values
 * that there can be. 0, or -KTC_E_ADOPT; out is written on success only.
 */
int state_read(const void *bytes, size_t len, struct state *out);

/* Of a state that was read; never NULL. */
const struct suite *state_suite(const struct state *state);

/*
 * The second look, with the socket's keys: it is this connection's, nothing in
 * it was changed, and its secrets are those the keys come from. 0,
 * -KTC_E_ADOPT or -KTC_E_OPENSSL.
 */
int state_match(const struct state *state,
		const union suite_crypto_info info[2]);

#endif /* KTC_STATE_H */
