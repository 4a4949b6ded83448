// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: the hash that places identities depends on all of its input and
 * on a key that nobody chose, and is one in all threads.
 */
#include "keyhash.h"

#include <openssl/err.h>

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"

static const uint8_t input[32] = { 1, 2, 3 };

TEST(equal_input_has_an_equal_hash)
{
	uint8_t a[KEYHASH_LEN], b[KEYHASH_LEN];

	ASSERT_EQ(0, keyhash(input, sizeof(input), a));
	ASSERT_EQ(0, keyhash(input, sizeof(input), b));
	EXPECT_EQ(0, memcmp(a, b, sizeof(a)));
	EXPECT_EQ(0, ERR_peek_error());
}

TEST(each_byte_counts)
{
	uint8_t a[KEYHASH_LEN], b[KEYHASH_LEN], other[sizeof(input)];
	unsigned int i;

	ASSERT_EQ(0, keyhash(input, sizeof(input), a));
	for (i = 0; i < sizeof(input); i++) {
		memcpy(other, input, sizeof(other));
		other[i] ^= 1;
		ASSERT_EQ(0, keyhash(other, sizeof(other), b));
		EXPECT_NE(0, memcmp(a, b, sizeof(a)));
	}
	ASSERT_EQ(0, keyhash(input, sizeof(input) - 1, b));
	EXPECT_NE(0, memcmp(a, b, sizeof(a)));
}

/* The first use is in the child, so each has a key of its own. */
static int child_hash(uint8_t out[KEYHASH_LEN])
{
	int fds[2], status;
	ssize_t got;
	pid_t pid;

	if (pipe(fds))
		return -1;
	pid = fork();
	if (!pid) {
		uint8_t hash[KEYHASH_LEN];

		if (keyhash(input, sizeof(input), hash) ||
		    write(fds[1], hash, sizeof(hash)) != sizeof(hash))
			_exit(1);
		_exit(0);
	}
	close(fds[1]);
	got = read(fds[0], out, KEYHASH_LEN);
	close(fds[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		return -1;
	return got == KEYHASH_LEN ? 0 : -1;
}

TEST(each_process_has_a_key_of_its_own)
{
	uint8_t a[KEYHASH_LEN], b[KEYHASH_LEN];

	ASSERT_EQ(0, child_hash(a));
	ASSERT_EQ(0, child_hash(b));
	EXPECT_NE(0, memcmp(a, b, sizeof(a)));
}

#define THREADS 8

static uint8_t hashes[THREADS][KEYHASH_LEN];

static void *hash_one(void *arg)
{
	return keyhash(input, sizeof(input), arg) ? arg : NULL;
}

TEST(threads_that_start_together_agree)
{
	pthread_t threads[THREADS];
	void *failed;
	int i;

	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, hash_one,
					    hashes[i]));
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_join(threads[i], &failed));
		EXPECT_EQ(NULL, failed);
	}
	for (i = 1; i < THREADS; i++)
		EXPECT_EQ(0, memcmp(hashes[0], hashes[i], KEYHASH_LEN));
}

TEST_HARNESS_MAIN
