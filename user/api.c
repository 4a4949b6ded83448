// SPDX-License-Identifier: MIT
/*
 * The exported functions: arguments are checked here and nowhere else, then
 * the call goes down. What a function does is said in <ktlsclient.h>.
 */
#include <ktlsclient.h>

#include <errno.h>
#include <string.h>

#include "client.h"
#include "config.h"
#include "conn.h"
#include "err.h"
#include "export.h"
#include "handover.h"
#include "limit.h"
#include "loop.h"
#include "mem.h"
#include "probe.h"
#include "relay.h"
#include "seal.h"
#include "sys.h"
#include "util.h"

/* The smallest option and info structs that ever were: up to this member. */
#define SIZE_TO(type, member) \
	(offsetof(type, member) + sizeof(((type *)0)->member))

/* -------------------------------------------------------------- errors -- */

const char *ktc_strerror(int err)
{
	return err_text(err);
}

const char *ktc_error_name(int err)
{
	return err_name(err);
}

enum ktc_class ktc_error_class(int err)
{
	return err_class(err);
}

const char *ktc_class_name(enum ktc_class class_)
{
	return err_class_name(class_);
}

const char *ktc_reason_str(enum ktc_reason why)
{
	return err_reason_text(why);
}

const char *ktc_version(void)
{
	return KTC_VERSION_STRING;
}

/* -------------------------------------------------------------- client -- */

int ktc_client_new(const struct ktc_client_opts *opts, struct ktc_client **out)
{
	const struct ktc_caps *caps;
	int err;

	if (!out)
		return -KTC_E_OPTION;
	err = client_new(opts, NULL, 0, out);
	/*
	 * The probe takes milliseconds: here, not in a loop. If it fails it
	 * is asked again.
	 */
	if (!err && (*out)->config.policy != KTC_POLICY_NEVER)
		(void)probe_caps(&caps);
	return err;
}

int ktc_client_check(const struct ktc_client_opts *opts, char *why,
		     size_t why_len)
{
	struct ktc_client *client;
	int err;

	if (why_len && !why)
		return -KTC_E_OPTION;
	if (why_len)
		why[0] = '\0';
	err = client_new(opts, why, why_len, &client);
	if (!err)
		client_put(client);
	return err;
}

struct ktc_client *ktc_client_get(struct ktc_client *client)
{
	return client_get(client);
}

void ktc_client_put(struct ktc_client *client)
{
	client_put(client);
}

int ktc_client_stats(const struct ktc_client *client,
		     struct ktc_client_stats *out)
{
	struct ktc_client_stats stats;

	if (!client || !out)
		return -KTC_E_OPTION;
	client_stats(client, &stats);
	return config_copy_out(out, SIZE_TO(struct ktc_client_stats, evictions),
			       &stats, sizeof(stats));
}

unsigned int ktc_client_shards(const struct ktc_client *client)
{
	return client_shards(client);
}

int ktc_client_shard_stats(const struct ktc_client *client, unsigned int shard,
			   struct ktc_client_stats *out)
{
	struct ktc_client_stats stats;

	if (!client || !out || shard >= client_shards(client))
		return -KTC_E_OPTION;
	client_shard_stats(client, shard, &stats);
	return config_copy_out(out, SIZE_TO(struct ktc_client_stats, evictions),
			       &stats, sizeof(stats));
}

/* ---------------------------------------------------------------- loop -- */

static bool power_of_two(uint32_t n)
{
	return n && !(n & (n - 1));
}

int ktc_loop_new(const struct ktc_loop_opts *user, struct ktc_loop **out)
{
	struct ktc_loop_opts opts;
	int err;

	if (!out)
		return -KTC_E_OPTION;
	err = config_copy_opts(&opts, sizeof(opts),
			       SIZE_TO(struct ktc_loop_opts, conns_max), user);
	if (err)
		return err;
	if ((opts.buffers && !power_of_two(opts.buffers)) ||
	    opts.buffers > LIMIT_LOOP_BUFFERS ||
	    opts.entries > LIMIT_LOOP_ENTRIES ||
	    opts.conns_max > LIMIT_LOOP_CONNS)
		return -KTC_E_OPTION;
	/* these make no sense without a ring of the caller's */
	if (!opts.ring && (opts.mark || opts.buf_group))
		return -KTC_E_OPTION;
	return loop_new(&opts, out);
}

void ktc_loop_free(struct ktc_loop *loop)
{
	loop_free(loop);
}

