// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: connections that wait for the budget of full handshakes. All
 * of a test's connections have one identity, for they go to one port and say
 * one name and scope, by whatever way. Time, where it counts, is the test's
 * own. Nothing here needs kernel TLS: the wait is over before records begin.
 */
#include <ktlsclient.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "certs.h"
#include "conn.h"
#include "drive.h"
#include "host.h"
#include "inventory.h"
#include "limit.h"
#include "peer.h"
#include "sys.h"

#include "kselftest_harness.h"

#define HERD 20
#define AT_ONCE 2
#define SHORT_MS 100		/* a deadline that is meant to pass */
#define WAITING "waiting for the budget"

static struct sys_ops hooked;
static uint64_t frozen_us;	/* what the clock shows; 0: the time */
static unsigned int lookups;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static uint64_t clock_us(void)
{
	return frozen_us ? frozen_us : sys_real.now_us();
}

static int no_such_name(const char *name, const char *service,
			const struct addrinfo *hints, struct addrinfo **out)
{
	(void)name;
	(void)service;
	(void)hints;
	(void)out;
	__atomic_add_fetch(&lookups, 1, __ATOMIC_SEQ_CST);
	return EAI_NONAME;
}

/* A name server that does not answer while the test holds the gate. */
static int stuck_lookup(const char *name, const char *service,
			const struct addrinfo *hints, struct addrinfo **out)
{
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	return no_such_name(name, service, hints, out);
}

static int no_thread(void *(*fn)(void *), void *arg)
{
	(void)fn;
	(void)arg;
	return -EAGAIN;
}

static const struct peer_step talk[] = {
	{ .op = PEER_HANDSHAKE },
	{ .op = PEER_SEND, .a = 1 },
	{ .op = PEER_DISCARD },
	{ 0 },
};

/* The first connection's handshake does not end. */
static const struct peer_step silent_first[] = {
	{ .op = PEER_SILENCE },
	{ .op = PEER_NEXT_CONN },
	{ .op = PEER_HANDSHAKE },
	{ .op = PEER_SEND, .a = 1 },
	{ .op = PEER_DISCARD },
	{ 0 },
};

static const struct peer_step at_a_barrier[] = {
	{ .op = PEER_BARRIER },
	{ .op = PEER_HANDSHAKE },
	{ .op = PEER_DISCARD },
	{ 0 },
};

static const struct peer_step ticket_later[] = {
	{ .op = PEER_HANDSHAKE },
	{ .op = PEER_BARRIER },
	{ .op = PEER_TICKETS, .a = 1 },
	{ .op = PEER_DISCARD },
	{ .op = PEER_NEXT_CONN },
	{ .op = PEER_SILENCE },
	{ .op = PEER_NEXT_CONN },
	{ .op = PEER_HANDSHAKE },
	{ .op = PEER_DISCARD },
	{ 0 },
};

FIXTURE(budget)
{
	char dir[CERTS_DIR_MAX];
	char ca[CERTS_DIR_MAX + 16];
	struct ktc_client_opts client;
	struct ktc_client_stats stats;
	struct peer_opts peer_opts;
	struct peer *peer;
	struct drive d;
	struct drive_conn herd[HERD];
	struct drive_conn held;		/* takes the only place */
	struct drive_conn c;
	uint16_t port;			/* the peer's, or the test's own */
	int listener;
	int far;			/* held's other end, with a listener */
	unsigned int fds_before;
};

FIXTURE_SETUP(budget)
{
	hooked = sys_real;
	hooked.now_us = clock_us;
	host_count_memory(&hooked);
	sys = &hooked;
	self->far = -1;
	self->listener = -1;
	self->fds_before = host_open_fds();
	ASSERT_EQ(0, certs_make_temp(self->dir));
	snprintf(self->ca, sizeof(self->ca), "%s/ca.pem", self->dir);
	self->client.size = sizeof(self->client);
	self->client.ca_file = self->ca;
	self->client.policy = KTC_POLICY_NEVER;
	self->client.full_at_once = 1;
	self->peer_opts.cert_dir = self->dir;
	self->peer_opts.steps = silent_first;
}

