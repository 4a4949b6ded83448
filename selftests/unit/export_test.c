// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: sessions move from a client to another one of the same
 * configuration, by memory and by file. A ticket is in one place, a session
 * keeps its identity and its end of life, and what cannot go stays.
 */
#include <ktlsclient.h>

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "der_session.h"
#include "inventory.h"
#include "limit.h"
#include "pair.h"
#include "sys.h"
#include "ticket.h"

#include "kselftest_harness.h"

#define NOW 1700000000u
#define HOUR 3600u
#define DAY (24u * HOUR)

static struct sys_ops fake;
static uint64_t now_s = NOW;

static uint64_t fake_time(void)
{
	return now_s;
}

FIXTURE(move)
{
	struct pair pair;
	struct ktc_client *from, *to;
	const uint8_t *a, *b, *c;	/* identities */
	void *sealed;
	size_t len;
	char path[CERTS_DIR_MAX + 16];
	struct ktc_client_stats stats;
};

FIXTURE_SETUP(move)
{
	fake = sys_real;
	fake.time_s = fake_time;
	sys = &fake;
	ASSERT_EQ(0, pair_init(&self->pair));
	ASSERT_EQ(0, pair_start(&self->pair));
	self->from = self->pair.from;
	self->to = self->pair.to;
	self->a = self->pair.id[0];
	self->b = self->pair.id[1];
	self->c = self->pair.id[2];
	self->stats.size = sizeof(self->stats);
	snprintf(self->path, sizeof(self->path), "%s/sealed", self->pair.dir);
}

FIXTURE_TEARDOWN(move)
{
	(void)unlink(self->path);	/* most tests leave none */
	ktc_export_free(self->sealed, self->len);
	pair_fini(&self->pair);
}

static int export_it(FIXTURE_DATA(move) * self)
{
	return ktc_client_export(self->from, self->pair.key, 0, &self->sealed,
				 &self->len);
}

static int import_it(FIXTURE_DATA(move) * self)
{
	return ktc_client_import(self->to, self->pair.key, self->sealed,
				 self->len);
}

static int export_file(FIXTURE_DATA(move) * self)
{
	return ktc_client_export_file(self->from, self->pair.key, 0,
				      self->path);
}

static int import_file(FIXTURE_DATA(move) * self)
{
	return ktc_client_import_file(self->to, self->pair.key, self->path);
}

/* Three tickets of one identity, one and a TLS 1.2 session of others. */
static bool fill(FIXTURE_DATA(move) * self)
{
	return pair_give13(self->from, self->a, "a1") &&
	       pair_give13(self->from, self->a, "a2") &&
	       pair_give13(self->from, self->a, "a3") &&
	       pair_give13(self->from, self->b, "b1") &&
	       pair_give12(self->from, self->c, "c1");
}

static bool is_full(FIXTURE_DATA(move) * self, struct ktc_client *client)
{
	return !strcmp("a3 a2 a1", pair_take_all(client, self->a)) &&
	       !strcmp("b1", pair_take_all(client, self->b)) &&
	       !strcmp("c1", pair_take_all(client, self->c));
}

/* ----------------------------------------------------------- the journey -- */

TEST_F(move, all_sessions_arrive_under_their_identities)
{
	ASSERT_TRUE(fill(self));
	EXPECT_EQ(5, export_it(self));
	EXPECT_EQ(5, import_it(self));
	EXPECT_TRUE(is_full(self, self->to));
}

TEST_F(move, single_use_tickets_have_left_and_shared_sessions_stay)
{
	ASSERT_TRUE(fill(self));
	ASSERT_EQ(5, export_it(self));
	EXPECT_EQ(1, pair_sessions(self->from));
	EXPECT_STREQ("", pair_take_all(self->from, self->a));
	EXPECT_STREQ("", pair_take_all(self->from, self->b));
	EXPECT_STREQ("c1", pair_take_all(self->from, self->c));
	ASSERT_EQ(0, ktc_client_stats(self->from, &self->stats));
	EXPECT_EQ(4, self->stats.exports);
	EXPECT_EQ(0, self->stats.putbacks);
}