int ktc_loop_fd(struct ktc_loop *loop)
{
	return loop_fd(loop);
}

int ktc_loop_handle_cqe(struct ktc_loop *loop, uint64_t user_data, int32_t res,
			uint32_t flags)
{
	return loop_handle_cqe(loop, user_data, res, flags);
}

int ktc_loop_wake(struct ktc_loop *loop)
{
	return loop_wake(loop);
}

int ktc_loop_events(struct ktc_loop *loop, struct ktc_event *ev,
		    unsigned int max, int timeout_ms)
{
	if (!loop || !ev || !max || timeout_ms < -1)
		return -KTC_E_OPTION;
	return loop_events(loop, ev, max, timeout_ms);
}

void ktc_event_release(struct ktc_loop *loop, struct ktc_event *ev)
{
	loop_event_release(loop, ev);
}

/* ---------------------------------------------------------- connection -- */

#define CONN_FLAGS (KTC_CONN_NO_RESUME | KTC_CONN_NO_TICKETS | \
		    KTC_CONN_RECV_PAUSED)

int ktc_connect(struct ktc_loop *loop, struct ktc_client *client,
		const struct ktc_conn_opts *user, struct ktc_conn **out)
{
	struct ktc_conn_opts opts;
	int err;

	if (!loop || !client || !user)
		return -KTC_E_OPTION;
	err = config_copy_opts(&opts, sizeof(opts),
			       SIZE_TO(struct ktc_conn_opts, user), user);
	if (err)
		return err;
	if (opts.flags & ~CONN_FLAGS || opts.policy > KTC_POLICY_NEVER ||
	    !opts.preamble != !opts.preamble_len ||
	    opts.preamble_len > LIMIT_PREAMBLE)
		return -KTC_E_OPTION;
	err = ring_enable(&loop->ring);
	if (err)
		return err;
	return conn_new(loop, client, &opts, out);
}

/* Deadlines begin at the call, whenever the loop ran last. */
static void conn_now(struct ktc_conn *conn)
{
	conn->loop->now_us = sys->now_us();
}

/* Nothing has begun that ends it, or that has it to itself. */
static int call_allowed(const struct ktc_conn *conn)
{
	if (!conn->opened || conn->state >= CONN_CLOSING ||
	    conn->closing_asked || conn->detach || conn->relayed)
		return -KTC_E_STATE;
	return 0;
}

/* The same, and our last word has not been said. */
static int send_allowed(const struct ktc_conn *conn)
{
	return conn->tx_over ? -KTC_E_STATE : call_allowed(conn);
}

int ktc_conn_send(struct ktc_conn *conn, const void *buf, size_t len,
		  uint64_t tag)
{
	struct send_op op = { .buf = buf, .len = len, .tag = tag, .fd = -1 };
	int err;

	if (!buf || !len)
		return -KTC_E_OPTION;
	err = send_allowed(conn);
	if (!err)
		err = send_queue(conn, &op);
	if (!err)
		conn_pump(conn);
	return err;
}

int ktc_conn_sendfile(struct ktc_conn *conn, int fd, uint64_t offset,
		      uint64_t len, uint64_t tag)
{
	struct send_op op = {
		.fd = fd, .file_off = offset, .len = len, .tag = tag,
	};
	int err;

	if (fd < 0 || !len || offset > INT64_MAX || len > INT64_MAX - offset)
		return -KTC_E_OPTION;
	err = send_allowed(conn);
	if (err)
		return err;
	conn_now(conn);
	err = send_queue(conn, &op);
	if (err)
		return err;
	/* auto: whole files are what the kernel plane is for */
	if (conn->policy == KTC_POLICY_AUTO && conn->state == CONN_OPEN &&
	    conn->why[KTC_TX] == KTC_WHY_NOT_YET)
		move_start(conn);
	conn_pump(conn);
	return 0;
}

int ktc_conn_recv_pause(struct ktc_conn *conn)
{
	if (conn->state >= CONN_ENDING || conn->relayed)
		return -KTC_E_STATE;
	conn->recv_paused = true;
	conn_pump(conn);
	return 0;
}

int ktc_conn_recv_resume(struct ktc_conn *conn)
{
	if (conn->state >= CONN_ENDING || conn->relayed)
		return -KTC_E_STATE;
	conn->recv_paused = false;
	conn_pump(conn);
	return 0;
}

