// SPDX-License-Identifier: MIT
/*
 * Sessions on their way from one inventory to another, sealed, in memory or in
 * a file. What stays true, in any thread:
 *
 * - A single-use ticket is in one place. Export takes it out of the inventory
 *   and puts it back on every failure; import puts it in when its file has
 *   gone.
 * - No session is put in before all have been read.
 */
#include "export.h"

#include <errno.h>
#include <string.h>

#include "config.h"
#include "inventory.h"
#include "limit.h"
#include "mem.h"
#include "parcel.h"
#include "seal.h"
#include "sys.h"
#include "ticket.h"

/* Sessions beyond those counted before, given by others meanwhile. */
#define ROOM_SPARE 64u

/* What a drain has given: the newest is the first. */
struct load {
	struct seal_list list;
	size_t room;
	int err;		/* -ENOMEM: some had to be dropped */
};

/* -------------------------------------------------------------- export -- */

static bool load_grow(struct load *load)
{
	size_t room = load->room + load->room / 2 + ROOM_SPARE;
	struct seal_item *items = mem_zalloc(room * sizeof(*items));
	struct seal_list *list = &load->list;

	if (!items)
		return false;
	if (list->nr)
		memcpy(items, list->items, list->nr * sizeof(*items));
	mem_free(list->items);
	list->items = items;
	load->room = room;
	return true;
}

static void load_add(void *arg, const uint8_t id[ORIGIN_ID_LEN],
		     struct ticket *take)
{
	struct load *load = arg;
	struct seal_item *item;

	if (load->list.nr == load->room && !load_grow(load)) {
		/*
		 * Others gave more than the room that was made, and there is
		 * no memory: dropped, as the inventory does with a ticket that
		 * it has no memory for. The cost is one full handshake.
		 */
		ticket_put(take);
		load->err = -ENOMEM;
		return;
	}
	item = &load->list.items[load->list.nr++];
	memcpy(item->id, id, ORIGIN_ID_LEN);
	item->ticket = take;
}

/* Room comes first: during the drain a failure would have no good way out. */
static int load_collect(struct load *load, struct inventory *inv)
{
	struct inventory_stats stats;

	inventory_stats(inv, &stats);
	load->room = stats.sessions;
	if (!load_grow(load))
		return -ENOMEM;
	inventory_drain(inv, load_add, load);
	return load->err;
}

/*
 * Ends an export: what has left is gone, all else goes back. The drain gave
 * the newest first, so the last one to go back is the newest again.
 */
static void load_end(struct load *load, struct inventory *inv, bool left)
{
	struct seal_list *list = &load->list;
	struct seal_item *item;

	while (list->nr) {
		item = &list->items[--list->nr];
		if (left && item->packed)
			ticket_put(item->ticket);
		else
			inventory_putback(inv, item->id, item->ticket);
	}
	mem_free(list->items);
}

/*
 * Whoever has the sessions of a client with a certificate can act in its name:
 * the caller has to know. Asked before a file is touched.
 */
static int may_leave(const struct config *config, uint32_t flags)
{
	if (config->cert_file && !(flags & KTC_EXPORT_CLIENT_CERT))
		return -KTC_E_POLICY;
	return 0;
}

/*
 * How many sessions are in out now; load_end() has to follow. On failure it
 * is over: they are back.
 */
static int export_begin(struct load *load, struct inventory *inv,
			const struct config *config,
			const uint8_t key[KTC_EXPORT_KEY_LEN], uint32_t flags,
			struct sealed *out)
{
	int ret;

	memset(load, 0, sizeof(*load));
	ret = load_collect(load, inv);
	if (!ret)
		ret = seal_pack(config, key, flags, &load->list, out);
	if (ret < 0)
		load_end(load, inv, false);
	return ret;
}

int export_to_memory(struct inventory *inv, const struct config *config,
		     const uint8_t key[KTC_EXPORT_KEY_LEN], uint32_t flags,
		     void **out, size_t *len)
{
	struct sealed sealed = { 0 };
	struct load load;
	int ret;

	ret = may_leave(config, flags);
	if (ret)
		return ret;
	ret = export_begin(&load, inv, config, key, flags, &sealed);
	if (ret < 0)
		return ret;
	load_end(&load, inv, true);
	*out = sealed.bytes;
	*len = sealed.len;
	return ret;
}

int export_to_file(struct inventory *inv, const struct config *config,
		   const uint8_t key[KTC_EXPORT_KEY_LEN], uint32_t flags,
		   const char *path)
{
	struct sealed sealed = { 0 };
	struct parcel parcel;
	struct load load;
	int ret, err;

	ret = may_leave(config, flags);
	if (!ret)
		ret = parcel_open(&parcel, path);
	if (ret)
		return ret;
	ret = export_begin(&load, inv, config, key, flags, &sealed);
	if (ret < 0)
		goto out;
	err = parcel_write(&parcel, sealed.bytes, sealed.len);
	load_end(&load, inv, !err);
	mem_free(sealed.bytes);
	if (err)
		ret = err;
out:
	parcel_close(&parcel);
	return ret;
}

/* -------------------------------------------------------------- import -- */

/* Tickets that no connection would ask for must not be used up by an import. */
static int may_come(const struct config *config)
{
	return config->flags & KTC_CLIENT_NO_RESUME ? -KTC_E_POLICY : 0;
}

/* Cannot fail. The number of sessions that were in time. */
static int import_end(struct seal_list *list, struct inventory *inv)
{
	uint64_t now_s = sys->time_s();
	struct seal_item *item;
	int given = 0;
	size_t i;

	for (i = 0; i < list->nr; i++) {
		item = &list->items[i];
		if (!ticket_is_fresh(item->ticket, now_s))
			continue;
		given++;
		inventory_restore(inv, item->id, item->ticket);
		item->ticket = NULL;
	}
	seal_list_drop(list);
	return given;
}

int export_from_memory(struct inventory *inv, const struct config *config,
		       const uint8_t key[KTC_EXPORT_KEY_LEN],
		       const void *bytes, size_t len)
{
	/* only read from */
	const struct sealed sealed = { (uint8_t *)(uintptr_t)bytes, len };
	struct seal_list list;
	int err;

	err = may_come(config);
	if (!err)
		err = seal_unpack(config, key, &sealed, &list);
	return err ? err : import_end(&list, inv);
}

/* What can be refused of a file has been when it is removed. */
int export_from_file(struct inventory *inv, const struct config *config,
		     const uint8_t key[KTC_EXPORT_KEY_LEN], const char *path)
{
	struct sealed sealed = { 0 };
	struct seal_list list;
	struct parcel parcel;
	int ret;

	ret = may_come(config);
	if (!ret)
		ret = parcel_open(&parcel, path);
	if (ret)
		return ret;
	ret = parcel_read(&parcel, LIMIT_SEALED_BYTES, &sealed.bytes,
			  &sealed.len);
	if (ret)
		goto out;
	ret = seal_unpack(config, key, &sealed, &list);
	mem_free(sealed.bytes);
	if (ret)
		goto out;
	ret = parcel_remove(&parcel);
	if (ret)
		seal_list_drop(&list);
	else
		ret = import_end(&list, inv);
out:
	parcel_close(&parcel);
	return ret;
}
