// SPDX-License-Identifier: MIT
/*
 * Unit test of PROXY protocol headers: good ones of both versions, cut at
 * every byte, wrong at every byte, and there and back again.
 */
#include "proxy_header.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/un.h>

#include "ktap.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

struct header {
	const char *bytes;
	size_t len;
};

#define HEADER(text) { (text), sizeof(text) - 1 }

/* address and port, as a person writes them; "local" without addresses */
static const char *show(const struct proxy_header *header, bool dst)
{
	const struct sockaddr_storage *addr = dst ? &header->dst : &header->src;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;
	const struct sockaddr_in *in = (const struct sockaddr_in *)addr;
	const struct sockaddr_un *un = (const struct sockaddr_un *)addr;
	static char text[160];
	char host[INET6_ADDRSTRLEN];

	if (header->local)
		return header->src_len || header->dst_len ? "?" : "local";
	if (addr->ss_family == AF_UNIX)
		(void)snprintf(text, sizeof(text), "unix:%.108s", un->sun_path);
	else if (addr->ss_family == AF_INET)
		(void)snprintf(text, sizeof(text), "%s:%u",
			       inet_ntop(AF_INET, &in->sin_addr, host,
					 sizeof(host)),
			       ntohs(in->sin_port));
	else
		(void)snprintf(text, sizeof(text), "[%s]:%u",
			       inet_ntop(AF_INET6, &in6->sin6_addr, host,
					 sizeof(host)),
			       ntohs(in6->sin6_port));
	return text;
}

static int parse(const void *bytes, size_t len, struct proxy_header *out)
{
	uint8_t *copy = ktap_copy(bytes, len);
	int used = proxy_header_parse(copy, len, out);

	free(copy);
	return used;
}

