// SPDX-License-Identifier: MIT
/*
 * The module's lane of a relay. On the kernel plane the two sockets can be
 * given to ktlsclient.ko, and user space hears of what is not data only.
 *
 * The way there: both receives are stopped, what is held is passed on, and in
 * that quiet moment the module takes over; if quiet does not come soon (a slow
 * reader), the loop goes on and tries again later. The way back is the module's
 * END, or the close of its descriptor, which gives what it holds to the
 * sockets. A KeyUpdate, and a key that has sealed enough, take it: the loop
 * changes keys as ever, and the module may have the sockets again.
 *
 * While relay->module_fd is there, one read of it is under way and nothing
 * else of ours touches the two sockets. The loop's thread.
 */
#include "relay.h"

#include <errno.h>
#include <string.h>

#include "conn.h"
#include "mem.h"
#include "module.h"
#include "sys.h"
#include "util.h"

struct relay_event {
	struct ktcm_event ev;
	uint8_t record[KTCM_RECORD_MAX];
};

size_t relay_event_size(void)
{
	return sizeof(struct relay_event);
}

/* ------------------------------------------------------------- the ends -- */

/* the module's directions in ours */
static const int dirs[2] = { [KTCM_DOWN] = KTC_RX, [KTCM_UP] = KTC_TX };

/* What the module has moved since it was asked last. */
static void module_count(struct ktc_conn *conn, const __u64 bytes[2])
{
	struct relay *relay = conn->relay;
	uint64_t n;
	int i;

	for (i = 0; i < 2; i++) {
		n = bytes[i] - relay->counted[i];
		relay->counted[i] += n;
		relay->moved[dirs[i]] += n;
		conn->bytes[dirs[i]] += n;
	}
}

/* The sockets are ours again: its descriptor is closed. */
static void module_leave(struct ktc_conn *conn, bool ended)
{
	struct relay *relay = conn->relay;
	struct ktcm_status status = { 0 };
	int i;

	if (!module_status(relay->module_fd, &status)) {
		/* what it holds is the sockets' with the close */
		for (i = 0; !ended && i < 2; i++)
			status.bytes[i] += status.held[i];
		module_count(conn, status.bytes);
		/* closed: one can be over and the other side not told */
		if (status.closed & BIT(KTCM_DOWN)) {
			conn->eof = true;
			relay->down_shut = true;
		}
		if (status.closed & BIT(KTCM_UP)) {
			relay->up_eof = true;
			conn->close_notify_sent = true;
		}
	}
	(void)sys->close(relay->module_fd);
	relay->module_fd = -1;
	relay->module_stop = false;
	relay->module_leave = false;
	mem_pool_put(&conn->loop->event_pool, relay->event);
	relay->event = NULL;
	plane_kernel_count(conn);
	/* what is left to do has the whole time again */
	if (conn->detach && conn->state == CONN_OPEN)
		conn->deadline_us = TIMER_NEVER;
}

static void module_ended(struct ktc_conn *conn, const struct ktcm_event *ev)
{
	struct relay *relay = conn->relay;

	module_leave(conn, true);
	switch (ev->end) {
	case KTCM_END_DONE:
		conn->eof = true;
		relay->down_shut = true;
		relay->up_eof = true;
		conn->close_notify_sent = true;
		break;
	case KTCM_END_STOPPED:
		break; /* we asked for it, and go on ourselves */
	case KTCM_END_TRUNCATED:
		conn_fin(conn);
		break;
	case KTCM_END_ALERT:
		conn_fail(conn, -KTC_E_ALERT, 0);
		break;
	case KTCM_END_KEY_UPDATE:
		conn_fail(conn, -KTC_E_KEY_UPDATE, 0);
		break;
	case KTCM_END_PLAIN:
		relay_plain_failed(conn, ev->error ? -ev->error : -EPIPE);
		break;
	default:
		plane_kernel_failed(conn, ev->error ? -ev->error : -EIO);
		break;
	}
}

/* --------------------------------------------------------------- events -- */

