// SPDX-License-Identifier: MIT
/*
 * Chunks of objects, a list through those that are free. Under
 * AddressSanitizer each object is malloc()'s own, so that it sees who uses one
 * that was given back.
 */
#include "pool.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_OBJECTS 64
#define LINE 64

struct pool_chunk {
	alignas(LINE) struct pool_chunk *next;
	alignas(LINE) char objects[];
};

#ifdef __SANITIZE_ADDRESS__
#define POOL_IS_MALLOC 1
#else
#define POOL_IS_MALLOC 0
#endif

void pool_init(struct pool *pool, size_t size)
{
	*pool = (struct pool){ .size = (size + LINE - 1) / LINE * LINE };
}

void pool_fini(struct pool *pool)
{
	struct pool_chunk *chunk;

	while ((chunk = pool->chunks)) {
		pool->chunks = chunk->next;
		free(chunk);
	}
	pool->free = NULL;
}

static int pool_grow(struct pool *pool)
{
	struct pool_chunk *chunk;
	size_t i;

	chunk = aligned_alloc(LINE, sizeof(*chunk) +
					    CHUNK_OBJECTS * pool->size);
	if (!chunk)
		return -1;
	chunk->next = pool->chunks;
	pool->chunks = chunk;
	for (i = 0; i < CHUNK_OBJECTS; i++) {
		void **object = (void **)(chunk->objects + i * pool->size);

		*object = pool->free;
		pool->free = object;
	}
	return 0;
}

void *pool_get(struct pool *pool)
{
	void **object;

	if (POOL_IS_MALLOC) {
		object = aligned_alloc(LINE, pool->size);
		if (!object)
			return NULL;
	} else {
		if (!pool->free && pool_grow(pool))
			return NULL;
		object = pool->free;
		pool->free = *object;
	}
	return memset(object, 0, pool->size);
}

void pool_put(struct pool *pool, void *object)
{
	if (POOL_IS_MALLOC) {
		free(object);
		return;
	}
	*(void **)object = pool->free;
	pool->free = object;
}
