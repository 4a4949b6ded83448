// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: whom we talk to is checked, and no two differing identities
 * have one id.
 */
#include "origin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "config.h"
#include "limit.h"
#include "sys.h"

#include "kselftest_harness.h"

static struct config config;	/* all zero: verification is on */
static struct origin origin;

static struct ktc_conn_opts opts_new(void)
{
	return (struct ktc_conn_opts){
		.size = sizeof(struct ktc_conn_opts), .fd = -1,
	};
}

static struct ktc_conn_opts opts_host(const char *host, uint16_t port)
{
	struct ktc_conn_opts opts = opts_new();

	opts.host = host;
	opts.port = port;
	return opts;
}

static int check(const struct ktc_conn_opts *opts)
{
	int err = origin_init(&origin, &config, opts, NULL, 0);

	if (!err)
		origin_fini(&origin);
	return err;
}

static int check_host(const char *host)
{
	struct ktc_conn_opts opts = opts_host(host, 443);

	return check(&opts);
}

static struct sockaddr_in in4(const char *text, uint16_t port)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_port = htons(port),
	};

	(void)inet_pton(AF_INET, text, &in.sin_addr);
	return in;
}

TEST(a_host_is_normalised_for_its_name_and_kept_for_the_resolver)
{
	struct ktc_conn_opts opts = opts_host("WWW.Example.COM.", 443);

	ASSERT_EQ(0, origin_init(&origin, &config, &opts, NULL, 0));
	EXPECT_STREQ("www.example.com", origin.name);
	EXPECT_STREQ("WWW.Example.COM.", origin.host);
	EXPECT_FALSE(origin.name_is_ip);
	EXPECT_EQ(443, origin.port);
	EXPECT_EQ(0, origin.addr_len);
	EXPECT_EQ(NULL, origin.alpn);
	origin_fini(&origin);
	origin_fini(&origin);	/* what is empty stays empty */
}

TEST(an_ip_literal_is_no_name)
{
	struct ktc_conn_opts opts = opts_host("[2001:DB8::1]", 443);

	ASSERT_EQ(0, origin_init(&origin, &config, &opts, NULL, 0));
	EXPECT_TRUE(origin.name_is_ip);
	EXPECT_EQ(16, origin.name_ip_len);
	EXPECT_EQ(0x20, origin.name_ip[0]);
	EXPECT_EQ(1, origin.name_ip[15]);
	EXPECT_STREQ("2001:db8::1", origin.name);
	EXPECT_STREQ("2001:db8::1", origin.host);
	origin_fini(&origin);
	opts = opts_host("192.0.2.7", 443);
	ASSERT_EQ(0, origin_init(&origin, &config, &opts, NULL, 0));
	EXPECT_TRUE(origin.name_is_ip);
	EXPECT_EQ(4, origin.name_ip_len);
	EXPECT_EQ(0, memcmp("\xc0\0\2\7", origin.name_ip, 4));
	origin_fini(&origin);
}

TEST(good_names_are_taken)
{
	static const char *const good[] = {
		"a", "localhost", "_dmarc.example.com", "a-b.c_d.example",
		"3com.com", "xn--mnchen-3ya.example", "1.2.3.4.example", "::1",
		"[::1]", "127.0.0.1", "1e3a",
	};
	char label[65], name[LIMIT_NAME + 2];
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		EXPECT_EQ(0, check_host(good[i])) TH_LOG("name %zu", i);
	memset(label, 'a', 63);
	label[63] = '\0';
	EXPECT_EQ(0, check_host(label));
	/* 253 characters and the root's dot */
	memset(name, 'a', sizeof(name));
	for (i = 49; i < LIMIT_NAME; i += 50)
		name[i] = '.';
	name[LIMIT_NAME] = '.';
	name[LIMIT_NAME + 1] = '\0';
	EXPECT_EQ(0, check_host(name));
}

TEST(bad_names_are_refused)
{
	static const char *const bad[] = {
		"", ".", "..", "a..b", ".a", "a..", "a b", "a/b", "a:b",
		"*.example.com", "-a.example", "a-.example", "m\xc3\xbcnchen",
		"a@b", "example.com\n", "127.1", "2130706433", "0x7f000001",
		"1.2.3.4.5", "999.1.1.1", "a.0x1f", "0x", "[::1", "::1]",
		"[1.2.3.4]", "[]", "fe80::1%lo", "1::2::3", "[example.com]",
	};
	char label[65], name[LIMIT_NAME + 2];
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EXPECT_EQ(-KTC_E_OPTION, check_host(bad[i]))
			TH_LOG("name %zu", i);
	memset(label, 'a', 64);
	label[64] = '\0';
	EXPECT_EQ(-KTC_E_OPTION, check_host(label));
	memset(name, 'a', sizeof(name));
	for (i = 49; i < LIMIT_NAME; i += 50)
		name[i] = '.';
	name[LIMIT_NAME + 1] = '\0';
	EXPECT_EQ(-KTC_E_OPTION, check_host(name));
}