FIXTURE_TEARDOWN(budget)
{
	drive_fini(&self->d);
	peer_stop(self->peer);
	if (self->far >= 0)
		close(self->far);
	if (self->listener >= 0)
		close(self->listener);
	EXPECT_EQ(self->fds_before, host_open_fds());
	EXPECT_EQ(0, host_live_memory());
	if (self->dir[0])
		certs_remove(self->dir);
	sys = &sys_real;
}

#define START() \
	do { \
		ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer)); \
		self->port = peer_port(self->peer); \
		ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL)); \
	} while (0)

#define UNTIL(condition) ASSERT_TRUE(DRIVE_UNTIL(&self->d, condition)) \
	TH_LOG("state %s, err %d %s", self->c.info.state, self->c.err, \
	       self->c.error.text)

#define STATS() \
	do { \
		self->stats.size = sizeof(self->stats); \
		ASSERT_EQ(0, ktc_client_stats(self->d.client, \
					      &self->stats)); \
	} while (0)

static int connect_port(struct drive *d, struct drive_conn *c, uint16_t port,
			uint32_t flags)
{
	struct sockaddr_in addr = host_loopback(port);
	struct ktc_conn_opts opts = {
		.addr = (struct sockaddr *)&addr,
		.addr_len = sizeof(addr),
		.server_name = "localhost",
		.scope = "origin",
		.flags = flags,
	};

	memset(c, 0, sizeof(*c));
	return drive_connect(d, c, &opts);
}

static int connect_fd(struct drive *d, struct drive_conn *c, int fd)
{
	struct ktc_conn_opts opts = {
		.fd = fd, .server_name = "localhost", .scope = "origin",
	};

	memset(c, 0, sizeof(*c));
	return drive_connect(d, c, &opts);
}

static int connect_name(struct drive *d, struct drive_conn *c, uint16_t port)
{
	struct ktc_conn_opts opts = {
		.host = "name.test", .port = port,
		.server_name = "localhost", .scope = "origin",
	};

	memset(c, 0, sizeof(*c));
	return drive_connect(d, c, &opts);
}

#define CONNECT(conn) \
	ASSERT_EQ(0, connect_port(&self->d, conn, self->port, 0))
#define CONNECT_FULL(conn) \
	ASSERT_EQ(0, connect_port(&self->d, conn, self->port, \
				  KTC_CONN_NO_RESUME))

static const char *state_of(struct drive_conn *c)
{
	if (c->conn)
		drive_info(c);
	return c->info.state;
}

static bool waits(struct drive_conn *c)
{
	return !strcmp(state_of(c), WAITING);
}

/* TCP is there, which nobody tells. */
static bool shakes_hands(struct drive *d, struct drive_conn *c)
{
	struct ktc_event ev;

	while ((waits(c) || !strcmp(state_of(c), "connecting")) &&
	       !c->closed)
		if (ktc_loop_events(d->loop, &ev, 1, 0) == 1)
			drive_event(d->loop, &ev);
	return !strcmp(state_of(c), "handshaking");
}

/* Lets the loop go on where no event is due. */
static bool look_on(struct drive *d)
{
	struct ktc_event ev;
	int n = ktc_loop_events(d->loop, &ev, 1, 0);

	if (n == 1)
		drive_event(d->loop, &ev);
	return n >= 0;
}

/* A full handshake that does not end takes the only place. */
#define HOLD() \
	do { \
		CONNECT(&self->held); \
		ASSERT_TRUE(shakes_hands(&self->d, &self->held)); \
	} while (0)

/* The same with a port of the test's own, and the far end at hand. */
#define HOLD_FAR() \
	do { \
		struct sockaddr_in addr_; \
		self->listener = host_listen(4, &addr_); \
		ASSERT_LE(0, self->listener); \
		self->port = ntohs(addr_.sin_port); \
		HOLD(); \
		self->far = accept(self->listener, NULL, NULL); \
		ASSERT_LE(0, self->far); \
	} while (0)

