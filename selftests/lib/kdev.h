/* SPDX-License-Identifier: MIT */
/*
 * Commands to /dev/ktlsclient in every way there is: an ioctl, or an entry of
 * a ring made for it.
 */
#ifndef SELFTESTS_KDEV_H
#define SELFTESTS_KDEV_H

#include <stdint.h>
#include <uapi/linux/ktlsclient.h>

enum kdev_way {
	KDEV_IOCTL,
	KDEV_URING,		/* submitted and handled by the caller */
	KDEV_URING_ASYNC,	/* IOSQE_ASYNC: by a worker of the ring */
	KDEV_URING_SQPOLL,	/* by the ring's own thread */
	KDEV_URING_LINKED,	/* behind a nop */
	KDEV_NR_WAYS
};

/* The device, or -errno: -ENOENT without the module. */
int kdev_open(void);

/**
 * kdev_cmd() - one command, done when this returns
 * @dev: the device
 * @way: how it gets there
 * @cmd: KTCM_IOC_*, or any other number
 * @arg: its struct
 *
 * Return: what the command gave: 0, a descriptor, -errno. -EIO: the ring did
 * not do what it should, and standard error says what.
 */
int kdev_cmd(int dev, enum kdev_way way, unsigned int cmd, const void *arg);

/* The same with all of the entry's 16 bytes said. */
int kdev_uring_cmd(int dev, enum kdev_way way, unsigned int cmd,
		   const struct ktcm_uring_cmd *payload);

/* INFO by ioctl: 0 or -errno. */
int kdev_info(int dev, struct ktcm_info *info);

/* From now on this process is nobody, without a way back. 0 or -errno. */
int kdev_drop_privileges(void);

#endif /* SELFTESTS_KDEV_H */
