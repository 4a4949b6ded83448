// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: no two identities that differ share a ticket, and one identity
 * has its tickets however it is written. An identity is drawn as one choice
 * for each thing it consists of, then written as options in one of the ways
 * that mean the same; the way from the options to the ticket is the library's:
 * config_init(), origin_init(), the inventory.
 */
#include "inventory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "config.h"
#include "flush.h"
#include "origin.h"
#include "stock.h"
#include "sys.h"
#include "util.h"

#include "kselftest_harness.h"

/* What an identity consists of. */
enum field {
	PLACE,
	NAME,
	ALPN,
	ANCHORS,
	CRL,
	VERIFY,
	CLIENT_CERT,
	VERSIONS,
	CIPHERS12,
	SUITES13,
	GROUPS,
	FIELDS
};

/* One choice for each. */
struct who {
	uint8_t choice[FIELDS];
};

/* The same as options, with what they point to. */
struct written {
	struct ktc_client_opts client;
	struct ktc_conn_opts conn;
	struct sockaddr_storage addr;
	socklen_t peer_len;	/* addr is a descriptor's peer; else 0 */
};

/* ------------------------------------------------------------- files -- */

#define PATH_ROOM 96

/* Two contents, each under two names and in two folders. */
static char dir[64];
static char one[2][PATH_ROOM], two[2][PATH_ROOM], both[2][PATH_ROOM];
static char dir_one[2][PATH_ROOM], dir_two[2][PATH_ROOM];
static char dir_renamed[2][PATH_ROOM];
static struct config defaults;	/* for its lists written out */

static bool put_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return false;
	(void)fputs(text, f);	/* fclose() says it */
	return !fclose(f);
}

static bool name_file(char path[PATH_ROOM], const char *name, int copy,
		      const char *text)
{
	(void)snprintf(path, PATH_ROOM, "%s/%s%d", dir, name, copy);
	return put_file(path, text);
}

static bool name_dir(char path[PATH_ROOM], const char *name, int copy,
		     const char *file, const char *text)
{
	char inside[PATH_ROOM + 16];

	(void)snprintf(path, PATH_ROOM, "%s/%s%d", dir, name, copy);
	(void)snprintf(inside, sizeof(inside), "%s/%s", path, file);
	return !mkdir(path, 0700) && put_file(inside, text);
}

static bool make_files(void)
{
	bool good;
	int i;

	(void)snprintf(dir, sizeof(dir), "/tmp/ktc-identity-XXXXXX");
	good = mkdtemp(dir);
	for (i = 0; good && i < 2; i++)
		good = name_file(one[i], "one", i, "one") &&
		       name_file(two[i], "two", i, "two") &&
		       name_file(both[i], "both", i, "onetwo") &&
		       name_dir(dir_one[i], "d-one", i, "0.0", "one") &&
		       name_dir(dir_two[i], "d-two", i, "0.0", "two") &&
		       name_dir(dir_renamed[i], "d-ren", i, "1.0", "one");
	return good;
}

static void remove_dir(const char *path, const char *file)
{
	char inside[PATH_ROOM + 16];

	(void)snprintf(inside, sizeof(inside), "%s/%s", path, file);
	(void)unlink(inside);	/* rmdir() says it */
	(void)rmdir(path);	/* the parent's says it */
}

static int remove_files(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		(void)unlink(one[i]);	/* as above */
		(void)unlink(two[i]);	/* as above */
		(void)unlink(both[i]);	/* as above */
		remove_dir(dir_one[i], "0.0");
		remove_dir(dir_two[i], "0.0");
		remove_dir(dir_renamed[i], "1.0");
	}
	return rmdir(dir);
}

/* ------------------------------------------------- one way of writing -- */

static unsigned int pick(struct draw *draw, unsigned int n)
{
	return draw_below(draw, n);
}

#define ONE_OF(draw, ...) \
	({ \
		static const char *const of_[] = { __VA_ARGS__ }; \
		of_[pick(draw, ARRAY_SIZE(of_))]; \
	})

static void place_host(struct written *w, const char *host, uint16_t port)
{
	w->conn.host = host;
	w->conn.port = port;
}

/* An address to connect to, or that of a connected descriptor. */
static void place_addr(struct written *w, socklen_t len, struct draw *draw)
{
	if (pick(draw, 2)) {
		w->conn.addr = (struct sockaddr *)&w->addr;
		w->conn.addr_len = len;
	} else {
		w->conn.fd = 3;
		w->peer_len = len;
	}
}

