// SPDX-License-Identifier: MIT
/*
 * A config from the command line and the file it names. The command line is
 * scanned twice: once to find --config, and again when the file has been read,
 * for what it says stands above the file. The config and every string of it
 * are one allocation's tree, freed together. One thread at a time; constant
 * once it is handed out.
 */
#include "config.h"

#include <errno.h>
#include <ktlsclient.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_build.h"

#define TOOL "ktc-proxy"

/* more than a command line needs that is not an attack */
#define ARGS_MAX 1024

struct config_string {
	struct config_string *next;
	char text[];
};

static const struct opt_command usage = {
	.name = "",
	.operands = "",
	.help = "Takes plaintext connections in and makes TLS connections of "
		"them: " TOOL " --listen 127.0.0.1:8080 --to "
		"origin.example:443. The origin's certificate and name are "
		"verified, with the system's trust store unless --ca or "
		"--ca-dir is given. In a file of --config the options are "
		"keys without the dashes.",
	.groups = config_all,
};

/* in the arena, writable */
static char *keep(struct config_build *build, const char *text, size_t len)
{
	struct config_string *string = malloc(sizeof(*string) + len + 1);

	if (!string) {
		build->err = -ENOMEM;
		return NULL;
	}
	memcpy(string->text, text, len);
	string->text[len] = '\0';
	string->next = build->strings;
	build->strings = string;
	return string->text;
}

const char *config_string(struct config_build *build, const char *text,
			  size_t len)
{
	return keep(build, text, len);
}

void config_problem(struct config_build *build, unsigned int line,
		    const char *fmt, ...)
{
	char text[CONFIG_WHY_LEN];
	int used = 0;
	va_list ap;

	if (build->nr_problems++ >= CONFIG_PROBLEMS_MAX)
		return;
	if (build->file && line)
		used = snprintf(text, sizeof(text), "%.200s:%u: ", build->file,
				line);
	else if (build->file)
		used = snprintf(text, sizeof(text), "%.200s: ", build->file);
	va_start(ap, fmt);
	(void)vsnprintf(text + used, sizeof(text) - (size_t)used, fmt, ap);
	va_end(ap);
	build->problems[build->nr_problems - 1] =
		config_string(build, text, strlen(text));
}

void config_listener_end(struct config_build *build)
{
	struct config *config = &build->config;
	struct config_listener *listener = &build->listener;

	if (config->nr_listeners == CONFIG_LISTENERS_MAX) {
		config_problem(build, listener->line,
			       "one listener too many: %d at most",
			       CONFIG_LISTENERS_MAX);
		return;
	}
	if (!listener->name)
		listener->name = listener->listen.text;
	memcpy(build->listener_lines[config->nr_listeners], build->lines,
	       sizeof(build->lines));
	config->listeners[config->nr_listeners++] = *listener;
}

void config_free(struct config *config)
{
	struct config_build *build = (struct config_build *)config;
	struct config_string *string, *next;

	if (!build)
		return;
	for (string = build->strings; string; string = next) {
		next = string->next;
		free(string);
	}
	free(build);
}

/* What is read below is set to its defaults first. */
static int set_defaults(struct config_build *build)
{
	char why[OPT_WHY_LEN];

	memset(&build->config, 0, sizeof(build->config));
	memset(&build->listener, 0, sizeof(build->listener));
	if (!opt_defaults(config_all, build, why, sizeof(why)))
		return 0;
	config_problem(build, 0, "%s", why);
	return -1;
}

/* 0, OPT_HELP, or -1 with a problem */
static int scan(struct config_build *build, int argc, char **argv)
{
	char why[OPT_WHY_LEN];
	int at = opt_scan(config_all, build, argc, argv, why, sizeof(why));

	if (at == OPT_HELP)
		return OPT_HELP;
	if (at < 0) {
		config_problem(build, 0, "%s", why);
		return -1;
	}
	if (at < argc) {
		config_problem(build, 0,
			       "\"%.200s\" is no option; places are told with "
			       "--listen and --to", argv[at]);
		return -1;
	}
	return 0;
}

/* where a field ends; those of a callback are looked at by name */
static size_t field_size(const struct opt *opt)
{
	switch (opt->type) {
	case OPT_FLAG:
	case OPT_BOOL:
		return sizeof(bool);
	case OPT_STRING:
		return sizeof(const char *);
	case OPT_CHOICE:
		return sizeof(int);
	case OPT_UINT:
	case OPT_BYTES:
	case OPT_MS:
		return sizeof(uint64_t);
	case OPT_CALL:
		break;
	}
	if (!strcmp(opt->name, "listen-mode"))
		return sizeof(uint32_t);
	return strncmp(opt->name, "tls-m", 5) ? 0 : sizeof(uint16_t);
}

/* What is told of a listener that is not there would do nothing. */
static void refuse_alone(struct config_build *build)
{
	struct config_build *plain = calloc(1, sizeof(*plain));
	const struct opt_group *group = config_of_listener;
	const struct opt *opt;
	char why[OPT_WHY_LEN];

	if (!plain || opt_defaults(group, plain, why, sizeof(why))) {
		build->err = -ENOMEM;
		free(plain);
		return;
	}
	for (; group->title; group++)
		for (opt = group->opts; opt->name; opt++)
			if (memcmp((char *)build + opt->field,
				   (char *)plain + opt->field,
				   field_size(opt)))
				config_problem(build, 0,
					       "--%s: is a listener's; it "
					       "stands in the file, or beside "
					       "--listen and --to", opt->name);
	free(plain);
}

