// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the public functions refuse: each option that makes no sense, structs
 * of an impossible size, calls in the wrong state. A refusal names the option
 * and leaves the outputs as they were.
 */
#include "kselftest_harness.h"

#include <ktlsclient.h>

#include <limits.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "certs.h"
#include "host.h"

/* The options of a version to come: what we know, and more. */
#define LONGER(type) \
	struct { \
		struct type opts; \
		uint64_t more; \
	}

/* ----------------------------------------------------------- client -- */

FIXTURE(client)
{
	char dir[CERTS_DIR_MAX];
	char path[2][CERTS_DIR_MAX + 16];
	struct ktc_client_opts opts;
};

FIXTURE_SETUP(client)
{
	ASSERT_EQ(0, certs_make_temp(self->dir));
	self->opts.size = sizeof(self->opts);
	self->opts.ca_file = self->path[0];
	snprintf(self->path[0], sizeof(self->path[0]), "%s/ca.pem", self->dir);
}

FIXTURE_TEARDOWN(client)
{
	certs_remove(self->dir);
}

static void refuses(struct __test_metadata *const _metadata,
		    struct ktc_client_opts *opts, int err, const char *name)
{
	struct ktc_client *client = (void *)1;
	char why[200] = "";

	EXPECT_EQ(err, ktc_client_check(opts, why, sizeof(why)));
	EXPECT_NE(NULL, strstr(why, name)) TH_LOG("%s: %s", name, why);
	EXPECT_EQ(err, ktc_client_new(opts, &client));
	EXPECT_EQ((void *)1, client);
	/* the sentence is cut, not written past the end */
	memset(why, 'x', sizeof(why));
	EXPECT_EQ(err, ktc_client_check(opts, why, 4));
	EXPECT_GT(4, strlen(why));
	EXPECT_EQ(err, ktc_client_check(opts, NULL, 0));
}

#define REFUSES(err, name, ...) \
	do { \
		struct ktc_client_opts opts = self->opts; \
		\
		__VA_ARGS__; \
		refuses(_metadata, &opts, err, name); \
	} while (0)

TEST_F(client, refuses_what_makes_no_sense)
{
	const int err = -KTC_E_OPTION;

	REFUSES(err, "flags", opts.flags = 1U << 31);
	REFUSES(err, "policy", opts.policy = KTC_POLICY_NEVER + 1);
	REFUSES(err, "policy", opts.policy = -1);
	REFUSES(err, "reserved0", opts.reserved0 = 1);
	REFUSES(err, "reserved1", opts.reserved1 = 1);
	REFUSES(err, "version_min", opts.version_min = 0x0302);
	REFUSES(err, "version_max", opts.version_max = 0x0305);
	REFUSES(err, "version_min", opts.version_min = KTC_TLS1_3;
		opts.version_max = KTC_TLS1_2);
	REFUSES(err, "tls12_ciphers", opts.tls12_ciphers = "NONSENSE");
	REFUSES(err, "tls12_ciphers", opts.tls12_ciphers = "");
	REFUSES(err, "tls13_suites", opts.tls13_suites = "NONSENSE");
	REFUSES(err, "groups", opts.groups = "nonsense");
	REFUSES(err, "alpn", opts.alpn = "h2,,h3");
	REFUSES(err, "alpn", opts.alpn = "h2 ");
	REFUSES(err, "sessions_max", opts.sessions_max = UINT32_MAX);
	REFUSES(err, "tickets_per_identity",
		opts.tickets_per_identity = UINT32_MAX);
	REFUSES(err, "sessions_bytes_max", opts.sessions_bytes_max = 1);
	REFUSES(err, "sessions_bytes_max",
		opts.sessions_bytes_max = UINT64_MAX);
	REFUSES(err, "full_per_s", opts.full_per_s = UINT32_MAX);
	REFUSES(err, "full_at_once", opts.full_at_once = UINT32_MAX);
	REFUSES(err, "cert_file", opts.key_file = "key.pem");
	REFUSES(err, "key_file", opts.cert_file = "cert.pem");
	REFUSES(err, "crl_file", opts.flags = KTC_CLIENT_CRL_CHECK_ALL);
	REFUSES(err, "ca_file", opts.ca_file = "");
}