TEST(exactly_one_endpoint_is_needed)
{
	struct sockaddr_in in = in4("127.0.0.1", 443);
	struct ktc_conn_opts opts = opts_new();

	opts.server_name = "x.test";
	EXPECT_EQ(-KTC_E_OPTION, check(&opts));
	opts.host = "x.test";
	opts.port = 443;
	EXPECT_EQ(0, check(&opts));
	opts.fd = 0;	/* a zeroed struct */
	EXPECT_EQ(0, check(&opts));
	opts.fd = 3;
	EXPECT_EQ(-KTC_E_OPTION, check(&opts));
	opts.fd = -9;	/* an error taken for a descriptor */
	EXPECT_EQ(-KTC_E_OPTION, check(&opts));
	opts.fd = -1;
	opts.addr = (struct sockaddr *)&in;
	opts.addr_len = sizeof(in);
	EXPECT_EQ(-KTC_E_OPTION, check(&opts));
	opts.host = NULL;
	EXPECT_EQ(-KTC_E_OPTION, check(&opts));	/* the port is twice there */
	opts.port = 0;
	EXPECT_EQ(0, check(&opts));
	opts.fd = 3;
	EXPECT_EQ(-KTC_E_OPTION, check(&opts));
	opts.addr = NULL;
	EXPECT_EQ(-KTC_E_OPTION, check(&opts));	/* a length of nothing */
	opts.addr_len = 0;
	EXPECT_EQ(0, check(&opts));
	opts.fd = 0;
	EXPECT_EQ(0, check(&opts));
}

TEST(senseless_fields_are_refused)
{
	struct ktc_conn_opts opts;

#define REFUSED(change) \
	do { \
		opts = opts_host("x.test", 443); \
		change; \
		EXPECT_EQ(-KTC_E_OPTION, check(&opts)); \
	} while (0)
	REFUSED(opts.port = 0);
	REFUSED(opts.flags = 1U << 3);
	REFUSED(opts.policy = KTC_POLICY_NEVER + 1);
	REFUSED(opts.reserved0 = 1);
	REFUSED(opts.reserved1 = 1);
	REFUSED(opts.server_name = "");
	REFUSED(opts.server_name = "a b");
	REFUSED(opts.alpn = "h2,");
	REFUSED(opts.scope = "");
}

TEST(a_scope_is_bounded)
{
	struct ktc_conn_opts opts = opts_host("x.test", 443);
	char scope[LIMIT_SCOPE + 2];

	memset(scope, 's', sizeof(scope));
	scope[LIMIT_SCOPE + 1] = '\0';
	opts.scope = scope;
	EXPECT_EQ(-KTC_E_OPTION, check(&opts));
	scope[LIMIT_SCOPE] = '\0';
	EXPECT_EQ(0, check(&opts));
}

TEST(verification_without_a_name_is_refused)
{
	struct sockaddr_in in = in4("127.0.0.1", 443);
	struct ktc_conn_opts opts = opts_new();

	opts.addr = (struct sockaddr *)&in;
	opts.addr_len = sizeof(in);
	EXPECT_EQ(-KTC_E_OPTION, check(&opts));
	config.flags = KTC_CLIENT_INSECURE_NO_VERIFY;
	ASSERT_EQ(0, origin_init(&origin, &config, &opts, NULL, 0));
	EXPECT_EQ(NULL, origin.name);
	EXPECT_EQ(sizeof(in), origin.addr_len);
	EXPECT_EQ(443, origin.port);
	EXPECT_EQ(0, memcmp(&in, &origin.addr, sizeof(in)));
	origin_fini(&origin);
	opts.addr = NULL;
	opts.addr_len = 0;
	opts.fd = 3;
	EXPECT_EQ(0, check(&opts));
	config.flags = 0;
	EXPECT_EQ(-KTC_E_OPTION, check(&opts));
}

