/* SPDX-License-Identifier: MIT */
/*
 * Two clients of one configuration, sessions for the first by name, and a look
 * at what either has.
 */
#ifndef SELFTESTS_PAIR_H
#define SELFTESTS_PAIR_H

#include <ktlsclient.h>

#include <stdbool.h>
#include <stdint.h>

#include "certs.h"
#include "origin.h"

#define PAIR_IDS 3

struct pair {
	char dir[CERTS_DIR_MAX];
	char ca_file[CERTS_DIR_MAX + 16];
	char cert_file[CERTS_DIR_MAX + 16];
	char key_file[CERTS_DIR_MAX + 16];
	struct ktc_client_opts opts;	/* both clients' */
	struct ktc_client *from, *to;
	uint8_t id[PAIR_IDS][ORIGIN_ID_LEN];	/* with that configuration */
	uint8_t key[KTC_EXPORT_KEY_LEN];
};

/* Certificates and options, the clients not yet. 0 or negative. */
int pair_init(struct pair *pair);
/* The clients, and the identities of three origins. 0 or negative. */
int pair_start(struct pair *pair);
/* All of the clients is freed then. Both may be called again. */
void pair_stop(struct pair *pair);
void pair_fini(struct pair *pair);

/* The identity of that origin with a client of its own configuration. */
int pair_id(const struct ktc_client *client, unsigned int origin,
	    uint8_t id[ORIGIN_ID_LEN]);

/* A new session, living for a day from now on. False: it cannot be made. */
bool pair_give13(struct ktc_client *client, const uint8_t *id,
		 const char *name);
bool pair_give12(struct ktc_client *client, const uint8_t *id,
		 const char *name);
/* One that ends so many seconds from now and has extra bytes. */
bool pair_give(struct ktc_client *client, const uint8_t *id, const char *name,
	       int version, uint32_t life_s, size_t extra);

/*
 * Takes all that an identity has: "c b a", the newest first. A TLS 1.2 session
 * ends it, for it stays. Valid until the next call.
 */
const char *pair_take_all(struct ktc_client *client, const uint8_t *id);

/* Sessions in the client's inventory. */
uint64_t pair_sessions(const struct ktc_client *client);

#endif /* SELFTESTS_PAIR_H */
