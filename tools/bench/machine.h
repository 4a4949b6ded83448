/* SPDX-License-Identifier: MIT */
/*
 * The machine and the software that a number came from.
 */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

/**
 * struct machine - what belongs beside a number
 * @cpu: model name
 * @cores: processors that are online
 * @kernel: system and release
 * @arch: e.g. "x86_64"
 * @openssl: the OpenSSL in this process; "" if it cannot be told
 * @time: now, UTC, ISO 8601
 */
struct machine {
	char cpu[128];
	long cores;
	char kernel[160];
	char arch[72];
	char openssl[96];
	char time[32];
};

void machine_describe(struct machine *m);

#endif /* BENCH_MACHINE_H */
