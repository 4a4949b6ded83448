// SPDX-License-Identifier: GPL-2.0-only
/*
 * The peer under test by a plain blocking OpenSSL client over loopback: what
 * the project's tests rely on must be true of the peer itself. Data, tickets
 * and KeyUpdates run with both versions and the three suites.
 */
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "certs.h"

#include "kselftest_harness.h"

#define CLIENT_TIMEOUT_S	20
#define TICKETS_MAX		64
#define MANY			100000

/* What a client knows at its end. */
struct client {
	SSL_CTX *ctx;
	SSL *ssl;
	int fd;
	struct ssl_session_st *tickets[TICKETS_MAX];
	unsigned int nr_tickets;
	unsigned int key_updates;	/* received */
	unsigned int handshake_records;	/* received, TLS 1.3, sealed */
	int alert;			/* received; -1: none */
	uint64_t received;		/* position in the stream */
	uint64_t sent;
};

FIXTURE(peer)
{
	char dir[CERTS_DIR_MAX];
	struct peer_opts opts;
	struct peer *peer;
	struct client c;
	struct peer_result res;
	struct peer_totals totals;
};

FIXTURE_VARIANT(peer)
{
	uint16_t version;
	enum peer_suite suite;
	uint16_t cipher;
};

FIXTURE_VARIANT_ADD(peer, tls13_aes128)
{
	.version = TLS1_3_VERSION,
	.suite = PEER_SUITE_AES128,
	.cipher = 0x1301,
};

FIXTURE_VARIANT_ADD(peer, tls13_aes256)
{
	.version = TLS1_3_VERSION,
	.suite = PEER_SUITE_AES256,
	.cipher = 0x1302,
};

FIXTURE_VARIANT_ADD(peer, tls13_chacha20)
{
	.version = TLS1_3_VERSION,
	.suite = PEER_SUITE_CHACHA20,
	.cipher = 0x1303,
};

FIXTURE_VARIANT_ADD(peer, tls12_aes128)
{
	.version = TLS1_2_VERSION,
	.suite = PEER_SUITE_AES128,
	.cipher = 0xc02b,
};

FIXTURE_VARIANT_ADD(peer, tls12_aes256)
{
	.version = TLS1_2_VERSION,
	.suite = PEER_SUITE_AES256,
	.cipher = 0xc02c,
};

FIXTURE_VARIANT_ADD(peer, tls12_chacha20)
{
	.version = TLS1_2_VERSION,
	.suite = PEER_SUITE_CHACHA20,
	.cipher = 0xcca9,
};

/* ----------------------------------------------------------- client -- */

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	struct client *c = SSL_get_app_data(ssl);

	if (c->nr_tickets == TICKETS_MAX)
		return 0;
	c->tickets[c->nr_tickets++] = session;
	return 1;
}

static void on_message(int sent, int version, int type, const void *buf,
		       size_t len, SSL *ssl, void *arg)
{
	const uint8_t *msg = buf;
	struct client *c = arg;

	(void)version;
	(void)ssl;
	if (sent)
		return;
	if (type == SSL3_RT_INNER_CONTENT_TYPE && msg[0] == 22)
		c->handshake_records++;
	if (type == SSL3_RT_HANDSHAKE && len && msg[0] == 24)
		c->key_updates++;
	if (type == SSL3_RT_ALERT && len == 2)
		c->alert = msg[1];
}

static int client_init(struct client *c, const char *dir)
{
	char path[CERTS_DIR_MAX + 16];

	snprintf(path, sizeof(path), "%s/ca.pem", dir);
	c->alert = -1;
	c->ctx = SSL_CTX_new(TLS_client_method());
	if (!c->ctx || SSL_CTX_load_verify_file(c->ctx, path) <= 0)
		return -EIO;
	SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_CLIENT |
				       SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c->ctx, on_session);
	return 0;
}

static int client_connect_fd(struct client *c, int fd)
{
	struct timeval limit = { .tv_sec = CLIENT_TIMEOUT_S };

	c->fd = fd;
	c->alert = -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	c->ssl = SSL_new(c->ctx);
	if (!c->ssl)
		return -ENOMEM;
	SSL_set_app_data(c->ssl, c);
	SSL_set_msg_callback(c->ssl, on_message);
	SSL_set_msg_callback_arg(c->ssl, c);
	SSL_set_fd(c->ssl, fd);
	SSL_set_tlsext_host_name(c->ssl, "origin.test");
	SSL_set1_host(c->ssl, "origin.test");
	return 0;
}

static int tcp_connect(const struct peer *peer)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_port = htons(peer_port(peer)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&in, sizeof(in))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* TCP and the TLS handshake. Return: what SSL_connect() does. */
static int client_connect(struct client *c, const struct peer *peer,
			  SSL_SESSION *session)
{
	int fd = tcp_connect(peer);

	if (fd < 0 || client_connect_fd(c, fd))
		return -1;
	if (session)
		SSL_set_session(c->ssl, session);
	return SSL_connect(c->ssl);
}

static void client_close(struct client *c)
{
	if (c->ssl)
		SSL_shutdown(c->ssl);
	SSL_free(c->ssl);
	c->ssl = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->received = 0;
	c->sent = 0;
}

/* Reads @len bytes of the stream. Return: how many came and were right. */
static uint64_t client_recv(struct client *c, uint64_t len)
{
	uint8_t buf[20000];
	uint64_t got = 0;
	size_t want;
	int n;

	while (got < len) {
		want = len - got < sizeof(buf) ? len - got : sizeof(buf);
		n = SSL_read(c->ssl, buf, (int)want);
		if (n <= 0 || peer_pattern_check(buf, c->received, (size_t)n) !=
		    (size_t)n)
			break;
		got += (uint64_t)n;
		c->received += (uint64_t)n;
	}
	return got;
}

