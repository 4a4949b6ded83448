// SPDX-License-Identifier: MIT
/*
 * One SSL_CTX, made from a configuration: protocol, trust, certificate,
 * callbacks. Shared by all connections of a client and not changed once it is
 * made. What is wrong with a file or a list is told in words.
 */
#include "ossl_ctx.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include "config.h"
#include "mem.h"
#include "ossl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int ossl_index = -1;
static CRYPTO_ONCE index_once = CRYPTO_ONCE_STATIC_INIT;

static void index_init(void)
{
	ossl_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static int ctx_fail(char *why, size_t why_len, int err, const char *what,
		    const char *value)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	if (why && why_len)
		snprintf(why, why_len, "%s: \"%s\": %s", what, value,
			 reason ? reason : "refused by OpenSSL");
	ERR_clear_error();
	return err;
}

static int ctx_load_crl(SSL_CTX *ssl_ctx, const struct config *config)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ssl_ctx);
	X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
	unsigned long flags = X509_V_FLAG_CRL_CHECK;

	if (!lookup || X509_load_crl_file(lookup, config->crl_file,
					  X509_FILETYPE_PEM) < 1)
		return 0;
	if (config->flags & KTC_CLIENT_CRL_CHECK_ALL)
		flags |= X509_V_FLAG_CRL_CHECK_ALL;
	return X509_STORE_set_flags(store, flags);
}

static int ctx_trust(SSL_CTX *ssl_ctx, const struct config *config, char *why,
		     size_t why_len)
{
	if (config->flags & KTC_CLIENT_INSECURE_NO_VERIFY) {
		SSL_CTX_set_verify(ssl_ctx, SSL_VERIFY_NONE, NULL);
		return 0;
	}
	SSL_CTX_set_verify(ssl_ctx, SSL_VERIFY_PEER, NULL);
	if (!config->ca_file && !config->ca_dir) {
		if (SSL_CTX_set_default_verify_paths(ssl_ctx) != 1)
			return ctx_fail(why, why_len, -KTC_E_CONFIG_FILE,
					"ca_file", "the system's store");
	}
	if (config->ca_file &&
	    SSL_CTX_load_verify_file(ssl_ctx, config->ca_file) != 1)
		return ctx_fail(why, why_len, -KTC_E_CONFIG_FILE, "ca_file",
				config->ca_file);
	if (config->ca_dir &&
	    SSL_CTX_load_verify_dir(ssl_ctx, config->ca_dir) != 1)
		return ctx_fail(why, why_len, -KTC_E_CONFIG_FILE, "ca_dir",
				config->ca_dir);
	if (config->crl_file && ctx_load_crl(ssl_ctx, config) != 1)
		return ctx_fail(why, why_len, -KTC_E_CONFIG_FILE, "crl_file",
				config->crl_file);
	return 0;
}

/* A key file with a passphrase is refused, not asked for on the terminal. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

static int ctx_certificate(SSL_CTX *ssl_ctx, const struct config *config,
			   char *why, size_t why_len)
{
	if (!config->cert_file)
		return 0;
	if (SSL_CTX_use_certificate_chain_file(ssl_ctx, config->cert_file) != 1)
		return ctx_fail(why, why_len, -KTC_E_CONFIG_FILE, "cert_file",
				config->cert_file);
	SSL_CTX_set_default_passwd_cb(ssl_ctx, no_passphrase);
	if (SSL_CTX_use_PrivateKey_file(ssl_ctx, config->key_file,
					SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(ssl_ctx) != 1)
		return ctx_fail(why, why_len, -KTC_E_CONFIG_FILE, "key_file",
				config->key_file);
	return 0;
}

static int ctx_protocol(SSL_CTX *ssl_ctx, const struct config *config,
			char *why, size_t why_len)
{
	if (!SSL_CTX_set_min_proto_version(ssl_ctx, config->version_min) ||
	    !SSL_CTX_set_max_proto_version(ssl_ctx, config->version_max))
		return ctx_fail(why, why_len, -KTC_E_OPTION, "version_min/max",
				"TLS version");
	if (SSL_CTX_set_cipher_list(ssl_ctx, config->tls12_ciphers) != 1)
		return ctx_fail(why, why_len, -KTC_E_OPTION, "tls12_ciphers",
				config->tls12_ciphers);
	if (SSL_CTX_set_ciphersuites(ssl_ctx, config->tls13_suites) != 1)
		return ctx_fail(why, why_len, -KTC_E_OPTION, "tls13_suites",
				config->tls13_suites);
	if (SSL_CTX_set1_groups_list(ssl_ctx, config->groups) != 1)
		return ctx_fail(why, why_len, -KTC_E_OPTION, "groups",
				config->groups);
	return 0;
}

static int ctx_keylog_env(struct ossl_ctx *ctx)
{
	const char *path;

	if (!(ctx->config->flags & KTC_CLIENT_KEYLOG_ENV))
		return 0;
	/* never for a program that runs with more rights than its caller */
	path = secure_getenv("SSLKEYLOGFILE");
	if (!path || !*path)
		return 0;
	ctx->keylog_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC,
			      0600);
	return ctx->keylog_fd < 0 ? -KTC_E_CONFIG_FILE : 0;
}

int ossl_ctx_new(const struct config *config, struct ossl_ctx **out, char *why,
		 size_t why_len)
{
	struct ossl_ctx *ctx;
	SSL_CTX *ssl_ctx;
	int err;

	if (!CRYPTO_THREAD_run_once(&index_once, index_init) || ossl_index < 0)
		return -ENOMEM;
	ctx = mem_zalloc(sizeof(*ctx));
	if (!ctx)
		return -ENOMEM;
	ctx->config = config;
	ctx->keylog_fd = -1;
	ctx->ssl_ctx = ssl_ctx = SSL_CTX_new(TLS_client_method());
	if (!ssl_ctx) {
		err = -KTC_E_OPENSSL;
		goto out_free;
	}
	SSL_CTX_set_options(ssl_ctx, SSL_OP_NO_RENEGOTIATION |
				     SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ssl_ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ssl_ctx,
				       SSL_SESS_CACHE_CLIENT |
				       SSL_SESS_CACHE_NO_INTERNAL |
				       SSL_SESS_CACHE_NO_AUTO_CLEAR);
	SSL_CTX_sess_set_new_cb(ssl_ctx, ossl_on_session);
	SSL_CTX_set_keylog_callback(ssl_ctx, ossl_on_keylog);
	SSL_CTX_set_info_callback(ssl_ctx, ossl_on_info);

	err = ctx_protocol(ssl_ctx, config, why, why_len);
	if (!err)
		err = ctx_trust(ssl_ctx, config, why, why_len);
	if (!err)
		err = ctx_certificate(ssl_ctx, config, why, why_len);
	if (err)
		goto out_free;
	err = ctx_keylog_env(ctx);
	if (err) {
		if (why)
			snprintf(why, why_len, "SSLKEYLOGFILE: %s",
				 strerror(errno));
		goto out_free;
	}
	ERR_clear_error();
	*out = ctx;
	return 0;

out_free:
	ERR_clear_error();
	ossl_ctx_free(ctx);
	return err;
}

void ossl_ctx_free(struct ossl_ctx *ctx)
{
	if (!ctx)
		return;
	SSL_CTX_free(ctx->ssl_ctx);
	if (ctx->keylog_fd >= 0)
		close(ctx->keylog_fd);
	mem_free(ctx);
}
