/* SPDX-License-Identifier: MIT */
/* What the two files that speak to OpenSSL's TLS share. */
#ifndef KTC_OSSL_CTX_H
#define KTC_OSSL_CTX_H

#include <openssl/ssl.h>

struct config;

struct ossl_ctx {
	SSL_CTX *ssl_ctx;
	const struct config *config;
	int keylog_fd;		/* SSLKEYLOGFILE, or -1 */
};

/* SSL ex_data: struct ossl. Valid once there is a context. */
extern int ossl_index;

/* ossl.c: what OpenSSL calls up on every connection */
void ossl_on_keylog(const SSL *ssl, const char *line);
void ossl_on_info(const SSL *ssl, int where, int ret);
int ossl_on_session(SSL *ssl, SSL_SESSION *session);

#endif /* KTC_OSSL_CTX_H */
