// SPDX-License-Identifier: MIT
/*
 * From the caller's wish to an open connection: the identity, the address or
 * the caller's descriptor, the session to offer, the handshake's outcome. What
 * only this way needs is in struct setup.
 *
 * Without a budget for full handshakes the session is taken as late as can be,
 * when TCP is there. With one it is taken first: a connection that has none
 * asks the budget before it costs the server anything, and waits for it in
 * CONN_WAITING.
 */
#include "conn.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "inventory.h"
#include "limit.h"
#include "mem.h"
#include "relay.h"
#include "sys.h"
#include "util.h"

static void conn_take_ticket(struct ktc_conn *conn)
{
	struct setup *setup = conn->setup;
	/* who waits for the budget is one miss, however often it looks */
	enum ktc_reason (*take)(struct inventory *, const uint8_t *,
				struct ticket **) =
		setup->why_no_ticket == KTC_WHY_NOTHING ?
		inventory_take : inventory_take_again;

	if (setup->why_no_ticket == KTC_WHY_RESUME_OFF)
		return; /* waiting changes nothing about that */
	if (conn->no_resume) {
		setup->why_no_ticket = KTC_WHY_RESUME_OFF;
		inventory_skip(conn->client->inventory, setup->origin.id);
		return;
	}
	setup->why_no_ticket = take(conn->client->inventory,
				    setup->origin.id, &setup->offered);
}

/* The ClientHello is out: whatever comes, the ticket is used up. */
void conn_spend_ticket(struct ktc_conn *conn)
{
	struct setup *setup = conn->setup;

	if (setup->offered)
		inventory_spend(conn->client->inventory, setup->offered);
	setup->offered = NULL;
}

void conn_leave_budget(struct ktc_conn *conn)
{
	struct setup *setup = conn->setup;

	if (setup->full_begun)
		inventory_full_end(conn->client->inventory, setup->origin.id);
	setup->full_begun = false;
}

void conn_give_back(struct ktc_conn *conn)
{
	struct setup *setup = conn->setup;

	if (setup->offered)
		inventory_putback(conn->client->inventory, setup->origin.id,
				  setup->offered);
	setup->offered = NULL;
	conn_leave_budget(conn);
}

static bool conn_has_budget(const struct ktc_conn *conn)
{
	const struct config *config = &conn->client->config;

	return config->full_per_s || config->full_at_once;
}

/*
 * A session can come before the budget's moment does, so it is looked for now
 * and then; the longer it has been waited for, the less often, for a great
 * many may be waiting.
 */
static uint64_t conn_look_at(const struct ktc_conn *conn, uint64_t again_us)
{
	uint64_t now_us = conn->loop->now_us;
	uint64_t least = (now_us - conn->setup->begun_us) / 8;
	uint64_t most = LIMIT_BUDGET_WAIT_MS * 1000ull;

	least = MAX(least, LIMIT_BUDGET_POLL_MS * 1000ull);
	return MAX(MIN(again_us, now_us + most), now_us + MIN(least, most));
}

/* 0: there is a session, or leave to begin without one; -EAGAIN; -ENOMEM. */
static int conn_may_begin(struct ktc_conn *conn)
{
	struct setup *setup = conn->setup;
	uint64_t again_us;
	int err;

	conn_take_ticket(conn);
	if (setup->offered)
		return 0;
	err = inventory_full_begin(conn->client->inventory, setup->origin.id,
				   conn->loop->now_us, &again_us);
	setup->full_begun = !err;
	if (err == -EAGAIN)
		setup->look_at_us = conn_look_at(conn, again_us);
	return err;
}

/*
 * Resolving and connecting took their time: a session may have come, or the
 * one that was taken before may be too old by now.
 */
static void conn_freshen_ticket(struct ktc_conn *conn)
{
	struct inventory *inventory = conn->client->inventory;
	struct setup *setup = conn->setup;

	if (setup->offered && !ticket_is_fresh(setup->offered, sys->time_s())) {
		conn_give_back(conn);
		conn_take_ticket(conn);
		if (!setup->offered)
			inventory_full_charge(inventory, setup->origin.id,
					      conn->loop->now_us);
	} else if (!setup->offered) {
		conn_take_ticket(conn);
		if (setup->offered)
			conn_leave_budget(conn);
	}
}

void conn_reached(struct ktc_conn *conn)
{
	conn->setup->fast_open = false;
	conn->connect_us = conn->loop->now_us - conn->setup->begun_us;
	conn_set_deadline(conn, conn->client->config.handshake_timeout_ms);
	move_early_ulp(conn);
}

