// SPDX-License-Identifier: MIT
/*
 * Unit test of the JSON writer: the exact text of small documents.
 */
#include "json.h"
#include "ktap.h"

#include <stdlib.h>

static char *text;
static size_t text_len;
static struct json json;

static void begin(void)
{
	FILE *out = open_memstream(&text, &text_len);

	if (!out)
		abort();
	json_init(&json, out);
}

static void end_is(const char *want)
{
	CHECK(json_fini(&json) == 0);
	(void)fclose(json.out); /* memory; json_fini() has flushed it */
	CHECK_STR(want, text);
	free(text);
	text = NULL;
}

static void empty_object_and_array(void)
{
	begin();
	json_object_begin(&json, NULL);
	json_array_begin(&json, "a");
	json_array_end(&json);
	json_object_begin(&json, "o");
	json_object_end(&json);
	json_object_end(&json);
	end_is("{\n  \"a\": [],\n  \"o\": {}\n}\n");
}

static void a_document_on_one_line(void)
{
	begin();
	json_init_line(&json, json.out);
	json_object_begin(&json, NULL);
	json_string(&json, "a", "b\n");
	json_array_begin(&json, "list");
	json_uint(&json, NULL, 1);
	json_uint(&json, NULL, 2);
	json_array_end(&json);
	json_object_begin(&json, "o");
	json_object_end(&json);
	json_object_end(&json);
	end_is("{\"a\": \"b\\n\", \"list\": [1, 2], \"o\": {}}\n");
}

static void values_of_every_type(void)
{
	begin();
	json_array_begin(&json, NULL);
	json_uint(&json, NULL, UINT64_MAX);
	json_int(&json, NULL, -5);
	json_bool(&json, NULL, true);
	json_bool(&json, NULL, false);
	json_double(&json, NULL, 0.25);
	json_double(&json, NULL, __builtin_nan(""));
	json_double(&json, NULL, __builtin_inf());
	json_string(&json, NULL, NULL);
	json_array_end(&json);
	end_is("[\n  18446744073709551615,\n  -5,\n  true,\n  false,\n"
	       "  0.25,\n  null,\n  null,\n  null\n]\n");
}

static void strings_are_escaped(void)
{
	begin();
	json_string(&json, NULL, "a\"b\\c\nd\te\x01/\x7f");
	end_is("\"a\\\"b\\\\c\\nd\\u0009e\\u0001/\\u007f\"\n");
}

static void keys_are_escaped(void)
{
	begin();
	json_object_begin(&json, NULL);
	json_int(&json, "a\"b", 1);
	json_object_end(&json);
	end_is("{\n  \"a\\\"b\": 1\n}\n");
}

static void utf8_passes_and_the_rest_is_replaced(void)
{
	begin();
	json_array_begin(&json, NULL);
	json_string(&json, NULL, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
	json_string(&json, NULL, "\xff\x61\xc3"); /* stray, cut short */
	json_string(&json, NULL, "\xc0\xaf"); /* overlong */
	json_string(&json, NULL, "\xed\xa0\x80"); /* surrogate */
	json_string(&json, NULL, "\xf4\x90\x80\x80"); /* beyond U+10FFFF */
	json_array_end(&json);
	end_is("[\n  \"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\",\n"
	       "  \"\\ufffda\\ufffd\",\n"
	       "  \"\\ufffd\\ufffd\",\n"
	       "  \"\\ufffd\\ufffd\\ufffd\",\n"
	       "  \"\\ufffd\\ufffd\\ufffd\\ufffd\"\n]\n");
}

static void a_full_disk_is_reported(void)
{
	FILE *out = fopen("/dev/full", "w");

	if (!out) {
		printf("# no /dev/full here\n");
		return;
	}
	json_init(&json, out);
	json_int(&json, NULL, 1);
	CHECK(json_fini(&json) < 0);
	(void)fclose(out); /* its failure is what was tested */
}

static const struct ktap_test tests[] = {
	KTAP_TEST(empty_object_and_array),
	KTAP_TEST(a_document_on_one_line),
	KTAP_TEST(values_of_every_type),
	KTAP_TEST(strings_are_escaped),
	KTAP_TEST(keys_are_escaped),
	KTAP_TEST(utf8_passes_and_the_rest_is_replaced),
	KTAP_TEST(a_full_disk_is_reported),
};

int main(void)
{
	return ktap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
