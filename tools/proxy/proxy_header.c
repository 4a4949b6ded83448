// SPDX-License-Identifier: MIT
/*
 * PROXY protocol, versions 1 and 2 (HAProxy's "The PROXY protocol", 2020/03/05;
 * sections are of it). The bytes come from whoever could connect: nothing is
 * read beyond what has come, and what has no place in the format ends it. Any
 * thread.
 */
#include "proxy_header.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

/* section 2.2 */
static const uint8_t v2_signature[12] = {
	0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a
};

#define V2_HEAD_LEN 16

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21 };
enum { V2_UNSPEC = 0x00, V2_TCP4 = 0x11, V2_TCP6 = 0x21, V2_UNIX = 0x31 };

/* both addresses, and for TCP both ports */
#define V2_TCP4_LEN 12
#define V2_TCP6_LEN 36
#define V2_UNIX_LEN 216
#define V2_PATH_LEN 108

static const char v1_start[] = "PROXY ";

static void set_v4(struct sockaddr_storage *to, socklen_t *len,
		   const void *addr, uint16_t port_be)
{
	struct sockaddr_in *in = (struct sockaddr_in *)to;

	memset(to, 0, sizeof(*to));
	in->sin_family = AF_INET;
	in->sin_port = port_be;
	memcpy(&in->sin_addr, addr, sizeof(in->sin_addr));
	*len = sizeof(*in);
}

static void set_v6(struct sockaddr_storage *to, socklen_t *len,
		   const void *addr, uint16_t port_be)
{
	struct sockaddr_in6 *in = (struct sockaddr_in6 *)to;

	memset(to, 0, sizeof(*to));
	in->sin6_family = AF_INET6;
	in->sin6_port = port_be;
	memcpy(&in->sin6_addr, addr, sizeof(in->sin6_addr));
	*len = sizeof(*in);
}

static void set_unix(struct sockaddr_storage *to, socklen_t *len,
		     const uint8_t path[V2_PATH_LEN])
{
	struct sockaddr_un *un = (struct sockaddr_un *)to;

	memset(to, 0, sizeof(*to));
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, sizeof(un->sun_path));
	*len = sizeof(*un);
}

_Static_assert(sizeof(((struct sockaddr_un *)NULL)->sun_path) == V2_PATH_LEN,
	       "a path of section 2.2 is one of Linux");

/* 0 to 65535, as one writes it */
static bool parse_port(const char *text, uint16_t *out_be)
{
	unsigned int port = 0;
	size_t i;

	for (i = 0; text[i]; i++) {
		if (!isdigit((unsigned char)text[i]) || i == 5)
			return false;
		port = port * 10 + (unsigned int)(text[i] - '0');
	}
	if (!i || port > UINT16_MAX || (i > 1 && text[0] == '0'))
		return false;
	*out_be = htons((uint16_t)port);
	return true;
}

/* the word at *@at, ended by exactly one blank or by the end of the text */
static char *next_word(char **at)
{
	char *word = *at, *blank;

	if (!word)
		return NULL;
	blank = strchr(word, ' ');
	if (blank)
		*blank = '\0';
	*at = blank ? blank + 1 : NULL;
	return *word ? word : NULL;
}

/* "192.0.2.1 198.51.100.7 56324 443", or the same with IPv6 addresses */
static int parse_v1_addresses(char *text, int family, struct proxy_header *out)
{
	char *src = next_word(&text), *dst = next_word(&text);
	char *src_port = next_word(&text), *dst_port = next_word(&text);
	uint8_t from[16], to[16];
	uint16_t from_port, to_port;

	if (!src || !dst || !src_port || !dst_port || text)
		return -EPROTO;
	if (inet_pton(family, src, from) != 1 ||
	    inet_pton(family, dst, to) != 1 ||
	    !parse_port(src_port, &from_port) ||
	    !parse_port(dst_port, &to_port))
		return -EPROTO;
	if (family == AF_INET) {
		set_v4(&out->src, &out->src_len, from, from_port);
		set_v4(&out->dst, &out->dst_len, to, to_port);
	} else {
		set_v6(&out->src, &out->src_len, from, from_port);
		set_v6(&out->dst, &out->dst_len, to, to_port);
	}
	return 0;
}

