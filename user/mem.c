// SPDX-License-Identifier: MIT
/*
 * Memory: zeroed allocation, wiping, and pools for objects that hold secrets.
 * Everything comes through sys, so that tests can make any allocation fail.
 * The functions may be called from any thread; a pool belongs to one.
 */
#include "mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "sys.h"
#include "util.h"

/* What a pool maps at least at a time; objects of 1 KiB come 63 at once. */
#define POOL_CHUNK_MIN (64u * 1024u)
#define POOL_PAGE 4096u
#define POOL_ALIGN 16u	/* one thread: no cache line is fought for */

struct pool_chunk {
	struct pool_chunk *next;
	size_t len;
};

void *mem_zalloc(size_t size)
{
	return sys->alloc(size ? size : 1);
}

char *mem_strdup(const char *s)
{
	return s ? mem_dup(s, strlen(s) + 1) : NULL;
}

void *mem_dup(const void *p, size_t len)
{
	void *copy = mem_zalloc(len);

	if (copy && len)
		memcpy(copy, p, len);
	return copy;
}

void mem_free(void *p)
{
	if (p)
		sys->free(p);
}

/* The word before the first line holds what was allocated. */
void *mem_zalloc_lines(size_t size)
{
	char *raw, *lines;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + MEM_LINE - 1) / MEM_LINE * MEM_LINE;
	raw = mem_zalloc(sizeof(raw) + MEM_LINE - 1 + size);
	if (!raw)
		return NULL;
	lines = raw + sizeof(raw);
	lines += -(uintptr_t)lines % MEM_LINE;
	memcpy(lines - sizeof(raw), &raw, sizeof(raw));
	return lines;
}

void mem_free_lines(void *p)
{
	void *raw;

	if (!p)
		return;
	memcpy(&raw, (char *)p - sizeof(raw), sizeof(raw));
	mem_free(raw);
}

void mem_wipe(void *p, size_t len)
{
	if (len)
		explicit_bzero(p, len);
}

void mem_free_secret(void *p, size_t len)
{
	if (!p)
		return;
	mem_wipe(p, len);
	mem_free(p);
}

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

void mem_pool_init(struct mem_pool *pool, size_t obj_size)
{
	*pool = (struct mem_pool){
		/* a free object holds the list's link */
		.obj_size = round_up(MAX(obj_size, sizeof(void *)), POOL_ALIGN),
	};
}

void mem_pool_fini(struct mem_pool *pool)
{
	struct pool_chunk *chunk = pool->chunks;

	while (chunk) {
		struct pool_chunk *next = chunk->next;
		size_t len = chunk->len;

		/* Objects still handed out hold secrets too. */
		mem_wipe(chunk, len);
		sys->unmap(chunk, len);
		chunk = next;
	}
	*pool = (struct mem_pool){ .obj_size = pool->obj_size };
}

static bool pool_grow(struct mem_pool *pool)
{
	size_t len = MAX(POOL_CHUNK_MIN,
			 round_up(POOL_ALIGN + pool->obj_size, POOL_PAGE));
	size_t i, count = (len - POOL_ALIGN) / pool->obj_size;
	struct pool_chunk *chunk = sys->map(len);
	uint8_t *obj;

	_Static_assert(sizeof(*chunk) <= POOL_ALIGN, "a chunk's head fits");
	if (!chunk)
		return false;
	chunk->next = pool->chunks;
	chunk->len = len;
	pool->chunks = chunk;
	pool->bytes += len;
	for (i = count; i-- > 0;) {
		obj = (uint8_t *)chunk + POOL_ALIGN + i * pool->obj_size;
		*(void **)obj = pool->free;
		pool->free = obj;
	}
	return true;
}

void *mem_pool_get(struct mem_pool *pool)
{
	void *obj;

	if (!pool->free && !pool_grow(pool))
		return NULL;
	obj = pool->free;
	if (!obj)
		return NULL; /* cannot be: a chunk has one at least */
	pool->free = *(void **)obj;
	*(void **)obj = NULL;
	pool->live++;
	return obj;
}

void mem_pool_put(struct mem_pool *pool, void *obj)
{
	if (!obj)
		return;
	mem_wipe(obj, pool->obj_size);
	*(void **)obj = pool->free;
	pool->free = obj;
	pool->live--;
}
