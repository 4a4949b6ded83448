// SPDX-License-Identifier: MIT
/*
 * Unit test of the option tables: values, units, defaults, limits, and the
 * sentence each mistake gets.
 */
#include "opt.h"

#include "ktap.h"

#include <stdlib.h>

#define ARGS_MAX 8

struct fields {
	bool flag;
	const char *string;
	uint64_t number;
	uint64_t bytes;
	uint64_t time_ms;
	int choice;
	bool on;
	char list[32];
};

static const struct opt_choice choices[] = {
	{ "red", 1 },
	{ "green", 2 },
	{ NULL, 0 },
};

#define FIELD(f) offsetof(struct fields, f)

static struct fields fields;

/* each value behind the others */
static int append(const struct opt *opt, void *base, const char *text,
		  char *reason, size_t reason_len)
{
	char *list = (char *)base + opt->field;
	size_t used = strlen(list);

	if (used + strlen(text) + 2 > sizeof(fields.list)) {
		(void)snprintf(reason, reason_len, "\"%s\" is too much", text);
		return -1;
	}
	(void)snprintf(list + used, sizeof(fields.list) - used, "%s,", text);
	return 0;
}

static const struct opt first[] = {
	{ .name = "flag", .letter = 'f', .type = OPT_FLAG,
	  .field = FIELD(flag), .help = "switch it on" },
	{ .name = "string", .letter = 's', .type = OPT_STRING,
	  .field = FIELD(string), .arg = "TEXT", .def = "abc",
	  .help = "a text" },
	{ .name = "number", .letter = 'n', .type = OPT_UINT,
	  .field = FIELD(number), .arg = "N", .def = "7", .min = 1,
	  .max = 100, .help = "a number" },
	{ .name = NULL },
};

static const struct opt second[] = {
	{ .name = "bytes", .type = OPT_BYTES, .field = FIELD(bytes),
	  .arg = "BYTES", .help = "how much of everything that there is to be "
	  "had in this place, which is a long line that must wrap" },
	{ .name = "time", .letter = 't', .type = OPT_MS,
	  .field = FIELD(time_ms), .arg = "TIME", .min = 10,
	  .help = "how long" },
	{ .name = "choice", .type = OPT_CHOICE, .field = FIELD(choice),
	  .arg = "COLOUR", .def = "green", .choices = choices,
	  .help = "which one" },
	{ .name = "power", .type = OPT_BOOL, .field = FIELD(on),
	  .arg = "on|off", .def = "on", .help = "whether" },
	{ .name = "list", .letter = 'l', .type = OPT_CALL,
	  .field = FIELD(list), .arg = "TEXT", .help = "one more",
	  .call = append },
	{ .name = NULL },
};

static const struct opt_group groups[] = {
	{ "First", first },
	{ "Second", second },
	{ NULL, NULL },
};

static char why[OPT_WHY_LEN];
static char *args[ARGS_MAX + 2];

/* @line is split at blanks */
static int parse(const char *line)
{
	static char copy[256];
	char *save = NULL, *word;
	int argc = 0;

	(void)snprintf(copy, sizeof(copy), "tool %s", line);
	for (word = strtok_r(copy, " ", &save); word && argc < ARGS_MAX;
	     word = strtok_r(NULL, " ", &save))
		args[argc++] = word;
	args[argc] = NULL;
	memset(&fields, 0, sizeof(fields));
	why[0] = '\0';
	return opt_parse(groups, &fields, argc, args, why, sizeof(why));
}

static void defaults_are_set(void)
{
	CHECK(parse("") == 1);
	CHECK(!fields.flag);
	CHECK_STR("abc", fields.string);
	CHECK(fields.number == 7);
	CHECK(fields.bytes == 0);
	CHECK(fields.choice == 2);
	CHECK(fields.on);
}

static void short_and_long_names_mean_the_same(void)
{
	CHECK(parse("-f -n 9 -s x") == 6);
	CHECK(fields.flag && fields.number == 9);
	CHECK_STR("x", fields.string);
	CHECK(parse("--flag --number=10 --string y") == 5);
	CHECK(fields.flag && fields.number == 10);
	CHECK_STR("y", fields.string);
}

static void operands_may_stand_anywhere(void)
{
	int at = parse("one -n 3 two -f");

	CHECK(at == 4);
	CHECK_STR("one", args[at]);
	CHECK_STR("two", args[at + 1]);
	CHECK(fields.number == 3 && fields.flag);
}

static void units_multiply(void)
{
	CHECK(parse("--bytes 3k") > 0 && fields.bytes == 3072);
	CHECK(parse("--bytes 1.5M") > 0 && fields.bytes == 1572864);
	CHECK(parse("--bytes 16G") > 0 && fields.bytes == 17179869184);
	CHECK(parse("-t 2") > 0 && fields.time_ms == 2000);
	CHECK(parse("-t 250ms") > 0 && fields.time_ms == 250);
	CHECK(parse("-t 0.5s") > 0 && fields.time_ms == 500);
	CHECK(parse("-t 2m") > 0 && fields.time_ms == 120000);
}

