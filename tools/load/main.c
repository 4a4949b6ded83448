// SPDX-License-Identifier: MIT
/*
 * ktc-load: plaintext clients and servers for the tests and benchmarks of
 * ktc-proxy, the same for every proxy they are held against. This file holds
 * the command tables, runs one command and writes what it came to as JSON.
 * Exit status: 0, 1 when a connection was not as it should be, 2 for a run
 * that could not begin.
 */
#include <errno.h>
#include <ktlsclient.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/json.h"
#include "../common/opt.h"
#include "bytes.h"
#include "client.h"
#include "cpu.h"
#include "options.h"
#include "place.h"
#include "plan.h"
#include "serve.h"

#define EXIT_FAILED 1
#define EXIT_USAGE  2

/* a listening backlog and the ports of loopback have no room for more */
#define AT_ONCE_MAX 20000

#define FIELD(f) offsetof(struct options, f)

static const struct opt load[] = {
	{ .name = "count", .letter = 'n', .type = OPT_UINT,
	  .field = FIELD(count), .arg = "N",
	  .help = "connections in all (default: as many as there is time "
		  "for)" },
	{ .name = "at-once", .letter = 'c', .type = OPT_UINT,
	  .field = FIELD(at_once), .arg = "N", .def = "1", .min = 1,
	  .max = AT_ONCE_MAX, .help = "connections at once" },
	{ .name = "warmup", .type = OPT_UINT, .field = FIELD(warmup),
	  .arg = "N", .help = "connections before, not counted" },
	{ .name = "rate", .letter = 'r', .type = OPT_UINT,
	  .field = FIELD(rate), .arg = "N", .max = 1000000,
	  .help = "begin so many a second, whether others have ended or "
		  "not" },
	{ .name = "duration", .letter = 'd', .type = OPT_MS,
	  .field = FIELD(duration_ms), .arg = "TIME",
	  .help = "how long to begin connections, or to keep endless ones "
		  "busy" },
	{ .name = "timeout", .type = OPT_MS, .field = FIELD(timeout_ms),
	  .arg = "TIME", .def = "30s", .min = 1,
	  .help = "longest time without a byte" },
	{ .name = "retry", .type = OPT_MS, .field = FIELD(retry_ms),
	  .arg = "TIME", .def = "20ms", .help = "pause after a failure" },
	{ .name = "hold", .type = OPT_FLAG, .field = FIELD(hold),
	  .help = "keep all open after an exchange; at the end of standard "
		  "input another one, and close" },
	{ .name = "opening", .type = OPT_UINT, .field = FIELD(opening),
	  .arg = "N", .def = "32", .min = 1,
	  .help = "with --hold: so many in their exchange at a time" },
	{ .name = "prefix", .type = OPT_STRING, .field = FIELD(prefix),
	  .arg = "FILE", .help = "bytes to send first" },
	{ .name = "fail-ok", .type = OPT_FLAG, .field = FIELD(fail_ok),
	  .help = "exit with 0 though connections failed" },
	{ .name = "cpu-of", .type = OPT_STRING, .field = FIELD(cpu_of),
	  .arg = "PID,...", .help = "tell the CPU time of these" },
	{ .name = NULL },
};

static const struct opt http[] = {
	{ .name = "path", .type = OPT_STRING, .field = FIELD(path),
	  .arg = "PATH", .def = "/", .help = "what to GET" },
	{ .name = "request", .type = OPT_BYTES, .field = FIELD(request_bytes),
	  .arg = "BYTES", .def = "1k", .max = CONN_HEADER_MAX / 2,
	  .help = "length of the request" },
	{ .name = "up", .type = OPT_BYTES, .field = FIELD(up),
	  .arg = "BYTES", .help = "a PUT before the GET" },
	{ .name = "put", .type = OPT_STRING, .field = FIELD(put),
	  .arg = "PATH", .def = "/sink", .help = "where to PUT" },
	{ .name = "client-closes", .type = OPT_FLAG,
	  .field = FIELD(client_closes),
	  .help = "do not wait for the server to close" },
	{ .name = NULL },
};

