// SPDX-License-Identifier: MIT
/*
 * PROXY protocol headers that nobody would write, a few hundred thousand of
 * them: whatever comes, the answer keeps its promises. Each is parsed out of
 * memory of just its size, so that a byte too many is a sanitizer's to tell.
 */
#include "proxy_header.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "ktap.h"
#include "noise.h"

#define ROUNDS 300000
#define ROOM (PROXY_HEADER_MAX + 64)
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define SEED(text) { (text), sizeof(text) - 1 }

static const struct noise_seed seeds[] = {
	SEED("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"),
	SEED("PROXY TCP6 2001:db8::1 ::ffff:192.0.2.1 4124 443\r\nGET /"),
	SEED("PROXY UNKNOWN\r\n"),
	SEED("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	SEED(SIGNATURE "\x21\x11\x00\x0c\x7f\x00\x00\x01\xc0\x00\x02\x05"
		       "\xdc\x04\x01\xbb"),
	SEED(SIGNATURE "\x21\x11\x00\x14\x7f\x00\x00\x01\xc0\x00\x02\x05"
		       "\xdc\x04\x01\xbb\x01\x00\x02h2\x04\x00\x00more"),
	SEED(SIGNATURE "\x21\x21\x00\x24"
		       "\0\0\0\0\0\0\0\0\0\0\xff\xff\x01\x02\x03\x04"
		       "\0\0\0\0\0\0\0\0\0\0\xff\xff\x05\x06\x07\x08"
		       "\x00\x50\x01\xbb"),
	SEED(SIGNATURE "\x20\x11\x00\x03\xff\xff\xff"),
	SEED(SIGNATURE "\x21\x00\x00\x04\x04\x00\x01x"),
};

static struct noise noise = {
	.seeds = seeds, .nr_seeds = sizeof(seeds) / sizeof(seeds[0]),
};

static int parse(const void *bytes, size_t len, struct proxy_header *out)
{
	uint8_t *copy = ktap_copy(bytes, len);
	int used = proxy_header_parse(copy, len, out);

	free(copy);
	return used;
}

static bool is_same(const struct proxy_header *a, const struct proxy_header *b)
{
	/* the parser sets every byte */
	return a->local == b->local && a->src_len == b->src_len &&
	       a->dst_len == b->dst_len &&
	       !memcmp(&a->src, &b->src, sizeof(a->src)) &&
	       !memcmp(&a->dst, &b->dst, sizeof(a->dst));
}

static bool is_address(const struct sockaddr_storage *addr, socklen_t len)
{
	switch (addr->ss_family) {
	case AF_INET:
		return len == sizeof(struct sockaddr_in);
	case AF_INET6:
		return len == sizeof(struct sockaddr_in6);
	default:
		return addr->ss_family == AF_UNIX && len > 0;
	}
}

static bool is_mapped(const struct sockaddr_storage *addr)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;

	return addr->ss_family == AF_INET6 &&
	       IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
}

/* Written in a version and read again, it says the same. */
static void comes_back(const struct proxy_header *header,
		       enum config_proxy version)
{
	bool known = header->src.ss_family != AF_UNIX && !header->local;
	const struct sockaddr *src = (const struct sockaddr *)&header->src;
	const struct sockaddr *dst = (const struct sockaddr *)&header->dst;
	uint8_t bytes[PROXY_HEADER_OUT_MAX], again[PROXY_HEADER_OUT_MAX];
	struct proxy_header back;
	int len;

	len = proxy_header_write(version, header->local ? NULL : src,
				 header->local ? NULL : dst, bytes,
				 sizeof(bytes));
	CHECK(len > 0 && len <= (int)sizeof(bytes));
	if (len <= 0)
		return;
	CHECK(parse(bytes, (size_t)len, &back) == len);
	CHECK(back.local == !known);
	if (!known)
		return;
	/* IPv4 in IPv6's clothes, both of them, is written as IPv4 */
	if (is_mapped(&header->src) && is_mapped(&header->dst)) {
		CHECK(back.src.ss_family == AF_INET);
		src = (const struct sockaddr *)&back.src;
		dst = (const struct sockaddr *)&back.dst;
		CHECK(proxy_header_write(version, src, dst, again,
					 sizeof(again)) == len);
		CHECK(!memcmp(bytes, again, (size_t)len));
	} else {
		CHECK(is_same(&back, header));
	}
}

static void is_a_header(const uint8_t *bytes, size_t used,
			const struct proxy_header *header)
{
	struct proxy_header again;
	size_t cut = noise_below(&noise, (uint32_t)used);

	CHECK(used <= PROXY_HEADER_MAX);
	if (header->local) {
		CHECK(!header->src_len && !header->dst_len);
	} else {
		CHECK(header->src.ss_family == header->dst.ss_family);
		CHECK(is_address(&header->src, header->src_len));
		CHECK(is_address(&header->dst, header->dst_len));
	}
	/* what is behind it has no say, and no less of it is enough */
	CHECK(parse(bytes, used, &again) == (int)used);
	CHECK(is_same(&again, header));
	CHECK(parse(bytes, cut, &again) == 0);
	comes_back(header, CONFIG_PROXY_V1);
	comes_back(header, CONFIG_PROXY_V2);
}

/* Nothing that may come yet makes it one. */
static void stays_refused(uint8_t *bytes, size_t len)
{
	struct proxy_header header;
	size_t at = len;

	len = noise_splice(&noise, bytes, len, at, ROOM);
	CHECK(parse(bytes, len, &header) == -EPROTO);
}

static void any_bytes_get_a_right_answer(void)
{
	struct proxy_header header, before;
	unsigned int round, taken = 0, more = 0;
	uint8_t bytes[ROOM];
	size_t len;
	int used;

	noise_tell(&noise);
	memset(&before, 0x5a, sizeof(before));
	for (round = 0; round < ROUNDS && !ktap_failed; round++) {
		memset(&header, 0x5a, sizeof(header));
		len = noise_make(&noise, bytes, sizeof(bytes));
		used = parse(bytes, len, &header);
		CHECK(used == -EPROTO || (used >= 0 && (size_t)used <= len));
		if (used > 0) {
			is_a_header(bytes, (size_t)used, &header);
			taken++;
			continue;
		}
		CHECK(header.src_len == before.src_len);
		CHECK(!memcmp(&header.src, &before.src, sizeof(header.src)));
		if (used)
			stays_refused(bytes, len);
		else
			CHECK(len < PROXY_HEADER_MAX);
		more += !used;
	}
	if (ktap_failed)
		printf("# round %u\n", round - 1);
	printf("# %u taken, %u asked for more, of %u\n", taken, more, round);
	/* else it is a test of nothing */
	CHECK(taken > ROUNDS / 50 && more > ROUNDS / 50);
}

static const struct ktap_test tests[] = {
	KTAP_TEST(any_bytes_get_a_right_answer),
};

int main(int argc, char **argv)
{
	noise.state = noise_seed(argc, argv);
	return ktap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
