/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * /dev/ktlsclient: what ktlsclient.ko adds to kernel TLS. Each command comes
 * as an ioctl on the device, or as IORING_OP_URING_CMD with the same number
 * in cmd_op and struct ktcm_uring_cmd in the entry's 16 bytes; it ends at
 * once, on the submitting thread. Everybody may open the device: a command
 * acts on sockets that the caller holds, and on nothing else.
 *
 * All structs have a fixed size, which is part of the command's number; begin
 * with KTCM_ABI; and their flags and reserved fields that this page does not
 * name must be 0. What is wrong with them is EINVAL, another abi EPROTO.
 */
#ifndef _UAPI_LINUX_KTLSCLIENT_H
#define _UAPI_LINUX_KTLSCLIENT_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define KTCM_ABI 1

/**
 * struct ktcm_uring_cmd - a command's argument in a submission entry
 * @arg: the address that the ioctl would be given
 * @reserved: 0
 */
struct ktcm_uring_cmd {
	__u64 arg;
	__u64 reserved;
};

/* ------------------------------------------------------------- ATTACH -- */

/* Room for any cipher's struct tls12_crypto_info_* of <linux/tls.h>. */
#define KTCM_CRYPTO_INFO_MAX 64

/* How far an ATTACH came: struct ktcm_attach.done. */
#define KTCM_ATTACH_ULP	(1U << 0)	/* TCP_ULP "tls" is there */
#define KTCM_ATTACH_TX	(1U << 1)	/* TLS_TX is set */
#define KTCM_ATTACH_RX	(1U << 2)	/* TLS_RX is set */

/**
 * struct ktcm_attach - kernel TLS on a socket: ULP, TLS_TX, TLS_RX
 * @abi: KTCM_ABI
 * @flags: 0
 * @fd: an established TCP socket; the ULP may be there already, keys not. With
 *	the ULP the peer's FIN may have come (CLOSE_WAIT).
 * @info_len: bytes of @tx and of @rx that count: the size of their cipher's
 *	struct; those after them must be 0
 * @done: receives KTCM_ATTACH_*, also when the command fails
 * @reserved: 0
 * @tx: the sending direction's crypto_info
 * @rx: the receiving one's; same version and cipher as @tx
 *
 * All of it is checked before anything is changed: wrong arguments leave the
 * socket as it was. Later failures are the kernel's own, and as with the
 * three setsockopt calls nothing is taken back; @done tells.
 *
 * Return: 0. EBADF; ENOTSOCK; EOPNOTSUPP: no TCP socket; ENOTCONN: not
 * established; EBUSY: it has keys, or is being relayed; EEXIST: it has
 * another ULP; EINVAL: a field, a version or cipher that kTLS does not know,
 * a size that is not its cipher's, two that differ; EFAULT; ENOENT: no kTLS
 * (@done 0) or no such cipher here (@done ULP); ENOMEM.
 */
struct ktcm_attach {
	__u32 abi;
	__u32 flags;
	__s32 fd;
	__u32 info_len;
	__u32 done;
	__u32 reserved[3];
	__u8 tx[KTCM_CRYPTO_INFO_MAX];
	__u8 rx[KTCM_CRYPTO_INFO_MAX];
};

/* -------------------------------------------------------------- RELAY -- */

/* Directions: indices of bytes[2] and held[2]. */
#define KTCM_DOWN	0	/* from the TLS socket to the plain one */
#define KTCM_UP		1	/* from the plain socket to the TLS one */

/* struct ktcm_relay.flags */
#define KTCM_RELAY_NONBLOCK	(1U << 0) /* O_NONBLOCK on the relay */