static const struct opt echo[] = {
	{ .name = "bytes", .letter = 'b', .type = OPT_BYTES,
	  .field = FIELD(bytes), .arg = "BYTES",
	  .help = "bytes a connection (default: endless, with --duration)" },
	{ .name = "down", .type = OPT_BYTES, .field = FIELD(down),
	  .arg = "BYTES",
	  .help = "bytes of a source that come instead of an echo" },
	{ .name = "wait-eof", .type = OPT_FLAG, .field = FIELD(wait_eof),
	  .help = "send when the other side has ended" },
	{ .name = "half-close", .type = OPT_FLAG, .field = FIELD(half_close),
	  .help = "end sending, then wait for the other side's end" },
	{ .name = "no-read", .type = OPT_FLAG, .field = FIELD(no_read),
	  .help = "read nothing, ever" },
	{ .name = "reset-after", .type = OPT_BYTES,
	  .field = FIELD(reset_after), .arg = "BYTES",
	  .help = "reset when so many bytes have come" },
	{ .name = NULL },
};

static const struct opt_choice serves[] = {
	{ "echo", SERVE_ECHO },	  { "source", SERVE_SOURCE },
	{ "sink", SERVE_SINK },	  { "mute", SERVE_MUTE },
	{ "reset", SERVE_RESET }, { NULL, 0 },
};

static const struct opt serve[] = {
	{ .name = "what", .type = OPT_CHOICE, .field = FIELD(serve),
	  .arg = "WHAT", .def = "echo", .choices = serves,
	  .help = "what a client meets" },
	{ .name = "bytes", .letter = 'b', .type = OPT_BYTES,
	  .field = FIELD(serve_bytes), .arg = "BYTES", .def = "1M",
	  .help = "of a source" },
	{ .name = "cert", .type = OPT_STRING, .field = FIELD(cert),
	  .arg = "FILE", .help = "speak TLS with this PEM chain" },
	{ .name = "key", .type = OPT_STRING, .field = FIELD(key),
	  .arg = "FILE", .help = "and its key" },
	{ .name = NULL },
};

static const struct opt_group get_groups[] = {
	{ "Load", load },
	{ "HTTP", http },
	{ NULL, NULL },
};

static const struct opt_group echo_groups[] = {
	{ "Load", load },
	{ "Bytes", echo },
	{ NULL, NULL },
};

static const struct opt_group serve_groups[] = {
	{ "Serve", serve },
	{ NULL, NULL },
};

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "ktc-load: %s: %s\n", what, why);
	return EXIT_USAGE;
}

/* 0, or an exit status with the sentence said; OPT_HELP */
static int parse(const struct opt_command *cmd, int argc, char **argv,
		 struct options *opts, struct place *place)
{
	char why[OPT_WHY_LEN];
	int at, err;

	at = opt_parse(cmd->groups, opts, argc, argv, why, sizeof(why));
	if (at == OPT_HELP) {
		opt_help_command(stdout, "ktc-load", cmd);
		return OPT_HELP;
	}
	if (at < 0)
		return complain(cmd->name, why);
	if (argc - at != 1)
		return complain(cmd->name, "one PLACE, please");
	opts->place = argv[at];
	err = place_parse(opts->place, place);
	return err ? complain(opts->place, strerror(-err)) : 0;
}

static double share(uint64_t part, uint64_t of)
{
	return of ? (double)part / (double)of : 0;
}

static void write_latency(struct json *json, const struct hist *hist)
{
	static const struct {
		const char *name;
		uint32_t ppm;
	} quantiles[] = {
		{ "p50", 500000 },
		{ "p90", 900000 },
		{ "p99", 990000 },
		{ "max", 1000000 },
	};
	size_t i;

	json_object_begin(json, "latency_us");
	json_double(json, "mean", hist_mean(hist) / 1e3);
	for (i = 0; i < sizeof(quantiles) / sizeof(*quantiles); i++)
		json_double(json, quantiles[i].name,
			    (double)hist_quantile(hist, quantiles[i].ppm) /
				    1e3);
	json_object_end(json);
}

static uint64_t failures(const struct client_sums *sums)
{
	uint64_t failed = 0;
	int i;

	for (i = CONN_REFUSED; i < CONN_NR_ENDS; i++)
		failed += sums->ends[i];
	return failed;
}

