// SPDX-License-Identifier: MIT
/*
 * Identities are made by the library itself, of host names, so that the tests
 * know nothing of their form.
 */
#include "pair.h"

#include <stdio.h>
#include <string.h>

#include "client.h"
#include "der_session.h"
#include "flush.h"
#include "inventory.h"
#include "sys.h"
#include "ticket.h"

#define DAY_S (24 * 3600)

int pair_init(struct pair *pair)
{
	int err;

	memset(pair, 0, sizeof(*pair));
	err = certs_make_temp(pair->dir);
	if (err)
		return err;
	(void)snprintf(pair->ca_file, sizeof(pair->ca_file), "%s/ca.pem",
		       pair->dir);
	(void)snprintf(pair->cert_file, sizeof(pair->cert_file),
		       "%s/client.pem", pair->dir);
	(void)snprintf(pair->key_file, sizeof(pair->key_file),
		       "%s/client.key", pair->dir);
	pair->opts.size = sizeof(pair->opts);
	pair->opts.ca_file = pair->ca_file;
	/* nothing is connected: the kernel need not be asked */
	pair->opts.policy = KTC_POLICY_NEVER;
	memset(pair->key, 'k', sizeof(pair->key));
	return 0;
}

int pair_id(const struct ktc_client *client, unsigned int origin,
	    uint8_t id[ORIGIN_ID_LEN])
{
	static const char *const hosts[PAIR_IDS] = {
		"a.test", "b.test", "c.test",
	};
	const struct ktc_conn_opts opts = {
		.size = sizeof(opts),
		.host = hosts[origin],
		.port = 443,
		.fd = -1,
	};
	struct origin made;
	int err;

	err = origin_init(&made, &client->config, &opts, NULL, 0);
	if (err)
		return err;
	memcpy(id, made.id, ORIGIN_ID_LEN);
	origin_fini(&made);
	return 0;
}

int pair_start(struct pair *pair)
{
	unsigned int i;
	int err;

	err = ktc_client_new(&pair->opts, &pair->from);
	if (!err)
		err = ktc_client_new(&pair->opts, &pair->to);
	for (i = 0; i < PAIR_IDS && !err; i++)
		err = pair_id(pair->from, i, pair->id[i]);
	return err;
}

void pair_stop(struct pair *pair)
{
	ktc_client_put(pair->from);
	ktc_client_put(pair->to);
	pair->from = NULL;
	pair->to = NULL;
	rcu_flush();
}

void pair_fini(struct pair *pair)
{
	pair_stop(pair);
	if (pair->dir[0])
		certs_remove(pair->dir);
	pair->dir[0] = '\0';
}

bool pair_give(struct ktc_client *client, const uint8_t *id, const char *name,
	       int version, uint32_t life_s, size_t extra)
{
	const struct der_session_opts opts = {
		.version = version,
		.time_s = sys->time_s(),
		.life_s = life_s,
		.name = name,
		.extra = extra,
	};
	SSL_SESSION *session = der_session_new(&opts);
	struct ticket *ticket;

	if (!session)
		return false;
	if (ticket_new(session, opts.time_s, &ticket)) {
		SSL_SESSION_free(session);
		return false;
	}
	if (ticket->single_use)
		inventory_give(client->inventory, id, ticket);
	else
		inventory_share(client->inventory, id, ticket);
	return true;
}

bool pair_give13(struct ktc_client *client, const uint8_t *id,
		 const char *name)
{
	return pair_give(client, id, name, TLS1_3_VERSION, DAY_S, 0);
}

bool pair_give12(struct ktc_client *client, const uint8_t *id,
		 const char *name)
{
	return pair_give(client, id, name, TLS1_2_VERSION, DAY_S, 0);
}

const char *pair_take_all(struct ktc_client *client, const uint8_t *id)
{
	static __thread char names[256];
	struct ticket *ticket;
	bool single_use = true;
	size_t len = 0;

	names[0] = '\0';
	while (single_use && len < sizeof(names) - 1) {
		if (inventory_take(client->inventory, id, &ticket))
			break;
		single_use = ticket->single_use;
		len += (size_t)snprintf(names + len, sizeof(names) - len,
					"%s%s", len ? " " : "",
					der_session_name(ticket->session));
		inventory_spend(client->inventory, ticket);
	}
	return names;
}

uint64_t pair_sessions(const struct ktc_client *client)
{
	struct ktc_client_stats stats = { .size = sizeof(stats) };

	return ktc_client_stats(client, &stats) ? UINT64_MAX : stats.sessions;
}
