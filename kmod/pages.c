// SPDX-License-Identifier: GPL-2.0-only
/*
 * Segments are kept for the next one who needs one, in a ring for each CPU.
 * Debian's kernels clear pages when they are allocated, which costs as much as
 * copying as many bytes does; and a direction that rests holds none, so one
 * that moves a small message now and then would pay for a whole segment each
 * time.
 *
 *	tail: put, also while a socket   ->   head: taken from here, once
 *	still refers to it                    nobody refers to it any more
 *
 * They are freed when the last relay is. What lies in one is not seen by the
 * next user: only what was received into it is sent on.
 */
#include <linux/gfp.h>
#include <linux/percpu.h>
#include <linux/spinlock.h>

#include "pages.h"

#define KEPT 32			/* segments of a CPU: 512 KB */

struct kept {
	spinlock_t lock;	/* its CPU's works; all others to drain it */
	unsigned int head;
	unsigned int nr;
	struct page *page[KEPT];
};

static DEFINE_PER_CPU(struct kept, kept);

static struct page *keep_take(struct kept *k)
{
	struct page *page = k->page[k->head];

	k->head = (k->head + 1) % KEPT;
	k->nr--;
	return page;
}

/* One that is whole and free, or NULL. */
static struct page *kept_get(void)
{
	struct kept *k = raw_cpu_ptr(&kept);	/* another CPU's will do too */
	struct page *page = NULL;

	spin_lock(&k->lock);
	if (k->nr && page_count(k->page[k->head]) == 1)
		page = keep_take(k);
	spin_unlock(&k->lock);
	return page;
}

int ktcm_seg_get(struct bio_vec *seg)
{
	unsigned int order = KTCM_SEG_ORDER;
	struct page *page = kept_get();

	if (!page)
		page = alloc_pages(GFP_KERNEL | __GFP_COMP | __GFP_NOWARN |
				   __GFP_NORETRY, order);
	if (!page && order) {
		order = 0;
		page = alloc_page(GFP_KERNEL | __GFP_NOWARN);
	}
	if (!page)
		return -ENOMEM;
	seg->bv_page = page;
	seg->bv_offset = 0;
	seg->bv_len = PAGE_SIZE << order;
	return 0;
}

void ktcm_seg_put(struct bio_vec *seg)
{
	struct kept *k = raw_cpu_ptr(&kept);
	struct page *page = seg->bv_page;

	if (seg->bv_len < PAGE_SIZE << KTCM_SEG_ORDER) {
		put_page(page);
		return;
	}
	spin_lock(&k->lock);
	if (k->nr < KEPT) {
		k->page[(k->head + k->nr++) % KEPT] = page;
		page = NULL;
	} else {
		swap(page, k->page[k->head]);
		k->head = (k->head + 1) % KEPT;
	}
	spin_unlock(&k->lock);
	if (page)
		put_page(page);
}

void ktcm_segs_drain(void)
{
	struct kept *k;
	int cpu;

	for_each_possible_cpu(cpu) {
		k = per_cpu_ptr(&kept, cpu);
		spin_lock(&k->lock);
		while (k->nr)
			put_page(keep_take(k));
		spin_unlock(&k->lock);
	}
}

void ktcm_segs_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		spin_lock_init(&per_cpu_ptr(&kept, cpu)->lock);
}