static uint64_t client_send(struct client *c, uint64_t len)
{
	uint8_t buf[16384];
	uint64_t done = 0;
	size_t n;

	while (done < len) {
		n = len - done < sizeof(buf) ? len - done : sizeof(buf);
		peer_pattern_fill(buf, c->sent, n);
		if (SSL_write(c->ssl, buf, (int)n) != (int)n)
			break;
		done += n;
		c->sent += n;
	}
	return done;
}

/* Reads to the end. Return: SSL_get_error() of it, or 0 when data came. */
static int client_end(struct client *c)
{
	uint8_t byte;
	int n;

	ERR_clear_error();
	n = SSL_read(c->ssl, &byte, 1);
	return n > 0 ? 0 : SSL_get_error(c->ssl, n);
}

static unsigned long client_reason(void)
{
	return (unsigned long)ERR_GET_REASON(ERR_peek_error());
}

/* ------------------------------------------------- all six variants -- */

static int env_init(char *dir, struct peer_opts *opts, struct client *c)
{
	signal(SIGPIPE, SIG_IGN);
	opts->cert_dir = dir;
	c->fd = -1;
	return certs_make_temp(dir);
}

static void env_fini(const char *dir, struct peer *peer, struct client *c)
{
	client_close(c);
	for (unsigned int i = 0; i < c->nr_tickets; i++)
		SSL_SESSION_free(c->tickets[i]);
	SSL_CTX_free(c->ctx);
	peer_stop(peer);
	certs_remove(dir);
}

FIXTURE_SETUP(peer)
{
	ASSERT_EQ(0, env_init(self->dir, &self->opts, &self->c));
	self->opts.version_min = variant->version;
	self->opts.version_max = variant->version;
	self->opts.suite = variant->suite;
}

FIXTURE_TEARDOWN(peer)
{
	env_fini(self->dir, self->peer, &self->c);
}

#define START(...) \
	do { \
		static const struct peer_step script[] = { \
			__VA_ARGS__, { .op = PEER_END } \
		}; \
		self->opts.steps = script; \
		ASSERT_EQ(0, peer_start(&self->opts, &self->peer)); \
		if (!self->c.ctx) \
			ASSERT_EQ(0, client_init(&self->c, self->dir)); \
	} while (0)

#define CONNECT() \
	ASSERT_EQ(1, client_connect(&self->c, self->peer, NULL))

#define DONE(nr) \
	do { \
		ASSERT_EQ(0, peer_wait_done(self->peer, nr, &self->res)); \
		EXPECT_STREQ("", self->res.error); \
	} while (0)

TEST_F(peer, handshake_is_as_asked)
{
	self->opts.alpn = "h2,http/1.1";
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_DISCARD });
	CONNECT();
	client_close(&self->c);
	DONE(0);
	EXPECT_TRUE(self->res.handshake_done);
	EXPECT_FALSE(self->res.resumed);
	EXPECT_EQ(variant->version, self->res.version);
	EXPECT_EQ(variant->cipher, self->res.cipher);
	EXPECT_STREQ("origin.test", self->res.server_name);
	EXPECT_STREQ("", self->res.alpn);
	EXPECT_TRUE(self->res.close_notify);
	EXPECT_EQ(2, self->res.steps_done);
}

TEST_F(peer, data_flows_both_ways)
{
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = MANY },
	      { .op = PEER_SEND, .a = 1000, .b = 7 },
	      { .op = PEER_RECV, .a = MANY }, { .op = PEER_CLOSE_NOTIFY },
	      { .op = PEER_DISCARD });
	CONNECT();
	EXPECT_EQ(MANY + 1000, client_recv(&self->c, MANY + 1000));
	EXPECT_EQ(MANY, client_send(&self->c, MANY));
	EXPECT_EQ(SSL_ERROR_ZERO_RETURN, client_end(&self->c));
	client_close(&self->c);
	DONE(0);
	EXPECT_EQ(MANY + 1000, self->res.bytes_sent);
	EXPECT_EQ(MANY, self->res.bytes_received);
}

TEST_F(peer, wrong_data_is_noticed)
{
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_RECV, .a = 10 });
	CONNECT();
	self->c.sent = 1;
	EXPECT_EQ(10, client_send(&self->c, 10));
	ASSERT_EQ(0, peer_wait_done(self->peer, 0, &self->res));
	EXPECT_STREQ("step 1 (recv): byte 0 received is wrong",
		     self->res.error);
}

TEST_F(peer, echo_returns_what_it_gets)
{
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_ECHO });
	CONNECT();
	for (int i = 0; i < 10; i++) {
		ASSERT_EQ(5000, client_send(&self->c, 5000));
		ASSERT_EQ(5000, client_recv(&self->c, 5000));
	}
	client_close(&self->c);
	DONE(0);
	EXPECT_EQ(50000, self->res.bytes_received);
}

TEST_F(peer, own_records_keep_the_sequence)
{
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 5000 },
	      { .op = PEER_EMPTY_RECORDS, .a = 3 },
	      { .op = PEER_SEND, .a = 5000, .b = 10 },
	      { .op = PEER_FLOOD, .a = 2, .b = PEER_FLOOD_WARNINGS },
	      { .op = PEER_SEND, .a = MANY }, { .op = PEER_CLOSE_NOTIFY });
	CONNECT();
	EXPECT_EQ(MANY + 10000, client_recv(&self->c, MANY + 10000));
	/*
	 * Behind user_canceled OpenSSL 3.5 and later take close_notify, and
	 * SSL_get_error() calls it SSL_ERROR_SYSCALL.
	 */
	EXPECT_NE(0, client_end(&self->c));
	EXPECT_EQ(SSL_AD_CLOSE_NOTIFY, self->c.alert);
	DONE(0);
}