void conn_connected(struct ktc_conn *conn, int fd, bool fast_open)
{
	struct setup *setup = conn->setup;
	int err;

	conn->fd = fd;
	conn_set_state(conn, CONN_HANDSHAKING);
	conn->plane = &plane_user;
	/* else the time for connecting is not over, and no ULP can be set */
	setup->fast_open = fast_open;
	if (!fast_open)
		conn_reached(conn);

	if (conn_has_budget(conn))
		conn_freshen_ticket(conn);
	else
		conn_take_ticket(conn);
	err = ossl_new(conn->client->ossl, &conn->loop->ossl_pool,
		       &setup->origin, setup->offered, &conn_ossl_hooks, conn,
		       &setup->ossl);
	if (err) {
		conn_fail(conn, err, 0);
		return;
	}
	err = ossl_handshake(setup->ossl);
	if (err < 0)
		conn_fail_ossl(conn, err);
}

static void conn_dial(struct ktc_conn *conn, const struct resolve_list *addrs)
{
	conn->setup->addrs = mem_dup(addrs, sizeof(*addrs));
	if (!conn->setup->addrs) {
		conn_fail(conn, -ENOMEM, 0);
		return;
	}
	conn_set_state(conn, CONN_CONNECTING);
}

void conn_resolved(struct ktc_conn *conn, int err,
		   const struct resolve_list *addrs)
{
	if (conn->state != CONN_RESOLVING)
		return; /* abandoned meanwhile */
	if (err)
		conn_fail(conn, err, 0);
	else
		conn_dial(conn, addrs);
	conn_pump(conn);
}

/* By name: the look-up's answer now, or later by conn_resolved(). */
static int conn_resolve(struct ktc_conn *conn)
{
	const struct origin *origin = &conn->setup->origin;
	struct resolve_list now;
	struct resolver *resolver;
	int ret;

	ret = loop_resolver(conn->loop, &resolver);
	if (!ret)
		ret = resolver_start(resolver, origin->host, origin->port,
				     conn->setup->token, &now);
	if (ret < 0)
		return ret;
	if (ret)
		conn_dial(conn, &now);
	else
		conn_set_state(conn, CONN_RESOLVING);
	return 0;
}

int fd_check(int fd, struct sockaddr_storage *peer, socklen_t *peer_len)
{
	socklen_t len = sizeof(int);
	int type;
	int err;

	err = sys->getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
	if (err)
		return err;
	if (type != SOCK_STREAM)
		return -KTC_E_OPTION;
	*peer_len = sizeof(*peer);
	return getpeername(fd, (struct sockaddr *)peer, peer_len) ? -errno : 0;
}

/*
 * With O_NONBLOCK io_uring gives EAGAIN back instead of waiting for the
 * socket.
 */
int fd_make_blocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK))
		return -errno;
	return 0;
}

/* Towards the server, from CONN_NEW or CONN_WAITING. */
static int conn_reach(struct ktc_conn *conn)
{
	const struct origin *origin = &conn->setup->origin;
	struct resolve_list list;

	if (conn->foreign_fd) {
		conn_connected(conn, conn->fd, false);
		return 0;
	}
	if (!origin->addr_len)
		return conn_resolve(conn);
	memset(&list, 0, sizeof(list));
	list.count = 1;
	list.at[0].addr = origin->addr;
	list.at[0].len = origin->addr_len;
	conn_dial(conn, &list);
	return 0;
}

static int conn_begin(struct ktc_conn *conn, int fd)
{
	int err;

	conn_set_deadline(conn, conn->client->config.connect_timeout_ms);
	if (fd >= 0) {
		err = fd_make_blocking(fd);
		if (err)
			return err;
		conn->fd = fd;
	}
	err = conn_has_budget(conn) ? conn_may_begin(conn) : 0;
	if (!err)
		return conn_reach(conn);
	if (err != -EAGAIN)
		return err;
	conn_set_state(conn, CONN_WAITING);
	return 0;
}

void conn_look_again(struct ktc_conn *conn)
{
	int err;

	if (conn->loop->now_us < conn->setup->look_at_us)
		return;
	err = conn_may_begin(conn);
	if (err == -EAGAIN)
		return;
	if (!err)
		err = conn_reach(conn);
	if (err)
		conn_fail(conn, err, 0);
}

