// SPDX-License-Identifier: MIT
/*
 * Options from tables. getopt_long() does the scanning, so abbreviations,
 * "--name=value", permuted operands and "--" behave as everywhere; this file
 * turns the tables into its arguments and its results into typed fields.
 * Every error sentence names the option and the value. Nothing is printed
 * but by opt_dispatch() and the help functions. One thread at a time.
 */
#include "opt.h"

#include <ctype.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

/* getopt values of long options: index + this, clear of all letters */
#define VAL_BASE (UCHAR_MAX + 1)

/* longest name that is compared with others */
#define NAME_LEN_MAX 31

#define HELP_COLUMN 30
#define HELP_WIDTH  79

struct unit {
	const char *suffix;
	uint64_t factor;
};

static const struct unit no_units[] = {
	{ "", 1 },
	{ NULL, 0 },
};

static const struct unit byte_units[] = {
	{ "", 1 },
	{ "k", UINT64_C(1) << 10 },
	{ "M", UINT64_C(1) << 20 },
	{ "G", UINT64_C(1) << 30 },
	{ NULL, 0 },
};

static const struct unit time_units[] = {
	{ "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { NULL, 0 },
};

static __attribute__((format(printf, 3, 4))) int fail(char *why, size_t len,
						      const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, len, fmt, ap); /* a cut sentence is still one */
	va_end(ap);
	return -1;
}

static const struct unit *units_of(enum opt_type type)
{
	switch (type) {
	case OPT_BYTES:
		return byte_units;
	case OPT_MS:
		return time_units;
	default:
		return no_units;
	}
}

/* "12", "1.5k", "250ms": false when it is no number or does not fit */
static bool parse_scaled(const char *text, const struct unit *unit,
			 uint64_t *out)
{
	uint64_t whole = 0, part = 0, part_scale = 1, value;
	const char *p = text;

	if (!isdigit((unsigned char)*p))
		return false;
	for (; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(whole, 10, &whole) ||
		    __builtin_add_overflow(whole, *p - '0', &whole))
			return false;
	if (*p == '.') {
		p++;
		if (!isdigit((unsigned char)*p))
			return false;
		/* six digits say all that a unit can resolve */
		for (; isdigit((unsigned char)*p); p++) {
			if (part_scale >= 1000000)
				continue;
			part = part * 10 + (uint64_t)(*p - '0');
			part_scale *= 10;
		}
	}
	for (; unit->suffix; unit++)
		if (!strcmp(p, unit->suffix))
			break;
	if (!unit->suffix || (unit->factor == 1 && part))
		return false;
	part = part * unit->factor / part_scale;
	if (__builtin_mul_overflow(whole, unit->factor, &value) ||
	    __builtin_add_overflow(value, part, &value))
		return false;
	*out = value;
	return true;
}

static int set_number(const struct opt *opt, void *field, const char *text,
		      char *why, size_t why_len)
{
	static const char *const kind[] = {
		[OPT_UINT] = "a number",
		[OPT_BYTES] = "a number of bytes (suffixes k, M, G)",
		[OPT_MS] = "a time (suffixes ms, s, m)",
	};
	uint64_t value;

	if (!parse_scaled(text, units_of(opt->type), &value))
		return fail(why, why_len, "\"%s\" is not %s", text,
			    kind[opt->type]);
	if (value < opt->min)
		return fail(why, why_len, "\"%s\" is below %llu%s", text,
			    (unsigned long long)opt->min,
			    opt->type == OPT_MS ? " ms" : "");
	if (opt->max && value > opt->max)
		return fail(why, why_len, "\"%s\" is above %llu%s", text,
			    (unsigned long long)opt->max,
			    opt->type == OPT_MS ? " ms" : "");
	memcpy(field, &value, sizeof(value));
	return 0;
}

