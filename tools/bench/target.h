/* SPDX-License-Identifier: MIT */
/*
 * Whom the benchmark connects to: HOST:PORT, [V6ADDRESS]:PORT or unix:PATH,
 * resolved once.
 */
#ifndef BENCH_TARGET_H
#define BENCH_TARGET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/**
 * struct target - an address, and the name it goes by
 * @name: host as typed, without brackets; "" for a unix socket
 * @port: TCP port; 0 for a unix socket
 * @addr: the address
 * @addr_len: bytes of it
 * @text: the address in words
 */
struct target {
	char name[256];
	uint16_t port;
	struct sockaddr_storage addr;
	socklen_t addr_len;
	char text[128];
};

/**
 * target_resolve() - parse and resolve
 * @target: written on success only
 * @spec: what the user typed
 * @why: receives a sentence on failure
 * @why_len: bytes at @why
 *
 * Of several addresses the first that takes a TCP connection is used, so
 * that no measured connection tries the others. Blocks.
 *
 * Return: 0 or -1.
 */
int target_resolve(struct target *target, const char *spec, char *why,
		   size_t why_len);

/* the name for HTTP's Host field: @sni if given, else the target's own */
const char *target_host(const struct target *target, const char *sni);

#endif /* BENCH_TARGET_H */
