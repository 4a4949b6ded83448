// SPDX-License-Identifier: GPL-2.0-only
/* Description: options are checked, completed, copied and hashed. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "limit.h"
#include "sys.h"

#include "kselftest_harness.h"

static struct config config;
static char why[200];

static struct ktc_client_opts opts_new(void)
{
	return (struct ktc_client_opts){ .size = sizeof(opts_new()) };
}

/* The result; the config is thrown away. */
static int check(const struct ktc_client_opts *opts)
{
	int err;

	why[0] = '\0';
	err = config_init(&config, opts, why, sizeof(why));
	if (!err)
		config_fini(&config);
	return err;
}

FIXTURE(files)
{
	struct ktc_client_opts opts;
	uint8_t plain[32];
	char dir[64], a[80], b[80], sub[80];
};

static bool put_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return false;
	(void)fputs(text, f);
	return !fclose(f);
}

/* The digest of what opts say; zeros when they are refused. */
static void digest_of(const struct ktc_client_opts *opts, uint8_t out[32])
{
	memset(out, 0, 32);
	if (config_init(&config, opts, NULL, 0))
		return;
	memcpy(out, config.digest, 32);
	config_fini(&config);
}

static bool same(const struct ktc_client_opts *opts, const uint8_t digest[32])
{
	uint8_t now[32];

	digest_of(opts, now);
	return !memcmp(now, digest, 32);
}

