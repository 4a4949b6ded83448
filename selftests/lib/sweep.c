// SPDX-License-Identifier: MIT
/*
 * Runs a scenario with each of its calls failing in turn, and judges how it
 * ended. No run depends on another: each has a peer, a client and a loop of
 * its own, so that what one leaves behind is seen as its own.
 */
#include "sweep.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flush.h"
#include "loop.h"
#include "sys.h"

#define CONSEQUENCES_MAX 8

/* Failures that nobody has to notice: the library does without the call. */
static const bool harmless[FAULT_NR_CALLS] = {
	[FAULT_SHUTDOWN] = true,
	[FAULT_SENDMSG] = true,
	[FAULT_SEND] = true,
	[FAULT_OUTQ] = true,
	[FAULT_CLOSE] = true,
};

/* Errors beside the call's own in which its failure may end. */
static const int consequences[FAULT_NR_CALLS][CONSEQUENCES_MAX] = {
	[FAULT_LOOKUP] = { -KTC_E_RESOLVE },
	[FAULT_THREAD] = { -EAGAIN },
	/* a TLS_RX refused behind a TLS_TX that was taken */
	[FAULT_SETSOCKOPT] = { -KTC_E_HANDOVER, -KTC_E_KEY_UPDATE },
	/*
	 * The kernel has done what it is said to have refused. With TLS_TX
	 * there and not believed in, records go into records, MSG_WAITALL is
	 * not supported and a control record ends a plain receive.
	 */
	[FAULT_CQE_SOCKOPT] = { -KTC_E_HANDOVER, -EOPNOTSUPP, -EIO,
				-KTC_E_RECORD, -KTC_E_DECRYPT, -KTC_E_ALERT,
				-KTC_E_TRUNCATED },
};

bool sweep_wrong(struct sweep *s, const char *fmt, ...)
{
	va_list args;
	int n;

	if (s->wrong[0])
		return false;
	n = snprintf(s->wrong, sizeof(s->wrong), "call %u (%s) fails %s: ",
		     s->nth, fault_name(fault_first()),
		     s->mode == FAULT_ONCE ? "once" : "for ever");
	va_start(args, fmt);
	(void)vsnprintf(s->wrong + n, sizeof(s->wrong) - (size_t)n, fmt, args);
	va_end(args);
	return false;
}

/* ---------------------------------------------------- a crash has a name -- */

static struct sigaction crash_before[NSIG];
static struct sweep *crash_sweep;

static void tell_crash(int nr)
{
	char text[160];
	int n;

	n = snprintf(text, sizeof(text), "# crash: call %u (%s) failed %s\n",
		     crash_sweep->nth, fault_name(fault_first()),
		     crash_sweep->mode == FAULT_ONCE ? "once" : "for ever");
	/*
	 * An assertion ends in abort() too, and has told what is wrong. If
	 * the write fails nothing is left to do.
	 */
	if (!crash_sweep->wrong[0])
		(void)!write(STDERR_FILENO, text, (size_t)n);
	/* and now as it would have gone, with a sanitizer's report */
	(void)sigaction(nr, &crash_before[nr], NULL);
	(void)raise(nr);
}

static void crash_watch(struct sweep *s)
{
	static const int signals[] = {
		SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGABRT, SIGFPE,
	};
	struct sigaction action = { .sa_handler = tell_crash };
	size_t i;

	crash_sweep = s;
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		(void)sigaction(signals[i], &action,
				&crash_before[signals[i]]); /* real signals */
}

/* ------------------------------------------------------ before and after -- */

int sweep_init(struct sweep *s, uint16_t version, enum ktc_policy policy)
{
	struct ktc_caps caps = { .size = sizeof(caps) };
	int err;

	memset(s, 0, sizeof(*s));
	err = certs_make_temp(s->dir);
	if (err)
		return err;
	(void)snprintf(s->ca_file, sizeof(s->ca_file), "%s/ca.pem", s->dir);
	s->pattern = malloc(SWEEP_BYTES);
	if (!s->pattern)
		return -ENOMEM;
	peer_pattern_fill(s->pattern, 0, SWEEP_BYTES);
	s->peer_opts.cert_dir = s->dir;
	s->peer_opts.version_min = version;
	s->peer_opts.version_max = version;
	s->client_opts.size = sizeof(s->client_opts);
	s->client_opts.ca_file = s->ca_file;
	s->client_opts.policy = policy;
	s->client_opts.connect_timeout_ms = SWEEP_DEADLINE_MS;
	s->client_opts.handshake_timeout_ms = SWEEP_DEADLINE_MS;
	s->client_opts.close_timeout_ms = SWEEP_DEADLINE_MS;
	s->loop_opts.size = sizeof(s->loop_opts);
	s->loop_opts.entries = 64;
	s->loop_opts.buffers = 32;
	s->calls_min = 1;
	/* once per process: its calls are no part of any scenario */
	err = ktc_probe(&caps);
	fault_install();
	crash_watch(s);
	return err;
}

