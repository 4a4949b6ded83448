/* SPDX-License-Identifier: MIT */
/*
 * A server whose bytes can be compared: plaintext, to stand behind a TLS server
 * that people run, or TLS.
 */
#ifndef LOAD_SERVE_H
#define LOAD_SERVE_H

#include "options.h"
#include "place.h"

/**
 * serve_run() - serve until SIGTERM or SIGINT
 * @opts: what is served
 * @place: where to listen; port 0: any
 *
 * Prints "listening PORT", then a line for each connection that has ended:
 * "done|reset|wrong GOT SENT r|.", with r for a resumed session.
 *
 * Return: 0 or a negative errno.
 */
int serve_run(const struct options *opts, const struct place *place);

#endif /* LOAD_SERVE_H */