static void module_record(struct ktc_conn *conn, const struct ktcm_event *ev,
			  const uint8_t *record)
{
	uint32_t dropped = ev->dropped;

	if (dropped) {
		/* of a message in pieces some are missing: begin anew */
		record_hs_fini(&conn->hs);
		memset(&conn->hs, 0, sizeof(conn->hs));
	}
	while (dropped--) {
		if (!record_rate_take(&conn->rate, conn->loop->now_us)) {
			conn_fail(conn, -KTC_E_FLOOD, 0);
			return;
		}
	}
	/* keys are changed by the loop, with the module out of the way */
	if (ev->paused) {
		module_leave(conn, false);
		conn->relay->why = KTC_WHY_REKEYING;
	}
	plane_kernel_control(conn, ev->record_type, record, ev->len);
}

static void module_event(struct ktc_conn *conn, size_t len)
{
	struct relay_event *event = conn->relay->event;
	struct ktcm_event ev;
	uint8_t record[KTCM_RECORD_MAX];

	ev = event->ev;
	if (len < sizeof(ev) || ev.len != len - sizeof(ev)) {
		conn_fail(conn, -KTC_E_INTERNAL, 0);
		return;
	}
	module_count(conn, ev.bytes);
	switch (ev.type) {
	case KTCM_EV_PROGRESS:
		plane_kernel_count(conn);
		break;
	case KTCM_EV_RECORD:
		/* the event's memory goes when the module is left */
		memcpy(record, event->record, ev.len);
		mem_wipe(event->record, ev.len);
		module_record(conn, &ev, record);
		mem_wipe(record, ev.len);
		break;
	case KTCM_EV_END:
		module_ended(conn, &ev);
		break;
	default: /* of a later module: nothing that we asked for */
		break;
	}
}

void relay_module_read(struct ktc_conn *conn, int res)
{
	struct relay *relay = conn->relay;

	relay->read_armed = false;
	relay->read_cancel = false;
	if (conn->state >= CONN_ENDING)
		return;
	if (res > 0)
		module_event(conn, res);
	else if (relay->module_leave && (res == -ECANCELED || res == -EINTR))
		module_leave(conn, false);
	else if (res != -ECANCELED && res != -EINTR && res != -EAGAIN)
		/* an event may be lost, and who knows which */
		conn_fail(conn, res ? res : -KTC_E_INTERNAL, res ? -res : 0);
}

/* ----------------------------------------------------------- way there -- */

/* A side has ended; what kept the module away before that is the reason. */
static enum ktc_reason why_not_before(const struct relay *relay)
{
	switch (relay->why) {
	case KTC_WHY_NO_MODULE:
	case KTC_WHY_MODULE_BUSY:
	case KTC_WHY_MODULE_REFUSED:
		return relay->why;
	default:
		return KTC_WHY_HALF_CLOSED;
	}
}

/* Whether the module should have this relay now; if not, why. */
static bool module_wanted(struct ktc_conn *conn)
{
	struct relay *relay = conn->relay;
	struct ktc_loop *loop = conn->loop;

	if (relay->flags & KTC_RELAY_LOOP)
		relay->why = KTC_WHY_RELAY_LOOP;
	else if (!conn->kernel[KTC_RX] || !conn->kernel[KTC_TX])
		relay->why = KTC_WHY_USER_PLANE;
	else if (conn->eof || conn->fin || relay->up_eof)
		relay->why = why_not_before(relay);
	else if (conn->key_update || conn->key_update_sent)
		relay->why = KTC_WHY_REKEYING;
	else if (loop->now_us < relay->again_us)
		return false; /* as before */
	else if (module_device(&loop->module, &loop->timers, loop->now_us,
			       KTCM_FEATURE_RELAY) < 0)
		relay->why = KTC_WHY_NO_MODULE;
	else
		return conn->state == CONN_OPEN &&
		       !relay_is_stopping(conn) &&
		       relay->end == KTC_END_NONE;
	return false;
}

static bool module_is_quiet(const struct ktc_conn *conn)
{
	const struct relay *relay = conn->relay;

	return !conn->recv_armed && !relay->recv_armed && !relay->nr_down &&
	       !relay->send_busy && !conn->send_head && !conn->send_busy &&
	       !conn->on_starved;
}

static void module_try_again(struct relay *relay, enum ktc_reason why)
{
	relay->again_us = why == KTC_WHY_MODULE_REFUSED ? UINT64_MAX :
			  relay->conn->loop->now_us +
			  LIMIT_MODULE_LOOK_MS * 1000ull;
	relay->why = why;
	relay->quiet = false;
}

