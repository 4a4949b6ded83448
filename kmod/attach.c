// SPDX-License-Identifier: GPL-2.0-only
/*
 * ATTACH: the ULP and both directions' keys in one command. Everything that
 * can be known before is checked before anything is changed. The keys never
 * come into memory of ours: kTLS copies them from the caller's itself, so
 * there is nothing here to wipe.
 */
#include <linux/file.h>
#include <linux/net.h>
#include <linux/tcp.h>
#include <linux/tls.h>
#include <linux/uaccess.h>
#include <net/sock.h>
#include <net/tls.h>

#include "attach.h"
#include "compat.h"
#include "counters.h"
#include "side.h"
#include "trace.h"

/* What of struct ktcm_attach is looked at here: all but the keys. */
struct attach_head {
	__u32 abi;
	__u32 flags;
	__s32 fd;
	__u32 info_len;
	__u32 done;
	__u32 reserved[3];
};

static_assert(sizeof(struct attach_head) == offsetof(struct ktcm_attach, tx));

static unsigned int cipher_info_len(u16 cipher)
{
	switch (cipher) {
	case TLS_CIPHER_AES_GCM_128:
		return sizeof(struct tls12_crypto_info_aes_gcm_128);
	case TLS_CIPHER_AES_GCM_256:
		return sizeof(struct tls12_crypto_info_aes_gcm_256);
	case TLS_CIPHER_AES_CCM_128:
		return sizeof(struct tls12_crypto_info_aes_ccm_128);
	case TLS_CIPHER_CHACHA20_POLY1305:
		return sizeof(struct tls12_crypto_info_chacha20_poly1305);
	case TLS_CIPHER_SM4_GCM:
		return sizeof(struct tls12_crypto_info_sm4_gcm);
	case TLS_CIPHER_SM4_CCM:
		return sizeof(struct tls12_crypto_info_sm4_ccm);
#ifdef TLS_CIPHER_ARIA_GCM_128
	case TLS_CIPHER_ARIA_GCM_128:
		return sizeof(struct tls12_crypto_info_aria_gcm_128);
	case TLS_CIPHER_ARIA_GCM_256:
		return sizeof(struct tls12_crypto_info_aria_gcm_256);
#endif
	default:
		return 0;
	}
}

static bool is_tls12_only(u16 cipher)
{
#ifdef TLS_CIPHER_ARIA_GCM_128
	return cipher == TLS_CIPHER_ARIA_GCM_128 ||
	       cipher == TLS_CIPHER_ARIA_GCM_256;
#else
	return false;
#endif
}

static_assert(sizeof(struct tls12_crypto_info_aes_gcm_256) <=
	      KTCM_CRYPTO_INFO_MAX);

/* One direction's crypto_info: its first four bytes, and what is behind it. */
static int info_check(const __u8 __user *info, unsigned int len,
		      struct tls_crypto_info *head)
{
	int ret;

	if (copy_from_user(head, info, sizeof(*head)))
		return -EFAULT;
	if (head->version != TLS_1_2_VERSION &&
	    head->version != TLS_1_3_VERSION)
		return -EINVAL;
	if (!len || len != cipher_info_len(head->cipher_type))
		return -EINVAL;
	if (is_tls12_only(head->cipher_type) &&
	    head->version != TLS_1_2_VERSION)
		return -EINVAL;
	ret = check_zeroed_user(info + len, KTCM_CRYPTO_INFO_MAX - len);
	if (ret < 0)
		return ret;
	return ret ? 0 : -EINVAL;
}

static int arg_check(const struct attach_head *head,
		     struct ktcm_attach __user *arg,
		     struct tls_crypto_info *tx)
{
	struct tls_crypto_info rx;
	int err;

	if (head->abi != KTCM_ABI)
		return -EPROTO;
	if (head->flags ||
	    memchr_inv(head->reserved, 0, sizeof(head->reserved)))
		return -EINVAL;
	err = info_check(arg->tx, head->info_len, tx);
	if (!err)
		err = info_check(arg->rx, head->info_len, &rx);
	if (!err && (rx.version != tx->version ||
		     rx.cipher_type != tx->cipher_type))
		err = -EINVAL;
	return err;
}

/* *has_ulp: kTLS is there, without keys. */
static int socket_check(struct socket *sock, bool *has_ulp)
{
	struct sock *sk = sock->sk;
	struct tls_context *ctx;
	int err = 0;

	if (!ktcm_is_tcp(sk))
		return -EOPNOTSUPP;
	if (ktcm_is_claimed(sock))
		return -EBUSY;
	lock_sock(sk);
	*has_ulp = ktcm_has_tls(sk);
	if (*has_ulp) {
		ctx = tls_get_ctx(sk);
		if (ctx->tx_conf != TLS_BASE || ctx->rx_conf != TLS_BASE)
			err = -EBUSY;
		else if (sk->sk_state != TCP_ESTABLISHED &&
			 sk->sk_state != TCP_CLOSE_WAIT)
			err = -ENOTCONN;
	} else if (inet_csk(sk)->icsk_ulp_ops) {
		err = -EEXIST;
	} else if (sk->sk_state != TCP_ESTABLISHED) {
		err = -ENOTCONN;
	}
	release_sock(sk);
	return err;
}

static int attach_socket(struct socket *sock, struct ktcm_attach __user *arg,
			 unsigned int len, u32 *done)
{
	bool has_ulp;
	int err;

	err = socket_check(sock, &has_ulp);
	if (!err && !has_ulp)
		err = ktcm_setsockopt(sock, SOL_TCP, TCP_ULP,
				      KERNEL_SOCKPTR((void *)"tls"), 3);
	if (err)
		return err;
	*done = KTCM_ATTACH_ULP;
	err = ktcm_setsockopt(sock, SOL_TLS, TLS_TX, USER_SOCKPTR(arg->tx),
			      len);
	if (err)
		return err;
	*done |= KTCM_ATTACH_TX;
	err = ktcm_setsockopt(sock, SOL_TLS, TLS_RX, USER_SOCKPTR(arg->rx),
			      len);
	if (!err)
		*done |= KTCM_ATTACH_RX;
	return err;
}

int ktcm_attach(struct ktcm_attach __user *arg)
{
	struct tls_crypto_info info = {};
	struct attach_head head;
	struct socket *sock;
	u32 done = 0;
	int err;

	if (copy_from_user(&head, arg, sizeof(head))) {
		err = -EFAULT;
		goto out;
	}
	/* written once before, so that it does not fail when all is done */
	err = put_user(done, &arg->done);
	if (!err)
		err = arg_check(&head, arg, &info);
	if (err)
		goto out;
	sock = sockfd_lookup(head.fd, &err);
	if (!sock)
		goto out;
	err = attach_socket(sock, arg, head.info_len, &done);
	trace_ktlsclient_attach(SOCK_INODE(sock)->i_ino, info.version,
				info.cipher_type, done, err);
	sockfd_put(sock);
	if (put_user(done, &arg->done) && !err)
		err = -EFAULT;
out:
	ktcm_count(err ? KTCM_N_ATTACHES_FAILED : KTCM_N_ATTACHES);
	return err;
}
