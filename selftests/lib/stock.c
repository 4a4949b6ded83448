// SPDX-License-Identifier: MIT
/*
 * Random numbers, identities and tickets for tests of the inventory. What is
 * drawn depends on the seed and nothing else. A struct draw belongs to one
 * thread, all else may be called from any.
 */
#include "stock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "ticket.h"

#define TICKET_BYTES 1500	/* about what a session takes */

/* A linear congruential step; its upper half is what is random enough. */
uint32_t draw_u32(struct draw *draw)
{
	draw->state = draw->state * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)(draw->state >> 32);
}

struct draw draw_new(uint64_t seed)
{
	struct draw draw = { .state = seed };
	int i;

	/* Seeds that are close to each other are soon far apart. */
	for (i = 0; i < 4; i++)
		draw.state ^= (uint64_t)draw_u32(&draw) << 7;
	return draw;
}

uint32_t draw_below(struct draw *draw, uint32_t n)
{
	return (uint32_t)(((uint64_t)draw_u32(draw) * n) >> 32);
}

uint64_t draw_seed(uint64_t otherwise)
{
	const char *text = getenv("KTC_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : otherwise;

	printf("# KTC_SEED=%llu\n", (unsigned long long)seed);
	(void)fflush(stdout);	/* a test that dies has said its seed */
	return seed;
}

void stock_id(uint8_t id[ORIGIN_ID_LEN], uint64_t n)
{
	struct draw draw = draw_new(n);
	size_t i;

	for (i = 0; i < ORIGIN_ID_LEN; i++)
		id[i] = (uint8_t)(draw_u32(&draw) >> 24);
	/* Whatever is drawn, no two numbers have one identity. */
	memcpy(id, &n, sizeof(n));
}

struct ticket *stock_ticket(bool single_use, uint64_t expires_s)
{
	struct ticket *ticket = mem_zalloc(sizeof(*ticket));

	if (!ticket)
		return NULL;
	ticket->expires_s = expires_s;
	ticket->bytes = TICKET_BYTES;
	ticket->single_use = single_use;
	ticket->refs = 1;
	return ticket;
}
