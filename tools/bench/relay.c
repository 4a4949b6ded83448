// SPDX-License-Identifier: MIT
/*
 * The frame of ktc-bench relay. For each row there are three processes of its
 * own: the origin, the client, and between them the relay that is measured.
 * This process gives the orders: a first exchange to warm up, then as many as
 * are measured, all over one connection. Between exchanges it waits until the
 * relay is at rest, so that what is read then is exact and every byte's cost
 * falls into its own exchange. When all is done both ends close, which must
 * work in order too.
 *
 * A child dies with this process, and this process ends what it started.
 */
#include "relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ktlsclient.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <uapi/linux/ktlsclient.h>
#include <unistd.h>

#include "relay_under.h"
#include "stats.h"

#define MODULE_DEVICE "/dev/ktlsclient"
#define NGINX_MODULE  "/usr/lib/nginx/modules/ngx_stream_module.so"

/* the warm-up is this part of what is measured */
#define WARM_PART 4

#define REST_NS	   5000000
#define REST_TRIES 200
/* kernel threads are at rest when they use less than this part of a pause */
#define REST_PART 50

const char *const relay_way_name[RELAY_NR_WAYS] = {
	[RELAY_MODULE] = "module",
	[RELAY_KERNEL] = "loop, kernel TLS",
	[RELAY_USER] = "loop, OpenSSL",
	[RELAY_NGINX] = "nginx",
};

const char *const relay_plain_name[RELAY_NR_PLAINS] = {
	[RELAY_TCP] = "tcp",
	[RELAY_UNIX] = "unix",
};

const char *const relay_load_name[RELAY_NR_LOADS] = {
	[RELAY_DOWN] = "down",	       [RELAY_UP] = "up",
	[RELAY_PINGPONG] = "pingpong", [RELAY_DOWN_SMALL] = "down-small",
	[RELAY_UP_SMALL] = "up-small",
};

/* the order of the origin and of the client under each load */
static const struct {
	enum relay_op origin;
	enum relay_op client;
	bool small;
} loads[RELAY_NR_LOADS] = {
	[RELAY_DOWN] = { RELAY_OP_SEND, RELAY_OP_RECV, false },
	[RELAY_UP] = { RELAY_OP_RECV, RELAY_OP_SEND, false },
	[RELAY_PINGPONG] = { RELAY_OP_ECHO, RELAY_OP_PING, true },
	[RELAY_DOWN_SMALL] = { RELAY_OP_SEND, RELAY_OP_RECV, true },
	[RELAY_UP_SMALL] = { RELAY_OP_RECV, RELAY_OP_SEND, true },
};

enum part { ORIGIN, RELAY, CLIENT, NR_WHO };

static const char *const who_name[NR_WHO] = { "origin", "relay", "client" };

struct child {
	pid_t pid;
	int control;
};

/**
 * struct bench - all rows' common things
 * @tls: the origin's
 * @dir: a folder for sockets and files
 * @ca_file: in it
 * @unix_path: in it
 * @nginx_module: nginx's stream module to load, or NULL
 * @tty: progress goes over itself
 */
struct bench {
	struct relay_result *result;
	const char *nginx_module;
	struct relay_tls tls;
	char dir[64];
	char ca_file[96];
	char unix_path[96];
	bool tty;
};

/**
 * struct stage - one row's processes
 * @row: what is measured
 * @child: the processes
 * @origin: where the origin listens
 * @plain: where the relay does
 * @ktls: sockets that receive by kernel TLS, before
 * @module: the module's counters, before
 * @ending: the relay may end too
 * @moved: what came, by direction
 */
struct stage {
	struct bench *bench;
	struct relay_row *row;
	struct child child[NR_WHO];
	struct sockaddr_in origin;
	struct sockaddr_storage plain;
	socklen_t plain_len;
	int origin_fd;
	int plain_fd;
	char plain_text[128];
	uint64_t ktls;
	struct ktcm_info module;
	bool ending;
	uint64_t moved[2];
};

static atomic_bool interrupted;

static void on_signal(int signal)
{
	(void)signal;
	/* relaxed: it says that it happened, nothing hangs on it */
	atomic_store_explicit(&interrupted, true, memory_order_relaxed);
}

static bool stopping(void)
{
	/* relaxed: as above */
	return atomic_load_explicit(&interrupted, memory_order_relaxed);
}

