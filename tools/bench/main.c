// SPDX-License-Identifier: MIT
/*
 * ktc-bench: do offload and resumption pay on this machine? This file holds
 * the command and option tables, checks that options make sense together,
 * and runs one command. Exit status: 0, 1 when a connection failed, 2 for a
 * command line that makes no sense or a run that could not begin.
 */
#include <ktlsclient.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/opt.h"
#include "cache.h"
#include "cache_report.h"
#include "connect.h"
#include "relay.h"
#include "relay_report.h"
#include "report.h"
#include "stream.h"

#define EXIT_FAILED 1
#define EXIT_USAGE 2

#define DEFAULT_DURATION_MS 10000

#define FIELD(f) offsetof(struct options, f)
#define CACHE_FIELD(f) offsetof(struct cache_options, f)
#define RELAY_FIELD(f) offsetof(struct relay_options, f)

static const struct opt_choice on_off[] = {
	{ "on", 1 },
	{ "off", 0 },
	{ NULL, 0 },
};

static const struct opt_choice planes[] = {
	{ "auto", KTC_POLICY_AUTO },
	{ "always", KTC_POLICY_ALWAYS },
	{ "never", KTC_POLICY_NEVER },
	{ NULL, 0 },
};

static const struct opt_choice versions[] = {
	{ "1.2", BENCH_TLS_1_2 },
	{ "1.3", BENCH_TLS_1_3 },
	{ "any", BENCH_TLS_ANY },
	{ NULL, 0 },
};

static const struct opt_choice dirs[] = {
	{ "down", BENCH_DOWN },
	{ "up", BENCH_UP },
	{ NULL, 0 },
};

/* options that both commands have, word for word */
#define OPT_CONNECTIONS                                                      \
	{ .name = "connections", .letter = 'c', .type = OPT_UINT,            \
	  .field = FIELD(connections), .arg = "N", .def = "1", .min = 1,     \
	  .max = BENCH_CONNECTIONS_MAX, .help = "connections at once" }
#define OPT_THREADS                                                          \
	{ .name = "threads", .letter = 't', .type = OPT_UINT,                \
	  .field = FIELD(threads), .arg = "N", .def = "1", .min = 1,         \
	  .max = BENCH_THREADS_MAX,                                          \
	  .help = "threads, each with a loop of its own" }
#define OPT_TIMEOUT                                                          \
	{ .name = "timeout", .type = OPT_MS, .field = FIELD(timeout_ms),     \
	  .arg = "TIME", .def = "10s", .min = 1, .max = 86400000,            \
	  .help = "longest time for TCP, for the handshake, and without a "  \
		  "byte after that" }

static const struct opt connect_load[] = {
	OPT_CONNECTIONS,
	OPT_THREADS,
	{ .name = "duration", .letter = 'd', .type = OPT_MS,
	  .field = FIELD(duration_ms), .arg = "TIME", .min = 1,
	  .help = "how long to measure (default 10 s, or no limit with "
		  "--count)" },
	{ .name = "count", .letter = 'n', .type = OPT_UINT,
	  .field = FIELD(count), .arg = "N", .min = 1,
	  .max = INT64_MAX, .help = "how many connections to measure" },
	{ .name = "warmup", .type = OPT_UINT, .field = FIELD(warmup),
	  .arg = "N", .max = INT64_MAX,
	  .help = "connections before the measurement (default: as many as "
		  "--connections)" },
	OPT_TIMEOUT,
	{ .name = "max-errors", .type = OPT_UINT, .field = FIELD(errors_max),
	  .arg = "N", .def = "1000",
	  .help = "stop after so many failed connections; 0: never" },
	{ .name = NULL },
};