#define LET_GO() \
	do { \
		ktc_conn_abort(self->held.conn); \
		UNTIL(self->held.closed); \
	} while (0)

/* The place is free: another one can have it. */
#define EXPECT_FREE() \
	do { \
		CONNECT_FULL(&self->held); \
		EXPECT_FALSE(waits(&self->held)); \
		LET_GO(); \
	} while (0)

/* A connection to one's own port, both ends. */
static int connect_to(int listener, uint16_t port, int fds[2])
{
	struct sockaddr_in addr = host_loopback(port);

	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fds[0] < 0 ||
	    connect(fds[0], (struct sockaddr *)&addr, sizeof(addr)))
		return -1;
	fds[1] = accept(listener, NULL, NULL);
	return fds[1] < 0 ? -1 : 0;
}

/* To the peer, by way of the test's own port. */
#define SERVE(conn) \
	do { \
		int fds_[2]; \
		ASSERT_EQ(0, connect_to(self->listener, self->port, fds_)); \
		ASSERT_EQ(0, peer_serve(self->peer, fds_[1])); \
		ASSERT_EQ(0, connect_fd(&self->d, conn, fds_[0])); \
	} while (0)

/* ------------------------------------------------------------- the herd -- */

FIXTURE(herd)
{
	char dir[CERTS_DIR_MAX];
	char ca[CERTS_DIR_MAX + 16];
	struct ktc_client_opts client;
	struct ktc_client_stats stats;
	struct peer_opts peer_opts;
	struct peer *peer;
	struct peer_totals totals;
	uint16_t port;
	struct drive d;
	struct drive_conn c[HERD];
};

FIXTURE_VARIANT(herd)
{
	uint16_t version;
	unsigned int full_max;	/* with tickets */
};

/* The ticket comes with the handshake: it is there when a place is free. */
FIXTURE_VARIANT_ADD(herd, tls12)
{
	.version = KTC_TLS1_2,
	.full_max = AT_ONCE,
};

/* It comes a little later: meanwhile another handshake may have begun. */
FIXTURE_VARIANT_ADD(herd, tls13)
{
	.version = KTC_TLS1_3,
	.full_max = HERD / 2,
};

FIXTURE_SETUP(herd)
{
	ASSERT_EQ(0, certs_make_temp(self->dir));
	snprintf(self->ca, sizeof(self->ca), "%s/ca.pem", self->dir);
	self->client.size = sizeof(self->client);
	self->client.ca_file = self->ca;
	self->client.policy = KTC_POLICY_NEVER;
	self->client.full_at_once = AT_ONCE;
	self->peer_opts.cert_dir = self->dir;
	self->peer_opts.version_max = variant->version;
}

FIXTURE_TEARDOWN(herd)
{
	drive_fini(&self->d);
	peer_stop(self->peer);
	if (self->dir[0])
		certs_remove(self->dir);
}

/* How many are between the wait and the end of the handshake. */
static unsigned int under_way(struct drive_conn c[HERD])
{
	unsigned int i, n = 0;

	for (i = 0; i < HERD; i++)
		n += !waits(&c[i]) && !c[i].closed && !c[i].info.version;
	return n;
}

static unsigned int count_open(struct drive_conn c[HERD])
{
	unsigned int i, n = 0;

	for (i = 0; i < HERD; i++)
		n += c[i].open;
	return n;
}

static unsigned int count_past(struct drive_conn c[HERD])
{
	unsigned int i, n = 0;

	for (i = 0; i < HERD; i++) {
		(void)state_of(&c[i]);	/* asks for the info */
		n += c[i].closed || c[i].info.version;
	}
	return n;
}

#define BEGIN_HERD() \
	do { \
		int i_; \
		ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer)); \
		ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL)); \
		self->port = peer_port(self->peer); \
		for (i_ = 0; i_ < HERD; i_++) \
			CONNECT(&self->c[i_]); \
	} while (0)

