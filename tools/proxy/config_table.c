// SPDX-License-Identifier: MIT
/*
 * Every setting there is: name, type, default, limits, one line of help. The
 * command line's options, the file's keys, their error sentences and --help
 * follow from it. One thread at a time.
 */
#include "config_build.h"

#include <ktlsclient.h>

#include <string.h>

#define OF_CONFIG(f)   offsetof(struct config_build, config.f)
#define OF_LISTENER(f) offsetof(struct config_build, listener.f)

#define MINUTE_MS 60000u
#define HOUR_MS	  (60 * MINUTE_MS)
#define DAY_MS	  (24 * HOUR_MS)

/* longest value that is quoted */
#define QUOTED "\"%.200s\""

static int set_listen(const struct opt *opt, void *base, const char *text,
		      char *why, size_t why_len)
{
	struct config_build *build = base;

	(void)opt;
	/* two of them would be two listeners */
	if (build->listener.listen.text) {
		(void)snprintf(why, why_len, QUOTED " is one too many; a file "
			       "of --config has room for several", text);
		return -1;
	}
	return config_place_parse(build, text, CONFIG_TO_LISTEN,
				  &build->listener.listen, why, why_len);
}

static int set_metrics(const struct opt *opt, void *base, const char *text,
		       char *why, size_t why_len)
{
	struct config_build *build = base;

	(void)opt;
	return config_place_parse(build, text, CONFIG_TO_LISTEN,
				  &build->config.metrics, why, why_len);
}

static int add_origin(struct config_build *build, const char *text, size_t len,
		      char *why, size_t why_len)
{
	struct config_listener *listener = &build->listener;
	struct config_place place;
	const char *copy;
	unsigned int i;

	copy = config_string(build, text, len);
	if (!copy)
		return 0; /* build->err says it */
	if (config_place_parse(build, copy, CONFIG_TO_CONNECT, &place, why,
			       why_len))
		return -1;
	for (i = 0; i < listener->nr_origins; i++) {
		if (!config_place_same(&listener->origins[i], &place))
			continue;
		(void)snprintf(why, why_len, QUOTED " is there twice", copy);
		return -1;
	}
	if (listener->nr_origins == CONFIG_ORIGINS_MAX) {
		(void)snprintf(why, why_len, QUOTED " is one too many: %d at "
			       "most", copy, CONFIG_ORIGINS_MAX);
		return -1;
	}
	listener->origins[listener->nr_origins++] = place;
	return 0;
}

/* "a:443" or "a:443, b:443"; those given before stay */
static int set_to(const struct opt *opt, void *base, const char *text,
		  char *why, size_t why_len)
{
	const char *end;
	size_t len;

	(void)opt;
	for (;; text = end + 1) {
		text += strspn(text, " \t");
		end = text + strcspn(text, ",");
		len = (size_t)(end - text);
		while (len && strchr(" \t", text[len - 1]))
			len--;
		if (add_origin(base, text, len, why, why_len))
			return -1;
		if (!*end)
			return 0;
	}
}

static int set_mode(const struct opt *opt, void *base, const char *text,
		    char *why, size_t why_len)
{
	uint32_t mode = 0;
	const char *p;

	for (p = text; *p >= '0' && *p <= '7' && p - text < 4; p++)
		mode = mode * 8 + (uint32_t)(*p - '0');
	if (*p || p - text < 3 || mode > 0777) {
		(void)snprintf(why, why_len, QUOTED " is no octal mode such as "
			       "0660", text);
		return -1;
	}
	memcpy((char *)base + opt->field, &mode, sizeof(mode));
	return 0;
}

static int set_tls(const struct opt *opt, void *base, const char *text,
		   char *why, size_t why_len)
{
	uint16_t version;

	if (!strcmp(text, "1.2")) {
		version = KTC_TLS1_2;
	} else if (!strcmp(text, "1.3")) {
		version = KTC_TLS1_3;
	} else {
		(void)snprintf(why, why_len, QUOTED " is neither 1.2 nor 1.3",
			       text);
		return -1;
	}
	memcpy((char *)base + opt->field, &version, sizeof(version));
	return 0;
}

static const struct opt_choice planes[] = {
	{ "auto", KTC_POLICY_AUTO },
	{ "always", KTC_POLICY_ALWAYS },
	{ "never", KTC_POLICY_NEVER },
	{ NULL, 0 },
};

static const struct opt_choice headers[] = {
	{ "none", CONFIG_PROXY_NONE },
	{ "v1", CONFIG_PROXY_V1 },
	{ "v2", CONFIG_PROXY_V2 },
	{ NULL, 0 },
};

