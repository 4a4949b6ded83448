/* SPDX-License-Identifier: MIT */
/*
 * Bytes that nobody meant, for the tests of what reads hostile bytes: good
 * ones with a few mistakes in them, or none that are good. The same seed makes
 * the same bytes.
 */
#ifndef PROXY_NOISE_H
#define PROXY_NOISE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOISE_SEED 20261128u

struct noise_seed {
	const void *bytes;
	size_t len;
};

/**
 * struct noise - a source of them
 * @state: of the random numbers, not 0
 * @seeds: good ones
 * @nr_seeds: how many
 */
struct noise {
	uint32_t state;
	const struct noise_seed *seeds;
	size_t nr_seeds;
};

/* The seed is a test's first argument, if it has one. */
static inline uint32_t noise_seed(int argc, char **argv)
{
	uint32_t seed = NOISE_SEED;

	if (argc > 1)
		seed = (uint32_t)strtoul(argv[1], NULL, 0);
	if (!seed)
		seed = NOISE_SEED;
	return seed;
}

/* xorshift32 (Marsaglia 2003); below @below, which is not 0 */
static inline uint32_t noise_below(struct noise *noise, uint32_t below)
{
	uint32_t x = noise->state;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	noise->state = x;
	return x % below;
}

/* For whoever wants to see a failure again. */
static inline void noise_tell(const struct noise *noise)
{
	printf("# seed %u\n", noise->state);
}

static inline size_t noise_cut(size_t len, size_t room)
{
	return len < room ? len : room;
}

/* Some of one of the good ones, put in at @at; what was there moves on. */
static inline size_t noise_splice(struct noise *noise, uint8_t *buf, size_t len,
				  size_t at, size_t room)
{
	const struct noise_seed *seed =
		&noise->seeds[noise_below(noise, (uint32_t)noise->nr_seeds)];
	size_t from = noise_below(noise, (uint32_t)seed->len + 1);
	size_t n = noise_below(noise, (uint32_t)(seed->len - from) + 1);

	n = noise_cut(n, room - len);
	memmove(buf + at + n, buf + at, len - at);
	memcpy(buf + at, (const uint8_t *)seed->bytes + from, n);
	return len + n;
}

/* One mistake. */
static inline size_t noise_mistake(struct noise *noise, uint8_t *buf,
				   size_t len, size_t room)
{
	static const uint8_t odd[] = { 0, 1, 0x7f, 0x80, 0xff, '\r', '\n', ' ',
				       ':', '[', ']', '=', '0', '9' };
	size_t at = noise_below(noise, (uint32_t)len + 1), n;

	switch (noise_below(noise, 7)) {
	case 0: /* a bit */
		if (at < len)
			buf[at] ^= (uint8_t)(1U << noise_below(noise, 8));
		return len;
	case 1: /* a byte */
		if (at < len)
			buf[at] = (uint8_t)noise_below(noise, 256);
		return len;
	case 2: /* one that means something to somebody */
		if (at < len)
			buf[at] = odd[noise_below(noise, sizeof(odd))];
		return len;
	case 3: /* the rest is missing */
		return at;
	case 4: /* a part is missing */
		n = noise_below(noise, (uint32_t)(len - at) + 1);
		memmove(buf + at, buf + at + n, len - at - n);
		return len - n;
	case 5: /* a byte more */
		if (len == room)
			return len;
		memmove(buf + at + 1, buf + at, len - at);
		buf[at] = (uint8_t)noise_below(noise, 256);
		return len + 1;
	default:
		return noise_splice(noise, buf, len, at, room);
	}
}

/* Up to @room bytes into @buf: how many. */
static inline size_t noise_make(struct noise *noise, uint8_t *buf, size_t room)
{
	const struct noise_seed *seed =
		&noise->seeds[noise_below(noise, (uint32_t)noise->nr_seeds)];
	uint32_t mistakes = noise_below(noise, 6);
	size_t len, i;

	if (!noise_below(noise, 16)) {
		len = noise_below(noise, 64);
		for (i = 0; i < len; i++)
			buf[i] = (uint8_t)noise_below(noise, 256);
		return len;
	}
	len = noise_cut(seed->len, room);
	memcpy(buf, seed->bytes, len);
	while (mistakes--)
		len = noise_mistake(noise, buf, len, room);
	return len;
}

#endif /* PROXY_NOISE_H */