int ktc_conn_offload(struct ktc_conn *conn)
{
	if (conn->policy == KTC_POLICY_NEVER)
		return -KTC_E_POLICY;
	if (!conn->opened || conn->state >= CONN_CLOSING ||
	    conn->closing_asked || conn->tx_over)
		return -KTC_E_STATE;
	if (conn->state == CONN_OPEN && !conn->kernel[KTC_TX]) {
		conn_now(conn);
		move_start(conn);
		conn_pump(conn);
	}
	return 0;
}

int ktc_conn_rekey(struct ktc_conn *conn, bool request_peer)
{
	int err = send_allowed(conn);

	if (err)
		return err;
	if (!conn_can_rekey(conn))
		return -KTC_E_UNSUPPORTED;
	conn->key_update = request_peer ? 2 : MAX(conn->key_update, 1);
	conn_pump(conn);
	return 0;
}

int ktc_conn_close(struct ktc_conn *conn)
{
	if (conn->state == CONN_CLOSED)
		return -KTC_E_STATE;
	if (!conn->opened) {
		ktc_conn_abort(conn);
		return 0;
	}
	conn_now(conn);
	conn->closing_asked = true;
	conn_pump(conn);
	return 0;
}

void ktc_conn_abort(struct ktc_conn *conn)
{
	conn_fail(conn, -KTC_E_CANCELED, 0);
	conn_pump(conn);
}

int ktc_conn_detach(struct ktc_conn *conn)
{
	int err;

	if (conn->policy == KTC_POLICY_NEVER)
		return -KTC_E_POLICY;
	err = conn->relay ? relay_may_leave(conn) : call_allowed(conn);
	if (err)
		return err;
	conn_now(conn);
	conn->detach = true;
	conn_pump(conn);
	return 0;
}

/* What a connection that is there already takes of the options. */
static bool adopt_opts_are_right(const struct ktc_conn_opts *opts)
{
	return !(opts->flags & ~CONN_FLAGS) &&
	       opts->policy <= KTC_POLICY_NEVER && !opts->host &&
	       !opts->port && !opts->addr && !opts->addr_len &&
	       opts->fd <= 0 && !opts->server_name && !opts->alpn &&
	       !opts->scope && !opts->preamble && !opts->preamble_len;
}

int ktc_conn_adopt(struct ktc_loop *loop, struct ktc_client *client, int fd,
		   const void *state, size_t len,
		   const struct ktc_conn_opts *user, struct ktc_conn **out)
{
	struct ktc_conn_opts opts;
	int err;

	if (!loop || !client || !state)
		return -KTC_E_OPTION;
	err = config_copy_opts(&opts, sizeof(opts),
			       SIZE_TO(struct ktc_conn_opts, user), user);
	if (err)
		return err;
	if (!adopt_opts_are_right(&opts))
		return -KTC_E_OPTION;
	err = ring_enable(&loop->ring);
	if (err)
		return err;
	return conn_adopt(loop, client, fd, state, len, &opts, out);
}

int ktc_relay(struct ktc_conn *conn, int fd, uint32_t flags)
{
	int err;

	if (!conn || flags & ~KTC_RELAY_LOOP)
		return -KTC_E_OPTION;
	err = call_allowed(conn);
	if (err)
		return err;
	conn_now(conn);
	err = relay_start(conn, fd, flags);
	if (!err)
		conn_pump(conn);
	return err;
}

void ktc_conn_set_user(struct ktc_conn *conn, void *user)
{
	conn->user = user;
}

static uint64_t conn_records(const struct ktc_conn *conn, int dir)
{
	uint64_t seq;

	if (!conn->kernel[dir] || conn->counted)
		return conn->records[dir];
	if (handover_seq(conn->fd, conn->suite, dir, &seq))
		return 0; /* the kernel alone knows */
	return conn->records[dir] + seq;
}

