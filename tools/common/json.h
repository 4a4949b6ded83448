/* SPDX-License-Identifier: MIT */
/*
 * A small JSON writer: one document, written as it is described. The key is
 * NULL for elements of an array and for the outermost value.
 */
#ifndef TOOLS_JSON_H
#define TOOLS_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_DEPTH_MAX 16

/**
 * struct json - a document being written
 * @out: where to; borrowed
 * @one_line: no line feed but that of json_fini()
 * @depth: open objects and arrays
 * @filled: by depth: something was written there already
 */
struct json {
	FILE *out;
	bool one_line;
	unsigned int depth;
	bool filled[JSON_DEPTH_MAX + 1];
};

void json_init(struct json *json, FILE *out);

/* The same for a document on one line, as of a log. */
void json_init_line(struct json *json, FILE *out);

/**
 * json_fini() - end the document
 * @json: the document; every object and array is closed
 *
 * Return: 0, or -EIO when anything could not be written.
 */
int json_fini(struct json *json);

void json_object_begin(struct json *json, const char *key);
void json_object_end(struct json *json);
void json_array_begin(struct json *json, const char *key);
void json_array_end(struct json *json);

/* bytes that are not UTF-8 become U+FFFD; a NULL @value becomes null */
void json_string(struct json *json, const char *key, const char *value);
void json_uint(struct json *json, const char *key, uint64_t value);
void json_int(struct json *json, const char *key, int64_t value);
void json_bool(struct json *json, const char *key, bool value);
/* 10 significant digits; what is not finite becomes null */
void json_double(struct json *json, const char *key, double value);

#endif /* TOOLS_JSON_H */
