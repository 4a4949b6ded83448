/* SPDX-License-Identifier: MIT */
/*
 * Command and option tables of the tools: a table says what exists, and
 * parsing, defaults, error sentences and the --help text all follow from it.
 */
#ifndef TOOLS_OPT_H
#define TOOLS_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* enough for any error sentence of opt_parse() */
#define OPT_WHY_LEN 256

/* most options of one command, all groups together */
#define OPT_COUNT_MAX 64

/* opt_parse() saw --help */
#define OPT_HELP (-2)

/**
 * enum opt_type - what an option's value is, and the type of its field
 * @OPT_FLAG: bool; the option takes no value
 * @OPT_STRING: const char *, borrowed from argv
 * @OPT_UINT: uint64_t
 * @OPT_BYTES: uint64_t; a suffix k, M or G stands for powers of 1024
 * @OPT_MS: uint64_t, milliseconds; suffix ms, s or m, seconds without one
 * @OPT_CHOICE: int; the value of one of struct opt.choices
 * @OPT_BOOL: bool; on or off (yes, no, true, false)
 * @OPT_CALL: whatever struct opt.call makes of the value
 */
enum opt_type {
	OPT_FLAG,
	OPT_STRING,
	OPT_UINT,
	OPT_BYTES,
	OPT_MS,
	OPT_CHOICE,
	OPT_BOOL,
	OPT_CALL,
};

struct opt_choice {
	const char *name; /* NULL ends the list */
	int value;
};

/**
 * struct opt - one option
 * @name: long name; NULL ends a table
 * @letter: short name, or 0
 * @type: of the value and of the field
 * @field: offset of the field in the struct given to opt_parse()
 * @arg: what the help text calls the value
 * @def: default, written as a user would; NULL: the field stays as it is
 * @help: one line
 * @exact: OPT_FLAG: no abbreviation will do on the command line
 * @min: least number allowed
 * @max: largest; 0: no limit
 * @choices: OPT_CHOICE: the list
 * @call: OPT_CALL: takes a value, each time the option is given; 0, or -1
 *	with a sentence in @why that begins with the value
 */
struct opt {
	const char *name;
	char letter;
	enum opt_type type;
	size_t field;
	const char *arg;
	const char *def;
	const char *help;
	bool exact;
	uint64_t min;
	uint64_t max;
	const struct opt_choice *choices;
	int (*call)(const struct opt *opt, void *base, const char *text,
		    char *why, size_t why_len);
};

struct opt_group {
	const char *title; /* NULL ends the list */
	const struct opt *opts;
};

/**
 * struct opt_command - one command of a tool
 * @name: what the user types; NULL ends the list; "" where the tool has no
 *	commands
 * @operands: for the usage line, e.g. "HOST:PORT"
 * @help: one line
 * @groups: its options
 * @run: called with argv[0] the command's name; returns the exit status
 */
struct opt_command {
	const char *name;
	const char *operands;
	const char *help;
	const struct opt_group *groups;
	int (*run)(const struct opt_command *cmd, int argc, char **argv);
};

/**
 * struct opt_tool - a program
 * @name: the program's name
 * @help: one line
 * @version: printed by --version
 * @commands: its commands
 */
struct opt_tool {
	const char *name;
	const char *help;
	const char *version;
	const struct opt_command *commands;
};

/**
 * opt_parse() - set defaults, then what the command line says
 * @groups: the options
 * @base: the struct that the fields are in
 * @argc: as given to main(); argv[0] is skipped
 * @argv: permuted: operands go to the end
 * @why: receives a sentence on failure
 * @why_len: bytes at @why; OPT_WHY_LEN is enough
 *
 * Context: one thread at a time (getopt_long).
 * Return: index of the first operand; OPT_HELP; or -1 with @why written.
 */
int opt_parse(const struct opt_group *groups, void *base, int argc, char **argv,
	      char *why, size_t why_len);

/* opt_parse() in two steps, for who has a file to read between them */
int opt_defaults(const struct opt_group *groups, void *base, char *why,
		 size_t why_len);
int opt_scan(const struct opt_group *groups, void *base, int argc, char **argv,
	     char *why, size_t why_len);

/**
 * opt_set() - give one option a value from elsewhere, as from a file
 * @opt: the option; of an OPT_FLAG, @text is on or off
 * @base: the struct that its field is in
 * @text: the value; borrowed by an OPT_STRING's field
 * @why: receives a sentence on failure, without the option's name
 * @why_len: bytes at @why
 *
 * Return: 0, or -1 with @why written.
 */
int opt_set(const struct opt *opt, void *base, const char *text, char *why,
	    size_t why_len);

/* The option of this very name; NULL if there is none. */
const struct opt *opt_find(const struct opt_group *groups, const char *name);

/* The option that a mistyped name may have meant; NULL if none is near. */
const struct opt *opt_nearest(const struct opt_group *groups, const char *name);

/**
 * opt_help_command() - print a command's help, made from its tables
 * @out: where to
 * @tool: name of the program
 * @cmd: the command
 */
void opt_help_command(FILE *out, const char *tool,
		      const struct opt_command *cmd);

/**
 * opt_dispatch() - find the command and run it
 * @tool: the program
 * @argc: main()'s
 * @argv: main()'s
 *
 * Answers --help and --version itself.
 *
 * Return: the exit status; 2 for a wrong command line.
 */
int opt_dispatch(const struct opt_tool *tool, int argc, char **argv);

#endif /* TOOLS_OPT_H */