static void place_in4(struct written *w, const char *text, uint16_t port,
		      struct draw *draw)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&w->addr;

	if (!pick(draw, 3)) {
		place_host(w, text, port);
		return;
	}
	in->sin_family = AF_INET;
	in->sin_port = htons(port);
	(void)inet_pton(AF_INET, text, &in->sin_addr);	/* is one */
	place_addr(w, sizeof(*in), draw);
}

static void place_in6(struct written *w, const char *text, uint32_t link,
		      struct draw *draw)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&w->addr;

	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(443);
	in6->sin6_scope_id = link;
	in6->sin6_flowinfo = htonl(pick(draw, 3));	/* is no place */
	(void)inet_pton(AF_INET6, text, &in6->sin6_addr);	/* is one */
	place_addr(w, sizeof(*in6), draw);
}

static void place_unix(struct written *w, const char *path, bool abstract,
		       struct draw *draw)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&w->addr;
	const size_t head = offsetof(struct sockaddr_un, sun_path);
	size_t len = strlen(path) + 1;

	un->sun_family = AF_UNIX;
	memcpy(un->sun_path + abstract, path, len - abstract);
	/* A path ends at its NUL, wherever the address does. */
	if (!abstract && pick(draw, 2))
		len = sizeof(un->sun_path);
	place_addr(w, (socklen_t)(head + len), draw);
}

static void place_scope(struct written *w, const char *scope, uint16_t port,
			struct draw *draw)
{
	place_host(w, ONE_OF(draw, "a.test", "b.test", "192.0.2.1"), port);
	w->conn.scope = scope;
}

#define PLACES 17

static void write_place(struct written *w, unsigned int choice,
			struct draw *draw)
{
	switch (choice) {
	case 0:
	case 1:
		place_host(w, ONE_OF(draw, "a.test", "A.Test", "a.test."),
			   443 + choice);
		break;
	case 2:
		place_host(w, ONE_OF(draw, "b.test", "B.TEST."), 443);
		break;
	case 3:
	case 4:
		place_in4(w, "192.0.2.1", 440 + choice, draw);
		break;
	case 5:
		place_in4(w, "192.0.2.2", 443, draw);
		break;
	case 6:
		if (pick(draw, 2))
			place_host(w, ONE_OF(draw, "[2001:DB8::1]",
					     "2001:db8:0:0:0:0:0:1",
					     "2001:0db8::0001"), 443);
		else
			place_in6(w, "2001:db8::1", 0, draw);
		break;
	case 7:
		place_in6(w, "2001:db8::2", 0, draw);
		break;
	case 8:
	case 9:
		place_in6(w, "fe80::1", choice, draw);
		break;
	case 10:
	case 11:
		place_unix(w, choice & 1 ? "/x/1" : "/x/2", false, draw);
		break;
	case 12:
		place_unix(w, "/x/1", true, draw);
		break;
	case 13:
	case 14:
		place_scope(w, "s", 430 + choice, draw);
		break;
	case 15:
		place_scope(w, "t", 443, draw);
		break;
	default:
		w->conn.fd = 3;	/* with a peer that has no address */
	}
}

#define NAMES 4

static void write_name(struct written *w, unsigned int choice,
		       struct draw *draw)
{
	const char *host = w->conn.host;

	switch (choice) {
	case 0:
		/* Where the host is of that name, it is the default. */
		if (host && (host[0] | 32) == 'a' && pick(draw, 2))
			return;
		w->conn.server_name = ONE_OF(draw, "a.test", "A.TEST",
					     "a.test.");
		break;
	case 1:
		w->conn.server_name = ONE_OF(draw, "b.test", "B.test.");
		break;
	case 2:
		w->conn.server_name = "192.0.2.1";
		break;
	default:
		w->conn.server_name = ONE_OF(draw, "2001:db8::1",
					     "[2001:db8:0::0:1]");
	}
}

static const char *const alpns[] = {
	"", "h2", "http/1.1", "h2,http/1.1", "http/1.1,h2", "h", "h,2",
};

/* The client's, or the connection's, which has the last word. */
static void write_alpn(struct written *w, unsigned int choice,
		       struct draw *draw)
{
	w->client.alpn = alpns[choice];
	if (pick(draw, 2))
		return;
	w->client.alpn = alpns[pick(draw, ARRAY_SIZE(alpns))];
	w->conn.alpn = alpns[choice];
}

#define ANCHOR_SETS 9