/* the first reason stays; returns -1 for the caller's return */
__attribute__((format(printf, 2, 3))) static int fail(struct stage *s,
						      const char *format, ...)
{
	va_list args;

	if (s->row->failed[0])
		return -1;
	va_start(args, format);
	(void)vsnprintf(s->row->failed, sizeof(s->row->failed), format, args);
	va_end(args);
	return -1;
}

/* --------------------------------------------- what the kernel counts -- */

/* sockets that receive by kernel TLS in software, now */
static uint64_t ktls_sockets(void)
{
	FILE *file = fopen("/proc/net/tls_stat", "re");
	char line[128];
	uint64_t n = 0;

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, "TlsCurrRxSw", 11))
			n = strtoull(line + 11, NULL, 10);
	(void)fclose(file); /* read only */
	return n;
}

static bool module_info(struct ktcm_info *info)
{
	int fd = open(MODULE_DEVICE, O_RDWR | O_CLOEXEC), err;

	memset(info, 0, sizeof(*info));
	if (fd < 0)
		return false;
	info->abi = KTCM_ABI;
	err = ioctl(fd, KTCM_IOC_INFO, info);
	(void)close(fd); /* nothing was written */
	return !err && info->features & KTCM_FEATURE_RELAY;
}

/* ------------------------------------------------------------ children -- */

static int listen_at(int fd, const void *addr, socklen_t len)
{
	if (fd < 0 || bind(fd, addr, len) || listen(fd, 4))
		return -errno;
	return 0;
}

/* @addr receives the port that the kernel chose */
static int listen_tcp(int *fd, struct sockaddr_in *addr)
{
	socklen_t len = sizeof(*addr);
	int err;

	memset(addr, 0, sizeof(*addr));
	addr->sin_family = AF_INET;
	addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	err = listen_at(*fd, addr, sizeof(*addr));
	if (!err && getsockname(*fd, (struct sockaddr *)addr, &len))
		err = -errno;
	return err;
}

static int listen_unix(struct stage *s)
{
	struct sockaddr_un *addr = (struct sockaddr_un *)&s->plain;

	addr->sun_family = AF_UNIX;
	(void)snprintf(addr->sun_path, sizeof(addr->sun_path), "%s",
		       s->bench->unix_path);
	(void)snprintf(s->plain_text, sizeof(s->plain_text), "unix:%s",
		       s->bench->unix_path);
	s->plain_len = sizeof(*addr);
	(void)unlink(s->bench->unix_path); /* of the row before, or not there */
	if (s->row->way == RELAY_NGINX)
		return 0;
	s->plain_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return listen_at(s->plain_fd, addr, sizeof(*addr));
}

/* nginx listens by itself, at a port that was free a moment ago */
static int listen_plain_tcp(struct stage *s)
{
	struct sockaddr_in *addr = (struct sockaddr_in *)&s->plain;
	int err = listen_tcp(&s->plain_fd, addr);

	s->plain_len = sizeof(*addr);
	(void)snprintf(s->plain_text, sizeof(s->plain_text), "127.0.0.1:%u",
		       ntohs(addr->sin_port));
	if (!err && s->row->way == RELAY_NGINX) {
		(void)close(s->plain_fd);
		s->plain_fd = -1;
	}
	return err;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* sockets: nothing to lose */
	*fd = -1;
}

static int child_main(struct stage *s, enum part who, int control)
{
	const struct relay_options *o = s->bench->result->opts;
	const struct relay_setup setup = {
		.way = s->row->way,
		.version = s->bench->tls.version,
		.dir = s->bench->dir,
		.ca_file = s->bench->ca_file,
		.origin = s->origin,
		.listener = s->plain_fd,
		.plain = s->plain_text,
		.nginx = o->nginx,
		.nginx_module = s->bench->nginx_module,
	};

	switch (who) {
	case ORIGIN:
		return relay_origin(s->origin_fd, &s->bench->tls, control);
	case CLIENT:
		return relay_client((struct sockaddr *)&s->plain, s->plain_len,
				    control);
	default:
		if (setup.way == RELAY_NGINX)
			return relay_nginx(&setup);
		return relay_library(&setup, control);
	}
}