static int set_choice(const struct opt *opt, void *field, const char *text,
		      char *why, size_t why_len)
{
	const struct opt_choice *c;
	int used;

	for (c = opt->choices; c->name; c++) {
		if (!strcmp(c->name, text)) {
			memcpy(field, &c->value, sizeof(c->value));
			return 0;
		}
	}
	used = snprintf(why, why_len, "\"%s\" is none of", text);
	for (c = opt->choices; c->name && used > 0 && (size_t)used < why_len;
	     c++)
		used += snprintf(why + used, why_len - (size_t)used, "%s %s",
				 c == opt->choices ? "" : ",", c->name);
	return -1;
}

static int set_bool(void *field, const char *text, char *why, size_t why_len)
{
	static const struct opt_choice words[] = {
		{ "on", true },	  { "off", false },   { "yes", true },
		{ "no", false },  { "true", true },   { "false", false },
		{ NULL, false },
	};
	const struct opt_choice *c;
	bool on;

	for (c = words; c->name; c++) {
		if (strcmp(c->name, text))
			continue;
		on = c->value;
		memcpy(field, &on, sizeof(on));
		return 0;
	}
	return fail(why, why_len, "\"%s\" is neither on nor off", text);
}

int opt_set(const struct opt *opt, void *base, const char *text, char *why,
	    size_t why_len)
{
	void *field = (char *)base + opt->field;

	switch (opt->type) {
	case OPT_FLAG:
	case OPT_BOOL:
		return set_bool(field, text, why, why_len);
	case OPT_STRING:
		memcpy(field, &text, sizeof(text));
		return 0;
	case OPT_UINT:
	case OPT_BYTES:
	case OPT_MS:
		return set_number(opt, field, text, why, why_len);
	case OPT_CHOICE:
		return set_choice(opt, field, text, why, why_len);
	case OPT_CALL:
		return opt->call(opt, base, text, why, why_len);
	}
	return fail(why, why_len, "has no type");
}

/* the same, with the option's name before the sentence */
static int set_named(const struct opt *opt, void *base, const char *text,
		     char *why, size_t why_len)
{
	char what[OPT_WHY_LEN];

	if (!opt_set(opt, base, text, what, sizeof(what)))
		return 0;
	return fail(why, why_len, "--%s: %s", opt->name, what);
}

/* Levenshtein's distance of two short names; longer ones are far apart */
static unsigned int name_distance(const char *a, const char *b)
{
	unsigned int row[NAME_LEN_MAX + 1], diagonal, above, best;
	size_t len = strlen(b), i, j;

	if (len > NAME_LEN_MAX || strlen(a) > NAME_LEN_MAX)
		return UINT_MAX;
	for (j = 0; j <= len; j++)
		row[j] = (unsigned int)j;
	for (i = 0; a[i]; i++) {
		diagonal = row[0]++;
		for (j = 0; j < len; j++) {
			above = row[j + 1];
			best = diagonal + (a[i] != b[j]);
			if (above + 1 < best)
				best = above + 1;
			if (row[j] + 1 < best)
				best = row[j] + 1;
			row[j + 1] = best;
			diagonal = above;
		}
	}
	return row[len];
}

const struct opt *opt_find(const struct opt_group *groups, const char *name)
{
	const struct opt *opt;

	for (; groups->title; groups++)
		for (opt = groups->opts; opt->name; opt++)
			if (!strcmp(opt->name, name))
				return opt;
	return NULL;
}

const struct opt *opt_nearest(const struct opt_group *groups, const char *name)
{
	/* a third of the letters wrong is still a slip of the fingers */
	unsigned int least = (unsigned int)(strlen(name) / 3) + 1, distance;
	const struct opt *opt, *nearest = NULL;

	for (; groups->title; groups++) {
		for (opt = groups->opts; opt->name; opt++) {
			distance = name_distance(name, opt->name);
			if (distance >= least)
				continue;
			least = distance;
			nearest = opt;
		}
	}
	return nearest;
}

struct scan {
	const struct opt *opts[OPT_COUNT_MAX];
	int count;
	struct option longs[OPT_COUNT_MAX + 2]; /* --help and the end */
	char shorts[2 * OPT_COUNT_MAX + 3];
};