static void write_anchors(struct written *w, unsigned int choice,
			  struct draw *draw)
{
	static const struct {
		char (*file)[PATH_ROOM], (*dir)[PATH_ROOM];
	} sets[ANCHOR_SETS] = {
		{ NULL, NULL }, { one, NULL }, { two, NULL }, { both, NULL },
		{ NULL, dir_one }, { NULL, dir_two }, { NULL, dir_renamed },
		{ one, dir_one }, { one, dir_two },
	};

	if (sets[choice].file)
		w->client.ca_file = sets[choice].file[pick(draw, 2)];
	if (sets[choice].dir)
		w->client.ca_dir = sets[choice].dir[pick(draw, 2)];
}

static void write_crl(struct written *w, unsigned int choice,
		      struct draw *draw)
{
	if (choice)
		w->client.crl_file = choice == 1 ? two[pick(draw, 2)] :
						   one[pick(draw, 2)];
	if (choice == 3)
		w->client.flags |= KTC_CLIENT_CRL_CHECK_ALL;
}

static void write_verify(struct written *w, unsigned int choice,
			 struct draw *draw)
{
	(void)draw;
	if (choice)
		w->client.flags |= KTC_CLIENT_INSECURE_NO_VERIFY;
}

/* Which file the key is in says nothing that the certificate does not. */
static void write_cert(struct written *w, unsigned int choice,
		       struct draw *draw)
{
	if (!choice)
		return;
	w->client.cert_file = choice == 1 ? one[pick(draw, 2)] :
					    two[pick(draw, 2)];
	w->client.key_file = both[pick(draw, 2)];
}

static void write_versions(struct written *w, unsigned int choice,
			   struct draw *draw)
{
	if (choice == 2 || pick(draw, 2))
		w->client.version_min = choice == 2 ? KTC_TLS1_3 : KTC_TLS1_2;
	if (choice == 1 || pick(draw, 2))
		w->client.version_max = choice == 1 ? KTC_TLS1_2 : KTC_TLS1_3;
}

static void write_ciphers12(struct written *w, unsigned int choice,
			    struct draw *draw)
{
	static const char *const lists[] = {
		NULL, "ECDHE-RSA-AES128-GCM-SHA256",
		"ECDHE-RSA-AES256-GCM-SHA384",
	};

	w->client.tls12_ciphers = lists[choice];
	if (!choice && pick(draw, 2))
		w->client.tls12_ciphers = defaults.tls12_ciphers;
}

static void write_suites13(struct written *w, unsigned int choice,
			   struct draw *draw)
{
	static const char *const lists[] = {
		NULL, "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
	};

	w->client.tls13_suites = lists[choice];
	if (!choice && pick(draw, 2))
		w->client.tls13_suites = defaults.tls13_suites;
}

static void write_groups(struct written *w, unsigned int choice,
			 struct draw *draw)
{
	static const char *const lists[] = { NULL, "P-256", "P-256:X25519" };

	w->client.groups = lists[choice];
	if (!choice && pick(draw, 2))
		w->client.groups = defaults.groups;
}

static const struct {
	const char *name;
	uint8_t choices;
	void (*write)(struct written *w, unsigned int choice,
		      struct draw *draw);
} fields[FIELDS] = {
	[PLACE] = { "place", PLACES, write_place },
	[NAME] = { "name", NAMES, write_name },
	[ALPN] = { "ALPN", ARRAY_SIZE(alpns), write_alpn },
	[ANCHORS] = { "trust anchors", ANCHOR_SETS, write_anchors },
	[CRL] = { "CRL", 4, write_crl },
	[VERIFY] = { "verification", 2, write_verify },
	[CLIENT_CERT] = { "client certificate", 3, write_cert },
	[VERSIONS] = { "versions", 3, write_versions },
	[CIPHERS12] = { "TLS 1.2 ciphers", 3, write_ciphers12 },
	[SUITES13] = { "TLS 1.3 suites", 3, write_suites13 },
	[GROUPS] = { "groups", 3, write_groups },
};

/* What no identity consists of: anything will do. */
static void write_rest(struct written *w, struct draw *draw)
{
	w->client.policy = pick(draw, KTC_POLICY_NEVER + 1);
	w->client.flags |= pick(draw, 2) ? KTC_CLIENT_NO_RESUME : 0;
	w->client.connect_timeout_ms = pick(draw, 100);
	w->client.handshake_timeout_ms = pick(draw, 100);
	w->client.idle_timeout_ms = pick(draw, 100);
	w->client.auto_bytes = pick(draw, 100);
	w->client.sessions_max = pick(draw, 100);
	w->client.tickets_per_identity = pick(draw, 100);
	w->client.full_per_s = pick(draw, 100);
	w->client.keylog_arg = pick(draw, 2) ? w : NULL;
	w->conn.policy = pick(draw, KTC_POLICY_NEVER + 1);
	w->conn.flags = pick(draw, 2) ? KTC_CONN_RECV_PAUSED : 0;
	w->conn.user = pick(draw, 2) ? w : NULL;
}

