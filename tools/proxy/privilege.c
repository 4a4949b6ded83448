// SPDX-License-Identifier: MIT
/*
 * Whoever takes over the process shall find as little as possible: no rights
 * beyond an ordinary user's, no way to get more, and no core file with keys in
 * it, of which OpenSSL's heap has some. The main thread, while it is the only
 * one.
 */
#include "privilege.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "config.h"
#include "log.h"
#include "service.h"

/* of a client: its own, and that of the origin */
#define FDS_PER_CLIENT 2
/* of a worker: ring, loop, mailbox; of the rest: files, logs, admin */
#define FDS_PER_WORKER 8
#define FDS_REST 32

/* Those that are not a client's or its origin's. */
static uint64_t fds_besides(const struct config *config, unsigned int threads)
{
	uint64_t n = (uint64_t)threads * FDS_PER_WORKER + FDS_REST;
	unsigned int i;

	for (i = 0; i < config->nr_listeners; i++)
		n += config->listeners[i].nr_origins *
			     (config->listeners[i].warm + threads - 1) +
		     threads;
	return n;
}

void privilege_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	/* it is everybody's right; what it is then is looked at below */
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

uint64_t privilege_clients_max(const struct config *config,
			       unsigned int threads)
{
	uint64_t besides = fds_besides(config, threads);
	uint64_t clients = 1;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return config->clients_max;
	if (limit.rlim_cur > besides + FDS_PER_CLIENT)
		clients = (limit.rlim_cur - besides) / FDS_PER_CLIENT;
	if (clients >= config->clients_max)
		return config->clients_max;
	log_event(CONFIG_WARN, "few_descriptors",
		  LOG_U("clients_max", config->clients_max),
		  LOG_U("possible", clients),
		  LOG_U("descriptors", limit.rlim_cur),
		  LOG_U("wanted",
			besides + config->clients_max * FDS_PER_CLIENT),
		  LOG_S("why", "clients over what is possible wait; raise "
			       "LimitNOFILE or ulimit -Hn, or lower "
			       "clients-total"));
	return clients;
}

static int failed(const char *what, const char *name, int err)
{
	log_event(CONFIG_ERROR, "privileges_not_dropped", LOG_S("what", what),
		  LOG_S("name", name ? name : ""),
		  LOG_S("error", ktc_error_name(err)),
		  LOG_S("why", ktc_strerror(err)));
	return err;
}

static int find_ids(const struct config *config, uid_t *uid, gid_t *gid)
{
	const struct passwd *user;
	const struct group *group;

	errno = 0;
	user = getpwnam(config->user);
	if (!user)
		return failed("user", config->user, errno ? -errno : -ENOENT);
	*uid = user->pw_uid;
	*gid = user->pw_gid;
	if (!config->group)
		return 0;
	errno = 0;
	group = getgrnam(config->group);
	if (!group)
		return failed("group", config->group, errno ? -errno : -ENOENT);
	*gid = group->gr_gid;
	return 0;
}

static int become(const struct config *config)
{
	uid_t uid = 0;
	gid_t gid = 0;
	int err;

	err = find_ids(config, &uid, &gid);
	if (err)
		return err;
	if (geteuid() == uid && getegid() == gid && uid)
		return 0; /* so it is already */
	/* supplementary groups first: it takes rights to give them up */
	if (setgroups(0, NULL))
		return failed("setgroups", config->user, -errno);
	if (setresgid(gid, gid, gid))
		return failed("setgid", config->group, -errno);
	if (setresuid(uid, uid, uid))
		return failed("setuid", config->user, -errno);
	if (uid && !setuid(0))
		return failed("setuid", "root again", -EPERM);
	return 0;
}

int privilege_drop(const struct config *config)
{
	const struct rlimit none = { 0 };
	int err = 0;

	if (config->user)
		err = become(config);
	if (err)
		return err;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return failed("no_new_privs", NULL, -errno);
	/* after setuid(), which sets it anew */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return failed("dumpable", NULL, -errno);
	if (setrlimit(RLIMIT_CORE, &none))
		return failed("core", NULL, -errno);
	return 0;
}

int privilege_give(const struct config *config, const char *path)
{
	uid_t uid = 0;
	gid_t gid = 0;
	int err;

	if (!config->user)
		return 0;
	err = find_ids(config, &uid, &gid);
	if (!err && lchown(path, uid, gid))
		err = failed("owner", path, -errno);
	return err;
}
