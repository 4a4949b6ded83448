// SPDX-License-Identifier: MIT
/*
 * Plaintext by the socket, TLS by OpenSSL on it. Handshakes happen inside the
 * first reads and writes. One thread.
 */
#include "guest_io.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

int guest_tls(const char *cert, const char *key, struct ssl_ctx_st **out)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx || SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1) {
		SSL_CTX_free(ctx);
		return -EINVAL;
	}
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE);
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	/* tickets only: nothing is kept here */
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	*out = ctx;
	return 0;
}

int guest_io_open(struct guest_io *io, struct ssl_ctx_st *ctx, int fd)
{
	SSL *ssl = NULL;

	if (ctx) {
		ssl = SSL_new(ctx);
		if (!ssl || SSL_set_fd(ssl, fd) != 1) {
			SSL_free(ssl);
			return -ENOMEM;
		}
		SSL_set_accept_state(ssl);
	}
	io->fd = fd;
	io->ssl = ssl;
	return 0;
}

void guest_io_close(struct guest_io *io)
{
	SSL_free(io->ssl);
	(void)close(io->fd); /* the counts say what arrived */
}

static int by_ssl(struct guest_io *io, int rc)
{
	switch (SSL_get_error(io->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return GUEST_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		ERR_clear_error();
		return GUEST_LOST;
	}
}

ssize_t guest_io_recv(struct guest_io *io, uint8_t *buf, size_t len)
{
	size_t n;
	ssize_t got;

	if (io->ssl) {
		int rc = SSL_read_ex(io->ssl, buf, len, &n);

		return rc == 1 ? (ssize_t)n : by_ssl(io, rc);
	}
	got = recv(io->fd, buf, len, 0);
	if (got < 0)
		return errno == EAGAIN ? GUEST_AGAIN : GUEST_LOST;
	return got;
}

ssize_t guest_io_send(struct guest_io *io, const uint8_t *buf, size_t len)
{
	size_t n;
	ssize_t sent;

	if (io->ssl) {
		int rc = SSL_write_ex(io->ssl, buf, len, &n);

		if (rc == 1)
			return (ssize_t)n;
		rc = by_ssl(io, rc);
		return rc ? rc : GUEST_LOST;
	}
	sent = send(io->fd, buf, len, MSG_NOSIGNAL);
	if (sent < 0)
		return errno == EAGAIN ? GUEST_AGAIN : GUEST_LOST;
	return sent;
}

int guest_io_shut(struct guest_io *io)
{
	int rc = io->ssl ? SSL_shutdown(io->ssl) : 0;

	/* a full socket takes no close_notify either */
	if (rc < 0) {
		rc = by_ssl(io, rc);
		return rc ? rc : GUEST_LOST;
	}
	return shutdown(io->fd, SHUT_WR) ? GUEST_LOST : 0;
}

int guest_io_greet(struct guest_io *io)
{
	int rc;

	if (!io->ssl || SSL_is_init_finished(io->ssl))
		return 0;
	rc = SSL_do_handshake(io->ssl);
	if (rc == 1)
		return 0;
	rc = by_ssl(io, rc);
	return rc ? rc : GUEST_LOST;
}

bool guest_io_pending(const struct guest_io *io)
{
	return io->ssl && SSL_pending(io->ssl) > 0;
}

bool guest_io_resumed(const struct guest_io *io)
{
	return io->ssl && SSL_session_reused(io->ssl);
}