static const struct opt stream_load[] = {
	OPT_CONNECTIONS,
	OPT_THREADS,
	{ .name = "dir", .type = OPT_CHOICE, .field = FIELD(dir),
	  .arg = "DIR", .def = "down", .choices = dirs,
	  .help = "which way the bytes go" },
	{ .name = "duration", .letter = 'd', .type = OPT_MS,
	  .field = FIELD(duration_ms), .arg = "TIME", .min = 1,
	  .help = "how long to measure (default 10 s, or no limit with "
		  "--bytes)" },
	{ .name = "bytes", .letter = 'b', .type = OPT_BYTES,
	  .field = FIELD(bytes), .arg = "BYTES", .min = 1,
	  .help = "bytes in all, shared equally by the connections" },
	{ .name = "path", .type = OPT_STRING, .field = FIELD(path),
	  .arg = "PATH",
	  .help = "what to GET (default /big) or PUT (default /sink)" },
	{ .name = "chunk", .type = OPT_BYTES, .field = FIELD(chunk),
	  .arg = "BYTES", .def = "256k", .min = 1, .max = 1 << 28,
	  .help = "up: bytes of one send" },
	{ .name = "put-size", .type = OPT_BYTES, .field = FIELD(put_size),
	  .arg = "BYTES", .def = "1G", .min = 1,
	  .help = "up: bytes of one PUT when --bytes does not say" },
	{ .name = "sendfile", .type = OPT_STRING, .field = FIELD(sendfile),
	  .arg = "FILE", .help = "up: send this file, over and over" },
	OPT_TIMEOUT,
	{ .name = NULL },
};

static const struct opt exchange[] = {
	{ .name = "request", .type = OPT_STRING, .field = FIELD(request_text),
	  .arg = "WHAT", .def = "http",
	  .help = "BYTES, a number of them; http, a GET; or a text with \\r "
		  "\\n \\t \\0" },
	{ .name = "response", .type = OPT_STRING,
	  .field = FIELD(response_text), .arg = "WHAT", .def = "eof",
	  .help = "read until: BYTES came, eof, or none: do not wait" },
	{ .name = "path", .type = OPT_STRING, .field = FIELD(path),
	  .arg = "PATH", .def = "/", .help = "what to GET" },
	{ .name = NULL },
};

static const struct opt tls[] = {
	{ .name = "resume", .type = OPT_CHOICE, .field = FIELD(resume),
	  .arg = "WHETHER", .def = "on", .choices = on_off,
	  .help = "offer sessions" },
	{ .name = "plane", .type = OPT_CHOICE, .field = FIELD(plane),
	  .arg = "POLICY", .def = "auto", .choices = planes,
	  .help = "records by kernel TLS" },
	{ .name = "auto-bytes", .type = OPT_BYTES, .field = FIELD(auto_bytes),
	  .arg = "BYTES",
	  .help = "bytes after which plane auto moves to the kernel (default: "
		  "the library's)" },
	{ .name = "tls", .type = OPT_CHOICE, .field = FIELD(tls),
	  .arg = "VERSION", .def = "any", .choices = versions,
	  .help = "version of TLS" },
	{ .name = "ca", .type = OPT_STRING, .field = FIELD(ca),
	  .arg = "FILE", .help = "trust anchors, PEM (default: the "
				 "system's)" },
	{ .name = "ca-dir", .type = OPT_STRING, .field = FIELD(ca_dir),
	  .arg = "DIR", .help = "directory of hashed trust anchors" },
	{ .name = "cert", .type = OPT_STRING, .field = FIELD(cert),
	  .arg = "FILE", .help = "client certificate chain, PEM" },
	{ .name = "key", .type = OPT_STRING, .field = FIELD(key),
	  .arg = "FILE", .help = "its private key, PEM" },
	{ .name = "insecure", .type = OPT_FLAG, .field = FIELD(insecure),
	  .help = "do not verify the server's certificate" },
	{ .name = "sni", .type = OPT_STRING, .field = FIELD(sni),
	  .arg = "NAME",
	  .help = "name for SNI and verification (default: HOST)" },
	{ .name = "alpn", .type = OPT_STRING, .field = FIELD(alpn),
	  .arg = "LIST", .help = "protocols to offer, comma-separated" },
	{ .name = "tls12-ciphers", .type = OPT_STRING,
	  .field = FIELD(tls12_ciphers), .arg = "LIST",
	  .help = "TLS 1.2 suites, OpenSSL names" },
	{ .name = "tls13-suites", .type = OPT_STRING,
	  .field = FIELD(tls13_suites), .arg = "LIST",
	  .help = "TLS 1.3 suites" },
	{ .name = "groups", .type = OPT_STRING, .field = FIELD(groups),
	  .arg = "LIST", .help = "key exchange groups" },
	{ .name = "tickets", .type = OPT_UINT, .field = FIELD(tickets),
	  .arg = "N", .max = UINT32_MAX,
	  .help = "most TLS 1.3 tickets kept (default: 256, or as many as "
		  "--connections, up to 1024)" },
	{ .name = NULL },
};

