// SPDX-License-Identifier: MIT
/*
 * A connection passes from one owner to the next: its state is written when it
 * is detached, and a socket with keys in the kernel becomes a connection again
 * with it, in this process or another one. There is no SSL any more, so what
 * only an SSL can do is over: no ticket that comes is kept.
 *
 * Whoever calls conn_adopt() may have been given anything. Nothing of it is
 * believed before it was checked, nothing is changed before all was, and on
 * failure the descriptor is the caller's as it was.
 */
#include "conn.h"

#include <netinet/tcp.h>

#include <errno.h>
#include <string.h>

#include "handover.h"
#include "mem.h"
#include "state.h"
#include "sys.h"
#include "util.h"

/* ---------------------------------------------------------------- write -- */

static void state_fill(struct state *state, const struct ktc_conn *conn)
{
	const struct record_hs *hs = &conn->hs;

	state->tls_version = conn->suite->version;
	state->suite_id = conn->suite->id;
	state->flags = (conn->verified ? STATE_VERIFIED : 0) |
		       (conn->resumed ? STATE_RESUMED : 0) |
		       (conn->eof ? STATE_EOF : 0) |
		       (conn->close_notify_sent ? STATE_TX_OVER : 0) |
		       (conn->rx_update_asked ? STATE_RX_ASKED : 0);
	memcpy(state->records, conn->records, sizeof(state->records));
	memcpy(state->bytes, conn->bytes, sizeof(state->bytes));
	memcpy(state->rekeys, conn->rekeys, sizeof(state->rekeys));
	memcpy(state->secret, conn->secret, sizeof(state->secret));
	state->connect_us = conn->connect_us;
	state->handshake_us = conn->handshake_us;
	state->verify_result = conn->verify_result;
	state->why_not_resumed = conn->why_not_resumed;
	state->tickets = conn->tickets;
	/* the rest of it would only be thrown away: see hs_restore() */
	state->hs_len = hs->len;
	if (hs->len)
		memcpy(state->hs_head, hs->buf, MIN(hs->len, STATE_HEAD));
	if (conn->alpn) {
		state->alpn_len = strlen(conn->alpn); /* 255 at most */
		memcpy(state->alpn, conn->alpn, state->alpn_len);
	}
}

int conn_state_take(struct ktc_conn *conn)
{
	struct mem_pool *pool = &conn->loop->state_pool;
	union suite_crypto_info info[2];
	struct state *state;
	int dir, err;

	state = mem_pool_get(pool);
	if (!state)
		return -ENOMEM;
	err = handover_get(conn->fd, conn->suite, info);
	if (!err) {
		state_fill(state, conn);
		for (dir = 0; dir < 2; dir++)
			state->seq[dir] = suite_seq(conn->suite, &info[dir]);
		err = state_seal(state, info);
		mem_wipe(info, sizeof(info));
	}
	if (!err)
		conn->state_out = state;
	else
		mem_pool_put(pool, state);
	return err;
}

/* ---------------------------------------------------------------- check -- */

/* What the new owner's client would not have agreed to, it does not adopt. */
static bool client_allows(const struct ktc_client *client,
			  const struct state *state, enum ktc_policy policy)
{
	const struct config *config = &client->config;

	return policy != KTC_POLICY_NEVER &&
	       state->tls_version >= config->version_min &&
	       state->tls_version <= config->version_max &&
	       (state->flags & STATE_VERIFIED ||
		config->flags & KTC_CLIENT_INSECURE_NO_VERIFY);
}

/* A connected TCP socket with kTLS keys, which info receives: a secret. */
static int adopt_socket(int fd, const struct suite *suite,
			union suite_crypto_info info[2])
{
	struct sockaddr_storage peer;
	char ulp[16] = "";
	socklen_t len;
	int err;

	err = fd_check(fd, &peer, &len);
	if (err)
		return err == -KTC_E_OPTION ? -KTC_E_ADOPT : err;
	len = sizeof(ulp);
	err = sys->getsockopt(fd, IPPROTO_TCP, TCP_ULP, ulp, &len);
	if (err == -EOPNOTSUPP || err == -ENOPROTOOPT)
		return -KTC_E_ADOPT; /* no TCP */
	if (err)
		return err;
	if (len < 3 || memcmp(ulp, handover_ulp, 3))
		return -KTC_E_ADOPT;
	err = handover_get(fd, suite, info);
	/* EBUSY: a direction has no key; EINVAL: a key of another cipher */
	return err == -EBUSY || err == -EINVAL ? -KTC_E_ADOPT : err;
}

/* ----------------------------------------------------------------- read -- */

/*
 * Of a message that came in part its head matters alone: a KeyUpdate is no
 * longer than that, and what is in a ticket is of no use here.
 */
