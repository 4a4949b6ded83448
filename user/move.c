// SPDX-License-Identifier: MIT
/*
 * The move from the user plane to the kernel plane, at once after the
 * handshake or in mid-life. First it grows quiet: what OpenSSL wrote is sent
 * and completed (or the kernel would seal it again), receiving stops at a
 * record boundary (or the kernel would miss a half). Then the keys go in, by
 * one linked chain where the ring can set socket options, else by the kernel
 * module's ATTACH where that is loaded, else by calls. Any refusal but that of
 * TLS_RX leaves the connection on the user plane, with the reason.
 */
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <string.h>

#include "conn.h"
#include "handover.h"
#include "mem.h"
#include "probe.h"
#include "sockopt_sqe.h"
#include "sys.h"
#include "util.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

static void move_end(struct ktc_conn *conn, enum ktc_reason why)
{
	conn->move = MOVE_NONE;
	conn->why[KTC_RX] = conn->why[KTC_TX] = why;
	conn_moved(conn);
}

enum ktc_reason move_possible(const struct ktc_conn *conn)
{
	const struct ktc_caps *caps;

	if (conn->policy == KTC_POLICY_NEVER)
		return KTC_WHY_POLICY;
	if (conn->unix_socket)
		return KTC_WHY_NOT_TCP;
	if (probe_caps(&caps) || !caps->ktls)
		return KTC_WHY_NO_KTLS;
	if (!conn->suite || !(caps->suites & BIT(conn->suite->caps_bit)))
		return KTC_WHY_NO_SUITE;
	/* what the early ULP was told, it would be told again */
	if (conn->why[KTC_TX] != KTC_WHY_NOT_YET)
		return conn->why[KTC_TX];
	return KTC_WHY_NOTHING;
}

void move_start(struct ktc_conn *conn)
{
	const struct config *config = &conn->client->config;
	enum ktc_reason why = move_possible(conn);

	if (why != KTC_WHY_NOTHING) {
		move_end(conn, why);
		return;
	}
	conn->move = MOVE_QUIET;
	conn_set_state(conn, CONN_HANDING_OVER);
	/* a peer that stops in mid-record holds us no longer than this */
	if (conn->opened)
		conn_set_deadline(conn, conn->relay && conn->detach ?
						config->close_timeout_ms :
						config->handshake_timeout_ms);
}

void move_abandon(struct ktc_conn *conn, enum ktc_reason why)
{
	if (conn->move != MOVE_QUIET)
		return;
	/* not again at once: it was the peer that did not let us */
	conn->setup->weigh_from = conn_carried(conn) + 1;
	move_end(conn, why);
}

/* ----------------------------------------------------------- the chain -- */

static void move_sqe(struct ktc_conn *conn, enum handover_step step, int level,
		     int name, const void *val, unsigned int len, bool last)
{
	struct io_uring_sqe *sqe = conn_sqe(conn);

	sockopt_sqe_prep(sqe, conn->fd, level, name, val, len);
	if (!last)
		sqe->flags |= IOSQE_IO_LINK;
	ring_tag(&conn->loop->ring, sqe, RING_SOCKOPT, step, conn->slot);
}

static bool move_chain(struct ktc_conn *conn)
{
	const struct handover *h = &conn->setup->handover;
	bool ulp = !conn->ulp_set;

	if (!ring_room(&conn->loop->ring, 2 + ulp))
		return false;
	if (ulp)
		move_sqe(conn, HANDOVER_ULP, IPPROTO_TCP, TCP_ULP, handover_ulp,
			 3, false);
	move_sqe(conn, HANDOVER_TX, SOL_TLS, TLS_TX, &h->info[KTC_TX],
		 h->suite->info_len, false);
	move_sqe(conn, HANDOVER_RX, SOL_TLS, TLS_RX, &h->info[KTC_RX],
		 h->suite->info_len, true);
	conn->move_left = 2 + ulp;
	return true;
}

/* ---------------------------------------------------------- the module -- */

/* Whether this loop has the module at hand, and it knows ATTACH. */
static bool move_has_module(struct ktc_loop *loop)
{
	return module_device(&loop->module, &loop->timers, loop->now_us,
			     KTCM_FEATURE_ATTACH) >= 0;
}

