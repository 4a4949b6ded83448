/* SPDX-License-Identifier: MIT */
/*
 * A config while it is read: what the files of config_*.c share. Nobody else
 * includes this.
 */
#ifndef PROXY_CONFIG_BUILD_H
#define PROXY_CONFIG_BUILD_H

#include "config.h"
#include "opt.h"

/* problems that are told; more are counted */
#define CONFIG_PROBLEMS_MAX 20

struct config_string;

/**
 * struct config_build - a config, and what is known of its making
 * @config: what config_read() hands out; first, so that config_free() finds
 *	the rest
 * @listener: the one that is being told
 * @config_file: --config
 * @version: --version was given
 * @file: name of the file that is being read; NULL: the command line
 * @line: of @file, or 0
 * @lines: where an option of @listener was given, by config_index()
 * @listener_lines: the same of config.listeners
 * @global_lines: the same of the process's options
 * @strings: all that the config's pointers lead to
 * @problems: sentences
 * @nr_problems: how many there were
 * @err: -ENOMEM, and nothing else matters; or 0
 */
struct config_build {
	struct config config;
	struct config_listener listener;
	const char *config_file;
	bool version;
	const char *file;
	unsigned int line;
	unsigned int lines[OPT_COUNT_MAX];
	unsigned int listener_lines[CONFIG_LISTENERS_MAX][OPT_COUNT_MAX];
	unsigned int global_lines[OPT_COUNT_MAX];
	struct config_string *strings;
	const char *problems[CONFIG_PROBLEMS_MAX];
	unsigned int nr_problems;
	int err;
};

/* config_table.c: the settings, as groups of options */
extern const struct opt_group config_all[];
extern const struct opt_group config_of_listener[];
extern const struct opt_group config_of_process[];

/* place of an option in config_all, 0 to OPT_COUNT_MAX - 1 */
unsigned int config_index(const struct opt *opt);

/* config.c: a copy that lives as long as the config; NULL and @err set */
const char *config_string(struct config_build *build, const char *text,
			  size_t len);

/*
 * One more problem: "file:line: " if @line, or @file alone, then the sentence.
 */
__attribute__((format(printf, 3, 4))) void
config_problem(struct config_build *build, unsigned int line, const char *fmt,
	       ...);

/* Puts build->listener behind the others, and a new one in its place. */
void config_listener_end(struct config_build *build);

/* config_file.c: what is wrong becomes a problem */
void config_file_read(struct config_build *build, const char *path);

/* config_check.c: what can be wrong when all has been read */
void config_check(struct config_build *build);

/* config_place.c: what a place is for */
enum config_role { CONFIG_TO_LISTEN, CONFIG_TO_CONNECT };

/* 0, or -1 with a sentence in @why that begins with @text */
int config_place_parse(struct config_build *build, const char *text,
		       enum config_role role, struct config_place *out,
		       char *why, size_t why_len);

/* both name the same address */
bool config_place_same(const struct config_place *a,
		       const struct config_place *b);

#endif /* PROXY_CONFIG_BUILD_H */