TEST_F(peer, server_speaks_first)
{
	START({ .op = PEER_HANDSHAKE_SPEAK_FIRST, .a = 3000, .b = 1000 },
	      { .op = PEER_SEND, .a = 3000 });
	CONNECT();
	EXPECT_EQ(6000, client_recv(&self->c, 6000));
	DONE(0);
}

TEST_F(peer, held_bytes_wait_for_release)
{
	uint8_t buf[64];

	START({ .op = PEER_HANDSHAKE }, { .op = PEER_HOLD },
	      { .op = PEER_SEND, .a = 100 }, { .op = PEER_RELEASE, .a = 7 },
	      { .op = PEER_BARRIER }, { .op = PEER_RELEASE });
	self->opts.tickets = PEER_NO_TICKETS;
	peer_stop(self->peer);
	ASSERT_EQ(0, peer_start(&self->opts, &self->peer));
	CONNECT();
	ASSERT_EQ(0, peer_wait_barrier(self->peer));
	EXPECT_EQ(7, recv(self->c.fd, buf, sizeof(buf),
			  MSG_PEEK | MSG_DONTWAIT));
	peer_go(self->peer);
	EXPECT_EQ(100, client_recv(&self->c, 100));
	DONE(0);
}

TEST_F(peer, last_flight_is_cut_where_asked)
{
	START({ .op = PEER_HOLD_LAST_FLIGHT }, { .op = PEER_HANDSHAKE },
	      { .op = PEER_SEND, .a = 500 }, { .op = PEER_RELEASE, .a = 10 },
	      { .op = PEER_BARRIER }, { .op = PEER_RELEASE });
	peer_go(self->peer);
	CONNECT();
	EXPECT_EQ(500, client_recv(&self->c, 500));
	DONE(0);
}

TEST_F(peer, small_pieces_arrive_whole)
{
	START({ .op = PEER_SPLIT_TCP, .a = 3 }, { .op = PEER_HANDSHAKE },
	      { .op = PEER_SEND, .a = 2000, .b = 500 });
	CONNECT();
	EXPECT_EQ(2000, client_recv(&self->c, 2000));
	DONE(0);
}

TEST_F(peer, tickets_resume)
{
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 1 },
	      { .op = PEER_DISCARD });
	CONNECT();
	ASSERT_EQ(1, client_recv(&self->c, 1));
	client_close(&self->c);
	ASSERT_LE(1, self->c.nr_tickets);
	ASSERT_EQ(1, client_connect(&self->c, self->peer,
				    self->c.tickets[0]));
	EXPECT_TRUE(SSL_session_reused(self->c.ssl));
	EXPECT_EQ(1, client_recv(&self->c, 1));
	client_close(&self->c);
	DONE(1);
	EXPECT_TRUE(self->res.resumed);
	ASSERT_EQ(0, peer_wait_totals(self->peer, 2, &self->totals));
	EXPECT_EQ(2, self->totals.accepted);
	EXPECT_EQ(1, self->totals.resumed);
	EXPECT_EQ(0, self->totals.failed);
	EXPECT_EQ(0, self->totals.psk_repeated);
	EXPECT_EQ(variant->version == TLS1_3_VERSION,
		  self->totals.psk_offered);
}

TEST_F(peer, stateful_tickets_resume)
{
	self->opts.flags = PEER_STATEFUL_TICKETS;
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 1 });
	CONNECT();
	ASSERT_EQ(1, client_recv(&self->c, 1));
	client_close(&self->c);
	DONE(0);
	ASSERT_EQ(1, client_connect(&self->c, self->peer,
				    self->c.tickets[0]));
	EXPECT_TRUE(SSL_session_reused(self->c.ssl));
	DONE(1);
}

TEST_F(peer, same_seed_resumes_at_another_peer)
{
	self->opts.ticket_seed = 5;
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 1 });
	CONNECT();
	ASSERT_EQ(1, client_recv(&self->c, 1));
	client_close(&self->c);
	peer_stop(self->peer);
	self->peer = NULL;
	ASSERT_EQ(0, peer_start(&self->opts, &self->peer));
	ASSERT_EQ(1, client_connect(&self->c, self->peer,
				    self->c.tickets[0]));
	EXPECT_TRUE(SSL_session_reused(self->c.ssl));
	DONE(0);
}

TEST_F(peer, no_tickets_when_not_wanted)
{
	self->opts.tickets = PEER_NO_TICKETS;
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 1 });
	CONNECT();
	ASSERT_EQ(1, client_recv(&self->c, 1));
	DONE(0);
	EXPECT_EQ(0, self->res.tickets);
	/* A TLS 1.2 session may exist; it has nothing to be resumed by. */
	for (unsigned int i = 0; i < self->c.nr_tickets; i++)
		EXPECT_FALSE(SSL_SESSION_has_ticket(self->c.tickets[i]));
}

TEST_F(peer, close_notify_then_fin)
{
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_CLOSE_NOTIFY });
	CONNECT();
	EXPECT_EQ(SSL_ERROR_ZERO_RETURN, client_end(&self->c));
	DONE(0);
}

TEST_F(peer, fin_without_close_notify)
{
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_FIN },
	      { .op = PEER_SILENCE });
	CONNECT();
	EXPECT_EQ(SSL_ERROR_SSL, client_end(&self->c));
	EXPECT_EQ(SSL_R_UNEXPECTED_EOF_WHILE_READING, client_reason());
	client_close(&self->c);
	DONE(0);
	EXPECT_TRUE(self->res.fin);
	EXPECT_FALSE(self->res.close_notify);
}