/**
 * struct ktcm_relay - move bytes between a TLS and a plain socket
 * @abi: KTCM_ABI
 * @flags: KTCM_RELAY_*
 * @tls_fd: an established TCP socket with kTLS keys in both directions
 * @plain_fd: another connected stream socket, TCP or unix, without kTLS
 * @progress_bytes: a KTCM_EV_PROGRESS each so many bytes, both directions
 *	together; 0: never
 * @reserved: 0
 *
 * From success on the kernel moves bytes both ways, in order, holding a
 * bounded part of them, until both sides have ended, something fails, or the
 * relay (a descriptor, close-on-exec) is stopped or closed. While it runs
 * nobody else should read from or write to the two sockets: a blocking send
 * of somebody else's holds the relay up.
 *
 * The peer's close_notify becomes shutdown(SHUT_WR) of the plain socket, the
 * end of the plain stream a close_notify; TCP's FIN on the TLS side is left to
 * the sockets' owner. Other records than data come as KTCM_EV_RECORD and the
 * relay goes on; only after a KeyUpdate it pauses, both ways, where the kernel
 * can change keys (KTCM_IOC_RESUME), and ends where it cannot.
 *
 * The relay holds references of its own. Keep the TLS descriptor all the same:
 * the last close of a kTLS socket drops what kTLS has accepted and not yet
 * sent, for a relay as for anybody.
 *
 * A closed relay is stopped: what it had taken from a socket is given to the
 * other one's send queue, over its size if need be, so nothing that was
 * acknowledged is lost; the sockets are as if their owner had read and
 * written himself. Only events that were not read go with the relay: stop it
 * and read on to KTCM_EV_END where they matter.
 *
 * Bytes are sent as by who began the relay. A unix socket's sender who passes
 * descriptors ends it (EOPNOTSUPP): a relay has no use for them.
 *
 * Return: the relay, a descriptor. EBADF; ENOTSOCK; EOPNOTSUPP: not the kind
 * of socket asked for; ENOTCONN; ENOKEY: no kTLS keys, or in one direction
 * only; EBUSY: a socket is in another relay; EINVAL: a field, the same socket
 * twice, @plain_fd with an ULP; EFAULT; EMFILE; ENFILE, also when there are as
 * many relays as the module's parameter relays_max allows; ENOMEM.
 */
struct ktcm_relay {
	__u32 abi;
	__u32 flags;
	__s32 tls_fd;
	__s32 plain_fd;
	__u64 progress_bytes;
	__u64 reserved[2];
};

/**
 * enum ktcm_event_type - what a relay tells
 * @KTCM_EV_PROGRESS: so many bytes more; newer ones replace older ones
 * @KTCM_EV_RECORD: a record that is not data, its content behind the event
 * @KTCM_EV_END: nothing moves any more; the sockets are their owner's. Last.
 */
enum ktcm_event_type {
	KTCM_EV_PROGRESS = 1,
	KTCM_EV_RECORD,
	KTCM_EV_END,
};

/**
 * enum ktcm_end - why a relay ended
 * @KTCM_END_NOT: it has not
 * @KTCM_END_DONE: both sides ended in order
 * @KTCM_END_STOPPED: KTCM_IOC_STOP; what was held has been sent
 * @KTCM_END_TRUNCATED: the TLS side's FIN without close_notify
 * @KTCM_END_ALERT: the TLS side's fatal alert, a KTCM_EV_RECORD before
 * @KTCM_END_KEY_UPDATE: a KeyUpdate, and this kernel cannot change keys
 * @KTCM_END_TLS: the TLS socket failed, see error
 * @KTCM_END_PLAIN: the plain socket failed, see error
 * @KTCM_END_NR: how many there are
 */
enum ktcm_end {
	KTCM_END_NOT,
	KTCM_END_DONE,
	KTCM_END_STOPPED,
	KTCM_END_TRUNCATED,
	KTCM_END_ALERT,
	KTCM_END_KEY_UPDATE,
	KTCM_END_TLS,
	KTCM_END_PLAIN,
	KTCM_END_NR
};

/* A record in an event is no longer than this: TLS's own limit. */
#define KTCM_RECORD_MAX 16384