TEST_F(client, refuses_files_it_cannot_use)
{
	const int err = -KTC_E_CONFIG_FILE;
	char *path = self->path[1];
	char cert[CERTS_DIR_MAX + 16];

	snprintf(path, sizeof(self->path[1]), "%s/none", self->dir);
	snprintf(cert, sizeof(cert), "%s/client.pem", self->dir);
	REFUSES(err, "ca_file", opts.ca_file = path);
	REFUSES(err, "ca_dir", opts.ca_dir = path);
	REFUSES(err, "crl_file", opts.crl_file = path);
	REFUSES(err, "cert_file", opts.cert_file = opts.key_file = path);
	REFUSES(err, "key_file", opts.cert_file = cert; opts.key_file = path);
	/* a file, and not what it should be */
	snprintf(path, sizeof(self->path[1]), "%s/server.key", self->dir);
	REFUSES(err, "ca_file", opts.ca_file = path);
	REFUSES(err, "crl_file", opts.crl_file = path);
	REFUSES(err, "cert_file", opts.cert_file = opts.key_file = path);
	/* a key of another certificate */
	REFUSES(err, "key_file", opts.cert_file = cert; opts.key_file = path);
}

TEST_F(client, takes_what_makes_sense)
{
	struct ktc_client *client;
	char why[200];

	ASSERT_EQ(0, ktc_client_check(&self->opts, why, sizeof(why)))
		TH_LOG("%s", why);
	EXPECT_STREQ("", why);
	ASSERT_EQ(0, ktc_client_new(&self->opts, &client));
	EXPECT_EQ(client, ktc_client_get(client));
	ktc_client_put(client);
	ktc_client_put(client);
	ktc_client_put(NULL);
	EXPECT_EQ(-KTC_E_OPTION, ktc_client_new(&self->opts, NULL));
}

TEST_F(client, takes_opts_of_later_versions)
{
	LONGER(ktc_client_opts) longer = { .opts = self->opts };
	struct ktc_client *client;
	size_t size;

	longer.opts.size = sizeof(longer);
	ASSERT_EQ(0, ktc_client_new(&longer.opts, &client));
	ktc_client_put(client);
	longer.more = 1;
	refuses(_metadata, &longer.opts, -KTC_E_OPTION, "size");
	for (size = 0; size <= sizeof(size); size += sizeof(size)) {
		longer.opts.size = size;
		refuses(_metadata, &longer.opts, -KTC_E_OPTION, "size");
	}
	longer.opts.size = SIZE_MAX;
	refuses(_metadata, &longer.opts, -KTC_E_OPTION, "size");
}

TEST_F(client, fills_stats_of_any_version)
{
	struct {
		struct ktc_client_stats stats;
		uint64_t more;
	} out = { .more = 77 };
	struct ktc_client *client;

	ASSERT_EQ(0, ktc_client_new(&self->opts, &client));
	out.stats.size = 0;
	EXPECT_EQ(-KTC_E_OPTION, ktc_client_stats(client, &out.stats));
	out.stats.size = sizeof(out.stats);
	EXPECT_EQ(0, ktc_client_stats(client, &out.stats));
	EXPECT_EQ(77, out.more);
	out.stats.size = sizeof(out);
	EXPECT_EQ(0, ktc_client_stats(client, &out.stats));
	EXPECT_EQ(0, out.more);
	EXPECT_EQ(sizeof(out), out.stats.size);
	EXPECT_EQ(-KTC_E_OPTION, ktc_client_stats(client, NULL));
	ktc_client_put(client);
}

TEST_F(client, fills_stats_of_the_first_version_and_no_more)
{
	struct ktc_client_stats stats;
	struct ktc_client *client;
	size_t i;

	ASSERT_EQ(0, ktc_client_new(&self->opts, &client));
	memset(&stats, 0x5a, sizeof(stats));
	stats.size = offsetof(struct ktc_client_stats, misses_taken);
	EXPECT_EQ(0, ktc_client_stats(client, &stats));
	EXPECT_EQ(0, stats.evictions);
	for (i = stats.size; i < sizeof(stats); i++)
		ASSERT_EQ(0x5a, ((uint8_t *)&stats)[i]);
	ktc_client_put(client);
}