TEST_F(herd, never_has_more_under_way_than_may_be)
{
	int i;

	self->peer_opts.steps = at_a_barrier;
	self->peer_opts.tickets = PEER_NO_TICKETS;
	BEGIN_HERD();
	EXPECT_EQ(AT_ONCE, under_way(self->c));
	for (i = 0; i < HERD; i++)
		peer_go(self->peer);
	while (count_open(self->c) < HERD) {
		ASSERT_TRUE(drive_step(&self->d));
		ASSERT_GE(AT_ONCE, under_way(self->c));
		/* what the server has seen, at this moment or before it */
		peer_totals(self->peer, &self->totals);
		ASSERT_GE(AT_ONCE + count_past(self->c),
			  self->totals.accepted);
	}
	self->stats.size = sizeof(self->stats);
	ASSERT_EQ(0, ktc_client_stats(self->d.client, &self->stats));
	EXPECT_EQ(HERD, self->stats.handshakes_full);
	EXPECT_EQ(HERD, self->stats.full_begun);
	EXPECT_LE(HERD - AT_ONCE, self->stats.full_waits);
	EXPECT_EQ(0, self->stats.handshakes_failed);
}

TEST_F(herd, resumes_with_what_the_first_ones_brought)
{
	self->peer_opts.steps = talk;
	BEGIN_HERD();
	while (count_open(self->c) < HERD)
		ASSERT_TRUE(drive_step(&self->d));
	self->stats.size = sizeof(self->stats);
	ASSERT_EQ(0, ktc_client_stats(self->d.client, &self->stats));
	EXPECT_EQ(HERD, self->stats.handshakes_full +
			self->stats.handshakes_resumed);
	/* some had leave, and a ticket before they needed it */
	EXPECT_GE(self->stats.full_begun, self->stats.handshakes_full);
	EXPECT_GE(variant->full_max, self->stats.handshakes_full);
	EXPECT_EQ(0, self->stats.handshakes_failed);
	ASSERT_EQ(0, peer_wait_totals(self->peer, 0, &self->totals));
	EXPECT_EQ(0, self->totals.psk_repeated);
}

/* ------------------------------------------------------------- the wait -- */

TEST_F(budget, when_the_time_is_up_the_error_is_the_budgets)
{
	self->client.connect_timeout_ms = SHORT_MS;
	START();
	HOLD();
	CONNECT(&self->c);
	EXPECT_TRUE(waits(&self->c));
	UNTIL(self->c.closed);
	EXPECT_EQ(-KTC_E_BUDGET, self->c.err);
	EXPECT_EQ(KTC_CLASS_TIMEOUT, self->c.error.class_);
	EXPECT_STREQ(WAITING, self->c.error.state);
	EXPECT_NE('\0', self->c.error.text[0]);
	STATS();
	EXPECT_EQ(1, self->stats.full_begun);
	EXPECT_LE(1, self->stats.full_waits);
	EXPECT_EQ(1, self->stats.handshakes_failed);
}

TEST_F(budget, a_rate_too_slow_for_the_deadline_is_told_as_such)
{
	self->client.full_at_once = 0;
	self->client.full_per_s = 5;
	self->client.connect_timeout_ms = SHORT_MS;
	self->peer_opts.steps = talk;
	START();
	frozen_us = sys_real.now_us();
	CONNECT_FULL(&self->held);
	EXPECT_FALSE(waits(&self->held));
	CONNECT_FULL(&self->c);
	EXPECT_TRUE(waits(&self->c));
	UNTIL(self->held.open);
	frozen_us += SHORT_MS * 1000;
	UNTIL(self->c.closed);
	EXPECT_EQ(-KTC_E_BUDGET, self->c.err);
	/* and the next one's time has come */
	frozen_us += SHORT_MS * 1000;
	CONNECT_FULL(&self->c);
	EXPECT_FALSE(waits(&self->c));
	UNTIL(self->c.open);
}

