// SPDX-License-Identifier: GPL-2.0-only
/*
 * What belongs to a client and what hands through it: key logs by callback and
 * by SSLKEYLOGFILE, references, the pointer that events hand back, counters.
 */
#include "kselftest_harness.h"

#include <ktlsclient.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certs.h"
#include "drive.h"
#include "peer.h"

static const struct peer_step talk[] = {
	{ .op = PEER_HANDSHAKE },
	{ .op = PEER_SEND, .a = 100 },
	{ .op = PEER_DISCARD },
	{ 0 },
};

/* What the key log's lines were. */
struct seen {
	unsigned int lines;
	bool random;		/* CLIENT_RANDOM (TLS 1.2) */
	bool traffic;		/* CLIENT_TRAFFIC_SECRET_0 (TLS 1.3) */
};

FIXTURE(client)
{
	char dir[CERTS_DIR_MAX];
	char ca[CERTS_DIR_MAX + 16];
	char log[CERTS_DIR_MAX + 16];
	struct ktc_client_opts client;
	struct peer_opts peer_opts;
	struct peer *peer;
	struct drive d;
	struct drive_conn c;
	struct seen seen;
};

FIXTURE_SETUP(client)
{
	ASSERT_EQ(0, certs_make_temp(self->dir));
	snprintf(self->ca, sizeof(self->ca), "%s/ca.pem", self->dir);
	snprintf(self->log, sizeof(self->log), "%s/keys", self->dir);
	self->client.size = sizeof(self->client);
	self->client.ca_file = self->ca;
	self->peer_opts.cert_dir = self->dir;
	self->peer_opts.steps = talk;
}

FIXTURE_TEARDOWN(client)
{
	drive_fini(&self->d);
	peer_stop(self->peer);
	(void)unlink(self->log);
	if (self->dir[0])
		certs_remove(self->dir);
}

static void on_line(void *arg, const char *line)
{
	struct seen *seen = arg;

	seen->lines++;
	if (!strncmp(line, "CLIENT_RANDOM ", 14))
		seen->random = true;
	if (!strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24))
		seen->traffic = true;
}

/* One connection, closed in order. */
#define TALK() \
	do { \
		memset(&self->c, 0, sizeof(self->c)); \
		ASSERT_EQ(0, drive_connect_peer(&self->d, &self->c, \
						self->peer, 0)); \
		ASSERT_TRUE(DRIVE_UNTIL(&self->d, self->c.received == 100 || \
						  self->c.closed)); \
		ASSERT_FALSE(self->c.closed) TH_LOG("%s", self->c.error.text); \
		ASSERT_EQ(0, ktc_conn_close(self->c.conn)); \
		ASSERT_TRUE(DRIVE_UNTIL(&self->d, self->c.closed)); \
		ASSERT_EQ(0, self->c.err); \
	} while (0)

TEST_F(client, keylog_callback_gets_the_secrets_of_both_versions)
{
	self->client.keylog = on_line;
	self->client.keylog_arg = &self->seen;
	self->client.flags = KTC_CLIENT_NO_RESUME;
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer));
	TALK();
	EXPECT_EQ(KTC_TLS1_3, self->c.info.version);
	EXPECT_TRUE(self->seen.traffic);
	EXPECT_LE(4, self->seen.lines);
	peer_stop(self->peer);

	self->peer_opts.version_max = KTC_TLS1_2;
	ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer));
	TALK();
	EXPECT_EQ(KTC_TLS1_2, self->c.info.version);
	EXPECT_TRUE(self->seen.random);
}

static long file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -1 : (long)st.st_size;
}