static void module_begin(struct ktc_conn *conn)
{
	struct relay *relay = conn->relay;
	struct ktc_loop *loop = conn->loop;
	int fd;

	relay->event = mem_pool_get(&loop->event_pool);
	fd = !relay->event ? -ENOMEM :
	     module_relay(&loop->module, conn->fd, relay->fd);
	if (fd >= 0) {
		relay->module_fd = fd;
		relay->moved_by = KTC_LANE_MODULE;
		relay->why = KTC_WHY_NOTHING;
		relay->quiet = false;
		memset(relay->counted, 0, sizeof(relay->counted));
		return;
	}
	mem_pool_put(&loop->event_pool, relay->event);
	relay->event = NULL;
	if (fd == -ENFILE || fd == -EMFILE || fd == -ENOMEM || fd == -EAGAIN)
		module_try_again(relay, KTC_WHY_MODULE_BUSY);
	else
		module_try_again(relay, KTC_WHY_MODULE_REFUSED);
}

/* ----------------------------------------------------------------- pump -- */

/* Reads its next event. False: no room. */
static bool module_read(struct ktc_conn *conn)
{
	struct ring *ring = &conn->loop->ring;
	struct relay *relay = conn->relay;
	struct io_uring_sqe *sqe;

	if (relay->read_armed)
		return true;
	if (!ring_room(ring, 1))
		return false;
	sqe = conn_sqe(conn);
	io_uring_prep_read(sqe, relay->module_fd, relay->event,
			   sizeof(struct relay_event), 0);
	ring_tag(ring, sqe, RING_RELAY_READ, 0, conn->slot);
	relay->read_armed = true;
	return true;
}

static void module_quiet(struct ktc_conn *conn)
{
	struct relay *relay = conn->relay;

	if (!module_wanted(conn)) {
		relay->quiet = false;
	} else if (!relay->quiet) {
		relay->quiet = true;
		relay->quiet_until_us = conn->loop->now_us +
					LIMIT_MODULE_QUIET_MS * 1000ull;
	} else if (conn->loop->now_us >= relay->quiet_until_us) {
		module_try_again(relay, KTC_WHY_MODULE_BUSY);
	}
	if (relay->quiet && module_is_quiet(conn))
		module_begin(conn);
}

bool relay_module_pump(struct ktc_conn *conn)
{
	struct relay *relay = conn->relay;

	if (relay->module_fd < 0)
		module_quiet(conn);
	if (relay->module_fd < 0)
		return relay->quiet;
	if ((relay_is_stopping(conn) || conn->key_update) &&
	    !relay->module_stop) {
		relay->module_stop = true;
		/* it cannot fail; if it did, the close would stop it */
		(void)module_stop(relay->module_fd);
	}
	if (!module_read(conn))
		loop_again(conn->loop, conn);
	else if (relay->module_leave)
		/* after what there is to read, nothing being read */
		relay_cancel(conn, RING_RELAY_READ);
	return true;
}

bool relay_module_active(struct ktc_conn *conn)
{
	uint64_t before = conn_carried(conn);
	struct ktcm_status status;

	if (!conn->relay || conn->relay->module_fd < 0 ||
	    module_status(conn->relay->module_fd, &status))
		return false;
	module_count(conn, status.bytes);
	return conn_carried(conn) != before;
}

int relay_moved(const struct relay *relay, uint64_t moved[2])
{
	struct ktcm_status status = { 0 };
	int i, err = 0;

	if (relay_has_module(relay))
		err = module_status(relay->module_fd, &status);
	if (err)
		return err;
	for (i = 0; i < 2; i++) {
		moved[dirs[i]] = relay->moved[dirs[i]];
		if (relay_has_module(relay))
			moved[dirs[i]] += status.bytes[i] - relay->counted[i];
	}
	return 0;
}

void relay_module_end(struct ktc_conn *conn)
{
	struct relay *relay = conn->relay;

	if (relay->module_fd < 0)
		return;
	if (relay->read_armed)
		relay_cancel(conn, RING_RELAY_READ);
	else
		module_leave(conn, false);
}
