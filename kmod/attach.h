/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KTCM_ATTACH_H
#define KTCM_ATTACH_H

#include <uapi/linux/ktlsclient.h>

int ktcm_attach(struct ktcm_attach __user *arg);

#endif /* KTCM_ATTACH_H */
