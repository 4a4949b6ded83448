/* SPDX-License-Identifier: MIT */
/*
 * Kernel TLS without a handshake: two ends of a TCP connection over loopback
 * that are given the same static keys by setsockopt. One end is the local one,
 * which the module is asked to work on; the other plays the peer of the wide
 * world. Both are blocking, close-on-exec.
 */
#ifndef SELFTESTS_KPAIR_H
#define SELFTESTS_KPAIR_H

#include <linux/tls.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uapi/linux/ktlsclient.h>

/* Record types. */
#define KPAIR_ALERT	21
#define KPAIR_HANDSHAKE	22
#define KPAIR_DATA	23

enum kpair_who { KPAIR_LOCAL, KPAIR_REMOTE };

struct kpair_suite {
	const char *name;
	uint16_t cipher;
	uint16_t info_len;	/* the size of its crypto_info */
};

/* Every suite that kTLS knows; whether the kernel has its cipher is another
 * question.
 */
#define KPAIR_NR_SUITES 8
extern const struct kpair_suite kpair_suites[KPAIR_NR_SUITES];

struct kpair {
	uint16_t version;
	uint16_t cipher;
	int fd[2];		/* by enum kpair_who; -1: closed */
};

/* The size of a cipher's crypto_info; 0: no such cipher. */
size_t kpair_info_len(uint16_t cipher);

/**
 * kpair_info() - the crypto_info of one direction
 * @info: receives it, the rest is zeroed
 * @version: TLS_1_2_VERSION or TLS_1_3_VERSION
 * @cipher: TLS_CIPHER_*
 * @sender: whose keys
 * @generation: 0, and one more after each KeyUpdate
 *
 * Return: its size.
 */
size_t kpair_info(uint8_t info[KTCM_CRYPTO_INFO_MAX], uint16_t version,
		  uint16_t cipher, enum kpair_who sender,
		  unsigned int generation);

/* The three steps of attaching, on one end. 0 or -errno. */
int kpair_ulp(int fd);
int kpair_set(int fd, int direction, uint16_t version, uint16_t cipher,
	      enum kpair_who sender, unsigned int generation);
int kpair_arm(int fd, uint16_t version, uint16_t cipher, enum kpair_who who);

/*
 * A connected pair of sockets (open) and one with keys on both ends (new).
 * 0 or -errno; -ENOENT: this kernel has no kTLS, or not the cipher.
 */
int kpair_open(struct kpair *pair, uint16_t version, uint16_t cipher);
int kpair_new(struct kpair *pair, uint16_t version, uint16_t cipher);
void kpair_close(struct kpair *pair);

/* Does the kernel take new keys after a KeyUpdate? Tried, not looked up. */
bool kpair_can_rekey(void);

/**
 * kpair_send() - one record
 * @fd: a socket with keys
 * @type: its content type; KPAIR_DATA goes without a cmsg
 * @buf: its content
 * @len: bytes
 * @flags: of sendmsg(); MSG_NOSIGNAL is there
 *
 * Return: bytes sent, or -errno.
 */
ssize_t kpair_send(int fd, uint8_t type, const void *buf, size_t len,
		   int flags);

/* Return: bytes received and their type, 0 with type 0 at FIN, or -errno. */
ssize_t kpair_recv(int fd, uint8_t *type, void *buf, size_t len, int flags);

/* Alerts and handshake messages that tests send. 0 or -errno. */
int kpair_alert(int fd, uint8_t level, uint8_t description);
int kpair_close_notify(int fd);
int kpair_key_update(int fd, bool update_requested);
/* A NewSessionTicket of so many bytes in all, its content from number on. */
int kpair_ticket(int fd, size_t len, uint8_t number);

/* Sends and receives all of it, waiting; 0 or -errno (-EPIPE: it ended). */
int kpair_write_all(int fd, const void *buf, size_t len);
int kpair_read_all(int fd, void *buf, size_t len);

#endif /* SELFTESTS_KPAIR_H */
