// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: export and import with OpenSSL short of memory, at each of its
 * allocations. It fails, or a session stays that could not be encoded; none is
 * lost, none is in two places, and import puts in all or nothing.
 */
#include <ktlsclient.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include <errno.h>
#include <stdlib.h>

#include "pair.h"

#include "kselftest_harness.h"

#define SESSIONS 3
#define CALLS_MAX 2000u

static unsigned int left;	/* allocations until it; 0: none fails */
static unsigned int fired;
static bool for_ever;

static bool fails(void)
{
	if (!left || (left > 1 && left--))
		return false;
	if (!for_ever)
		left = 0;
	fired++;
	return true;
}

static void *short_malloc(size_t len, const char *file, int line)
{
	(void)file;
	(void)line;
	return fails() ? NULL : malloc(len);
}

static void *short_realloc(void *p, size_t len, const char *file, int line)
{
	(void)file;
	(void)line;
	return fails() ? NULL : realloc(p, len);
}

static void short_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

static void arm(unsigned int nth)
{
	fired = 0;
	left = nth;
}

FIXTURE(memory)
{
	struct pair pair;
	void *sealed;
	size_t len;
};

FIXTURE_VARIANT(memory)
{
	bool for_ever;
};

FIXTURE_VARIANT_ADD(memory, fails_once)
{
	.for_ever = false,
};

FIXTURE_VARIANT_ADD(memory, fails_for_ever)
{
	.for_ever = true,
};

FIXTURE_SETUP(memory)
{
	/* before OpenSSL has any */
	ASSERT_EQ(1, CRYPTO_set_mem_functions(short_malloc, short_realloc,
					      short_free));
	for_ever = variant->for_ever;
	ASSERT_EQ(0, pair_init(&self->pair));
	ASSERT_EQ(0, pair_start(&self->pair));
	/* what OpenSSL makes once has been made */
	ASSERT_EQ(0, ktc_client_export(self->pair.from, self->pair.key, 0,
				       &self->sealed, &self->len));
	ktc_export_free(self->sealed, self->len);
	ASSERT_TRUE(pair_give13(self->pair.from, self->pair.id[0], "a"));
	ASSERT_TRUE(pair_give13(self->pair.from, self->pair.id[1], "b"));
	ASSERT_TRUE(pair_give13(self->pair.from, self->pair.id[2], "c"));
}

FIXTURE_TEARDOWN(memory)
{
	pair_fini(&self->pair);
}

static int export_it(FIXTURE_DATA(memory) * self)
{
	return ktc_client_export(self->pair.from, self->pair.key, 0,
				 &self->sealed, &self->len);
}

TEST_F(memory, of_an_export)
{
	const struct pair *pair = &self->pair;
	unsigned int nth, failed = 0;
	uint64_t stay;
	int gone, back;

	for (nth = 1; nth < CALLS_MAX; nth++) {
		arm(nth);
		gone = export_it(self);
		left = 0;
		ASSERT_TRUE(gone >= 0 || gone == -KTC_E_OPENSSL ||
			    gone == -ENOMEM) TH_LOG("call %u: %d", nth, gone);
		ASSERT_EQ(0, ERR_peek_error()) TH_LOG("call %u", nth);
		stay = SESSIONS - (gone > 0 ? (uint64_t)gone : 0);
		ASSERT_EQ(stay, pair_sessions(pair->from))
			TH_LOG("call %u", nth);
		if (gone >= 0) {
			back = ktc_client_import(pair->from, pair->key,
						 self->sealed, self->len);
			ktc_export_free(self->sealed, self->len);
			ASSERT_EQ(gone, back) TH_LOG("call %u", nth);
		}
		ASSERT_EQ(SESSIONS, pair_sessions(pair->from));
		if (!fired)
			break;
		failed++;
	}
	EXPECT_LT(10, failed);
	EXPECT_GT(CALLS_MAX, nth);
}

TEST_F(memory, of_an_import)
{
	const struct pair *pair = &self->pair;
	unsigned int nth, failed = 0;
	int put;

	ASSERT_EQ(SESSIONS, export_it(self));
	for (nth = 1; nth < CALLS_MAX; nth++) {
		arm(nth);
		put = ktc_client_import(pair->to, pair->key, self->sealed,
					self->len);
		left = 0;
		/* nothing is wrong with what was sealed */
		ASSERT_TRUE(put == SESSIONS || put == -KTC_E_OPENSSL ||
			    put == -ENOMEM)
			TH_LOG("call %u: %d", nth, put);
		ASSERT_EQ(0, ERR_peek_error()) TH_LOG("call %u", nth);
		if (!fired)
			break;
		if (put == SESSIONS) {
			/* it did without; another client for the next */
			ktc_client_put(self->pair.to);
			ASSERT_EQ(0, ktc_client_new(&pair->opts,
						    &self->pair.to));
		}
		ASSERT_EQ(0, pair_sessions(pair->to)) TH_LOG("call %u", nth);
		failed++;
	}
	EXPECT_EQ(SESSIONS, put);
	EXPECT_LT(10, failed);
	ktc_export_free(self->sealed, self->len);
}

TEST_HARNESS_MAIN
