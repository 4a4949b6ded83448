// SPDX-License-Identifier: MIT
/* See hello.h. Any thread. */
#include "hello.h"

#include <errno.h>

#include "proxy_header.h"

/* Who the client is: by the header that it came with, or by its socket. */
static int find_ends(const struct config_listener *listener, int fd,
		     const uint8_t *buf, size_t len, struct proxy_header *out)
{
	out->local = true;
	if (listener->proxy_in && proxy_header_parse(buf, len, out) <= 0)
		return -EPROTO;
	if (!out->local)
		return 0;
	out->src_len = sizeof(out->src);
	out->dst_len = sizeof(out->dst);
	if (getpeername(fd, (struct sockaddr *)&out->src, &out->src_len) ||
	    getsockname(fd, (struct sockaddr *)&out->dst, &out->dst_len))
		return -errno;
	return 0;
}

int hello_preamble(const struct config_listener *listener, int fd,
		   const uint8_t *buf, size_t len, uint8_t *out)
{
	struct proxy_header ends = { 0 };
	int err;

	err = find_ends(listener, fd, buf, len, &ends);
	if (err)
		return err;
	return proxy_header_write((enum config_proxy)listener->proxy_out,
				  (const struct sockaddr *)&ends.src,
				  (const struct sockaddr *)&ends.dst, out,
				  PROXY_HEADER_OUT_MAX);
}