/* The id, by one way of writing. False when the library refuses it. */
static bool identify(const struct who *who, struct draw *draw,
		     uint8_t id[ORIGIN_ID_LEN])
{
	struct written w = {
		.client = { .size = sizeof(w.client) },
		.conn = { .size = sizeof(w.conn), .fd = -1 },
	};
	struct origin origin;
	struct config config;
	unsigned int i;
	int err;

	for (i = 0; i < FIELDS; i++)
		fields[i].write(&w, who->choice[i], draw);
	write_rest(&w, draw);
	if (config_init(&config, &w.client, NULL, 0))
		return false;
	err = origin_init(&origin, &config, &w.conn, w.peer_len ?
			  (struct sockaddr *)&w.addr : NULL, w.peer_len);
	config_fini(&config);
	if (err)
		return false;
	memcpy(id, origin.id, ORIGIN_ID_LEN);
	origin_fini(&origin);
	return true;
}

/* ------------------------------------------------------------ tickets -- */

#define PEOPLE 400u

FIXTURE(tickets)
{
	struct inventory *inv;
	struct draw draw;
};

FIXTURE_SETUP(tickets)
{
	static const struct inventory_opts opts = {
		100000, 1ull << 30, 4, 0, 0,
	};

	ASSERT_TRUE(make_files());
	ASSERT_EQ(0, config_init(&defaults, NULL, NULL, 0));
	ASSERT_EQ(0, inventory_new(&opts, &self->inv));
	self->draw = draw_new(draw_seed(1));
}

FIXTURE_TEARDOWN(tickets)
{
	inventory_free(self->inv);
	rcu_flush();
	config_fini(&defaults);
	EXPECT_EQ(0, remove_files());
}

static struct ticket *give(struct inventory *inv,
			   const uint8_t id[ORIGIN_ID_LEN])
{
	struct ticket *ticket = stock_ticket(true, sys->time_s() + 1000);

	inventory_give(inv, id, ticket);
	return ticket;
}

/* Whether the ticket given under one is what is taken under the other. */
static bool gets(struct inventory *inv, const uint8_t from[ORIGIN_ID_LEN],
		 const uint8_t to[ORIGIN_ID_LEN])
{
	struct ticket *given = give(inv, from), *ticket;
	bool got;

	(void)inventory_take(inv, to, &ticket);	/* ticket says it */
	got = ticket == given;
	if (!ticket)	/* it is where it was given; leave nothing there */
		(void)inventory_take(inv, from, &ticket);
	if (ticket)
		inventory_spend(inv, ticket);
	return got;
}

/* Neither gets the other's, each its own. */
static bool are_apart(struct inventory *inv, const uint8_t a[ORIGIN_ID_LEN],
		      const uint8_t b[ORIGIN_ID_LEN])
{
	return !gets(inv, a, b) && !gets(inv, b, a) && gets(inv, a, a) &&
	       gets(inv, b, b);
}

static struct who draw_who(struct draw *draw)
{
	struct who who;
	unsigned int i;

	for (i = 0; i < FIELDS; i++)
		who.choice[i] = (uint8_t)draw_below(draw, fields[i].choices);
	return who;
}

/* Every two choices of a field, all else the same. */
static void try_field(struct __test_metadata *_metadata,
		      struct inventory *inv, struct draw *draw,
		      struct who who, enum field field)
{
	uint8_t ids[PLACES][ORIGIN_ID_LEN];
	unsigned int a, b;

	for (a = 0; a < fields[field].choices; a++) {
		who.choice[field] = (uint8_t)a;
		ASSERT_TRUE(identify(&who, draw, ids[a]))
			TH_LOG("%s %u", fields[field].name, a);
		for (b = 0; b < a; b++)
			EXPECT_TRUE(are_apart(inv, ids[a], ids[b]))
				TH_LOG("%s %u and %u", fields[field].name, a,
				       b);
	}
}

