// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: a session without the peer's certificates is the same session
 * in everything else: it resumes, with the same verdict, and weighs a fraction.
 * The sessions come from handshakes over memory.
 */
#include "session.h"

#include <openssl/err.h>

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "certs.h"

#include "kselftest_harness.h"

#define NAME "origin.test"

static uint64_t in_use;		/* bytes that OpenSSL has allocated */

static void *counted_malloc(size_t len, const char *file, int line)
{
	void *p = malloc(len);

	(void)file;
	(void)line;
	in_use += p ? malloc_usable_size(p) : 0;
	return p;
}

static void counted_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	in_use -= p ? malloc_usable_size(p) : 0;
	free(p);
}

static void *counted_realloc(void *p, size_t len, const char *file, int line)
{
	size_t old = p ? malloc_usable_size(p) : 0;
	void *more;

	if (!len) {
		counted_free(p, file, line);
		return NULL;
	}
	more = realloc(p, len);
	if (more)
		in_use += malloc_usable_size(more) - old;
	return more;
}

/* Before OpenSSL's first allocation, or it refuses. */
static void __attribute__((constructor)) count_memory(void)
{
	if (CRYPTO_set_mem_functions(counted_malloc, counted_realloc,
				     counted_free) != 1)
		abort();
}

static struct ssl_session_st *came; /* the last that a callback brought */

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(came);
	came = session;
	return 1;
}

FIXTURE(session)
{
	char dir[CERTS_DIR_MAX];
	SSL_CTX *client, *server;
	SSL_SESSION *session;
};

FIXTURE_VARIANT(session)
{
	int version;
};

FIXTURE_VARIANT_ADD(session, tls1_2)
{
	.version = TLS1_2_VERSION,
};

FIXTURE_VARIANT_ADD(session, tls1_3)
{
	.version = TLS1_3_VERSION,
};

