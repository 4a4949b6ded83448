// SPDX-License-Identifier: GPL-2.0-only
/*
 * ktlsclient: kernel half of libktlsclient, a TLS client library.
 *
 * Optional: the library works without it and uses what it adds where it is
 * loaded. This file is the module's life, init in order and exit in reverse,
 * and the device that its commands come through. Each command ends at once, on
 * the thread that gave it; what lives longer is a descriptor of its own, which
 * holds a reference to the module. So no command is ever pending, and none can
 * be cancelled.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <ktlsclient_version.h>
#include <uapi/linux/ktlsclient.h>

#include "attach.h"
#include "compat.h"
#include "counters.h"
#include "pages.h"
#include "relay.h"

atomic64_t ktcm_counters[KTCM_N_NR];

static_assert(ARRAY_SIZE(((struct ktcm_info *)0)->ends) >= KTCM_END_NR);
static_assert(sizeof(KTC_VERSION_STRING) <=
	      sizeof(((struct ktcm_info *)0)->version));

static int info_get(struct ktcm_info __user *arg)
{
	struct ktcm_info info = {
		.abi = KTCM_ABI,
		.features = KTCM_FEATURE_ATTACH | KTCM_FEATURE_RELAY,
		.version = KTC_VERSION_STRING,
		.attaches = ktcm_counted(KTCM_N_ATTACHES),
		.attaches_failed = ktcm_counted(KTCM_N_ATTACHES_FAILED),
		.relays = ktcm_counted(KTCM_N_RELAYS),
		.relays_total = ktcm_counted(KTCM_N_RELAYS_TOTAL),
		.relays_refused = ktcm_counted(KTCM_N_RELAYS_REFUSED),
		.bytes = {
			[KTCM_DOWN] = ktcm_counted(KTCM_N_DOWN_BYTES),
			[KTCM_UP] = ktcm_counted(KTCM_N_UP_BYTES),
		},
		.records = ktcm_counted(KTCM_N_RECORDS),
		.records_dropped = ktcm_counted(KTCM_N_RECORDS_DROPPED),
		.lost_bytes = ktcm_counted(KTCM_N_LOST_BYTES),
	};
	unsigned int i;
	__u32 abi;

	if (get_user(abi, &arg->abi))
		return -EFAULT;
	if (abi != KTCM_ABI)
		return -EPROTO;
	for (i = 0; i < KTCM_END_NR; i++)
		info.ends[i] = ktcm_counted(KTCM_N_ENDS + i);
	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static int command(unsigned int cmd, void __user *arg)
{
	switch (cmd) {
	case KTCM_IOC_INFO:
		return info_get(arg);
	case KTCM_IOC_ATTACH:
		return ktcm_attach(arg);
	case KTCM_IOC_RELAY:
		return ktcm_relay_begin(arg);
	default:
		return -ENOTTY;
	}
}

static long device_ioctl(struct file *file, unsigned int cmd,
			 unsigned long arg)
{
	return command(cmd, (void __user *)arg);
}

static int device_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	const struct ktcm_uring_cmd *payload = ktcm_cmd_payload(cmd);
	u64 arg = READ_ONCE(payload->arg);
	u64 reserved = READ_ONCE(payload->reserved);
	int ret;

	if (reserved)
		return -EINVAL;
	ret = command(cmd->cmd_op, u64_to_user_ptr(arg));
	return ktcm_cmd_end(cmd, ret, issue_flags);
}

static const struct file_operations device_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.uring_cmd = device_uring_cmd,
	.llseek = noop_llseek,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ktlsclient",
	.fops = &device_fops,
	.mode = 0666,	/* commands act on what the caller holds */
};

static int __init ktcm_init(void)
{
	int err;

	ktcm_segs_init();
	err = ktcm_pump_init();
	if (err)
		return err;
	ktcm_list_init();
	err = misc_register(&device);
	if (err)
		goto out_list;
	pr_info("version %s loaded\n", KTC_VERSION_STRING);
	return 0;

out_list:
	ktcm_list_exit();
	ktcm_pump_exit();
	return err;
}

static void __exit ktcm_exit(void)
{
	misc_deregister(&device);
	ktcm_list_exit();
	ktcm_pump_exit();
	ktcm_segs_drain();
	pr_info("unloaded\n");
}

module_init(ktcm_init);
module_exit(ktcm_exit);

MODULE_DESCRIPTION("Kernel half of libktlsclient, a TLS client library");
MODULE_AUTHOR("The libktlsclient authors");
MODULE_VERSION(KTC_VERSION_STRING);
MODULE_LICENSE("GPL");
