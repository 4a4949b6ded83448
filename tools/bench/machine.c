// SPDX-License-Identifier: MIT
/*
 * Facts about the machine, for the report. What cannot be found out stays
 * empty. The tools do not link OpenSSL, but the library brings it into the
 * process, so its version is asked for by name.
 */
#include "machine.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* OpenSSL_version(OPENSSL_VERSION) */
#define VERSION_TEXT 0

static void find_cpu(struct machine *m)
{
	FILE *f = fopen("/proc/cpuinfo", "r");
	char line[256], *colon;

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, "model name", 10))
			continue;
		colon = strchr(line, ':');
		if (!colon)
			continue;
		colon += 1 + strspn(colon + 1, " \t");
		colon[strcspn(colon, "\n")] = '\0';
		(void)snprintf(m->cpu, sizeof(m->cpu), "%s", colon);
		break;
	}
	(void)fclose(f); /* read only */
}

static void find_openssl(struct machine *m)
{
	const char *(*version)(int type);
	void *self = dlopen(NULL, RTLD_NOW);
	void *symbol;

	if (!self)
		return;
	symbol = dlsym(self, "OpenSSL_version");
	if (symbol) {
		/* ISO C has no cast from object to function pointers */
		memcpy(&version, &symbol, sizeof(version));
		(void)snprintf(m->openssl, sizeof(m->openssl), "%s",
			       version(VERSION_TEXT));
	}
	(void)dlclose(self); /* a reference to ourselves */
}

void machine_describe(struct machine *m)
{
	time_t now = time(NULL);
	struct utsname u;
	struct tm tm;

	memset(m, 0, sizeof(*m));
	find_cpu(m);
	find_openssl(m);
	m->cores = sysconf(_SC_NPROCESSORS_ONLN);
	if (!uname(&u)) {
		(void)snprintf(m->kernel, sizeof(m->kernel), "%s %s", u.sysname,
			       u.release);
		(void)snprintf(m->arch, sizeof(m->arch), "%s", u.machine);
	}
	if (gmtime_r(&now, &tm))
		(void)strftime(m->time, sizeof(m->time), "%Y-%m-%dT%H:%M:%SZ",
			       &tm);
}