static void child_start(struct stage *s, enum part who, int control)
{
	enum part other;

	(void)setpgid(0, 0); /* only a session's leader cannot */
	/* for ps and profilers; cannot fail */
	(void)prctl(PR_SET_NAME, who_name[who]);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	/* an end that nobody else holds open is seen */
	for (other = 0; other < NR_WHO; other++)
		close_fd(&s->child[other].control);
	if (who != ORIGIN)
		close_fd(&s->origin_fd);
	if (who != RELAY)
		close_fd(&s->plain_fd);
	_exit(child_main(s, who, control));
}

static int spawn(struct stage *s, enum part who)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return fail(s, "socketpair: %s", strerror(errno));
	fflush(NULL); /* or both would print it */
	pid = fork();
	if (!pid) {
		(void)close(pair[0]);
		child_start(s, who, pair[1]);
	}
	(void)close(pair[1]);
	if (pid < 0) {
		(void)close(pair[0]);
		return fail(s, "fork: %s", strerror(errno));
	}
	/* here too: whoever comes first */
	(void)setpgid(pid, pid);
	s->child[who].pid = pid;
	s->child[who].control = pair[0];
	return 0;
}

/* nginx has more processes than one */
static void reap(struct child *child)
{
	close_fd(&child->control);
	if (child->pid <= 0)
		return;
	(void)kill(-child->pid, SIGKILL);
	while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
		;
	child->pid = 0;
}

/* ------------------------------------------------------------- orders -- */

/*
 * Waits for one answer. The relay speaks unasked when it has failed, and then
 * no end may ever answer.
 */
static int get_answer(struct stage *s, enum part who, struct relay_answer *a)
{
	uint64_t ms = s->bench->result->opts->timeout_ms;
	struct pollfd fds[2] = {
		{ .fd = s->child[who].control, .events = POLLIN },
		{ .fd = s->child[RELAY].control, .events = POLLIN },
	};
	bool silent = s->ending || s->row->way == RELAY_NGINX;
	int n = poll(fds, silent ? 1 : 2, (int)ms);

	if (stopping())
		return fail(s, "interrupted");
	if (!n)
		return fail(s, "%s: no answer within %llu ms", who_name[who],
			    (unsigned long long)ms);
	if (n > 0 && !fds[0].revents)
		who = RELAY;
	if (n < 0 || relay_get(s->child[who].control, a, sizeof(*a)))
		return fail(s, "%s: ended without an answer", who_name[who]);
	a->text[RELAY_TEXT_LEN - 1] = '\0';
	if (a->err)
		return fail(s, "%s: %s", who_name[who], a->text);
	if (!fds[0].revents)
		return fail(s, "relay: ended too early");
	return 0;
}

static int put_order(struct stage *s, enum part who, enum relay_op op,
		     uint64_t bytes)
{
	const struct relay_order order = {
		.op = op,
		.size = s->row->size,
		.bytes = bytes,
	};

	if (relay_put(s->child[who].control, &order, sizeof(order)))
		return fail(s, "%s: ended without an answer", who_name[who]);
	return 0;
}

/* the client's answer is later than the origin's, or the other way round */
static int both(struct stage *s, enum relay_op origin, enum relay_op client,
		uint64_t bytes)
{
	struct relay_answer a[2] = { 0 };

	if (put_order(s, ORIGIN, origin, bytes) ||
	    put_order(s, CLIENT, client, bytes) ||
	    get_answer(s, CLIENT, &a[0]) || get_answer(s, ORIGIN, &a[1]))
		return -1;
	if (a[0].moved[0] != a[1].moved[1] || a[1].moved[0] != a[0].moved[1])
		return fail(s, "the ends do not agree on how much was moved");
	s->moved[KTCM_DOWN] = a[0].moved[1];
	s->moved[KTCM_UP] = a[1].moved[1];
	return 0;
}

static int exchange(struct stage *s, uint64_t bytes)
{
	return both(s, loads[s->row->load].origin, loads[s->row->load].client,
		    bytes);
}

/*
 * Whether the relay used nothing between two readings. The kernel's threads
 * never stop altogether.
 */
static bool at_rest(const struct relay_result *result,
		    const struct cpu_shot *from, const struct cpu_shot *to)
{
	struct cpu_cost cost;

	cpu_diff(&cost, from, to);
	return !cost.ns[CPU_RELAY] &&
	       relay_cost_ns(result, &cost) < REST_NS / REST_PART;
}

