// SPDX-License-Identifier: MIT
/*
 * The key that kept sessions are sealed with, out of its file. What was read
 * is wiped, whatever becomes of it. Any thread.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ktlsclient.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HEX_LEN (2 * KTC_EXPORT_KEY_LEN)

static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* 64 digits and perhaps a line's end; @key is written on success only */
static bool parse_hex(const uint8_t *text, size_t len, uint8_t *key)
{
	size_t i;

	while (len > HEX_LEN && isspace(text[len - 1]))
		len--;
	if (len != HEX_LEN)
		return false;
	for (i = 0; i < HEX_LEN; i++)
		if (digit(text[i]) < 0)
			return false;
	for (i = 0; i < KTC_EXPORT_KEY_LEN; i++)
		key[i] = (uint8_t)(digit(text[2 * i]) << 4 |
				   digit(text[2 * i + 1]));
	return true;
}

/* up to @size bytes; -errno */
static ssize_t read_start(const char *path, uint8_t *buf, size_t size)
{
	/* no waiting for who might write into a pipe */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	do {
		n = read(fd, buf + len, size - len);
		if (n > 0)
			len += (size_t)n;
	} while ((n > 0 && len < size) || (n < 0 && errno == EINTR));
	if (n < 0)
		n = -errno;
	(void)close(fd); /* only read */
	return n < 0 ? n : (ssize_t)len;
}

int config_tickets_key(const char *path, uint8_t key[KTC_EXPORT_KEY_LEN],
		       char *why, size_t why_len)
{
	/* "\r\n" and one byte too many */
	uint8_t buf[HEX_LEN + 3] = { 0 };
	ssize_t len = read_start(path, buf, sizeof(buf));
	int err = 0;

	if (len < 0) {
		(void)snprintf(why, why_len, "cannot read %s: %s", path,
			       strerrordesc_np((int)-len));
		err = (int)len;
	} else if (len == KTC_EXPORT_KEY_LEN) {
		memcpy(key, buf, KTC_EXPORT_KEY_LEN);
	} else if (!parse_hex(buf, (size_t)len, key)) {
		(void)snprintf(why, why_len,
			       "%s has neither 32 bytes nor 64 hexadecimal "
			       "digits", path);
		err = -EINVAL;
	}
	explicit_bzero(buf, sizeof(buf));
	return err;
}