TEST_F(peer, fin_in_the_middle_of_a_record)
{
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 10 },
	      { .op = PEER_FIN_MID_RECORD, .a = 100, .b = 50 });
	CONNECT();
	EXPECT_EQ(10, client_recv(&self->c, 100));
	EXPECT_EQ(SSL_R_UNEXPECTED_EOF_WHILE_READING, client_reason());
	DONE(0);
}

TEST_F(peer, reset)
{
	char byte;

	START({ .op = PEER_HANDSHAKE }, { .op = PEER_BARRIER },
	      { .op = PEER_RST });
	CONNECT();
	peer_go(self->peer);
	DONE(0);
	EXPECT_EQ(SSL_ERROR_SYSCALL, client_end(&self->c));
	EXPECT_EQ(0, recv(self->c.fd, &byte, 1, 0));
}

TEST_F(peer, alert_arrives_as_sent)
{
	START({ .op = PEER_HANDSHAKE },
	      { .op = PEER_ALERT, .a = 2, .b = SSL_AD_INTERNAL_ERROR },
	      { .op = PEER_DISCARD });
	CONNECT();
	EXPECT_EQ(SSL_ERROR_SSL, client_end(&self->c));
	EXPECT_EQ(SSL_AD_INTERNAL_ERROR, self->c.alert);
	client_close(&self->c);
	DONE(0);
}

TEST_F(peer, alert_before_the_handshake)
{
	START({ .op = PEER_ALERT, .a = 2, .b = SSL_AD_HANDSHAKE_FAILURE },
	      { .op = PEER_SILENCE });
	EXPECT_EQ(-1, client_connect(&self->c, self->peer, NULL));
	EXPECT_EQ(SSL_AD_HANDSHAKE_FAILURE, self->c.alert);
	client_close(&self->c);
	DONE(0);
}

TEST_F(peer, bad_record_is_refused)
{
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 10 },
	      { .op = PEER_BAD_RECORD }, { .op = PEER_DISCARD });
	CONNECT();
	EXPECT_EQ(10, client_recv(&self->c, 10));
	EXPECT_EQ(SSL_ERROR_SSL, client_end(&self->c));
	ASSERT_EQ(0, peer_wait_done(self->peer, 0, &self->res));
	EXPECT_EQ(SSL_AD_BAD_RECORD_MAC, self->res.alert);
	EXPECT_EQ(2, self->res.alert_level);
}

TEST_F(peer, huge_record_is_refused)
{
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_HUGE_RECORD },
	      { .op = PEER_DISCARD });
	CONNECT();
	EXPECT_EQ(SSL_ERROR_SSL, client_end(&self->c));
	ASSERT_EQ(0, peer_wait_done(self->peer, 0, &self->res));
	EXPECT_EQ(SSL_AD_RECORD_OVERFLOW, self->res.alert);
}

TEST_F(peer, overlong_plaintext_is_refused)
{
	START({ .op = PEER_HANDSHAKE },
	      { .op = PEER_RECORD, .a = 23, .b = 16385 },
	      { .op = PEER_DISCARD });
	CONNECT();
	EXPECT_EQ(SSL_ERROR_SSL, client_end(&self->c));
	ASSERT_EQ(0, peer_wait_done(self->peer, 0, &self->res));
	EXPECT_EQ(SSL_AD_RECORD_OVERFLOW, self->res.alert);
}

TEST_F(peer, garbage_for_a_record_is_refused)
{
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_GARBAGE, .a = 2000 },
	      { .op = PEER_SILENCE });
	CONNECT();
	EXPECT_EQ(SSL_ERROR_SSL, client_end(&self->c));
	client_close(&self->c);
	DONE(0);
}

TEST_F(peer, garbage_for_a_handshake_is_refused)
{
	START({ .op = PEER_GARBAGE, .a = 2000 }, { .op = PEER_SILENCE });
	EXPECT_EQ(-1, client_connect(&self->c, self->peer, NULL));
	client_close(&self->c);
	DONE(0);
}

TEST_F(peer, slow_receiver_reads_on_demand)
{
	self->opts.rcvbuf = 4096;
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 1 },
	      { .op = PEER_RECV_SLOW, .a = 3000, .b = 2000 });
	CONNECT();
	ASSERT_EQ(1, client_recv(&self->c, 1));
	ASSERT_EQ(3000, client_send(&self->c, 3000));
	ASSERT_EQ(0, peer_wait_barrier(self->peer));
	peer_go(self->peer);
	ASSERT_EQ(0, peer_wait_barrier(self->peer));
	peer_totals(self->peer, &self->totals);
	EXPECT_EQ(0, self->totals.done);
	peer_go(self->peer);
	DONE(0);
	EXPECT_EQ(3000, self->res.bytes_received);
}

TEST_F(peer, client_certificate_is_asked_for)
{
	char path[CERTS_DIR_MAX + 16];

	self->opts.flags = PEER_WANT_CLIENT_CERT;
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 1 },
	      { .op = PEER_DISCARD });
	if (client_connect(&self->c, self->peer, NULL) == 1)
		EXPECT_EQ(SSL_ERROR_SSL, client_end(&self->c));
	client_close(&self->c);
	ASSERT_EQ(0, peer_wait_done(self->peer, 0, &self->res));
	EXPECT_STRNE("", self->res.error);

	snprintf(path, sizeof(path), "%s/client.pem", self->dir);
	SSL_CTX_use_certificate_chain_file(self->c.ctx, path);
	snprintf(path, sizeof(path), "%s/client.key", self->dir);
	SSL_CTX_use_PrivateKey_file(self->c.ctx, path, SSL_FILETYPE_PEM);
	CONNECT();
	EXPECT_EQ(1, client_recv(&self->c, 1));
	client_close(&self->c);
	DONE(1);
	EXPECT_STREQ("client", self->res.client_cert);
}