static int write_sums(const struct client_sums *sums)
{
	double s = (double)(sums->end_ns - sums->begin_ns) / 1e9;
	uint64_t bytes = sums->sent + sums->got;
	struct json json;
	int i;

	json_init(&json, stdout);
	json_object_begin(&json, NULL);
	json_uint(&json, "done", sums->ends[CONN_DONE]);
	json_uint(&json, "was_reset", sums->ends[CONN_WAS_RESET]);
	json_uint(&json, "failed", failures(sums));
	json_object_begin(&json, "failures");
	for (i = CONN_REFUSED; i < CONN_NR_ENDS; i++)
		json_uint(&json, conn_end_name(i), sums->ends[i]);
	json_object_end(&json);
	json_uint(&json, "held", sums->held);
	json_uint(&json, "sent_bytes", sums->sent);
	json_uint(&json, "got_bytes", sums->got);
	json_double(&json, "seconds", s);
	json_double(&json, "connections_per_s",
		    s > 0 ? (double)sums->ends[CONN_DONE] / s : 0);
	json_double(&json, "bytes_per_s", s > 0 ? (double)bytes / s : 0);
	json_uint(&json, "cpu_ns", sums->cpu_ns);
	json_double(&json, "cpu_us_per_connection",
		    share(sums->cpu_ns, sums->ends[CONN_DONE]) / 1e3);
	json_double(&json, "cpu_s_per_gb", share(sums->cpu_ns, bytes));
	write_latency(&json, &sums->latency);
	json_object_end(&json);
	return json_fini(&json);
}

static int run_client(const struct opt_command *cmd, int argc, char **argv,
		      int (*plan_of)(struct conn_plan *plan,
				     const struct options *opts))
{
	struct options opts = { 0 };
	struct cpu_procs procs;
	struct conn_plan *plan;
	struct client_sums *sums;
	struct place place;
	int err, rc;

	rc = parse(cmd, argc, argv, &opts, &place);
	if (rc)
		return rc == OPT_HELP ? 0 : rc;
	if (!opts.count && !opts.duration_ms)
		opts.count = opts.at_once;
	if (cpu_parse(opts.cpu_of, &procs))
		return complain("--cpu-of", "no list of processes");
	plan = calloc(1, sizeof(*plan));
	sums = calloc(1, sizeof(*sums));
	err = plan && sums ? plan_of(plan, &opts) : -ENOMEM;
	if (!err)
		err = client_run(&opts, plan, &place, &procs, sums);
	if (!err)
		err = write_sums(sums);
	if (err)
		rc = complain(opts.place, strerror(-err));
	else if (!opts.fail_ok && failures(sums))
		rc = EXIT_FAILED;
	free(plan);
	free(sums);
	return rc;
}

static int run_get(const struct opt_command *cmd, int argc, char **argv)
{
	return run_client(cmd, argc, argv, plan_http);
}

static int run_echo(const struct opt_command *cmd, int argc, char **argv)
{
	return run_client(cmd, argc, argv, plan_echo);
}

static int run_serve(const struct opt_command *cmd, int argc, char **argv)
{
	struct options opts = { 0 };
	struct place place;
	int rc, err;

	rc = parse(cmd, argc, argv, &opts, &place);
	if (rc)
		return rc == OPT_HELP ? 0 : rc;
	err = serve_run(&opts, &place);
	return err ? complain(opts.place, strerror(-err)) : 0;
}

static const struct opt_command commands[] = {
	{ "get", "PLACE", "HTTP requests, each on a connection of its own",
	  get_groups, run_get },
	{ "echo", "PLACE", "bytes that come back, every one compared",
	  echo_groups, run_echo },
	{ "serve", "PLACE", "a server whose bytes can be compared",
	  serve_groups, run_serve },
	{ NULL, NULL, NULL, NULL, NULL },
};

static const struct opt_tool tool = {
	.name = "ktc-load",
	.help = "plaintext load for ktc-proxy and its peers",
	.version = KTC_VERSION_STRING,
	.commands = commands,
};

int main(int argc, char **argv)
{
	bytes_init();
	return opt_dispatch(&tool, argc, argv);
}
