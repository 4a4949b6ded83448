/* SPDX-License-Identifier: MIT */
/*
 * Sessions without a handshake, and tickets of them for an inventory. They are
 * written in OpenSSL's ASN.1 form, for a lifetime hint can be set in no other
 * way.
 */
#ifndef SELFTESTS_DER_SESSION_H
#define SELFTESTS_DER_SESSION_H

#include <openssl/ssl.h>

#include <stdint.h>

struct der_session_opts {
	int version;		/* TLS1_2_VERSION or TLS1_3_VERSION */
	uint64_t time_s;	/* when it was made */
	uint32_t life_s;	/* the server's hint */
	const char *name;	/* its ticket's bytes, 60 at most; NULL: none */
	size_t extra;		/* so many bytes more; 0: none */
};

/* NULL: OpenSSL failed. */
SSL_SESSION *der_session_new(const struct der_session_opts *opts);

/* Its ticket's bytes, as a string. Valid until the next call. */
const char *der_session_name(const SSL_SESSION *session);

#endif /* SELFTESTS_DER_SESSION_H */
