/* SPDX-License-Identifier: MIT */
/*
 * What is served: one configuration with, for each of its listeners, a client,
 * origins, counters and sockets. A reload makes a new generation; connections
 * end with the one they began with, so everything here is counted by who uses
 * it. Constant once the workers have it, but for atomics.
 */
#ifndef PROXY_SERVICE_H
#define PROXY_SERVICE_H

#include <ktlsclient.h>
#include <stdalign.h>
#include <stdatomic.h>

#include "config.h"
#include "origin.h"
#include "stats.h"

struct places;
struct place;

/* "[v6%scope]:port" */
#define SERVICE_BOUND_LEN 80

/* a worker's counters, on cache lines of their own: it alone writes them */
struct tally_block {
	alignas(64) struct stats_listener stats;
};

/**
 * struct tally - a listener's counters; go on over a reload
 * @refs: services that have it
 * @clients: at once, all workers
 * @nr: blocks, one for each worker
 * @blocks: their counters
 */
struct tally {
	atomic_uint refs;
	atomic_uint clients;
	unsigned int nr;
	struct tally_block *blocks;
};

/**
 * struct service - one listener of one generation
 * @refs: the generation, and each worker that has connections of it
 * @generation: whose it is; a reference
 * @listener: its settings
 * @client: for upstream connections
 * @tally: counters
 * @place: where clients come in; NULL once the generation has left it
 * @bound: its address and port, if the kernel chose the port; else ""
 * @origins: where they are taken to
 * @nr_origins: how many
 */
struct service {
	atomic_uint refs;
	struct generation *generation;
	const struct config_listener *listener;
	struct ktc_client *client;
	struct tally *tally;
	struct place *place;
	char bound[SERVICE_BOUND_LEN];
	struct origin origins[CONFIG_ORIGINS_MAX];
	unsigned int nr_origins;
};

/**
 * struct generation - one configuration, being served
 * @refs: the proxy's, each service's, each reader's
 * @config: freed with it
 * @clients_max: at once, of all listeners; no more than descriptors allow
 * @services: one for each listener, with the generation's reference
 * @nr: how many
 */
struct generation {
	atomic_uint refs;
	struct config *config;
	uint64_t clients_max;
	struct service *services[CONFIG_LISTENERS_MAX];
	unsigned int nr;
};

/**
 * generation_new() - a client, origins, counters for each listener
 * @config: taken, on failure too
 * @threads: workers
 * @before: what it follows: counters, back-off and sockets of what is still
 *	there are shared; NULL: nothing
 * @out: written on success only
 *
 * The places are opened by listen.c.
 *
 * Return: 0 or an error, which has been logged.
 */
int generation_new(struct config *config, unsigned int threads,
		   struct generation *before, struct generation **out);

/* The workers know its places: they close when no worker accepts there. */
void generation_leave_places(struct generation *generation);

/*
 * Its services end, once the workers have let go of them: no reference of the
 * generation's keeps them. Once; NULL is fine.
 */
void generation_retire(struct generation *generation);

/*
 * The sessions of @from's clients go to those of the same name and settings
 * in @to.
 */
void generation_move_sessions(struct generation *from, struct generation *to);

/* Sessions from and to the files that the configuration names. */
void generation_load_tickets(struct generation *generation);
void generation_save_tickets(struct generation *generation);

struct service *service_get(struct service *service);
void service_put(struct service *service);

#endif /* PROXY_SERVICE_H */
