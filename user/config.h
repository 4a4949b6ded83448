/* SPDX-License-Identifier: MIT */
#ifndef KTC_CONFIG_H
#define KTC_CONFIG_H

#include <ktlsclient.h>

/* What a client was told, checked and copied; immutable, shared by threads. */
struct config {
	uint32_t flags;
	enum ktc_policy policy;	/* never KTC_POLICY_DEFAULT */
	char *ca_file;
	char *ca_dir;
	char *crl_file;
	char *cert_file;
	char *key_file;
	char *tls12_ciphers;	/* never NULL */
	char *tls13_suites;	/* never NULL */
	char *groups;		/* never NULL */
	uint8_t *alpn;		/* wire form (RFC 7301), or NULL */
	size_t alpn_len;
	uint16_t version_min;
	uint16_t version_max;
	uint64_t auto_bytes;
	uint32_t connect_timeout_ms;
	uint32_t handshake_timeout_ms;
	uint32_t idle_timeout_ms;
	uint32_t close_timeout_ms;
	uint32_t send_queue_max;
	uint32_t sessions_max;
	uint32_t tickets_per_identity;
	uint64_t sessions_bytes_max;
	uint32_t full_per_s;
	uint32_t full_at_once;
	uint32_t keepalive_ms;
	ktc_keylog_fn keylog;
	void *keylog_arg;
	/*
	 * SHA-256 over all that decides whom we trust and what we agree to:
	 * the contents (not the names) of CA, CRL and certificate files, verify
	 * flags, versions, suites, groups. Of ca_dir the names too, for OpenSSL
	 * finds an issuer by them. Without ca_file and ca_dir the system's.
	 */
	uint8_t digest[32];
};

/*
 * Checks, fills in defaults, copies. why (may be NULL) gets a sentence that
 * names the option. On failure config is untouched.
 */
int config_init(struct config *config, const struct ktc_client_opts *opts,
		char *why, size_t why_len);
void config_fini(struct config *config);

/*
 * "h2,http/1.1" -> wire form in a new allocation; "" or NULL gives *out NULL
 * and *len 0. -KTC_E_OPTION for an empty, too long or non-printable name.
 */
int config_alpn(const char *list, uint8_t **out, size_t *len);

/*
 * Copies an option struct whose first member is size_t size into dst of
 * dst_size bytes: shorter ones are zero-filled, in longer ones the unknown
 * bytes must be zero. src NULL: all zero. dst's own size is dst_size
 * afterwards. -KTC_E_OPTION else.
 */
int config_copy_opts(void *dst, size_t dst_size, size_t min_size,
		     const void *src);

/*
 * The way out for info structs: copies as many bytes of src as out->size
 * (first member of both) covers, zeroes what is beyond, keeps out->size.
 * -KTC_E_OPTION for a size below min_size or absurdly large.
 */
int config_copy_out(void *out, size_t min_size, const void *src,
		    size_t src_size);

#endif /* KTC_CONFIG_H */
