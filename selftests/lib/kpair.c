// SPDX-License-Identifier: MIT
/*
 * Kernel TLS pairs; see kpair.h. All crypto_infos have the same parts in the
 * same order (head, iv, key, salt, sequence number of 8), so one function
 * fills any of them: the secret bytes count up from a start that tells sender
 * and generation apart.
 */
#include "kpair.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif

#define SEQ_LEN 8

const struct kpair_suite kpair_suites[KPAIR_NR_SUITES] = {
	{ "AES-128-GCM", TLS_CIPHER_AES_GCM_128,
	  sizeof(struct tls12_crypto_info_aes_gcm_128) },
	{ "AES-256-GCM", TLS_CIPHER_AES_GCM_256,
	  sizeof(struct tls12_crypto_info_aes_gcm_256) },
	{ "ChaCha20-Poly1305", TLS_CIPHER_CHACHA20_POLY1305,
	  sizeof(struct tls12_crypto_info_chacha20_poly1305) },
	{ "AES-128-CCM", TLS_CIPHER_AES_CCM_128,
	  sizeof(struct tls12_crypto_info_aes_ccm_128) },
	{ "SM4-GCM", TLS_CIPHER_SM4_GCM,
	  sizeof(struct tls12_crypto_info_sm4_gcm) },
	{ "SM4-CCM", TLS_CIPHER_SM4_CCM,
	  sizeof(struct tls12_crypto_info_sm4_ccm) },
	{ "ARIA-128-GCM", TLS_CIPHER_ARIA_GCM_128,
	  sizeof(struct tls12_crypto_info_aria_gcm_128) },
	{ "ARIA-256-GCM", TLS_CIPHER_ARIA_GCM_256,
	  sizeof(struct tls12_crypto_info_aria_gcm_256) },
};

size_t kpair_info_len(uint16_t cipher)
{
	unsigned int i;

	for (i = 0; i < KPAIR_NR_SUITES; i++)
		if (kpair_suites[i].cipher == cipher)
			return kpair_suites[i].info_len;
	return 0;
}

size_t kpair_info(uint8_t info[KTCM_CRYPTO_INFO_MAX], uint16_t version,
		  uint16_t cipher, enum kpair_who sender,
		  unsigned int generation)
{
	struct tls_crypto_info head = {
		.version = version, .cipher_type = cipher,
	};
	size_t len = kpair_info_len(cipher), i;

	memset(info, 0, KTCM_CRYPTO_INFO_MAX);
	memcpy(info, &head, sizeof(head));
	for (i = sizeof(head); i + SEQ_LEN < len; i++)
		info[i] = (uint8_t)(i + 64 * sender + 7 * generation);
	return len;
}

int kpair_ulp(int fd)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", 3) ? -errno : 0;
}

int kpair_set(int fd, int direction, uint16_t version, uint16_t cipher,
	      enum kpair_who sender, unsigned int generation)
{
	uint8_t info[KTCM_CRYPTO_INFO_MAX];
	size_t len = kpair_info(info, version, cipher, sender, generation);

	if (setsockopt(fd, SOL_TLS, direction, info, (socklen_t)len))
		return -errno;
	return 0;
}

int kpair_arm(int fd, uint16_t version, uint16_t cipher, enum kpair_who who)
{
	enum kpair_who other = who == KPAIR_LOCAL ? KPAIR_REMOTE : KPAIR_LOCAL;
	int err = kpair_ulp(fd);

	if (!err)
		err = kpair_set(fd, TLS_TX, version, cipher, who, 0);
	if (!err)
		err = kpair_set(fd, TLS_RX, version, cipher, other, 0);
	return err;
}

int kpair_open(struct kpair *pair, uint16_t version, uint16_t cipher)
{
	*pair = (struct kpair){
		.version = version, .cipher = cipher, .fd = { -1, -1 },
	};
	return host_tcp_pair(pair->fd) ? -errno : 0;
}

int kpair_new(struct kpair *pair, uint16_t version, uint16_t cipher)
{
	int err = kpair_open(pair, version, cipher);

	if (!err)
		err = kpair_arm(pair->fd[KPAIR_LOCAL], version, cipher,
				KPAIR_LOCAL);
	if (!err)
		err = kpair_arm(pair->fd[KPAIR_REMOTE], version, cipher,
				KPAIR_REMOTE);
	if (err)
		kpair_close(pair);
	return err;
}

