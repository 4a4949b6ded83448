// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module with faults, one of them at a load: bug=NAME. The debug kernel has
 * to tell each; if it does not, its silence about our own module means
 * nothing. Everything happens in init, on the thread that inserts it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/compiler.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#define OBJECT_BYTES 96

static char *bug = "none";
module_param(bug, charp, 0444);
MODULE_PARM_DESC(bug, "none, or the fault to have");

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(spin);

/* An object whose size and life the compiler knows nothing of. */
static char *object(void)
{
	char *p = kzalloc(OBJECT_BYTES, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(p);
	return p;
}

static void use_after_free(void)
{
	char *p = object(), *stale = p;

	OPTIMIZER_HIDE_VAR(stale);
	kfree(p);
	WRITE_ONCE(*stale, 1);
}

static void out_of_bounds(void)
{
	char *p = object();

	if (p)
		WRITE_ONCE(p[OBJECT_BYTES], 1);
	kfree(p);
}

static void lock_inversion(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);

	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static void sleep_in_atomic(void)
{
	char *p;

	spin_lock(&spin);
	p = object();
	spin_unlock(&spin);
	kfree(p);
}

static void leak(void)
{
	pr_info("an object that nobody frees: %d\n", !!object());
}

static void none(void)
{
	kfree(object());
}

static const struct {
	const char *name;
	void (*run)(void);
} bugs[] = {
	{ "none", none },
	{ "use-after-free", use_after_free },
	{ "out-of-bounds", out_of_bounds },
	{ "lock-inversion", lock_inversion },
	{ "sleep-in-atomic", sleep_in_atomic },
	{ "leak", leak },
};

static int __init planted_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bugs); i++) {
		if (!strcmp(bug, bugs[i].name)) {
			bugs[i].run();
			return 0;
		}
	}
	return -EINVAL;
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);

MODULE_DESCRIPTION("Faults for a debug kernel to find");
MODULE_AUTHOR("The libktlsclient authors");
MODULE_LICENSE("GPL");
