/* SPDX-License-Identifier: MIT */
#ifndef KTC_SESSION_H
#define KTC_SESSION_H

#include <openssl/ssl.h>

#include <stddef.h>

/*
 * The same session without the peer's certificates, which are most of its
 * memory and which resumption does not need: it inherits the verdict. Takes
 * the reference and gives one; when there is nothing to leave out, or no
 * memory, it is the same.
 */
SSL_SESSION *session_slim(SSL_SESSION *take);

/* What one costs in memory, about. */
size_t session_bytes(const SSL_SESSION *session);

#endif /* KTC_SESSION_H */
