// SPDX-License-Identifier: MIT
/*
 * The config file: INI by libinih, "[global]" and one "[listener NAME]" for
 * each listener; keys are the options' names. A listener's key in [global] is
 * the default of the listeners below it. libinih splits lines into keys and
 * values; it gets them one by one from here, where they are counted, cleaned
 * and held against limits, for it would cut what is too long in silence. All
 * problems are told, not the first alone. One thread at a time.
 */
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "config_build.h"

#define FILE_LEN_MAX	 (1024 * 1024)
#define SECTION_NAME_MAX 32

enum section { SECTION_NONE, SECTION_GLOBAL, SECTION_LISTENER, SECTION_BAD };

/**
 * struct file_reader - a file being read
 * @build: what is made of it
 * @stream: the file
 * @base: a listener as [global] has it
 * @section: where we are
 * @global_line: of [global]; 0: not seen yet
 * @pair: the line should be "key = value", and libinih has not said so yet
 * @len: bytes read
 */
struct file_reader {
	struct config_build *build;
	FILE *stream;
	struct config_listener base;
	enum section section;
	unsigned int global_line;
	bool pair;
	size_t len;
};

/* keys that may stand again and go on where the value before ended */
static const struct {
	const char *name;
	const char *joint;
} lists[] = {
	{ "alpn", "," },
	{ "tls12-ciphers", ":" },
	{ "tls13-suites", ":" },
	{ "groups", ":" },
};

static void section_end(struct file_reader *reader)
{
	struct config_build *build = reader->build;

	if (reader->section == SECTION_GLOBAL)
		reader->base = build->listener;
	else if (reader->section == SECTION_LISTENER)
		config_listener_end(build);
	build->listener = reader->base;
	memset(build->lines, 0, sizeof(build->lines));
	reader->section = SECTION_BAD;
}

static void global_begin(struct file_reader *reader)
{
	struct config_build *build = reader->build;

	if (reader->global_line) {
		config_problem(build, build->line,
			       "[global]: stands on line %u already",
			       reader->global_line);
		return;
	}
	if (build->config.nr_listeners) {
		config_problem(build, build->line,
			       "[global]: must stand before the listeners");
		return;
	}
	reader->global_line = build->line;
	reader->section = SECTION_GLOBAL;
}

static bool name_is_good(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("-_.", name[i]))
			return false;
	return len && len <= SECTION_NAME_MAX;
}

static void listener_begin(struct file_reader *reader, const char *name,
			   size_t len)
{
	struct config_build *build = reader->build;
	const struct config *config = &build->config;
	unsigned int i;

	if (!name_is_good(name, len)) {
		config_problem(build, build->line,
			       "[listener NAME]: a name has 1 to %d letters, "
			       "digits, dots, - or _", SECTION_NAME_MAX);
		return;
	}
	for (i = 0; i < config->nr_listeners; i++) {
		if (strncmp(config->listeners[i].name, name, len) ||
		    config->listeners[i].name[len])
			continue;
		config_problem(build, build->line,
			       "[listener %.*s]: stands on line %u already",
			       (int)len, name, config->listeners[i].line);
		return;
	}
	build->listener.name = config_string(build, name, len);
	build->listener.line = build->line;
	reader->section = SECTION_LISTENER;
}

/* "[global]" or "[listener NAME]"; a comment may follow */
static void section_begin(struct file_reader *reader, const char *line)
{
	struct config_build *build = reader->build;
	const char *name = line + 1, *end = strchr(name, ']'), *rest;
	size_t len;

	section_end(reader);
	if (end) {
		rest = end + 1;
		rest += strspn(rest, " \t");
	}
	if (!end || (*rest && *rest != ';' && *rest != '#')) {
		config_problem(build, build->line,
			       "a section is [global] or [listener NAME], "
			       "alone on its line");
		return;
	}
	len = (size_t)(end - name);
	if (len == 6 && !strncmp(name, "global", 6)) {
		global_begin(reader);
	} else if (!strncmp(name, "listener", 8) &&
		   strspn(name + 8, " \t") > 0) {
		name += 8;
		name += strspn(name, " \t");
		listener_begin(reader, name, (size_t)(end - name));
	} else {
		config_problem(build, build->line,
			       "[%.*s]: a section is [global] or "
			       "[listener NAME]",
			       (int)(len < SECTION_NAME_MAX ? len :
							      SECTION_NAME_MAX),
			       name);
	}
}

/* a line that was to be a pair, and of which libinih made nothing */
static void pair_end(struct file_reader *reader)
{
	if (reader->pair)
		config_problem(reader->build, reader->build->line,
			       "neither a [section] nor \"key = value\"");
	reader->pair = false;
}

/* Reads a line into @line, without its end; false at the end of the file. */
static bool next_line(struct file_reader *reader, char *line, size_t size)
{
	struct config_build *build = reader->build;
	bool any = false, bad = false;
	size_t len = 0;
	int c;

	while ((c = getc(reader->stream)) != EOF) {
		any = true;
		if (++reader->len > FILE_LEN_MAX) {
			config_problem(build, 0, "longer than %d bytes",
				       FILE_LEN_MAX);
			return false;
		}
		if (c == '\n')
			break;
		if (c == '\r')
			continue;
		if ((c < ' ' && c != '\t') || c == 0x7f)
			bad = true;
		if (len + 1 < size)
			line[len] = (char)c;
		len++;
	}
	if (!any)
		return false;
	build->line++;
	if (bad || len + 1 >= size) {
		config_problem(build, build->line,
			       bad ? "a character that is no text" :
				     "longer than %zu bytes; what is a list "
				     "may be continued by the same key again",
			       size - 2);
		len = 0;
	}
	line[len] = '\0';
	return true;
}