TEST_F(tickets, stay_apart_where_one_field_differs)
{
	struct who who = { { 0 } };
	unsigned int round;
	enum field field;

	for (round = 0; round < 4; round++) {
		for (field = 0; field < FIELDS; field++)
			try_field(_metadata, self->inv, &self->draw, who,
				  field);
		who = draw_who(&self->draw);
	}
}

static bool is_new(const struct who *people, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (!memcmp(&people[i], &people[n], sizeof(*people)))
			return false;
	return true;
}

TEST_F(tickets, find_their_own_among_many_however_it_is_written)
{
	static struct who people[PEOPLE];
	struct ticket *given[PEOPLE], *ticket;
	uint8_t id[ORIGIN_ID_LEN];
	unsigned int i, n = 0;

	while (n < PEOPLE) {
		people[n] = draw_who(&self->draw);
		/* Half of them have a neighbour: all but one field the same. */
		if (n & 1) {
			people[n] = people[n - 1];
			i = draw_below(&self->draw, FIELDS);
			people[n].choice[i] = (uint8_t)
				draw_below(&self->draw, fields[i].choices);
		}
		if (!is_new(people, n))
			continue;
		ASSERT_TRUE(identify(&people[n], &self->draw, id));
		given[n++] = give(self->inv, id);
	}
	for (i = 0; i < PEOPLE; i++) {
		ASSERT_TRUE(identify(&people[i], &self->draw, id));
		(void)inventory_take(self->inv, id, &ticket); /* says it */
		ASSERT_EQ(given[i], ticket) TH_LOG("identity %u", i);
		inventory_spend(self->inv, ticket);
		/* and nobody else's after it */
		(void)inventory_take(self->inv, id, &ticket); /* says it */
		ASSERT_EQ(NULL, ticket) TH_LOG("identity %u", i);
	}
}

TEST_F(tickets, meet_under_every_way_of_writing_one_identity)
{
	uint8_t a[ORIGIN_ID_LEN], b[ORIGIN_ID_LEN];
	struct who who;
	unsigned int i;

	for (i = 0; i < 500; i++) {
		who = draw_who(&self->draw);
		who.choice[PLACE] = (uint8_t)(i % PLACES);
		ASSERT_TRUE(identify(&who, &self->draw, a));
		ASSERT_TRUE(identify(&who, &self->draw, b));
		ASSERT_TRUE(gets(self->inv, a, b))
			TH_LOG("place %u, name %u, ALPN %u", who.choice[PLACE],
			       who.choice[NAME], who.choice[ALPN]);
	}
}

/* Verification off, and an endpoint that is no name. */
static bool identify_nameless(const char *name, uint8_t id[ORIGIN_ID_LEN])
{
	struct ktc_client_opts client = {
		.size = sizeof(client), .flags = KTC_CLIENT_INSECURE_NO_VERIFY,
	};
	struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_port = htons(443),
	};
	struct ktc_conn_opts conn = {
		.size = sizeof(conn), .fd = -1, .addr = (struct sockaddr *)&in,
		.addr_len = sizeof(in), .server_name = name,
	};
	struct origin origin;
	struct config config;
	int err;

	if (config_init(&config, &client, NULL, 0))
		return false;
	err = origin_init(&origin, &config, &conn, NULL, 0);
	config_fini(&config);
	if (err)
		return false;
	memcpy(id, origin.id, ORIGIN_ID_LEN);
	origin_fini(&origin);
	return true;
}

TEST_F(tickets, of_no_name_are_not_of_any_name)
{
	uint8_t none[ORIGIN_ID_LEN], some[ORIGIN_ID_LEN];

	ASSERT_TRUE(identify_nameless(NULL, none));
	ASSERT_TRUE(identify_nameless("a.test", some));
	EXPECT_TRUE(are_apart(self->inv, none, some));
}

TEST_F(tickets, of_a_changed_file_are_not_of_the_old_one)
{
	struct who who = { .choice = { [ANCHORS] = 1, [CRL] = 1 } };
	uint8_t before[ORIGIN_ID_LEN], after[ORIGIN_ID_LEN];

	ASSERT_TRUE(identify(&who, &self->draw, before));
	ASSERT_TRUE(put_file(one[0], "three") && put_file(one[1], "three"));
	ASSERT_TRUE(identify(&who, &self->draw, after));
	EXPECT_TRUE(are_apart(self->inv, before, after));
	ASSERT_TRUE(put_file(one[0], "one") && put_file(one[1], "one"));
	ASSERT_TRUE(identify(&who, &self->draw, after));
	EXPECT_TRUE(gets(self->inv, before, after));
}

TEST_HARNESS_MAIN
