/* SPDX-License-Identifier: MIT */
#ifndef KTC_SESSION_H
#define KTC_SESSION_H

#include <openssl/ssl.h>

#include <stddef.h>

/*
 * Puts the same session without the peer's certificates in its place: they are
 * most of its memory, and resumption does not need them, for it inherits the
 * verdict. The reference is replaced too; when there is nothing to leave out,
 * or no memory, nothing happens. (The struct is OpenSSL's SSL_SESSION.)
 */
void session_slim(struct ssl_session_st **session);

/* What one costs in memory, about. */
size_t session_bytes(const SSL_SESSION *session);

#endif /* KTC_SESSION_H */