TEST_F(budget, a_rate_lets_one_go_at_its_time)
{
	self->client.full_at_once = 0;
	self->client.full_per_s = 5;
	self->peer_opts.steps = talk;
	START();
	frozen_us = sys_real.now_us();
	CONNECT_FULL(&self->held);
	CONNECT_FULL(&self->c);
	EXPECT_TRUE(waits(&self->c));
	frozen_us += 200000;
	UNTIL(self->c.open);
	EXPECT_EQ(200000, self->c.info.connect_us);
}

TEST_F(budget, a_place_that_becomes_free_ends_the_wait)
{
	START();
	HOLD();
	CONNECT(&self->c);
	EXPECT_TRUE(waits(&self->c));
	LET_GO();
	UNTIL(self->c.open);
	EXPECT_FALSE(self->c.info.resumed);
	STATS();
	EXPECT_EQ(2, self->stats.full_begun);
	EXPECT_EQ(1, self->stats.handshakes_full);
}

TEST_F(budget, a_ticket_that_comes_meanwhile_ends_the_wait)
{
	self->peer_opts.steps = ticket_later;
	self->peer_opts.version_min = KTC_TLS1_3;
	self->peer_opts.tickets = PEER_NO_TICKETS;
	START();
	CONNECT(&self->herd[0]);
	UNTIL(self->herd[0].open);
	HOLD();
	CONNECT(&self->c);
	EXPECT_TRUE(waits(&self->c));
	peer_go(self->peer);
	UNTIL(self->c.open);
	EXPECT_TRUE(self->c.info.resumed);
	EXPECT_STREQ("handshaking", state_of(&self->held));
	STATS();
	EXPECT_EQ(2, self->stats.full_begun);
}

TEST_F(budget, another_origin_has_a_budget_of_its_own)
{
	struct sockaddr_in addr;
	struct ktc_conn_opts opts = {
		.addr = (struct sockaddr *)&addr, .addr_len = sizeof(addr),
		.server_name = "localhost", .scope = "another origin",
	};

	START();
	HOLD();
	addr = host_loopback(self->port);
	ASSERT_EQ(0, drive_connect(&self->d, &self->c, &opts));
	EXPECT_FALSE(waits(&self->c));
	UNTIL(self->c.open);
}

TEST_F(budget, without_resumption_a_connection_waits_too_and_counts_once)
{
	self->client.connect_timeout_ms = SHORT_MS;
	START();
	HOLD();
	CONNECT_FULL(&self->c);
	EXPECT_TRUE(waits(&self->c));
	UNTIL(self->c.closed);
	EXPECT_EQ(-KTC_E_BUDGET, self->c.err);
	EXPECT_EQ(KTC_WHY_NOTHING, self->c.info.why_not_resumed);
	STATS();
	EXPECT_EQ(1, self->stats.misses_policy);
	EXPECT_EQ(1, self->stats.takes);	/* held's */
}

TEST_F(budget, a_descriptor_waits_before_a_byte_is_sent)
{
	char byte;
	int fds[2];

	self->peer_opts.steps = talk;
	START();
	HOLD_FAR();
	ASSERT_EQ(0, connect_to(self->listener, self->port, fds));
	ASSERT_EQ(0, connect_fd(&self->d, &self->c, fds[0]));
	EXPECT_TRUE(waits(&self->c));
	EXPECT_EQ(-1, recv(fds[1], &byte, 1, MSG_DONTWAIT));
	EXPECT_EQ(EAGAIN, errno);
	ASSERT_EQ(0, peer_serve(self->peer, fds[1]));
	LET_GO();
	UNTIL(self->c.open);
}

TEST_F(budget, a_name_is_looked_up_after_the_wait)
{
	lookups = 0;
	hooked.lookup = no_such_name;
	START();
	HOLD();
	ASSERT_EQ(0, connect_name(&self->d, &self->c, self->port));
	EXPECT_TRUE(waits(&self->c));
	EXPECT_EQ(0, __atomic_load_n(&lookups, __ATOMIC_SEQ_CST));
	LET_GO();
	UNTIL(self->c.closed);
	EXPECT_EQ(-KTC_E_RESOLVE, self->c.err);
	EXPECT_STREQ("resolving", self->c.error.state);
	EXPECT_FREE();
}