FIXTURE_SETUP(files)
{
	self->opts = opts_new();
	(void)snprintf(self->dir, sizeof(self->dir), "/tmp/ktc-config-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	(void)snprintf(self->a, sizeof(self->a), "%s/a", self->dir);
	(void)snprintf(self->b, sizeof(self->b), "%s/b", self->dir);
	(void)snprintf(self->sub, sizeof(self->sub), "%s/sub", self->dir);
	ASSERT_TRUE(put_file(self->a, "one"));
	ASSERT_TRUE(put_file(self->b, "two"));
	digest_of(&self->opts, self->plain);
}

FIXTURE_TEARDOWN(files)
{
	(void)unlink(self->a);
	(void)unlink(self->b);
	(void)unlink(self->sub);
	(void)rmdir(self->sub);
	EXPECT_EQ(0, rmdir(self->dir));
}

TEST(no_options_give_the_defaults)
{
	ASSERT_EQ(0, config_init(&config, NULL, NULL, 0));
	EXPECT_EQ(KTC_POLICY_AUTO, config.policy);
	EXPECT_EQ(KTC_TLS1_2, config.version_min);
	EXPECT_EQ(KTC_TLS1_3, config.version_max);
	EXPECT_STREQ("X25519:P-256", config.groups);
	EXPECT_STREQ("TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
		     "TLS_CHACHA20_POLY1305_SHA256", config.tls13_suites);
	EXPECT_EQ(0, strncmp(config.tls12_ciphers, "ECDHE-ECDSA-AES128-GCM",
			     22));
	EXPECT_EQ(NULL, strstr(config.tls12_ciphers, "CCM"));
	EXPECT_EQ(NULL, strstr(config.tls12_ciphers, "CBC"));
	EXPECT_EQ(NULL, config.alpn);
	EXPECT_EQ(262144, config.auto_bytes);
	EXPECT_EQ(10000, config.connect_timeout_ms);
	EXPECT_EQ(10000, config.handshake_timeout_ms);
	EXPECT_EQ(0, config.idle_timeout_ms);
	EXPECT_EQ(5000, config.close_timeout_ms);
	EXPECT_EQ(1048576, config.send_queue_max);
	EXPECT_EQ(10000, config.sessions_max);
	EXPECT_EQ(256, config.tickets_per_identity);
	EXPECT_EQ(64 << 20, config.sessions_bytes_max);
	EXPECT_EQ(0, config.full_per_s);
	EXPECT_EQ(0, config.full_at_once);
	EXPECT_EQ(0, config.keepalive_ms);
	config_fini(&config);
	config_fini(&config);	/* what is empty stays empty */
}

TEST(what_is_given_is_kept_and_copied)
{
	struct ktc_client_opts opts = opts_new();
	char groups[] = "X25519";

	opts.policy = KTC_POLICY_NEVER;
	opts.groups = groups;
	opts.version_min = KTC_TLS1_3;
	opts.idle_timeout_ms = 7;
	opts.alpn = "h2";
	opts.sessions_bytes_max = LIMIT_SESSION_BYTES;
	opts.full_per_s = LIMIT_FULL_PER_S;
	opts.full_at_once = LIMIT_FULL_AT_ONCE;
	opts.keepalive_ms = LIMIT_KEEPALIVE_MS;
	opts.flags = KTC_CLIENT_FASTOPEN;
	ASSERT_EQ(0, config_init(&config, &opts, NULL, 0));
	groups[0] = '?';
	EXPECT_STREQ("X25519", config.groups);
	EXPECT_EQ(KTC_POLICY_NEVER, config.policy);
	EXPECT_EQ(KTC_TLS1_3, config.version_min);
	EXPECT_EQ(7, config.idle_timeout_ms);
	EXPECT_EQ(3, config.alpn_len);
	EXPECT_EQ(LIMIT_SESSION_BYTES, config.sessions_bytes_max);
	EXPECT_EQ(LIMIT_FULL_PER_S, config.full_per_s);
	EXPECT_EQ(LIMIT_FULL_AT_ONCE, config.full_at_once);
	EXPECT_EQ(LIMIT_KEEPALIVE_MS, config.keepalive_ms);
	EXPECT_EQ(KTC_CLIENT_FASTOPEN, config.flags);
	config_fini(&config);
}

#define REFUSED(option, change) \
	do { \
		struct ktc_client_opts opts = opts_new(); \
		change; \
		EXPECT_EQ(-KTC_E_OPTION, check(&opts)); \
		EXPECT_EQ(0, strncmp(option ":", why, strlen(option ":"))) \
			TH_LOG("\"%s\"", why); \
	} while (0)

TEST(each_senseless_option_is_refused_by_name)
{
	static char list[LIMIT_LIST + 2];

	memset(list, 'x', LIMIT_LIST + 1);
	REFUSED("size", opts.size = 0);
	REFUSED("size", opts.size = 8);
	REFUSED("size", opts.size = SIZE_MAX);
	REFUSED("flags", opts.flags = 1U << 5);
	REFUSED("policy", opts.policy = KTC_POLICY_NEVER + 1);
	REFUSED("reserved0, reserved1, reserved2", opts.reserved0 = 1);
	REFUSED("reserved0, reserved1, reserved2", opts.reserved1 = 1);
	REFUSED("reserved0, reserved1, reserved2", opts.reserved2 = 1);
	REFUSED("keepalive_ms", opts.keepalive_ms = LIMIT_KEEPALIVE_MS + 1);
	REFUSED("version_min", opts.version_min = 0x0302);
	REFUSED("version_max", opts.version_max = 0x0305);
	REFUSED("version_min", opts.version_min = KTC_TLS1_3;
		opts.version_max = KTC_TLS1_2);
	REFUSED("ca_file", opts.ca_file = "");
	REFUSED("ca_dir", opts.ca_dir = "");
	REFUSED("crl_file", opts.crl_file = "");
	REFUSED("key_file", opts.cert_file = "x");
	REFUSED("cert_file", opts.key_file = "x");
	REFUSED("crl_file", opts.flags = KTC_CLIENT_CRL_CHECK_ALL);
	REFUSED("tls12_ciphers", opts.tls12_ciphers = "");
	REFUSED("tls13_suites", opts.tls13_suites = "A\n");
	REFUSED("groups", opts.groups = "\xc3\xa9");
	REFUSED("groups", opts.groups = list);
	REFUSED("alpn", opts.alpn = "h2,,x");
	REFUSED("sessions_max", opts.sessions_max = LIMIT_SESSIONS + 1);
	REFUSED("tickets_per_identity", opts.tickets_per_identity =
		LIMIT_TICKETS_PER_IDENTITY + 1);
	REFUSED("sessions_bytes_max", opts.sessions_bytes_max =
		LIMIT_SESSION_BYTES_MIN - 1);
	REFUSED("sessions_bytes_max", opts.sessions_bytes_max =
		LIMIT_SESSION_BYTES + 1);
	REFUSED("full_per_s", opts.full_per_s = LIMIT_FULL_PER_S + 1);
	REFUSED("full_at_once", opts.full_at_once = LIMIT_FULL_AT_ONCE + 1);
}

TEST(options_of_the_time_before_the_budget_have_none)
{
	struct ktc_client_opts opts = opts_new();

	opts.size = offsetof(struct ktc_client_opts, sessions_bytes_max);
	opts.sessions_bytes_max = 1;	/* not theirs: whatever stands there */
	opts.full_per_s = 1;
	opts.full_at_once = 1;
	ASSERT_EQ(0, config_init(&config, &opts, NULL, 0));
	EXPECT_EQ(DEFAULT_SESSION_BYTES, config.sessions_bytes_max);
	EXPECT_EQ(0, config.full_per_s);
	EXPECT_EQ(0, config.full_at_once);
	config_fini(&config);
}

TEST(a_refusal_leaves_the_config_untouched)
{
	struct ktc_client_opts opts = opts_new();
	struct config before;

	memset(&config, 0x5a, sizeof(config));
	before = config;
	opts.ca_file = "/nonexistent/ca.pem";
	EXPECT_EQ(-KTC_E_CONFIG_FILE, config_init(&config, &opts, NULL, 0));
	EXPECT_EQ(0, memcmp(&before, &config, sizeof(config)));
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

TEST_F(files, every_failing_allocation_is_enomem_and_leaks_nothing)
{
	struct sys_ops fake = sys_real;
	int err;

	fake.alloc = failing_alloc;
	fake.free = counting_free;
	sys = &fake;
	self->opts.ca_file = self->a;
	self->opts.ca_dir = self->dir;
	self->opts.cert_file = self->a;
	self->opts.key_file = self->b;
	self->opts.alpn = "h2";
	for (fail_at = 1;; fail_at++) {
		allocs = 0;
		err = check(&self->opts);
		EXPECT_EQ(0, live);
		if (allocs < fail_at)
			break;
		EXPECT_EQ(-ENOMEM, err);
		EXPECT_LT(0, (int)strlen(why));
	}
	EXPECT_EQ(0, err);
	EXPECT_LT(15, fail_at);
}

TEST_F(files, a_file_that_cannot_be_read_is_named_with_the_reason)
{
	self->opts.crl_file = "/nonexistent/crl.pem";
	EXPECT_EQ(-KTC_E_CONFIG_FILE, check(&self->opts));
	EXPECT_STREQ("crl_file: cannot read /nonexistent/crl.pem: "
		     "No such file or directory", why);
	self->opts.crl_file = self->dir;
	EXPECT_EQ(-KTC_E_CONFIG_FILE, check(&self->opts));
	EXPECT_NE(NULL, strstr(why, "not a regular file"));
	self->opts.crl_file = NULL;
	self->opts.ca_dir = self->a;
	EXPECT_EQ(-KTC_E_CONFIG_FILE, check(&self->opts));
	EXPECT_EQ(0, strncmp("ca_dir: ", why, 8));
}

TEST_F(files, a_fifo_is_refused_without_waiting_for_its_writer)
{
	ASSERT_EQ(0, mkfifo(self->sub, 0600));
	self->opts.ca_file = self->sub;
	EXPECT_EQ(-KTC_E_CONFIG_FILE, check(&self->opts));
}

TEST_F(files, a_file_beyond_the_limit_is_refused)
{
	ASSERT_EQ(0, truncate(self->a, LIMIT_FILE + 1));
	self->opts.ca_file = self->a;
	EXPECT_EQ(-KTC_E_CONFIG_FILE, check(&self->opts));
	EXPECT_NE(NULL, strstr(why, "larger than"));
	ASSERT_EQ(0, truncate(self->a, LIMIT_FILE));
	EXPECT_EQ(0, check(&self->opts));
}

TEST_F(files, a_missing_key_is_found_at_once)
{
	self->opts.cert_file = self->a;
	self->opts.key_file = "/nonexistent/key.pem";
	EXPECT_EQ(-KTC_E_CONFIG_FILE, check(&self->opts));
	EXPECT_EQ(0, strncmp("key_file: ", why, 10));
}

TEST_F(files, the_digest_follows_what_decides_trust)
{
	struct ktc_client_opts opts;

#define CHANGES(change) \
	do { \
		opts = self->opts; \
		change; \
		EXPECT_FALSE(same(&opts, self->plain)); \
	} while (0)
	EXPECT_TRUE(same(&self->opts, self->plain));
	CHANGES(opts.flags = KTC_CLIENT_INSECURE_NO_VERIFY);
	CHANGES(opts.version_max = KTC_TLS1_2);
	CHANGES(opts.version_min = KTC_TLS1_3);
	CHANGES(opts.tls12_ciphers = "ECDHE-RSA-AES128-GCM-SHA256");
	CHANGES(opts.tls13_suites = "TLS_AES_128_GCM_SHA256");
	CHANGES(opts.groups = "X25519");
	CHANGES(opts.ca_file = self->a);
	CHANGES(opts.ca_dir = self->dir);
	CHANGES(opts.crl_file = self->a);
	CHANGES(opts.cert_file = self->a; opts.key_file = self->b);
}

TEST_F(files, the_digest_does_not_follow_what_decides_no_trust)
{
	struct ktc_client_opts opts = self->opts;

	opts.flags = KTC_CLIENT_KEYLOG_ENV;
	opts.policy = KTC_POLICY_ALWAYS;
	opts.idle_timeout_ms = 1;
	opts.sessions_max = 5;
	opts.sessions_bytes_max = LIMIT_SESSION_BYTES_MIN;
	opts.full_per_s = 5;
	opts.full_at_once = 5;
	opts.version_min = KTC_TLS1_2;	/* the default, said aloud */
	opts.groups = "X25519:P-256";
	EXPECT_TRUE(same(&opts, self->plain));
}

TEST_F(files, the_digest_is_of_contents_not_of_names)
{
	uint8_t one[32];

	self->opts.ca_file = self->a;
	digest_of(&self->opts, one);
	self->opts.ca_file = self->b;
	EXPECT_FALSE(same(&self->opts, one));
	ASSERT_TRUE(put_file(self->b, "one"));
	EXPECT_TRUE(same(&self->opts, one));
}

TEST_F(files, the_same_file_in_another_role_is_another_digest)
{
	uint8_t ca[32];

	self->opts.ca_file = self->a;
	digest_of(&self->opts, ca);
	self->opts.ca_file = NULL;
	self->opts.crl_file = self->a;
	EXPECT_FALSE(same(&self->opts, ca));
}

TEST_F(files, the_digest_follows_a_directorys_files_only)
{
	uint8_t before[32];

	self->opts.ca_dir = self->dir;
	digest_of(&self->opts, before);
	ASSERT_EQ(0, mkdir(self->sub, 0700));
	EXPECT_TRUE(same(&self->opts, before));
	ASSERT_EQ(0, rmdir(self->sub));
	ASSERT_EQ(0, symlink("nowhere", self->sub));
	EXPECT_TRUE(same(&self->opts, before));
	ASSERT_EQ(0, unlink(self->sub));
	ASSERT_EQ(0, symlink("a", self->sub));
	EXPECT_FALSE(same(&self->opts, before));
	ASSERT_EQ(0, unlink(self->sub));
	ASSERT_EQ(0, rename(self->a, self->sub));
	EXPECT_FALSE(same(&self->opts, before));
	ASSERT_EQ(0, rename(self->sub, self->a));
	EXPECT_TRUE(same(&self->opts, before));
	ASSERT_TRUE(put_file(self->b, "three"));
	EXPECT_FALSE(same(&self->opts, before));
}

TEST(alpn_becomes_wire_form)
{
	uint8_t *wire = NULL;
	size_t len = 0;

	ASSERT_EQ(0, config_alpn("h2,http/1.1", &wire, &len));
	ASSERT_EQ(12, len);
	EXPECT_EQ(0, memcmp("\2h2\10http/1.1", wire, 12));
	sys->free(wire);
	ASSERT_EQ(0, config_alpn("x", &wire, &len));
	ASSERT_EQ(2, len);
	EXPECT_EQ(0, memcmp("\1x", wire, 2));
	sys->free(wire);
	ASSERT_EQ(0, config_alpn("", &wire, &len));
	EXPECT_EQ(NULL, wire);
	EXPECT_EQ(0, len);
	ASSERT_EQ(0, config_alpn(NULL, &wire, &len));
	EXPECT_EQ(NULL, wire);
}

TEST(alpn_refuses_what_is_no_list_of_names)
{
	static const char *const bad[] = {
		",", "h2,", ",h2", "h2,,x", "h2, http/1.1", "h2\n", "\x80",
		" ",
	};
	uint8_t *wire = (void *)1;
	size_t len = 99, i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EXPECT_EQ(-KTC_E_OPTION, config_alpn(bad[i], &wire, &len))
			TH_LOG("list %zu", i);
	EXPECT_EQ((void *)1, wire);
	EXPECT_EQ(99, len);
}

TEST(alpn_is_bounded_to_its_limit)
{
	char list[LIMIT_ALPN_WIRE + 1];
	uint8_t *wire;
	size_t len;

	memset(list, 'a', sizeof(list));
	list[LIMIT_ALPN_WIRE - 1] = '\0';	/* and the length byte */
	ASSERT_EQ(0, config_alpn(list, &wire, &len));
	EXPECT_EQ(LIMIT_ALPN_WIRE, len);
	EXPECT_EQ(LIMIT_ALPN_WIRE - 1, wire[0]);
	sys->free(wire);
	list[LIMIT_ALPN_WIRE - 1] = 'a';
	list[LIMIT_ALPN_WIRE] = '\0';
	EXPECT_EQ(-KTC_E_OPTION, config_alpn(list, &wire, &len));
	list[LIMIT_ALPN_WIRE - 2] = ',';
	EXPECT_EQ(-KTC_E_OPTION, config_alpn(list, &wire, &len));
}

struct v1 {
	size_t size;
	int a, b;
};

struct v2 {
	size_t size;
	int a, b;
	int c, d;
};

TEST(options_of_another_age_are_understood)
{
	struct v1 old = { sizeof(old), 1, 2 }, old_seen;
	struct v2 new = { sizeof(new), 1, 2, 0, 0 }, new_seen;

	memset(&new_seen, 0xff, sizeof(new_seen));
	ASSERT_EQ(0, config_copy_opts(&new_seen, sizeof(new_seen), sizeof(old),
				      &old));
	EXPECT_EQ(2, new_seen.b);
	EXPECT_EQ(0, new_seen.c | new_seen.d);
	EXPECT_EQ(sizeof(new_seen), new_seen.size);
	ASSERT_EQ(0, config_copy_opts(&old_seen, sizeof(old_seen), sizeof(old),
				      &new));
	EXPECT_EQ(2, old_seen.b);
	new.d = 1;
	EXPECT_EQ(-KTC_E_OPTION, config_copy_opts(&old_seen, sizeof(old_seen),
						  sizeof(old), &new));
	old.size = 8;
	EXPECT_EQ(-KTC_E_OPTION, config_copy_opts(&new_seen, sizeof(new_seen),
						  sizeof(old), &old));
	ASSERT_EQ(0, config_copy_opts(&new_seen, sizeof(new_seen), sizeof(old),
				      NULL));
	EXPECT_EQ(0, new_seen.a | new_seen.b | new_seen.c | new_seen.d);
}

TEST(infos_go_out_to_readers_of_another_age)
{
	const struct v1 old = { 0, 1, 2 };
	const struct v2 new = { 0, 1, 2, 3, 4 };
	struct v1 small = { sizeof(small), 0, 0 };
	struct v2 large = { sizeof(large), 9, 9, 9, 9 };

	ASSERT_EQ(0, config_copy_out(&small, sizeof(small), &new,
				     sizeof(new)));
	EXPECT_EQ(2, small.b);
	EXPECT_EQ(sizeof(small), small.size);
	ASSERT_EQ(0, config_copy_out(&large, sizeof(small), &old,
				     sizeof(old)));
	EXPECT_EQ(2, large.b);
	EXPECT_EQ(0, large.c | large.d);
	EXPECT_EQ(sizeof(large), large.size);
	small.size = 8;
	EXPECT_EQ(-KTC_E_OPTION, config_copy_out(&small, sizeof(small), &new,
						 sizeof(new)));
	small.size = SIZE_MAX;
	EXPECT_EQ(-KTC_E_OPTION, config_copy_out(&small, sizeof(small), &new,
						 sizeof(new)));
}

/* The digest with this as the system's file of trust anchors. */
static bool system_digest(const char *file, const char *dir, uint8_t out[32])
{
	const struct ktc_client_opts opts = { .size = sizeof(opts) };
	struct config made = { 0 };

	if (setenv("SSL_CERT_FILE", file, 1) ||
	    setenv("SSL_CERT_DIR", dir, 1) ||
	    config_init(&made, &opts, NULL, 0))
		return false;
	memcpy(out, made.digest, sizeof(made.digest));
	config_fini(&made);
	return true;
}

TEST(the_systems_trust_anchors_are_part_of_the_digest)
{
	uint8_t a[32], b[32], again[32], none[32];
	char dir[] = "/tmp/config_test.XXXXXX", path[64];
	FILE *file;

	ASSERT_NE(NULL, mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/ca.pem", dir);
	EXPECT_TRUE(system_digest("/nonexistent", "/nonexistent", none));
	file = fopen(path, "w");
	ASSERT_NE(NULL, file);
	fputs("one", file);
	ASSERT_EQ(0, fclose(file));
	EXPECT_TRUE(system_digest(path, "/nonexistent", a));
	EXPECT_TRUE(system_digest(path, "/nonexistent", again));
	EXPECT_TRUE(system_digest("/nonexistent", dir, b));
	EXPECT_NE(0, memcmp(a, none, sizeof(a)));
	EXPECT_NE(0, memcmp(a, b, sizeof(a)));
	EXPECT_NE(0, memcmp(b, none, sizeof(a)));
	EXPECT_EQ(0, memcmp(a, again, sizeof(a)));
	file = fopen(path, "w");
	ASSERT_NE(NULL, file);
	fputs("two", file);
	ASSERT_EQ(0, fclose(file));
	EXPECT_TRUE(system_digest(path, "/nonexistent", b));
	EXPECT_NE(0, memcmp(a, b, sizeof(a)));
	EXPECT_EQ(0, unlink(path));
	EXPECT_EQ(0, rmdir(dir));
}

TEST_HARNESS_MAIN
