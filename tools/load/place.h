/* SPDX-License-Identifier: MIT */
/*
 * Where to connect or listen: HOST:PORT or unix:PATH, as one socket address.
 */
#ifndef LOAD_PLACE_H
#define LOAD_PLACE_H

#include <sys/socket.h>

struct place {
	struct sockaddr_storage addr;
	socklen_t len;
};

/**
 * place_parse() - an address from what the user wrote
 * @text: HOST:PORT, [IPV6]:PORT or unix:PATH
 * @out: written on success only
 *
 * Return: 0; -EINVAL for text that is none; -ENOENT for a host nobody knows.
 */
int place_parse(const char *text, struct place *out);

#endif /* LOAD_PLACE_H */
