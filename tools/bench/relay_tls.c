// SPDX-License-Identifier: MIT
/*
 * An ECDSA P-256 certificate that signs itself, for "localhost". Its dates are
 * fixed: a virtual machine's clock may be wrong by years.
 */
#include "relay_tls.h"

#include <errno.h>
#include <ktlsclient.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#define VALID_FROM  "20200101000000Z"
#define VALID_UNTIL "20491231235959Z"

static int extend(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;
	int done;

	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	if (!ext)
		return -EIO;
	done = X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	return done ? 0 : -EIO;
}

static int sign(X509 *cert, EVP_PKEY *key)
{
	X509_NAME *name = X509_get_subject_name(cert);

	if (!X509_set_version(cert, X509_VERSION_3) ||
	    !ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) ||
	    !ASN1_TIME_set_string(X509_getm_notBefore(cert), VALID_FROM) ||
	    !ASN1_TIME_set_string(X509_getm_notAfter(cert), VALID_UNTIL) ||
	    !X509_set_pubkey(cert, key) ||
	    !X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
					(const unsigned char *)RELAY_TLS_NAME,
					-1, -1, 0) ||
	    !X509_set_issuer_name(cert, name) ||
	    extend(cert, NID_basic_constraints, "critical,CA:TRUE") ||
	    extend(cert, NID_subject_alt_name, "DNS:" RELAY_TLS_NAME) ||
	    X509_sign(cert, key, EVP_sha256()) <= 0)
		return -EIO;
	return 0;
}

static int write_pem(const X509 *cert, const char *path)
{
	FILE *file = fopen(path, "we");
	int err = 0;

	if (!file)
		return -errno;
	if (!PEM_write_X509(file, cert))
		err = -EIO;
	if (fclose(file) && !err)
		err = -errno;
	return err;
}

int relay_tls_init(struct relay_tls *tls, uint16_t version, const char *ca_file)
{
	int err = -EIO;

	tls->version = version;
	tls->key = EVP_EC_gen("P-256");
	tls->cert = X509_new();
	if (tls->key && tls->cert)
		err = sign(tls->cert, tls->key);
	if (!err)
		err = write_pem(tls->cert, ca_file);
	if (err)
		relay_tls_fini(tls);
	return err;
}

void relay_tls_fini(struct relay_tls *tls)
{
	X509_free(tls->cert);
	EVP_PKEY_free(tls->key);
	tls->cert = NULL;
	tls->key = NULL;
}

struct ssl_ctx_st *relay_tls_server(const struct relay_tls *tls)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx && SSL_CTX_use_certificate(ctx, tls->cert) == 1 &&
	    SSL_CTX_use_PrivateKey(ctx, tls->key) == 1 &&
	    SSL_CTX_set_min_proto_version(ctx, tls->version) &&
	    SSL_CTX_set_max_proto_version(ctx, tls->version) &&
	    SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") &&
	    SSL_CTX_set_cipher_list(ctx, "ECDHE-ECDSA-AES128-GCM-SHA256") &&
	    SSL_CTX_set_num_tickets(ctx, 0)) {
		(void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
		return ctx;
	}
	SSL_CTX_free(ctx);
	return NULL;
}
