// SPDX-License-Identifier: MIT
/*
 * A BIO of our own. Reading gives what was lent, and then says "more comes".
 * Writing appends to one of two buffers that change places, so that bytes in
 * flight stay where they are while new ones are made. A buffer begins small,
 * for a handshake's messages; one that grows gets the size of a sealed batch,
 * and these are kept for the next who needs one: they are the memory that is
 * warm. An idle connection has no buffer.
 */
#include "ossl_bio.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>

#include "limit.h"
#include "mem.h"
#include "util.h"

#include <string.h>

#define BUF_SMALL 2048u
/* every record of a batch with its header, nonce, type and tag, and a few */
#define BUF_LARGE (LIMIT_USER_BATCH + \
		   64u * (LIMIT_USER_BATCH / LIMIT_RECORD_PLAIN + 8u))

struct bio_spare {
	struct bio_spare *next;
};

/* ---------------------------------------------------------- buffers -- */

void bio_pool_init(struct bio_pool *pool)
{
	*pool = (struct bio_pool){ 0 };
}

void bio_pool_fini(struct bio_pool *pool)
{
	struct bio_spare *spare;

	while ((spare = pool->spare)) {
		pool->spare = spare->next;
		mem_free(spare);
	}
	pool->spares = 0;
}

static void *buf_get(struct bio_pool *pool, size_t size)
{
	struct bio_spare *spare = pool->spare;

	if (size != BUF_LARGE || !spare)
		return mem_zalloc(size);
	pool->spare = spare->next;
	pool->spares--;
	return spare;
}

static void buf_put(struct bio_pool *pool, struct bio_buf *buf)
{
	struct bio_spare *spare = (void *)buf->p;

	if (buf->size != BUF_LARGE || pool->spares == LIMIT_SPARE_BUFFERS) {
		mem_free(buf->p);
	} else {
		spare->next = pool->spare;
		pool->spare = spare;
		pool->spares++;
	}
	*buf = (struct bio_buf){ 0 };
}

static bool buf_grow(struct bio_pool *pool, struct bio_buf *buf, size_t need)
{
	struct bio_buf more = { .len = buf->len };

	if (need <= BUF_SMALL)
		more.size = BUF_SMALL;
	else if (need <= BUF_LARGE)
		more.size = BUF_LARGE;
	else
		more.size = 2 * need;
	more.p = buf_get(pool, more.size);
	if (!more.p)
		return false;
	if (buf->len)
		memcpy(more.p, buf->p, buf->len);
	buf_put(pool, buf);
	*buf = more;
	return true;
}

/* -------------------------------------------------------------- the BIO -- */

static int bio_read(BIO *bio, char *p, int len)
{
	struct ossl_bio *b = BIO_get_data(bio);
	size_t n = MIN(b->in_len, (size_t)MAX(len, 0));

	BIO_clear_retry_flags(bio);
	if (!n) {
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(p, b->in, n);
	b->in += n;
	b->in_len -= n;
	return (int)n;
}

static int bio_write(BIO *bio, const char *p, int len)
{
	BIO_clear_retry_flags(bio);
	if (len <= 0)
		return 0;
	return ossl_bio_put(BIO_get_data(bio), p, len) ? len : -1;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	(void)bio;
	(void)num;
	(void)ptr;
	/* all else, kernel TLS among it: not here */
	return cmd == BIO_CTRL_FLUSH;
}

static struct bio_method_st *method;
static CRYPTO_ONCE method_once = CRYPTO_ONCE_STATIC_INIT;

static void method_init(void)
{
	int type = BIO_get_new_index();
	BIO_METHOD *m = NULL;

	if (type > 0)
		m = BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "ktlsclient");
	if (m && (!BIO_meth_set_read(m, bio_read) ||
		  !BIO_meth_set_write(m, bio_write) ||
		  !BIO_meth_set_ctrl(m, bio_ctrl))) {
		BIO_meth_free(m);
		m = NULL;
	}
	method = m;
}

struct bio_st *ossl_bio_new(struct ossl_bio *b, struct bio_pool *pool)
{
	BIO *bio;

	b->pool = pool;
	if (!CRYPTO_THREAD_run_once(&method_once, method_init) || !method)
		return NULL;
	bio = BIO_new(method);
	if (!bio)
		return NULL;
	BIO_set_data(bio, b);
	BIO_set_init(bio, 1);
	return bio;
}

void ossl_bio_fini(struct ossl_bio *b)
{
	if (!b->pool)
		return;
	buf_put(b->pool, &b->out[0]);
	buf_put(b->pool, &b->out[1]);
}

/* ------------------------------------------------------- the other end -- */

void ossl_bio_lend(struct ossl_bio *b, const uint8_t *p, size_t len)
{
	b->in = p;
	b->in_len = len;
}

bool ossl_bio_put(struct ossl_bio *b, const void *p, size_t len)
{
	struct bio_buf *buf = &b->out[b->writing];

	if (len > buf->size - buf->len &&
	    !buf_grow(b->pool, buf, buf->len + len)) {
		b->no_memory = true;
		return false;
	}
	memcpy(buf->p + buf->len, p, len);
	buf->len += len;
	return true;
}

size_t ossl_bio_pending(const struct ossl_bio *b)
{
	return b->out[b->writing].len;
}

size_t ossl_bio_take(struct ossl_bio *b, const uint8_t **p)
{
	const struct bio_buf *buf = &b->out[b->writing];

	if (b->lent || !buf->len)
		return 0;
	*p = buf->p;
	b->lent = true;
	b->writing ^= 1;
	return buf->len;
}

void ossl_bio_done(struct ossl_bio *b)
{
	b->lent = false;
	buf_put(b->pool, &b->out[b->writing ^ 1]);
}

void ossl_bio_drop(struct ossl_bio *b)
{
	buf_put(b->pool, &b->out[b->writing]);
	b->no_memory = false;
}
