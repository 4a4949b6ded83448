/* SPDX-License-Identifier: MIT */
/*
 * Sessions that leave a client, and those that come in. The contract of each
 * function is in <ktlsclient.h>, under the name above it. Any thread.
 */
#ifndef KTC_EXPORT_H
#define KTC_EXPORT_H

#include <ktlsclient.h>

struct config;
struct inventory;

/* ktc_client_export() */
int export_to_memory(struct inventory *inv, const struct config *config,
		     const uint8_t key[KTC_EXPORT_KEY_LEN], uint32_t flags,
		     void **out, size_t *len);
/* ktc_client_import() */
int export_from_memory(struct inventory *inv, const struct config *config,
		       const uint8_t key[KTC_EXPORT_KEY_LEN],
		       const void *bytes, size_t len);
/* ktc_client_export_file() */
int export_to_file(struct inventory *inv, const struct config *config,
		   const uint8_t key[KTC_EXPORT_KEY_LEN], uint32_t flags,
		   const char *path);
/* ktc_client_import_file() */
int export_from_file(struct inventory *inv, const struct config *config,
		     const uint8_t key[KTC_EXPORT_KEY_LEN], const char *path);

#endif /* KTC_EXPORT_H */
