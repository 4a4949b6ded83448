/* SPDX-License-Identifier: MIT */
/*
 * Where a listener's clients are taken to: the origin with the fewest
 * connections among those that are not backed off. Counts and back-off are
 * shared by all workers, in atomics; nobody waits for anybody.
 */
#ifndef PROXY_ORIGIN_H
#define PROXY_ORIGIN_H

#include <ktlsclient.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "config.h"

/**
 * struct origin_load - what all workers know of one origin
 * @refs: services that have it: it outlives a reload
 * @conns: connections now, those that are being made included
 * @in_a_row: failures since the last success
 * @failures: since the start
 * @retry_at_ms: backed off until then; 0: not
 */
struct origin_load {
	atomic_uint refs;
	atomic_uint conns;
	atomic_uint in_a_row;
	atomic_uint_fast64_t failures;
	atomic_uint_fast64_t retry_at_ms;
};

/**
 * struct origin - one origin of one service
 * @place: as configured
 * @opts: for ktc_connect(), but for user and flags
 * @addr: where @opts points to, if the place needs no look-up
 * @load: shared
 */
struct origin {
	const struct config_place *place;
	struct ktc_conn_opts opts;
	struct sockaddr_storage addr;
	struct origin_load *load;
};

/**
 * origin_init() - prepare an origin
 * @origin: to be filled in
 * @listener: whose it is; outlives it
 * @i: which of its origins
 * @load: of the same place, to be shared; NULL: a new one
 *
 * Return: 0, -ENOMEM, or -ENAMETOOLONG of a unix socket's path.
 */
int origin_init(struct origin *origin, const struct config_listener *listener,
		unsigned int i, struct origin_load *load);
void origin_fini(struct origin *origin);

/**
 * origin_pick() - choose
 * @origins: all of a service
 * @nr: how many
 * @tried: a bit for each that is out of the question
 * @max: connections to one at once; 0: no limit
 * @turn: where equals are looked at first
 * @now_ms: time
 *
 * Who is backed off is chosen when nobody else is left, the one whose time
 * comes first: a guess beats a refusal.
 *
 * Return: which, or -1. origin_use() has been called for it.
 */
int origin_pick(struct origin *origins, unsigned int nr, uint32_t tried,
		uint64_t max, unsigned int turn, uint64_t now_ms);

/* One connection more, if @max allows; one less. */
bool origin_use(struct origin *origin, uint64_t max);
void origin_drop(struct origin *origin);

/* It is backed off: nothing is tried but for a client that has no other. */
bool origin_is_failing(const struct origin *origin, uint64_t now_ms);

/* It answered, or did not; @dice is any random number. */
void origin_worked(struct origin *origin);
void origin_failed(struct origin *origin,
		   const struct config_listener *listener, uint64_t now_ms,
		   uint32_t dice);

#endif /* PROXY_ORIGIN_H */
