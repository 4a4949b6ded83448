// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: how long a session is kept. The sessions are written in
 * OpenSSL's ASN.1 form, for a lifetime hint can be set in no other way.
 */
#include "ticket.h"

#include <openssl/asn1.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ktlsclient.h>

#include "limit.h"
#include "sys.h"

#include "kselftest_harness.h"

#define NOW 1700000000u
#define DAY (24u * 3600u)

struct der {
	uint8_t bytes[256];
	size_t len;
};

static void put(struct der *der, uint8_t tag, const void *p, size_t len)
{
	der->bytes[der->len++] = tag;
	der->bytes[der->len++] = (uint8_t)len;
	memcpy(der->bytes + der->len, p, len);
	der->len += len;
}

static void put_number(struct der *der, int context, uint64_t value)
{
	uint8_t number[10] = { 2, 8 };
	int i;

	for (i = 0; i < 8; i++)
		number[2 + i] = (uint8_t)(value >> (56 - 8 * i));
	/* DER: as few bytes as will do */
	while (number[1] > 1 && !number[2] && !(number[3] & 0x80))
		memmove(number + 2, number + 3, --number[1]);
	if (context < 0)
		put(der, 2, number + 2, number[1]);
	else
		put(der, (uint8_t)(0xa0 + context), number, number[1] + 2u);
}

/* The fields of a session but for its ticket; hint < 0: none. */
static void put_fields(struct der *body, int version, uint64_t timeout_s,
		       int64_t hint)
{
	static const uint8_t master[48] = { 1 }, sid[32] = { 2 };
	const bool v13 = version == TLS1_3_VERSION;

	put_number(body, -1, 1);
	put_number(body, -1, (uint64_t)version);
	put(body, 4, v13 ? "\x13\x01" : "\xc0\x2f", 2);
	put(body, 4, sid, sizeof(sid));
	put(body, 4, master, v13 ? 32 : 48);
	put_number(body, 1, NOW);
	put_number(body, 2, timeout_s);
	if (hint >= 0)
		put_number(body, 9, (uint64_t)hint);
}