void sweep_fini(struct sweep *s)
{
	if (s->dir[0])
		certs_remove(s->dir);
	free(s->pattern);
	s->dir[0] = '\0';
	s->pattern = NULL;
}

static struct ktc_caps caps_now(void)
{
	struct ktc_caps caps = { .size = sizeof(caps) };

	if (ktc_probe(&caps))
		memset(&caps, 0, sizeof(caps));
	return caps;
}

bool sweep_has_ktls(void)
{
	return caps_now().ktls;
}

bool sweep_has_chain(void)
{
	return caps_now().ring_sockopt;
}

static int no_ring(unsigned int entries, struct io_uring *ring,
		   struct io_uring_params *params)
{
	(void)entries;
	(void)ring;
	(void)params;
	return -ENOSYS;
}

int sweep_without_chain(void)
{
	struct ktc_caps caps = { .size = sizeof(caps) };
	struct sys_ops ops = sys_real;
	int err;

	/* the answer is kept for as long as the process lives */
	ops.ring_init = no_ring;
	sys = &ops;
	err = ktc_probe(&caps);
	sys = &sys_real;
	return err ? err : caps.ring_sockopt ? -EBUSY : 0;
}

static unsigned int open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		(void)closedir(dir);	/* only read from */
	return n;
}

/* ---------------------------------------------------------------- judge -- */

/* Whether a call that failed may end in err. */
static bool explained(int err)
{
	unsigned int call, i;

	for (call = FAULT_NONE + 1; call < FAULT_NR_CALLS; call++) {
		if (!fault_hit(call))
			continue;
		if (err == fault_result(call))
			return true;
		for (i = 0; i < CONSEQUENCES_MAX; i++)
			if (err && consequences[call][i] == err)
				return true;
	}
	return false;
}

static void judge_error(struct sweep *s)
{
	const struct drive_conn *c = &s->c;

	if (c->error.err != c->err || c->error.class_ == KTC_CLASS_NONE ||
	    !c->error.state || !c->error.text[0])
		sweep_wrong(s, "CLOSED with %s, ktc_conn_error() says %s, %s",
			    ktc_error_name(c->err),
			    ktc_error_name(c->error.err),
			    ktc_class_name(c->error.class_));
}

/* With its last event released a connection has nothing of its loop's. */
static void judge_loop(struct sweep *s)
{
	const struct ktc_loop *loop = s->d.loop;

	if (loop->nr_conns || loop->conn_pool.live || loop->setup_pool.live ||
	    loop->send_pool.live || loop->control_pool.live ||
	    loop->relay_pool.live || loop->event_pool.live ||
	    loop->state_pool.live ||
	    loop->nr_relays || loop->relay_bufs)
		sweep_wrong(s, "the loop keeps %u connections, %zu objects",
			    loop->nr_conns,
			    loop->conn_pool.live + loop->setup_pool.live +
				    loop->send_pool.live +
				    loop->control_pool.live +
				    loop->relay_pool.live +
				    loop->event_pool.live +
				    loop->state_pool.live);
	if (loop->ring.bufs_out)
		sweep_wrong(s, "%u receive buffers are lost",
			    loop->ring.bufs_out);
	/* the module's device is closed a little later */
	if (loop->timers.count > !!loop->module.timer.index)
		sweep_wrong(s, "a timer is left");
}

static void judge(struct sweep *s, bool finished)
{
	bool must_work = !fault_fired() ||
			 (s->mode == FAULT_ONCE && harmless[fault_first()]);
	const struct drive_conn *c = &s->c;
	int err = s->err ? s->err : c->err;

	if (err && !explained(err))
		sweep_wrong(s, "%s in state %s: %s", ktc_error_name(err),
			    c->error.state ? c->error.state : "none",
			    c->error.text);
	if (must_work && !finished)
		sweep_wrong(s, "should have worked: %s", ktc_error_name(err));
	if (!err && !finished)
		sweep_wrong(s, "ended without an error");
	if (c->closed && c->err)
		judge_error(s);
	if (c->closed && c->sent != s->sends)
		sweep_wrong(s, "%u sends, %u SENT", s->sends, c->sent);
	if (c->closed)
		judge_loop(s);
	if (c->mismatch)
		sweep_wrong(s, "data that nobody has sent");
}

/* What the peer says of a run in which all calls did what they should. */
static void judge_peer(struct sweep *s)
{
	struct peer_result res;
	unsigned int nr;

	for (nr = 0; nr < s->conns; nr++) {
		if (peer_wait_done(s->peer, nr, &res))
			sweep_wrong(s, "the peer does not end");
		else if (res.error[0])
			sweep_wrong(s, "the peer: %s", res.error);
	}
}

