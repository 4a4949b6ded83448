/* SPDX-License-Identifier: MIT */
/*
 * /dev/ktlsclient, the kernel module's device, as a loop uses it: opened when
 * something wants it, closed when nothing has for a while, so that the module
 * can be unloaded; and where it is not, not looked for more than once a second.
 */
#ifndef KTC_MODULE_H
#define KTC_MODULE_H

#include <stdint.h>

#include <liburing.h>
#include <uapi/linux/ktlsclient.h>

#include "handover.h"
#include "timer.h"

struct module {
	int fd;			/* the device; or -1 */
	uint32_t features;	/* KTCM_FEATURE_* */
	uint32_t queued;	/* ring commands that name fd */
	uint64_t look_at_us;	/* not there: look again then */
	struct timer timer;	/* to close fd */
};

void module_init(struct module *module);
void module_fini(struct module *module, struct timer_heap *timers);
/*
 * Its timer has fired: closes the device, which was not used lately, unless a
 * command in the ring still names it.
 */
void module_idle(struct module *module, struct timer_heap *timers,
		 uint64_t now_us);

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

/*
 * ATTACH, by the ring, after module_device(): the keys of h (a secret, in arg
 * too) into fd. arg and the device stay until the completion; then
 * module_attached() says which step it did not come past (HANDOVER_DONE: it
 * came past all), and os_errno, positive, why. The entry is not to be linked:
 * a kernel may read its payload too late.
 */
void module_attach(struct module *module, struct io_uring_sqe *sqe, int fd,
		   const struct handover *h, struct ktcm_attach *arg);
enum handover_step module_attached(struct module *module,
				   const struct ktcm_attach *arg, int res,
				   int *os_errno);

#endif /* KTC_MODULE_H */