static const struct opt output[] = {
	{ .name = "json", .type = OPT_FLAG, .field = FIELD(json),
	  .help = "print one JSON document" },
	{ .name = "live", .type = OPT_FLAG, .field = FIELD(live),
	  .help = "a line on standard error each second, also when that is no "
		  "terminal" },
	{ .name = "fail-ok", .type = OPT_FLAG, .field = FIELD(fail_ok),
	  .help = "exit with 0 though connections failed" },
	{ .name = NULL },
};

static const struct opt_choice cache_ops[] = {
	{ "all", BENCH_ALL },
	{ "take+give", CACHE_TAKE_GIVE },
	{ "share", CACHE_SHARE },
	{ NULL, 0 },
};

static const struct opt_choice cache_skews[] = {
	{ "all", BENCH_ALL },
	{ "uniform", CACHE_UNIFORM },
	{ "zipf", CACHE_ZIPF },
	{ NULL, 0 },
};

static const struct opt_choice cache_store_ids[] = {
	{ "all", BENCH_ALL },
	{ "inventory", CACHE_INVENTORY },
	{ "mutex-list", CACHE_MUTEX_LIST },
	{ "sharded-mutex", CACHE_SHARDED_MUTEX },
	{ "openssl", CACHE_OPENSSL },
	{ NULL, 0 },
};

static const struct opt cache_load[] = {
	{ .name = "threads", .letter = 't', .type = OPT_STRING,
	  .field = CACHE_FIELD(threads), .arg = "LIST", .def = "1,2",
	  .help = "how many threads at once; one after the other" },
	{ .name = "origins", .type = OPT_STRING,
	  .field = CACHE_FIELD(origins), .arg = "LIST", .def = "1,16,10000",
	  .help = "of how many origins they keep sessions" },
	{ .name = "skew", .type = OPT_CHOICE, .field = CACHE_FIELD(skew),
	  .arg = "HOW", .def = "all", .choices = cache_skews,
	  .help = "how a thread chooses an origin" },
	{ .name = "op", .type = OPT_CHOICE, .field = CACHE_FIELD(op),
	  .arg = "WHAT", .def = "all", .choices = cache_ops,
	  .help = "tickets used once, or sessions that are shared" },
	{ .name = "store", .type = OPT_CHOICE, .field = CACHE_FIELD(store),
	  .arg = "WHICH", .def = "all", .choices = cache_store_ids,
	  .help = "who keeps them" },
	{ .name = "duration", .letter = 'd', .type = OPT_MS,
	  .field = CACHE_FIELD(duration_ms), .arg = "TIME", .def = "300ms",
	  .min = 1, .max = 60000, .help = "how long one run takes" },
	{ .name = "repeat", .letter = 'r', .type = OPT_UINT,
	  .field = CACHE_FIELD(repeat), .arg = "N", .def = "5", .min = 1,
	  .max = CACHE_REPEAT_MAX, .help = "how many runs of each" },
	{ .name = NULL },
};

static const struct opt cache_output[] = {
	{ .name = "json", .type = OPT_FLAG, .field = CACHE_FIELD(json),
	  .help = "print one JSON document" },
	{ .name = "live", .type = OPT_FLAG, .field = CACHE_FIELD(live),
	  .help = "a line on standard error each second, also when that is no "
		  "terminal" },
	{ .name = NULL },
};

static const struct opt_group cache_groups[] = {
	{ "Load", cache_load },
	{ "Output", cache_output },
	{ NULL, NULL },
};

static const struct opt_choice relay_ways[] = {
	{ "all", BENCH_ALL },	      { "module", RELAY_MODULE },
	{ "kernel", RELAY_KERNEL },   { "user", RELAY_USER },
	{ "nginx", RELAY_NGINX },     { NULL, 0 },
};