static const struct opt_choice levels[] = {
	{ "error", CONFIG_ERROR },
	{ "warn", CONFIG_WARN },
	{ "info", CONFIG_INFO },
	{ "debug", CONFIG_DEBUG },
	{ NULL, 0 },
};

static const struct opt places[] = {
	{ .name = "listen", .letter = 'l', .type = OPT_CALL,
	  .call = set_listen, .field = OF_LISTENER(listen), .arg = "PLACE",
	  .help = "where clients come in, in plaintext: host:port, "
	  "[v6]:port, :port or unix:/path" },
	{ .name = "to", .letter = 't', .type = OPT_CALL, .call = set_to,
	  .field = OF_LISTENER(origins), .arg = "PLACE[,PLACE]...",
	  .help = "where they are taken to, over TLS: host:port, host (port "
	  "443), [v6]:port or unix:/path; may be given several times: the "
	  "origin with the fewest connections is used" },
	{ .name = "listen-mode", .type = OPT_CALL, .call = set_mode,
	  .field = OF_LISTENER(listen_mode), .arg = "MODE", .def = "0660",
	  .help = "permissions of a unix socket that is listened on" },
	{ .name = "proxy-in", .type = OPT_FLAG,
	  .field = OF_LISTENER(proxy_in),
	  .help = "every client begins with a PROXY protocol header, v1 or "
	  "v2" },
	{ .name = "proxy-out", .type = OPT_CHOICE,
	  .field = OF_LISTENER(proxy_out), .arg = "VERSION", .def = "none",
	  .choices = headers,
	  .help = "begin each connection to an origin with a PROXY protocol "
	  "header" },
	{ .name = NULL },
};

static const struct opt trust[] = {
	{ .name = "ca", .type = OPT_STRING, .field = OF_LISTENER(ca),
	  .arg = "FILE", .help = "PEM file of trust anchors; neither --ca nor "
	  "--ca-dir: the system's" },
	{ .name = "ca-dir", .type = OPT_STRING, .field = OF_LISTENER(ca_dir),
	  .arg = "DIR", .help = "directory of hashed trust anchors" },
	{ .name = "crl", .type = OPT_STRING, .field = OF_LISTENER(crl),
	  .arg = "FILE", .help = "PEM file of revocation lists" },
	{ .name = "cert", .type = OPT_STRING, .field = OF_LISTENER(cert),
	  .arg = "FILE", .help = "PEM certificate chain to present" },
	{ .name = "key", .type = OPT_STRING, .field = OF_LISTENER(key),
	  .arg = "FILE", .help = "PEM private key of --cert" },
	{ .name = "sni", .type = OPT_STRING, .field = OF_LISTENER(sni),
	  .arg = "NAME", .help = "name to ask for and to verify; else the "
	  "origin's host" },
	{ .name = "alpn", .type = OPT_STRING, .field = OF_LISTENER(alpn),
	  .arg = "NAMES", .help = "protocols to offer, as h2,http/1.1" },
	{ .name = "tls12-ciphers", .type = OPT_STRING,
	  .field = OF_LISTENER(tls12_ciphers), .arg = "LIST",
	  .help = "TLS 1.2 suites, OpenSSL's names, colons between" },
	{ .name = "tls13-suites", .type = OPT_STRING,
	  .field = OF_LISTENER(tls13_suites), .arg = "LIST",
	  .help = "the same for TLS 1.3" },
	{ .name = "groups", .type = OPT_STRING, .field = OF_LISTENER(groups),
	  .arg = "LIST", .help = "key exchange groups, colons between" },
	{ .name = "tls-min", .type = OPT_CALL, .call = set_tls,
	  .field = OF_LISTENER(tls_min), .arg = "VERSION", .def = "1.2",
	  .help = "oldest version: 1.2 or 1.3" },
	{ .name = "tls-max", .type = OPT_CALL, .call = set_tls,
	  .field = OF_LISTENER(tls_max), .arg = "VERSION", .def = "1.3",
	  .help = "newest version" },
	{ .name = "insecure-no-verify", .type = OPT_FLAG,
	  .field = OF_LISTENER(insecure),
	  .help = "take any certificate: whoever is on the way can read and "
	  "change everything" },
	{ .name = NULL },
};