TEST_F(peer, stop_ends_whatever_runs)
{
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_SILENCE });
	CONNECT();
	peer_stop(self->peer);
	self->peer = NULL;
	EXPECT_NE(SSL_ERROR_WANT_READ, client_end(&self->c));
}

/* ---------------------------------------------- TLS 1.3, all suites -- */

FIXTURE(tls13)
{
	char dir[CERTS_DIR_MAX];
	struct peer_opts opts;
	struct peer *peer;
	struct client c;
	struct peer_result res;
	struct peer_totals totals;
};

FIXTURE_VARIANT(tls13)
{
	enum peer_suite suite;
	unsigned int pad_block;
};

FIXTURE_VARIANT_ADD(tls13, aes128)
{
	.suite = PEER_SUITE_AES128,
};

FIXTURE_VARIANT_ADD(tls13, aes256)
{
	.suite = PEER_SUITE_AES256,
};

FIXTURE_VARIANT_ADD(tls13, chacha20)
{
	.suite = PEER_SUITE_CHACHA20,
};

FIXTURE_VARIANT_ADD(tls13, padded)
{
	.suite = PEER_SUITE_AES128, .pad_block = 512,
};

FIXTURE_SETUP(tls13)
{
	ASSERT_EQ(0, env_init(self->dir, &self->opts, &self->c));
	self->opts.version_min = TLS1_3_VERSION;
	self->opts.suite = variant->suite;
	self->opts.pad_block = variant->pad_block;
	self->opts.tickets = PEER_NO_TICKETS;
}

FIXTURE_TEARDOWN(tls13)
{
	env_fini(self->dir, self->peer, &self->c);
}

/* Each ticket the client got resumes a connection of its own. */
#define EXPECT_TICKETS_RESUME(n) \
	do { \
		ASSERT_EQ(n, self->c.nr_tickets); \
		for (unsigned int i_ = 0; i_ < (n); i_++) { \
			client_close(&self->c); \
			ASSERT_EQ(1, client_connect(&self->c, self->peer, \
						    self->c.tickets[i_])); \
			EXPECT_TRUE(SSL_session_reused(self->c.ssl)); \
		} \
		client_close(&self->c); \
		ASSERT_EQ(0, peer_wait_totals(self->peer, 1 + (n), \
					      &self->totals)); \
		EXPECT_EQ(n, self->totals.resumed); \
		EXPECT_EQ(n, self->totals.psk_offered); \
		EXPECT_EQ(0, self->totals.psk_repeated); \
	} while (0)

/* START, and further connections that only resume. */
#define START_RESUMED(...) \
	START(__VA_ARGS__, { .op = PEER_NEXT_CONN }, \
	      { .op = PEER_HANDSHAKE }, { .op = PEER_DISCARD })

TEST_F(tls13, tickets_on_demand)
{
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 100 },
	      { .op = PEER_TICKETS, .a = 3 }, { .op = PEER_SEND, .a = 100 });
	CONNECT();
	EXPECT_EQ(200, client_recv(&self->c, 200));
	DONE(0);
	EXPECT_EQ(3, self->res.tickets);
	EXPECT_TICKETS_RESUME(3);
}

TEST_F(tls13, stateful_tickets_on_demand)
{
	self->opts.flags = PEER_STATEFUL_TICKETS;
	START_RESUMED({ .op = PEER_HANDSHAKE }, { .op = PEER_TICKETS, .a = 1 },
		      { .op = PEER_SEND, .a = 1 });
	CONNECT();
	EXPECT_EQ(1, client_recv(&self->c, 1));
	EXPECT_TICKETS_RESUME(1);
}

TEST_F(tls13, ticket_claims_another_lifetime)
{
	START_RESUMED({ .op = PEER_HANDSHAKE },
		      { .op = PEER_TICKETS, .a = 2, .b = 123456 },
		      { .op = PEER_SEND, .a = 1 });
	CONNECT();
	EXPECT_EQ(1, client_recv(&self->c, 1));
	ASSERT_EQ(2, self->c.nr_tickets);
	EXPECT_EQ(123456, SSL_SESSION_get_ticket_lifetime_hint(
				  self->c.tickets[1]));
	EXPECT_TICKETS_RESUME(2);
}

TEST_F(tls13, ticket_over_two_records)
{
	START_RESUMED({ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 100 },
		      { .op = PEER_TICKET_SPLIT },
		      { .op = PEER_SEND, .a = MANY });
	CONNECT();
	self->c.handshake_records = 0;
	EXPECT_EQ(MANY + 100, client_recv(&self->c, MANY + 100));
	EXPECT_EQ(2, self->c.handshake_records);
	EXPECT_TICKETS_RESUME(1);
}

TEST_F(tls13, ticket_over_seven_records_the_first_of_one_byte)
{
	START_RESUMED({ .op = PEER_HANDSHAKE },
		      { .op = PEER_TICKET_SPLIT, .a = 7, .b = 1 },
		      { .op = PEER_SEND, .a = 100 });
	CONNECT();
	self->c.handshake_records = 0;
	EXPECT_EQ(100, client_recv(&self->c, 100));
	EXPECT_EQ(7, self->c.handshake_records);
	EXPECT_TICKETS_RESUME(1);
}

TEST_F(tls13, tickets_in_one_record)
{
	START_RESUMED({ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 100 },
		      { .op = PEER_TICKETS_DOUBLED, .a = 3 },
		      { .op = PEER_SEND, .a = 100 });
	CONNECT();
	self->c.handshake_records = 0;
	EXPECT_EQ(200, client_recv(&self->c, 200));
	EXPECT_EQ(1, self->c.handshake_records);
	EXPECT_TICKETS_RESUME(3);
}