TEST_F(client, fills_the_stats_of_each_shard_of_any_version)
{
	struct {
		struct ktc_client_stats stats;
		uint64_t more;
	} out = { .more = 77 };
	struct ktc_client *client;
	unsigned int i, shards;

	ASSERT_EQ(0, ktc_client_new(&self->opts, &client));
	shards = ktc_client_shards(client);
	ASSERT_LE(1, shards);
	for (i = 0; i < shards; i++) {
		out.stats.size = sizeof(out.stats);
		out.stats.sessions = 5;
		EXPECT_EQ(0, ktc_client_shard_stats(client, i, &out.stats));
		EXPECT_EQ(0, out.stats.sessions);
		EXPECT_EQ(77, out.more);
	}
	out.stats.size = sizeof(out);
	EXPECT_EQ(0, ktc_client_shard_stats(client, 0, &out.stats));
	EXPECT_EQ(0, out.more);
	EXPECT_EQ(sizeof(out), out.stats.size);
	ktc_client_put(client);
}

TEST_F(client, refuses_shards_that_are_not_there)
{
	struct ktc_client_stats stats = { .size = sizeof(stats) };
	struct ktc_client *client;
	unsigned int shards;

	ASSERT_EQ(0, ktc_client_new(&self->opts, &client));
	shards = ktc_client_shards(client);
	EXPECT_EQ(-KTC_E_OPTION, ktc_client_shard_stats(client, shards,
							&stats));
	EXPECT_EQ(-KTC_E_OPTION, ktc_client_shard_stats(client, UINT_MAX,
							&stats));
	EXPECT_EQ(-KTC_E_OPTION, ktc_client_shard_stats(client, 0, NULL));
	EXPECT_EQ(-KTC_E_OPTION, ktc_client_shard_stats(NULL, 0, &stats));
	stats.size = 0;
	EXPECT_EQ(-KTC_E_OPTION, ktc_client_shard_stats(client, 0, &stats));
	ktc_client_put(client);
}

/* ------------------------------------------------------------- loop -- */

#define LOOP_REFUSES(...) \
	do { \
		struct ktc_loop_opts opts = { \
			.size = sizeof(opts), __VA_ARGS__ \
		}; \
		struct ktc_loop *loop = (void *)1; \
		\
		EXPECT_EQ(-KTC_E_OPTION, ktc_loop_new(&opts, &loop)); \
		EXPECT_EQ((void *)1, loop); \
	} while (0)

TEST(loop_refuses_what_makes_no_sense)
{
	LOOP_REFUSES(.buffers = 3);
	LOOP_REFUSES(.buffers = 65536);
	LOOP_REFUSES(.entries = UINT32_MAX);
	LOOP_REFUSES(.conns_max = UINT32_MAX);
	/* these are of a ring of the caller's */
	LOOP_REFUSES(.mark = 1);
	LOOP_REFUSES(.buf_group = 1);
	EXPECT_EQ(-KTC_E_OPTION, ktc_loop_new(NULL, NULL));
}

TEST(loop_takes_opts_of_later_versions)
{
	LONGER(ktc_loop_opts) longer = { .opts.size = sizeof(longer) };
	struct ktc_event ev;
	struct ktc_loop *loop;

	ASSERT_EQ(0, ktc_loop_new(&longer.opts, &loop));
	EXPECT_EQ(-KTC_E_OPTION, ktc_loop_events(loop, &ev, 0, 0));
	EXPECT_EQ(-KTC_E_OPTION, ktc_loop_events(loop, NULL, 1, 0));
	EXPECT_EQ(-KTC_E_OPTION, ktc_loop_events(loop, &ev, 1, -2));
	EXPECT_EQ(0, ktc_loop_events(loop, &ev, 1, 0));
	ktc_loop_free(loop);
	ktc_loop_free(NULL);
	longer.more = 1;
	EXPECT_EQ(-KTC_E_OPTION, ktc_loop_new(&longer.opts, &loop));
	longer.opts.size = 8;
	EXPECT_EQ(-KTC_E_OPTION, ktc_loop_new(&longer.opts, &loop));
}

/* ------------------------------------------------------- connection -- */

FIXTURE(conn)
{
	struct ktc_client *client;
	struct ktc_loop *loop;
	struct sockaddr_in addr;
};

FIXTURE_SETUP(conn)
{
	ASSERT_EQ(0, ktc_client_new(NULL, &self->client));
	ASSERT_EQ(0, ktc_loop_new(NULL, &self->loop));
	self->addr = host_loopback(9);
}

FIXTURE_TEARDOWN(conn)
{
	ktc_loop_free(self->loop);
	ktc_client_put(self->client);
}

