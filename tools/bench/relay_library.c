// SPDX-License-Identifier: MIT
/*
 * The library as the relay: one loop, one connection, ktc_relay(). It checks
 * that what was asked for is what happened: the plane, and who moved the
 * bytes. One thread.
 */
#include <errno.h>
#include <ktlsclient.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "relay_under.h"

/**
 * struct lib - the relay
 * @setup: what was asked for
 * @control: where answers go
 * @plain: the plain connection
 * @done: CLOSED came
 * @ended: RELAYED came
 * @answer: the last one
 */
struct lib {
	const struct relay_setup *setup;
	int control;
	int plain;
	struct ktc_client *client;
	struct ktc_loop *loop;
	struct ktc_conn *conn;
	bool done;
	bool ended;
	struct relay_answer answer;
};

/* the first one stays */
static void failed(struct lib *l, const char *what, int err)
{
	if (l->answer.err)
		return;
	l->answer.err = err;
	(void)snprintf(l->answer.text, sizeof(l->answer.text), "%s: %s", what,
		       ktc_strerror(err));
}

static int lib_open(struct lib *l)
{
	const struct relay_setup *s = l->setup;
	const struct ktc_client_opts copts = {
		.size = sizeof(copts),
		.flags = KTC_CLIENT_NO_RESUME,
		.policy = s->way == RELAY_USER ? KTC_POLICY_NEVER
					       : KTC_POLICY_ALWAYS,
		.ca_file = s->ca_file,
		.version_min = s->version,
		.version_max = s->version,
	};
	const struct ktc_conn_opts opts = {
		.size = sizeof(opts),
		.addr = (const struct sockaddr *)&s->origin,
		.addr_len = sizeof(s->origin),
		.server_name = RELAY_TLS_NAME,
	};
	int err, on = 1;

	l->plain = accept(s->listener, NULL, NULL);
	if (l->plain < 0)
		return -errno;
	/* not there on a unix socket, and not needed */
	(void)setsockopt(l->plain, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	err = ktc_client_new(&copts, &l->client);
	if (!err)
		err = ktc_loop_new(NULL, &l->loop);
	if (!err)
		err = ktc_connect(l->loop, l->client, &opts, &l->conn);
	return err;
}

static const char *plane_name(enum ktc_plane plane)
{
	return plane == KTC_PLANE_KERNEL ? "kernel" : "user";
}

static void check_planes(struct lib *l)
{
	const enum ktc_plane want =
		l->setup->way == RELAY_USER ? KTC_PLANE_USER : KTC_PLANE_KERNEL;
	struct ktc_conn_info info = { .size = sizeof(info) };
	int err = ktc_conn_info(l->conn, &info);

	if (err) {
		failed(l, "ktc_conn_info", err);
	} else if (info.plane[KTC_RX] != want || info.plane[KTC_TX] != want) {
		l->answer.err = -ENOTSUP;
		(void)snprintf(l->answer.text, sizeof(l->answer.text),
			       "the planes are %s and %s, not both %s",
			       plane_name(info.plane[KTC_RX]),
			       plane_name(info.plane[KTC_TX]),
			       plane_name(want));
	}
}

static void opened(struct lib *l)
{
	int err;

	check_planes(l);
	if (!l->answer.err) {
		err = ktc_relay(l->conn, l->plain,
				l->setup->way == RELAY_MODULE ? 0
							      : KTC_RELAY_LOOP);
		if (err)
			failed(l, "ktc_relay", err);
	}
	if (l->answer.err ||
	    relay_put(l->control, &l->answer, sizeof(l->answer)))
		ktc_conn_abort(l->conn);
}

static void relayed(struct lib *l, const struct ktc_event *ev)
{
	const enum ktc_lane want =
		l->setup->way == RELAY_MODULE ? KTC_LANE_MODULE : KTC_LANE_LOOP;

	l->ended = true;
	if (ev->err)
		failed(l, "RELAYED", ev->err);
	l->answer.moved[KTC_RX] = ev->relayed[KTC_RX];
	l->answer.moved[KTC_TX] = ev->relayed[KTC_TX];
	if (!l->answer.err && ev->moved_by != want) {
		l->answer.err = -ENOTSUP;
		(void)snprintf(l->answer.text, sizeof(l->answer.text),
			       "%s moved the bytes",
			       want == KTC_LANE_MODULE ? "the loop"
						       : "the module");
	}
	if (ktc_conn_close(l->conn))
		ktc_conn_abort(l->conn);
}

static void event(struct lib *l, struct ktc_event *ev)
{
	switch (ev->type) {
	case KTC_EV_OPEN:
		opened(l);
		break;
	case KTC_EV_RELAYED:
		relayed(l, ev);
		break;
	case KTC_EV_CLOSED:
		l->done = true;
		if (!l->ended)
			failed(l, "CLOSED", ev->err ? ev->err : -EPIPE);
		break;
	default:
		break;
	}
	ktc_event_release(l->loop, ev);
}

int relay_library(const struct relay_setup *setup, int control)
{
	struct lib l = { .setup = setup, .control = control, .plain = -1 };
	struct ktc_event ev[8];
	int err, i, n;

	err = lib_open(&l);
	if (err)
		failed(&l, "the relay did not begin", err);
	while (!err && !l.done) {
		n = ktc_loop_events(l.loop, ev, 8, -1);
		if (n < 0)
			failed(&l, "ktc_loop_events", n);
		err = n < 0 ? n : 0;
		for (i = 0; i < n; i++)
			event(&l, &ev[i]);
	}
	ktc_loop_free(l.loop);
	ktc_client_put(l.client);
	return relay_put(control, &l.answer, sizeof(l.answer)) || l.answer.err;
}
