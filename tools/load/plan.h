/* SPDX-License-Identifier: MIT */
/*
 * From the options to what each connection does.
 */
#ifndef LOAD_PLAN_H
#define LOAD_PLAN_H

#include "conn.h"
#include "options.h"

/**
 * plan_http() - requests and answers
 * @plan: zeroed
 * @opts: the options
 *
 * Return: 0, or a negative errno: -EMSGSIZE for what has no room in a header.
 */
int plan_http(struct conn_plan *plan, const struct options *opts);

/* the same for bytes that come back */
int plan_echo(struct conn_plan *plan, const struct options *opts);

#endif /* LOAD_PLAN_H */