int ktc_conn_info(const struct ktc_conn *conn, struct ktc_conn_info *out)
{
	struct ktc_conn_info info;
	int dir;

	if (!conn || !out)
		return -KTC_E_OPTION;
	memset(&info, 0, sizeof(info));
	info.version = conn->version;
	info.verified = conn->verified;
	info.resumed = conn->resumed;
	info.why_not_resumed = conn->why_not_resumed;
	info.offload_errno = conn->offload_errno;
	info.verify_result = conn->verify_result;
	if (conn->cipher)
		strncpy(info.cipher, conn->cipher, sizeof(info.cipher) - 1);
	if (conn->alpn)
		strncpy(info.alpn, conn->alpn, sizeof(info.alpn) - 1);
	for (dir = 0; dir < 2; dir++) {
		if (conn->opened)
			info.plane[dir] = conn->kernel[dir] ? KTC_PLANE_KERNEL :
							      KTC_PLANE_USER;
		info.why_not_kernel[dir] = conn->why[dir];
		info.records[dir] = conn_records(conn, dir);
		info.bytes[dir] = conn->bytes[dir];
		info.rekeys[dir] = conn->rekeys[dir];
	}
	info.tickets = conn->tickets;
	info.connect_us = conn->connect_us;
	info.handshake_us = conn->handshake_us;
	info.state = conn_state_name(conn->state);
	info.why_not_module = conn->why_not_module;
	if (conn->relay) {
		info.relay = relay_has_module(conn->relay) ? KTC_LANE_MODULE :
							     KTC_LANE_LOOP;
		info.why_not_module = conn->relay->why;
	}
	if (conn->fd >= 0 && conn->state < CONN_CLOSED) {
		info.addr_len = sizeof(info.addr);
		if (getpeername(conn->fd, (struct sockaddr *)&info.addr,
				&info.addr_len))
			info.addr_len = 0;
	}
	return config_copy_out(out, SIZE_TO(struct ktc_conn_info, state), &info,
			       sizeof(info));
}

int ktc_conn_relayed(const struct ktc_conn *conn, uint64_t relayed[2])
{
	if (!conn || !relayed)
		return -KTC_E_OPTION;
	return conn->relay ? relay_moved(conn->relay, relayed) : -KTC_E_STATE;
}

int ktc_conn_error(const struct ktc_conn *conn, struct ktc_conn_error *out)
{
	struct ktc_conn_error error;
	size_t len;

	if (!conn || !out)
		return -KTC_E_OPTION;
	memset(&error, 0, sizeof(error));
	error.err = conn->err;
	error.class_ = err_class(conn->err);
	error.alert = conn->alert;
	error.alert_sent = conn->alert_sent;
	error.os_errno = conn->os_errno;
	error.verify_result = conn->verify_result;
	error.state = conn_state_name(conn->err ? conn->error_state :
						  conn->state);
	strncpy(error.text, err_text(conn->err), sizeof(error.text) - 1);
	len = strlen(error.text);
	if (conn->err && conn->error_text) {
		strncat(error.text, ": ", sizeof(error.text) - 1 - len);
		len = strlen(error.text);
		strncat(error.text, conn->error_text,
			sizeof(error.text) - 1 - len);
	}
	return config_copy_out(out, SIZE_TO(struct ktc_conn_error, text),
			       &error, sizeof(error));
}

/* --------------------------------------------------------------- probe -- */

int ktc_probe(struct ktc_caps *out)
{
	const struct ktc_caps *caps;
	int err;

	if (!out)
		return -KTC_E_OPTION;
	err = probe_caps(&caps);
	if (err)
		return err;
	return config_copy_out(out, SIZE_TO(struct ktc_caps, reserved1), caps,
			       sizeof(*caps));
}

/* -------------------------------------------------- sessions that move -- */

int ktc_client_export(struct ktc_client *client,
		      const uint8_t key[KTC_EXPORT_KEY_LEN], uint32_t flags,
		      void **out, size_t *len)
{
	if (!client || !key || !out || !len || flags & ~SEAL_FLAGS)
		return -KTC_E_OPTION;
	return export_to_memory(client->inventory, &client->config, key, flags,
				out, len);
}

void ktc_export_free(void *sealed, size_t len)
{
	(void)len;	/* what is sealed is no secret; it need not be wiped */
	mem_free(sealed);
}

int ktc_client_import(struct ktc_client *client,
		      const uint8_t key[KTC_EXPORT_KEY_LEN],
		      const void *sealed, size_t len)
{
	if (!client || !key || !sealed)
		return -KTC_E_OPTION;
	return export_from_memory(client->inventory, &client->config, key,
				  sealed, len);
}

int ktc_client_export_file(struct ktc_client *client,
			   const uint8_t key[KTC_EXPORT_KEY_LEN],
			   uint32_t flags, const char *path)
{
	if (!client || !key || !path || !*path || flags & ~SEAL_FLAGS)
		return -KTC_E_OPTION;
	return export_to_file(client->inventory, &client->config, key, flags,
			      path);
}

int ktc_client_import_file(struct ktc_client *client,
			   const uint8_t key[KTC_EXPORT_KEY_LEN],
			   const char *path)
{
	if (!client || !key || !path || !*path)
		return -KTC_E_OPTION;
	return export_from_file(client->inventory, &client->config, key, path);
}