/* a line without its end, behind "PROXY "; section 2.1 */
static int parse_v1_line(char *text, struct proxy_header *out)
{
	static const char unknown[] = "UNKNOWN";
	const size_t len = sizeof(unknown) - 1;

	/* what follows has no meaning */
	if (!strncmp(text, unknown, len) && (!text[len] || text[len] == ' ')) {
		out->local = true;
		return 0;
	}
	if (!strncmp(text, "TCP4 ", 5))
		return parse_v1_addresses(text + 5, AF_INET, out);
	if (!strncmp(text, "TCP6 ", 5))
		return parse_v1_addresses(text + 5, AF_INET6, out);
	return -EPROTO;
}

/* the bytes that came can be the beginning of a protocol's word */
static bool v1_may_begin(const uint8_t *text, size_t len)
{
	static const char *const words[] = { "TCP4 ", "TCP6 ", "UNKNOWN" };
	size_t i, word_len;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		word_len = strlen(words[i]);
		if (!memcmp(text, words[i], len < word_len ? len : word_len))
			return true;
	}
	return false;
}

static int parse_v1(const uint8_t *buf, size_t len, struct proxy_header *out)
{
	const size_t start = sizeof(v1_start) - 1;
	char line[PROXY_HEADER_V1_MAX] = { 0 };
	size_t i;

	if (memcmp(buf, v1_start, len < start ? len : start))
		return -EPROTO;
	if (len > start && !v1_may_begin(buf + start, len - start))
		return -EPROTO;
	for (i = start; i < len; i++) {
		if (i == PROXY_HEADER_V1_MAX)
			return -EPROTO;
		if (buf[i] == '\r')
			break;
		if (buf[i] < ' ' || buf[i] > '~')
			return -EPROTO;
	}
	if (i + 2 > PROXY_HEADER_V1_MAX)
		return -EPROTO;
	if (i + 1 >= len)
		return 0;
	if (buf[i + 1] != '\n')
		return -EPROTO;
	memcpy(line, buf + start, i - start);
	line[i - start] = '\0';
	return parse_v1_line(line, out) ? -EPROTO : (int)(i + 2);
}

/* type, length and value, one behind the other, to the end; section 2.2.3 */
static bool tlvs_are_whole(const uint8_t *buf, size_t len)
{
	size_t value;

	while (len) {
		if (len < 3)
			return false;
		value = (size_t)buf[1] << 8 | buf[2];
		if (value > len - 3)
			return false;
		buf += 3 + value;
		len -= 3 + value;
	}
	return true;
}

static uint16_t port_at(const uint8_t *at)
{
	uint16_t port;

	memcpy(&port, at, sizeof(port));
	return port;
}

static void set_v2(uint8_t family, const uint8_t *body,
		   struct proxy_header *out)
{
	switch (family) {
	case V2_TCP4:
		set_v4(&out->src, &out->src_len, body, port_at(body + 8));
		set_v4(&out->dst, &out->dst_len, body + 4, port_at(body + 10));
		break;
	case V2_TCP6:
		set_v6(&out->src, &out->src_len, body, port_at(body + 32));
		set_v6(&out->dst, &out->dst_len, body + 16, port_at(body + 34));
		break;
	case V2_UNIX:
		set_unix(&out->src, &out->src_len, body);
		set_unix(&out->dst, &out->dst_len, body + V2_PATH_LEN);
		break;
	default:
		out->local = true; /* no stream whose addresses we know */
		break;
	}
}

static size_t v2_addresses_len(uint8_t family)
{
	static const size_t lens[] = { 0, V2_TCP4_LEN, V2_TCP6_LEN,
				       V2_UNIX_LEN };

	return lens[family >> 4];
}

static int parse_v2(const uint8_t *buf, size_t len, struct proxy_header *out)
{
	const size_t signature = sizeof(v2_signature);
	const uint8_t *body = buf + V2_HEAD_LEN;
	size_t body_len, addresses;

	if (memcmp(buf, v2_signature, len < signature ? len : signature))
		return -EPROTO;
	if (len > 12 && buf[12] != V2_LOCAL && buf[12] != V2_PROXY)
		return -EPROTO;
	/* address family 0 to 3, protocol 0 to 2 */
	if (len > 13 && (buf[13] >> 4 > 3 || (buf[13] & 0xf) > 2))
		return -EPROTO;
	if (len < V2_HEAD_LEN)
		return 0;
	body_len = (size_t)buf[14] << 8 | buf[15];
	addresses = v2_addresses_len(buf[13]);
	if (body_len > PROXY_HEADER_V2_BODY_MAX ||
	    (buf[12] == V2_PROXY && body_len < addresses))
		return -EPROTO;
	if (len - V2_HEAD_LEN < body_len)
		return 0;
	/* LOCAL: what follows is skipped, whatever it is */
	if (buf[12] == V2_LOCAL) {
		out->local = true;
		return (int)(V2_HEAD_LEN + body_len);
	}
	if (!tlvs_are_whole(body + addresses, body_len - addresses))
		return -EPROTO;
	set_v2(buf[13], body, out);
	return (int)(V2_HEAD_LEN + body_len);
}

