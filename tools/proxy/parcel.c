// SPDX-License-Identifier: MIT
/* See parcel.h. A parcel has one owner at a time. Any thread. */
#include "parcel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* what goes before the strings and the state, which follow in this order */
struct packed {
	uint64_t left_ms;
	uint16_t listener_len;
	uint16_t origin_len;
	uint16_t server_name_len;
	uint16_t state_len;
};

_Static_assert(sizeof(struct packed) <= 64, "PARCEL_LEN_MAX counts with it");

struct parcel *parcel_new(void)
{
	struct parcel *parcel = calloc(1, sizeof(*parcel));

	if (!parcel)
		return NULL;
	parcel->client_fd = -1;
	parcel->tls_fd = -1;
	return parcel;
}

void parcel_free(struct parcel *parcel)
{
	if (!parcel)
		return;
	if (parcel->client_fd >= 0)
		(void)close(parcel->client_fd); /* its owner has another */
	if (parcel->tls_fd >= 0)
		(void)close(parcel->tls_fd); /* the same */
	explicit_bzero(parcel, sizeof(*parcel));
	free(parcel);
}

static int put_text(char *to, const char *text)
{
	size_t len = strlen(text);

	if (len > PARCEL_TEXT_MAX)
		return -ENAMETOOLONG;
	memcpy(to, text, len + 1);
	return 0;
}

int parcel_label(struct parcel *parcel, const char *listener,
		 const char *origin, const char *server_name)
{
	int err = put_text(parcel->listener, listener);

	if (!err)
		err = put_text(parcel->origin, origin);
	if (!err)
		err = put_text(parcel->server_name,
			       server_name ? server_name : "");
	return err;
}

size_t parcel_pack(const struct parcel *parcel, uint8_t *buf)
{
	const struct packed packed = {
		.left_ms = parcel->left_ms,
		.listener_len = (uint16_t)strlen(parcel->listener),
		.origin_len = (uint16_t)strlen(parcel->origin),
		.server_name_len = (uint16_t)strlen(parcel->server_name),
		.state_len = (uint16_t)parcel->state_len,
	};
	uint8_t *at = buf;

	memcpy(at, &packed, sizeof(packed));
	at += sizeof(packed);
	memcpy(at, parcel->listener, packed.listener_len);
	at += packed.listener_len;
	memcpy(at, parcel->origin, packed.origin_len);
	at += packed.origin_len;
	memcpy(at, parcel->server_name, packed.server_name_len);
	at += packed.server_name_len;
	memcpy(at, parcel->state, parcel->state_len);
	at += parcel->state_len;
	return (size_t)(at - buf);
}

/* A text of that length, with no NUL in it. */
static bool get_text(char *to, const uint8_t **at, size_t len)
{
	if (memchr(*at, 0, len))
		return false;
	memcpy(to, *at, len);
	to[len] = '\0';
	*at += len;
	return true;
}

int parcel_unpack(struct parcel *parcel, const uint8_t *buf, size_t len)
{
	struct packed packed;
	const uint8_t *at = buf + sizeof(packed);

	if (len < sizeof(packed))
		return -EPROTO;
	memcpy(&packed, buf, sizeof(packed));
	if (packed.listener_len > PARCEL_TEXT_MAX ||
	    packed.origin_len > PARCEL_TEXT_MAX ||
	    packed.server_name_len > PARCEL_TEXT_MAX ||
	    packed.state_len > sizeof(parcel->state) ||
	    len != sizeof(packed) + packed.listener_len + packed.origin_len +
			   packed.server_name_len + packed.state_len)
		return -EPROTO;
	if (!get_text(parcel->listener, &at, packed.listener_len) ||
	    !get_text(parcel->origin, &at, packed.origin_len) ||
	    !get_text(parcel->server_name, &at, packed.server_name_len))
		return -EPROTO;
	memcpy(parcel->state, at, packed.state_len);
	parcel->state_len = packed.state_len;
	parcel->left_ms = packed.left_ms;
	return 0;
}
