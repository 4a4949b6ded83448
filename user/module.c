// SPDX-License-Identifier: MIT
/*
 * The module's commands, by calls. That it is not there is the ordinary case
 * and must cost nothing to speak of: one failed open() a second and loop. The
 * loop's thread.
 */
#include "module.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "limit.h"
#include "sys.h"

#define MODULE_PATH "/dev/ktlsclient"

void module_init(struct module *module)
{
	memset(module, 0, sizeof(*module));
	module->fd = -1;
}

void module_idle(struct module *module)
{
	if (module->fd >= 0)
		(void)sys->close(module->fd); /* Linux: closed even on error */
	module->fd = -1;
}

void module_fini(struct module *module, struct timer_heap *timers)
{
	timer_set(timers, &module->timer, TIMER_NEVER);
	module_idle(module);
}

static int module_open(struct module *module)
{
	struct ktcm_info info = { .abi = KTCM_ABI };
	int err;

	module->fd = sys->open(MODULE_PATH, O_RDWR | O_CLOEXEC);
	if (module->fd < 0)
		return -ENOENT;
	err = sys->ioctl(module->fd, KTCM_IOC_INFO, &info);
	if (err || info.abi != KTCM_ABI) {
		module_idle(module); /* one that we do not know is none */
		return -ENOENT;
	}
	module->features = info.features;
	return 0;
}

int module_device(struct module *module, struct timer_heap *timers,
		  uint64_t now_us, uint32_t feature)
{
	if (module->fd < 0) {
		if (now_us < module->look_at_us)
			return -ENOENT;
		module->look_at_us = now_us + LIMIT_MODULE_LOOK_MS * 1000ull;
		if (module_open(module))
			return -ENOENT;
	}
	timer_set(timers, &module->timer,
		  now_us + LIMIT_MODULE_IDLE_MS * 1000ull);
	return module->features & feature ? module->fd : -ENOENT;
}

int module_relay(const struct module *module, int tls_fd, int plain_fd)
{
	struct ktcm_relay arg = {
		.abi = KTCM_ABI,
		.tls_fd = tls_fd,
		.plain_fd = plain_fd,
		.progress_bytes = LIMIT_MODULE_PROGRESS,
	};

	return sys->ioctl(module->fd, KTCM_IOC_RELAY, &arg);
}

int module_status(int relay_fd, struct ktcm_status *out)
{
	return sys->ioctl(relay_fd, KTCM_IOC_STATUS, out);
}

int module_stop(int relay_fd)
{
	return sys->ioctl(relay_fd, KTCM_IOC_STOP, NULL);
}