TEST_F(budget, a_look_up_that_cannot_begin_after_the_wait_is_told)
{
	hooked.thread = no_thread;
	START();
	HOLD();
	ASSERT_EQ(0, connect_name(&self->d, &self->c, self->port));
	EXPECT_TRUE(waits(&self->c));
	LET_GO();
	UNTIL(self->c.closed);
	EXPECT_EQ(-EAGAIN, self->c.err);
	EXPECT_STREQ(WAITING, self->c.error.state);
	EXPECT_FREE();
}

TEST_F(budget, the_time_to_connect_counts_from_the_call)
{
	START();
	frozen_us = sys_real.now_us();
	HOLD();
	CONNECT(&self->c);
	EXPECT_TRUE(waits(&self->c));
	frozen_us += 3000000;
	LET_GO();
	UNTIL(self->c.open);
	EXPECT_EQ(3000000, self->c.info.connect_us);
}

TEST_F(budget, abort_ends_the_wait)
{
	START();
	HOLD();
	CONNECT(&self->c);
	EXPECT_TRUE(waits(&self->c));
	ktc_conn_abort(self->c.conn);
	UNTIL(self->c.closed);
	EXPECT_EQ(-KTC_E_CANCELED, self->c.err);
	EXPECT_STREQ(WAITING, self->c.error.state);
	EXPECT_EQ(1, self->c.events);
	/* it had no place to give back */
	CONNECT(&self->c);
	EXPECT_TRUE(waits(&self->c));
}

TEST_F(budget, close_ends_the_wait)
{
	int fds[2];

	START();
	HOLD_FAR();
	ASSERT_EQ(0, connect_to(self->listener, self->port, fds));
	ASSERT_EQ(0, connect_fd(&self->d, &self->c, fds[0]));
	EXPECT_TRUE(waits(&self->c));
	EXPECT_EQ(-KTC_E_STATE, ktc_conn_send(self->c.conn, "x", 1, 0));
	ASSERT_EQ(0, ktc_conn_close(self->c.conn));
	UNTIL(self->c.closed);
	EXPECT_EQ(-KTC_E_CANCELED, self->c.err);
	close(fds[1]);
}

TEST_F(budget, a_loop_may_go_while_connections_wait)
{
	int fds[2], i;

	START();
	HOLD_FAR();
	for (i = 0; i < HERD; i++)
		CONNECT(&self->herd[i]);
	ASSERT_EQ(0, connect_to(self->listener, self->port, fds));
	ASSERT_EQ(0, connect_fd(&self->d, &self->c, fds[0]));
	EXPECT_TRUE(waits(&self->c));
	ktc_loop_free(self->d.loop);
	self->d.loop = NULL;
	close(fds[1]);
	ASSERT_EQ(0, ktc_loop_new(NULL, &self->d.loop));
	EXPECT_FREE();
}

/* A timer of before can fire while it waits. */
TEST_F(budget, nobody_looks_before_the_time)
{
	START();
	frozen_us = sys_real.now_us();
	HOLD();
	CONNECT(&self->c);
	conn_timer(self->c.conn);
	conn_timer(self->c.conn);
	STATS();
	EXPECT_EQ(1, self->stats.full_waits);
	frozen_us += LIMIT_BUDGET_POLL_MS * 1000;
	ASSERT_TRUE(look_on(&self->d));
	conn_timer(self->c.conn);
	STATS();
	EXPECT_EQ(2, self->stats.full_waits);
}

/* --------------------------------------------------- what is given back -- */

TEST_F(budget, an_open_connection_takes_no_place)
{
	self->peer_opts.steps = talk;
	START();
	CONNECT(&self->c);
	UNTIL(self->c.open);
	EXPECT_FREE();
}

