// SPDX-License-Identifier: MIT
/*
 * The table and its pieces. Written by bytes_init(), then constant: any thread.
 */
#include "bytes.h"

#include <string.h>

#define PERIOD 65521 /* a prime */
#define LONGEST 65536

/* the period, and as much behind it as a piece may need */
static uint8_t table[PERIOD + LONGEST];

/* splitmix64: a fixed seed gives the same bytes in every process */
static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

void bytes_init(void)
{
	size_t i;

	for (i = 0; i < PERIOD; i++)
		table[i] = (uint8_t)mix(i);
	for (i = PERIOD; i < sizeof(table); i++)
		table[i] = table[i - PERIOD];
}

const uint8_t *bytes_at(uint64_t stream, uint64_t at, size_t *len)
{
	if (*len > LONGEST)
		*len = LONGEST;
	return table + (mix(stream) % PERIOD + at % PERIOD) % PERIOD;
}

size_t bytes_differ(uint64_t stream, uint64_t at, const uint8_t *data,
		    size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t i, n = len - done;
		const uint8_t *want = bytes_at(stream, at + done, &n);

		if (memcmp(want, data + done, n)) {
			for (i = 0; want[i] == data[done + i];)
				i++;
			return done + i;
		}
		done += n;
	}
	return len;
}
