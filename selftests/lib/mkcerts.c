// SPDX-License-Identifier: MIT
/*
 * mkcerts DIR: the test certificates, for tests that are shell scripts.
 */
#include <stdio.h>
#include <string.h>

#include "certs.h"

int main(int argc, char **argv)
{
	int err;

	if (argc != 2) {
		fprintf(stderr, "usage: mkcerts DIR\n");
		return 2;
	}
	err = certs_make(argv[1]);
	if (err) {
		fprintf(stderr, "mkcerts: %s: %s\n", argv[1], strerror(-err));
		return 1;
	}
	return 0;
}