TEST_F(budget, a_refused_connection_takes_no_place)
{
	START();
	peer_stop(self->peer);
	self->peer = NULL;
	CONNECT(&self->c);
	EXPECT_FALSE(waits(&self->c));
	UNTIL(self->c.closed);
	EXPECT_EQ(-ECONNREFUSED, self->c.err);
	EXPECT_FREE();
}

TEST_F(budget, a_server_that_is_not_trusted_takes_no_place)
{
	self->peer_opts.steps = talk;
	self->peer_opts.cert = PEER_CERT_OTHER;
	START();
	CONNECT(&self->c);
	UNTIL(self->c.closed);
	EXPECT_EQ(-KTC_E_VERIFY_HOST, self->c.err);
	EXPECT_FREE();
}

TEST_F(budget, a_handshake_that_is_reset_takes_no_place)
{
	START();
	HOLD_FAR();
	host_reset(self->far);
	self->far = -1;
	UNTIL(self->held.closed);
	EXPECT_EQ(-ECONNRESET, self->held.err);
	EXPECT_FREE();
}

TEST_F(budget, a_handshake_that_is_aborted_takes_no_place)
{
	START();
	HOLD();
	LET_GO();
	EXPECT_FREE();
}

TEST_F(budget, a_handshake_out_of_time_takes_no_place)
{
	self->client.handshake_timeout_ms = SHORT_MS;
	START();
	HOLD();
	UNTIL(self->held.closed);
	EXPECT_EQ(-KTC_E_HANDSHAKE_TIMEOUT, self->held.err);
	EXPECT_FREE();
}

TEST_F(budget, a_call_that_fails_takes_no_place)
{
	hooked.thread = no_thread;
	START();
	EXPECT_EQ(-EAGAIN, connect_name(&self->d, &self->c, self->port));
	EXPECT_FREE();
}

/* The client has one TLS 1.3 session now. */
#define GET_SESSION() \
	do { \
		self->peer_opts.steps = talk; \
		self->peer_opts.version_min = KTC_TLS1_3; \
		self->peer_opts.tickets = 1; \
		START(); \
		CONNECT(&self->c); \
		UNTIL(self->c.received == 1); \
		ASSERT_EQ(0, ktc_conn_close(self->c.conn)); \
		UNTIL(self->c.closed); \
		STATS(); \
		ASSERT_EQ(1, self->stats.sessions); \
	} while (0)

TEST_F(budget, who_has_a_ticket_does_not_wait)
{
	GET_SESSION();
	/* this one offers none, so it takes the place */
	CONNECT_FULL(&self->held);
	CONNECT(&self->c);
	EXPECT_FALSE(waits(&self->c));
	UNTIL(self->c.open);
	EXPECT_TRUE(self->c.info.resumed);
	STATS();
	EXPECT_EQ(2, self->stats.full_begun);
	EXPECT_EQ(0, self->stats.full_waits);
}

/* It had leave for a full handshake, which somebody else can have now. */
TEST_F(budget, a_ticket_that_comes_while_it_connects_is_taken)
{
	struct inventory *inventory;
	uint8_t id[ORIGIN_ID_LEN];
	struct ticket *ticket;
	uint64_t again_us;

	GET_SESSION();
	inventory = self->d.client->inventory;
	CONNECT(&self->held);	/* has the ticket, for its identity */
	memcpy(id, self->held.conn->setup->origin.id, sizeof(id));
	ktc_conn_abort(self->held.conn);
	UNTIL(self->held.closed);
	ASSERT_EQ(KTC_WHY_NOTHING, inventory_take(inventory, id, &ticket));
	CONNECT(&self->c);
	EXPECT_STREQ("connecting", state_of(&self->c));
	EXPECT_EQ(-EAGAIN, inventory_full_begin(inventory, id, 0, &again_us));
	inventory_putback(inventory, id, ticket);
	UNTIL(self->c.open);
	EXPECT_TRUE(self->c.info.resumed);
	EXPECT_EQ(0, inventory_full_begin(inventory, id, 0, &again_us));
	inventory_full_end(inventory, id);
}

