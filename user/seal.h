/* SPDX-License-Identifier: MIT */
/*
 * The sealed form of sessions: a list of them becomes bytes, and those bytes
 * become a list again. Any thread, each with lists of its own.
 */
#ifndef KTC_SEAL_H
#define KTC_SEAL_H

#include <ktlsclient.h>

#include "origin.h"

struct config;
struct ticket;

/* The flags of an export that this version knows. */
#define SEAL_FLAGS KTC_EXPORT_CLIENT_CERT

struct seal_item {
	uint8_t id[ORIGIN_ID_LEN];
	struct ticket *ticket;	/* a reference; NULL: none any more */
	uint8_t *der;		/* seal_pack()'s own, while it runs */
	size_t der_len;
	bool packed;		/* it is in the bytes */
};

struct seal_list {
	struct seal_item *items;
	size_t nr;
};

/* For mem_free(): what is sealed is no secret. */
struct sealed {
	uint8_t *bytes;
	size_t len;
};

/*
 * Seals a list, the newest of which is the first, and marks what has been
 * packed; the tickets stay the caller's. What cannot be encoded, or is too
 * large, is left out. How many were packed; -ENOMEM, -KTC_E_OPENSSL: none.
 */
int seal_pack(const struct config *config,
	      const uint8_t key[KTC_EXPORT_KEY_LEN], uint32_t flags,
	      struct seal_list *list, struct sealed *out);

/*
 * The list that was sealed, the oldest first, for seal_list_drop(): all of it,
 * or -KTC_E_SEAL, -KTC_E_SEAL_VERSION, -KTC_E_SEAL_CONFIG, -ENOMEM,
 * -KTC_E_OPENSSL.
 */
int seal_unpack(const struct config *config,
		const uint8_t key[KTC_EXPORT_KEY_LEN],
		const struct sealed *sealed, struct seal_list *out);

/* Lets go of the tickets that are left, and of the list. */
void seal_list_drop(struct seal_list *list);

#endif /* KTC_SEAL_H */
