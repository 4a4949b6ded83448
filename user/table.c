// SPDX-License-Identifier: MIT
/*
 * Chains of nodes, as Harris and Michael have them: a node is removed by one
 * exchange that marks its own link, after which nobody can add behind it or
 * find it; then it is taken out of the chain, by whoever comes by.
 *
 *	bucket -> [new] -> [a] -> [b, removed] -> [c]
 *
 * - Nodes are added at the head only, by an exchange that expects the head from
 *   which the chain was searched. So between search and exchange nothing was
 *   added, and a key is there once. It happens at that exchange.
 * - A removal happens when the link is marked. When table_remove() returns, no
 *   reader that comes now meets the node; those on their way may still stand
 *   on it, so it is freed by RCU. Within a section no address comes again: the
 *   exchanges cannot take a new node for an old one.
 * - Searching is wait-free in the length of the chain; the others are
 *   lock-free, for an exchange that fails has lost to one that did something.
 *
 * liburcu's table does all this and can grow. It costs two cache misses more a
 * look-up, for its buckets are nodes of 16 bytes and what hangs on the object
 * cannot be fetched before the object has come; with 10,000 identities that
 * was a third of a take. And it ends the process without memory.
 */
#include "table.h"

#include <errno.h>
#include <stddef.h>

#include "atomic.h"
#include "mem.h"

#define REMOVED 1u

static struct table_node *node_of(uintptr_t link)
{
	return (struct table_node *)(link & ~(uintptr_t)REMOVED);
}

int table_init(struct table *table, uint32_t n)
{
	table->buckets = mem_zalloc((size_t)n * sizeof(*table->buckets));
	if (!table->buckets)
		return -ENOMEM;
	table->mask = n - 1;
	return 0;
}

void table_fini(struct table *table)
{
	mem_free(table->buckets);
}

static uintptr_t *bucket(const struct table *table, uint64_t hash)
{
	return &table->buckets[hash & table->mask];
}

static struct table_node *search(uintptr_t link, table_match match,
				 const void *key)
{
	while (link) {
		struct table_node *node = node_of(link);
		bool found = match(node, key);

		/* Acquires the next node, from table_add(). */
		link = load_acquire(&node->next);
		if (found && !(link & REMOVED))
			return node;
		link &= ~(uintptr_t)REMOVED;
	}
	return NULL;
}

struct table_node *table_find(const struct table *table, uint64_t hash,
			      table_match match, const void *key)
{
	/* Acquires the first node, from table_add(). */
	return search(load_acquire(bucket(table, hash)), match, key);
}

struct table_node *table_add(struct table *table, uint64_t hash,
			     table_match match, const void *key,
			     struct table_node *node)
{
	uintptr_t *head = bucket(table, hash);
	/* Acquires the first node, from the exchange below. */
	uintptr_t first = load_acquire(head);
	struct table_node *there;

	do {
		there = search(first, match, key);
		if (there)
			return there;
		store_relaxed(&node->next, first);
		/* Releases the node to those who search. */
	} while (!cas_acq_rel(head, &first, (uintptr_t)node));
	return node;
}

/* Takes removed nodes out of a chain. False: another was at it, once more. */
static bool unlink_removed(uintptr_t *head)
{
	uintptr_t *from = head;
	/* Acquires, as the load below, the next node, from table_add(). */
	uintptr_t link = load_acquire(from), next;

	while (link) {
		struct table_node *node = node_of(link);

		next = load_acquire(&node->next);
		if (!(next & REMOVED)) {
			from = &node->next;
			link = next;
			continue;
		}
		/*
		 * Releases what follows to those who search. It fails when the
		 * node that we come from has been removed too.
		 */
		next &= ~(uintptr_t)REMOVED;
		if (!cas_acq_rel(from, &link, next))
			return false;
		link = next;
	}
	return true;
}

void table_remove(struct table *table, uint64_t hash, struct table_node *node)
{
	uintptr_t *head = bucket(table, hash);
	/* Relaxed: the exchange judges. */
	uintptr_t next = load_relaxed(&node->next);

	/*
	 * From here on it is not found: pairs with the load in search(). Until
	 * then others change next by unlinking only.
	 */
	while (!cas_acq_rel(&node->next, &next, next | REMOVED))
		;
	while (!unlink_removed(head))
		;
}
