// SPDX-License-Identifier: MIT
/*
 * ktc-proxy: plaintext in, verified TLS out. This file reads the command line
 * and then waits for signals, for workers and for whoever asks by the control
 * socket. Exit status: 0 after a drain that ended in time, 1 otherwise, 2 for
 * a configuration that makes no sense.
 */
#include <errno.h>
#include <ktlsclient.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "admin.h"
#include "config.h"
#include "control.h"
#include "log.h"
#include "proxy.h"
#include "succession.h"

#define EXIT_USAGE 2
#define HEAP_KEPT (4 << 20)	/* bytes, of each of glibc's arenas */

/*
 * OpenSSL takes and frees two buffers for each record, so that an idle
 * connection has none. From 128 KB on, glibc would give what is freed back to
 * the kernel and fault it in again for the next record.
 */
static void keep_heap_warm(void)
{
	/* a hint: nothing depends on it */
	(void)mallopt(M_TRIM_THRESHOLD, HEAP_KEPT);
	(void)mallopt(M_MMAP_THRESHOLD, HEAP_KEPT);
}

/* Signals come by a descriptor, in every thread that will be. */
static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) ||
	    signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static void take_signal(struct proxy *proxy, int fd)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP)
		proxy_reload(proxy);
	else
		proxy_stop(proxy);
}

static void serve(struct proxy *proxy, int signal_fd)
{
	enum { SIGNAL, MAIL, CONTROL, PEER, NR };
	struct pollfd fds[NR];
	int n;

	while (proxy->state != PROXY_OVER) {
		fds[SIGNAL] = (struct pollfd){ signal_fd, POLLIN, 0 };
		fds[MAIL] = (struct pollfd){ proxy->box.fd, POLLIN, 0 };
		fds[CONTROL] = (struct pollfd){ control_fd(proxy->control),
						POLLIN, 0 };
		fds[PEER] = (struct pollfd){ proxy_peer_fd(proxy), POLLIN, 0 };
		n = poll(fds, NR, proxy_wait_ms(proxy));
		if (!n)
			proxy_deadline(proxy);
		if (n <= 0)
			continue; /* a signal that is not ours */
		if (fds[MAIL].revents)
			proxy_mail(proxy);
		if (fds[SIGNAL].revents)
			take_signal(proxy, signal_fd);
		if (fds[PEER].revents)
			proxy_peer(proxy);
		if (fds[CONTROL].revents)
			control_serve(proxy->control, proxy);
	}
}

static int run(struct config *config, int argc, char **argv)
{
	struct proxy proxy = { .argc = argc, .argv = argv };
	int signal_fd = open_signals();
	int status;

	if (signal_fd < 0) {
		log_event(CONFIG_ERROR, "no_signals",
			  LOG_S("error", ktc_error_name(-errno)));
		config_free(config);
		return EXIT_FAILURE;
	}
	if (!proxy_start(&proxy, config))
		serve(&proxy, signal_fd);
	status = proxy_end(&proxy);
	log_event(CONFIG_INFO, "ended", LOG_I("status", status));
	(void)close(signal_fd); /* the process ends */
	return status;
}

int main(int argc, char **argv)
{
	char why[CONFIG_WHY_LEN];
	struct config *config;
	int err, status;

	keep_heap_warm();
	err = config_read(argc, argv, &config, why, sizeof(why));
	if (err == CONFIG_HELP)
		return EXIT_SUCCESS;
	if (err) {
		fprintf(stderr, "ktc-proxy: %s\n",
			err == -EINVAL ? why : ktc_strerror(err));
		return EXIT_USAGE;
	}
	log_init((enum config_level)config->log_level);
	if (!config->status && !config->check)
		return run(config, argc, argv);
	status = EXIT_SUCCESS;
	if (config->status)
		status = admin_status_print(config->control);
	else
		printf("ok: %u listener%s\n", config->nr_listeners,
		       config->nr_listeners == 1 ? "" : "s");
	config_free(config);
	return status;
}
