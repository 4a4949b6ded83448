/* SPDX-License-Identifier: MIT */
/*
 * Keys into a socket: the ULP, TLS_TX, TLS_RX. What is prepared here is set
 * by calls (handover_set()), by the ring as one chain, or by the kernel module
 * in one command.
 */
#ifndef KTC_HANDOVER_H
#define KTC_HANDOVER_H

#include <ktlsclient.h>

#include "suite.h"

struct ossl_secrets;

/* Secret: handover_wipe() on every way out. */
struct handover {
	const struct suite *suite;
	union suite_crypto_info info[2];	/* KTC_RX, KTC_TX */
};

int handover_prepare(const struct ossl_secrets *secrets, struct handover *out);
void handover_wipe(struct handover *h);

extern const char handover_ulp[4];	/* "tls", without NUL 3 bytes long */

/* The steps, in their order, and how a failed one is to be read. */
enum handover_step {
	HANDOVER_ULP,
	HANDOVER_TX,
	HANDOVER_RX,
	HANDOVER_DONE,
	HANDOVER_ATTACH,	/* all of them at once, by the module */
};

/*
 * What a result means: KTC_WHY_NOTHING to go on; another reason: nothing was
 * changed and the user plane goes on. -KTC_E_HANDOVER in *fatal when the
 * socket is half armed (TX taken, RX refused).
 */
enum ktc_reason handover_judge(enum handover_step step, int res, int *fatal);

/* All steps by calls; ulp_set: the ULP is there already. *os_errno positive. */
enum ktc_reason handover_set(int fd, const struct handover *h, bool ulp_set,
			     int *fatal, int *os_errno);

/* TLS 1.3: the key of secret into one direction, from record 0 on. */
int handover_rekey(int fd, const struct suite *suite, int dir,
		   const uint8_t *secret);

/* Both directions' keys, from the kernel: secret. 0 or -errno. */
int handover_get(int fd, const struct suite *suite,
		 union suite_crypto_info info[2]);

/* The kernel's next record number in a direction. */
int handover_seq(int fd, const struct suite *suite, int dir, uint64_t *seq);

#endif /* KTC_HANDOVER_H */