/**
 * struct ktcm_event - one read() of a relay
 * @type: enum ktcm_event_type
 * @len: RECORD: bytes of the record, behind this struct
 * @bytes: application bytes moved so far, by direction
 * @end: END: enum ktcm_end
 * @error: END: the socket's errno, positive, or 0
 * @record_type: RECORD: its TLS content type
 * @paused: RECORD: the relay waits for KTCM_IOC_RESUME
 * @reserved: 0
 * @dropped: RECORD: those that found no room before this one
 *
 * One event each read(), oldest first; poll() says EPOLLIN when there is one,
 * and EPOLLHUP after END was read, when read() returns 0. A buffer too short
 * for the event is EMSGSIZE and loses nothing.
 */
struct ktcm_event {
	__u32 type;
	__u32 len;
	__u64 bytes[2];
	__u32 end;
	__s32 error;
	__u8 record_type;
	__u8 paused;
	__u8 reserved[2];
	__u32 dropped;
};

/**
 * struct ktcm_status - how a relay is doing: KTCM_IOC_STATUS
 * @bytes: application bytes moved so far, by direction
 * @held: bytes taken from one side and not yet by the other
 * @end: enum ktcm_end
 * @error: as in struct ktcm_event
 * @paused: after a KeyUpdate
 * @open: bit 0: KTCM_DOWN has not ended, bit 1: KTCM_UP
 * @closed: bit 0: KTCM_DOWN has ended in order, and the plain socket was told;
 *	bit 1: KTCM_UP, and close_notify was sent
 * @reserved: 0
 * @records: records other than data so far
 * @dropped: of these, found no room
 */
struct ktcm_status {
	__u64 bytes[2];
	__u32 held[2];
	__u32 end;
	__s32 error;
	__u32 paused;
	__u32 open;
	__u32 closed;
	__u32 reserved;
	__u64 records;
	__u64 dropped;
};

/* --------------------------------------------------------------- INFO -- */

#define KTCM_FEATURE_ATTACH	(1U << 0)
#define KTCM_FEATURE_RELAY	(1U << 1)

/**
 * struct ktcm_info - the module, and what it has done since it was loaded
 * @abi: KTCM_ABI
 * @features: KTCM_FEATURE_*
 * @version: the module's, like "0.1.0"
 * @attaches: succeeded
 * @attaches_failed: refused or failed
 * @relays: running, or ended and not yet closed
 * @relays_total: begun
 * @relays_refused: not begun
 * @bytes: moved, by direction
 * @records: records other than data
 * @records_dropped: of these, found no room
 * @ends: closed relays by enum ktcm_end; [KTCM_END_NOT]: closed while they ran
 * @lost_bytes: held when a relay was closed, and not taken by a socket that
 *	was still there (no memory)
 * @reserved: 0
 */
struct ktcm_info {
	__u32 abi;
	__u32 features;
	char version[16];
	__u64 attaches;
	__u64 attaches_failed;
	__u64 relays;
	__u64 relays_total;
	__u64 relays_refused;
	__u64 bytes[2];
	__u64 records;
	__u64 records_dropped;
	__u64 ends[8];
	__u64 lost_bytes;
	__u64 reserved[5];
};

/* ----------------------------------------------------------- commands -- */

#define KTCM_IOC_MAGIC 0xb7

/* on the device; struct ktcm_info's abi is read too */
#define KTCM_IOC_INFO	_IOWR(KTCM_IOC_MAGIC, 0, struct ktcm_info)
#define KTCM_IOC_ATTACH	_IOWR(KTCM_IOC_MAGIC, 1, struct ktcm_attach)
#define KTCM_IOC_RELAY	_IOW(KTCM_IOC_MAGIC, 2, struct ktcm_relay)

/*
 * On a relay. STOP: receive no more; END follows when the other side has taken
 * what is held; 0, also when it has ended. RESUME: after the KeyUpdate's
 * record was read and TLS_RX (and, answered, TLS_TX) set; EINVAL when it is
 * not paused.
 */
#define KTCM_IOC_STATUS	_IOR(KTCM_IOC_MAGIC, 16, struct ktcm_status)
#define KTCM_IOC_STOP	_IO(KTCM_IOC_MAGIC, 17)
#define KTCM_IOC_RESUME	_IO(KTCM_IOC_MAGIC, 18)

#endif /* _UAPI_LINUX_KTLSCLIENT_H */
