// SPDX-License-Identifier: MIT
/*
 * Unit test of HTTP response framing: every case is fed whole and in every
 * split into two, and must come out the same.
 */
#include "http.h"

#include <stdlib.h>

#include "../common/ktap.h"

/* feeds @text cut at @cut; returns bytes used */
static size_t feed(struct http_response *r, const char *text, size_t cut)
{
	const uint8_t *data = (const uint8_t *)text;
	size_t len = strlen(text), used;

	memset(r, 0, sizeof(*r));
	used = http_feed(r, data, cut);
	if (used < cut)
		return used;
	return cut + http_feed(r, data + cut, len - cut);
}

static void check(const char *text, enum http_state state, unsigned int status,
		  uint64_t body, size_t used)
{
	struct http_response r;
	size_t cut, got;

	for (cut = 0; cut <= strlen(text); cut++) {
		got = feed(&r, text, cut);
		CHECK(r.state == state);
		CHECK(r.status == status);
		CHECK(r.body == body);
		CHECK(got == used);
	}
}

static void body_ends_at_content_length(void)
{
	check("HTTP/1.1 200 OK\r\nServer: x\r\ncontent-LENGTH:  5\r\n\r\nhello",
	      HTTP_DONE, 200, 5, 55);
}

static void the_next_response_is_left_alone(void)
{
	check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 2",
	      HTTP_DONE, 200, 2, 40);
}

static void no_content_has_no_body(void)
{
	check("HTTP/1.1 204 No Content\r\nServer: x\r\n\r\nHTTP/1.1 200",
	      HTTP_DONE, 204, 0, 38);
}

static void interim_responses_are_skipped(void)
{
	check("HTTP/1.1 100 Continue\r\n\r\n"
	      "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
	      HTTP_DONE, 201, 0, 68);
}

static void without_length_the_end_of_file_ends_it(void)
{
	struct http_response r;

	check("HTTP/1.0 200 OK\n\nabc", HTTP_BODY, 200, 3, 20);
	feed(&r, "HTTP/1.0 200 OK\n\nabc", 3);
	CHECK(r.until_eof);
	CHECK(http_eof(&r));
	CHECK(r.state == HTTP_DONE);
}

static void an_early_end_is_incomplete(void)
{
	struct http_response r;

	feed(&r, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", 0);
	CHECK(!http_eof(&r));
	feed(&r, "HTTP/1.1 200 OK\r\nContent-Le", 0);
	CHECK(!http_eof(&r));
	memset(&r, 0, sizeof(r));
	CHECK(!http_eof(&r));
}

static void what_is_not_http_is_refused(void)
{
	static const char *const bad[] = {
		"\r\n",
		"SSH-2.0-OpenSSH_9.2\r\n",
		"HTTP/1.1 2x0 OK\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n",
	};
	struct http_response r;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		feed(&r, bad[i], 0);
		CHECK(r.state == HTTP_BAD);
		CHECK(r.why);
	}
}

static void long_lines_are_cut_and_endless_headers_refused(void)
{
	static const char start[] = "HTTP/1.1 200 OK\r\nX: ";
	static const char end[] = "\r\nContent-Length: 1\r\n\r\n1";
	struct http_response r = { .state = HTTP_STATUS };
	uint8_t fill[1000];
	int i;

	memset(fill, 'x', sizeof(fill));
	http_feed(&r, (const uint8_t *)start, sizeof(start) - 1);
	for (i = 0; i < 60; i++)
		http_feed(&r, fill, sizeof(fill));
	http_feed(&r, (const uint8_t *)end, sizeof(end) - 1);
	CHECK(r.state == HTTP_DONE);

	memset(&r, 0, sizeof(r));
	http_feed(&r, (const uint8_t *)start, sizeof(start) - 1);
	for (i = 0; i < 66; i++)
		http_feed(&r, fill, sizeof(fill));
	CHECK(r.state == HTTP_BAD);
}

static void request_has_host_and_ends_in_an_empty_line(void)
{
	size_t len = 0;
	char *text = http_request("GET", "/x", "::1", "A: b\r\n", &len);

	if (!text)
		abort();
	CHECK(len == strlen(text));
	CHECK_STR("GET /x HTTP/1.1\r\nHost: [::1]\r\n"
		  "User-Agent: ktc-bench\r\nA: b\r\n\r\n",
		  text);
	free(text);
}

static const struct ktap_test tests[] = {
	KTAP_TEST(body_ends_at_content_length),
	KTAP_TEST(the_next_response_is_left_alone),
	KTAP_TEST(no_content_has_no_body),
	KTAP_TEST(interim_responses_are_skipped),
	KTAP_TEST(without_length_the_end_of_file_ends_it),
	KTAP_TEST(an_early_end_is_incomplete),
	KTAP_TEST(what_is_not_http_is_refused),
	KTAP_TEST(long_lines_are_cut_and_endless_headers_refused),
	KTAP_TEST(request_has_host_and_ends_in_an_empty_line),
};

int main(void)
{
	return ktap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