TEST_F(move, an_identity_may_have_both)
{
	ASSERT_TRUE(pair_give13(self->from, self->a, "ticket"));
	ASSERT_TRUE(pair_give12(self->from, self->a, "session"));
	/* the ticket is taken first, and what follows is the session */
	ASSERT_LE(1, export_it(self));
	ASSERT_LE(1, import_it(self));
	EXPECT_NE(NULL, strstr(pair_take_all(self->to, self->a), "ticket"));
	EXPECT_STREQ("session", pair_take_all(self->from, self->a));
}

static SSL_SESSION *take_session(struct ktc_client *client, const uint8_t *id)
{
	SSL_SESSION *session;
	struct ticket *ticket;

	if (inventory_take(client->inventory, id, &ticket))
		return NULL;
	session = ticket->session;
	SSL_SESSION_up_ref(session);
	inventory_spend(client->inventory, ticket);
	return session;
}

TEST_F(move, a_session_arrives_as_it_was)
{
	uint8_t *was = NULL, *is = NULL;
	SSL_SESSION *session;
	int len;

	ASSERT_TRUE(pair_give12(self->from, self->a, "name"));
	session = take_session(self->from, self->a);
	ASSERT_NE(NULL, session);
	len = i2d_SSL_SESSION(session, &was);
	ASSERT_LT(0, len);
	SSL_SESSION_free(session);
	ASSERT_EQ(1, export_it(self));
	now_s += HOUR;
	ASSERT_EQ(1, import_it(self));
	session = take_session(self->to, self->a);
	ASSERT_NE(NULL, session);
	EXPECT_EQ(len, i2d_SSL_SESSION(session, &is));
	EXPECT_EQ(0, memcmp(was, is, len));
	SSL_SESSION_free(session);
	OPENSSL_free(was);
	OPENSSL_free(is);
}

TEST_F(move, nothing_makes_the_journey_too)
{
	ASSERT_EQ(0, export_it(self));
	EXPECT_NE(NULL, self->sealed);
	EXPECT_EQ(0, import_it(self));
	EXPECT_EQ(0, pair_sessions(self->to));
}

TEST_F(move, a_ticket_of_a_connection_under_way_does_not_leave)
{
	struct ticket *ticket;

	ASSERT_TRUE(pair_give13(self->from, self->a, "taken"));
	ASSERT_TRUE(pair_give13(self->from, self->b, "free"));
	ASSERT_EQ(KTC_WHY_NOTHING, inventory_take(self->from->inventory,
						  self->a, &ticket));
	EXPECT_EQ(1, export_it(self));
	inventory_putback(self->from->inventory, self->a, ticket);
	EXPECT_STREQ("taken", pair_take_all(self->from, self->a));
}

TEST_F(move, another_list_of_protocols_is_another_identity)
{
	struct ktc_client *other;
	uint8_t id[ORIGIN_ID_LEN];

	ASSERT_TRUE(pair_give13(self->from, self->a, "name"));
	ASSERT_EQ(1, export_it(self));
	self->pair.opts.alpn = "h2";
	ASSERT_EQ(0, ktc_client_new(&self->pair.opts, &other));
	ASSERT_EQ(0, pair_id(other, 0, id));
	EXPECT_EQ(1, ktc_client_import(other, self->pair.key, self->sealed,
				       self->len));
	EXPECT_STREQ("", pair_take_all(other, id));
	EXPECT_STREQ("name", pair_take_all(other, self->a));
	ktc_client_put(other);
}

TEST_F(move, what_is_beyond_the_importers_limits_pushes_out_older_ones)
{
	struct ktc_client *small;

	self->pair.opts.tickets_per_identity = 2;
	ASSERT_EQ(0, ktc_client_new(&self->pair.opts, &small));
	ASSERT_TRUE(pair_give13(small, self->a, "older"));
	ASSERT_TRUE(fill(self));
	ASSERT_EQ(5, export_it(self));
	EXPECT_EQ(5, ktc_client_import(small, self->pair.key, self->sealed,
				       self->len));
	EXPECT_STREQ("a3 a2", pair_take_all(small, self->a));
	ktc_client_put(small);
}

/* ------------------------------------------------------- what stays home -- */

