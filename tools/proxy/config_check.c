// SPDX-License-Identifier: MIT
/*
 * What can be wrong with settings that are each well-formed: files that are
 * not what they should be, places told twice, options that contradict or miss
 * each other. Opens no socket; leaves nothing open. One thread at a time.
 */
#include <errno.h>
#include <grp.h>
#include <ktlsclient.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "config_build.h"

/* A problem of an option: where the file has it, or by its dashed name. */
static __attribute__((format(printf, 4, 5))) void
complain(struct config_build *build, const struct config_listener *listener,
	 const char *name, const char *fmt, ...)
{
	const struct opt *opt = opt_find(config_all, name);
	struct config *config = &build->config;
	unsigned int line, at = config_index(opt);
	char text[CONFIG_WHY_LEN];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* a cut one is one */
	va_end(ap);
	if (listener) {
		line = build->listener_lines[listener - config->listeners][at];
		line = line ? line : listener->line;
	} else {
		line = build->global_lines[at];
	}
	build->file = line ? config->file : NULL;
	config_problem(build, line, "%s%s: %s", line ? "" : "--", name, text);
	build->file = NULL;
}

static void check_present(struct config_build *build,
			  const struct config_listener *l)
{
	if (!l->listen.text)
		complain(build, l, "listen",
			 "is missing: where shall clients come in?");
	if (!l->nr_origins)
		complain(build, l, "to",
			 "is missing: where shall they be taken to?");
}

static void check_trust(struct config_build *build,
			const struct config_listener *l)
{
	unsigned int i;

	if (l->cert && !l->key)
		complain(build, l, "key", "is missing for cert");
	if (l->key && !l->cert)
		complain(build, l, "cert", "is missing for key");
	if (l->tls_min > l->tls_max)
		complain(build, l, "tls-min", "is above tls-max");
	if (l->insecure && (l->ca || l->ca_dir || l->crl))
		complain(build, l, "insecure-no-verify",
			 "contradicts ca, ca-dir and crl");
	for (i = 0; i < l->nr_origins && !l->insecure && !l->sni; i++)
		if (l->origins[i].path)
			complain(build, l, "sni",
				 "is missing: \"%s\" has no name to verify",
				 l->origins[i].text);
}

static void check_numbers(struct config_build *build,
			  const struct config_listener *l)
{
	if (l->retry_ms > l->retry_max_ms)
		complain(build, l, "retry", "is above retry-max");
	if (l->origin_max && l->warm > l->origin_max)
		complain(build, l, "warm", "is above origin-max");
	if (l->idle_ms && l->warm && l->warm_idle_ms > l->idle_ms)
		complain(build, l, "warm-idle", "is above idle");
}

/*
 * A secret that everybody on the machine can read or change is none. A group
 * may read it: that is how keys are shared with a service (ssl-cert).
 */
static void check_secret(struct config_build *build,
			 const struct config_listener *l, const char *name,
			 const char *path)
{
	struct stat st;

	if (stat(path, &st))
		complain(build, l, name, "cannot read %s: %s", path,
			 strerrordesc_np(errno));
	else if (st.st_mode & 007)
		complain(build, l, name,
			 "everybody may read or change %s (mode %04o); say "
			 "chmod o-rwx %s", path,
			 (unsigned int)st.st_mode & 07777u, path);
}

static void check_tickets(struct config_build *build,
			  const struct config_listener *l)
{
	uint8_t key[KTC_EXPORT_KEY_LEN];
	char why[CONFIG_WHY_LEN];

	if (l->tickets && !l->tickets_key)
		complain(build, l, "key-file", "is missing for tickets");
	if (l->tickets_key && !l->tickets)
		complain(build, l, "tickets", "is missing for key-file");
	if (!l->tickets_key)
		return;
	if (config_tickets_key(l->tickets_key, key, why, sizeof(why)))
		complain(build, l, "key-file", "%s", why);
	else
		check_secret(build, l, "key-file", l->tickets_key);
	explicit_bzero(key, sizeof(key));
}

static bool text_same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/* the library would say the same of both */
static bool trust_same(const struct config_listener *a,
		       const struct config_listener *b)
{
	return text_same(a->ca, b->ca) && text_same(a->ca_dir, b->ca_dir) &&
	       text_same(a->crl, b->crl) && text_same(a->cert, b->cert) &&
	       text_same(a->key, b->key) && text_same(a->alpn, b->alpn) &&
	       text_same(a->tls12_ciphers, b->tls12_ciphers) &&
	       text_same(a->tls13_suites, b->tls13_suites) &&
	       text_same(a->groups, b->groups) && a->tls_min == b->tls_min &&
	       a->tls_max == b->tls_max && a->insecure == b->insecure;
}

