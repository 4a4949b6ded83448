/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The segments that directions receive into.
 */
#ifndef KTCM_PAGES_H
#define KTCM_PAGES_H

#include <linux/bvec.h>
#include <linux/mm.h>

/* A segment holds a whole TLS record: 16 KB, or a page where that is more. */
#define KTCM_SEG_ORDER	(PAGE_SHIFT < 14 ? 14 - PAGE_SHIFT : 0)

/*
 * A segment that nobody else refers to: 0 or -ENOMEM. It is smaller if memory
 * is short: a single page. Process context.
 */
int ktcm_seg_get(struct bio_vec *seg);
void ktcm_seg_put(struct bio_vec *seg);

/* Nobody else refers to the segment: it may be written to. */
static inline bool ktcm_seg_is_ours(const struct bio_vec *seg)
{
	return page_count(seg->bv_page) == 1;
}

/* No relay is left: nothing needs to be kept. */
void ktcm_segs_drain(void);

void ktcm_segs_init(void);

#endif /* KTCM_PAGES_H */
