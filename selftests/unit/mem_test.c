// SPDX-License-Identifier: GPL-2.0-only
/* Description: allocation comes zeroed, and pools wipe and give back. */
#include "mem.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "sys.h"

#include "kselftest_harness.h"

static struct sys_ops fake;
static size_t mapped;
static int maps_left;
static uint8_t *last_freed;
static uint8_t freed_byte;

static void *counting_map(size_t len)
{
	if (!maps_left)
		return NULL;
	maps_left--;
	mapped += len;
	return sys_real.map(len);
}

static void counting_unmap(void *p, size_t len)
{
	mapped -= len;
	sys_real.unmap(p, len);
}

static void *no_alloc(size_t size)
{
	(void)size;
	return NULL;
}

static void looking_free(void *p)
{
	last_freed = p;
	freed_byte = *(uint8_t *)p;
	sys_real.free(p);
}

static void use_fake(void)
{
	fake = sys_real;
	fake.map = counting_map;
	fake.unmap = counting_unmap;
	maps_left = 1000;
	sys = &fake;
}

static bool is_zero(const void *p, size_t len)
{
	const uint8_t *bytes = p;
	size_t i;

	for (i = 0; i < len; i++)
		if (bytes[i])
			return false;
	return true;
}

TEST(allocation_is_zeroed_even_of_no_bytes)
{
	void *p = mem_zalloc(100), *none = mem_zalloc(0);

	ASSERT_NE(NULL, p);
	ASSERT_NE(NULL, none);
	EXPECT_TRUE(is_zero(p, 100));
	mem_free(p);
	mem_free(none);
	mem_free(NULL);
}

TEST(copies_are_equal_and_null_stays_null)
{
	char *s = mem_strdup("text");
	void *p = mem_dup("a\0b", 3);

	ASSERT_NE(NULL, s);
	ASSERT_NE(NULL, p);
	EXPECT_STREQ("text", s);
	EXPECT_EQ(0, memcmp(p, "a\0b", 3));
	EXPECT_EQ(NULL, mem_strdup(NULL));
	mem_free(s);
	mem_free(p);
}

TEST(no_memory_gives_null)
{
	use_fake();
	fake.alloc = no_alloc;
	EXPECT_EQ(NULL, mem_zalloc(1));
	EXPECT_EQ(NULL, mem_strdup("x"));
	EXPECT_EQ(NULL, mem_dup("x", 1));
}

TEST(a_secret_is_wiped_before_it_is_freed)
{
	char *secret = mem_strdup("secret");

	ASSERT_NE(NULL, secret);
	use_fake();
	fake.free = looking_free;
	freed_byte = 's';
	mem_free_secret(secret, 7);
	EXPECT_EQ(0, freed_byte);
	EXPECT_NE(NULL, last_freed);
	mem_free_secret(NULL, 7);
}

TEST(pool_objects_are_apart_aligned_and_zeroed)
{
	struct mem_pool pool;
	uint8_t *objs[500];
	int i, round;

	mem_pool_init(&pool, 300);
	for (round = 0; round < 2; round++) {
		for (i = 0; i < 500; i++) {
			objs[i] = mem_pool_get(&pool);
			ASSERT_NE(NULL, objs[i]);
			ASSERT_EQ(0, (uintptr_t)objs[i] % 16);
			ASSERT_TRUE(is_zero(objs[i], 300));
			memset(objs[i], i, 300);
		}
		EXPECT_EQ(500, pool.live);
		for (i = 0; i < 500; i++) {
			ASSERT_EQ((uint8_t)i, objs[i][0]);
			ASSERT_EQ((uint8_t)i, objs[i][299]);
			mem_pool_put(&pool, objs[i]);
		}
		EXPECT_EQ(0, pool.live);
	}
	mem_pool_fini(&pool);
}

TEST(a_pool_wipes_what_comes_back)
{
	struct mem_pool pool;
	uint8_t *obj;

	mem_pool_init(&pool, 128);
	obj = mem_pool_get(&pool);
	ASSERT_NE(NULL, obj);
	memset(obj, 0x5a, 128);
	mem_pool_put(&pool, obj);
	/* the first word is the pool's link */
	EXPECT_TRUE(is_zero(obj + sizeof(void *), 128 - sizeof(void *)));
	mem_pool_fini(&pool);
}

TEST(a_pool_gives_back_all_it_mapped)
{
	struct mem_pool pool;
	int i;

	use_fake();
	mem_pool_init(&pool, 1000);
	for (i = 0; i < 200; i++)
		ASSERT_NE(NULL, mem_pool_get(&pool));
	EXPECT_EQ(mapped, pool.bytes);
	mem_pool_fini(&pool);
	EXPECT_EQ(0, mapped);
	EXPECT_EQ(0, pool.bytes);
	EXPECT_EQ(0, pool.live);
}

TEST(a_pool_without_memory_gives_null_and_works_later)
{
	struct mem_pool pool;
	void *obj;

	use_fake();
	maps_left = 0;
	mem_pool_init(&pool, 1000);
	EXPECT_EQ(NULL, mem_pool_get(&pool));
	EXPECT_EQ(0, pool.live);
	maps_left = 1;
	obj = mem_pool_get(&pool);
	EXPECT_NE(NULL, obj);
	mem_pool_fini(&pool);
	EXPECT_EQ(0, mapped);
}

TEST(a_pool_takes_objects_larger_than_its_chunks)
{
	struct mem_pool pool;
	uint8_t *a, *b;

	mem_pool_init(&pool, 200000);
	a = mem_pool_get(&pool);
	b = mem_pool_get(&pool);
	ASSERT_NE(NULL, a);
	ASSERT_NE(NULL, b);
	memset(a, 1, 200000);
	memset(b, 2, 200000);
	EXPECT_EQ(1, a[199999]);
	mem_pool_fini(&pool);
}

TEST_HARNESS_MAIN
