// SPDX-License-Identifier: MIT
/*
 * A detached connection's state: its form and its proof. The sum goes over the
 * bytes and over the keys that the kernel has, so a state that belongs to
 * another socket, or was cut or damaged on its way, is found out; who could
 * forge it has the keys anyway. It is no reason to believe what is in there:
 * every value is checked for itself. Any thread.
 */
#include "state.h"

#include <openssl/crypto.h>

#include <string.h>

#include "keysched.h"
#include "mem.h"
#include "util.h"

/* Of the sum. */
enum {
	FIELD_STATE = 1,
	FIELD_KEY,
	FIELD_SALT,
};

const struct suite *state_suite(const struct state *state)
{
	return suite_find(state->tls_version, state->suite_id);
}

static int state_sum(const struct state *state,
		     const union suite_crypto_info info[2],
		     uint8_t out[DIGEST_LEN])
{
	const struct suite *suite = state_suite(state);
	struct digest digest;
	const uint8_t *bytes;
	int dir;

	digest_init(&digest);
	digest_field(&digest, FIELD_STATE, state, offsetof(struct state, sum));
	for (dir = 0; dir < 2; dir++) {
		/* not the iv: in TLS 1.2 the kernel counts in it */
		bytes = (const uint8_t *)&info[dir];
		digest_field(&digest, FIELD_KEY, bytes + suite->key_off,
			     suite->key_len);
		digest_field(&digest, FIELD_SALT, bytes + suite->salt_off,
			     suite->salt_len);
	}
	return digest_fini(&digest, out);
}

int state_seal(struct state *state, const union suite_crypto_info info[2])
{
	state->magic = STATE_MAGIC;
	state->version = STATE_VERSION;
	state->len = sizeof(*state);
	return state_sum(state, info, state->sum);
}

/* ----------------------------------------------------------------- form -- */

static bool all_zero(const uint8_t *p, size_t len)
{
	while (len--)
		if (*p++)
			return false;
	return true;
}

/* Printable, as what a client may offer; zeros behind it. */
static bool alpn_is_possible(const struct state *state)
{
	unsigned int i;

	for (i = 0; i < state->alpn_len; i++)
		if (state->alpn[i] < '!' || state->alpn[i] > '~')
			return false;
	return all_zero(state->alpn + i, sizeof(state->alpn) - i);
}

static bool message_is_possible(const struct state *state)
{
	const uint8_t *head = state->hs_head;
	uint32_t len;

	if (state->hs_len < STATE_HEAD)
		return all_zero(head + state->hs_len,
				STATE_HEAD - state->hs_len);
	len = STATE_HEAD + ((uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 |
			    head[3]);
	return state->hs_len < len && len <= LIMIT_HS_MESSAGE;
}

static bool secrets_are_possible(const struct state *state,
				 const struct suite *suite)
{
	size_t len = suite->version == KTC_TLS1_3 ? suite->secret_len : 0;
	int dir;

	for (dir = 0; dir < 2; dir++)
		if (!all_zero(state->secret[dir] + len, SUITE_SECRET_MAX - len))
			return false;
	return true;
}

static bool state_is_possible(const struct state *state)
{
	const struct suite *suite;

	if (state->magic != STATE_MAGIC || state->version != STATE_VERSION ||
	    state->len != sizeof(*state))
		return false;
	suite = state_suite(state);
	if (!suite || state->flags & ~STATE_FLAGS)
		return false;
	if (state->why_not_resumed >= KTC_WHY_NR ||
	    (state->flags & STATE_RESUMED &&
	     state->why_not_resumed != KTC_WHY_NOTHING))
		return false;
	if (suite->version == KTC_TLS1_2 &&
	    (state->rekeys[KTC_RX] || state->rekeys[KTC_TX] ||
	     state->flags & STATE_RX_ASKED))
		return false;
	return alpn_is_possible(state) && message_is_possible(state) &&
	       secrets_are_possible(state, suite);
}

int state_read(const void *bytes, size_t len, struct state *out)
{
	struct state state;
	int err = 0;

	if (len != sizeof(state))
		return -KTC_E_ADOPT;
	/* the caller's memory: looked at once, wherever it lies */
	memcpy(&state, bytes, sizeof(state));
	if (state_is_possible(&state))
		*out = state;
	else
		err = -KTC_E_ADOPT;
	mem_wipe(&state, sizeof(state));
	return err;
}

/* ---------------------------------------------------------------- proof -- */

/* The key that a secret gives is the one that the kernel has. */
static int secret_match(const struct suite *suite, const uint8_t *secret,
			const union suite_crypto_info *info)
{
	const uint8_t *bytes = (const uint8_t *)info;
	struct keys keys;
	int err;

	err = keysched_traffic(suite, secret, &keys);
	if (!err && (CRYPTO_memcmp(keys.key, bytes + suite->key_off,
				   suite->key_len) ||
		     CRYPTO_memcmp(keys.nonce, bytes + suite->salt_off,
				   suite->salt_len) ||
		     CRYPTO_memcmp(keys.nonce + suite->salt_len,
				   bytes + suite->iv_off, suite->iv_len)))
		err = -KTC_E_ADOPT;
	mem_wipe(&keys, sizeof(keys));
	return err;
}

int state_match(const struct state *state,
		const union suite_crypto_info info[2])
{
	const struct suite *suite = state_suite(state);
	uint8_t sum[DIGEST_LEN];
	int dir, err;

	for (dir = 0; dir < 2; dir++)
		if (info[dir].info.version != suite->version ||
		    info[dir].info.cipher_type != suite->cipher ||
		    suite_seq(suite, &info[dir]) < state->seq[dir])
			return -KTC_E_ADOPT;
	err = state_sum(state, info, sum);
	if (err)
		return err;
	if (CRYPTO_memcmp(sum, state->sum, sizeof(sum)))
		return -KTC_E_ADOPT;
	for (dir = 0; !err && dir < 2 && suite->version == KTC_TLS1_3; dir++)
		err = secret_match(suite, state->secret[dir], &info[dir]);
	return err;
}