/* all tasks, once the relay has come to rest */
static int shot_at_rest(struct stage *s, struct cpu_shot *shot)
{
	const struct timespec pause = { .tv_nsec = REST_NS };
	const struct cpu_cast cast = {
		.relay = s->child[RELAY].pid,
		.ends = { s->child[ORIGIN].pid, s->child[CLIENT].pid },
	};
	struct cpu_shot before = { 0 }, spare;
	bool rests = false;
	int i, err = 0;

	for (i = 0; i < REST_TRIES && !rests && !err && !stopping(); i++) {
		spare = before;
		before = *shot;
		*shot = spare;
		(void)nanosleep(&pause, NULL); /* it is asked again */
		err = cpu_take(shot, &cast);
		rests = !err && i && at_rest(s->bench->result, &before, shot);
	}
	cpu_fini(&before);
	if (err)
		return fail(s, "CPU time: %s", strerror(-err));
	return rests ? 0 : fail(s, "the relay did not come to rest");
}

/*
 * The module moved all that was measured. Not all of the connection: the loop
 * moves what comes before the module has taken over.
 */
static int check_module(struct stage *s, const struct ktcm_info *before)
{
	const struct relay_row *row = s->row;
	struct ktcm_info info;
	uint64_t moved;

	if (row->way != RELAY_MODULE)
		return 0;
	if (!module_info(&info))
		return fail(s, "the module is gone");
	moved = info.bytes[KTCM_DOWN] - before->bytes[KTCM_DOWN] +
		info.bytes[KTCM_UP] - before->bytes[KTCM_UP];
	if (moved != row->runs * row->bytes)
		return fail(s, "the module counts %llu bytes of %llu",
			    (unsigned long long)moved,
			    (unsigned long long)row->runs * row->bytes);
	return 0;
}

static int measure(struct stage *s, uint64_t bytes)
{
	const struct relay_options *o = s->bench->result->opts;
	struct cpu_shot shot[2] = { 0 };
	struct relay_row *row = s->row;
	struct ktcm_info before;
	uint64_t ns;
	int err;

	err = exchange(s, bytes / WARM_PART - bytes / WARM_PART % row->size +
				  row->size);
	if (!err)
		err = shot_at_rest(s, &shot[0]);
	(void)module_info(&before); /* zeros when it is not there */
	while (!err && row->runs < o->repeat) {
		ns = clock_ns();
		err = exchange(s, bytes);
		ns = clock_ns() - ns;
		if (!err)
			err = shot_at_rest(s, &shot[1]);
		if (err)
			break;
		row->ns[row->runs] = ns;
		cpu_diff(&row->cost[row->runs++], &shot[0], &shot[1]);
		/* the end of one is the beginning of the next */
		cpu_fini(&shot[0]);
		shot[0] = shot[1];
		memset(&shot[1], 0, sizeof(shot[1]));
	}
	cpu_fini(&shot[0]);
	cpu_fini(&shot[1]);
	return err ? err : check_module(s, &before);
}

/* --------------------------------------------------------------- rows -- */

/* while the connection is open */
static int check_ktls(struct stage *s)
{
	uint64_t want = s->row->way <= RELAY_KERNEL;
	uint64_t have = ktls_sockets() - s->ktls;

	if (have != want)
		return fail(s,
			    "%llu sockets receive by kernel TLS, %llu should",
			    (unsigned long long)have, (unsigned long long)want);
	return 0;
}

/* what the library and the module say, against what the ends say */
static int check_moved(struct stage *s)
{
	struct relay_answer a = { 0 };
	struct ktcm_info info;
	uint64_t relays, want = s->row->way == RELAY_MODULE ? 1 : 0;
	int dir;

	if (s->row->way == RELAY_NGINX)
		return 0;
	if (get_answer(s, RELAY, &a))
		return -1;
	for (dir = 0; dir < 2; dir++)
		if (a.moved[dir] != s->moved[dir])
			return fail(s, "RELAYED says %llu bytes, the ends %llu",
				    (unsigned long long)a.moved[dir],
				    (unsigned long long)s->moved[dir]);
	if (!module_info(&info))
		return 0;
	relays = info.relays_total - s->module.relays_total;
	if (relays != want)
		return fail(s, "the module counts %llu relays",
			    (unsigned long long)relays);
	return 0;
}

