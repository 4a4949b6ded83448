// SPDX-License-Identifier: MIT
/*
 * The point of no return. Before TLS_TX everything may fail and the
 * connection stays on the user plane; so all that can fail for our own
 * reasons (keys, memory, sizes) is done in handover_prepare(). After TLS_TX
 * only the kernel's refusal of TLS_RX is left, and that ends the connection,
 * for a socket that seals but does not open is of no use to anyone.
 */
#include "handover.h"

#include <netinet/tcp.h>

#include "keysched.h"
#include "mem.h"
#include "ossl.h"
#include "sys.h"

#include <errno.h>
#include <string.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

const char handover_ulp[4] = "tls";

int handover_prepare(const struct ossl_secrets *secrets, struct handover *out)
{
	const struct suite *suite = secrets->suite;
	struct keys keys[2];
	int dir, err;

	out->suite = suite;
	if (suite->version == KTC_TLS1_3) {
		err = keysched_traffic(suite, secrets->secret[KTC_RX],
				       &keys[KTC_RX]);
		if (!err)
			err = keysched_traffic(suite, secrets->secret[KTC_TX],
					       &keys[KTC_TX]);
	} else {
		err = keysched_tls12(suite, secrets->master,
				     secrets->master_len,
				     secrets->client_random,
				     secrets->server_random, keys);
		/* GCM and CCM: the kernel counts the explicit nonce on */
		if (!err && suite->fixed_iv_len == 4)
			memcpy(keys[KTC_TX].nonce + 4, secrets->explicit_nonce,
			       8);
	}
	for (dir = 0; !err && dir < 2; dir++)
		suite_fill(suite, &out->info[dir], keys[dir].key,
			   keys[dir].nonce, secrets->seq[dir]);
	mem_wipe(keys, sizeof(keys));
	return err;
}

void handover_wipe(struct handover *h)
{
	mem_wipe(h->info, sizeof(h->info));
}

enum ktc_reason handover_judge(enum handover_step step, int res, int *fatal)
{
	*fatal = 0;
	if (res >= 0)
		return KTC_WHY_NOTHING;
	switch (step) {
	case HANDOVER_ULP:
		if (res == -EEXIST) /* it is there already */
			return KTC_WHY_NOTHING;
		if (res == -ENOTCONN)
			return KTC_WHY_PEER_FIN;
		if (res == -ENOENT)
			return KTC_WHY_NO_KTLS;
		return KTC_WHY_ULP_REFUSED;
	case HANDOVER_TX:
		return res == -ENOENT ? KTC_WHY_NO_SUITE : KTC_WHY_TX_REFUSED;
	default:
		*fatal = -KTC_E_HANDOVER;
		return KTC_WHY_TX_REFUSED;
	}
}

enum ktc_reason handover_set(int fd, const struct handover *h, bool ulp_set,
			     int *fatal, int *os_errno)
{
	enum handover_step step = ulp_set ? HANDOVER_TX : HANDOVER_ULP;
	enum ktc_reason why;
	int res;

	for (; step < HANDOVER_DONE; step++) {
		if (step == HANDOVER_ULP)
			res = sys->setsockopt(fd, IPPROTO_TCP, TCP_ULP,
					      handover_ulp, 3);
		else
			res = sys->setsockopt(fd, SOL_TLS,
					      step == HANDOVER_TX ? TLS_TX :
								    TLS_RX,
					      &h->info[step == HANDOVER_TX],
					      h->suite->info_len);
		why = handover_judge(step, res, fatal);
		if (why != KTC_WHY_NOTHING) {
			*os_errno = -res;
			return why;
		}
	}
	return KTC_WHY_NOTHING;
}

int handover_rekey(int fd, const struct suite *suite, int dir,
		   const uint8_t *secret)
{
	union suite_crypto_info info;
	struct keys keys;
	int err;

	err = keysched_traffic(suite, secret, &keys);
	if (!err) {
		suite_fill(suite, &info, keys.key, keys.nonce, 0);
		err = sys->setsockopt(fd, SOL_TLS,
				      dir == KTC_TX ? TLS_TX : TLS_RX, &info,
				      suite->info_len);
	}
	mem_wipe(&keys, sizeof(keys));
	mem_wipe(&info, sizeof(info));
	return err;
}

int handover_get(int fd, const struct suite *suite,
		 union suite_crypto_info info[2])
{
	socklen_t len;
	int dir, err = 0;

	memset(info, 0, 2 * sizeof(*info));
	for (dir = 0; !err && dir < 2; dir++) {
		len = suite->info_len;
		err = sys->getsockopt(fd, SOL_TLS,
				      dir == KTC_TX ? TLS_TX : TLS_RX,
				      &info[dir], &len);
	}
	if (err)
		mem_wipe(info, 2 * sizeof(*info));
	return err;
}

int handover_seq(int fd, const struct suite *suite, int dir, uint64_t *seq)
{
	union suite_crypto_info info;
	socklen_t len = suite->info_len;
	int err;

	err = sys->getsockopt(fd, SOL_TLS, dir == KTC_TX ? TLS_TX : TLS_RX,
			      &info, &len);
	if (!err)
		*seq = suite_seq(suite, &info);
	mem_wipe(&info, sizeof(info));
	return err;
}