static const struct {
	struct header header;
	const char *src;
	const char *dst;
} good[] = {
	{ HEADER("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"),
	  "192.168.0.1:56324", "192.168.0.11:443" },
	{ HEADER("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
	  "255.255.255.255:65535", "255.255.255.255:65535" },
	{ HEADER("PROXY TCP4 0.0.0.0 1.2.3.4 0 1\r\n"), "0.0.0.0:0",
	  "1.2.3.4:1" },
	{ HEADER("PROXY TCP6 2001:db8::1 ::1 4124 443\r\n"),
	  "[2001:db8::1]:4124", "[::1]:443" },
	{ HEADER("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	  "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
	  "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535" },
	{ HEADER("PROXY UNKNOWN\r\n"), "local", "local" },
	/* the longest of section 2.1 */
	{ HEADER("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	  "local", "local" },
	{ HEADER(SIGNATURE "\x21\x11\x00\x0c\x7f\x00\x00\x01\xc0\x00\x02\x05"
			   "\xdc\x04\x01\xbb"),
	  "127.0.0.1:56324", "192.0.2.5:443" },
	/* a TLV of two bytes, and one of none */
	{ HEADER(SIGNATURE "\x21\x11\x00\x14\x7f\x00\x00\x01\xc0\x00\x02\x05"
			   "\xdc\x04\x01\xbb\x01\x00\x02h2\x04\x00\x00"),
	  "127.0.0.1:56324", "192.0.2.5:443" },
	{ HEADER(SIGNATURE "\x21\x21\x00\x24"
			   "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
			   "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"
			   "\x00\x50\x01\xbb"),
	  "[2001:db8::1]:80", "[::1]:443" },
	{ HEADER(SIGNATURE "\x20\x00\x00\x00"), "local", "local" },
	/* LOCAL: what follows is skipped unread */
	{ HEADER(SIGNATURE "\x20\x11\x00\x03\xff\xff\xff"), "local", "local" },
	{ HEADER(SIGNATURE "\x21\x00\x00\x00"), "local", "local" },
	{ HEADER(SIGNATURE "\x21\x00\x00\x04\x04\x00\x01x"), "local",
	  "local" },
	/* datagrams: not our connection */
	{ HEADER(SIGNATURE "\x21\x12\x00\x0c\x7f\x00\x00\x01\xc0\x00\x02\x05"
			   "\xdc\x04\x01\xbb"), "local", "local" },
};

static void good_headers_say_who_it_is(void)
{
	struct proxy_header header;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		int used = parse(good[i].header.bytes, good[i].header.len,
				 &header);

		CHECK(used == (int)good[i].header.len);
		CHECK_STR(good[i].src, show(&header, false));
		CHECK_STR(good[i].dst, show(&header, true));
	}
}

static void a_unix_client_has_its_path(void)
{
	static const struct header start =
		HEADER(SIGNATURE "\x21\x31\x00\xd8/run/a");
	uint8_t bytes[16 + 216] = { 0 };
	struct proxy_header header;

	memcpy(bytes, start.bytes, start.len);
	memset(bytes + 16 + 108, 'b', 108); /* without an end */
	CHECK(parse(bytes, sizeof(bytes), &header) == sizeof(bytes));
	CHECK(header.src_len == sizeof(struct sockaddr_un));
	CHECK_STR("unix:/run/a", show(&header, false));
	CHECK(strlen(show(&header, true)) == 5 + 108);
}

static void what_follows_is_not_looked_at(void)
{
	char bytes[256];
	struct proxy_header header;
	size_t i, len;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		len = good[i].header.len;
		memcpy(bytes, good[i].header.bytes, len);
		memset(bytes + len, 0xff, 5);
		CHECK(parse(bytes, len + 5, &header) == (int)len);
		CHECK_STR(good[i].src, show(&header, false));
	}
}

static void a_cut_header_asks_for_more(void)
{
	struct proxy_header header;
	size_t i, cut;

	memset(&header, 0x55, sizeof(header));
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		for (cut = 0; cut < good[i].header.len; cut++)
			CHECK(parse(good[i].header.bytes, cut, &header) == 0);
	}
	CHECK(header.src_len == 0x55555555); /* written with a header only */
}

/*
 * Any change of any byte is refused, still in want of more, or gives another
 * header within the bytes that are there; never more, never the same name.
 */
static void any_wrong_byte_stays_within_bounds(void)
{
	struct proxy_header header;
	char bytes[256];
	size_t i, at, len;
	int value, used;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		len = good[i].header.len;
		for (at = 0; at < len; at++) {
			memcpy(bytes, good[i].header.bytes, len);
			for (value = 0; value < 256; value++) {
				bytes[at] = (char)value;
				used = parse(bytes, len, &header);
				CHECK(used == -EPROTO ||
				      (used >= 0 && used <= (int)len));
				/* the fixed part: no way but the right one */
				if (at < 6 && bytes[at] !=
						      good[i].header.bytes[at])
					CHECK(used == -EPROTO);
			}
		}
	}
}

