/* SPDX-License-Identifier: MIT */
#ifndef KTC_MEM_H
#define KTC_MEM_H

#include <stddef.h>

/*
 * All zeroed; NULL when there is no memory. Through sys, so that tests can
 * fail them.
 */
void *mem_zalloc(size_t size);
char *mem_strdup(const char *s);	/* NULL gives NULL */
void *mem_dup(const void *p, size_t len);
void mem_free(void *p);			/* takes NULL */

/* Beginning and ending at cache lines, which nobody else's data shares. */
#define MEM_LINE 64
void *mem_zalloc_lines(size_t size);
void mem_free_lines(void *p);		/* takes NULL */

void mem_wipe(void *p, size_t len);
void mem_free_secret(void *p, size_t len); /* wipe, then free; takes NULL */

/*
 * A pool of objects of one size in mappings that are left out of core dumps
 * (MADV_DONTDUMP), for what holds secrets. Objects come zeroed and are wiped
 * when they go back. One thread.
 */
struct mem_pool {
	size_t obj_size;
	size_t live;		/* objects handed out */
	size_t bytes;		/* mapped */
	void *free;		/* list through the first word */
	void *chunks;
};

void mem_pool_init(struct mem_pool *pool, size_t obj_size);
/* Every object is gone with it. */
void mem_pool_fini(struct mem_pool *pool);
void *mem_pool_get(struct mem_pool *pool);
void mem_pool_put(struct mem_pool *pool, void *obj);	/* takes NULL */

#endif /* KTC_MEM_H */