static void each_mistake_names_option_and_value(void)
{
	static const struct {
		const char *line;
		const char *why;
	} cases[] = {
		{ "--number x", "--number: \"x\" is not a number" },
		{ "-n 5k", "--number: \"5k\" is not a number" },
		{ "-n 1.5", "--number: \"1.5\" is not a number" },
		{ "-n -5", "--number: \"-5\" is not a number" },
		{ "-n 0", "--number: \"0\" is below 1" },
		{ "-n 101", "--number: \"101\" is above 100" },
		{ "--bytes 5x", "--bytes: \"5x\" is not a number of bytes "
				"(suffixes k, M, G)" },
		{ "--bytes 99999999999999G",
		  "--bytes: \"99999999999999G\" is not a number of bytes "
		  "(suffixes k, M, G)" },
		{ "-t 5h", "--time: \"5h\" is not a time (suffixes ms, s, m)" },
		{ "-t 9ms", "--time: \"9ms\" is below 10 ms" },
		{ "--choice blue",
		  "--choice: \"blue\" is none of red, green" },
		{ "--string", "--string: needs a value, TEXT" },
		{ "-s", "--string: needs a value, TEXT" },
		{ "--flag=1", "--flag: takes no value" },
		{ "--power maybe", "--power: \"maybe\" is neither on nor off" },
		{ "-l 0123456789 -l 0123456789 --list 0123456789",
		  "--list: \"0123456789\" is too much" },
		{ "--numbr=5", "--numbr: no such option, or not a unique one; "
			       "is it --number?" },
		{ "-x", "-x: no such option" },
		{ "--nothing", "--nothing: no such option, or not a unique "
			       "one" },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK(parse(cases[i].line) == -1);
		CHECK_STR(cases[i].why, why);
	}
}

static void what_is_called_takes_every_value(void)
{
	CHECK(parse("-l a --list=b -l c") > 0);
	CHECK_STR("a,b,c,", fields.list);
	CHECK(parse("--power off") > 0 && !fields.on);
	CHECK(parse("--power=yes") > 0 && fields.on);
}

static void values_come_from_elsewhere_too(void)
{
	const struct opt *opt = opt_find(groups, "number");

	memset(&fields, 0, sizeof(fields));
	CHECK(opt && !opt_set(opt, &fields, "12", why, sizeof(why)));
	CHECK(fields.number == 12);
	CHECK(opt && opt_set(opt, &fields, "0", why, sizeof(why)) == -1);
	CHECK_STR("\"0\" is below 1", why);
	opt = opt_find(groups, "flag");
	CHECK(opt && !opt_set(opt, &fields, "on", why, sizeof(why)));
	CHECK(fields.flag);
	CHECK(opt && !opt_set(opt, &fields, "off", why, sizeof(why)));
	CHECK(!fields.flag);
	CHECK(!opt_find(groups, "numbe"));
}

static void a_scan_leaves_what_was_set_before(void)
{
	char *argv[] = { "tool", "--string", "x", NULL };

	memset(&fields, 0, sizeof(fields));
	CHECK(!opt_defaults(groups, &fields, why, sizeof(why)));
	fields.number = 50;
	CHECK(opt_scan(groups, &fields, 3, argv, why, sizeof(why)) == 3);
	CHECK(fields.number == 50);
	CHECK_STR("x", fields.string);
}

static void a_slip_finds_its_option_a_stranger_none(void)
{
	const struct opt *opt = opt_nearest(groups, "strng");

	CHECK(opt && !strcmp(opt->name, "string"));
	opt = opt_nearest(groups, "tmie");
	CHECK(!opt);
	opt = opt_nearest(groups, "tine");
	CHECK(opt && !strcmp(opt->name, "time"));
	CHECK(!opt_nearest(groups, "verisimilitude-of-the-very-long-name"));
	CHECK(!opt_nearest(groups, ""));
}

static void help_is_asked_for(void)
{
	CHECK(parse("-n 5 --help") == OPT_HELP);
	CHECK(parse("-h") == OPT_HELP);
}

static void help_tells_all_options_within_80_columns(void)
{
	static const struct opt_command cmd = {
		.name = "paint",
		.operands = "WALL",
		.help = "Paint a wall.",
		.groups = groups,
	};
	size_t len, column = 0, widest = 0, i;
	char *text = NULL;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		abort();
	opt_help_command(out, "tool", &cmd);
	(void)fclose(out); /* memory */
	for (i = 0; i < len; i++) {
		column = text[i] == '\n' ? 0 : column + 1;
		widest = column > widest ? column : widest;
	}
	CHECK(widest < 80);
	CHECK(strstr(text, "Usage: tool paint [OPTION]... WALL\n"));
	CHECK(strstr(text, "  -n, --number N              a number "
			   "(default 7)\n"));
	CHECK(strstr(text, "which one: red, green (default green)\n"));
	CHECK(strstr(text, "\nSecond:\n"));
	free(text);
}

static void a_tool_without_commands_has_a_usage_line(void)
{
	static const struct opt_command cmd = {
		.name = "", .operands = "", .help = "Paint.", .groups = groups,
	};
	size_t len;
	char *text = NULL;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		abort();
	opt_help_command(out, "tool", &cmd);
	(void)fclose(out); /* memory */
	CHECK(!strncmp(text, "Usage: tool [OPTION]...\n\n", 25));
	free(text);
}

static const struct ktap_test tests[] = {
	KTAP_TEST(defaults_are_set),
	KTAP_TEST(short_and_long_names_mean_the_same),
	KTAP_TEST(operands_may_stand_anywhere),
	KTAP_TEST(units_multiply),
	KTAP_TEST(each_mistake_names_option_and_value),
	KTAP_TEST(what_is_called_takes_every_value),
	KTAP_TEST(values_come_from_elsewhere_too),
	KTAP_TEST(a_scan_leaves_what_was_set_before),
	KTAP_TEST(a_slip_finds_its_option_a_stranger_none),
	KTAP_TEST(help_is_asked_for),
	KTAP_TEST(help_tells_all_options_within_80_columns),
	KTAP_TEST(a_tool_without_commands_has_a_usage_line),
};

int main(void)
{
	return ktap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