TEST_F(move, a_session_that_openssl_has_spoilt_stays)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL_SESSION *session;

	ASSERT_NE(NULL, ctx);
	ASSERT_TRUE(pair_give12(self->from, self->a, "spoilt"));
	session = take_session(self->from, self->a);
	ASSERT_NE(NULL, session);
	/* it is in no cache, and is marked all the same */
	(void)SSL_CTX_remove_session(ctx, session);
	ASSERT_FALSE(SSL_SESSION_is_resumable(session));
	SSL_SESSION_free(session);
	SSL_CTX_free(ctx);
	EXPECT_EQ(0, export_it(self));
	EXPECT_EQ(1, pair_sessions(self->from));
}

TEST_F(move, a_session_that_is_too_large_stays_and_others_go)
{
	ASSERT_TRUE(pair_give(self->from, self->a, "large", TLS1_3_VERSION,
			      DAY, LIMIT_SEALED_SESSION));
	ASSERT_TRUE(pair_give13(self->from, self->a, "small"));
	EXPECT_EQ(1, export_it(self));
	EXPECT_STREQ("large", pair_take_all(self->from, self->a));
	EXPECT_EQ(1, import_it(self));
	EXPECT_STREQ("small", pair_take_all(self->to, self->a));
}

/* A client with a certificate, and a ticket. */
static struct ktc_client *client_with_certificate(FIXTURE_DATA(move) * self)
{
	struct ktc_client *client;

	self->pair.opts.cert_file = self->pair.cert_file;
	self->pair.opts.key_file = self->pair.key_file;
	if (ktc_client_new(&self->pair.opts, &client))
		return NULL;
	if (pair_give13(client, self->a, "name"))
		return client;
	ktc_client_put(client);
	return NULL;
}

TEST_F(move, a_client_with_a_certificate_exports_when_asked_to)
{
	struct ktc_client *client = client_with_certificate(self);

	ASSERT_NE(NULL, client);
	ASSERT_EQ(1, ktc_client_export(client, self->pair.key,
				       KTC_EXPORT_CLIENT_CERT, &self->sealed,
				       &self->len));
	EXPECT_EQ(0, pair_sessions(client));
	EXPECT_EQ(1, ktc_client_import(client, self->pair.key, self->sealed,
				       self->len));
	EXPECT_STREQ("name", pair_take_all(client, self->a));
	ktc_client_put(client);
}

TEST_F(move, a_client_with_a_certificate_is_refused_when_not_asked_to)
{
	struct ktc_client *client = client_with_certificate(self);

	ASSERT_NE(NULL, client);
	EXPECT_EQ(-KTC_E_POLICY, ktc_client_export(client, self->pair.key, 0,
						   &self->sealed, &self->len));
	EXPECT_EQ(NULL, self->sealed);
	EXPECT_EQ(0, self->len);
	EXPECT_EQ(1, pair_sessions(client));
	ASSERT_EQ(0, ktc_client_stats(client, &self->stats));
	EXPECT_EQ(0, self->stats.exports);
	ktc_client_put(client);
}

TEST_F(move, an_export_that_is_refused_leaves_the_old_file)
{
	struct ktc_client *client;

	ASSERT_TRUE(fill(self));
	ASSERT_EQ(5, export_file(self));
	client = client_with_certificate(self);
	ASSERT_NE(NULL, client);
	EXPECT_EQ(-KTC_E_POLICY,
		  ktc_client_export_file(client, self->pair.key, 0,
					 self->path));
	EXPECT_EQ(1, pair_sessions(client));
	ktc_client_put(client);
	EXPECT_EQ(5, import_file(self));
}

/* -------------------------------------------- others, at the same moment -- */

#define MANY 200u

/* What another thread does while an export makes its room. */
static struct {
	struct ktc_client *client;	/* NULL: it has been done */
	unsigned int allocs_left;	/* after it, until they fail */
	bool given;
} others;

static bool give_many(struct ktc_client *client)
{
	uint8_t id[ORIGIN_ID_LEN] = { 0 };
	unsigned int i;

	for (i = 0; i < MANY; i++) {
		memcpy(id, &i, sizeof(i));
		if (origin_id_place(id) || !pair_give13(client, id, "many"))
			return false;
	}
	return true;
}

