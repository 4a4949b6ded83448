/* SPDX-License-Identifier: MIT */
/*
 * A hash table of nodes that the caller embeds: found, added and removed by
 * any thread without a lock, inside an RCU section. Its size is fixed.
 */
#ifndef KTC_TABLE_H
#define KTC_TABLE_H

#include <stdbool.h>
#include <stdint.h>

/* The caller's object; freed only after the RCU readers of its removal. */
struct table_node {
	uintptr_t next;		/* a node; odd: this one has been removed */
};

struct table {
	uintptr_t *buckets;	/* constant; each a node */
	uint32_t mask;		/* constant */
};

/* Is this the object with that key? Nothing else decides that. */
typedef bool (*table_match)(const struct table_node *node, const void *key);

/* n, a power of two, buckets. -ENOMEM. */
int table_init(struct table *table, uint32_t n);
/* What is in it is the caller's. Takes a zeroed one. */
void table_fini(struct table *table);

struct table_node *table_find(const struct table *table, uint64_t hash,
			      table_match match, const void *key);

/* node, or the one with that key that was there before. */
struct table_node *table_add(struct table *table, uint64_t hash,
			     table_match match, const void *key,
			     struct table_node *node);

/* It is in the table, and nobody else removes it. */
void table_remove(struct table *table, uint64_t hash,
		  struct table_node *node);

#endif /* KTC_TABLE_H */
