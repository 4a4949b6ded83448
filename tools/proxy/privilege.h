/* SPDX-License-Identifier: MIT */
/* What the process gives up, and what it takes of descriptors. */
#ifndef PROXY_PRIVILEGE_H
#define PROXY_PRIVILEGE_H

struct config;

/* As many descriptors as may be, and a warning if they do not suffice. */
void privilege_descriptors(const struct config *config, unsigned int threads);

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

#endif /* PROXY_PRIVILEGE_H */