#define CONN_REFUSES(...) \
	do { \
		struct ktc_conn_opts opts = { \
			.size = sizeof(opts), __VA_ARGS__ \
		}; \
		struct ktc_conn *conn = (void *)1; \
		\
		EXPECT_EQ(-KTC_E_OPTION, ktc_connect(self->loop, \
						     self->client, &opts, \
						     &conn)); \
		EXPECT_EQ((void *)1, conn); \
	} while (0)

#define HOST .host = "localhost", .port = 9
#define ADDR .addr = (struct sockaddr *)&self->addr, \
	.addr_len = sizeof(self->addr), .server_name = "localhost"

TEST_F(conn, refuses_what_makes_no_sense)
{
	struct sockaddr_un unnamed = { .sun_family = AF_UNIX };
	struct sockaddr odd = { .sa_family = AF_NETLINK };
	char scope[600];

	memset(scope, 'a', sizeof(scope));
	scope[sizeof(scope) - 1] = '\0';

	/* where to: exactly one way */
	CONN_REFUSES(.fd = -1);
	CONN_REFUSES(.fd = -2, HOST);
	CONN_REFUSES(HOST, ADDR);
	CONN_REFUSES(.fd = 1, HOST);
	CONN_REFUSES(.fd = 1, ADDR);
	CONN_REFUSES(.host = "localhost");
	CONN_REFUSES(.host = "", .port = 9);
	CONN_REFUSES(.host = "local host", .port = 9);
	CONN_REFUSES(.host = "localhost:9", .port = 9);
	CONN_REFUSES(.host = "127.1", .port = 9);
	CONN_REFUSES(.host = "[::1", .port = 9);
	CONN_REFUSES(ADDR, .port = 9);
	CONN_REFUSES(HOST, .addr_len = 16);
	CONN_REFUSES(.addr = (struct sockaddr *)&self->addr, .addr_len = 1,
		     .server_name = "localhost");
	CONN_REFUSES(.addr = (struct sockaddr *)&self->addr, .addr_len = 4096,
		     .server_name = "localhost");
	CONN_REFUSES(.addr = &odd, .addr_len = sizeof(odd),
		     .server_name = "localhost");
	CONN_REFUSES(.addr = (struct sockaddr *)&unnamed,
		     .addr_len = sizeof(sa_family_t),
		     .server_name = "localhost");

	/* whom to verify */
	CONN_REFUSES(.addr = (struct sockaddr *)&self->addr,
		     .addr_len = sizeof(self->addr));
	CONN_REFUSES(HOST, .server_name = "");
	CONN_REFUSES(HOST, .server_name = "*.test");

	CONN_REFUSES(HOST, .alpn = ",");
	CONN_REFUSES(HOST, .scope = "");
	CONN_REFUSES(HOST, .scope = scope);
	CONN_REFUSES(HOST, .flags = 1U << 31);
	CONN_REFUSES(HOST, .policy = KTC_POLICY_NEVER + 1);
	CONN_REFUSES(HOST, .reserved0 = 1);
	CONN_REFUSES(HOST, .reserved1 = 1);
	self->addr.sin_port = 0;
	CONN_REFUSES(ADDR);

	EXPECT_EQ(-KTC_E_OPTION,
		  ktc_connect(self->loop, self->client, NULL, NULL));
}

TEST_F(conn, refuses_opts_of_a_wrong_size)
{
	LONGER(ktc_conn_opts) longer = {
		.opts = { .size = sizeof(longer), ADDR }, .more = 1,
	};

	EXPECT_EQ(-KTC_E_OPTION, ktc_connect(self->loop, self->client,
					     &longer.opts, NULL));
	longer.opts.size = 8;
	EXPECT_EQ(-KTC_E_OPTION, ktc_connect(self->loop, self->client,
					     &longer.opts, NULL));
	longer.opts.size = sizeof(longer);
	longer.more = 0;
	EXPECT_EQ(0, ktc_connect(self->loop, self->client, &longer.opts,
				 NULL));
}