TEST_F(budget, a_ticket_comes_back_when_nobody_is_there)
{
	GET_SESSION();
	peer_stop(self->peer);
	self->peer = NULL;
	CONNECT(&self->c);
	STATS();
	EXPECT_EQ(0, self->stats.sessions);
	UNTIL(self->c.closed);
	EXPECT_EQ(-ECONNREFUSED, self->c.err);
	STATS();
	EXPECT_EQ(1, self->stats.sessions);
	EXPECT_EQ(1, self->stats.putbacks);
}

TEST_F(budget, a_ticket_comes_back_when_the_call_fails)
{
	hooked.thread = no_thread;
	GET_SESSION();
	EXPECT_EQ(-EAGAIN, connect_name(&self->d, &self->c, self->port));
	STATS();
	EXPECT_EQ(1, self->stats.sessions);
	EXPECT_EQ(1, self->stats.putbacks);
}

/* Takes a ticket, if that is done before there is TCP, and gets no further. */
#define RESOLVE_AND_STAY() \
	do { \
		hooked.lookup = stuck_lookup; \
		pthread_mutex_lock(&gate); \
		GET_SESSION(); \
		ASSERT_EQ(0, connect_name(&self->d, &self->c, self->port)); \
		EXPECT_STREQ("resolving", state_of(&self->c)); \
		STATS(); \
		pthread_mutex_unlock(&gate); \
		UNTIL(self->c.closed); \
	} while (0)

TEST_F(budget, with_one_a_ticket_is_taken_first)
{
	RESOLVE_AND_STAY();
	EXPECT_EQ(2, self->stats.takes);
	EXPECT_EQ(0, self->stats.sessions);
}

TEST_F(budget, without_one_a_ticket_is_taken_when_tcp_is_there)
{
	self->client.full_at_once = 0;
	RESOLVE_AND_STAY();
	EXPECT_EQ(1, self->stats.takes);
	EXPECT_EQ(1, self->stats.sessions);
	EXPECT_EQ(0, self->stats.full_begun);
}

/* ----------------------------------------------------------- the charge -- */

/*
 * The same place with other ticket keys declines what it gave before. The
 * budget's next moment has come by then; only the charge makes the third one
 * wait.
 */
TEST_F(budget, a_declined_ticket_is_charged)
{
	struct sockaddr_in addr;

	self->client.full_at_once = 0;
	self->client.full_per_s = 1;
	self->peer_opts.steps = talk;
	self->listener = host_listen(4, &addr);
	ASSERT_LE(0, self->listener);
	frozen_us = sys_real.now_us();
	START();
	self->port = ntohs(addr.sin_port);
	SERVE(&self->herd[0]);
	UNTIL(self->herd[0].received == 1);
	peer_stop(self->peer);
	ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer));
	frozen_us += 1000000;
	SERVE(&self->held);
	UNTIL(self->held.open);
	EXPECT_EQ(KTC_WHY_DECLINED, self->held.info.why_not_resumed);
	STATS();
	EXPECT_EQ(1, self->stats.full_begun);
	CONNECT_FULL(&self->c);
	EXPECT_TRUE(waits(&self->c));
	frozen_us += 1000000;
	ASSERT_TRUE(shakes_hands(&self->d, &self->c));
}

TEST_F(budget, a_resumed_handshake_is_not_charged)
{
	self->client.full_at_once = 0;
	self->client.full_per_s = 1;
	frozen_us = sys_real.now_us();
	GET_SESSION();
	frozen_us += 1000000;
	CONNECT(&self->held);
	UNTIL(self->held.open);
	EXPECT_TRUE(self->held.info.resumed);
	CONNECT_FULL(&self->c);
	EXPECT_FALSE(waits(&self->c));
	UNTIL(self->c.open);
}

TEST_HARNESS_MAIN
