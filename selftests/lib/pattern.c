// SPDX-License-Identifier: MIT
/*
 * The test stream. Eight bytes at a time come from one multiply-and-mix of
 * the block number (the finalizer of splitmix64), so any part of it is
 * computed without what comes before.
 */
#include "pattern.h"

static uint64_t pattern_block(uint64_t nr)
{
	uint64_t x = (nr + 1) * 0x9e3779b97f4a7c15u;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

uint8_t peer_pattern(uint64_t offset)
{
	return (uint8_t)(pattern_block(offset / 8) >> (offset % 8 * 8));
}

void peer_pattern_fill(void *buf, uint64_t offset, size_t len)
{
	uint8_t *p = buf;
	uint64_t block = 0;

	for (size_t i = 0; i < len; i++, offset++) {
		if (i == 0 || offset % 8 == 0)
			block = pattern_block(offset / 8);
		p[i] = (uint8_t)(block >> (offset % 8 * 8));
	}
}

size_t peer_pattern_check(const void *buf, uint64_t offset, size_t len)
{
	const uint8_t *p = buf;
	uint64_t block = 0;

	for (size_t i = 0; i < len; i++, offset++) {
		if (i == 0 || offset % 8 == 0)
			block = pattern_block(offset / 8);
		if (p[i] != (uint8_t)(block >> (offset % 8 * 8)))
			return i;
	}
	return len;
}