/* Before OPEN: a socket that waits for the ServerHello. */
TEST_F(conn, refuses_calls_in_the_wrong_state)
{
	struct ktc_conn_opts opts = {
		.size = sizeof(opts), .server_name = "localhost",
		.policy = KTC_POLICY_NEVER,
	};
	struct ktc_conn *conn;
	uint64_t relayed[2];
	char byte = 0;
	int fds[2];

	ASSERT_EQ(0, host_tcp_pair(fds));
	opts.fd = fds[0];
	ASSERT_EQ(0, ktc_connect(self->loop, self->client, &opts, &conn));
	EXPECT_EQ(-KTC_E_STATE, ktc_conn_send(conn, &byte, 1, 0));
	EXPECT_EQ(-KTC_E_STATE, ktc_conn_sendfile(conn, 0, 0, 1, 0));
	EXPECT_EQ(-KTC_E_STATE, ktc_conn_rekey(conn, false));
	EXPECT_EQ(-KTC_E_POLICY, ktc_conn_offload(conn));
	EXPECT_EQ(-KTC_E_POLICY, ktc_conn_detach(conn));
	EXPECT_EQ(-KTC_E_STATE, ktc_conn_relayed(conn, relayed));
	EXPECT_EQ(-KTC_E_OPTION, ktc_conn_relayed(conn, NULL));
	EXPECT_EQ(-KTC_E_OPTION, ktc_conn_relayed(NULL, relayed));
	EXPECT_EQ(-KTC_E_OPTION, ktc_conn_send(conn, NULL, 1, 0));
	EXPECT_EQ(-KTC_E_OPTION, ktc_conn_send(conn, &byte, 0, 0));
	EXPECT_EQ(-KTC_E_OPTION, ktc_conn_sendfile(conn, -1, 0, 1, 0));
	EXPECT_EQ(-KTC_E_OPTION, ktc_conn_sendfile(conn, 0, 0, 0, 0));
	EXPECT_EQ(-KTC_E_OPTION,
		  ktc_conn_sendfile(conn, 0, UINT64_MAX, 2, 0));
	EXPECT_EQ(0, ktc_conn_recv_pause(conn));
	EXPECT_EQ(0, ktc_conn_recv_resume(conn));
	ktc_conn_abort(conn);
	EXPECT_EQ(-KTC_E_STATE, ktc_conn_recv_pause(conn));
	EXPECT_EQ(-KTC_E_STATE, ktc_conn_recv_resume(conn));
	close(fds[1]);
}

TEST_F(conn, fills_info_and_error_of_any_version)
{
	struct ktc_conn_opts opts = {
		.size = sizeof(opts), .server_name = "localhost",
	};
	struct {
		struct ktc_conn_info info;
		uint64_t more;
	} info = { .more = 77 };
	struct {
		struct ktc_conn_error error;
		uint64_t more;
	} error = { .more = 77 };
	struct ktc_conn *conn;
	int fds[2];

	ASSERT_EQ(0, host_tcp_pair(fds));
	opts.fd = fds[0];
	ASSERT_EQ(0, ktc_connect(self->loop, self->client, &opts, &conn));
	EXPECT_EQ(-KTC_E_OPTION, ktc_conn_info(conn, &info.info));
	EXPECT_EQ(-KTC_E_OPTION, ktc_conn_error(conn, &error.error));
	info.info.size = sizeof(info.info);
	error.error.size = sizeof(error.error);
	EXPECT_EQ(0, ktc_conn_info(conn, &info.info));
	EXPECT_EQ(0, ktc_conn_error(conn, &error.error));
	EXPECT_EQ(77, info.more);
	EXPECT_EQ(77, error.more);
	EXPECT_EQ(0, error.error.err);
	EXPECT_EQ(-1, error.error.alert);
	EXPECT_STREQ("handshaking", info.info.state);
	info.info.size = sizeof(info);
	error.error.size = sizeof(error);
	EXPECT_EQ(0, ktc_conn_info(conn, &info.info));
	EXPECT_EQ(0, ktc_conn_error(conn, &error.error));
	EXPECT_EQ(0, info.more);
	EXPECT_EQ(0, error.more);
	close(fds[1]);
}

TEST(caps_are_filled_for_any_version)
{
	struct ktc_caps caps = { .size = 0 };

	EXPECT_EQ(-KTC_E_OPTION, ktc_probe(&caps));
	EXPECT_EQ(-KTC_E_OPTION, ktc_probe(NULL));
	caps.size = sizeof(caps);
	EXPECT_EQ(0, ktc_probe(&caps));
	EXPECT_EQ(caps.ktls, !caps.ktls_errno);
}

TEST_HARNESS_MAIN
