/* SPDX-License-Identifier: MIT */
#ifndef KTC_KEYHASH_H
#define KTC_KEYHASH_H

#include <stddef.h>
#include <stdint.h>

#define KEYHASH_LEN 8

/*
 * SipHash-2-4 under a random key that lives as long as the process: whoever
 * chooses the input cannot know, or aim at, the place in a table. 0 or
 * -KTC_E_OPENSSL, then out is untouched, and it stays so. Any thread.
 */
int keyhash(const void *p, size_t len, uint8_t out[KEYHASH_LEN]);

#endif /* KTC_KEYHASH_H */