static bool move_attach(struct ktc_conn *conn)
{
	struct ktc_loop *loop = conn->loop;
	struct io_uring_sqe *sqe;

	if (!ring_room(&loop->ring, 1))
		return false;
	sqe = conn_sqe(conn);
	module_attach(&loop->module, sqe, conn->fd, &conn->setup->handover,
		      &conn->setup->attach);
	ring_tag(&loop->ring, sqe, RING_SOCKOPT, HANDOVER_ATTACH, conn->slot);
	conn->move_left = 1;
	return true;
}

/* ------------------------------------------------------------- the end -- */

/* The kernel has both keys: the connection is its. */
static void move_succeeded(struct ktc_conn *conn,
			   const struct ossl_secrets *secrets)
{
	memcpy(conn->secret, secrets->secret, sizeof(conn->secret));
	/* the kernel goes on counting where OpenSSL stopped */
	conn->records[KTC_RX] -= secrets->seq[KTC_RX];
	conn->records[KTC_TX] -= secrets->seq[KTC_TX];
	conn->kernel[KTC_RX] = conn->kernel[KTC_TX] = true;
	conn->plane = &plane_kernel;
	ossl_handed_over(conn->setup->ossl);
	/* TLS 1.2 sessions are complete by now; 1.3's tickets are to come */
	if (conn->suite->version == KTC_TLS1_2 || conn->no_tickets)
		conn->free_setup = true;
	else
		conn->setup->tickets_until_us = conn->loop->now_us +
						LIMIT_TICKET_WAIT_MS * 1000ull;
	client_count(conn->client, COUNT_OFFLOADED);
	move_end(conn, KTC_WHY_NOTHING);
}

static void move_finish(struct ktc_conn *conn, enum ktc_reason why, int fatal)
{
	struct ossl_secrets secrets;

	handover_wipe(&conn->setup->handover);
	mem_wipe(&conn->setup->attach, sizeof(conn->setup->attach));
	if (fatal) {
		conn->move = MOVE_NONE;
		conn_fail(conn, fatal, conn->offload_errno);
		return;
	}
	if (why != KTC_WHY_NOTHING) {
		move_end(conn, why);
		return;
	}
	/* it succeeded in move_keys() on the same, unchanged state */
	if (ossl_secrets(conn->setup->ossl, &secrets))
		conn_fail(conn, -KTC_E_INTERNAL, 0);
	else
		move_succeeded(conn, &secrets);
	mem_wipe(&secrets, sizeof(secrets));
}

static void move_by_calls(struct ktc_conn *conn)
{
	enum ktc_reason why;
	int fatal = 0;

	why = handover_set(conn->fd, &conn->setup->handover, conn->ulp_set,
			   &fatal, &conn->offload_errno);
	move_finish(conn, why, fatal);
}

static void move_attached(struct ktc_conn *conn, int res)
{
	enum handover_step step;
	enum ktc_reason why;
	int fatal, err;

	conn->move_left = 0;
	step = module_attached(&conn->loop->module, &conn->setup->attach, res,
			       &err);
	if (step > HANDOVER_ULP)
		conn->ulp_set = true;
	if (conn->state != CONN_HANDING_OVER)
		return;
	if (step < HANDOVER_RX) {
		/*
		 * No keys are there. Whatever the module had against it, the
		 * calls either succeed or say why not in their own words.
		 */
		move_by_calls(conn);
		return;
	}
	conn->offload_errno = err;
	why = handover_judge(step, -err, &fatal);
	move_finish(conn, why, fatal);
}