TEST_F(client, sslkeylogfile_is_written_only_when_asked_for)
{
	struct stat st;

	ASSERT_EQ(0, setenv("SSLKEYLOGFILE", self->log, 1));
	ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer));
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	TALK();
	EXPECT_EQ(-1, file_size(self->log));
	drive_fini(&self->d);

	self->client.flags = KTC_CLIENT_KEYLOG_ENV;
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	TALK();
	EXPECT_LT(100, file_size(self->log));
	ASSERT_EQ(0, stat(self->log, &st));
	EXPECT_EQ(0600, st.st_mode & 0777);
	drive_fini(&self->d);

	ASSERT_EQ(0, setenv("SSLKEYLOGFILE", "/nonexistent/keys", 1));
	EXPECT_EQ(-KTC_E_CONFIG_FILE, drive_init(&self->d, &self->client,
						 NULL));
	memset(&self->d, 0, sizeof(self->d));
}

TEST_F(client, a_connection_keeps_its_client)
{
	struct ktc_client_stats stats = { .size = sizeof(stats) };
	struct ktc_client *client;

	ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer));
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	client = ktc_client_get(self->d.client);
	ASSERT_EQ(self->d.client, client);
	ASSERT_EQ(0, drive_connect_peer(&self->d, &self->c, self->peer, 0));
	/* only the connection's reference and ours are left */
	ktc_client_put(self->d.client);
	self->d.client = NULL;
	ASSERT_TRUE(DRIVE_UNTIL(&self->d, self->c.received == 100));
	ASSERT_EQ(0, ktc_conn_close(self->c.conn));
	ASSERT_TRUE(DRIVE_UNTIL(&self->d, self->c.closed));
	ASSERT_EQ(0, ktc_client_stats(client, &stats));
	EXPECT_EQ(1, stats.handshakes_full);
	EXPECT_EQ(1, stats.takes);
	EXPECT_EQ(1, stats.misses_none);
	ktc_client_put(client);
}

TEST_F(client, events_hand_back_what_was_set)
{
	struct drive_conn other = { 0 };

	ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer));
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	ASSERT_EQ(0, drive_connect_peer(&self->d, &self->c, self->peer, 0));
	other.conn = self->c.conn;
	ktc_conn_set_user(self->c.conn, &other);
	ASSERT_TRUE(DRIVE_UNTIL(&self->d, other.received == 100));
	EXPECT_EQ(0, self->c.events);
	EXPECT_TRUE(other.open);
	ktc_conn_abort(other.conn);
	ASSERT_TRUE(DRIVE_UNTIL(&self->d, other.closed));
}

TEST_F(client, another_clients_session_is_never_offered)
{
	struct drive second;

	ASSERT_EQ(0, peer_start(&self->peer_opts, &self->peer));
	ASSERT_EQ(0, drive_init(&self->d, &self->client, NULL));
	TALK();
	TALK();
	EXPECT_TRUE(self->c.info.resumed);

	ASSERT_EQ(0, drive_init(&second, &self->client, NULL));
	memset(&self->c, 0, sizeof(self->c));
	ASSERT_EQ(0, drive_connect_peer(&second, &self->c, self->peer, 0));
	ASSERT_TRUE(DRIVE_UNTIL(&second, self->c.received == 100));
	EXPECT_FALSE(self->c.info.resumed);
	EXPECT_EQ(KTC_WHY_NO_SESSION, self->c.info.why_not_resumed);
	drive_fini(&second);
}

TEST(version_and_sentences_are_there)
{
	char version[32];

	snprintf(version, sizeof(version), "%d.%d.%d", KTC_VERSION_MAJOR,
		 KTC_VERSION_MINOR, KTC_VERSION_PATCH);
	EXPECT_STREQ(KTC_VERSION_STRING, ktc_version());
	EXPECT_STREQ(version, ktc_version());
	EXPECT_LT(10, strlen(ktc_strerror(-KTC_E_VERIFY_HOST)));
	EXPECT_STREQ("KTC_E_VERIFY_HOST", ktc_error_name(-KTC_E_VERIFY_HOST));
	EXPECT_EQ(KTC_CLASS_PEER, ktc_error_class(-KTC_E_VERIFY_HOST));
}

TEST_HARNESS_MAIN
