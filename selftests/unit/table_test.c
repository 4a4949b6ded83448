// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: the hash table finds what is in it, has a key once, and loses
 * nothing of a chain while threads add and remove in its midst.
 */
#include "table.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "atomic.h"
#include "flush.h"
#include "rcu.h"
#include "sys.h"
#include "util.h"

#include "kselftest_harness.h"

struct object {
	struct rcu_head rcu;
	struct table_node node;
	uint64_t key;
};

static bool is_key(const struct table_node *node, const void *key)
{
	return container_of(node, struct object, node)->key ==
	       *(const uint64_t *)key;
}

static struct object *make(uint64_t key)
{
	struct object *object = calloc(1, sizeof(*object));

	if (!object)
		abort();
	object->key = key;
	return object;
}

static struct object *find(const struct table *table, uint64_t hash,
			   uint64_t key)
{
	struct table_node *node = table_find(table, hash, is_key, &key);

	return node ? container_of(node, struct object, node) : NULL;
}

/* The object that is in the table afterwards. */
static struct object *add(struct table *table, uint64_t hash,
			  struct object *object)
{
	return container_of(table_add(table, hash, is_key, &object->key,
				      &object->node), struct object, node);
}

FIXTURE(table)
{
	struct table table;
};

FIXTURE_SETUP(table)
{
	ASSERT_EQ(0, table_init(&self->table, 4));
}

FIXTURE_TEARDOWN(table)
{
	rcu_flush();
	table_fini(&self->table);
}

TEST_F(table, finds_what_was_added_and_only_that)
{
	struct object *object = make(7);

	EXPECT_EQ(NULL, find(&self->table, 1, 7));
	EXPECT_EQ(object, add(&self->table, 1, object));
	EXPECT_EQ(object, find(&self->table, 1, 7));
	EXPECT_EQ(NULL, find(&self->table, 1, 8));
	EXPECT_EQ(NULL, find(&self->table, 2, 7));
	free(object);
}

TEST_F(table, has_a_key_once)
{
	struct object *first = make(7), *second = make(7);

	EXPECT_EQ(first, add(&self->table, 1, first));
	EXPECT_EQ(first, add(&self->table, 1, second));
	EXPECT_EQ(first, find(&self->table, 1, 7));
	table_remove(&self->table, 1, &first->node);
	EXPECT_EQ(NULL, find(&self->table, 1, 7));
	EXPECT_EQ(second, add(&self->table, 1, second));
	EXPECT_EQ(second, find(&self->table, 1, 7));
	free(first);
	free(second);
}

TEST_F(table, any_of_a_chain_may_go)
{
	struct object *object[5];
	uint64_t gone, key;

	for (gone = 0; gone < 5; gone++) {
		for (key = 0; key < 5; key++) {
			object[key] = make(key);
			EXPECT_EQ(object[key],
				  add(&self->table, 3, object[key]));
		}
		table_remove(&self->table, 3, &object[gone]->node);
		for (key = 0; key < 5; key++)
			EXPECT_EQ(key == gone ? NULL : object[key],
				  find(&self->table, 3, key));
		for (key = 0; key < 5; key++) {
			if (key != gone)
				table_remove(&self->table, 3,
					     &object[key]->node);
			free(object[key]);
		}
		EXPECT_EQ(0, self->table.buckets[3]);
	}
}

static void *no_alloc(size_t size)
{
	(void)size;
	return NULL;
}

TEST_F(table, without_memory_it_says_so)
{
	struct sys_ops fake = sys_real;
	struct table none = { NULL, 0 };

	fake.alloc = no_alloc;
	sys = &fake;
	EXPECT_EQ(-ENOMEM, table_init(&none, 4));
	sys = &sys_real;
	table_fini(&none);
}

#define THREADS 4
#define ROUNDS 20000
#define KEYS 3

static struct table *shared;
static uint32_t owners[KEYS];	/* of each key's object in the table: 0 or 1 */
static bool wrong;

static void free_object(struct rcu_head *head)
{
	rcu_deferred(head);
	free(container_of(head, struct object, rcu));
}

/*
 * All keys share a bucket with one that always stays. Who adds one is its only
 * owner until it has removed it.
 */
static void *churn(void *arg)
{
	uint64_t key = (uintptr_t)arg % KEYS;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		struct object *object = make(key);

		rcu_enter();
		if (add(shared, 0, object) == object) {
			if (add_relaxed(&owners[key], 1))
				store_relaxed(&wrong, true);
			if (find(shared, 0, key) != object)
				store_relaxed(&wrong, true);
			sub_relaxed(&owners[key], 1);
			table_remove(shared, 0, &object->node);
			rcu_defer(&object->rcu, free_object);
		} else {
			free(object);
		}
		if (!find(shared, 0, KEYS))
			store_relaxed(&wrong, true);
		rcu_leave();
	}
	return NULL;
}

TEST_F(table, threads_in_one_chain_do_not_disturb_each_other)
{
	struct object *stays = make(KEYS);
	pthread_t threads[THREADS];
	uintptr_t i;

	shared = &self->table;
	ASSERT_EQ(stays, add(shared, 0, stays));
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, churn,
					    (void *)i));
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
	EXPECT_FALSE(wrong);
	EXPECT_EQ(stays, find(shared, 0, KEYS));
	table_remove(shared, 0, &stays->node);
	EXPECT_EQ(0, shared->buckets[0]);
	free(stays);
}

TEST_HARNESS_MAIN
