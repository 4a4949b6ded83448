/* SPDX-License-Identifier: MIT */
#ifndef KTC_ERR_H
#define KTC_ERR_H

#include <ktlsclient.h>

/* Each takes 0 or a negative code; none returns NULL. */
const char *err_text(int err);
const char *err_name(int err);
enum ktc_class err_class(int err);
const char *err_class_name(enum ktc_class class_);
const char *err_reason_text(enum ktc_reason why);

#endif /* KTC_ERR_H */
