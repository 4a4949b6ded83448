/* SPDX-License-Identifier: MIT */
/*
 * What is measured: a process that takes one plain connection and stands
 * between it and the origin, by the library or by nginx.
 */
#ifndef BENCH_RELAY_UNDER_H
#define BENCH_RELAY_UNDER_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/types.h>

#include "relay.h"

/**
 * struct relay_setup - what it is told
 * @way: which
 * @version: KTC_TLS1_2 or KTC_TLS1_3
 * @dir: a folder of its own, with @ca_file in it
 * @ca_file: whom to trust
 * @origin: where the origin listens, on this machine
 * @listener: the library's: where to take the plain connection
 * @plain: nginx's: what to listen at, as its configuration has it
 * @nginx: the program
 * @nginx_module: its stream module to load, or NULL
 */
struct relay_setup {
	enum relay_way way;
	uint16_t version;
	const char *dir;
	const char *ca_file;
	struct sockaddr_in origin;
	int listener;
	const char *plain;
	const char *nginx;
	const char *nginx_module;
};

/**
 * relay_library() - be the relay
 * @setup: all of it
 * @control: struct relay_answer goes there when the relay has begun, and
 *	another one when it has ended, with the bytes it says it moved
 *
 * Return: the exit status.
 */
int relay_library(const struct relay_setup *setup, int control);

/**
 * relay_nginx() - become nginx
 * @setup: all of it
 *
 * Return: the exit status, when it could not be started.
 */
int relay_nginx(const struct relay_setup *setup);

/* the first line of nginx's log that is an error, for a sentence; or "" */
void relay_nginx_why(const char *dir, char *text, size_t len);

#endif /* BENCH_RELAY_UNDER_H */
