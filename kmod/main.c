// SPDX-License-Identifier: GPL-2.0-only
/*
 * ktlsclient: kernel half of libktlsclient, a TLS client library.
 *
 * Optional: the library works without it and uses what it adds where it is
 * loaded. This file is the module's life: init in order, exit in reverse, and
 * nothing else.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>
#include <linux/printk.h>

#include <ktlsclient_version.h>

static int __init ktcm_init(void)
{
	pr_info("version %s loaded\n", KTC_VERSION_STRING);
	return 0;
}

static void __exit ktcm_exit(void)
{
	pr_info("unloaded\n");
}

module_init(ktcm_init);
module_exit(ktcm_exit);

MODULE_DESCRIPTION("Kernel half of libktlsclient, a TLS client library");
MODULE_AUTHOR("The libktlsclient authors");
MODULE_VERSION(KTC_VERSION_STRING);
MODULE_LICENSE("GPL");
