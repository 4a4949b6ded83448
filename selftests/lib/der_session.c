// SPDX-License-Identifier: MIT
/*
 * As much of a session as makes one that can be offered. The parts are short,
 * but for the one that OpenSSL has a call to add.
 */
#include "der_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LEN 60

struct der {
	uint8_t bytes[256];
	size_t len;
};

static void put(struct der *der, uint8_t tag, const void *p, size_t len)
{
	der->bytes[der->len++] = tag;
	der->bytes[der->len++] = (uint8_t)len;
	memcpy(der->bytes + der->len, p, len);
	der->len += len;
}

/* field < 0: a plain INTEGER; else in the field of that number */
static void put_number(struct der *der, int field, uint64_t value)
{
	struct der number = { .len = 0 };
	uint8_t bytes[9] = { 0 };
	size_t skip = 0;
	int i;

	for (i = 0; i < 8; i++)
		bytes[1 + i] = (uint8_t)(value >> (56 - 8 * i));
	/* DER: as few bytes as will do, the first of them no sign */
	while (skip < 8 && !bytes[skip] && !(bytes[skip + 1] & 0x80))
		skip++;
	put(&number, 2, bytes + skip, sizeof(bytes) - skip);
	if (field < 0)
		put(der, 2, bytes + skip, sizeof(bytes) - skip);
	else
		put(der, (uint8_t)(0xa0 + field), number.bytes, number.len);
}

static int add_extra(SSL_SESSION *session, size_t len)
{
	void *zeros = calloc(1, len);
	int ok = zeros && SSL_SESSION_set1_ticket_appdata(session, zeros, len);

	free(zeros);
	return ok;
}

SSL_SESSION *der_session_new(const struct der_session_opts *opts)
{
	static const uint8_t master[48] = { 1 };
	struct der body = { .len = 0 }, all = { .len = 0 }, name = { .len = 0 };
	const int v13 = opts->version == TLS1_3_VERSION;
	const uint8_t *p = all.bytes;
	SSL_SESSION *session;

	put_number(&body, -1, 1);
	put_number(&body, -1, (uint64_t)opts->version);
	put(&body, 4, v13 ? "\x13\x01" : "\xc0\x2f", 2);
	put(&body, 4, "id", opts->name ? 2 : 0);
	put(&body, 4, master, v13 ? 32 : 48);
	put_number(&body, 1, opts->time_s);
	put_number(&body, 2, 7200);
	put_number(&body, 9, opts->life_s);
	if (opts->name) {
		put(&name, 4, opts->name, strnlen(opts->name, NAME_MAX_LEN));
		put(&body, 0xaa, name.bytes, name.len);
	}
	all.bytes[0] = 0x30;
	all.bytes[1] = 0x81;
	all.bytes[2] = (uint8_t)body.len;
	memcpy(all.bytes + 3, body.bytes, body.len);
	session = d2i_SSL_SESSION(NULL, &p, (long)body.len + 3);
	if (session && opts->extra && !add_extra(session, opts->extra)) {
		SSL_SESSION_free(session);
		return NULL;
	}
	return session;
}

const char *der_session_name(const SSL_SESSION *session)
{
	static __thread char name[NAME_MAX_LEN + 1];
	const uint8_t *ticket = NULL;
	size_t len = 0;

	SSL_SESSION_get0_ticket(session, &ticket, &len);
	(void)snprintf(name, sizeof(name), "%.*s", (int)len,
		       (const char *)ticket);
	return name;
}