/* the listener of the command line, beside those of the file */
static void add_own_listener(struct config_build *build)
{
	const struct config_listener *listener = &build->listener;

	if (listener->listen.text || listener->nr_origins)
		config_listener_end(build);
	else if (build->config_file)
		refuse_alone(build);
}

static int read_file_too(struct config_build *build, int argc, char **argv)
{
	const char *path = build->config_file;
	char why[OPT_WHY_LEN];

	if (set_defaults(build))
		return -1;
	build->config.file = path;
	build->file = path;
	config_file_read(build, path);
	build->file = NULL;
	build->line = 0;
	memset(build->lines, 0, sizeof(build->lines));
	memset(&build->listener, 0, sizeof(build->listener));
	/* as set_defaults() has done it: it cannot fail */
	(void)opt_defaults(config_of_listener, build, why, sizeof(why));
	return scan(build, argc, argv);
}

static void read_all(struct config_build *build, int argc, char **argv)
{
	struct config *config = &build->config;

	if (build->config_file && read_file_too(build, argc, argv))
		return;
	add_own_listener(build);
	if (!config->nr_listeners && !config->status && !build->nr_problems)
		config_problem(build, 0,
			       "nothing to do; try: " TOOL
			       " --listen 127.0.0.1:8080 --to "
			       "origin.example:443");
	else if (!build->err)
		config_check(build);
}

/* The first problem goes to @why; with --check, all are told on stderr. */
static int tell(const struct config_build *build, char *why, size_t why_len)
{
	unsigned int i, told = build->nr_problems;

	if (told > CONFIG_PROBLEMS_MAX)
		told = CONFIG_PROBLEMS_MAX;
	if (!build->config.check || told < 2) {
		(void)snprintf(why, why_len, "%s", build->problems[0]);
		return -EINVAL;
	}
	for (i = 0; i < told; i++)
		fprintf(stderr, TOOL ": %s\n", build->problems[i]);
	(void)snprintf(why, why_len, "%u problems", build->nr_problems);
	return -EINVAL;
}

static char **copy_args(struct config_build *build, int argc, char **argv)
{
	char **copy = calloc((size_t)argc + 1, sizeof(*copy));
	int i;

	if (!copy) {
		build->err = -ENOMEM;
		return NULL;
	}
	for (i = 0; i < argc; i++)
		copy[i] = keep(build, argv[i], strlen(argv[i]));
	return copy;
}

/* Returns what config_read() does; @argv is permuted, and @build's own. */
static int config_make(struct config_build *build, int argc, char **argv)
{
	int rc;

	if (set_defaults(build))
		return -EINVAL;
	rc = scan(build, argc, argv);
	if (rc == OPT_HELP) {
		opt_help_command(stdout, TOOL, &usage);
		return CONFIG_HELP;
	}
	if (rc)
		return -EINVAL;
	if (build->version) {
		printf(TOOL " %s\n", ktc_version());
		return CONFIG_HELP;
	}
	read_all(build, argc, argv);
	if (build->err)
		return build->err;
	return build->nr_problems ? -EINVAL : 0;
}

int config_read(int argc, char **argv, struct config **out, char *why,
		size_t why_len)
{
	struct config_build *build;
	char **args;
	int err;

	if (argc < 1 || argc > ARGS_MAX) {
		(void)snprintf(why, why_len, "more than %d arguments",
			       ARGS_MAX);
		return -EINVAL;
	}
	build = calloc(1, sizeof(*build));
	if (!build)
		return -ENOMEM;
	args = copy_args(build, argc, argv);
	err = build->err;
	if (!err)
		err = config_make(build, argc, args);
	free(args);
	/* a problem that memory did not suffice to tell */
	if (err == -EINVAL && build->err)
		err = build->err;
	if (err == -EINVAL)
		err = tell(build, why, why_len);
	if (err) {
		config_free(&build->config);
		return err;
	}
	*out = &build->config;
	return 0;
}

void config_client_opts(const struct config_listener *listener,
			struct ktc_client_opts *opts)
{
	*opts = (struct ktc_client_opts){
		.size = sizeof(*opts),
		.flags = (listener->insecure ? KTC_CLIENT_INSECURE_NO_VERIFY :
					       0) |
			 (listener->fastopen ? KTC_CLIENT_FASTOPEN : 0),
		.policy = (enum ktc_policy)listener->plane,
		.ca_file = listener->ca,
		.ca_dir = listener->ca_dir,
		.crl_file = listener->crl,
		.cert_file = listener->cert,
		.key_file = listener->key,
		.alpn = listener->alpn,
		.tls12_ciphers = listener->tls12_ciphers,
		.tls13_suites = listener->tls13_suites,
		.groups = listener->groups,
		.version_min = listener->tls_min,
		.version_max = listener->tls_max,
		.auto_bytes = listener->auto_bytes,
		.connect_timeout_ms = (uint32_t)listener->connect_ms,
		.handshake_timeout_ms = (uint32_t)listener->handshake_ms,
		.idle_timeout_ms = (uint32_t)listener->idle_ms,
		.close_timeout_ms = (uint32_t)listener->close_ms,
		.sessions_max = (uint32_t)listener->sessions_max,
		.full_per_s = (uint32_t)listener->full_per_s,
		.full_at_once = (uint32_t)listener->full_at_once,
		.keepalive_ms = (uint32_t)listener->keepalive_ms,
	};
}