TEST_F(tls13, ticket_and_keyupdate_in_one_record)
{
	START_RESUMED({ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 100 },
		      { .op = PEER_TICKET_AND_KEYUPDATE },
		      { .op = PEER_SEND, .a = MANY }, { .op = PEER_KEY_UPDATE },
		      { .op = PEER_TICKET_SPLIT },
		      { .op = PEER_SEND, .a = MANY },
		      { .op = PEER_CLOSE_NOTIFY });
	CONNECT();
	self->c.handshake_records = 0;
	/* RFC 8446 5.1: a KeyUpdate ends its record, as it does here. */
	EXPECT_EQ(2 * MANY + 100, client_recv(&self->c, 2 * MANY + 100));
	EXPECT_EQ(4, self->c.handshake_records);
	EXPECT_EQ(SSL_ERROR_ZERO_RETURN, client_end(&self->c));
	EXPECT_EQ(2, self->c.key_updates);
	DONE(0);
	EXPECT_EQ(2, self->res.key_updates_sent);
	EXPECT_TICKETS_RESUME(2);
}

TEST_F(tls13, key_updates_without_answer)
{
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_KEY_UPDATE, .a = 3 },
	      { .op = PEER_SEND, .a = MANY },
	      { .op = PEER_KEY_UPDATE }, { .op = PEER_SEND, .a = MANY });
	CONNECT();
	EXPECT_EQ(2 * MANY, client_recv(&self->c, 2 * MANY));
	EXPECT_EQ(4, self->c.key_updates);
	DONE(0);
	EXPECT_EQ(4, self->res.key_updates_sent);
	EXPECT_EQ(0, self->res.key_updates_received);
}

TEST_F(tls13, key_update_is_answered)
{
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_KEY_UPDATE, .b = 1 },
	      { .op = PEER_SEND, .a = 10 }, { .op = PEER_WAIT_KEY_UPDATE },
	      { .op = PEER_RECV, .a = MANY });
	CONNECT();
	EXPECT_EQ(10, client_recv(&self->c, 10));
	EXPECT_EQ(MANY, client_send(&self->c, MANY));
	DONE(0);
	EXPECT_EQ(1, self->res.key_updates_received);
	EXPECT_EQ(MANY, self->res.bytes_received);
}

TEST_F(tls13, key_updates_of_the_client_are_answered)
{
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_TICKET_SPLIT },
	      { .op = PEER_WAIT_KEY_UPDATE }, { .op = PEER_RECV, .a = 100 },
	      { .op = PEER_SEND, .a = 10 },
	      { .op = PEER_WAIT_KEY_UPDATE, .a = 2 },
	      { .op = PEER_RECV, .a = 100 }, { .op = PEER_SEND, .a = MANY });
	CONNECT();
	SSL_key_update(self->c.ssl, SSL_KEY_UPDATE_REQUESTED);
	EXPECT_EQ(100, client_send(&self->c, 100));
	EXPECT_EQ(10, client_recv(&self->c, 10));
	SSL_key_update(self->c.ssl, SSL_KEY_UPDATE_REQUESTED);
	EXPECT_EQ(100, client_send(&self->c, 100));
	EXPECT_EQ(MANY, client_recv(&self->c, MANY));
	EXPECT_EQ(2, self->c.key_updates);
	DONE(0);
	EXPECT_EQ(2, self->res.key_updates_received);
	EXPECT_EQ(2, self->res.key_updates_sent);
}

TEST_F(tls13, half_rtt_data_comes_with_the_finished)
{
	uint8_t buf[20000];
	ssize_t n;
	int fd;

	self->opts.tickets = 2;
	START_RESUMED({ .op = PEER_HANDSHAKE_HALF_RTT, .a = 5000, .b = 1000 },
		      { .op = PEER_SEND, .a = MANY },
		      { .op = PEER_CLOSE_NOTIFY });
	ASSERT_LE(0, (fd = tcp_connect(self->peer)));
	ASSERT_EQ(0, client_connect_fd(&self->c, fd));
	/* One byte of the answer is there: so is all of the write. */
	SSL_set_connect_state(self->c.ssl);
	SSL_set_bio(self->c.ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	BIO_set_mem_eof_return(SSL_get_rbio(self->c.ssl), -1);
	EXPECT_EQ(-1, SSL_connect(self->c.ssl));
	n = BIO_read(SSL_get_wbio(self->c.ssl), buf, sizeof(buf));
	ASSERT_EQ(n, send(fd, buf, (size_t)n, 0));
	n = recv(fd, buf, sizeof(buf), 0);
	ASSERT_LT(5000, n);
	BIO_write(SSL_get_rbio(self->c.ssl), buf, (int)n);
	ASSERT_EQ(1, SSL_connect(self->c.ssl));
	n = BIO_read(SSL_get_wbio(self->c.ssl), buf, sizeof(buf));
	EXPECT_EQ(5000, client_recv(&self->c, 5000));

	/* Now the client's Finished, and on over the socket. */
	ASSERT_EQ(n, send(fd, buf, (size_t)n, 0));
	SSL_set_fd(self->c.ssl, fd);
	EXPECT_EQ(MANY, client_recv(&self->c, MANY));
	EXPECT_EQ(SSL_ERROR_ZERO_RETURN, client_end(&self->c));
	DONE(0);
	EXPECT_EQ(MANY + 5000, self->res.bytes_sent);
	EXPECT_TICKETS_RESUME(2);
}

TEST_F(tls13, half_rtt_on_a_resumed_connection)
{
	self->opts.tickets = 1;
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 1 },
	      { .op = PEER_NEXT_CONN },
	      { .op = PEER_HANDSHAKE_HALF_RTT, .a = 100 },
	      { .op = PEER_SEND, .a = 100 });
	CONNECT();
	ASSERT_EQ(1, client_recv(&self->c, 1));
	client_close(&self->c);
	ASSERT_EQ(1, client_connect(&self->c, self->peer,
				    self->c.tickets[0]));
	EXPECT_TRUE(SSL_session_reused(self->c.ssl));
	EXPECT_EQ(200, client_recv(&self->c, 200));
	DONE(1);
}