int conn_new(struct ktc_loop *loop, struct ktc_client *client,
	     const struct ktc_conn_opts *opts, struct ktc_conn **out)
{
	struct sockaddr_storage peer = { 0 };
	socklen_t peer_len = 0;
	struct ktc_conn *conn;
	struct setup *setup;
	int fd = -1;
	int err;

	if (!opts->host && !opts->addr) {
		fd = opts->fd;
		if (fd < 0)
			return -KTC_E_OPTION;
		err = fd_check(fd, &peer, &peer_len);
		if (err)
			return err;
	}
	conn = mem_pool_get(&loop->conn_pool);
	setup = mem_pool_get(&loop->setup_pool);
	if (!conn || !setup) {
		err = -ENOMEM;
		goto out_put;
	}
	err = origin_init(&setup->origin, &client->config, opts,
			  fd >= 0 ? (struct sockaddr *)&peer : NULL, peer_len);
	if (err)
		goto out_put;
	conn->loop = loop;
	conn->setup = setup;
	conn->user = opts->user;
	conn->fd = -1;
	conn->alert = -1;
	conn->send_tail = &conn->send_head;
	conn->policy = opts->policy ? opts->policy : client->config.policy;
	conn->why[KTC_RX] = conn->why[KTC_TX] =
		conn->policy == KTC_POLICY_NEVER ? KTC_WHY_POLICY :
						   KTC_WHY_NOT_YET;
	conn->no_resume = (opts->flags & KTC_CONN_NO_RESUME) ||
			  (client->config.flags & KTC_CLIENT_NO_RESUME);
	conn->no_tickets = (opts->flags & KTC_CONN_NO_TICKETS) ||
			   (client->config.flags & KTC_CLIENT_NO_RESUME);
	conn->recv_paused = opts->flags & KTC_CONN_RECV_PAUSED;
	conn->foreign_fd = fd >= 0;
	conn->unix_socket = fd >= 0 ? peer.ss_family == AF_UNIX :
				      setup->origin.addr.ss_family == AF_UNIX;
	event_queue_init(&setup->held);
	loop->now_us = sys->now_us();
	setup->begun_us = conn->active_us = loop->now_us;
	err = loop_add(loop, conn, &conn->slot);
	if (err)
		goto out_origin;
	conn->client = client_get(client);
	loop->serial++;
	setup->token = (uint64_t)loop->serial << 32 | conn->slot;
	err = conn_begin(conn, fd);
	if (err)
		goto out_remove;
	if (out)
		*out = conn;
	conn_pump(conn);
	return 0;

out_remove:
	conn_give_back(conn);
	loop_remove(loop, conn->slot);
	client_put(client);
out_origin:
	origin_fini(&setup->origin);
out_put:
	mem_pool_put(&loop->setup_pool, setup);
	mem_pool_put(&loop->conn_pool, conn);
	return err;
}

/* A full handshake that nobody could foresee: others wait for it. */
static void conn_declined(struct ktc_conn *conn)
{
	conn->why_not_resumed = KTC_WHY_DECLINED;
	if (conn_has_budget(conn))
		inventory_full_charge(conn->client->inventory,
				      conn->setup->origin.id,
				      conn->loop->now_us);
}

static void conn_learn(struct ktc_conn *conn)
{
	struct ossl_info info;

	ossl_info(conn->setup->ossl, &info);
	conn->suite = suite_find(info.version, info.suite_id);
	conn->cipher = info.cipher;
	conn->version = info.version;
	conn->resumed = info.resumed;
	conn->verify_result = info.verify_result;
	conn->verified = !(conn->client->config.flags &
			   KTC_CLIENT_INSECURE_NO_VERIFY);
	if (info.resumed)
		conn->why_not_resumed = KTC_WHY_NOTHING;
	else if (conn->setup->why_no_ticket != KTC_WHY_NOTHING)
		conn->why_not_resumed = conn->setup->why_no_ticket;
	else
		conn_declined(conn);
	if (info.alpn_len) {
		conn->alpn = mem_zalloc(info.alpn_len + 1);
		if (conn->alpn)
			memcpy(conn->alpn, info.alpn, info.alpn_len);
		else
			conn_fail(conn, -ENOMEM, 0);
	}
}

void conn_open(struct ktc_conn *conn)
{
	conn_set_state(conn, CONN_OPEN);
	conn->deadline_us = TIMER_NEVER;
	conn->active_us = conn->loop->now_us;
	if (conn->opened)
		return;
	conn->opened = true;
	conn->handshake_us = conn->loop->now_us - conn->setup->begun_us -
			     conn->connect_us;
	client_count(conn->client,
		     conn->resumed ? COUNT_RESUMED : COUNT_FULL);
	event_push(&conn->loop->events, &conn->ev_open, KTC_EV_OPEN);
	event_splice(&conn->loop->events, &conn->setup->held);
}

void conn_handshaken(struct ktc_conn *conn)
{
	conn_spend_ticket(conn);
	conn_learn(conn);
	conn_give_back(conn);
	if (conn->state != CONN_HANDSHAKING)
		return;
	if (conn->policy == KTC_POLICY_ALWAYS)
		move_start(conn);
	else
		conn_open(conn);
}

void conn_moved(struct ktc_conn *conn)
{
	if (!conn->kernel[KTC_TX] && conn->policy != KTC_POLICY_NEVER)
		client_count(conn->client, COUNT_OFFLOAD_REFUSED);
	if (conn->state != CONN_OPEN)
		conn_open(conn);
	if (conn->detach && !conn->kernel[KTC_TX]) {
		if (!conn->relay)
			conn_fail(conn, -KTC_E_UNSUPPORTED,
				  conn->offload_errno);
		else if (conn->why[KTC_TX] == KTC_WHY_NOT_YET)
			relay_stay(conn, -KTC_E_CLOSE_TIMEOUT); /* abandoned */
		else
			relay_stay(conn, -KTC_E_UNSUPPORTED);
	}
	/* what waited for the move: maybe we are inside conn_pump() */
	loop_again(conn->loop, conn);
}