/* A handshake over a pair of BIOs; the client's session in came. */
static bool shake(SSL_CTX *client, SSL_CTX *server, SSL_SESSION *offer,
		  bool *reused, long *verdict)
{
	SSL *c = SSL_new(client), *s = SSL_new(server);
	BIO *c_bio, *s_bio;
	bool done = false;
	char byte;
	int i;

	if (!c || !s || BIO_new_bio_pair(&c_bio, 0, &s_bio, 0) != 1)
		return false;
	SSL_set_bio(c, c_bio, c_bio);
	SSL_set_bio(s, s_bio, s_bio);
	SSL_set_connect_state(c);
	SSL_set_accept_state(s);
	(void)SSL_set1_host(c, NAME);
	(void)SSL_set_tlsext_host_name(c, NAME);
	if (offer)
		(void)SSL_set_session(c, offer);
	for (i = 0; i < 10 && !done; i++) {
		(void)SSL_do_handshake(c);
		(void)SSL_do_handshake(s);
		done = SSL_is_init_finished(c) && SSL_is_init_finished(s);
	}
	/* the tickets of TLS 1.3 come before the first byte */
	done = done && SSL_write(s, "x", 1) == 1 &&
	       SSL_read(c, &byte, 1) == 1;
	*reused = SSL_session_reused(c);
	*verdict = SSL_get_verify_result(c);
	SSL_set_shutdown(c, SSL_SENT_SHUTDOWN);
	SSL_set_shutdown(s, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(c);
	SSL_free(s);
	return done;
}

static bool use(SSL_CTX *ctx, const char *dir, const char *what)
{
	char cert[CERTS_DIR_MAX + 32], key[CERTS_DIR_MAX + 32];

	snprintf(cert, sizeof(cert), "%s/%s.pem", dir, what);
	snprintf(key, sizeof(key), "%s/%s.key", dir, what);
	return SSL_CTX_use_certificate_chain_file(ctx, cert) == 1 &&
	       SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1;
}

FIXTURE_SETUP(session)
{
	char ca[CERTS_DIR_MAX + 32];
	bool reused;
	long verdict;

	ASSERT_EQ(0, certs_make_temp(self->dir));
	snprintf(ca, sizeof(ca), "%s/ca.pem", self->dir);
	self->client = SSL_CTX_new(TLS_client_method());
	self->server = SSL_CTX_new(TLS_server_method());
	ASSERT_NE(NULL, self->client);
	ASSERT_NE(NULL, self->server);
	SSL_CTX_set_max_proto_version(self->client, variant->version);
	SSL_CTX_set_verify(self->client, SSL_VERIFY_PEER, NULL);
	ASSERT_EQ(1, SSL_CTX_load_verify_file(self->client, ca));
	SSL_CTX_set_session_cache_mode(self->client,
				       SSL_SESS_CACHE_CLIENT |
				       SSL_SESS_CACHE_NO_INTERNAL |
				       SSL_SESS_CACHE_NO_AUTO_CLEAR);
	SSL_CTX_sess_set_new_cb(self->client, on_session);
	ASSERT_TRUE(use(self->server, self->dir, "server"));
	ASSERT_TRUE(shake(self->client, self->server, NULL, &reused,
			  &verdict));
	ASSERT_EQ(X509_V_OK, verdict);
	self->session = came;
	came = NULL;
	ASSERT_NE(NULL, self->session);
	ASSERT_NE(NULL, SSL_SESSION_get0_peer(self->session));
}

FIXTURE_TEARDOWN(session)
{
	SSL_SESSION_free(came);
	came = NULL;
	SSL_SESSION_free(self->session);
	SSL_CTX_free(self->client);
	SSL_CTX_free(self->server);
	certs_remove(self->dir);
}

TEST_F(session, loses_the_peer_and_nothing_else)
{
	SSL_SESSION *fat = self->session, *slim;
	uint8_t key[2][64];

	SSL_SESSION_up_ref(fat);
	slim = fat;
	session_slim(&slim);
	ASSERT_NE(fat, slim);
	EXPECT_EQ(NULL, SSL_SESSION_get0_peer(slim));
	EXPECT_EQ(SSL_SESSION_get_protocol_version(fat),
		  SSL_SESSION_get_protocol_version(slim));
	EXPECT_EQ(SSL_SESSION_get0_cipher(fat),
		  SSL_SESSION_get0_cipher(slim));
	EXPECT_EQ(SSL_SESSION_get_time(fat), SSL_SESSION_get_time(slim));
	EXPECT_EQ(SSL_SESSION_get_ticket_lifetime_hint(fat),
		  SSL_SESSION_get_ticket_lifetime_hint(slim));
	EXPECT_EQ(!SSL_SESSION_get0_hostname(fat),
		  !SSL_SESSION_get0_hostname(slim));
	ASSERT_EQ(SSL_SESSION_get_master_key(fat, key[0], sizeof(key[0])),
		  SSL_SESSION_get_master_key(slim, key[1], sizeof(key[1])));
	EXPECT_EQ(0, memcmp(key[0], key[1],
			    SSL_SESSION_get_master_key(fat, NULL, 0)));
	EXPECT_EQ(1, SSL_SESSION_is_resumable(slim));
	EXPECT_EQ(0, ERR_peek_error());
	SSL_SESSION_free(slim);
}

TEST_F(session, resumes_with_the_same_verdict)
{
	bool reused;
	long verdict;

	session_slim(&self->session);
	ASSERT_TRUE(shake(self->client, self->server, self->session, &reused,
			  &verdict));
	EXPECT_TRUE(reused);
	EXPECT_EQ(X509_V_OK, verdict);
}

TEST_F(session, what_it_resumes_has_no_peer_either)
{
	SSL_SESSION *same;
	bool reused;
	long verdict;

	if (variant->version == TLS1_2_VERSION)
		SKIP(return, "a resumed TLS 1.2 handshake brings no session");
	session_slim(&self->session);
	ASSERT_TRUE(shake(self->client, self->server, self->session, &reused,
			  &verdict));
	ASSERT_NE(NULL, came);
	EXPECT_EQ(NULL, SSL_SESSION_get0_peer(came));
	same = came;
	session_slim(&same);
	EXPECT_EQ(came, same);
}

TEST_F(session, weighs_less_and_about_what_it_is_said_to)
{
	size_t said = session_bytes(self->session), slim;
	uint64_t before = in_use;

	session_slim(&self->session);
	EXPECT_GT(before, in_use);
	slim = session_bytes(self->session);
	EXPECT_GT(said, 4 * slim);
	/* the session itself, by freeing it */
	before = in_use;
	SSL_SESSION_free(self->session);
	self->session = NULL;
	before -= in_use;
	EXPECT_LT(before / 2, slim);
	EXPECT_GT(before * 2, slim);
}

TEST_HARNESS_MAIN
