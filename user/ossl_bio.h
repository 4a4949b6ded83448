/* SPDX-License-Identifier: MIT */
/*
 * What an SSL reads from and writes to: the caller's bytes, where they lie,
 * and buffers of ours that go out as they are. OpenSSL's memory BIOs would
 * copy both once more, and clear and move their memory as it grows.
 */
#ifndef KTC_OSSL_BIO_H
#define KTC_OSSL_BIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bio_st;	/* a BIO */

/* Large buffers that were used before, the last one first. One thread's. */
struct bio_pool {
	struct bio_spare *spare;
	unsigned int spares;
};

void bio_pool_init(struct bio_pool *pool);
void bio_pool_fini(struct bio_pool *pool);

struct bio_buf {
	uint8_t *p;
	size_t len;
	size_t size;
};

struct ossl_bio {
	struct bio_pool *pool;
	const uint8_t *in;	/* lent */
	size_t in_len;
	struct bio_buf out[2];
	uint8_t writing;	/* which of out OpenSSL writes to */
	bool lent;		/* the other one is in flight */
	bool no_memory;		/* a write failed for want of it */
};

/* The BIO, for reading and writing; NULL: no memory. b must outlive it. */
struct bio_st *ossl_bio_new(struct ossl_bio *b, struct bio_pool *pool);
/* The buffers of one that is gone, or never was: b is zeroed then. */
void ossl_bio_fini(struct ossl_bio *b);

/* The next bytes to read; they stay where they are until they are. */
void ossl_bio_lend(struct ossl_bio *b, const uint8_t *p, size_t len);

/* Bytes after what OpenSSL has written. False: no memory. */
bool ossl_bio_put(struct ossl_bio *b, const void *p, size_t len);
/* Written, and not taken yet. */
size_t ossl_bio_pending(const struct ossl_bio *b);
/* Lends it all, until ossl_bio_done(); 0: nothing, or some is lent. */
size_t ossl_bio_take(struct ossl_bio *b, const uint8_t **p);
void ossl_bio_done(struct ossl_bio *b);
/* Forgets what is pending. */
void ossl_bio_drop(struct ossl_bio *b);

#endif /* KTC_OSSL_BIO_H */