static void *meddling_alloc(size_t size)
{
	struct ktc_client *client = others.client;

	if (client) {
		others.client = NULL;
		fake.alloc = sys_real.alloc;
		others.given = give_many(client);
		fake.alloc = meddling_alloc;
	} else if (others.given && !others.allocs_left--) {
		fake.alloc = sys_real.alloc;
		return NULL;
	}
	return sys_real.alloc(size);
}

TEST_F(move, what_is_given_meanwhile_leaves_too)
{
	others.client = self->from;
	others.allocs_left = UINT_MAX;
	fake.alloc = meddling_alloc;
	EXPECT_EQ(MANY, (unsigned int)export_it(self));
	EXPECT_TRUE(others.given);
	EXPECT_EQ(0, pair_sessions(self->from));
	EXPECT_EQ(MANY, (unsigned int)import_it(self));
	EXPECT_EQ(MANY, pair_sessions(self->to));
}

/* As in the inventory: a ticket for which there is no memory is dropped. */
TEST_F(move, without_room_for_it_the_rest_is_back)
{
	others.client = self->from;
	others.allocs_left = 0;
	fake.alloc = meddling_alloc;
	EXPECT_EQ(-ENOMEM, export_it(self));
	EXPECT_TRUE(others.given);
	EXPECT_EQ(MANY - 1, pair_sessions(self->from));
}

/* ---------------------------------------------------------------- clocks -- */

/* The end of life of the identity's session, from now on; 0: none is there. */
static uint64_t life_left(struct ktc_client *client, const uint8_t *id)
{
	struct ticket *ticket;
	uint64_t expires_s;

	if (inventory_take(client->inventory, id, &ticket))
		return 0;
	expires_s = ticket->expires_s;
	inventory_putback(client->inventory, id, ticket);
	return expires_s - now_s;
}

TEST_F(move, the_end_of_life_stays_where_it_was)
{
	ASSERT_TRUE(pair_give13(self->from, self->a, "name"));
	now_s += HOUR;
	ASSERT_EQ(1, export_it(self));
	now_s += HOUR;
	ASSERT_EQ(1, import_it(self));
	EXPECT_EQ(DAY - 2 * HOUR, life_left(self->to, self->a));
}

TEST_F(move, what_expires_on_the_way_is_left_out)
{
	ASSERT_TRUE(pair_give(self->from, self->a, "short", TLS1_3_VERSION,
			      HOUR, 0));
	ASSERT_TRUE(pair_give13(self->from, self->b, "long"));
	ASSERT_EQ(2, export_it(self));
	/* it would be fresh for a second more */
	now_s += HOUR - LIMIT_TICKET_MARGIN_S;
	EXPECT_EQ(1, import_it(self));
	EXPECT_STREQ("", pair_take_all(self->to, self->a));
	EXPECT_STREQ("long", pair_take_all(self->to, self->b));
	ASSERT_EQ(0, ktc_client_stats(self->to, &self->stats));
	EXPECT_EQ(1, self->stats.gives);
}

TEST_F(move, what_has_expired_is_not_exported)
{
	ASSERT_TRUE(pair_give(self->from, self->a, "short", TLS1_3_VERSION,
			      HOUR, 0));
	now_s += HOUR;
	EXPECT_EQ(0, export_it(self));
}

/*
 * Its own clock goes back with it: OpenSSL offers no ticket whose age, by the
 * clock, is above the server's hint.
 */
TEST_F(move, a_clock_that_is_behind_makes_no_life_longer)
{
	SSL_SESSION *session;

	ASSERT_TRUE(pair_give13(self->from, self->a, "name"));
	now_s += HOUR;
	ASSERT_EQ(1, export_it(self));
	now_s -= 2 * DAY;
	ASSERT_EQ(1, import_it(self));
	EXPECT_EQ(DAY - HOUR, life_left(self->to, self->a));
	session = take_session(self->to, self->a);
	ASSERT_NE(NULL, session);
	EXPECT_EQ(now_s - HOUR, (uint64_t)SSL_SESSION_get_time(session));
	SSL_SESSION_free(session);
}

TEST_F(move, what_had_expired_where_the_clock_was_right_stays_expired)
{
	ASSERT_TRUE(pair_give(self->from, self->a, "short", TLS1_3_VERSION,
			      3, 0));
	ASSERT_EQ(1, export_it(self));
	now_s -= DAY;
	EXPECT_EQ(1, import_it(self));
	now_s += 3;
	EXPECT_STREQ("", pair_take_all(self->to, self->a));
}

