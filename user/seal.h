/* SPDX-License-Identifier: MIT */
/*
 * Sessions that leave a client, sealed, and those that come in; the contract
 * of each function is that of its namesake in <ktlsclient.h>. Any thread.
 */
#ifndef KTC_SEAL_H
#define KTC_SEAL_H

#include <ktlsclient.h>

struct config;
struct inventory;

#define SEAL_EXPORT_FLAGS KTC_EXPORT_CLIENT_CERT

int seal_export(struct inventory *inv, const struct config *config,
		const uint8_t key[KTC_EXPORT_KEY_LEN], uint32_t flags,
		void **out, size_t *len);
int seal_import(struct inventory *inv, const struct config *config,
		const uint8_t key[KTC_EXPORT_KEY_LEN], const void *sealed,
		size_t len);
int seal_export_file(struct inventory *inv, const struct config *config,
		     const uint8_t key[KTC_EXPORT_KEY_LEN], uint32_t flags,
		     const char *path);
int seal_import_file(struct inventory *inv, const struct config *config,
		     const uint8_t key[KTC_EXPORT_KEY_LEN], const char *path);

#endif /* KTC_SEAL_H */
