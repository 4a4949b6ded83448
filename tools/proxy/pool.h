/* SPDX-License-Identifier: MIT */
/*
 * Objects of one size, kept for the next one: a worker's links and upstream
 * connections come and go without malloc(). What is given back stays until
 * the pool ends. One thread.
 */
#ifndef PROXY_POOL_H
#define PROXY_POOL_H

#include <stddef.h>

struct pool_chunk;

struct pool {
	size_t size;		/* of an object; a multiple of 64 */
	void *free;
	struct pool_chunk *chunks;
};

void pool_init(struct pool *pool, size_t size);
/* Every object has been given back. */
void pool_fini(struct pool *pool);
/* A zeroed object on a cache line of its own, or NULL. */
void *pool_get(struct pool *pool);
void pool_put(struct pool *pool, void *object);

#endif /* PROXY_POOL_H */