TEST_F(move, a_clock_that_is_far_behind_is_taken_for_the_truth)
{
	ASSERT_TRUE(pair_give13(self->from, self->a, "name"));
	ASSERT_EQ(1, export_it(self));
	now_s = 1000;
	ASSERT_EQ(1, import_it(self));
	EXPECT_EQ(DAY, life_left(self->to, self->a));
}

TEST_F(move, no_life_is_longer_than_seven_days)
{
	struct ticket *ticket;

	/* a ticket that says a month, as a changed clock could have it */
	ASSERT_TRUE(pair_give13(self->from, self->a, "name"));
	ASSERT_EQ(KTC_WHY_NOTHING, inventory_take(self->from->inventory,
						  self->a, &ticket));
	ticket->expires_s = now_s + 30 * DAY;
	inventory_putback(self->from->inventory, self->a, ticket);
	ASSERT_EQ(1, export_it(self));
	now_s += DAY;
	ASSERT_EQ(1, import_it(self));
	EXPECT_EQ(LIMIT_TICKET_LIFE_S, life_left(self->to, self->a));
}

/* -------------------------------------------------------------- refusals -- */

TEST_F(move, what_makes_no_sense_is_refused)
{
	const uint8_t *key = self->pair.key;
	struct ktc_client *from = self->from;
	void *out = (void *)1;
	size_t len = 1;

	EXPECT_EQ(-KTC_E_OPTION, ktc_client_export(NULL, key, 0, &out, &len));
	EXPECT_EQ(-KTC_E_OPTION, ktc_client_export(from, NULL, 0, &out, &len));
	EXPECT_EQ(-KTC_E_OPTION, ktc_client_export(from, key, 2, &out, &len));
	EXPECT_EQ(-KTC_E_OPTION, ktc_client_export(from, key, 0, NULL, &len));
	EXPECT_EQ(-KTC_E_OPTION, ktc_client_export(from, key, 0, &out, NULL));
	EXPECT_EQ((void *)1, out);
	EXPECT_EQ(1, len);
	EXPECT_EQ(-KTC_E_OPTION, ktc_client_import(NULL, key, "", 0));
	EXPECT_EQ(-KTC_E_OPTION, ktc_client_import(from, NULL, "", 0));
	EXPECT_EQ(-KTC_E_OPTION, ktc_client_import(from, key, NULL, 0));
	EXPECT_EQ(-KTC_E_SEAL, ktc_client_import(from, key, "", 0));
	EXPECT_EQ(-KTC_E_OPTION, ktc_client_export_file(NULL, key, 0, "f"));
	EXPECT_EQ(-KTC_E_OPTION, ktc_client_export_file(from, NULL, 0, "f"));
	EXPECT_EQ(-KTC_E_OPTION, ktc_client_export_file(from, key, 2, "f"));
	EXPECT_EQ(-KTC_E_OPTION, ktc_client_export_file(from, key, 0, NULL));
	EXPECT_EQ(-KTC_E_OPTION, ktc_client_export_file(from, key, 0, ""));
	EXPECT_EQ(-KTC_E_OPTION, ktc_client_import_file(NULL, key, "f"));
	EXPECT_EQ(-KTC_E_OPTION, ktc_client_import_file(from, NULL, "f"));
	EXPECT_EQ(-KTC_E_OPTION, ktc_client_import_file(from, key, NULL));
	EXPECT_EQ(-KTC_E_OPTION, ktc_client_import_file(from, key, ""));
	ktc_export_free(NULL, 0);
}

/* ----------------------------------------------------------------- files -- */

TEST_F(move, a_file_carries_them_once)
{
	ASSERT_TRUE(fill(self));
	ASSERT_EQ(5, export_file(self));
	EXPECT_EQ(1, pair_sessions(self->from));
	EXPECT_EQ(5, import_file(self));
	EXPECT_TRUE(is_full(self, self->to));
	EXPECT_EQ(-ENOENT, import_file(self));
}

