// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: a detached connection's state. What was written is read; each
 * bit, each length and each value that cannot be is refused; and a state that
 * is right in itself is refused for other keys.
 */
#include "state.h"

#include <stdlib.h>
#include <string.h>

#include "keysched.h"

#include "kselftest_harness.h"

FIXTURE(state)
{
	const struct suite *suite;
	union suite_crypto_info info[2];
	struct state state;
};

FIXTURE_VARIANT(state)
{
	uint16_t version;
	uint16_t suite;
};

FIXTURE_VARIANT_ADD(state, tls1_3_aes128) { KTC_TLS1_3, 0x1301 };
FIXTURE_VARIANT_ADD(state, tls1_3_aes256) { KTC_TLS1_3, 0x1302 };
FIXTURE_VARIANT_ADD(state, tls1_3_chacha20) { KTC_TLS1_3, 0x1303 };
FIXTURE_VARIANT_ADD(state, tls1_2_aes128) { KTC_TLS1_2, 0xc02b };
FIXTURE_VARIANT_ADD(state, tls1_2_aes256) { KTC_TLS1_2, 0xc02c };
FIXTURE_VARIANT_ADD(state, tls1_2_chacha20) { KTC_TLS1_2, 0xcca9 };

FIXTURE_SETUP(state)
{
	struct state *state = &self->state;
	struct keys keys = { 0 };
	int dir;

	self->suite = suite_find(variant->version, variant->suite);
	ASSERT_NE(NULL, self->suite);
	state->tls_version = variant->version;
	state->suite_id = variant->suite;
	state->flags = STATE_VERIFIED | STATE_EOF;
	state->why_not_resumed = KTC_WHY_DECLINED;
	state->alpn_len = 2;
	memcpy(state->alpn, "h2", 2);
	state->hs_len = 1000;
	memcpy(state->hs_head, (uint8_t[]){ 4, 0, 4, 0 }, STATE_HEAD);
	for (dir = 0; dir < 2; dir++) {
		state->seq[dir] = 70 + dir;
		state->bytes[dir] = 1 + dir;
		memset(keys.key, 0x10 + dir, self->suite->key_len);
		if (variant->version == KTC_TLS1_3) {
			memset(state->secret[dir], 0x20 + dir,
			       self->suite->secret_len);
			ASSERT_EQ(0, keysched_traffic(self->suite,
						      state->secret[dir],
						      &keys));
		}
		suite_fill(self->suite, &self->info[dir], keys.key, keys.nonce,
			   80 + dir);
	}
	ASSERT_EQ(0, state_seal(state, self->info));
}

FIXTURE_TEARDOWN(state)
{
}

/* As after somebody has changed it who has the keys, too. */
static int adopted(FIXTURE_DATA(state) * self, struct state *state)
{
	struct state out;
	int err;

	if (state_suite(state) && state_seal(state, self->info))
		return -1;
	err = state_read(state, sizeof(*state), &out);
	return err ? err : state_match(&out, self->info);
}

