/* SPDX-License-Identifier: MIT */
/*
 * /dev/ktlsclient, the kernel module's device, as a loop uses it: opened when
 * something wants it, closed when nothing has for a while, so that the module
 * can be unloaded; and where it is not, not looked for more than once a second.
 */
#ifndef KTC_MODULE_H
#define KTC_MODULE_H

#include <stdint.h>

#include <uapi/linux/ktlsclient.h>

#include "timer.h"

struct module {
	int fd;			/* the device; or -1 */
	uint32_t features;	/* KTCM_FEATURE_* */
	uint64_t look_at_us;	/* not there: look again then */
	struct timer timer;	/* to close fd */
};

void module_init(struct module *module);
void module_fini(struct module *module, struct timer_heap *timers);
/* Its timer has fired: closes the device if it was not used lately. */
void module_idle(struct module *module);

/*
 * The device, with that feature: its descriptor, for this round of the loop
 * and LIMIT_MODULE_IDLE_MS more; or -ENOENT.
 */
int module_device(struct module *module, struct timer_heap *timers,
		  uint64_t now_us, uint32_t feature);

/* A relay's descriptor, or -errno. After module_device(). */
int module_relay(const struct module *module, int tls_fd, int plain_fd);
int module_status(int relay_fd, struct ktcm_status *out);
int module_stop(int relay_fd);

#endif /* KTC_MODULE_H */