TEST_F(tls13, floods)
{
	START({ .op = PEER_HANDSHAKE },
	      { .op = PEER_FLOOD, .a = 20, .b = PEER_FLOOD_TICKETS },
	      { .op = PEER_FLOOD, .a = 20, .b = PEER_FLOOD_KEY_UPDATES },
	      { .op = PEER_FLOOD, .a = 20, .b = PEER_FLOOD_EMPTY },
	      { .op = PEER_FLOOD, .a = 3, .b = PEER_FLOOD_WARNINGS },
	      { .op = PEER_SEND, .a = 10 });
	CONNECT();
	EXPECT_EQ(10, client_recv(&self->c, 10));
	EXPECT_EQ(20, self->c.nr_tickets);
	EXPECT_EQ(20, self->c.key_updates);
	DONE(0);
}

TEST_F(tls13, padding_can_start_later)
{
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 100 },
	      { .op = PEER_PAD, .a = 1000 },
	      { .op = PEER_SEND, .a = 1000, .b = 10 },
	      { .op = PEER_KEY_UPDATE }, { .op = PEER_TICKET_SPLIT },
	      { .op = PEER_SEND, .a = 1000, .b = 10 });
	CONNECT();
	EXPECT_EQ(2100, client_recv(&self->c, 2100));
	DONE(0);
}

TEST_F(tls13, ticket_offered_twice_is_noticed)
{
	self->opts.tickets = 1;
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 1 },
	      { .op = PEER_DISCARD });
	CONNECT();
	ASSERT_EQ(1, client_recv(&self->c, 1));
	for (int i = 0; i < 2; i++) {
		/* A copy that OpenSSL does not know to be used. */
		SSL_SESSION *copy = SSL_SESSION_dup(self->c.tickets[0]);

		client_close(&self->c);
		ASSERT_EQ(1, client_connect(&self->c, self->peer, copy));
		SSL_SESSION_free(copy);
		ASSERT_EQ(1, client_recv(&self->c, 1));
	}
	client_close(&self->c);
	ASSERT_EQ(0, peer_wait_totals(self->peer, 3, &self->totals));
	EXPECT_EQ(2, self->totals.psk_offered);
	EXPECT_EQ(1, self->totals.psk_repeated);
}

/* ---------------------------------------------------- once is enough -- */

FIXTURE(any)
{
	char dir[CERTS_DIR_MAX];
	struct peer_opts opts;
	struct peer *peer;
	struct client c;
	struct peer_result res;
	struct peer_totals totals;
};

FIXTURE_SETUP(any)
{
	ASSERT_EQ(0, env_init(self->dir, &self->opts, &self->c));
}

FIXTURE_TEARDOWN(any)
{
	env_fini(self->dir, self->peer, &self->c);
}

TEST_F(any, hello_request_is_a_message_the_client_knows)
{
	self->opts.version_max = TLS1_2_VERSION;
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 1 },
	      { .op = PEER_HELLO_REQUEST }, { .op = PEER_SEND, .a = 1 });
	SSL_CTX_set_options(self->c.ctx, SSL_OP_NO_RENEGOTIATION);
	CONNECT();
	EXPECT_EQ(2, client_recv(&self->c, 2));
	DONE(0);
}

TEST_F(any, alpn_is_chosen_by_the_peer)
{
	static const unsigned char offer[] = "\x08http/1.1\x02h2";

	self->opts.alpn = "h2,http/1.1";
	START({ .op = PEER_HANDSHAKE });
	SSL_CTX_set_alpn_protos(self->c.ctx, offer, sizeof(offer) - 1);
	CONNECT();
	DONE(0);
	EXPECT_STREQ("h2", self->res.alpn);
}

TEST_F(any, alpn_without_a_common_protocol_is_refused_if_required)
{
	static const unsigned char offer[] = "\x04smtp";

	self->opts.alpn = "h2";
	self->opts.flags = PEER_ALPN_REQUIRED;
	START({ .op = PEER_HANDSHAKE });
	SSL_CTX_set_alpn_protos(self->c.ctx, offer, sizeof(offer) - 1);
	EXPECT_EQ(-1, client_connect(&self->c, self->peer, NULL));
	EXPECT_EQ(SSL_AD_NO_APPLICATION_PROTOCOL, self->c.alert);
}

TEST_F(any, certificates_fail_for_their_own_reasons)
{
	static const struct {
		enum peer_cert cert;
		int connect;
		long result;
	} cases[] = {
		{ PEER_CERT_GOOD, 1, X509_V_OK },
		{ PEER_CERT_OTHER, -1, X509_V_ERR_HOSTNAME_MISMATCH },
		{ PEER_CERT_EXPIRED, -1, X509_V_ERR_CERT_HAS_EXPIRED },
		{ PEER_CERT_UNKNOWN_CA, -1,
		  X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY },
		{ PEER_CERT_REVOKED, -1, X509_V_ERR_CERT_REVOKED },
	};
	char path[CERTS_DIR_MAX + 16];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		self->opts.cert = cases[i].cert;
		START({ .op = PEER_HANDSHAKE });
		snprintf(path, sizeof(path), "%s/crl.pem", self->dir);
		X509_load_crl_file(
			X509_STORE_add_lookup(
				SSL_CTX_get_cert_store(self->c.ctx),
				X509_LOOKUP_file()),
			path, X509_FILETYPE_PEM);
		X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(self->c.ctx),
					    X509_V_FLAG_CRL_CHECK);
		EXPECT_EQ(cases[i].connect,
			  client_connect(&self->c, self->peer, NULL));
		EXPECT_EQ(cases[i].result,
			  SSL_get_verify_result(self->c.ssl));
		client_close(&self->c);
		peer_stop(self->peer);
		self->peer = NULL;
	}
}