TEST(bad_addresses_are_refused)
{
	struct sockaddr_in in = in4("127.0.0.1", 443);
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct ktc_conn_opts opts = opts_new();

	opts.server_name = "x.test";
	opts.addr = (struct sockaddr *)&in;
	opts.addr_len = sizeof(in) - 1;
	EXPECT_EQ(-KTC_E_OPTION, check(&opts));
	opts.addr_len = sizeof(struct sockaddr_storage) + 1;
	EXPECT_EQ(-KTC_E_OPTION, check(&opts));
	opts.addr_len = 1;
	EXPECT_EQ(-KTC_E_OPTION, check(&opts));
	opts.addr_len = sizeof(in);
	in.sin_port = 0;
	EXPECT_EQ(-KTC_E_OPTION, check(&opts));
	in.sin_port = htons(1);
	in.sin_family = AF_APPLETALK;
	EXPECT_EQ(-KTC_E_OPTION, check(&opts));
	opts.addr = (struct sockaddr *)&un;
	opts.addr_len = offsetof(struct sockaddr_un, sun_path);
	EXPECT_EQ(-KTC_E_OPTION, check(&opts));
	opts.addr_len = sizeof(un) + 1;
	EXPECT_EQ(-KTC_E_OPTION, check(&opts));
}

TEST(alpn_is_the_clients_unless_said)
{
	struct ktc_conn_opts opts = opts_host("x.test", 443);
	uint8_t wire[] = { 2, 'h', '2' };

	config.alpn = wire;
	config.alpn_len = sizeof(wire);
	ASSERT_EQ(0, origin_init(&origin, &config, &opts, NULL, 0));
	EXPECT_EQ(3, origin.alpn_len);
	EXPECT_NE(&wire[0], origin.alpn);
	origin_fini(&origin);
	opts.alpn = "";
	ASSERT_EQ(0, origin_init(&origin, &config, &opts, NULL, 0));
	EXPECT_EQ(NULL, origin.alpn);
	origin_fini(&origin);
	opts.alpn = "dot";
	ASSERT_EQ(0, origin_init(&origin, &config, &opts, NULL, 0));
	EXPECT_EQ(4, origin.alpn_len);
	origin_fini(&origin);
}

/* ------------------------------------------------------- identities -- */

struct id {
	uint8_t bytes[ORIGIN_ID_LEN];
};

static struct id id_of(const struct ktc_conn_opts *opts, const void *peer,
		       socklen_t peer_len)
{
	struct id id = { { 0 } };

	if (!origin_init(&origin, &config, opts, peer, peer_len)) {
		memcpy(&id, origin.id, sizeof(id));
		origin_fini(&origin);
	}
	return id;
}

static bool equal(struct id a, struct id b)
{
	return !memcmp(&a, &b, sizeof(a));
}

TEST(one_server_written_differently_is_one_identity)
{
	struct sockaddr_in in = in4("192.0.2.1", 443);
	struct ktc_conn_opts a = opts_host("Example.test", 443);
	struct ktc_conn_opts b = opts_host("EXAMPLE.test.", 443);
	struct ktc_conn_opts c = opts_new(), d = opts_new();

	EXPECT_TRUE(equal(id_of(&a, NULL, 0), id_of(&b, NULL, 0)));
	b.flags = KTC_CONN_RECV_PAUSED;
	b.policy = KTC_POLICY_NEVER;
	b.user = &b;
	EXPECT_TRUE(equal(id_of(&a, NULL, 0), id_of(&b, NULL, 0)));
	c.addr = (struct sockaddr *)&in;
	c.addr_len = sizeof(in);
	c.server_name = "example.test";
	d.fd = 3;
	d.server_name = "example.test";
	EXPECT_TRUE(equal(id_of(&c, NULL, 0), id_of(&d, &in, sizeof(in))));
}

/*
 * Every pair out of a set in which any two differ in something: endpoint,
 * name, port, ALPN, scope, configuration, or where in them the bytes are.
 */
TEST(no_two_differing_identities_share_an_id)
{
	static struct id ids[400];
	static const char *const names[] = { NULL, "a.test", "b.test",
					     "192.0.2.1" };
	static const char *const hosts[] = { "a.test", "b.test", "192.0.2.1",
					     "::1" };
	static const char *const alpns[] = { "", "h2", "h2,x", "x,h2" };
	static const char *const scopes[] = { NULL, "s" };
	struct ktc_conn_opts opts;
	size_t n = 0, i, j, h, s, a, c, p;

	for (i = 0; i < 2 * 4 * 4 * 4 * 3; i++) {
		c = i & 1;
		h = i >> 1 & 3;
		s = i >> 3 & 3;
		a = i >> 5 & 3;
		p = i >> 7;
		/* A scope takes the host's place: one of them will do. */
		if (p == 2 && h)
			continue;
		/* Named as the host: the default again. */
		if (s && !strcmp(names[s], hosts[h]))
			continue;
		opts = opts_host(hosts[h], 443 + (p & 1));
		opts.server_name = names[s];
		opts.alpn = alpns[a];
		opts.scope = scopes[p / 2];
		config.digest[31] = (uint8_t)c;
		ids[n++] = id_of(&opts, NULL, 0);
	}
	EXPECT_LT(200, n);
	for (i = 0; i < n; i++) {
		ASSERT_FALSE(equal(ids[i], (struct id){ { 0 } }));
		for (j = 0; j < i; j++)
			ASSERT_FALSE(equal(ids[i], ids[j]))
				TH_LOG("%zu and %zu", i, j);
	}
}

