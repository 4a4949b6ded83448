/* SPDX-License-Identifier: MIT */
/* The proxy as admin.h wants to see it. */
#ifndef PROXY_VIEW_H
#define PROXY_VIEW_H

#include "admin.h"

struct proxy;

/*
 * Operations over what the proxy serves. From listeners() to done() the
 * reader has the proxy's lock, so that a reload waits for it; workers do not.
 */
void view_ops(struct proxy *proxy, struct admin_ops *out);

#endif /* PROXY_VIEW_H */