static int hs_restore(struct record_hs *hs, const struct state *state)
{
	if (!state->hs_len)
		return 0;
	hs->buf = mem_zalloc(MAX(state->hs_len, STATE_HEAD));
	if (!hs->buf)
		return -ENOMEM;
	hs->room = MAX(state->hs_len, STATE_HEAD);
	hs->len = state->hs_len;
	memcpy(hs->buf, state->hs_head, STATE_HEAD);
	return 0;
}

static void conn_fill(struct ktc_conn *conn, const struct state *state,
		      const union suite_crypto_info info[2])
{
	int dir;

	conn->suite = state_suite(state);
	conn->version = conn->suite->version;
	conn->cipher = conn->suite->name;
	conn->plane = &plane_kernel;
	for (dir = 0; dir < 2; dir++) {
		conn->kernel[dir] = true;
		conn->key_records[dir] = suite_seq(conn->suite, &info[dir]);
	}
	conn->verified = state->flags & STATE_VERIFIED;
	conn->resumed = state->flags & STATE_RESUMED;
	conn->eof = state->flags & STATE_EOF;
	conn->tx_over = state->flags & STATE_TX_OVER;
	conn->close_notify_sent = state->flags & STATE_TX_OVER;
	conn->rx_update_asked = state->flags & STATE_RX_ASKED;
	memcpy(conn->records, state->records, sizeof(conn->records));
	memcpy(conn->bytes, state->bytes, sizeof(conn->bytes));
	memcpy(conn->rekeys, state->rekeys, sizeof(conn->rekeys));
	memcpy(conn->secret, state->secret, sizeof(conn->secret));
	conn->connect_us = state->connect_us;
	conn->handshake_us = state->handshake_us;
	conn->verify_result = state->verify_result;
	conn->why_not_resumed = state->why_not_resumed;
	conn->tickets = state->tickets;
}

/* A connection of what has been checked. */
static int conn_revive(struct ktc_loop *loop, int fd,
		       const struct state *state,
		       const union suite_crypto_info info[2],
		       struct ktc_conn **out)
{
	struct ktc_conn *conn = mem_pool_get(&loop->conn_pool);
	int err;

	if (!conn)
		return -ENOMEM;
	conn->loop = loop;
	conn->fd = fd;
	conn->alert = -1;
	conn->send_tail = &conn->send_head;
	conn->deadline_us = TIMER_NEVER;
	conn->foreign_fd = true;
	conn->ulp_set = true;
	conn->no_tickets = true;
	conn_fill(conn, state, info);
	err = hs_restore(&conn->hs, state);
	if (!err && state->alpn_len) {
		conn->alpn = mem_dup(state->alpn, state->alpn_len + 1);
		if (!conn->alpn)
			err = -ENOMEM;
	}
	if (!err)
		err = loop_add(loop, conn, &conn->slot);
	if (err)
		goto out_free;
	/* the last step: from here on the descriptor is ours */
	err = fd_make_blocking(fd);
	if (err)
		goto out_remove;
	*out = conn;
	return 0;

out_remove:
	loop_remove(loop, conn->slot);
out_free:
	record_hs_fini(&conn->hs);
	mem_free(conn->alpn);
	mem_pool_put(&loop->conn_pool, conn); /* wipes the secrets */
	return err;
}

static void conn_begin_again(struct ktc_conn *conn)
{
	struct ktc_loop *loop = conn->loop;

	loop->now_us = sys->now_us();
	conn->active_us = loop->now_us;
	conn_set_state(conn, CONN_OPEN);
	conn->opened = true;
	event_push(&loop->events, &conn->ev_open, KTC_EV_OPEN);
	if (conn->eof)
		event_push(&loop->events, &conn->ev_eof, KTC_EV_EOF);
	client_count(conn->client, COUNT_ADOPTED);
	conn_pump(conn);
}

int conn_adopt(struct ktc_loop *loop, struct ktc_client *client, int fd,
	       const void *bytes, size_t len, const struct ktc_conn_opts *opts,
	       struct ktc_conn **out)
{
	enum ktc_policy policy = opts->policy ? opts->policy :
						client->config.policy;
	union suite_crypto_info info[2] = { 0 };
	struct ktc_conn *conn;
	struct state state;
	int err;

	err = state_read(bytes, len, &state);
	if (err)
		return err;
	err = adopt_socket(fd, state_suite(&state), info);
	if (!err)
		err = state_match(&state, info);
	if (!err && !client_allows(client, &state, policy))
		err = -KTC_E_POLICY;
	if (!err)
		err = conn_revive(loop, fd, &state, info, &conn);
	mem_wipe(&state, sizeof(state));
	mem_wipe(info, sizeof(info));
	if (err)
		return err;
	conn->client = client_get(client);
	conn->policy = policy;
	conn->user = opts->user;
	conn->recv_paused = opts->flags & KTC_CONN_RECV_PAUSED;
	if (out)
		*out = conn;
	conn_begin_again(conn);
	return 0;
}
