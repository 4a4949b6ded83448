// SPDX-License-Identifier: MIT
/*
 * Unit test of the settings: defaults, both sources, every kind of mistake
 * with the sentence it gets, limits, and bytes that nobody meant as a config.
 * Verification is off where it is not what is tested: without it, no trust
 * store is read.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <ktlsclient.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_build.h"
#include "ktap.h"

#define ARGS_MAX 40

static char dir[] = "/tmp/config_test.XXXXXX";
static char file[64];
static char why[CONFIG_WHY_LEN];
static struct config *config;

static void write_bytes(const char *path, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, bytes, len) != (ssize_t)len || close(fd))
		abort();
}

static const char *path_of(const char *name)
{
	static char path[2][64];
	static unsigned int turn;
	char *to = path[turn++ % 2];

	(void)snprintf(to, sizeof(path[0]), "%s/%s", dir, name);
	return to;
}

/* @line is split at blanks; the config before it is gone */
static int read_line(const char *line)
{
	static char copy[1024];
	char *argv[ARGS_MAX + 1], *save = NULL, *word;
	int argc = 0, err;

	config_free(config);
	config = NULL;
	(void)snprintf(copy, sizeof(copy), "ktc-proxy %s", line);
	for (word = strtok_r(copy, " ", &save); word && argc < ARGS_MAX;
	     word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	why[0] = '\0';
	err = config_read(argc, argv, &config, why, sizeof(why));
	/* the config keeps no pointer into argv */
	memset(copy, 'x', sizeof(copy) - 1);
	return err;
}

static int read_text(const char *text)
{
	char line[96];

	write_bytes(file, text, strlen(text));
	(void)snprintf(line, sizeof(line), "--config %s", file);
	return read_line(line);
}

/* @want without the file's name before it */
static void why_is(const char *want)
{
	const char *got = why;

	if (!strncmp(got, file, strlen(file)))
		got += strlen(file);
	CHECK_STR(want, got);
}

#define OPEN "--insecure-no-verify "
#define PLACES "--listen :80 --to a "

static void two_places_are_enough(void)
{
	const struct config_listener *l;

	CHECK(read_line("--listen 127.0.0.1:8080 --to origin.example") == 0);
	if (!config)
		return;
	CHECK(!config->file && !config->metrics.text && !config->control);
	CHECK(config->nr_listeners == 1 && !config->check);
	CHECK(config->threads == 0 && config->drain_ms == 30000);
	CHECK(config->log_level == CONFIG_INFO);
	l = &config->listeners[0];
	CHECK_STR("127.0.0.1:8080", l->name);
	CHECK_STR("127.0.0.1:8080", l->listen.text);
	CHECK_STR("127.0.0.1", l->listen.host);
	CHECK(l->listen.port == 8080 && !l->listen.path && !l->line);
	CHECK(l->nr_origins == 1 && l->origins[0].port == 443);
	CHECK_STR("origin.example", l->origins[0].host);
	CHECK(!l->insecure && !l->ca && !l->ca_dir && !l->sni);
	CHECK(l->tls_min == KTC_TLS1_2 && l->tls_max == KTC_TLS1_3);
	CHECK(l->plane == KTC_POLICY_AUTO && l->auto_bytes == 262144);
	CHECK(l->relay_module && !l->fastopen && !l->proxy_in);
	CHECK(l->full_at_once && l->full_per_s && l->clients_max);
	CHECK(l->listen_mode == 0660 && l->proxy_out == CONFIG_PROXY_NONE);
}

static void places_have_many_shapes(void)
{
	const struct config_listener *l;

	CHECK(read_line(OPEN "--listen unix:/run/x.sock --to a,b:1, --to c") ==
	      -EINVAL);
	CHECK_STR("--to: \"\" is no place to connect to: host:port, "
		  "[v6]:port, host or unix:/path", why);
	CHECK(read_line(OPEN "--listen unix:/run/x.sock --to a,b:1 --to=c "
			"-t [::1]:2 -t [fe80::1%eth0] --to unix:/o") == 0);
	if (!config)
		return;
	l = config->listeners;
	CHECK_STR("/run/x.sock", l->listen.path);
	CHECK(!l->listen.host && !l->listen.port);
	CHECK(l->nr_origins == 6);
	CHECK_STR("b:1", l->origins[1].text);
	CHECK_STR("b", l->origins[1].host);
	CHECK(l->origins[1].port == 1 && l->origins[2].port == 443);
	CHECK_STR("::1", l->origins[3].host);
	CHECK(l->origins[3].port == 2);
	CHECK_STR("fe80::1%eth0", l->origins[4].host);
	CHECK(l->origins[4].port == 443);
	CHECK_STR("/o", l->origins[5].path);
	CHECK(read_line(OPEN "-l :80 --to a") == 0);
	CHECK(config && !config->listeners[0].listen.host &&
	      config->listeners[0].listen.port == 80);
	CHECK(read_line(OPEN "-l [::]:80 --to a -m :9100") == 0);
	CHECK(config && config->metrics.port == 9100);
	CHECK(read_line(OPEN "-l 127.0.0.1:0 --to a -m 127.0.0.1:0") == 0);
	CHECK(config && !config->listeners[0].listen.port);
}

static void wrong_lines_say_what_is_wrong(void)
{
	static const struct {
		const char *line;
		const char *why;
	} cases[] = {
		{ "", "nothing to do; try: ktc-proxy --listen 127.0.0.1:8080 "
		      "--to origin.example:443" },
		{ "--listen :80", "--to: is missing: where shall they be taken "
				  "to?" },
		{ "--to a", "--listen: is missing: where shall clients come "
			    "in?" },
		{ "a:80", "\"a:80\" is no option; places are told with "
			  "--listen and --to" },
		{ "--lisen :80", "--lisen: no such option, or not a unique "
				 "one; is it --listen?" },
		{ "--listen :80 --listen :81", "--listen: \":81\" is one too "
		  "many; a file of --config has room for several" },
		{ "--listen 80", "--listen: \"80\" is no place to listen: "
		  "host:port, [v6]:port, :port or unix:/path" },
		{ "--listen a:", "--listen: \"a:\" has no port of 0 to 65535 "
				 "after the colon" },
		{ "--listen a:65536", "--listen: \"a:65536\" has no port of 0 "
				      "to 65535 after the colon" },
		{ "--listen a:8o", "--listen: \"a:8o\" has no port of 0 to "
				   "65535 after the colon" },
		{ "--listen :80 --to a:0", "--to: \"a:0\" has no port of 1 to "
					   "65535 after the colon" },
		{ "--listen ::1", "--listen: \"::1\" has more than one colon; "
		  "an IPv6 address stands in brackets, as [::1]:443" },
		{ "--listen [::1]", "--listen: \"[::1]\" is no place to "
		  "listen: host:port, [v6]:port, :port or unix:/path" },
		{ "--listen [a]:1", "--listen: \"[a]:1\" has no IPv6 address "
				    "in its brackets" },
		{ "--listen [::1:1", "--listen: \"[::1:1\" is no place to "
		  "listen: host:port, [v6]:port, :port or unix:/path" },
		{ "--listen unix:", "--listen: \"unix:\" has no path after "
				    "unix:" },
		{ "--to :443", "--to: \":443\" is no place to connect to: "
		  "host:port, [v6]:port, host or unix:/path" },
		{ "--to https://a", "--to: \"https://a\" has no port of 1 to "
				    "65535 after the colon" },
		{ "--to a/b", "--to: \"a/b\" is no place to connect to: "
		  "host:port, [v6]:port, host or unix:/path" },
		{ "--to a --to A:443", "--to: \"A:443\" is there twice" },
		{ PLACES "--plane sometimes", "--plane: \"sometimes\" is none "
		  "of auto, always, never" },
		{ PLACES "--idle 5h", "--idle: \"5h\" is not a time (suffixes "
				      "ms, s, m)" },
		{ PLACES "--clients-max 0", "--clients-max: \"0\" is below 1" },
		{ PLACES "--threads 257", "--threads: \"257\" is above 256" },
		{ PLACES "--tls-min 1.1", "--tls-min: \"1.1\" is neither 1.2 "
					  "nor 1.3" },
		{ PLACES "--listen-mode 999", "--listen-mode: \"999\" is no "
					      "octal mode such as 0660" },
		{ PLACES "--fastopen maybe", "--fastopen: \"maybe\" is neither "
					     "on nor off" },
		{ PLACES "--buffers 100", "--buffers: 100 is no power of two" },
		{ PLACES "--user nobody-of-that-name", "--user: there is no "
		  "user \"nobody-of-that-name\"" },
		{ PLACES "--group nobody-of-that-name", "--group: there is no "
		  "group \"nobody-of-that-name\"" },
		{ "--status", "--status: needs --control, the socket of the "
			      "proxy to ask" },
		{ PLACES "--insecure",
		  "--insecure: --insecure-no-verify has to be said in full" },
		{ PLACES OPEN "--ca x", "--insecure-no-verify: contradicts ca, "
					"ca-dir and crl" },
		{ PLACES "--cert x", "--key: is missing for cert" },
		{ PLACES "--key x", "--cert: is missing for key" },
		{ PLACES "--tickets x", "--key-file: is missing for tickets" },
		{ PLACES "--key-file x", "--tickets: is missing for "
					 "key-file" },
		{ PLACES "--tls-min 1.3 --tls-max 1.2", "--tls-min: is above "
							"tls-max" },
		{ PLACES "--retry 2m --retry-max 1m", "--retry: is above "
						      "retry-max" },
		{ PLACES "--warm 1 --proxy-out v1",
		  "--warm: goes not with proxy-out: its header names a client "
		  "before the handshake" },
		{ PLACES "--warm 9 --origin-max 8", "--warm: is above "
						    "origin-max" },
		{ "--listen :80 --to unix:/o", "--sni: is missing: \"unix:/o\" "
					       "has no name to verify" },
		{ PLACES "--metrics :80", "--listen: \":80\" is the place of "
					  "the metrics" },
		{ "--listen unix:/c --to a --control /c", "--listen: "
		  "\"unix:/c\" is the control socket" },
		{ PLACES "--ca /nothing.pem", "--ca: cannot read /nothing.pem: "
					      "No such file or directory" },
		{ PLACES OPEN "--tls12-ciphers nonsense", NULL },
		{ PLACES "--alpn ,", NULL },
		{ "--config /nothing.conf", "/nothing.conf: No such file or "
					    "directory" },
		{ "--config /", "/: is no file" },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK(read_line(cases[i].line) == -EINVAL);
		CHECK(!config);
		if (cases[i].why)
			CHECK_STR(cases[i].why, why);
		else
			printf("# %s\n", why);
	}
}

static void a_file_has_many_listeners(void)
{
	const struct config_listener *l;

	CHECK(read_text("# a comment\n"
			"; another\n"
			"[global]\n"
			"threads = 3\r\n"
			"metrics = 127.0.0.1:9100 ; with one behind it\n"
			"log-level = debug\n"
			"insecure-no-verify = on\n"
			"idle = 5m\n"
			"\n"
			"[listener one] # here too\n"
			"  listen = 127.0.0.1:8080\n"
			"  to = a:1, b:2\n"
			"\tto = c\n"
			"alpn = h2\n"
			"alpn = http/1.1\n"
			"proxy-out = v2\n"
			"[listener two.2]\n"
			"to=a\n"
			"listen=unix:/run/x\n"
			"idle = 0\n"
			"proxy-in = yes\n"
			"relay-module = off\n"
			"listen-mode = 666\n") == 0);
	if (!config) {
		printf("# %s\n", why);
		return;
	}
	CHECK_STR(file, config->file);
	CHECK(config->threads == 3 && config->log_level == CONFIG_DEBUG);
	CHECK_STR("127.0.0.1:9100", config->metrics.text);
	CHECK(config->nr_listeners == 2);
	l = &config->listeners[0];
	CHECK_STR("one", l->name);
	CHECK(l->line == 10 && l->insecure && l->idle_ms == 300000);
	CHECK(l->nr_origins == 3 && l->proxy_out == CONFIG_PROXY_V2);
	CHECK_STR("c", l->origins[2].text);
	CHECK_STR("h2,http/1.1", l->alpn);
	l = &config->listeners[1];
	CHECK_STR("two.2", l->name);
	CHECK(l->insecure && !l->idle_ms && l->nr_origins == 1);
	CHECK(l->proxy_in && !l->relay_module && !l->alpn);
	CHECK(l->listen_mode == 0666 && l->proxy_out == CONFIG_PROXY_NONE);
}

static void wrong_files_say_where(void)
{
	static const struct {
		const char *text;
		const char *why;
	} cases[] = {
		{ "", "nothing to do; try: ktc-proxy --listen 127.0.0.1:8080 "
		      "--to origin.example:443" },
		{ "threads = 3\n", ":1: threads: stands before the first "
				   "[section]" },
		{ "[global]\nthreads = 3\nthreads = 4\n",
		  ":3: threads: stands on line 2 already" },
		{ "[global]\n[listener a]\nlisten = :1\nto = a\n[global]\n",
		  ":5: [global]: stands on line 1 already" },
		{ "[listener a]\nlisten = :1\nto = a\n[global]\n",
		  ":4: [global]: must stand before the listeners" },
		{ "[listener a]\nlisten = :1\nto = a\n[listener a]\n",
		  ":4: [listener a]: stands on line 1 already" },
		{ "[listener a]\nlisten = :1\n", ":1: to: is missing: where "
		  "shall they be taken to?" },
		{ "[listener a]\n\nto = b\n", ":1: listen: is missing: where "
		  "shall clients come in?" },
		{ "[listener a]\nlisten = :1\nlisten = :2\n",
		  ":3: listen: stands on line 2 already" },
		{ "[listener a]\nthreads = 1\n", ":2: threads: belongs to "
						 "[global]" },
		{ "[global]\nto = a\n", ":2: to: belongs to a [listener "
					"NAME]" },
		{ "[listener a]\nlisten\n", ":2: neither a [section] nor \"key "
					    "= value\"" },
		{ "[listener a]\nlisten =\n", ":2: listen: needs a value, "
					      "PLACE" },
		{ "[listener a]\nlistn = :1\n", ":2: listn: no such key; is it "
						"listen?" },
		{ "[global]\nmetrisc = :1\n", ":2: metrisc: no such key; is it "
					      "metrics?" },
		{ "[global]\nsomething-else = :1\n", ":2: something-else: no "
						     "such key" },
		{ "[global]\nconfig = x\n", ":2: config: stands on the command "
					    "line only" },
		{ "[global]\ncheck = on\n", ":2: check: stands on the command "
					    "line only" },
		{ "[server]\n", ":1: [server]: a section is [global] or "
				"[listener NAME]" },
		{ "[listener]\n", ":1: [listener]: a section is [global] or "
				  "[listener NAME]" },
		{ "[listener a b]\n", ":1: [listener NAME]: a name has 1 to 32 "
				      "letters, digits, dots, - or _" },
		{ "[listener a\n", ":1: a section is [global] or [listener "
				   "NAME], alone on its line" },
		{ "[listener a] x\n", ":1: a section is [global] or [listener "
				      "NAME], alone on its line" },
		{ "[listener abcdefghijklmnopqrstuvwxyz0123456]\n",
		  ":1: [listener NAME]: a name has 1 to 32 letters, digits, "
		  "dots, - or _" },
		{ "[listener a]\nlisten = :1\nto = b\nidle = 5h\n",
		  ":4: idle: \"5h\" is not a time (suffixes ms, s, m)" },
		{ "[listener a]\nlisten = :1\nto = b\nproxy-in = maybe\n",
		  ":4: proxy-in: \"maybe\" is neither on nor off" },
		{ "[listener a]\nlisten = :1\nto = b\nca = /nothing\n",
		  ":4: ca: cannot read /nothing: No such file or directory" },
		{ "[listener a]\nlisten = :1\nto = b\nretry-max = 1\n"
		  "retry = 2\n", ":5: retry: is above retry-max" },
		{ "[listener a]\nlisten = :1\nto = b\n[listener b]\nto = b\n"
		  "listen = :1\n", ":6: listen: \":1\" is the place of \"a\" "
				   "too" },
		{ "[global]\nmetrics = :1\n[listener a]\nto = b\n"
		  "listen = :1\n", ":5: listen: \":1\" is the place of the "
				   "metrics" },
		{ "[listener a]\nlisten = :1\nto = b\001\n", ":3: a character "
		  "that is no text" },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK(read_text(cases[i].text) == -EINVAL);
		CHECK(!config);
		why_is(cases[i].why);
	}
}

static void all_problems_are_told_by_check(void)
{
	static const char bad[] = "[global]\nthraeds = 1\n"
				  "[listener a]\nidle = x\n";
	char line[96], text[1024];
	int saved, fd;
	ssize_t len;

	write_bytes(file, bad, strlen(bad));
	(void)snprintf(line, sizeof(line), "--check --config %s", file);
	fd = open(path_of("err"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	saved = dup(STDERR_FILENO);
	if (fd < 0 || saved < 0 || dup2(fd, STDERR_FILENO) < 0)
		abort();
	CHECK(read_line(line) == -EINVAL);
	(void)dup2(saved, STDERR_FILENO);
	(void)close(saved);
	len = pread(fd, text, sizeof(text) - 1, 0);
	text[len > 0 ? len : 0] = '\0';
	(void)close(fd);
	CHECK_STR("4 problems", why);
	CHECK(strstr(text, "conf:2: thraeds: no such key; is it threads?\n"));
	CHECK(strstr(text, "conf:4: idle: \"x\" is not a time"));
	CHECK(strstr(text, "conf:3: listen: is missing"));
	CHECK(strstr(text, "conf:3: to: is missing"));
}

static void the_command_line_stands_above_the_file(void)
{
	static const char text[] = "[global]\nthreads = 2\nbuffers = 64\n"
				   "insecure-no-verify = on\n"
				   "[listener a]\nlisten = :1\nto = b\n";
	char line[160];

	write_bytes(file, text, strlen(text));
	(void)snprintf(line, sizeof(line), "--threads 5 --config %s", file);
	CHECK(read_line(line) == 0);
	CHECK(config && config->threads == 5 && config->buffers == 64);
	CHECK(config && config->nr_listeners == 1);

	(void)snprintf(line, sizeof(line), "--config %s --listen :2 --to c "
		       "--idle 7 --insecure-no-verify", file);
	CHECK(read_line(line) == 0);
	CHECK(config && config->nr_listeners == 2);
	if (config) {
		CHECK_STR(":2", config->listeners[1].name);
		CHECK(config->listeners[1].nr_origins == 1);
		CHECK(config->listeners[1].idle_ms == 7000);
		CHECK(config->listeners[0].idle_ms == 3600000);
	}

	(void)snprintf(line, sizeof(line), "--config %s --idle 7", file);
	CHECK(read_line(line) == -EINVAL);
	CHECK_STR("--idle: is a listener's; it stands in the file, or beside "
		  "--listen and --to", why);
	(void)snprintf(line, sizeof(line), "--config %s --tls-min 1.3", file);
	CHECK(read_line(line) == -EINVAL);
	CHECK_STR("--tls-min: is a listener's; it stands in the file, or "
		  "beside --listen and --to", why);
}

static void both_sources_say_the_same(void)
{
	static const struct {
		const char *key;
		const char *value;
	} settings[] = {
		{ "sni", "x.example" },	       { "alpn", "h2" },
		{ "groups", "P-256" },	       { "tls-min", "1.3" },
		{ "plane", "always" },	       { "auto-bytes", "1M" },
		{ "relay-module", "off" },     { "sessions", "77" },
		{ "full-per-s", "9" },	       { "full-at-once", "8" },
		{ "warm", "3" },	       { "warm-idle", "4" },
		{ "clients-max", "5" },
		{ "origin-max", "6" },	       { "connect-timeout", "250ms" },
		{ "handshake-timeout", "3" },  { "header-timeout", "1" },
		{ "idle", "2m" },	       { "lifetime", "20m" },
		{ "close-timeout", "1s" },     { "retry", "10ms" },
		{ "retry-max", "5" },	       { "keepalive", "0" },
		{ "fastopen", "on" },	       { "listen-mode", "0600" },
		{ "tls13-suites", "TLS_AES_128_GCM_SHA256" },
	};
	struct config_listener a, b;
	char line[2048], text[2048];
	int at_line, at_text;
	size_t i;

	at_line = snprintf(line, sizeof(line), PLACES OPEN);
	at_text = snprintf(text, sizeof(text), "[listener x]\nlisten = :80\n"
			   "to = a\ninsecure-no-verify = true\n");
	for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		char more[96];

		(void)snprintf(more, sizeof(more), OPEN PLACES "--%s %s",
			       settings[i].key, settings[i].value);
		CHECK(read_line(more) == 0);
		at_text += snprintf(text + at_text,
				    sizeof(text) - (size_t)at_text,
				    "%s = %s\n", settings[i].key,
				    settings[i].value);
		if (i < 16)
			at_line += snprintf(line + at_line,
					    sizeof(line) - (size_t)at_line,
					    "--%s=%s ", settings[i].key,
					    settings[i].value);
	}
	CHECK(read_text(text) == 0);
	if (!config)
		return;
	b = config->listeners[0];
	CHECK(b.tls_min == KTC_TLS1_3 && b.plane == KTC_POLICY_ALWAYS);
	CHECK(b.auto_bytes == 1048576 && !b.relay_module && b.fastopen);
	CHECK(b.connect_ms == 250 && b.idle_ms == 120000 && !b.keepalive_ms);
	CHECK(b.listen_mode == 0600 && b.lifetime_ms == 1200000);
	CHECK(read_line(line) == 0);
	if (!config)
		return;
	a = config->listeners[0];
	CHECK(a.insecure == b.insecure && a.plane == b.plane);
	CHECK(a.warm == b.warm && a.warm_idle_ms == b.warm_idle_ms);
	CHECK(a.full_per_s == b.full_per_s && a.connect_ms == b.connect_ms);
	CHECK(a.proxy_out == b.proxy_out && a.clients_max == b.clients_max);
	CHECK_STR("x.example", a.sni);
}

/* What the table lets pass, the library takes: it is asked in no other way. */
static void the_largest_numbers_are_the_librarys_too(void)
{
	const struct opt_group *group;
	const struct opt *opt;
	char line[160];

	for (group = config_of_listener; group->title; group++) {
		for (opt = group->opts; opt->name; opt++) {
			if (opt->type != OPT_UINT)
				continue;
			(void)snprintf(line, sizeof(line), OPEN PLACES
				       "--%s %llu", opt->name,
				       (unsigned long long)opt->max);
			CHECK(read_line(line) == 0);
			CHECK_STR("", why);
		}
	}
}

static void the_client_is_asked_what_the_listener_says(void)
{
	struct ktc_client_opts opts;

	CHECK(read_line(OPEN PLACES "--plane never --alpn h2 --tls-min 1.3 "
			"--sessions 5 --full-per-s 6 --full-at-once 7 "
			"--idle 3 --connect-timeout 1 --handshake-timeout 2 "
			"--close-timeout 4 --auto-bytes 9") == 0);
	if (!config)
		return;
	config_client_opts(config->listeners, &opts);
	CHECK(opts.size == sizeof(opts));
	CHECK(opts.flags == KTC_CLIENT_INSECURE_NO_VERIFY);
	CHECK(opts.policy == KTC_POLICY_NEVER);
	CHECK_STR("h2", opts.alpn);
	CHECK(opts.version_min == KTC_TLS1_3 && opts.version_max == KTC_TLS1_3);
	CHECK(opts.sessions_max == 5 && opts.full_per_s == 6);
	CHECK(opts.full_at_once == 7 && opts.idle_timeout_ms == 3000);
	CHECK(opts.connect_timeout_ms == 1000 && opts.auto_bytes == 9);
	CHECK(opts.handshake_timeout_ms == 2000);
	CHECK(opts.close_timeout_ms == 4000);
	CHECK(read_line(PLACES) == 0);
	if (!config)
		return;
	config_client_opts(config->listeners, &opts);
	CHECK(!opts.flags && !opts.ca_file && !opts.alpn);
}

static void secrets_are_not_for_others_to_read(void)
{
	uint8_t key[KTC_EXPORT_KEY_LEN], want[KTC_EXPORT_KEY_LEN];
	const char *path = path_of("key");
	char line[256], text[256];
	size_t i;

	memset(want, 0xa5, sizeof(want));
	write_bytes(path, want, sizeof(want));
	CHECK(!config_tickets_key(path, key, why, sizeof(why)));
	CHECK(!memcmp(key, want, sizeof(want)));
	(void)snprintf(line, sizeof(line), OPEN PLACES "--tickets %s/t "
		       "--key-file %s", dir, path);
	CHECK(read_line(line) == 0);
	CHECK(!chmod(path, 0640));
	CHECK(read_line(line) == 0);
	CHECK(!chmod(path, 0604));
	CHECK(read_line(line) == -EINVAL);
	(void)snprintf(text, sizeof(text), "--key-file: everybody may read or "
		       "change %s (mode 0604); say chmod o-rwx %s", path, path);
	CHECK_STR(text, why);
	CHECK(!chmod(path, 0602));
	CHECK(read_line(line) == -EINVAL);
	CHECK(!chmod(path, 0600));

	for (i = 0; i < sizeof(want); i++)
		(void)snprintf(text + 2 * i, 3, "%02x", (unsigned int)(i * 8));
	(void)snprintf(text + 64, 3, "\r\n");
	write_bytes(path, text, 66);
	CHECK(!config_tickets_key(path, key, why, sizeof(why)));
	CHECK(key[0] == 0 && key[1] == 8 && key[31] == 248);
	write_bytes(path, text, 64);
	CHECK(!config_tickets_key(path, key, why, sizeof(why)));

	/* neither 32 bytes nor 64 digits, by one */
	memset(key, 0x11, sizeof(key));
	text[63] = 'g';
	write_bytes(path, text, 64);
	CHECK(config_tickets_key(path, key, why, sizeof(why)) == -EINVAL);
	write_bytes(path, text, 63);
	CHECK(config_tickets_key(path, key, why, sizeof(why)) == -EINVAL);
	write_bytes(path, want, 31);
	CHECK(config_tickets_key(path, key, why, sizeof(why)) == -EINVAL);
	memset(text, 'a', 80);
	write_bytes(path, text, 80);
	CHECK(config_tickets_key(path, key, why, sizeof(why)) == -EINVAL);
	CHECK(config_tickets_key("/nothing", key, why, sizeof(why)) ==
	      -ENOENT);
	CHECK(key[0] == 0x11 && key[31] == 0x11);
	CHECK(read_line(line) == -EINVAL);
	CHECK(strstr(why, "has neither 32 bytes nor 64 hexadecimal digits"));
}

/* a file beside this one; NULL where the sources are not at hand */
static char *beside(const char *name)
{
	const char *end = strrchr(__FILE__, '/');
	char path[256], *text;
	ssize_t len;
	int fd;

	(void)snprintf(path, sizeof(path), "%.*s%s",
		       end ? (int)(end + 1 - __FILE__) : 0, __FILE__, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		printf("# SKIP: %s is not here\n", path);
		return NULL;
	}
	text = calloc(1, 256 * 1024);
	if (!text)
		abort();
	len = read(fd, text, 256 * 1024 - 1);
	CHECK(len > 0);
	(void)close(fd);
	return text;
}

static void the_example_is_right(void)
{
	char *text = beside("ktc-proxy.conf");

	if (!text)
		return;
	CHECK(read_text(text) == 0);
	CHECK_STR("", why);
	CHECK(config && config->nr_listeners && config->metrics.text);
	free(text);
}

static void every_setting_is_in_the_manual(void)
{
	char *text = beside("../man/ktc-proxy.1");
	const struct opt_group *group;
	const struct opt *opt;
	char item[64];

	if (!text)
		return;
	for (group = config_all; group->title; group++) {
		for (opt = group->opts; opt->name; opt++) {
			(void)snprintf(item, sizeof(item), " Fl -%s%s",
				       opt->name, opt->arg ? " " : "\n");
			if (strstr(text, item))
				continue;
			printf("# not there: --%s\n", opt->name);
			ktap_failed = true;
		}
	}
	free(text);
}

static void limits_are_kept(void)
{
	static char text[2 * 1024 * 1024];
	char want[64];
	unsigned int i;
	int at = 0;

	for (i = 0; i <= CONFIG_LISTENERS_MAX; i++)
		at += snprintf(text + at, sizeof(text) - (size_t)at,
			       "[listener l%u]\nlisten = :%u\nto = a\n"
			       "insecure-no-verify = on\n", i, i + 1);
	CHECK(read_text(text) == -EINVAL);
	(void)snprintf(want, sizeof(want), ":%d: one listener too many: %d at "
		       "most", 4 * CONFIG_LISTENERS_MAX + 1,
		       CONFIG_LISTENERS_MAX);
	why_is(want);

	at = snprintf(text, sizeof(text), "[listener a]\nlisten = :1\n");
	for (i = 0; i <= CONFIG_ORIGINS_MAX; i++)
		at += snprintf(text + at, sizeof(text) - (size_t)at,
			       "to = o%u\n", i);
	CHECK(read_text(text) == -EINVAL);
	(void)snprintf(want, sizeof(want), ":%d: to: \"o%d\" is one too many: "
		       "%d at most", 3 + CONFIG_ORIGINS_MAX, CONFIG_ORIGINS_MAX,
		       CONFIG_ORIGINS_MAX);
	why_is(want);

	(void)snprintf(text, sizeof(text), "[listener a]\nto = %0250d\n", 1);
	CHECK(read_text(text) == -EINVAL);
	CHECK(strstr(why, ":2: longer than "));

	memset(text, '\n', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	CHECK(read_text(text) == -EINVAL);
	why_is(": longer than 1048576 bytes");

	(void)snprintf(text, sizeof(text), "--listen unix:/%0107d", 1);
	CHECK(read_line(text) == -EINVAL);
	CHECK(strstr(why, "is too long for a unix socket (107 bytes)"));
	(void)snprintf(text, sizeof(text), "--to %0254d", 1);
	CHECK(read_line(text) == -EINVAL);
	CHECK(strstr(why, "\" is no place to connect to"));
	CHECK(strlen(why) < CONFIG_WHY_LEN - 1);
}

/* a small generator of its own, so that a seed means the same everywhere */
static uint32_t random_next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void noise_is_refused_with_a_sentence(void)
{
	static const char *const bits[] = {
		"[global]\n", "[listener a]\n", "[listener ", "]", "\n",
		"listen = ", ":80", "to = ", "a,b", "unix:/x", "=", ";", "#",
		" ", "\t", "[", "alpn = h2\n", "idle = 5\n", "\r", "\001",
		"insecure-no-verify = on\n", "threads = 2\n", "groups = ",
		"P-256", "999999999999999999999", "-1", "\xff", "%n%s",
	};
	const size_t nr_bits = sizeof(bits) / sizeof(bits[0]);
	char text[1024];
	uint32_t seed = 20261128;
	int round, err;
	size_t len, n;

	for (round = 0; round < 3000; round++) {
		text[0] = '\0';
		for (len = 0, n = random_next(&seed) % 40; n; n--) {
			size_t bit = random_next(&seed) % nr_bits;

			len += (size_t)snprintf(text + len, sizeof(text) - len,
						"%s", bits[bit]);
		}
		err = read_text(text);
		CHECK(err == 0 || err == -EINVAL);
		CHECK(!err == !!config);
		CHECK(!err == !why[0]);
	}
	/* and bytes of no order at all */
	for (round = 0; round < 500; round++) {
		for (len = 0; len < 200; len++)
			text[len] = (char)random_next(&seed);
		write_bytes(file, text, len);
		(void)snprintf(text, sizeof(text), "--config %s", file);
		CHECK(read_line(text) == -EINVAL);
	}
}

static const struct ktap_test tests[] = {
	KTAP_TEST(two_places_are_enough),
	KTAP_TEST(places_have_many_shapes),
	KTAP_TEST(wrong_lines_say_what_is_wrong),
	KTAP_TEST(a_file_has_many_listeners),
	KTAP_TEST(wrong_files_say_where),
	KTAP_TEST(all_problems_are_told_by_check),
	KTAP_TEST(the_command_line_stands_above_the_file),
	KTAP_TEST(both_sources_say_the_same),
	KTAP_TEST(the_largest_numbers_are_the_librarys_too),
	KTAP_TEST(the_client_is_asked_what_the_listener_says),
	KTAP_TEST(secrets_are_not_for_others_to_read),
	KTAP_TEST(the_example_is_right),
	KTAP_TEST(every_setting_is_in_the_manual),
	KTAP_TEST(limits_are_kept),
	KTAP_TEST(noise_is_refused_with_a_sentence),
};

int main(void)
{
	static const char *const made[] = { "conf", "err", "key" };
	size_t i;
	int rc;

	if (!mkdtemp(dir))
		return 1;
	(void)snprintf(file, sizeof(file), "%s/conf", dir);
	rc = ktap_run(tests, sizeof(tests) / sizeof(tests[0]));
	config_free(config);
	for (i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		(void)unlink(path_of(made[i]));
	if (rmdir(dir))
		rc = 1;
	return rc;
}
