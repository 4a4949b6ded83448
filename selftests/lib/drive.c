// SPDX-License-Identifier: MIT
/* Runs a loop for a test and notes what its events say; see drive.h. */
#include "drive.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

int drive_init(struct drive *d, const struct ktc_client_opts *client,
	       const struct ktc_loop_opts *loop)
{
	int err;

	memset(d, 0, sizeof(*d));
	err = ktc_client_new(client, &d->client);
	if (!err)
		err = ktc_loop_new(loop, &d->loop);
	if (err)
		drive_fini(d);
	return err;
}

void drive_fini(struct drive *d)
{
	ktc_loop_free(d->loop);
	ktc_client_put(d->client);
	memset(d, 0, sizeof(*d));
}

int drive_connect(struct drive *d, struct drive_conn *c,
		  struct ktc_conn_opts *opts)
{
	opts->size = sizeof(*opts);
	opts->user = c;
	c->fd = -1;
	return ktc_connect(d->loop, d->client, opts, &c->conn);
}

int drive_connect_peer(struct drive *d, struct drive_conn *c,
		       const struct peer *peer, enum ktc_policy policy)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(peer_port(peer)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct ktc_conn_opts opts = {
		.addr = (struct sockaddr *)&addr,
		.addr_len = sizeof(addr),
		.server_name = "localhost",
		.policy = policy,
	};

	return drive_connect(d, c, &opts);
}

int drive_adopt(struct drive *d, struct drive_conn *c, uint32_t flags)
{
	struct ktc_conn_opts opts = {
		.size = sizeof(opts), .flags = flags, .user = c,
	};
	int err;

	err = ktc_conn_adopt(d->loop, d->client, c->fd, c->state, c->state_len,
			     &opts, &c->conn);
	if (err)
		return err;
	c->fd = -1;
	c->open = c->closed = c->detached = c->eof = c->relayed = false;
	return 0;
}

void drive_info(struct drive_conn *c)
{
	c->info.size = sizeof(c->info);
	(void)ktc_conn_info(c->conn, &c->info);
}

static void drive_data(struct drive_conn *c, const struct ktc_event *ev)
{
	if (!c->raw &&
	    peer_pattern_check(ev->data, c->received, ev->len) != ev->len)
		c->mismatch = true;
	c->received += ev->len;
}

void drive_event(struct ktc_loop *loop, struct ktc_event *ev)
{
	struct drive_conn *c = ev->user;

	c->events++;
	switch (ev->type) {
	case KTC_EV_OPEN:
		c->open = true;
		drive_info(c);
		break;
	case KTC_EV_DATA:
		drive_data(c, ev);
		break;
	case KTC_EV_SENT:
		c->sent++;
		c->sent_bytes += ev->len;
		c->sent_err = ev->err;
		c->sent_tag = ev->tag;
		break;
	case KTC_EV_TICKET:
		c->tickets++;
		break;
	case KTC_EV_REKEYED:
		c->rekeyed[ev->dir]++;
		break;
	case KTC_EV_EOF:
		c->eof = true;
		if (c->close_at_eof)
			(void)ktc_conn_close(c->conn);
		break;
	case KTC_EV_RELAYED:
		c->relayed = true;
		c->relays++;
		c->relay_err = ev->err;
		c->relay_end = ev->end;
		c->moved_by = ev->moved_by;
		memcpy(c->moved, ev->relayed, sizeof(c->moved));
		drive_info(c);
		break;
	case KTC_EV_STAYED:
		c->stays++;
		c->stay_err = ev->err;
		break;
	case KTC_EV_DETACHED:
		c->detached = true;
		c->fd = ev->fd;
		c->state_len = ev->len;
		memcpy(c->state, ev->data, ev->len);
		/* fallthrough */
	case KTC_EV_CLOSED:
		c->closed = true;
		c->err = ev->err;
		drive_info(c);
		c->error.size = sizeof(c->error);
		(void)ktc_conn_error(c->conn, &c->error);
		c->conn = NULL;
		break;
	}
	ktc_event_release(loop, ev);
}

bool drive_step(struct drive *d)
{
	struct ktc_event ev[16];
	int i, n;

	n = ktc_loop_events(d->loop, ev, 16, DRIVE_STEP_MS);
	for (i = 0; i < n; i++)
		drive_event(d->loop, &ev[i]);
	return n > 0;
}

/*
 * Every test is a process of its own and would probe the kernel anew, which is
 * slow on an emulated CPU: there it is done once, before the first of them.
 */
static void __attribute__((constructor)) drive_probe(void)
{
	struct ktc_caps caps = { .size = sizeof(caps) };

	if (getenv("KTC_TEST_LANE"))
		(void)ktc_probe(&caps);
}