TEST(a_name_does_not_pass_for_a_scope)
{
	struct ktc_conn_opts a = opts_host("x.test", 443);
	struct ktc_conn_opts b = opts_host("x.test", 443);

	a.scope = "ab";
	a.server_name = "c";
	b.scope = "a";
	b.server_name = "bc";
	EXPECT_FALSE(equal(id_of(&a, NULL, 0), id_of(&b, NULL, 0)));
	a.scope = "p";
	a.server_name = "q";
	b.scope = "q";
	b.server_name = "p";
	EXPECT_FALSE(equal(id_of(&a, NULL, 0), id_of(&b, NULL, 0)));
}

TEST(unix_paths_abstract_names_and_hosts_are_apart)
{
	struct sockaddr_un path = { .sun_family = AF_UNIX, .sun_path = "@x" };
	struct sockaddr_un abstract = { .sun_family = AF_UNIX,
					.sun_path = "\0x" };
	struct sockaddr_un port = { .sun_family = AF_UNIX, .sun_path = "443" };
	struct sockaddr_un other;
	struct ktc_conn_opts a = opts_new(), b = opts_new();
	struct ktc_conn_opts host = opts_host("unix", 443);

	a.server_name = "unix";
	b.server_name = "unix";
	a.addr = (struct sockaddr *)&path;
	a.addr_len = sizeof(path);
	b.addr = (struct sockaddr *)&abstract;
	b.addr_len = offsetof(struct sockaddr_un, sun_path) + 2;
	EXPECT_FALSE(equal(id_of(&a, NULL, 0), id_of(&b, NULL, 0)));
	a = b;
	other = abstract;
	other.sun_path[1] = 'y';
	a.addr = (struct sockaddr *)&other;
	EXPECT_FALSE(equal(id_of(&a, NULL, 0), id_of(&b, NULL, 0)));
	EXPECT_EQ(0, check(&b));
	/* the same path, with and without its padding */
	a.addr = (struct sockaddr *)&path;
	a.addr_len = sizeof(path);
	b.addr = (struct sockaddr *)&path;
	b.addr_len = offsetof(struct sockaddr_un, sun_path) + 2;
	EXPECT_TRUE(equal(id_of(&a, NULL, 0), id_of(&b, NULL, 0)));
	a.addr = (struct sockaddr *)&port;
	EXPECT_FALSE(equal(id_of(&a, NULL, 0), id_of(&host, NULL, 0)));
}

TEST(one_link_local_address_on_two_links_is_two_servers)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6,
				  .sin6_port = htons(443),
				  .sin6_scope_id = 1 };
	struct sockaddr_in6 b;
	struct ktc_conn_opts opts = opts_new();

	ASSERT_EQ(1, inet_pton(AF_INET6, "fe80::1", &a.sin6_addr));
	b = a;
	b.sin6_scope_id = 2;
	opts.fd = 3;
	opts.server_name = "x.test";
	EXPECT_FALSE(equal(id_of(&opts, &a, sizeof(a)),
			   id_of(&opts, &b, sizeof(b))));
}

static unsigned int fail_at, allocs, live;

static void *failing_alloc(size_t size)
{
	if (++allocs == fail_at)
		return NULL;
	live++;
	return sys_real.alloc(size);
}

static void counting_free(void *p)
{
	live--;
	sys_real.free(p);
}

TEST(every_failing_allocation_is_enomem_and_leaks_nothing)
{
	struct ktc_conn_opts opts = opts_host("x.test", 443);
	struct sys_ops fake = sys_real;
	struct origin before;
	int err;

	fake.alloc = failing_alloc;
	fake.free = counting_free;
	sys = &fake;
	opts.alpn = "h2";
	for (fail_at = 1;; fail_at++) {
		memset(&origin, 0x5a, sizeof(origin));
		before = origin;
		allocs = 0;
		err = origin_init(&origin, &config, &opts, NULL, 0);
		if (allocs < fail_at)
			break;
		EXPECT_EQ(-ENOMEM, err);
		EXPECT_EQ(0, live);
		EXPECT_EQ(0, memcmp(&before, &origin, sizeof(origin)));
	}
	ASSERT_EQ(0, err);
	EXPECT_EQ(4, fail_at);
	origin_fini(&origin);
	EXPECT_EQ(0, live);
}

TEST_HARNESS_MAIN