int proxy_header_parse(const uint8_t *buf, size_t len,
		       struct proxy_header *out)
{
	struct proxy_header header;
	int used;

	if (!len)
		return 0;
	memset(&header, 0, sizeof(header));
	if (buf[0] == v2_signature[0])
		used = parse_v2(buf, len, &header);
	else
		used = parse_v1(buf, len, &header);
	if (used > 0)
		*out = header;
	return used;
}

/* an address as it is written: 0, or the family with its bytes */
struct wire {
	int family;
	uint8_t addr[16];
	uint16_t port_be;
};

static struct wire wire_of(const struct sockaddr *sa)
{
	struct wire wire = { 0 };
	struct sockaddr_in6 in6;
	struct sockaddr_in in;

	if (sa && sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		wire.family = AF_INET;
		memcpy(wire.addr, &in.sin_addr, 4);
		wire.port_be = in.sin_port;
	} else if (sa && sa->sa_family == AF_INET6) {
		memcpy(&in6, sa, sizeof(in6));
		wire.family = AF_INET6;
		memcpy(wire.addr, &in6.sin6_addr, 16);
		wire.port_be = in6.sin6_port;
	}
	return wire;
}

static bool wire_is_mapped(const struct wire *wire)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return wire->family == AF_INET6 &&
	       !memcmp(wire->addr, prefix, sizeof(prefix));
}

/* both of one family, or @src of none */
static void wire_agree(struct wire *src, struct wire *dst)
{
	if (wire_is_mapped(src) && wire_is_mapped(dst)) {
		memmove(src->addr, src->addr + 12, 4);
		memmove(dst->addr, dst->addr + 12, 4);
		src->family = AF_INET;
		dst->family = AF_INET;
	}
	if (src->family != dst->family)
		src->family = 0;
}

static int write_v1(const struct wire *src, const struct wire *dst, char *text)
{
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];

	if (!src->family ||
	    !inet_ntop(src->family, src->addr, from, sizeof(from)) ||
	    !inet_ntop(dst->family, dst->addr, to, sizeof(to)))
		return snprintf(text, PROXY_HEADER_OUT_MAX + 1,
				"PROXY UNKNOWN\r\n");
	return snprintf(text, PROXY_HEADER_OUT_MAX + 1,
			"PROXY TCP%c %s %s %u %u\r\n",
			src->family == AF_INET ? '4' : '6', from, to,
			ntohs(src->port_be), ntohs(dst->port_be));
}

static int write_v2(const struct wire *src, const struct wire *dst, bool local,
		    uint8_t *out)
{
	size_t addr = src->family == AF_INET ? 4 : 16;
	size_t body = src->family ? 2 * addr + 4 : 0;

	memcpy(out, v2_signature, sizeof(v2_signature));
	out[12] = local ? V2_LOCAL : V2_PROXY;
	out[13] = V2_UNSPEC;
	out[14] = 0;
	out[15] = (uint8_t)body;
	if (!src->family)
		return V2_HEAD_LEN;
	out[13] = src->family == AF_INET ? V2_TCP4 : V2_TCP6;
	out += V2_HEAD_LEN;
	memcpy(out, src->addr, addr);
	memcpy(out + addr, dst->addr, addr);
	memcpy(out + 2 * addr, &src->port_be, 2);
	memcpy(out + 2 * addr + 2, &dst->port_be, 2);
	return (int)(V2_HEAD_LEN + body);
}

int proxy_header_write(enum config_proxy version, const struct sockaddr *src,
		       const struct sockaddr *dst, uint8_t *buf, size_t size)
{
	struct wire from = wire_of(src), to = wire_of(dst);
	uint8_t header[PROXY_HEADER_OUT_MAX + 1];
	int len = 0;

	wire_agree(&from, &to);
	switch (version) {
	case CONFIG_PROXY_NONE:
		return 0;
	case CONFIG_PROXY_V1:
		len = write_v1(&from, &to, (char *)header);
		break;
	case CONFIG_PROXY_V2:
		len = write_v2(&from, &to, !src, header);
		break;
	}
	if (len > PROXY_HEADER_OUT_MAX || (size_t)len > size)
		return -ENOSPC;
	memcpy(buf, header, (size_t)len);
	return len;
}