static const struct opt_choice relay_plains[] = {
	{ "all", BENCH_ALL },
	{ "tcp", RELAY_TCP },
	{ "unix", RELAY_UNIX },
	{ NULL, 0 },
};

static const struct opt_choice relay_loads[] = {
	{ "all", BENCH_ALL },
	{ "down", RELAY_DOWN },
	{ "up", RELAY_UP },
	{ "pingpong", RELAY_PINGPONG },
	{ "down-small", RELAY_DOWN_SMALL },
	{ "up-small", RELAY_UP_SMALL },
	{ NULL, 0 },
};

static const struct opt_choice relay_versions[] = {
	{ "1.2", BENCH_TLS_1_2 },
	{ "1.3", BENCH_TLS_1_3 },
	{ NULL, 0 },
};

static const struct opt relay_load[] = {
	{ .name = "way", .type = OPT_CHOICE, .field = RELAY_FIELD(way),
	  .arg = "WHICH", .def = "all", .choices = relay_ways,
	  .help = "who relays: the kernel module, the library's loop on the "
		  "kernel or the user plane, nginx" },
	{ .name = "plain", .type = OPT_CHOICE, .field = RELAY_FIELD(plain),
	  .arg = "KIND", .def = "all", .choices = relay_plains,
	  .help = "kind of the plain socket" },
	{ .name = "load", .type = OPT_CHOICE, .field = RELAY_FIELD(load),
	  .arg = "WHAT", .def = "all", .choices = relay_loads,
	  .help = "what goes through" },
	{ .name = "bytes", .letter = 'b', .type = OPT_BYTES,
	  .field = RELAY_FIELD(bytes), .arg = "BYTES", .def = "8M", .min = 1,
	  .max = UINT64_C(1) << 40, .help = "of one run with large messages" },
	{ .name = "messages", .letter = 'n', .type = OPT_UINT,
	  .field = RELAY_FIELD(messages), .arg = "N", .def = "3000", .min = 1,
	  .max = UINT64_C(1) << 32,
	  .help = "of one run with small ones" },
	{ .name = "message", .type = OPT_BYTES, .field = RELAY_FIELD(message),
	  .arg = "BYTES", .def = "16k", .min = 1, .max = RELAY_MESSAGE_MAX,
	  .help = "a large message" },
	{ .name = "small", .type = OPT_BYTES, .field = RELAY_FIELD(small),
	  .arg = "BYTES", .def = "256", .min = 1, .max = RELAY_MESSAGE_MAX,
	  .help = "a small message" },
	{ .name = "repeat", .letter = 'r', .type = OPT_UINT,
	  .field = RELAY_FIELD(repeat), .arg = "N", .def = "3", .min = 1,
	  .max = RELAY_REPEAT_MAX, .help = "how many runs of each" },
	{ .name = "timeout", .type = OPT_MS, .field = RELAY_FIELD(timeout_ms),
	  .arg = "TIME", .def = "60s", .min = 1, .max = 86400000,
	  .help = "longest time of one run" },
	{ .name = NULL },
};

static const struct opt relay_how[] = {
	{ .name = "tls", .type = OPT_CHOICE, .field = RELAY_FIELD(tls),
	  .arg = "VERSION", .def = "1.3", .choices = relay_versions,
	  .help = "version of TLS" },
	{ .name = "nginx", .type = OPT_STRING, .field = RELAY_FIELD(nginx),
	  .arg = "PROGRAM", .def = "nginx", .help = "which nginx" },
	{ .name = "nginx-module", .type = OPT_STRING,
	  .field = RELAY_FIELD(nginx_module), .arg = "FILE",
	  .help = "its stream module (default: where Debian has it; built in "
		  "if that is not there)" },
	{ .name = "alone", .type = OPT_FLAG, .field = RELAY_FIELD(alone),
	  .help = "nothing else runs on this machine: kernel threads work for "
		  "the relay" },
	{ .name = NULL },
};

