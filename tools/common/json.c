// SPDX-License-Identifier: MIT
/*
 * JSON writer (RFC 8259). Invariant: what has been written is at every moment
 * the beginning of a valid document; nesting is asserted. The locale is the
 * C locale's (the tools never set another), so doubles have a point. One
 * thread per document.
 */
#include "json.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

void json_init(struct json *json, FILE *out)
{
	memset(json, 0, sizeof(*json));
	json->out = out;
}

void json_init_line(struct json *json, FILE *out)
{
	json_init(json, out);
	json->one_line = true;
}

int json_fini(struct json *json)
{
	assert(json->depth == 0);
	fputc('\n', json->out);
	if (fflush(json->out) || ferror(json->out))
		return -EIO;
	return 0;
}

/*
 * Length of the well-formed UTF-8 sequence at @s (RFC 3629), 0 if there is
 * none. Reading stops at the NUL, for that is no continuation byte.
 */
static unsigned int utf8_len(const unsigned char *s)
{
	unsigned char low = 0x80, high = 0xbf;
	unsigned int len, i;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		len = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		len = 4;
	else
		return 0;
	/* overlong forms, surrogates and what is beyond U+10FFFF */
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	for (i = 1; i < len; i++) {
		if (s[i] < low || s[i] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return len;
}

static void put_string(FILE *out, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	unsigned int len;

	fputc('"', out);
	while (*s) {
		len = utf8_len(s);
		if (*s == '"' || *s == '\\')
			fprintf(out, "\\%c", *s);
		else if (*s == '\n')
			fputs("\\n", out);
		else if (*s < 0x20 || *s == 0x7f)
			fprintf(out, "\\u%04x", *s);
		else if (len)
			fprintf(out, "%.*s", (int)len, (const char *)s);
		else
			fputs("\\ufffd", out);
		s += len ? len : 1;
	}
	fputc('"', out);
}

/* the line of what comes next, or only a blank */
static void begin_line(struct json *json, const char *blank)
{
	if (json->one_line)
		fputs(blank, json->out);
	else
		fprintf(json->out, "\n%*s", (int)json->depth * 2, "");
}

/* the comma, the new line and the key before a value */
static void begin_value(struct json *json, const char *key)
{
	bool first = !json->filled[json->depth];

	if (!first) {
		assert(json->depth);
		fputc(',', json->out);
	}
	json->filled[json->depth] = true;
	if (json->depth)
		begin_line(json, first ? "" : " ");
	if (key) {
		put_string(json->out, key);
		fputs(": ", json->out);
	}
}

static void begin_nest(struct json *json, const char *key, char c)
{
	begin_value(json, key);
	fputc(c, json->out);
	assert(json->depth < JSON_DEPTH_MAX);
	json->filled[++json->depth] = false;
}

static void end_nest(struct json *json, char c)
{
	assert(json->depth);
	if (json->filled[json->depth--])
		begin_line(json, "");
	fputc(c, json->out);
}

void json_object_begin(struct json *json, const char *key)
{
	begin_nest(json, key, '{');
}

void json_object_end(struct json *json)
{
	end_nest(json, '}');
}

void json_array_begin(struct json *json, const char *key)
{
	begin_nest(json, key, '[');
}

void json_array_end(struct json *json)
{
	end_nest(json, ']');
}

void json_string(struct json *json, const char *key, const char *value)
{
	begin_value(json, key);
	if (value)
		put_string(json->out, value);
	else
		fputs("null", json->out);
}

void json_uint(struct json *json, const char *key, uint64_t value)
{
	begin_value(json, key);
	fprintf(json->out, "%" PRIu64, value);
}

void json_int(struct json *json, const char *key, int64_t value)
{
	begin_value(json, key);
	fprintf(json->out, "%" PRId64, value);
}

void json_bool(struct json *json, const char *key, bool value)
{
	begin_value(json, key);
	fputs(value ? "true" : "false", json->out);
}

void json_double(struct json *json, const char *key, double value)
{
	begin_value(json, key);
	if (__builtin_isfinite(value))
		fprintf(json->out, "%.10g", value);
	else
		fputs("null", json->out);
}