static const struct opt moving[] = {
	{ .name = "plane", .letter = 'p', .type = OPT_CHOICE,
	  .field = OF_LISTENER(plane), .arg = "PLANE", .def = "auto",
	  .choices = planes,
	  .help = "whether the kernel does the records" },
	{ .name = "auto-bytes", .type = OPT_BYTES,
	  .field = OF_LISTENER(auto_bytes), .arg = "BYTES", .def = "256k",
	  .min = 1, .max = UINT64_C(1) << 50,
	  .help = "bytes before a connection of plane auto moves to the "
	  "kernel" },
	{ .name = "relay-module", .type = OPT_BOOL,
	  .field = OF_LISTENER(relay_module), .arg = "on|off", .def = "on",
	  .help = "let the kernel module move the bytes, where it is loaded" },
	{ .name = NULL },
};

static const struct opt reconnects[] = {
	{ .name = "sessions", .type = OPT_UINT,
	  .field = OF_LISTENER(sessions_max), .arg = "N", .def = "10000",
	  .min = 1, .max = 1000000, .help = "TLS sessions kept" },
	{ .name = "tickets", .type = OPT_STRING,
	  .field = OF_LISTENER(tickets), .arg = "FILE",
	  .help = "keep the sessions in it over a restart, sealed" },
	{ .name = "key-file", .type = OPT_STRING,
	  .field = OF_LISTENER(tickets_key), .arg = "FILE",
	  .help = "key of --tickets: 32 bytes, or 64 hexadecimal digits" },
	{ .name = "full-per-s", .type = OPT_UINT,
	  .field = OF_LISTENER(full_per_s), .arg = "N", .def = "2000",
	  .max = 100000,
	  .help = "full handshakes begun in a second with one origin; 0: any "
	  "number" },
	{ .name = "full-at-once", .type = OPT_UINT,
	  .field = OF_LISTENER(full_at_once), .arg = "N", .def = "256",
	  .max = 65536,
	  .help = "full handshakes under way with one origin; 0: any number" },
	{ .name = "warm", .letter = 'w', .type = OPT_UINT,
	  .field = OF_LISTENER(warm), .arg = "N", .def = "0", .max = 4096,
	  .help = "handshaken connections kept ready for each origin" },
	{ .name = "warm-idle", .type = OPT_MS,
	  .field = OF_LISTENER(warm_idle_ms), .arg = "TIME", .def = "30s",
	  .min = 100, .max = DAY_MS,
	  .help = "a ready one that nobody took is replaced after that; keep "
	  "it below the origin's own limit" },
	{ .name = NULL },
};

static const struct opt limits[] = {
	{ .name = "clients-max", .type = OPT_UINT,
	  .field = OF_LISTENER(clients_max), .arg = "N", .def = "10000",
	  .min = 1, .max = 1000000, .help = "clients of a listener at once" },
	{ .name = "origin-max", .type = OPT_UINT,
	  .field = OF_LISTENER(origin_max), .arg = "N", .def = "0",
	  .max = 1000000,
	  .help = "connections to one origin at once; 0: no limit" },
	{ .name = "connect-timeout", .type = OPT_MS,
	  .field = OF_LISTENER(connect_ms), .arg = "TIME", .def = "10s",
	  .min = 1, .max = HOUR_MS, .help = "name, TCP and waiting for a "
	  "handshake's turn" },
	{ .name = "handshake-timeout", .type = OPT_MS,
	  .field = OF_LISTENER(handshake_ms), .arg = "TIME", .def = "10s",
	  .min = 1, .max = HOUR_MS, .help = "TLS handshake" },
	{ .name = "header-timeout", .type = OPT_MS,
	  .field = OF_LISTENER(header_ms), .arg = "TIME", .def = "5s",
	  .min = 1, .max = HOUR_MS, .help = "for the header of --proxy-in" },
	{ .name = "idle", .type = OPT_MS, .field = OF_LISTENER(idle_ms),
	  .arg = "TIME", .def = "60m", .max = 30 * DAY_MS,
	  .help = "longest time without a byte either way; 0: no limit" },
	{ .name = "lifetime", .type = OPT_MS,
	  .field = OF_LISTENER(lifetime_ms), .arg = "TIME", .def = "0",
	  .max = 30 * DAY_MS,
	  .help = "longest life of a connection; 0: no limit" },
	{ .name = "close-timeout", .type = OPT_MS,
	  .field = OF_LISTENER(close_ms), .arg = "TIME", .def = "5s",
	  .min = 1, .max = HOUR_MS, .help = "for an orderly end" },
	{ .name = "retry", .type = OPT_MS, .field = OF_LISTENER(retry_ms),
	  .arg = "TIME", .def = "500ms", .min = 1, .max = HOUR_MS,
	  .help = "first pause of an origin that failed; it doubles" },
	{ .name = "retry-max", .type = OPT_MS,
	  .field = OF_LISTENER(retry_max_ms), .arg = "TIME", .def = "30s",
	  .min = 1, .max = HOUR_MS, .help = "longest pause" },
	{ .name = "keepalive", .type = OPT_MS,
	  .field = OF_LISTENER(keepalive_ms), .arg = "TIME", .def = "60s",
	  .max = DAY_MS,
	  .help = "idle time before TCP asks whether the other side is there; "
	  "0: never" },
	{ .name = "fastopen", .type = OPT_BOOL,
	  .field = OF_LISTENER(fastopen), .arg = "on|off", .def = "off",
	  .help = "TCP Fast Open, both sides" },
	{ .name = NULL },
};

