/* SPDX-License-Identifier: MIT */
/*
 * The origin's certificate, made for the run, and its TLS context.
 */
#ifndef BENCH_RELAY_TLS_H
#define BENCH_RELAY_TLS_H

#include <stddef.h>
#include <stdint.h>

struct evp_pkey_st;
struct ssl_ctx_st;
struct x509_st;

/* the name in the certificate */
#define RELAY_TLS_NAME "localhost"

/**
 * struct relay_tls - an identity and what it speaks; zeroed is empty
 * @version: KTC_TLS1_2 or KTC_TLS1_3
 * @cert: signs itself
 * @key: ECDSA P-256
 */
struct relay_tls {
	uint16_t version;
	struct x509_st *cert;
	struct evp_pkey_st *key;
};

/**
 * relay_tls_init() - make key and certificate
 * @tls: filled; on failure nothing is left
 * @version: KTC_TLS1_2 or KTC_TLS1_3
 * @ca_file: the certificate is written there, for clients to trust
 *
 * Return: 0, -EIO when OpenSSL failed, -errno of the file.
 */
int relay_tls_init(struct relay_tls *tls, uint16_t version,
		   const char *ca_file);
void relay_tls_fini(struct relay_tls *tls);

/*
 * A server's context: AES-128-GCM only, no tickets. To be freed with
 * SSL_CTX_free(); NULL when OpenSSL failed.
 */
struct ssl_ctx_st *relay_tls_server(const struct relay_tls *tls);

#endif /* BENCH_RELAY_TLS_H */
