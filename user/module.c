// SPDX-License-Identifier: MIT
/*
 * The module's commands, by calls, and ATTACH by the ring. That it is not
 * there is the ordinary case and must cost nothing to speak of: one failed
 * open() a second and loop. The ring knows the device by its number, so while
 * a command is in it the device stays open. The loop's thread.
 */
#include "module.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>

#include "limit.h"
#include "sys.h"

#define MODULE_PATH "/dev/ktlsclient"

void module_init(struct module *module)
{
	memset(module, 0, sizeof(*module));
	module->fd = -1;
}

static void module_close(struct module *module)
{
	if (module->fd >= 0)
		(void)sys->close(module->fd); /* Linux: closed even on error */
	module->fd = -1;
}

void module_idle(struct module *module, struct timer_heap *timers,
		 uint64_t now_us)
{
	if (module->queued)
		timer_set(timers, &module->timer,
			  now_us + LIMIT_MODULE_IDLE_MS * 1000ull);
	else
		module_close(module);
}

void module_fini(struct module *module, struct timer_heap *timers)
{
	timer_set(timers, &module->timer, TIMER_NEVER);
	module_close(module);
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
		module_close(module); /* one that we do not know is none */
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

_Static_assert(sizeof(union suite_crypto_info) <= KTCM_CRYPTO_INFO_MAX,
	       "ATTACH has room for every suite's keys");
/* The command's 16 bytes, by their place; as in sockopt_sqe.h. */
_Static_assert(offsetof(struct io_uring_sqe, addr3) == 48 &&
	       offsetof(struct ktcm_uring_cmd, arg) == 0,
	       "the argument lies over addr3, zeros behind it");

void module_attach(struct module *module, struct io_uring_sqe *sqe, int fd,
		   const struct handover *h, struct ktcm_attach *arg)
{
	const uint32_t op = KTCM_IOC_ATTACH;

	memset(arg, 0, sizeof(*arg));
	arg->abi = KTCM_ABI;
	arg->fd = fd;
	arg->info_len = h->suite->info_len;
	memcpy(arg->tx, &h->info[KTC_TX], h->suite->info_len);
	memcpy(arg->rx, &h->info[KTC_RX], h->suite->info_len);

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = module->fd;
	memcpy(&sqe->off, &op, sizeof(op));	/* cmd_op: the first half */
	sqe->addr3 = (uint64_t)(uintptr_t)arg;
	module->queued++;
}

enum handover_step module_attached(struct module *module,
				   const struct ktcm_attach *arg, int res,
				   int *os_errno)
{
	module->queued--;
	/* done is the truth: a device that is no ktlsclient writes nothing */
	if (arg->done & KTCM_ATTACH_RX) {
		*os_errno = 0;
		return HANDOVER_DONE;
	}
	*os_errno = res < 0 ? -res : EIO;
	if (arg->done & KTCM_ATTACH_TX)
		return HANDOVER_RX;
	return arg->done & KTCM_ATTACH_ULP ? HANDOVER_TX : HANDOVER_ULP;
}
