// SPDX-License-Identifier: GPL-2.0-only
/*
 * The list of live relays: /sys/kernel/debug/ktlsclient/relays, one line each.
 * Without debugfs there is the list and nobody who reads it.
 */
#include <linux/debugfs.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>

#include "relay.h"

static LIST_HEAD(relays);
static DEFINE_MUTEX(relays_lock);	/* a relay on the list is not freed */
static struct dentry *dir;

void ktcm_list_add(struct ktcm_relay_obj *relay)
{
	mutex_lock(&relays_lock);
	list_add_tail(&relay->all, &relays);
	mutex_unlock(&relays_lock);
}

void ktcm_list_del(struct ktcm_relay_obj *relay)
{
	mutex_lock(&relays_lock);
	list_del(&relay->all);
	mutex_unlock(&relays_lock);
}

static void *relays_start(struct seq_file *m, loff_t *pos)
{
	mutex_lock(&relays_lock);
	return seq_list_start_head(&relays, *pos);
}

static void *relays_next(struct seq_file *m, void *v, loff_t *pos)
{
	return seq_list_next(v, &relays, pos);
}

static void relays_stop(struct seq_file *m, void *v)
{
	mutex_unlock(&relays_lock);
}

static int relays_show(struct seq_file *m, void *v)
{
	struct ktcm_relay_obj *relay;
	struct ktcm_status status;

	if (v == &relays) {
		seq_puts(m, "id tls plain down up held_down held_up ");
		seq_puts(m, "records dropped paused end error\n");
		return 0;
	}
	relay = list_entry(v, struct ktcm_relay_obj, all);
	ktcm_relay_status(relay, &status);
	seq_printf(m, "%llu %lu %lu %llu %llu %u %u %llu %llu %u %u %d\n",
		   relay->id, relay->tls.ino, relay->plain.ino,
		   status.bytes[KTCM_DOWN], status.bytes[KTCM_UP],
		   status.held[KTCM_DOWN], status.held[KTCM_UP],
		   status.records, status.dropped, status.paused, status.end,
		   status.error);
	return 0;
}

static const struct seq_operations relays_sops = {
	.start = relays_start,
	.next = relays_next,
	.stop = relays_stop,
	.show = relays_show,
};

DEFINE_SEQ_ATTRIBUTE(relays);

void ktcm_list_init(void)
{
	/* errors are debugfs' own business: the calls below take them */
	dir = debugfs_create_dir("ktlsclient", NULL);
	debugfs_create_file("relays", 0400, dir, NULL, &relays_fops);
}

void ktcm_list_exit(void)
{
	debugfs_remove(dir);
}
