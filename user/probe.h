/* SPDX-License-Identifier: MIT */
#ifndef KTC_PROBE_H
#define KTC_PROBE_H

#include <ktlsclient.h>

/*
 * What this kernel can do, found once per process by trying on loopback
 * sockets. 0 or -errno; the same struct for ever after success.
 */
int probe_caps(const struct ktc_caps **out);

#endif /* KTC_PROBE_H */