static int scan_init(struct scan *scan, const struct opt_group *groups,
		     char *why, size_t why_len)
{
	const struct opt_group *group;
	const struct opt *opt;
	char *s = scan->shorts;

	memset(scan, 0, sizeof(*scan));
	*s++ = ':'; /* a missing value is told from an unknown option */
	for (group = groups; group->title; group++) {
		for (opt = group->opts; opt->name; opt++) {
			if (scan->count == OPT_COUNT_MAX)
				return fail(why, why_len, "--%s: table full",
					    opt->name);
			scan->longs[scan->count] = (struct option){
				.name = opt->name,
				.has_arg = opt->type == OPT_FLAG
						   ? no_argument
						   : required_argument,
				.val = VAL_BASE + scan->count,
			};
			scan->opts[scan->count++] = opt;
			if (!opt->letter)
				continue;
			*s++ = opt->letter;
			if (opt->type != OPT_FLAG)
				*s++ = ':';
		}
	}
	*s = 'h';
	scan->longs[scan->count].name = "help";
	scan->longs[scan->count].val = 'h';
	return 0;
}

static const struct opt *scan_find(const struct scan *scan, int val)
{
	int i;

	if (val >= VAL_BASE && val < VAL_BASE + scan->count)
		return scan->opts[val - VAL_BASE];
	for (i = 0; i < scan->count; i++)
		if (val && scan->opts[i]->letter == val)
			return scan->opts[i];
	return NULL;
}

int opt_defaults(const struct opt_group *groups, void *base, char *why,
		 size_t why_len)
{
	const struct opt *opt;

	for (; groups->title; groups++)
		for (opt = groups->opts; opt->name; opt++)
			if (opt->def &&
			    set_named(opt, base, opt->def, why, why_len))
				return -1;
	return 0;
}

/* "--lisen" or "--lisen=x", which is none of the options */
static int fail_unknown(const struct opt_group *groups, const char *arg,
			char *why, size_t why_len)
{
	const struct opt *nearest;
	char name[NAME_LEN_MAX + 1];
	size_t len;

	arg += strspn(arg, "-");
	len = strcspn(arg, "=");
	(void)snprintf(name, sizeof(name), "%.*s", (int)len, arg);
	nearest = len < sizeof(name) ? opt_nearest(groups, name) : NULL;
	return fail(why, why_len,
		    "--%.*s: no such option, or not a unique one%s%s%s",
		    (int)len, arg, nearest ? "; is it --" : "",
		    nearest ? nearest->name : "", nearest ? "?" : "");
}

int opt_scan(const struct opt_group *groups, void *base, int argc, char **argv,
	     char *why, size_t why_len)
{
	const struct opt *opt;
	struct scan scan;
	int val;

	if (scan_init(&scan, groups, why, why_len))
		return -1;
	opterr = 0;
	optind = 0; /* glibc: forget what an earlier scan left behind */
	for (;;) {
		val = getopt_long(argc, argv, scan.shorts, scan.longs, NULL);
		if (val == -1)
			return optind;
		if (val == 'h')
			return OPT_HELP;
		opt = scan_find(&scan, val == ':' || val == '?' ? optopt : val);
		if (val == ':')
			return fail(why, why_len, "--%s: needs a value, %s",
				    opt ? opt->name : "?",
				    opt && opt->arg ? opt->arg : "VALUE");
		if (val == '?' && opt && opt->type == OPT_FLAG)
			return fail(why, why_len, "--%s: takes no value",
				    opt->name);
		if (val == '?' && optopt)
			return fail(why, why_len, "-%c: no such option",
				    optopt);
		if (!opt)
			return fail_unknown(groups, argv[optind - 1], why,
					    why_len);
		if (opt->exact && strcmp(argv[optind - 1] + 2, opt->name))
			return fail(why, why_len,
				    "%s: --%s has to be said in full",
				    argv[optind - 1], opt->name);
		if (set_named(opt, base, opt->type == OPT_FLAG ? "on" : optarg,
			      why, why_len))
			return -1;
	}
}

int opt_parse(const struct opt_group *groups, void *base, int argc, char **argv,
	      char *why, size_t why_len)
{
	if (opt_defaults(groups, base, why, why_len))
		return -1;
	return opt_scan(groups, base, argc, argv, why, why_len);
}

