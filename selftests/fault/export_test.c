// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: export and import, by memory and by file, with every call
 * failing in turn. After a failure each session is where it was, in the order
 * it had, the caller's outputs are untouched, and no file is left half done.
 */
#include "sweep.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pair.h"

#include "kselftest_harness.h"

static struct pair pair;
static char path[CERTS_DIR_MAX + 16];

FIXTURE(move)
{
	struct sweep s;
};

FIXTURE_SETUP(move)
{
	ASSERT_EQ(0, sweep_init(&self->s, 0, KTC_POLICY_NEVER));
	ASSERT_EQ(0, pair_init(&pair));
	(void)snprintf(path, sizeof(path), "%s/sealed", pair.dir);
}

FIXTURE_TEARDOWN(move)
{
	pair_fini(&pair);
	sweep_fini(&self->s);
}

/* Two of one identity, one and a TLS 1.2 session of others. */
static bool start(struct sweep *s)
{
	if (pair_start(&pair) ||
	    !pair_give13(pair.from, pair.id[0], "a1") ||
	    !pair_give13(pair.from, pair.id[0], "a2") ||
	    !pair_give13(pair.from, pair.id[1], "b1") ||
	    !pair_give12(pair.from, pair.id[2], "c1"))
		return sweep_wrong(s, "no clients, or no sessions");
	return true;
}

static bool has_all(struct sweep *s, struct ktc_client *client)
{
	static const char *const names[PAIR_IDS] = { "a2 a1", "b1", "c1" };
	const char *found;
	int i;

	for (i = 0; i < PAIR_IDS; i++) {
		found = pair_take_all(client, pair.id[i]);
		if (strcmp(names[i], found))
			return sweep_wrong(s, "\"%s\" where \"%s\" should be",
					   found, names[i]);
	}
	return true;
}

static int files(void)
{
	DIR *dir = opendir(pair.dir);
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		(void)closedir(dir);	/* only read from */
	return n;
}

/* Nothing fails any more: a look at what the failure has left. */
static bool stop(struct sweep *s, int ret, struct ktc_client *owner)
{
	(void)fault_disarm();
	if (owner)
		(void)has_all(s, owner);	/* says what is wrong */
	if (ret < 0 && pair_sessions(pair.to))
		(void)sweep_wrong(s, "some were put in");
	pair_stop(&pair);
	return sweep_call(s, ret < 0 ? ret : 0);
}

static bool export(struct sweep *s)
{
	void *sealed = NULL;
	size_t len = 0;
	int ret;

	if (!start(s))
		return false;
	sweep_arm(s);
	ret = ktc_client_export(pair.from, pair.key, 0, &sealed, &len);
	if (ret != 4 && (ret >= 0 || sealed || len))
		(void)sweep_wrong(s, "says %d, and %zu bytes", ret, len);
	ktc_export_free(sealed, len);
	return stop(s, ret, ret < 0 ? pair.from : NULL);
}

TEST_F(move, exported)
{
	self->s.calls_min = 2;
	SWEEP(&self->s, export);
}

static bool import(struct sweep *s)
{
	size_t len = 0;
	void *sealed;
	int ret;

	if (!start(s))
		return false;
	if (ktc_client_export(pair.from, pair.key, 0, &sealed, &len) != 4)
		return sweep_wrong(s, "no export");
	sweep_arm(s);
	ret = ktc_client_import(pair.to, pair.key, sealed, len);
	(void)fault_disarm();
	ktc_export_free(sealed, len);
	return stop(s, ret, fault_fired() ? NULL : pair.to);
}

TEST_F(move, imported)
{
	self->s.calls_min = 6;
	SWEEP(&self->s, import);
}

static bool export_file(struct sweep *s)
{
	int ret, before;

	if (!start(s))
		return false;
	if (ktc_client_export_file(pair.to, pair.key, 0, path))
		return sweep_wrong(s, "no old file");
	before = files();
	sweep_arm(s);
	ret = ktc_client_export_file(pair.from, pair.key, 0, path);
	(void)fault_disarm();
	if (files() != before)
		(void)sweep_wrong(s, "%d files became %d", before, files());
	/* the old one has none in it */
	if (ktc_client_import_file(pair.to, pair.key, path) !=
	    (ret < 0 ? 0 : ret))
		(void)sweep_wrong(s, "not the file that should be there");
	return stop(s, ret, ret < 0 ? pair.from : pair.to);
}

TEST_F(move, exported_to_a_file)
{
	self->s.calls_min = 3;
	SWEEP(&self->s, export_file);
}

static bool import_file(struct sweep *s)
{
	int ret;

	if (!start(s))
		return false;
	if (ktc_client_export_file(pair.from, pair.key, 0, path) != 4)
		return sweep_wrong(s, "no export");
	sweep_arm(s);
	ret = ktc_client_import_file(pair.to, pair.key, path);
	(void)fault_disarm();
	if (!access(path, F_OK) ? ret >= 0 : ret < 0)
		(void)sweep_wrong(s, "says %d, and the file is there or not",
				  ret);
	(void)unlink(path);	/* if it is there */
	return stop(s, ret, fault_fired() ? NULL : pair.to);
}

TEST_F(move, imported_from_a_file)
{
	self->s.calls_min = 8;
	SWEEP(&self->s, import_file);
}

TEST_HARNESS_MAIN