/*
 * libinih's source of lines. Blanks before a key would make it a continuation
 * of the line above.
 */
static char *give_line(char *out, int size, void *arg)
{
	struct file_reader *reader = arg;
	size_t blanks;

	pair_end(reader);
	if (size < 2 || reader->build->err ||
	    !next_line(reader, out, (size_t)size))
		return NULL;
	blanks = strspn(out, " \t");
	memmove(out, out + blanks, strlen(out + blanks) + 1);
	if (*out == '[')
		section_begin(reader, out);
	else
		reader->pair = *out && *out != ';' && *out != '#';
	return out;
}

static const char *joint_of(const struct opt *opt)
{
	size_t i;

	for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (!strcmp(lists[i].name, opt->name))
			return lists[i].joint;
	return NULL;
}

/* the value, behind the one that the key had before if it is a list's */
static const char *value_of(struct config_build *build, const struct opt *opt,
			    unsigned int before, const char *value)
{
	const char *joint = joint_of(opt);
	char text[4096];
	const char *old;
	int len;

	if (!before || !joint)
		return config_string(build, value, strlen(value));
	memcpy(&old, (char *)build + opt->field, sizeof(old));
	len = snprintf(text, sizeof(text), "%s%s%s", old, joint, value);
	if (len < 0 || (size_t)len >= sizeof(text)) {
		config_problem(build, build->line,
			       "%s: longer than %zu bytes", opt->name,
			       sizeof(text) - 1);
		return NULL;
	}
	return config_string(build, text, (size_t)len);
}

static void set_option(struct config_build *build, const struct opt *opt,
		       unsigned int *line, const char *value)
{
	char why[OPT_WHY_LEN];
	const char *text;

	if (*line && strcmp(opt->name, "to") && !joint_of(opt)) {
		config_problem(build, build->line,
			       "%s: stands on line %u already", opt->name,
			       *line);
		return;
	}
	if (!*value) {
		config_problem(build, build->line, "%s: needs a value, %s",
			       opt->name, opt->arg ? opt->arg : "on or off");
		return;
	}
	text = value_of(build, opt, *line, value);
	if (!text)
		return;
	if (opt_set(opt, build, text, why, sizeof(why)))
		config_problem(build, build->line, "%s: %s", opt->name, why);
	*line = build->line;
}

static void unknown_key(struct file_reader *reader, const char *name)
{
	struct config_build *build = reader->build;
	const struct opt *near;

	if (opt_find(config_all, name)) {
		config_problem(build, build->line,
			       "%s: stands on the command line only", name);
		return;
	}
	near = opt_nearest(config_of_listener, name);
	if (!near)
		near = opt_nearest(config_of_process, name);
	config_problem(build, build->line, "%.60s: no such key%s%s%s", name,
		       near ? "; is it " : "", near ? near->name : "",
		       near ? "?" : "");
}

/* libinih's word for "key = value" */
static int take_pair(void *arg, const char *section, const char *name,
		     const char *value)
{
	struct file_reader *reader = arg;
	struct config_build *build = reader->build;
	const struct opt *opt;

	(void)section; /* cut if it is long: section_begin() has seen it */
	reader->pair = false;
	if (reader->section == SECTION_BAD)
		return 1;
	if (reader->section == SECTION_NONE) {
		config_problem(build, build->line,
			       "%.60s: stands before the first [section]",
			       name);
		return 1;
	}
	opt = opt_find(config_of_process, name);
	if (opt && reader->section == SECTION_LISTENER) {
		config_problem(build, build->line, "%s: belongs to [global]",
			       name);
		return 1;
	}
	if (opt) {
		set_option(build, opt, &build->global_lines[config_index(opt)],
			   value);
		return 1;
	}
	opt = opt_find(config_of_listener, name);
	if (!opt)
		unknown_key(reader, name);
	else if (reader->section == SECTION_GLOBAL &&
		 (!strcmp(name, "listen") || !strcmp(name, "to")))
		config_problem(build, build->line,
			       "%s: belongs to a [listener NAME]", name);
	else
		set_option(build, opt, &build->lines[config_index(opt)], value);
	return 1;
}

void config_file_read(struct config_build *build, const char *path)
{
	struct file_reader reader = { .build = build, .base = build->listener };
	struct stat st;
	int rc;

	reader.stream = fopen(path, "re");
	if (!reader.stream) {
		config_problem(build, 0, "%s", strerrordesc_np(errno));
		return;
	}
	if (fstat(fileno(reader.stream), &st) || S_ISDIR(st.st_mode)) {
		config_problem(build, 0, "is no file");
		goto out;
	}
	rc = ini_parse_stream(give_line, &reader, take_pair, &reader);
	pair_end(&reader);
	section_end(&reader);
	if (ferror(reader.stream))
		config_problem(build, 0, "cannot be read");
	else if (rc < 0)
		build->err = -ENOMEM;
out:
	(void)fclose(reader.stream); /* only read */
}