static void sweep_run(struct sweep *s, sweep_fn fn)
{
	unsigned int fds = open_fds();
	bool finished;

	memset(&s->c, 0, sizeof(s->c));
	s->err = 0;
	s->conns = 0;
	s->sends = 0;
	if (s->peer_opts.steps && peer_start(&s->peer_opts, &s->peer)) {
		sweep_wrong(s, "no peer");
		return;
	}
	finished = fn(s);
	judge(s, finished);
	drive_fini(&s->d);
	if (!fault_wait_threads())
		sweep_wrong(s, "a thread does not end");
	if (!fault_fired())
		judge_peer(s);
	(void)fault_disarm();
	peer_stop(s->peer);
	s->peer = NULL;
	rcu_flush();
	if (fault_leaks()[0])
		sweep_wrong(s, "left behind: %s", fault_leaks());
	if (open_fds() != fds)
		sweep_wrong(s, "%u descriptors before, %u after", fds,
			    open_fds());
}

static void sweep_mode(struct sweep *s, sweep_fn fn)
{
	unsigned int clean = 0, failed = 0;

	for (s->nth = 1; clean < SWEEP_CLEAN; s->nth++) {
		if (s->nth > SWEEP_CALLS_MAX)
			sweep_wrong(s, "more calls than any scenario has");
		else
			sweep_run(s, fn);
		if (s->wrong[0])
			return;
		clean = fault_fired() ? 0 : clean + 1;
		failed += !clean;
	}
	if (failed < s->calls_min)
		sweep_wrong(s, "only %u calls could fail", failed);
}

const char *sweep_all(struct sweep *s, sweep_fn fn)
{
	static const enum fault_mode modes[] = { FAULT_ONCE, FAULT_FOR_EVER };
	size_t i;

	for (i = 0; i < 2 && !s->wrong[0]; i++) {
		s->mode = modes[i];
		sweep_mode(s, fn);
	}
	return s->wrong[0] ? s->wrong : NULL;
}

/* ------------------------------------------------------------- scenarios -- */

void sweep_arm(struct sweep *s)
{
	fault_arm(s->nth, 0, s->mode);
}

static bool until_closed(struct sweep *s)
{
	while (!s->c.closed)
		if (!sweep_step(s))
			return false;
	return true;
}

bool sweep_call(struct sweep *s, int err)
{
	if (err == -KTC_E_STATE && s->c.conn)
		return until_closed(s) && false;
	if (err && !s->err)
		s->err = err;
	return !err;
}

bool sweep_setup(struct sweep *s)
{
	return sweep_call(s, drive_init(&s->d, &s->client_opts, &s->loop_opts));
}

bool sweep_connect(struct sweep *s)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(peer_port(s->peer)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct ktc_conn_opts opts = s->conn_opts;

	memset(&s->c, 0, sizeof(s->c));
	s->sends = 0;
	if (!opts.host && !opts.fd) {
		opts.addr = (const struct sockaddr *)&addr;
		opts.addr_len = sizeof(addr);
		opts.server_name = "localhost";
	}
	if (opts.host)
		opts.port = peer_port(s->peer);
	if (!sweep_call(s, drive_connect(&s->d, &s->c, &opts)))
		return false;
	s->conns++;
	return true;
}

bool sweep_step(struct sweep *s)
{
	struct ktc_event ev[16];
	int i, n;

	n = ktc_loop_events(s->d.loop, ev, 16, SWEEP_WAIT_MS);
	if (n < 0)
		return sweep_call(s, n);
	if (!n) {
		drive_info(&s->c);
		return sweep_wrong(s, "hangs in state %s", s->c.info.state);
	}
	for (i = 0; i < n; i++)
		drive_event(s->d.loop, &ev[i]);
	return true;
}

bool sweep_until_open(struct sweep *s)
{
	return SWEEP_UNTIL(s, s->c.open);
}

bool sweep_open(struct sweep *s)
{
	if (!sweep_setup(s) || !sweep_connect(s) || !sweep_until_open(s))
		return sweep_wrong(s, "does not open: %s", s->c.error.text);
	sweep_arm(s);
	return true;
}

bool sweep_send(struct sweep *s, size_t off, size_t len)
{
	if (!sweep_call(s, ktc_conn_send(s->c.conn, s->pattern + off, len, 0)))
		return false;
	s->sends++;
	return true;
}

bool sweep_close(struct sweep *s)
{
	if (!s->c.closed && !sweep_call(s, ktc_conn_close(s->c.conn)))
		return false;
	return until_closed(s) && !s->c.err;
}
