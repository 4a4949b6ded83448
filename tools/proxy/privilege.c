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
/* of a worker: ring, loop's eventfd, mailbox; of the rest: files, logs, admin */
#define FDS_PER_WORKER 8
#define FDS_REST 64

static uint64_t fds_wanted(const struct config *config, unsigned int threads)
{
	uint64_t wanted = config->clients_max * FDS_PER_CLIENT +
			  (uint64_t)threads * FDS_PER_WORKER + FDS_REST;
	unsigned int i;

	for (i = 0; i < config->nr_listeners; i++)
		wanted += config->listeners[i].nr_origins *
				  (config->listeners[i].warm + threads) +
			  threads;
	return wanted;
}

void privilege_descriptors(const struct config *config, unsigned int threads)
{
	uint64_t wanted = fds_wanted(config, threads);
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	/* raising the soft limit to the hard one is everybody's right */
	if (setrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= wanted)
		return;
	log_event(CONFIG_WARN, "few_descriptors",
		  LOG_U("clients_max", config->clients_max),
		  LOG_U("wanted", wanted), LOG_U("limit", limit.rlim_cur),
		  LOG_S("why", "more clients wait to be accepted; raise "
			       "LimitNOFILE or ulimit -n, or lower "
			       "clients-max"));
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