TEST_F(any, listens_on_ipv6)
{
	struct sockaddr_in6 in6 = {
		.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT,
	};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&in6, sizeof(in6)))
		SKIP(goto out, "no IPv6 on loopback");
	close(fd);
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	self->opts.listen = PEER_LISTEN_IPV6;
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 10 });
	in6.sin6_port = htons(peer_port(self->peer));
	ASSERT_EQ(0, connect(fd, (struct sockaddr *)&in6, sizeof(in6)));
	ASSERT_EQ(0, client_connect_fd(&self->c, fd));
	fd = -1;	/* the client's now */
	ASSERT_EQ(1, SSL_connect(self->c.ssl));
	EXPECT_EQ(10, client_recv(&self->c, 10));
	DONE(0);
out:
	if (fd >= 0)
		close(fd);
}

TEST_F(any, listens_on_a_unix_socket)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%.90s/sock", self->dir);
	self->opts.listen = PEER_LISTEN_UNIX;
	self->opts.unix_path = un.sun_path;
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 10 });
	ASSERT_EQ(0, connect(fd, (struct sockaddr *)&un, sizeof(un)));
	ASSERT_EQ(0, client_connect_fd(&self->c, fd));
	ASSERT_EQ(1, SSL_connect(self->c.ssl));
	EXPECT_EQ(10, client_recv(&self->c, 10));
	DONE(0);
	peer_stop(self->peer);
	self->peer = NULL;
	EXPECT_EQ(-1, access(un.sun_path, F_OK));
}

TEST_F(any, serves_a_socket_it_is_given)
{
	int fds[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	self->opts.listen = PEER_LISTEN_NONE;
	START({ .op = PEER_HANDSHAKE }, { .op = PEER_SEND, .a = 10 });
	ASSERT_EQ(0, peer_serve(self->peer, fds[1]));
	ASSERT_EQ(0, client_connect_fd(&self->c, fds[0]));
	ASSERT_EQ(1, SSL_connect(self->c.ssl));
	EXPECT_EQ(10, client_recv(&self->c, 10));
	DONE(0);
}

TEST_F(any, refuses_connections_beyond_the_limit)
{
	struct client second = { .fd = -1 };

	self->opts.max_conns = 1;
	START({ .op = PEER_HANDSHAKE });
	CONNECT();
	DONE(0);
	client_close(&self->c);
	/* The socket closes after the accept; a connect may still get in. */
	ASSERT_EQ(0, client_init(&second, self->dir));
	EXPECT_GT(1, client_connect(&second, self->peer, NULL));
	client_close(&second);
	SSL_CTX_free(second.ctx);
	peer_totals(self->peer, &self->totals);
	EXPECT_EQ(1, self->totals.accepted);
}

TEST_F(any, many_connections_at_once)
{
	struct client many[40] = { { .fd = 0 } };

	START({ .op = PEER_HANDSHAKE }, { .op = PEER_BARRIER },
	      { .op = PEER_SEND, .a = 1000 });
	for (int i = 0; i < 40; i++) {
		ASSERT_EQ(0, client_init(&many[i], self->dir));
		ASSERT_EQ(1, client_connect(&many[i], self->peer, NULL));
	}
	for (int i = 0; i < 40; i++)
		peer_go(self->peer);
	for (int i = 0; i < 40; i++)
		EXPECT_EQ(1000, client_recv(&many[i], 1000));
	ASSERT_EQ(0, peer_wait_totals(self->peer, 40, &self->totals));
	EXPECT_EQ(40, self->totals.handshakes);
	EXPECT_EQ(0, self->totals.failed);
	for (int i = 0; i < 40; i++) {
		client_close(&many[i]);
		for (unsigned int t = 0; t < many[i].nr_tickets; t++)
			SSL_SESSION_free(many[i].tickets[t]);
		SSL_CTX_free(many[i].ctx);
	}
}

TEST_F(any, a_silent_client_is_given_up)
{
	self->opts.timeout_ms = 100;
	START({ .op = PEER_HANDSHAKE });
	self->c.fd = tcp_connect(self->peer);
	ASSERT_LE(0, self->c.fd);
	while (peer_wait_done(self->peer, 0, &self->res))
		;
	EXPECT_STREQ("step 0 (handshake): receiving: Connection timed out",
		     self->res.error);
}

TEST_F(any, impossible_options_are_refused)
{
	static const struct peer_step script[] = { { .op = PEER_NR_OPS } };
	static const struct peer_step empty[] = { { .op = PEER_END } };

	self->opts.steps = script;
	EXPECT_EQ(-EINVAL, peer_start(&self->opts, &self->peer));
	self->opts.steps = empty;
	self->opts.listen = PEER_LISTEN_UNIX;
	EXPECT_EQ(-EINVAL, peer_start(&self->opts, &self->peer));
}

TEST(pattern_is_the_same_from_everywhere)
{
	uint8_t buf[100];

	peer_pattern_fill(buf, 12345, sizeof(buf));
	for (size_t i = 0; i < sizeof(buf); i++)
		ASSERT_EQ(peer_pattern(12345 + i), buf[i]);
	EXPECT_EQ(sizeof(buf), peer_pattern_check(buf, 12345, sizeof(buf)));
	buf[60] ^= 1;
	EXPECT_EQ(60, peer_pattern_check(buf, 12345, sizeof(buf)));
}

TEST_HARNESS_MAIN
