// SPDX-License-Identifier: MIT
/*
 * See wire.h. Both ends are on one machine, so numbers are in its own order.
 * Descriptors come with the first byte of a head. Any thread.
 */
#include "wire.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAGIC 0x6b74632d /* no line of text begins so */

struct head {
	uint32_t magic;
	uint16_t version;
	uint16_t type;
	uint32_t id;
	uint32_t len;
};

union rights {
	char buf[CMSG_SPACE(WIRE_FDS_MAX * sizeof(int))];
	struct cmsghdr align;
};

static size_t len_max(unsigned int type)
{
	return type == WIRE_SESSIONS ? WIRE_SESSIONS_LEN_MAX : WIRE_LEN_MAX;
}

/* ------------------------------------------------------------------ send -- */

static int send_all(int fd, const uint8_t *data, size_t len)
{
	ssize_t n;

	while (len) {
		n = send(fd, data, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EPIPE;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The head goes out whole: it is smaller than any socket's buffer. */
static int send_head(int fd, struct head *head, const int *fds,
		     unsigned int nr_fds)
{
	struct iovec iov = { .iov_base = head, .iov_len = sizeof(*head) };
	union rights rights = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;
	ssize_t n;

	if (nr_fds) {
		msg.msg_control = rights.buf;
		msg.msg_controllen = CMSG_SPACE(nr_fds * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(nr_fds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, nr_fds * sizeof(int));
	}
	do {
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == sizeof(*head) ? 0 : -EPIPE;
}

int wire_send(int fd, enum wire_type type, uint32_t id, const void *data,
	      size_t len, const int *fds, unsigned int nr_fds)
{
	struct head head = {
		.magic = MAGIC,
		.version = WIRE_VERSION,
		.type = type,
		.id = id,
		.len = (uint32_t)len,
	};
	int err;

	if (len > len_max(type) || nr_fds > WIRE_FDS_MAX)
		return -EMSGSIZE;
	err = send_head(fd, &head, fds, nr_fds);
	return err ? err : send_all(fd, data, len);
}

/* --------------------------------------------------------------- receive -- */

static void take_fds(struct msghdr *msg, struct wire_message *out)
{
	struct cmsghdr *cmsg;
	size_t n;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET ||
		    cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		/* no more than there was room for, in one cmsg */
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(out->fds, CMSG_DATA(cmsg), n * sizeof(int));
		out->nr_fds = (unsigned int)n;
	}
}

static int recv_all(int fd, uint8_t *data, size_t len)
{
	ssize_t n;

	while (len) {
		n = recv(fd, data, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EPIPE;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int recv_head(int fd, struct head *head, struct wire_message *out)
{
	struct iovec iov = { .iov_base = head, .iov_len = sizeof(*head) };
	union rights rights = { 0 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = rights.buf,
		.msg_controllen = sizeof(rights.buf),
	};
	ssize_t n;

	do {
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n ? -errno : -EPIPE;
	take_fds(&msg, out);
	if (msg.msg_flags & MSG_CTRUNC)
		return -EPROTO;
	return recv_all(fd, (uint8_t *)head + n, sizeof(*head) - (size_t)n);
}

static bool is_sound(const struct head *head)
{
	return head->magic == MAGIC && head->version == WIRE_VERSION &&
	       head->type > 0 && head->type < WIRE_NR &&
	       head->len <= len_max(head->type);
}

int wire_recv(int fd, struct wire_message *out)
{
	struct wire_message message = { 0 };
	struct head head;
	int err;

	err = recv_head(fd, &head, &message);
	if (!err && !is_sound(&head))
		err = -EPROTO;
	if (!err && head.len) {
		message.data = malloc(head.len);
		if (!message.data)
			err = -ENOMEM;
		else
			message.len = head.len;
	}
	if (!err)
		err = recv_all(fd, message.data, message.len);
	if (err) {
		wire_message_fini(&message);
		return err;
	}
	message.type = head.type;
	message.id = head.id;
	*out = message;
	return 0;
}

void wire_message_fini(struct wire_message *message)
{
	unsigned int i;

	for (i = 0; i < message->nr_fds; i++)
		if (message->fds[i] >= 0)
			(void)close(message->fds[i]); /* the sender has it */
	if (message->data)
		explicit_bzero(message->data, message->len);
	free(message->data);
	message->data = NULL;
	message->nr_fds = 0;
}