static void bad_headers_are_refused(void)
{
	static const struct header bad[] = {
		HEADER("GET / HTTP/1.1\r\n"),
		HEADER("PROXY\r\n"),
		HEADER("PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n"),
		HEADER("PROXY tcp4 1.1.1.1 1.1.1.1 1 1\r\n"),
		HEADER("PROXY UNKNOWNX\r\n"),
		HEADER("PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n"),
		HEADER("PROXY TCP4 1.1.1.1 1.1.1.1 1 1\rX"),
		HEADER("PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n"),
		HEADER("PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n"),
		HEADER("PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n"),
		HEADER("PROXY TCP4  1.1.1.1 1.1.1.1 1 1\r\n"),
		HEADER("PROXY TCP4 1.1.1.1  1.1.1.1 1 1\r\n"),
		HEADER("PROXY TCP4 1.1.1.1\t1.1.1.1 1 1\r\n"),
		HEADER("PROXY TCP4 1.1.1.1 1.1.1.1 65536 1\r\n"),
		HEADER("PROXY TCP4 1.1.1.1 1.1.1.1 1 -1\r\n"),
		HEADER("PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n"),
		HEADER("PROXY TCP4 1.1.1.1 1.1.1.1 1 000000001\r\n"),
		HEADER("PROXY TCP4 01.1.1.1 1.1.1.1 1 1\r\n"),
		HEADER("PROXY TCP4 1.1.1 1.1.1.1 1 1\r\n"),
		HEADER("PROXY TCP4 ::1 ::1 1 1\r\n"),
		HEADER("PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n"),
		HEADER("PROXY TCP6 ::g ::1 1 1\r\n"),
		HEADER("PROXY TCP4 1.1.1.1 1.1.1.1 1 1\0\r\n"),
		/* 108 bytes */
		HEADER("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535 "
		       "\r\n"),
		/* version 1, then 3; command 2; families 4; protocol 3 */
		HEADER(SIGNATURE "\x11"),
		HEADER(SIGNATURE "\x31"),
		HEADER(SIGNATURE "\x22"),
		HEADER(SIGNATURE "\x21\x41"),
		HEADER(SIGNATURE "\x21\x13"),
		/* addresses cut */
		HEADER(SIGNATURE "\x21\x11\x00\x0b"),
		HEADER(SIGNATURE "\x21\x21\x00\x23"),
		HEADER(SIGNATURE "\x21\x31\x00\xd7"),
		/* longer than we take */
		HEADER(SIGNATURE "\x20\x00\x08\x01"),
		/* TLVs: half a head; a value beyond the end */
		HEADER(SIGNATURE "\x21\x00\x00\x02\x04\x00"),
		HEADER(SIGNATURE "\x21\x00\x00\x03\x04\x00\x01"),
		HEADER(SIGNATURE "\x21\x00\x00\x05\x04\x00\x00\x04\x00"),
	};
	struct proxy_header header;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		bool refused = parse(bad[i].bytes, bad[i].len, &header) ==
			       -EPROTO;

		if (!refused)
			printf("# case %zu\n", i);
		CHECK(refused);
	}
}

static void the_longest_header_is_taken(void)
{
	uint8_t bytes[PROXY_HEADER_MAX];
	struct proxy_header header;

	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, SIGNATURE "\x21\x00\x08\x00\x04\x07\xfd", 19);
	CHECK(parse(bytes, sizeof(bytes), &header) == sizeof(bytes));
	CHECK(header.local);
	CHECK(parse(bytes, sizeof(bytes) - 1, &header) == 0);
}

static struct sockaddr_storage address(const char *host, uint16_t port)
{
	struct sockaddr_storage to = { 0 };
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&to;
	struct sockaddr_in *in = (struct sockaddr_in *)&to;

	if (strchr(host, ':')) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		CHECK(inet_pton(AF_INET6, host, &in6->sin6_addr) == 1);
	} else if (*host == '/') {
		to.ss_family = AF_UNIX;
	} else {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		CHECK(inet_pton(AF_INET, host, &in->sin_addr) == 1);
	}
	return to;
}

