// SPDX-License-Identifier: MIT
/*
 * What an SSL_SESSION weighs. OpenSSL has no call that lets go of the peer's
 * certificates, but its serialised form (ssl_asn1.c; stable since the nineties,
 * for it is what session files hold) has them in one optional field, number 3:
 * written out, without that field, and read back. The field's place is found
 * by OpenSSL's own ASN.1 reader; anything unexpected leaves the session as it
 * is. Reading back, OpenSSL's decoder leaves a copy of the session's secret in
 * memory that it has freed; nothing public can wipe that. Any thread.
 */
#include "session.h"

#include <openssl/asn1.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include <stdbool.h>
#include <string.h>

#define FIELD_PEER 3

/*
 * An SSL_SESSION of OpenSSL 3.x without what hangs on it, its lock and its
 * ex_data, with the allocator's overhead.
 */
#define SESSION_BASE 1300u
/* two certificates, parsed, with their keys */
#define PEER_BYTES 10000u

/* The element at *p, which ends before end; false if that is no element. */
static bool element(const uint8_t **p, const uint8_t *end, int *tag,
		    int *class, const uint8_t **content)
{
	long len;
	int ret;

	if (*p >= end)
		return false;
	*content = *p;
	ret = ASN1_get_object(content, &len, tag, class, end - *p);
	/* bit 7: an error; bit 0: of indefinite length */
	if (ret & 0x81 || len < 0 || len > end - *content)
		return false;
	*p = *content + len;
	return true;
}

/* Where the peer's field is in a session's DER; NULL: it has none. */
static const uint8_t *find_peer(const uint8_t *p, const uint8_t *end,
				const uint8_t **after)
{
	const uint8_t *start, *content;
	int tag, class;

	for (start = p; element(&p, end, &tag, &class, &content); start = p) {
		if (class != V_ASN1_CONTEXT_SPECIFIC || tag != FIELD_PEER)
			continue;
		*after = p;
		return start;
	}
	return NULL;
}

/* Session from its fields, those from peer to after left out. */
static SSL_SESSION *without(const uint8_t *fields, const uint8_t *end,
			    const uint8_t *peer, const uint8_t *after)
{
	int len = (int)(end - fields - (after - peer));
	int size = ASN1_object_size(1, len, V_ASN1_SEQUENCE);
	uint8_t *der = OPENSSL_malloc((size_t)size), *p = der;
	SSL_SESSION *session = NULL;
	const uint8_t *in = der;

	if (!der)
		return NULL;
	ASN1_put_object(&p, 1, len, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
	memcpy(p, fields, (size_t)(peer - fields));
	memcpy(p + (peer - fields), after, (size_t)(end - after));
	session = d2i_SSL_SESSION(NULL, &in, size);
	OPENSSL_clear_free(der, (size_t)size);	/* it holds the secret */
	return session;
}

static SSL_SESSION *slim_copy(const uint8_t *der, int len)
{
	const uint8_t *p = der, *end = der + len, *fields, *peer, *after;
	int tag, class;

	if (!element(&p, end, &tag, &class, &fields) || p != end ||
	    class != V_ASN1_UNIVERSAL || tag != V_ASN1_SEQUENCE)
		return NULL;
	peer = find_peer(fields, end, &after);
	return peer ? without(fields, end, peer, after) : NULL;
}

void session_slim(SSL_SESSION **session)
{
	SSL_SESSION *slim = NULL;
	uint8_t *der = NULL;
	int len;

	if (!SSL_SESSION_get0_peer(*session))
		return;
	ERR_set_mark();
	len = i2d_SSL_SESSION(*session, &der);
	if (len > 0) {
		slim = slim_copy(der, len);
		OPENSSL_clear_free(der, (size_t)len);
	}
	ERR_pop_to_mark();
	if (!slim)
		return;
	SSL_SESSION_free(*session);
	*session = slim;
}

size_t session_bytes(const SSL_SESSION *session)
{
	const unsigned char *alpn, *ticket;
	size_t alpn_len, ticket_len;
	const char *name = SSL_SESSION_get0_hostname(session);

	SSL_SESSION_get0_alpn_selected(session, &alpn, &alpn_len);
	SSL_SESSION_get0_ticket(session, &ticket, &ticket_len);
	return SESSION_BASE + alpn_len + ticket_len +
	       (name ? strlen(name) : 0) +
	       (SSL_SESSION_get0_peer((SSL_SESSION *)session) ? PEER_BYTES :
								0);
}