static const struct opt relay_output[] = {
	{ .name = "json", .type = OPT_FLAG, .field = RELAY_FIELD(json),
	  .help = "print one JSON document" },
	{ .name = "live", .type = OPT_FLAG, .field = RELAY_FIELD(live),
	  .help = "say on standard error what is measured, also when that is "
		  "no terminal" },
	{ .name = NULL },
};

static const struct opt_group relay_groups[] = {
	{ "Load", relay_load },
	{ "Relay", relay_how },
	{ "Output", relay_output },
	{ NULL, NULL },
};

static const struct opt_group connect_groups[] = {
	{ "Load", connect_load },
	{ "Exchange", exchange },
	{ "TLS", tls },
	{ "Output", output },
	{ NULL, NULL },
};

static const struct opt_group stream_groups[] = {
	{ "Load", stream_load },
	{ "TLS", tls },
	{ "Output", output },
	{ NULL, NULL },
};

static int usage(const char *why)
{
	fprintf(stderr, "ktc-bench: %s\n", why);
	return EXIT_USAGE;
}

/* the rules that tie one option to another; NULL when all is well */
static const char *check(const struct options *o)
{
	if (o->threads > o->connections)
		return "--threads: more than --connections";
	if (o->insecure && (o->ca || o->ca_dir))
		return "--insecure: verifies nothing, so no --ca and --ca-dir";
	if (!o->insecure && !o->sni && !strncmp(o->target, "unix:", 5))
		return "--sni: needed to verify a server on a unix socket";
	if (!o->cert != !o->key)
		return "--cert and --key: one needs the other";
	if (o->sendfile && o->dir != BENCH_UP)
		return "--sendfile: only with --dir up";
	return NULL;
}

static void defaults(struct options *o)
{
	if (!o->duration_ms && !o->count && !o->bytes)
		o->duration_ms = DEFAULT_DURATION_MS;
	if (o->warmup == BENCH_WARMUP_AUTO)
		o->warmup = o->connections;
	if (!o->path)
		o->path = o->dir == BENCH_UP ? "/sink" : "/big";
}

static int run_and_report(struct run *run)
{
	char why[512];
	int64_t failed;

	if (run_all(run, why, sizeof(why)))
		return usage(why);
	failed = report(run, stdout);
	run_fini(run);
	if (failed < 0)
		return usage("the report could not be written");
	return failed && !run->opts->fail_ok ? EXIT_FAILED : 0;
}

/* as typed, for the report: parsing permutes argv; NULL: no memory */
static char **copy_argv(int argc, char **argv)
{
	char **copy = calloc((size_t)argc + 1, sizeof(*copy));

	if (copy)
		memcpy(copy, argv, (size_t)argc * sizeof(*argv));
	return copy;
}

/* 0, or an exit status + 1; o->argv is to be freed either way */
static int parse(struct options *o, const struct opt_command *cmd, int argc,
		 char **argv)
{
	char why[OPT_WHY_LEN];
	const char *wrong;
	int at;

	memset(o, 0, sizeof(*o));
	o->warmup = BENCH_WARMUP_AUTO;
	o->argv = copy_argv(argc, argv);
	if (!o->argv)
		return usage("out of memory") + 1;
	o->argc = argc;
	at = opt_parse(cmd->groups, o, argc, argv, why, sizeof(why));
	if (at == OPT_HELP) {
		opt_help_command(stdout, "ktc-bench", cmd);
		return 1;
	}
	if (at < 0)
		return usage(why) + 1;
	if (argc - at != 1)
		return usage("one target is needed, HOST:PORT or unix:PATH") +
		       1;
	o->target = argv[at];
	wrong = check(o);
	if (wrong)
		return usage(wrong) + 1;
	defaults(o);
	return 0;
}

/* 0, or an exit status + 1 */
static int prepare(struct options *o, struct target *target)
{
	char why[512];
	int err;

	err = target_resolve(target, o->target, why, sizeof(why));
	if (!err && o->command == BENCH_STREAM)
		err = stream_prepare(o, target, why, sizeof(why));
	else if (!err)
		err = connect_prepare(o, target, why, sizeof(why));
	return err ? usage(why) + 1 : 0;
}