void kpair_close(struct kpair *pair)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (pair->fd[i] >= 0)
			close(pair->fd[i]);
		pair->fd[i] = -1;
	}
}

bool kpair_can_rekey(void)
{
	struct kpair pair;
	int err;

	if (kpair_new(&pair, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128))
		return false;
	err = kpair_set(pair.fd[KPAIR_LOCAL], TLS_TX, TLS_1_3_VERSION,
			TLS_CIPHER_AES_GCM_128, KPAIR_LOCAL, 1);
	kpair_close(&pair);
	return !err;
}

/* One cmsg of one byte, aligned as cmsg(3) wants it. */
union type_cmsg {
	struct cmsghdr head;
	uint8_t room[CMSG_SPACE(1)];
};

ssize_t kpair_send(int fd, uint8_t type, const void *buf, size_t len,
		   int flags)
{
	struct iovec iov = { (void *)(uintptr_t)buf, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union type_cmsg control = { .head = {
		.cmsg_len = CMSG_LEN(1),
		.cmsg_level = SOL_TLS,
		.cmsg_type = TLS_SET_RECORD_TYPE,
	} };
	ssize_t ret;

	*CMSG_DATA(&control.head) = type;
	if (type != KPAIR_DATA) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	ret = sendmsg(fd, &msg, flags | MSG_NOSIGNAL);
	return ret < 0 ? -errno : ret;
}

ssize_t kpair_recv(int fd, uint8_t *type, void *buf, size_t len, int flags)
{
	struct iovec iov = { buf, len };
	union type_cmsg control;
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	const struct cmsghdr *cmsg;
	ssize_t ret;

	*type = 0;
	ret = recvmsg(fd, &msg, flags);
	if (ret < 0)
		return -errno;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg && cmsg->cmsg_level == SOL_TLS &&
	    cmsg->cmsg_type == TLS_GET_RECORD_TYPE)
		*type = *CMSG_DATA(cmsg);
	return ret;
}

static int send_whole(int fd, uint8_t type, const void *buf, size_t len)
{
	ssize_t ret = kpair_send(fd, type, buf, len, 0);

	if (ret < 0)
		return (int)ret;
	return (size_t)ret == len ? 0 : -EIO;
}

int kpair_alert(int fd, uint8_t level, uint8_t description)
{
	const uint8_t alert[2] = { level, description };

	return send_whole(fd, KPAIR_ALERT, alert, sizeof(alert));
}

int kpair_close_notify(int fd)
{
	return kpair_alert(fd, 1, 0);
}

int kpair_key_update(int fd, bool update_requested)
{
	const uint8_t msg[5] = { 24, 0, 0, 1, update_requested };

	return send_whole(fd, KPAIR_HANDSHAKE, msg, sizeof(msg));
}

int kpair_ticket(int fd, size_t len, uint8_t number)
{
	uint8_t msg[KTCM_RECORD_MAX];
	size_t body = len - 4, i;

	for (i = 4; i < len; i++)
		msg[i] = (uint8_t)(number + i);
	msg[0] = 4;
	msg[1] = (uint8_t)(body >> 16);
	msg[2] = (uint8_t)(body >> 8);
	msg[3] = (uint8_t)body;
	return send_whole(fd, KPAIR_HANDSHAKE, msg, len);
}

int kpair_write_all(int fd, const void *buf, size_t len)
{
	const uint8_t *p = buf;
	ssize_t ret;

	while (len) {
		ret = send(fd, p, len, MSG_NOSIGNAL);
		if (ret < 0 && errno == EINTR)
			continue;
		if (ret < 0)
			return -errno;
		p += ret;
		len -= (size_t)ret;
	}
	return 0;
}

int kpair_read_all(int fd, void *buf, size_t len)
{
	uint8_t *p = buf;
	ssize_t ret;

	while (len) {
		ret = recv(fd, p, len, 0);
		if (ret < 0 && errno == EINTR)
			continue;
		if (ret <= 0)
			return ret ? -errno : -EPIPE;
		p += ret;
		len -= (size_t)ret;
	}
	return 0;
}