/* The library's sentence begins with its name of the option. */
static void complain_client(struct config_build *build,
			    const struct config_listener *l, const char *why)
{
	static const struct {
		const char *theirs;
		const char *ours;
	} names[] = {
		{ "ca_file: ", "ca" },
		{ "ca_dir: ", "ca-dir" },
		{ "crl_file: ", "crl" },
		{ "cert_file: ", "cert" },
		{ "key_file: ", "key" },
		{ "alpn: ", "alpn" },
		{ "tls12_ciphers: ", "tls12-ciphers" },
		{ "tls13_suites: ", "tls13-suites" },
		{ "groups: ", "groups" },
		{ "version_min/max: ", "tls-min" },
		{ "sessions_max: ", "sessions" },
		{ "full_per_s: ", "full-per-s" },
		{ "full_at_once: ", "full-at-once" },
	};
	size_t i, len;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		len = strlen(names[i].theirs);
		if (strncmp(why, names[i].theirs, len))
			continue;
		complain(build, l, names[i].ours, "%s", why + len);
		return;
	}
	complain(build, l, "to", "%s", why);
}

/* The files, ciphers and lists, by those who will use them. */
static void check_client(struct config_build *build,
			 const struct config_listener *l)
{
	const struct config_listener *other = build->config.listeners;
	struct ktc_client_opts opts;
	char why[CONFIG_WHY_LEN];
	int err;

	for (; other < l; other++)
		if (trust_same(other, l))
			return;
	config_client_opts(l, &opts);
	err = ktc_client_check(&opts, why, sizeof(why));
	if (err == -ENOMEM)
		build->err = err;
	else if (err)
		complain_client(build, l, why);
}

static void check_listener(struct config_build *build,
			   const struct config_listener *l)
{
	unsigned int before = build->nr_problems;

	check_present(build, l);
	if (l->warm && l->proxy_out != CONFIG_PROXY_NONE)
		complain(build, l, "warm",
			 "goes not with proxy-out: its header names a client "
			 "before the handshake");
	check_trust(build, l);
	check_numbers(build, l);
	check_tickets(build, l);
	if (l->cert && l->key)
		check_secret(build, l, "key", l->key);
	/* what would be said of a missing file has been said */
	if (before == build->nr_problems)
		check_client(build, l);
}

/* Two listeners, or a listener and the metrics, in one place. */
static void check_places(struct config_build *build)
{
	struct config *config = &build->config;
	const struct config_listener *a, *b;
	const struct config_listener *end =
		config->listeners + config->nr_listeners;

	for (a = config->listeners; a < end; a++) {
		if (!a->listen.text)
			continue;
		/* with port 0 each has one of its own */
		if (config->metrics.text &&
		    (config->metrics.path || config->metrics.port) &&
		    config_place_same(&a->listen, &config->metrics))
			complain(build, a, "listen",
				 "\"%s\" is the place of the metrics",
				 a->listen.text);
		if (config->control && a->listen.path &&
		    !strcmp(config->control, a->listen.path))
			complain(build, a, "listen",
				 "\"%s\" is the control socket",
				 a->listen.text);
		/* a place is known by its text: two of port 0 are one */
		for (b = config->listeners; b < a; b++)
			if (b->listen.text &&
			    config_place_same(&a->listen, &b->listen))
				complain(build, a, "listen",
					 "\"%s\" is the place of \"%s\" too",
					 a->listen.text, b->name);
	}
}

static void check_socket(struct config_build *build, const char *name,
			 const char *path)
{
	if (path && (!*path || strlen(path) >= sizeof(((struct sockaddr_un *)
						       NULL)->sun_path)))
		complain(build, NULL, name,
			 "\"%.200s\" is no path of a unix socket (1 to 107 "
			 "bytes)", path);
}

static void check_process(struct config_build *build)
{
	const struct config *config = &build->config;

	if (config->buffers & (config->buffers - 1))
		complain(build, NULL, "buffers", "%llu is no power of two",
			 (unsigned long long)config->buffers);
	if (config->user && !getpwnam(config->user))
		complain(build, NULL, "user", "there is no user \"%.60s\"",
			 config->user);
	if (config->group && !getgrnam(config->group))
		complain(build, NULL, "group", "there is no group \"%.60s\"",
			 config->group);
	check_socket(build, "control", config->control);
	check_socket(build, "takeover", config->takeover);
	if (config->status && !config->control)
		complain(build, NULL, "status",
			 "needs --control, the socket of the proxy to ask");
}

void config_check(struct config_build *build)
{
	const struct config *config = &build->config;
	unsigned int i;

	check_process(build);
	if (config->status)
		return;
	for (i = 0; i < config->nr_listeners && !build->err; i++)
		check_listener(build, &config->listeners[i]);
	check_places(build);
}