/* prints words of @text from column @at on, wrapped at HELP_WIDTH */
static void help_wrap(FILE *out, const char *text, int at)
{
	int col = at, len;

	while (*text) {
		len = (int)strcspn(text, " ");
		if (col > at && col + 1 + len > HELP_WIDTH) {
			fprintf(out, "\n%*s", at, "");
			col = at;
		}
		col += fprintf(out, "%s%.*s", col > at ? " " : "", len, text);
		text += len;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

static void help_option(FILE *out, const struct opt *opt)
{
	const struct opt_choice *c;
	char left[64], right[512];
	int n;

	if (opt->letter)
		n = snprintf(left, sizeof(left), "  -%c, --%s", opt->letter,
			     opt->name);
	else
		n = snprintf(left, sizeof(left), "      --%s", opt->name);
	if (opt->type != OPT_FLAG && n > 0 && (size_t)n < sizeof(left))
		(void)snprintf(left + n, sizeof(left) - (size_t)n, " %s",
			       opt->arg ? opt->arg : "VALUE");

	n = snprintf(right, sizeof(right), "%s", opt->help);
	if (opt->type == OPT_CHOICE) {
		for (c = opt->choices;
		     c->name && n > 0 && (size_t)n < sizeof(right); c++)
			n += snprintf(right + n, sizeof(right) - (size_t)n,
				      "%s%s", c == opt->choices ? ": " : ", ",
				      c->name);
	}
	if (opt->def && n > 0 && (size_t)n < sizeof(right))
		(void)snprintf(right + n, sizeof(right) - (size_t)n,
			       " (default %s)", opt->def);

	if (strlen(left) < HELP_COLUMN - 1)
		fprintf(out, "%-*s", HELP_COLUMN, left);
	else
		fprintf(out, "%s\n%*s", left, HELP_COLUMN, "");
	help_wrap(out, right, HELP_COLUMN);
}

void opt_help_command(FILE *out, const char *tool,
		      const struct opt_command *cmd)
{
	const struct opt_group *group;
	const struct opt *opt;

	fprintf(out, "Usage: %s%s%s [OPTION]...%s%s\n\n", tool,
		*cmd->name ? " " : "", cmd->name, *cmd->operands ? " " : "",
		cmd->operands);
	help_wrap(out, cmd->help, 0);
	for (group = cmd->groups; group->title; group++) {
		fprintf(out, "\n%s:\n", group->title);
		for (opt = group->opts; opt->name; opt++)
			help_option(out, opt);
	}
	fprintf(out, "\n  -h, --help%*sthis text\n", HELP_COLUMN - 12, "");
}

static void help_tool(FILE *out, const struct opt_tool *tool)
{
	const struct opt_command *cmd;
	int len;

	fprintf(out, "Usage: %s COMMAND [OPTION]... [OPERAND]...\n\n",
		tool->name);
	help_wrap(out, tool->help, 0);
	fputs("\nCommands:\n", out);
	for (cmd = tool->commands; cmd->name; cmd++) {
		len = fprintf(out, "  %s", cmd->name);
		fprintf(out, "%*s", 14 - len, "");
		help_wrap(out, cmd->help, 14);
	}
	fprintf(out, "\n%s COMMAND --help tells the options of a command.\n",
		tool->name);
}

int opt_dispatch(const struct opt_tool *tool, int argc, char **argv)
{
	const struct opt_command *cmd;

	if (argc < 2) {
		help_tool(stderr, tool);
		return 2;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    !strcmp(argv[1], "help")) {
		help_tool(stdout, tool);
		return 0;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("%s %s\n", tool->name, tool->version);
		return 0;
	}
	for (cmd = tool->commands; cmd->name; cmd++)
		if (!strcmp(cmd->name, argv[1]))
			return cmd->run(cmd, argc - 1, argv + 1);
	fprintf(stderr, "%s: \"%s\" is no command; try %s --help\n", tool->name,
		argv[1], tool->name);
	return 2;
}