static int stage_open(struct stage *s)
{
	struct relay_answer a;
	int err;

	s->ktls = ktls_sockets();
	(void)module_info(&s->module); /* zeros when it is not there */
	err = listen_tcp(&s->origin_fd, &s->origin);
	if (!err)
		err = s->row->plain == RELAY_UNIX ? listen_unix(s)
						  : listen_plain_tcp(s);
	if (err)
		return fail(s, "no socket to listen at: %s", strerror(-err));
	if (spawn(s, ORIGIN) || spawn(s, RELAY) || spawn(s, CLIENT) ||
	    get_answer(s, CLIENT, &a))
		return -1;
	if (s->row->way != RELAY_NGINX && get_answer(s, RELAY, &a))
		return -1;
	if (get_answer(s, ORIGIN, &a))
		return -1;
	memcpy(s->row->tls, a.text, sizeof(s->row->tls));
	return 0;
}

/* both ends close, the client first */
static int stage_end(struct stage *s)
{
	s->ending = true;
	return both(s, RELAY_OP_END, RELAY_OP_END, 0);
}

/* an end that failed does not know why */
static void explain(struct stage *s)
{
	size_t len = strlen(s->row->failed);
	char text[RELAY_TEXT_LEN];

	if (s->row->way != RELAY_NGINX)
		return;
	relay_nginx_why(s->bench->dir, text, sizeof(text));
	if (text[0])
		(void)snprintf(s->row->failed + len,
			       sizeof(s->row->failed) - len, "; nginx: %s",
			       text);
}

static void run_row(struct bench *b, struct relay_row *row)
{
	struct stage s = {
		.bench = b,
		.row = row,
		.origin_fd = -1,
		.plain_fd = -1,
		.child = { { .control = -1 },
			   { .control = -1 },
			   { .control = -1 } },
	};
	uint64_t each = loads[row->load].client == RELAY_OP_PING ? 2 : 1;
	enum part who;

	if (!stage_open(&s) && !measure(&s, row->bytes / each) &&
	    !check_ktls(&s) && !stage_end(&s))
		(void)check_moved(&s); /* it has noted why */
	if (row->failed[0] && !stopping())
		explain(&s);
	for (who = 0; who < NR_WHO; who++)
		reap(&s.child[who]);
	close_fd(&s.origin_fd);
	close_fd(&s.plain_fd);
}

static void progress(const struct bench *b, uint32_t at)
{
	const struct relay_row *row = &b->result->rows[at];

	if (!b->tty && !b->result->opts->live)
		return;
	fprintf(stderr, "%s%u/%u  %s, %s, %s%s", b->tty ? "\r\033[K" : "",
		at + 1, b->result->row_count, relay_load_name[row->load],
		relay_plain_name[row->plain], relay_way_name[row->way],
		b->tty ? "" : "\n");
}

/* as execlp() looks for it */
static bool in_path(const char *program)
{
	const char *path = getenv("PATH"), *end;
	char file[512];

	if (strchr(program, '/') || !path)
		return !access(program, X_OK);
	for (; *path; path = *end ? end + 1 : end) {
		end = strchrnul(path, ':');
		(void)snprintf(file, sizeof(file), "%.*s/%s", (int)(end - path),
			       path, program);
		if (!access(file, X_OK))
			return true;
	}
	return false;
}

static void find_absent(struct relay_result *res)
{
	const struct relay_options *o = res->opts;
	struct ktc_caps caps = { .size = sizeof(caps) };
	struct ktcm_info info;

	if (ktc_probe(&caps) || !caps.ktls) {
		res->absent[RELAY_MODULE] = "this kernel has no kernel TLS";
		res->absent[RELAY_KERNEL] = "this kernel has no kernel TLS";
	} else if (!module_info(&info)) {
		res->absent[RELAY_MODULE] = "ktlsclient.ko is not loaded";
	}
	if (!in_path(o->nginx))
		res->absent[RELAY_NGINX] = "there is no nginx";
	else if (o->nginx_module && access(o->nginx_module, R_OK))
		res->absent[RELAY_NGINX] = "there is no such --nginx-module";
}

static bool wanted(int option, int value)
{
	return option == BENCH_ALL || option == value;
}