/* The right one with one thing changed is refused, however well sealed. */
#define REFUSED(change) \
	do { \
		struct state s = self->state; \
		\
		change; \
		EXPECT_EQ(-KTC_E_ADOPT, adopted(self, &s)) TH_LOG(#change); \
	} while (0)

#define TAKEN(change) \
	do { \
		struct state s = self->state; \
		\
		change; \
		EXPECT_EQ(0, adopted(self, &s)) TH_LOG(#change); \
	} while (0)

TEST_F(state, what_was_written_is_read)
{
	struct state out;

	ASSERT_EQ(0, state_read(&self->state, sizeof(out), &out));
	EXPECT_EQ(0, memcmp(&self->state, &out, sizeof(out)));
	EXPECT_EQ(self->suite, state_suite(&out));
	EXPECT_EQ(0, state_match(&out, self->info));
}

TEST_F(state, no_other_length_is_one)
{
	struct state out = { .magic = 77 };
	uint8_t *bytes;
	size_t len;

	/* each in memory of its own, which ends where it ends */
	for (len = 0; len < sizeof(out) + 40; len++) {
		bytes = calloc(1, len + !len);
		ASSERT_NE(NULL, bytes);
		memcpy(bytes, &self->state,
		       len < sizeof(out) ? len : sizeof(out));
		if (len != sizeof(out))
			EXPECT_EQ(-KTC_E_ADOPT, state_read(bytes, len, &out));
		free(bytes);
	}
	EXPECT_EQ(77, out.magic);
}

/* By its form, or by its sum. */
TEST_F(state, no_bit_can_be_changed)
{
	uint8_t bytes[sizeof(struct state)];
	struct state out;
	size_t i;

	memcpy(bytes, &self->state, sizeof(bytes));
	for (i = 0; i < 8 * sizeof(bytes); i++) {
		bytes[i / 8] ^= 1 << i % 8;
		if (!state_read(bytes, sizeof(bytes), &out))
			EXPECT_EQ(-KTC_E_ADOPT, state_match(&out, self->info))
				TH_LOG("bit %zu", i);
		bytes[i / 8] ^= 1 << i % 8;
	}
}

/* And where the sum is made anew nothing that cannot be is believed. */
TEST_F(state, no_byte_can_lie_out_of_bounds)
{
	struct state s, out;
	uint8_t *bytes = (uint8_t *)&s;
	size_t i;
	int value;

	for (i = 0; i < offsetof(struct state, sum); i++) {
		for (value = 0; value < 256; value++) {
			s = self->state;
			bytes[i] = (uint8_t)value;
			if (state_read(&s, sizeof(s), &out))
				continue;
			ASSERT_NE(NULL, state_suite(&out));
			EXPECT_GT(KTC_WHY_NR, out.why_not_resumed);
			EXPECT_EQ(out.alpn_len, strlen((char *)out.alpn));
			EXPECT_GE(LIMIT_HS_MESSAGE, out.hs_len);
		}
	}
}

TEST_F(state, what_cannot_be_is_refused)
{
	REFUSED(s.tls_version = 0x0302);
	REFUSED(s.suite_id = 0xc02f + 0x1000);
	REFUSED(s.flags |= STATE_FLAGS + 1);
	REFUSED(s.flags |= STATE_RESUMED); /* and a reason why not */
	REFUSED(s.why_not_resumed = KTC_WHY_NR);
	REFUSED(s.alpn_len = 1);
	REFUSED(s.alpn_len = 3);
	REFUSED(s.alpn[255] = 'x');
	REFUSED(s.alpn[1] = ' ');
	REFUSED(s.alpn[0] = 0x80);
	REFUSED(s.secret[KTC_TX][SUITE_SECRET_MAX - 1] ^= 1);
	REFUSED(s.secret[KTC_RX][0] ^= 1);
	REFUSED(s.seq[KTC_TX] = 82); /* the kernel has counted to 81 */
	TAKEN(s.seq[KTC_TX] = 81);
	TAKEN(s.verify_result = -1);
	TAKEN(s.records[KTC_RX] = UINT64_MAX);
	TAKEN({ s.alpn_len = 255; memset(s.alpn, 'x', 255); });
	TAKEN({ s.alpn_len = 0; memset(s.alpn, 0, 256); });
	TAKEN({ s.flags = STATE_RESUMED; s.why_not_resumed = 0; });
}

TEST_F(state, a_message_in_part_is_less_than_whole)
{
	TAKEN({ s.hs_len = 0; memset(s.hs_head, 0, 4); });
	REFUSED(s.hs_len = 0); /* with a head */
	TAKEN({ s.hs_len = 3; s.hs_head[3] = 0; });
	REFUSED({ s.hs_len = 3; s.hs_head[3] = 1; });
	TAKEN(s.hs_len = 1027);
	REFUSED(s.hs_len = 1028); /* that is all of it */
	REFUSED(s.hs_len = UINT32_MAX);
	REFUSED(s.hs_head[1] = 1); /* longer than any may be */
}

TEST_F(state, tls1_2_has_no_new_keys)
{
	if (variant->version == KTC_TLS1_3) {
		TAKEN(s.rekeys[KTC_RX] = 1);
		TAKEN(s.flags |= STATE_RX_ASKED);
		return;
	}
	REFUSED(s.rekeys[KTC_RX] = 1);
	REFUSED(s.rekeys[KTC_TX] = 1);
	REFUSED(s.flags |= STATE_RX_ASKED);
	REFUSED(s.secret[KTC_RX][0] = 1);
}

TEST_F(state, another_sockets_keys_are_not_its_own)
{
	union suite_crypto_info *info = self->info;
	uint8_t *bytes = (uint8_t *)&info[KTC_TX];
	struct state out;

	ASSERT_EQ(0, state_read(&self->state, sizeof(out), &out));
	bytes[self->suite->key_off] ^= 1;
	EXPECT_EQ(-KTC_E_ADOPT, state_match(&out, info));
	bytes[self->suite->key_off] ^= 1;
	info[KTC_RX].info.version ^= 1;
	EXPECT_EQ(-KTC_E_ADOPT, state_match(&out, info));
	info[KTC_RX].info.version ^= 1;
	info[KTC_TX].info.cipher_type++;
	EXPECT_EQ(-KTC_E_ADOPT, state_match(&out, info));
	info[KTC_TX].info.cipher_type--;
	EXPECT_EQ(0, state_match(&out, info));
	/* the kernel has gone on, which is fine */
	bytes[self->suite->seq_off] = 1;
	EXPECT_EQ(0, state_match(&out, info));
}

TEST_HARNESS_MAIN