/* ticket_len 0: a session id only */
static SSL_SESSION *make_long(int version, uint64_t timeout_s, int64_t hint,
			      const char *ticket, size_t ticket_len)
{
	int inner = ASN1_object_size(0, (int)ticket_len, V_ASN1_OCTET_STRING);
	int outer = ticket_len ? ASN1_object_size(1, inner, 10) : 0;
	struct der body = { .len = 0 };
	SSL_SESSION *session;
	const uint8_t *in;
	uint8_t *der, *p;
	int all;

	put_fields(&body, version, timeout_s, hint);
	all = (int)body.len + outer;
	p = der = malloc((size_t)all + 16);
	if (!der)
		return NULL;
	in = der;
	ASN1_put_object(&p, 1, all, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
	memcpy(p, body.bytes, body.len);
	p += body.len;
	if (ticket_len) {
		ASN1_put_object(&p, 1, inner, 10, V_ASN1_CONTEXT_SPECIFIC);
		ASN1_put_object(&p, 0, (int)ticket_len, V_ASN1_OCTET_STRING,
				V_ASN1_UNIVERSAL);
		memcpy(p, ticket, ticket_len);
		p += ticket_len;
	}
	session = d2i_SSL_SESSION(NULL, &in, p - der);
	free(der);
	return session;
}

/* ticket NULL: as above */
static SSL_SESSION *make(int version, uint64_t timeout_s, int64_t hint,
			 const char *ticket)
{
	return make_long(version, timeout_s, hint, ticket,
			 ticket ? strlen(ticket) : 0);
}

/* Life in seconds, 0 when it is not kept, -1 when it cannot be made. */
static int64_t life(int version, uint64_t timeout_s, int64_t hint,
		    const char *text)
{
	SSL_SESSION *session = make(version, timeout_s, hint, text);
	struct ticket *ticket;
	int64_t seconds;

	if (!session)
		return -1;
	if (ticket_new(session, NOW, &ticket)) {
		SSL_SESSION_free(session);
		return 0;
	}
	seconds = (int64_t)(ticket->expires_s - NOW);
	ticket_put(ticket);
	return seconds;
}

TEST(a_hint_is_kept_up_to_seven_days)
{
	EXPECT_EQ(300, life(TLS1_3_VERSION, 7200, 300, "ticket"));
	EXPECT_EQ(7 * DAY, life(TLS1_3_VERSION, 7200, 7 * DAY, "ticket"));
	EXPECT_EQ(7 * DAY, life(TLS1_3_VERSION, 7200, 7 * DAY + 1, "ticket"));
	EXPECT_EQ(7 * DAY, life(TLS1_3_VERSION, 7200, 0xffffffff, "ticket"));
	EXPECT_EQ(300, life(TLS1_2_VERSION, 7200, 300, "ticket"));
	EXPECT_EQ(7 * DAY, life(TLS1_2_VERSION, 7200, 30 * DAY, "ticket"));
}

TEST(a_tls13_hint_of_zero_means_discard)
{
	EXPECT_EQ(0, life(TLS1_3_VERSION, 7200, 0, "ticket"));
	EXPECT_EQ(0, life(TLS1_3_VERSION, 7200, -1, "ticket"));
}

TEST(a_tls12_hint_of_zero_means_two_hours)
{
	EXPECT_EQ(7200, life(TLS1_2_VERSION, 300, 0, "ticket"));
}

TEST(a_session_id_lives_by_the_local_timeout_up_to_a_day)
{
	EXPECT_EQ(300, life(TLS1_2_VERSION, 300, -1, NULL));
	EXPECT_EQ(DAY, life(TLS1_2_VERSION, 10 * DAY, -1, NULL));
}

TEST(only_tls13_is_for_a_single_use)
{
	struct ticket *v12, *v13;

	ASSERT_EQ(0, ticket_new(make(TLS1_2_VERSION, 1, 9, "t"), NOW, &v12));
	ASSERT_EQ(0, ticket_new(make(TLS1_3_VERSION, 1, 9, "t"), NOW, &v13));
	EXPECT_FALSE(v12->single_use);
	EXPECT_TRUE(v13->single_use);
	ticket_put(v12);
	ticket_put(v13);
}

TEST(what_cannot_be_resumed_is_refused_and_stays_the_callers)
{
	SSL_SESSION *session = SSL_SESSION_new();
	struct ticket *ticket = (void *)1;

	ASSERT_NE(NULL, session);
	ASSERT_EQ(1, SSL_SESSION_set_protocol_version(session,
						      TLS1_2_VERSION));
	EXPECT_EQ(-KTC_E_UNSUPPORTED, ticket_new(session, NOW, &ticket));
	EXPECT_EQ((void *)1, ticket);
	SSL_SESSION_free(session);
}

TEST(a_ticket_of_more_than_16_kb_is_refused)
{
	static const char bytes[LIMIT_TICKET_BYTES + 1];
	SSL_SESSION *session;
	struct ticket *ticket;

	session = make_long(TLS1_3_VERSION, 1, 9, bytes, LIMIT_TICKET_BYTES);
	ASSERT_NE(NULL, session);
	ASSERT_EQ(0, ticket_new(session, NOW, &ticket));
	EXPECT_LT(LIMIT_TICKET_BYTES, ticket->bytes);
	ticket_put(ticket);
	session = make_long(TLS1_3_VERSION, 1, 9, bytes,
			    LIMIT_TICKET_BYTES + 1);
	ASSERT_NE(NULL, session);
	EXPECT_EQ(-KTC_E_UNSUPPORTED, ticket_new(session, NOW, &ticket));
	SSL_SESSION_free(session);
}

static void *no_alloc(size_t size)
{
	(void)size;
	return NULL;
}

TEST(without_memory_the_session_stays_the_callers)
{
	SSL_SESSION *session = make(TLS1_3_VERSION, 1, 9, "t");
	struct sys_ops fake = sys_real;
	struct ticket *ticket;

	ASSERT_NE(NULL, session);
	fake.alloc = no_alloc;
	sys = &fake;
	EXPECT_EQ(-ENOMEM, ticket_new(session, NOW, &ticket));
	sys = &sys_real;
	SSL_SESSION_free(session);
}

TEST(freshness_ends_a_margin_before_expiry)
{
	struct ticket ticket = { .expires_s = NOW };

	EXPECT_TRUE(ticket_is_fresh(&ticket, NOW - LIMIT_TICKET_MARGIN_S - 1));
	EXPECT_FALSE(ticket_is_fresh(&ticket, NOW - LIMIT_TICKET_MARGIN_S));
	EXPECT_FALSE(ticket_is_fresh(&ticket, NOW + 1));
}

TEST(the_last_reference_frees_the_session)
{
	SSL_SESSION *session = make(TLS1_3_VERSION, 1, 9, "t");
	struct ticket *ticket;

	ASSERT_NE(NULL, session);
	SSL_SESSION_up_ref(session);	/* ours, to look at it afterwards */
	ASSERT_EQ(0, ticket_new(session, NOW, &ticket));
	EXPECT_EQ(ticket, ticket_get(ticket));
	ticket_put(ticket);
	EXPECT_EQ(session, ticket->session);
	ticket_put(ticket);
	ticket_put(NULL);
	EXPECT_EQ(9, SSL_SESSION_get_ticket_lifetime_hint(session));
	SSL_SESSION_free(session);
}

TEST_HARNESS_MAIN
