// SPDX-License-Identifier: MIT
/*
 * Generations are made and retired by the main thread. References are counted
 * so: a service holds its generation (the settings), the generation holds its
 * services until it is retired; so there is no circle after that.
 */
#include "service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "listen.h"
#include "log.h"
#include "privilege.h"

/* ---------------------------------------------------------------- counts -- */

static void ref_get(atomic_uint *refs)
{
	/* relaxed: whoever takes one has one already */
	atomic_fetch_add_explicit(refs, 1, memory_order_relaxed);
}

static bool ref_put(atomic_uint *refs)
{
	/*
	 * Acquire and release: what others did is over before the last one
	 * frees it. Pairs with itself.
	 */
	return atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) == 1;
}

static struct tally *tally_new(unsigned int threads)
{
	struct tally *tally = calloc(1, sizeof(*tally));

	if (!tally)
		return NULL;
	tally->blocks = aligned_alloc(alignof(struct tally_block),
				      threads * sizeof(*tally->blocks));
	if (!tally->blocks) {
		free(tally);
		return NULL;
	}
	memset(tally->blocks, 0, threads * sizeof(*tally->blocks));
	tally->nr = threads;
	return tally;
}

static void tally_put(struct tally *tally)
{
	if (!tally || !ref_put(&tally->refs))
		return;
	free(tally->blocks);
	free(tally);
}

static struct generation *generation_get(struct generation *generation)
{
	ref_get(&generation->refs);
	return generation;
}

static void generation_put(struct generation *generation)
{
	if (!generation || !ref_put(&generation->refs))
		return;
	config_free(generation->config);
	free(generation);
}

struct service *service_get(struct service *service)
{
	ref_get(&service->refs);
	return service;
}

void service_put(struct service *service)
{
	unsigned int i;

	if (!service || !ref_put(&service->refs))
		return;
	for (i = 0; i < service->nr_origins; i++)
		origin_fini(&service->origins[i]);
	tally_put(service->tally);
	ktc_client_put(service->client);
	place_put(service->place);
	generation_put(service->generation);
	free(service);
}

/* ------------------------------------------------------------ generation -- */

static struct service *find(struct generation *generation, const char *name)
{
	unsigned int i;

	for (i = 0; generation && i < generation->nr; i++)
		if (!strcmp(generation->services[i]->listener->name, name))
			return generation->services[i];
	return NULL;
}

static struct origin_load *find_load(struct service *before, const char *place)
{
	unsigned int i;

	for (i = 0; before && i < before->nr_origins; i++)
		if (!strcmp(before->origins[i].place->text, place))
			return before->origins[i].load;
	return NULL;
}

static int service_fill(struct service *service, unsigned int threads,
			struct service *before)
{
	const struct config_listener *listener = service->listener;
	struct ktc_client_opts opts = { 0 };
	unsigned int i;
	int err;

	if (listener->insecure)
		log_event(CONFIG_WARN, "verification_off",
			  LOG_S("listener", listener->name));
	config_client_opts(listener, &opts);
	err = ktc_client_new(&opts, &service->client);
	if (err)
		return err;
	service->tally = before ? before->tally : tally_new(threads);
	if (!service->tally)
		return -ENOMEM;
	ref_get(&service->tally->refs);
	for (i = 0; i < listener->nr_origins; i++) {
		err = origin_init(&service->origins[i], listener, i,
				  find_load(before, listener->origins[i].text));
		if (err)
			return err;
		service->nr_origins++;
	}
	return 0;
}

static int service_new(struct generation *generation, unsigned int i,
		       unsigned int threads, struct generation *before,
		       struct service **out)
{
	const struct config_listener *listener =
		&generation->config->listeners[i];
	struct service *service = calloc(1, sizeof(*service));
	int err;

	if (!service)
		return -ENOMEM;
	service->refs = 1;
	service->generation = generation_get(generation);
	service->listener = listener;
	err = service_fill(service, threads, find(before, listener->name));
	if (err) {
		log_event(CONFIG_ERROR, "listener_failed",
			  LOG_S("listener", listener->name),
			  LOG_S("error", ktc_error_name(err)),
			  LOG_S("why", ktc_strerror(err)));
		service_put(service);
		return err;
	}
	*out = service;
	return 0;
}

