// SPDX-License-Identifier: MIT
/* See hello.h. Any thread. */
#include "hello.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy_header.h"

/* Who the client is: by the header that it came with, or by its socket. */
static int find_ends(const struct config_listener *listener, int fd,
		     const uint8_t *buf, size_t len, struct proxy_header *out,
		     size_t *used)
{
	int n = 0;

	out->local = true;
	if (listener->proxy_in) {
		n = proxy_header_parse(buf, len, out);
		if (n <= 0)
			return -EPROTO;
	}
	*used = (size_t)n;
	if (!out->local || listener->proxy_out == CONFIG_PROXY_NONE)
		return 0;
	out->src_len = sizeof(out->src);
	out->dst_len = sizeof(out->dst);
	if (getpeername(fd, (struct sockaddr *)&out->src, &out->src_len) ||
	    getsockname(fd, (struct sockaddr *)&out->dst, &out->dst_len))
		return -errno;
	return 0;
}

int hello_make(const struct config_listener *listener, int fd,
	       const uint8_t *buf, size_t len, uint8_t **out, size_t *out_len)
{
	struct proxy_header ends = { 0 };
	uint8_t *hello;
	size_t used;
	int n;

	n = find_ends(listener, fd, buf, len, &ends, &used);
	if (n)
		return n;
	if (listener->proxy_out == CONFIG_PROXY_NONE && used == len) {
		*out = NULL;
		*out_len = 0;
		return 0;
	}
	hello = malloc(PROXY_HEADER_OUT_MAX + len - used);
	if (!hello)
		return -ENOMEM;
	n = proxy_header_write((enum config_proxy)listener->proxy_out,
			       (const struct sockaddr *)&ends.src,
			       (const struct sockaddr *)&ends.dst, hello,
			       PROXY_HEADER_OUT_MAX);
	if (n < 0) {
		free(hello);
		return n;
	}
	if (len > used)
		memcpy(hello + n, buf + used, len - used);
	*out = hello;
	*out_len = (size_t)n + len - used;
	return 0;
}
