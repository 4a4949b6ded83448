// SPDX-License-Identifier: GPL-2.0-only
/* Description: codes, classes and reasons each have words of their own. */
#include "err.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "kselftest_harness.h"

TEST(every_code_has_its_own_name_and_sentence)
{
	int a, b;

	for (a = KTC_E_BASE; a < KTC_E_END; a++) {
		ASSERT_EQ(0, strncmp("KTC_E_", err_name(-a), 6))
			TH_LOG("code %d: %s", a, err_name(-a));
		ASSERT_LT(20, (int)strlen(err_text(-a)));
		for (b = KTC_E_BASE; b < a; b++) {
			ASSERT_STRNE(err_name(-a), err_name(-b));
			ASSERT_STRNE(err_text(-a), err_text(-b));
		}
	}
}

TEST(every_code_has_a_class)
{
	int code;

	for (code = KTC_E_BASE; code < KTC_E_END; code++) {
		EXPECT_NE(KTC_CLASS_NONE, err_class(-code));
		EXPECT_GE(KTC_CLASS_INTERNAL, err_class(-code));
	}
	EXPECT_EQ(KTC_CLASS_USAGE, err_class(-KTC_E_OPTION));
	EXPECT_EQ(KTC_CLASS_PEER, err_class(-KTC_E_VERIFY_HOST));
	EXPECT_EQ(KTC_CLASS_TIMEOUT, err_class(-KTC_E_IDLE_TIMEOUT));
	EXPECT_EQ(KTC_CLASS_TIMEOUT, err_class(-KTC_E_BUDGET));
	EXPECT_EQ(KTC_CLASS_USAGE, err_class(-KTC_E_SEAL));
	EXPECT_EQ(KTC_CLASS_USAGE, err_class(-KTC_E_SEAL_VERSION));
	EXPECT_EQ(KTC_CLASS_USAGE, err_class(-KTC_E_SEAL_CONFIG));
	EXPECT_EQ(KTC_CLASS_CLOSED, err_class(-KTC_E_CANCELED));
	EXPECT_EQ(KTC_CLASS_INTERNAL, err_class(-KTC_E_INTERNAL));
}

TEST(an_errno_has_the_words_of_libc)
{
	EXPECT_STREQ("ECONNRESET", err_name(-ECONNRESET));
	EXPECT_STREQ(strerror(ECONNRESET), err_text(-ECONNRESET));
	EXPECT_STREQ("ENOMEM", err_name(-ENOMEM));
}

TEST(an_errno_has_the_class_that_callers_branch_on)
{
	static const struct {
		int number;
		enum ktc_class class_;
	} rows[] = {
		{ EAGAIN, KTC_CLASS_AGAIN },
		{ ENOBUFS, KTC_CLASS_AGAIN },
		{ ENOMEM, KTC_CLASS_AGAIN },
		{ ECONNREFUSED, KTC_CLASS_NETWORK },
		{ ECONNRESET, KTC_CLASS_NETWORK },
		{ EHOSTUNREACH, KTC_CLASS_NETWORK },
		{ EPIPE, KTC_CLASS_NETWORK },
		{ ETIMEDOUT, KTC_CLASS_NETWORK },
		{ EBADMSG, KTC_CLASS_PROTOCOL },
		{ EOPNOTSUPP, KTC_CLASS_UNSUPPORTED },
		{ ENODATA, KTC_CLASS_USAGE },
		{ ECANCELED, KTC_CLASS_CLOSED },
		{ EMFILE, KTC_CLASS_SYSTEM },
		{ EPERM, KTC_CLASS_SYSTEM },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		EXPECT_EQ(rows[i].class_, err_class(-rows[i].number))
			TH_LOG("%s", err_name(-rows[i].number));
}

TEST(success_and_counts_are_no_error)
{
	EXPECT_STREQ("OK", err_name(0));
	EXPECT_STREQ("Success", err_text(17));
	EXPECT_EQ(KTC_CLASS_NONE, err_class(0));
	EXPECT_EQ(KTC_CLASS_NONE, err_class(INT_MAX));
}

TEST(an_unknown_code_has_words_too)
{
	static const int codes[] = { -KTC_E_END, -4095, -100000, INT_MIN };
	size_t i;

	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		EXPECT_STREQ("UNKNOWN", err_name(codes[i]));
		EXPECT_NE(NULL, err_text(codes[i]));
		EXPECT_NE(KTC_CLASS_NONE, err_class(codes[i]));
	}
}

TEST(every_class_has_its_own_name)
{
	int a, b;

	for (a = KTC_CLASS_NONE; a <= KTC_CLASS_INTERNAL; a++)
		for (b = KTC_CLASS_NONE; b < a; b++)
			EXPECT_STRNE(err_class_name(a), err_class_name(b));
	EXPECT_STREQ("unknown", err_class_name(KTC_CLASS_INTERNAL + 1));
	EXPECT_STREQ("unknown", err_class_name(-1));
}

TEST(every_reason_has_its_own_sentence)
{
	int a, b;

	for (a = 0; a <= KTC_WHY_NR; a++) {
		ASSERT_NE(NULL, err_reason_text(a));
		for (b = 0; b < a; b++)
			EXPECT_STRNE(err_reason_text(a), err_reason_text(b));
	}
	EXPECT_NE(NULL, err_reason_text(-1));
}

TEST_HARNESS_MAIN