void move_done(struct ktc_conn *conn, unsigned int step, int res)
{
	enum ktc_reason why;
	int fatal = 0;

	if (step == HANDOVER_ATTACH) {
		move_attached(conn, res);
		return;
	}
	if (conn->ulp_pending) { /* the early ULP, not the chain's */
		conn->ulp_pending = false;
		why = handover_judge(HANDOVER_ULP, res, &fatal);
		if (why == KTC_WHY_NOTHING) {
			conn->ulp_set = true;
		} else {
			conn->why[KTC_RX] = conn->why[KTC_TX] = why;
			conn->offload_errno = -res;
		}
		return;
	}
	/*
	 * The chain stops at its first failure; what follows is ECANCELED and
	 * says nothing. ULP first, TX, RX last: so the completions come.
	 */
	if (conn->move_why == KTC_WHY_NOTHING) {
		conn->move_why = handover_judge(step, res, &fatal);
		if (conn->move_why != KTC_WHY_NOTHING)
			conn->offload_errno = -res;
		else if (step == HANDOVER_ULP)
			conn->ulp_set = true;
		conn->move_fatal = fatal;
	} else if (step == HANDOVER_RX && !res) {
		/* the chain was cut: only one of its ends took hold */
		conn->move_fatal = true;
	}
	if (--conn->move_left || conn->state != CONN_HANDING_OVER)
		return;
	move_finish(conn, conn->move_why,
		    conn->move_fatal ? -KTC_E_HANDOVER : 0);
}

/* Quiet has come: keys, and the way they go in. False: no room. */
static bool move_keys(struct ktc_conn *conn)
{
	struct handover *h = &conn->setup->handover;
	const struct ktc_caps *caps = NULL;
	struct ossl_secrets secrets;
	bool queued;
	int err;

	err = probe_caps(&caps);
	if (!err)
		err = ossl_secrets(conn->setup->ossl, &secrets);
	if (!err) {
		err = handover_prepare(&secrets, h);
		mem_wipe(&secrets, sizeof(secrets));
	}
	if (err) {
		/* nothing has been changed: the user plane goes on */
		handover_wipe(h);
		move_end(conn, KTC_WHY_TX_REFUSED);
		return true;
	}
	conn->offload_errno = 0;
	conn->move_why = KTC_WHY_NOTHING;
	conn->move_fatal = false;
	if (caps->ring_sockopt) {
		queued = move_chain(conn);
	} else if (move_has_module(conn->loop)) {
		queued = move_attach(conn);
	} else {
		move_by_calls(conn);
		return true;
	}
	if (queued)
		conn->move = MOVE_KEYS;
	else
		handover_wipe(h);
	return queued;
}

bool move_pump(struct ktc_conn *conn)
{
	struct ossl *o = conn->setup->ossl;

	if (conn->move != MOVE_QUIET || conn->ulp_pending)
		return true;
	/* conn_may_send() holds the queue; what OpenSSL made still goes */
	if (conn->send_busy)
		return true;
	if (ossl_out_pending(o) ||
	    conn->setup->out_sent != conn->setup->out_len)
		return conn->plane->send(conn);
	if (conn->recv_armed) {
		/* a receive for exactly the missing bytes is let be */
		if (!conn->recv_exact)
			conn_cancel_recv(conn);
		return true;
	}
	if (ossl_missing(o))
		return conn->plane->recv_arm(conn);
	if (conn->eof) {
		/* nothing more comes, and nothing was handed over */
		move_end(conn, KTC_WHY_PEER_FIN);
		return true;
	}
	if (conn->why[KTC_TX] != KTC_WHY_NOT_YET) {
		move_end(conn, conn->why[KTC_TX]); /* the early ULP failed */
		return true;
	}
	return move_keys(conn);
}

/* A caller's socket may have it already; set again it would break the chain. */
static bool move_has_ulp(const struct ktc_conn *conn)
{
	char name[16] = "";
	socklen_t len = sizeof(name);

	return !sys->getsockopt(conn->fd, IPPROTO_TCP, TCP_ULP, name, &len) &&
	       len >= 3 && !memcmp(name, handover_ulp, 3);
}

void move_early_ulp(struct ktc_conn *conn)
{
	const struct ktc_caps *caps;
	int res;

	if (conn->foreign_fd && move_has_ulp(conn)) {
		conn->ulp_set = true;
		return;
	}
	if (conn->policy != KTC_POLICY_ALWAYS || conn->unix_socket ||
	    probe_caps(&caps) || !caps->ktls)
		return;
	conn->ulp_pending = true;
	if (caps->ring_sockopt && ring_room(&conn->loop->ring, 1)) {
		move_sqe(conn, HANDOVER_ULP, IPPROTO_TCP, TCP_ULP, handover_ulp,
			 3, true);
		return;
	}
	res = sys->setsockopt(conn->fd, IPPROTO_TCP, TCP_ULP, handover_ulp, 3);
	move_done(conn, HANDOVER_ULP, res);
}
