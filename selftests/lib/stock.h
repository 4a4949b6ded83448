/* SPDX-License-Identifier: MIT */
/*
 * What tests of the inventory draw from: random numbers that a seed repeats,
 * identities by number, tickets without a session in them.
 */
#ifndef SELFTESTS_STOCK_H
#define SELFTESTS_STOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "origin.h"

struct ticket;

/* One thread's random numbers; any value is a good seed. */
struct draw {
	uint64_t state;
};

struct draw draw_new(uint64_t seed);
uint32_t draw_u32(struct draw *draw);
/* 0 .. n - 1; n is 1 or more */
uint32_t draw_below(struct draw *draw, uint32_t n);

/* KTC_SEED of the environment, or otherwise; printed as a KTAP comment. */
uint64_t draw_seed(uint64_t otherwise);

/* Identity number n: bytes as if they were hashed, to the last. */
void stock_id(uint8_t id[ORIGIN_ID_LEN], uint64_t n);

/*
 * A ticket with one reference and no session: the inventory never looks into
 * one. By sys->alloc; NULL when that has none.
 */
struct ticket *stock_ticket(bool single_use, uint64_t expires_s);

#endif /* SELFTESTS_STOCK_H */
