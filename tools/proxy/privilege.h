/* SPDX-License-Identifier: MIT */
/* What the process gives up, and what it takes of descriptors. */
#ifndef PROXY_PRIVILEGE_H
#define PROXY_PRIVILEGE_H

#include <stdint.h>

struct config;

/* As many descriptors as may be. */
void privilege_descriptors(void);

/* Clients at once: as configured, or as many as there are descriptors for. */
uint64_t privilege_clients_max(const struct config *config,
			       unsigned int threads);

/**
 * privilege_drop() - become who the config says, for good
 * @config: its user and group
 *
 * Before the first other thread. No new privileges and no core dumps from
 * then on, whoever it runs as.
 *
 * Return: 0, or -errno that has been logged.
 */
int privilege_drop(const struct config *config);

/*
 * A file made before that becomes the user's, who is to remove it one day.
 * 0, or -errno that has been logged.
 */
int privilege_give(const struct config *config, const char *path);

#endif /* PROXY_PRIVILEGE_H */