static int bench(enum bench_command command, const struct run_ops *ops,
		 const struct opt_command *cmd, int argc, char **argv)
{
	struct target target;
	struct options o;
	struct run run = {
		.opts = &o,
		.target = &target,
		.ops = ops,
	};
	int status;

	status = parse(&o, cmd, argc, argv);
	o.command = command;
	if (!status)
		status = prepare(&o, &target);
	if (status)
		status--;
	else
		status = run_and_report(&run);
	stream_fini();
	connect_fini();
	free(o.argv);
	return status;
}

static int cmd_connect(const struct opt_command *cmd, int argc, char **argv)
{
	return bench(BENCH_CONNECT, &connect_ops, cmd, argc, argv);
}

static int cmd_stream(const struct opt_command *cmd, int argc, char **argv)
{
	return bench(BENCH_STREAM, &stream_ops, cmd, argc, argv);
}

static int cache_run_and_report(const struct cache_options *o)
{
	struct cache_result result;
	char why[512];
	int err;

	if (cache_run(&result, o, why, sizeof(why)))
		return usage(why);
	err = cache_report(&result, stdout);
	cache_fini(&result);
	return err ? usage("the report could not be written") : 0;
}

static int cmd_cache(const struct opt_command *cmd, int argc, char **argv)
{
	struct cache_options o = { .argc = argc };
	char why[OPT_WHY_LEN];
	int at, status = 0;

	o.argv = copy_argv(argc, argv);
	if (!o.argv)
		return usage("out of memory");
	at = opt_parse(cmd->groups, &o, argc, argv, why, sizeof(why));
	if (at == OPT_HELP)
		opt_help_command(stdout, "ktc-bench", cmd);
	else if (at < 0)
		status = usage(why);
	else if (at != argc)
		status = usage("cache has no target");
	else
		status = cache_run_and_report(&o);
	free(o.argv);
	return status;
}

static int relay_run_and_report(const struct relay_options *o)
{
	struct relay_result result;
	char why[512];
	int failed;

	if (relay_run(&result, o, why, sizeof(why)))
		return usage(why);
	failed = relay_report(&result, stdout);
	relay_fini(&result);
	if (failed < 0)
		return usage("the report could not be written");
	return failed ? EXIT_FAILED : 0;
}

static int cmd_relay(const struct opt_command *cmd, int argc, char **argv)
{
	struct relay_options o = { .argc = argc };
	char why[OPT_WHY_LEN];
	int at, status = 0;

	o.argv = copy_argv(argc, argv);
	if (!o.argv)
		return usage("out of memory");
	at = opt_parse(cmd->groups, &o, argc, argv, why, sizeof(why));
	if (at == OPT_HELP)
		opt_help_command(stdout, "ktc-bench", cmd);
	else if (at < 0)
		status = usage(why);
	else if (at != argc)
		status = usage("relay has no target");
	else
		status = relay_run_and_report(&o);
	free(o.argv);
	return status;
}

static const struct opt_command commands[] = {
	{ "connect", "HOST:PORT|unix:PATH",
	  "Open and close connections in a closed loop: connections per "
	  "second, full and resumed handshakes, latencies, CPU time.",
	  connect_groups, cmd_connect },
	{ "stream", "HOST:PORT|unix:PATH",
	  "Move bodies over open connections: bytes per second, CPU time per "
	  "byte.",
	  stream_groups, cmd_stream },
	{ "cache", "",
	  "Take sessions from the inventory and give them back, without any "
	  "connection: operations per second, beside three other stores.",
	  cache_groups, cmd_cache },
	{ "relay", "",
	  "Stand between a TLS origin and a plain socket, all on this machine: "
	  "CPU time per byte and per message of the kernel module, of the "
	  "library's loop, and of nginx.",
	  relay_groups, cmd_relay },
	{ NULL, NULL, NULL, NULL, NULL },
};

static const struct opt_tool tool = {
	.name = "ktc-bench",
	.help = "Measures TLS connections of libktlsclient: what resumption "
		"and kernel TLS bring on this machine, against a server of "
		"yours.",
	.version = KTC_VERSION_STRING,
	.commands = commands,
};

int main(int argc, char **argv)
{
	return opt_dispatch(&tool, argc, argv);
}