TEST_F(move, a_file_of_nothing_is_a_file)
{
	ASSERT_EQ(0, export_file(self));
	EXPECT_EQ(0, access(self->path, F_OK));
	EXPECT_EQ(0, import_file(self));
	EXPECT_EQ(-ENOENT, import_file(self));
}

TEST_F(move, the_later_file_is_the_one_that_is_there)
{
	ASSERT_TRUE(pair_give13(self->from, self->a, "old"));
	ASSERT_EQ(1, export_file(self));
	ASSERT_TRUE(pair_give13(self->from, self->a, "new"));
	ASSERT_EQ(1, export_file(self));
	EXPECT_EQ(1, import_file(self));
	EXPECT_STREQ("new", pair_take_all(self->to, self->a));
}

TEST_F(move, a_file_that_is_refused_stays)
{
	ASSERT_TRUE(fill(self));
	ASSERT_EQ(5, export_file(self));
	self->pair.key[0] ^= 1;
	EXPECT_EQ(-KTC_E_SEAL, import_file(self));
	self->pair.key[0] ^= 1;
	EXPECT_EQ(0, pair_sessions(self->to));
	EXPECT_EQ(5, import_file(self));
}

/* Configured as the others in all that decides about trust. */
static struct ktc_client *client_without_resume(FIXTURE_DATA(move) * self)
{
	struct ktc_client *client;

	self->pair.opts.flags = KTC_CLIENT_NO_RESUME;
	return ktc_client_new(&self->pair.opts, &client) ? NULL : client;
}

TEST_F(move, a_client_that_resumes_nothing_imports_nothing)
{
	struct ktc_client *client = client_without_resume(self);

	ASSERT_NE(NULL, client);
	ASSERT_TRUE(fill(self));
	ASSERT_EQ(5, export_it(self));
	EXPECT_EQ(-KTC_E_POLICY,
		  ktc_client_import(client, self->pair.key, self->sealed,
				    self->len));
	EXPECT_EQ(0, pair_sessions(client));
	ktc_client_put(client);
	EXPECT_EQ(5, import_it(self));
}

TEST_F(move, a_client_that_resumes_nothing_leaves_the_file)
{
	struct ktc_client *client = client_without_resume(self);

	ASSERT_NE(NULL, client);
	ASSERT_TRUE(fill(self));
	ASSERT_EQ(5, export_file(self));
	EXPECT_EQ(-KTC_E_POLICY,
		  ktc_client_import_file(client, self->pair.key, self->path));
	EXPECT_EQ(0, pair_sessions(client));
	ktc_client_put(client);
	EXPECT_EQ(5, import_file(self));
}

/* A mount of a file on itself: it can be read, and removed by nobody. */
static bool pin(const char *path)
{
	return !unshare(CLONE_NEWNS) &&
	       !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount(path, path, NULL, MS_BIND, NULL);
}

TEST_F(move, a_file_that_cannot_be_removed_is_not_used)
{
	ASSERT_TRUE(fill(self));
	ASSERT_EQ(5, export_file(self));
	if (!pin(self->path))
		SKIP(return, "a mount of our own: %s", strerror(errno));
	EXPECT_EQ(-EBUSY, import_file(self));
	EXPECT_EQ(0, pair_sessions(self->to));
	ASSERT_EQ(0, umount(self->path));
	EXPECT_EQ(5, import_file(self));
}

TEST_F(move, a_file_that_cannot_be_written_leaves_all_as_it_was)
{
	ASSERT_TRUE(fill(self));
	ASSERT_EQ(0, mkdir(self->path, 0700));
	EXPECT_EQ(-EISDIR, export_file(self));
	ASSERT_EQ(0, rmdir(self->path));
	EXPECT_EQ(5, pair_sessions(self->from));
	EXPECT_TRUE(is_full(self, self->from));
}

TEST_F(move, a_folder_that_is_not_there_costs_nothing)
{
	ASSERT_TRUE(fill(self));
	EXPECT_EQ(-ENOENT, ktc_client_export_file(self->from, self->pair.key, 0,
						  "/nowhere/at/all"));
	ASSERT_EQ(0, ktc_client_stats(self->from, &self->stats));
	EXPECT_EQ(0, self->stats.exports);
	EXPECT_EQ(5, self->stats.sessions);
}

TEST_HARNESS_MAIN