static const struct opt process[] = {
	{ .name = "threads", .letter = 'j', .type = OPT_UINT,
	  .field = OF_CONFIG(threads), .arg = "N", .def = "0",
	  .max = CONFIG_THREADS_MAX, .help = "loops; 0: one for each CPU" },
	{ .name = "buffers", .type = OPT_UINT, .field = OF_CONFIG(buffers),
	  .arg = "N", .def = "256", .min = 8, .max = 32768,
	  .help = "receive buffers of a loop, of 16 KiB; a power of two" },
	{ .name = "clients-total", .type = OPT_UINT,
	  .field = OF_CONFIG(clients_max), .arg = "N", .def = "50000",
	  .min = 1, .max = 1000000,
	  .help = "clients of all listeners at once" },
	{ .name = "drain", .type = OPT_MS, .field = OF_CONFIG(drain_ms),
	  .arg = "TIME", .def = "30s", .max = DAY_MS,
	  .help = "how long SIGTERM, a reload or an upgrade waits for "
	  "connections to end" },
	{ .name = "user", .type = OPT_STRING, .field = OF_CONFIG(user),
	  .arg = "NAME", .help = "run as this user once all is open" },
	{ .name = "group", .type = OPT_STRING, .field = OF_CONFIG(group),
	  .arg = "NAME", .help = "and this group; else the user's" },
	{ .name = "control", .type = OPT_STRING, .field = OF_CONFIG(control),
	  .arg = "SOCKET", .help = "unix socket for --status and --takeover" },
	{ .name = "metrics", .letter = 'm', .type = OPT_CALL,
	  .call = set_metrics, .field = OF_CONFIG(metrics), .arg = "PLACE",
	  .help = "serve Prometheus metrics there, by HTTP" },
	{ .name = "log-level", .type = OPT_CHOICE,
	  .field = OF_CONFIG(log_level), .arg = "LEVEL", .def = "info",
	  .choices = levels, .help = "what is worth a line on stderr" },
	{ .name = NULL },
};

static const struct opt run[] = {
	{ .name = "config", .letter = 'c', .type = OPT_STRING,
	  .field = offsetof(struct config_build, config_file), .arg = "FILE",
	  .help = "read the settings from a file; SIGHUP reads it again" },
	{ .name = "check", .type = OPT_FLAG, .field = OF_CONFIG(check),
	  .help = "say whether the settings are right, and exit" },
	{ .name = "status", .type = OPT_FLAG, .field = OF_CONFIG(status),
	  .help = "show what the proxy behind --control does, and exit" },
	{ .name = "takeover", .type = OPT_STRING,
	  .field = OF_CONFIG(takeover), .arg = "SOCKET",
	  .help = "take listeners, sessions and connections over from the "
	  "proxy behind this control socket" },
	{ .name = "version", .letter = 'V', .type = OPT_FLAG,
	  .field = offsetof(struct config_build, version),
	  .help = "show the version, and exit" },
	{ .name = NULL },
};

#define GROUPS_OF_LISTENER                                         \
	{ "Places", places }, { "TLS", trust }, { "Bytes", moving }, \
		{ "Reconnects", reconnects }, { "Limits", limits }

#define GROUPS_OF_PROCESS { "Process", process }

const struct opt_group config_of_listener[] = {
	GROUPS_OF_LISTENER,
	{ NULL, NULL },
};

const struct opt_group config_of_process[] = {
	GROUPS_OF_PROCESS,
	{ NULL, NULL },
};

const struct opt_group config_all[] = {
	GROUPS_OF_LISTENER,
	GROUPS_OF_PROCESS,
	{ "This run", run },
	{ NULL, NULL },
};

unsigned int config_index(const struct opt *opt)
{
	const struct opt_group *group;
	const struct opt *o;
	unsigned int i = 0;

	for (group = config_all; group->title; group++)
		for (o = group->opts; o->name; o++, i++)
			if (o == opt)
				return i;
	return OPT_COUNT_MAX - 1;
}