static void what_is_written_is_read(void)
{
	static const struct {
		const char *src;
		const char *dst;
		const char *text; /* version 1 */
		const char *shown;
	} cases[] = {
		{ "192.0.2.1", "198.51.100.2",
		  "PROXY TCP4 192.0.2.1 198.51.100.2 1234 65535\r\n",
		  "192.0.2.1:1234" },
		{ "2001:db8::1", "::1", "PROXY TCP6 2001:db8::1 ::1 1234 "
		  "65535\r\n", "[2001:db8::1]:1234" },
		{ "::ffff:192.0.2.1", "::ffff:192.0.2.2",
		  "PROXY TCP4 192.0.2.1 192.0.2.2 1234 65535\r\n",
		  "192.0.2.1:1234" },
		{ "::ffff:192.0.2.1", "::1",
		  "PROXY TCP6 ::ffff:192.0.2.1 ::1 1234 65535\r\n",
		  "[::ffff:192.0.2.1]:1234" },
		{ "192.0.2.1", "::1", "PROXY UNKNOWN\r\n", "local" },
		{ "/", "/", "PROXY UNKNOWN\r\n", "local" },
		{ "/", "192.0.2.1", "PROXY UNKNOWN\r\n", "local" },
	};
	uint8_t bytes[PROXY_HEADER_OUT_MAX + 1];
	struct proxy_header header;
	size_t i;
	int len;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sockaddr_storage src = address(cases[i].src, 1234);
		struct sockaddr_storage dst = address(cases[i].dst, 65535);
		const struct sockaddr *from = (struct sockaddr *)&src;
		const struct sockaddr *to = (struct sockaddr *)&dst;

		len = proxy_header_write(CONFIG_PROXY_V1, from, to, bytes,
					 PROXY_HEADER_OUT_MAX);
		CHECK(len > 0);
		bytes[len > 0 ? len : 0] = '\0';
		CHECK_STR(cases[i].text, (char *)bytes);
		CHECK(parse(bytes, (size_t)len, &header) == len);
		CHECK_STR(cases[i].shown, show(&header, false));

		len = proxy_header_write(CONFIG_PROXY_V2, from, to, bytes,
					 PROXY_HEADER_OUT_MAX);
		CHECK(len > 0 && bytes[12] == 0x21);
		CHECK(parse(bytes, (size_t)len, &header) == len);
		CHECK_STR(cases[i].shown, show(&header, false));
	}
}

static void our_own_connection_is_local(void)
{
	uint8_t bytes[PROXY_HEADER_OUT_MAX];

	CHECK(proxy_header_write(CONFIG_PROXY_V2, NULL, NULL, bytes,
				 sizeof(bytes)) == 16);
	CHECK(!memcmp(bytes, SIGNATURE "\x20\x00\x00\x00", 16));
	CHECK(proxy_header_write(CONFIG_PROXY_V1, NULL, NULL, bytes,
				 sizeof(bytes)) == 15);
	CHECK(!memcmp(bytes, "PROXY UNKNOWN\r\n", 15));
	CHECK(proxy_header_write(CONFIG_PROXY_NONE, NULL, NULL, bytes, 0) == 0);
}

static void a_small_buffer_is_not_overrun(void)
{
	struct sockaddr_storage src = address("2001:db8:1:2:3:4:5:6", 65535);
	const struct sockaddr *sa = (struct sockaddr *)&src;
	uint8_t bytes[PROXY_HEADER_OUT_MAX];
	int version, need, size;

	for (version = CONFIG_PROXY_V1; version <= CONFIG_PROXY_V2; version++) {
		need = proxy_header_write((enum config_proxy)version, sa, sa,
					  bytes, sizeof(bytes));
		CHECK(need > 0);
		memset(bytes, 0x55, sizeof(bytes));
		for (size = 0; size < need; size++)
			CHECK(proxy_header_write((enum config_proxy)version,
						 sa, sa, bytes,
						 (size_t)size) == -ENOSPC);
		CHECK(bytes[0] == 0x55);
	}
}

static const struct ktap_test tests[] = {
	KTAP_TEST(good_headers_say_who_it_is),
	KTAP_TEST(a_unix_client_has_its_path),
	KTAP_TEST(what_follows_is_not_looked_at),
	KTAP_TEST(a_cut_header_asks_for_more),
	KTAP_TEST(any_wrong_byte_stays_within_bounds),
	KTAP_TEST(bad_headers_are_refused),
	KTAP_TEST(the_longest_header_is_taken),
	KTAP_TEST(what_is_written_is_read),
	KTAP_TEST(our_own_connection_is_local),
	KTAP_TEST(a_small_buffer_is_not_overrun),
};

int main(void)
{
	return ktap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