int generation_new(struct config *config, unsigned int threads,
		   struct generation *before, struct generation **out)
{
	struct generation *generation = calloc(1, sizeof(*generation));
	unsigned int i;
	int err = 0;

	if (!generation) {
		config_free(config);
		return -ENOMEM;
	}
	generation->refs = 1;
	generation->config = config;
	generation->clients_max = privilege_clients_max(config, threads);
	for (i = 0; i < config->nr_listeners && !err; i++) {
		err = service_new(generation, i, threads, before,
				  &generation->services[i]);
		if (!err)
			generation->nr++;
	}
	if (err) {
		generation_retire(generation);
		return err;
	}
	*out = generation;
	return 0;
}

void generation_leave_places(struct generation *generation)
{
	unsigned int i;

	for (i = 0; i < generation->nr; i++) {
		place_put(generation->services[i]->place);
		generation->services[i]->place = NULL;
	}
}

void generation_retire(struct generation *generation)
{
	unsigned int i;

	if (!generation)
		return;
	generation_leave_places(generation);
	for (i = 0; i < generation->nr; i++)
		service_put(generation->services[i]);
	generation->nr = 0;
	generation_put(generation);
}

/* -------------------------------------------------------------- sessions -- */

static void move_sessions(struct service *from, struct service *to)
{
	uint8_t key[KTC_EXPORT_KEY_LEN];
	void *sealed;
	size_t len;
	int n;

	if (getrandom(key, sizeof(key), 0) != sizeof(key))
		return;
	/* they stay in this process: those with a certificate may go too */
	n = ktc_client_export(from->client, key, KTC_EXPORT_CLIENT_CERT,
			      &sealed, &len);
	if (n >= 0) {
		n = ktc_client_import(to->client, key, sealed, len);
		ktc_export_free(sealed, len);
	}
	explicit_bzero(key, sizeof(key));
	if (n < 0)
		log_event(CONFIG_INFO, "sessions_dropped",
			  LOG_S("listener", to->listener->name),
			  LOG_S("why", ktc_strerror(n)));
}

void generation_move_sessions(struct generation *from, struct generation *to)
{
	struct service *old;
	unsigned int i;

	for (i = 0; i < to->nr; i++) {
		old = find(from, to->services[i]->listener->name);
		if (old)
			move_sessions(old, to->services[i]);
	}
}

static void log_tickets(const struct service *service, const char *event,
			int n, const char *why)
{
	if (n < 0)
		log_event(CONFIG_WARN, "tickets_failed",
			  LOG_S("listener", service->listener->name),
			  LOG_S("doing", event),
			  LOG_S("error", ktc_error_name(n)),
			  LOG_S("why", *why ? why : ktc_strerror(n)));
	else
		log_event(CONFIG_INFO, event,
			  LOG_S("listener", service->listener->name),
			  LOG_U("sessions", (uint64_t)n));
}

static void service_tickets(struct service *service, bool save)
{
	const struct config_listener *listener = service->listener;
	uint8_t key[KTC_EXPORT_KEY_LEN];
	char why[CONFIG_WHY_LEN] = "";
	int n;

	if (!listener->tickets)
		return;
	n = config_tickets_key(listener->tickets_key, key, why, sizeof(why));
	if (!n && save)
		n = ktc_client_export_file(service->client, key,
					   KTC_EXPORT_CLIENT_CERT,
					   listener->tickets);
	else if (!n)
		n = ktc_client_import_file(service->client, key,
					   listener->tickets);
	explicit_bzero(key, sizeof(key));
	if (n == -ENOENT && !save && !*why)
		n = 0; /* the first start */
	log_tickets(service, save ? "tickets_saved" : "tickets_loaded", n, why);
}

void generation_load_tickets(struct generation *generation)
{
	unsigned int i;

	for (i = 0; i < generation->nr; i++)
		service_tickets(generation->services[i], false);
}

void generation_save_tickets(struct generation *generation)
{
	unsigned int i;

	for (i = 0; i < generation->nr; i++)
		service_tickets(generation->services[i], true);
}