static void row_init(struct relay_row *row, const struct relay_options *o,
		     enum relay_plain plain, enum relay_load load,
		     enum relay_way way)
{
	row->plain = plain;
	row->load = load;
	row->way = way;
	if (loads[load].small) {
		row->size = (uint32_t)o->small;
		row->messages = o->messages;
	} else {
		row->size = (uint32_t)o->message;
		row->messages = (o->bytes + o->message - 1) / o->message;
	}
	/* each is answered */
	if (loads[load].client == RELAY_OP_PING)
		row->messages += row->messages % 2;
	row->bytes = row->messages * row->size;
}

static int rows_new(struct relay_result *res)
{
	const struct relay_options *o = res->opts;
	const uint32_t most = RELAY_NR_PLAINS * RELAY_NR_LOADS * RELAY_NR_WAYS;
	int plain, load, way;

	res->rows = calloc(most, sizeof(*res->rows));
	if (!res->rows)
		return -ENOMEM;
	for (plain = 0; plain < RELAY_NR_PLAINS; plain++)
		for (load = 0; load < RELAY_NR_LOADS; load++)
			for (way = 0; way < RELAY_NR_WAYS; way++)
				if (wanted(o->plain, plain) &&
				    wanted(o->load, load) &&
				    wanted(o->way, way) && !res->absent[way])
					row_init(&res->rows[res->row_count++],
						 o, plain, load, way);
	return 0;
}

static int bench_init(struct bench *b)
{
	const struct relay_options *o = b->result->opts;
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(b->dir, sizeof(b->dir), "%s/ktc-relay-XXXXXX",
		       tmp && strlen(tmp) < 32 ? tmp : "/tmp");
	if (!mkdtemp(b->dir)) {
		b->dir[0] = '\0';
		return -errno;
	}
	(void)snprintf(b->ca_file, sizeof(b->ca_file), "%s/ca.pem", b->dir);
	(void)snprintf(b->unix_path, sizeof(b->unix_path), "%s/plain", b->dir);
	return relay_tls_init(&b->tls,
			      o->tls == BENCH_TLS_1_2 ? KTC_TLS1_2 : KTC_TLS1_3,
			      b->ca_file);
}

/* only what the run has put there, and what nginx leaves */
static void bench_fini(struct bench *b)
{
	static const char *const names[] = { "ca.pem", "plain", "nginx.conf",
					     "nginx.log", "nginx.pid" };
	char path[128];
	size_t i;

	relay_tls_fini(&b->tls);
	if (!b->dir[0])
		return;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", b->dir, names[i]);
		(void)unlink(path); /* or it was never made */
	}
	(void)rmdir(b->dir); /* stays with what is in it */
}

static void run_rows(struct bench *b)
{
	const struct sigaction on = { .sa_handler = on_signal };
	struct sigaction was[2];
	uint32_t i;

	/* cannot fail: signals that exist */
	(void)sigaction(SIGINT, &on, &was[0]);
	(void)sigaction(SIGTERM, &on, &was[1]);
	for (i = 0; i < b->result->row_count && !stopping(); i++) {
		progress(b, i);
		run_row(b, &b->result->rows[i]);
	}
	(void)sigaction(SIGINT, &was[0], NULL);
	(void)sigaction(SIGTERM, &was[1], NULL);
	if (b->tty)
		fputs("\r\033[K", stderr);
	b->result->interrupted = stopping();
}

int relay_run(struct relay_result *result, const struct relay_options *opts,
	      char *why, size_t why_len)
{
	struct relay_result res = { .opts = opts };
	struct bench b = {
		.result = &res,
		.tty = isatty(STDERR_FILENO) == 1,
	};
	int err;

	b.nginx_module = opts->nginx_module;
	if (!b.nginx_module && !access(NGINX_MODULE, R_OK))
		b.nginx_module = NGINX_MODULE;
	find_absent(&res);
	err = rows_new(&res);
	if (!err)
		err = bench_init(&b);
	if (!err)
		run_rows(&b);
	bench_fini(&b);
	if (!err) {
		*result = res;
		return 0;
	}
	relay_fini(&res);
	(void)snprintf(why, why_len, "not measured: %s", ktc_strerror(err));
	return -1;
}

void relay_fini(struct relay_result *result)
{
	free(result->rows);
	result->rows = NULL;
	result->row_count = 0;
}

uint64_t relay_cost_ns(const struct relay_result *result,
		       const struct cpu_cost *cost)
{
	uint64_t ns = cost->ns[CPU_RELAY];

	if (result->opts->alone)
		ns += cost->ns[CPU_KERNEL] + cost->ns[CPU_OTHER];
	return ns;
}
