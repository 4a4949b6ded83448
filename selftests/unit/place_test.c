// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: a file is there whole or not at all, and one reader can say
 * that it has removed it. What cannot be read is refused, and nothing waited
 * for.
 */
#include "place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host.h"
#include "mem.h"

#include "kselftest_harness.h"

#define MAX 100

FIXTURE(place)
{
	char dir[64];
	char path[PATH_MAX];
	struct place place;
	uint8_t *bytes;
	size_t len;
	unsigned int fds;
};

/* A folder with what is in it: files, links, empty folders. */
static bool remove_all(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return false;
	while ((entry = readdir(dir)))
		if (unlinkat(dirfd(dir), entry->d_name, 0))
			/* . and .. are there as well, and stay */
			(void)unlinkat(dirfd(dir), entry->d_name,
				       AT_REMOVEDIR);
	closedir(dir);
	return !rmdir(path);
}

FIXTURE_SETUP(place)
{
	snprintf(self->dir, sizeof(self->dir), "/tmp/place.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	snprintf(self->path, sizeof(self->path), "%s/file", self->dir);
	self->fds = host_open_fds();
	ASSERT_EQ(0, place_open(&self->place, self->path));
}

FIXTURE_TEARDOWN(place)
{
	mem_free(self->bytes);
	place_close(&self->place);
	EXPECT_EQ(self->fds, host_open_fds());
	EXPECT_TRUE(remove_all(self->dir));
}

static int write_text(const struct place *place, const char *text)
{
	return place_write(place, (const uint8_t *)text, strlen(text));
}

/* The file as it is now, looked at without what is tested. */
static const char *content(const char *path)
{
	static char text[MAX];
	FILE *file = fopen(path, "r");
	size_t len;

	if (!file)
		return "no file";
	len = fread(text, 1, sizeof(text) - 1, file);
	text[len] = '\0';
	fclose(file);
	return text;
}

static int entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = -2;	/* . and .. */

	if (!dir)
		return -1;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

TEST_F(place, what_is_written_is_read)
{
	ASSERT_EQ(0, write_text(&self->place, "text"));
	ASSERT_EQ(0, place_read(&self->place, MAX, &self->bytes, &self->len));
	ASSERT_EQ(4, self->len);
	EXPECT_EQ(0, memcmp("text", self->bytes, 4));
}

TEST_F(place, nothing_can_be_written_and_read)
{
	ASSERT_EQ(0, place_write(&self->place, NULL, 0));
	ASSERT_EQ(0, place_read(&self->place, MAX, &self->bytes, &self->len));
	EXPECT_EQ(0, self->len);
}

TEST_F(place, a_file_is_its_owners_alone)
{
	struct stat st;

	umask(0);
	ASSERT_EQ(0, write_text(&self->place, "text"));
	ASSERT_EQ(0, stat(self->path, &st));
	EXPECT_EQ(S_IFREG | 0600, st.st_mode);
}

TEST_F(place, the_new_file_takes_the_old_ones_place)
{
	struct stat old, new;

	ASSERT_EQ(0, write_text(&self->place, "the old one"));
	ASSERT_EQ(0, chmod(self->path, 0644));
	ASSERT_EQ(0, stat(self->path, &old));
	ASSERT_EQ(0, write_text(&self->place, "new"));
	EXPECT_STREQ("new", content(self->path));
	ASSERT_EQ(0, stat(self->path, &new));
	EXPECT_EQ(S_IFREG | 0600, new.st_mode);
	EXPECT_NE(old.st_ino, new.st_ino);
	EXPECT_EQ(1, entries(self->dir));
}

TEST_F(place, a_link_is_replaced_and_not_followed)
{
	char other[100];

	snprintf(other, sizeof(other), "%s/other", self->dir);
	ASSERT_EQ(0, symlink(other, self->path));
	ASSERT_EQ(0, write_text(&self->place, "new"));
	EXPECT_STREQ("no file", content(other));
	EXPECT_STREQ("new", content(self->path));
}

TEST_F(place, a_disk_without_room_leaves_the_old_file)
{
	struct rlimit limit = { .rlim_cur = 10, .rlim_max = RLIM_INFINITY };

	ASSERT_EQ(0, write_text(&self->place, "old"));
	signal(SIGXFSZ, SIG_IGN);
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
	EXPECT_EQ(-EFBIG, write_text(&self->place, "more than ten bytes"));
	EXPECT_STREQ("old", content(self->path));
	EXPECT_EQ(1, entries(self->dir));
}

TEST_F(place, a_folder_is_not_replaced)
{
	ASSERT_EQ(0, mkdir(self->path, 0700));
	EXPECT_EQ(-EISDIR, write_text(&self->place, "new"));
	EXPECT_EQ(1, entries(self->dir));
}

TEST_F(place, a_folder_that_has_gone_takes_no_file)
{
	ASSERT_EQ(0, rmdir(self->dir));
	EXPECT_EQ(-ENOENT, write_text(&self->place, "new"));
	ASSERT_EQ(0, mkdir(self->dir, 0700));	/* for the end */
}

TEST_F(place, a_name_without_room_for_more_is_refused)
{
	struct place place;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%0250d", self->dir, 0);
	ASSERT_EQ(0, place_open(&place, path));
	EXPECT_EQ(-ENAMETOOLONG, write_text(&place, "new"));
	EXPECT_EQ(0, entries(self->dir));
	place_close(&place);
}

TEST_F(place, a_folder_that_is_not_there_is_told)
{
	struct place place;
	char path[100];

	snprintf(path, sizeof(path), "%s/none/file", self->dir);
	EXPECT_EQ(-ENOENT, place_open(&place, path));
	ASSERT_EQ(0, write_text(&self->place, "old"));
	snprintf(path, sizeof(path), "%s/file/file", self->dir);
	EXPECT_EQ(-ENOTDIR, place_open(&place, path));
}

TEST_F(place, a_path_may_have_no_folder_or_the_root)
{
	struct place place;

	ASSERT_EQ(0, chdir(self->dir));
	ASSERT_EQ(0, place_open(&place, "here"));
	EXPECT_EQ(0, write_text(&place, "text"));
	EXPECT_STREQ("text", content("here"));
	place_close(&place);
	ASSERT_EQ(0, place_open(&place, "/dev"));
	EXPECT_EQ(-EISDIR, place_read(&place, MAX, &self->bytes, &self->len));
	place_close(&place);
}

TEST_F(place, a_path_of_a_folder_alone_names_no_file)
{
	struct place place;
	char path[100];

	snprintf(path, sizeof(path), "%s/", self->dir);
	ASSERT_EQ(0, place_open(&place, path));
	EXPECT_EQ(-ENOENT, place_read(&place, MAX, &self->bytes, &self->len));
	EXPECT_EQ(-ENOENT, write_text(&place, "text"));
	EXPECT_EQ(0, entries(self->dir));
	place_close(&place);
}

static int read_it(FIXTURE_DATA(place) * self)
{
	int err = place_read(&self->place, MAX, &self->bytes, &self->len);

	return self->bytes && err ? 1 : err;	/* written on success only */
}

TEST_F(place, what_is_not_there_is_not_read)
{
	EXPECT_EQ(-ENOENT, read_it(self));
}

TEST_F(place, a_link_is_not_read)
{
	char other[100];

	snprintf(other, sizeof(other), "%s/other", self->dir);
	ASSERT_EQ(0, write_text(&self->place, "text"));
	ASSERT_EQ(0, rename(self->path, other));
	ASSERT_EQ(0, symlink(other, self->path));
	EXPECT_EQ(-ELOOP, read_it(self));
}

TEST_F(place, a_folder_is_not_read)
{
	ASSERT_EQ(0, mkdir(self->path, 0700));
	EXPECT_EQ(-EISDIR, read_it(self));
}

TEST_F(place, a_fifo_is_not_waited_for)
{
	ASSERT_EQ(0, mkfifo(self->path, 0600));
	EXPECT_EQ(-EINVAL, read_it(self));
}

TEST_F(place, a_file_above_the_limit_is_not_read)
{
	ASSERT_EQ(0, write_text(&self->place, "text"));
	ASSERT_EQ(0, truncate(self->path, MAX + 1));
	EXPECT_EQ(-EFBIG, read_it(self));
	ASSERT_EQ(0, truncate(self->path, MAX));
	place_close(&self->place);
	ASSERT_EQ(0, place_open(&self->place, self->path));
	EXPECT_EQ(0, read_it(self));
	EXPECT_EQ(MAX, self->len);
}

TEST_F(place, of_two_readers_one_is_refused_until_the_other_is_done)
{
	struct place other;

	ASSERT_EQ(0, write_text(&self->place, "text"));
	ASSERT_EQ(0, place_open(&other, self->path));
	ASSERT_EQ(0, place_read(&other, MAX, &self->bytes, &self->len));
	mem_free(self->bytes);
	self->bytes = NULL;
	EXPECT_EQ(-EAGAIN, read_it(self));
	place_close(&other);
	place_close(&self->place);
	ASSERT_EQ(0, place_open(&self->place, self->path));
	EXPECT_EQ(0, read_it(self));
}

TEST_F(place, what_was_read_is_removed)
{
	ASSERT_EQ(0, write_text(&self->place, "text"));
	ASSERT_EQ(0, read_it(self));
	EXPECT_EQ(0, place_remove(&self->place));
	EXPECT_EQ(0, entries(self->dir));
}

TEST_F(place, what_somebody_else_has_removed_is_told)
{
	ASSERT_EQ(0, write_text(&self->place, "text"));
	ASSERT_EQ(0, read_it(self));
	ASSERT_EQ(0, unlink(self->path));
	EXPECT_EQ(-ENOENT, place_remove(&self->place));
}

TEST_F(place, a_file_that_came_since_stays)
{
	ASSERT_EQ(0, write_text(&self->place, "old"));
	ASSERT_EQ(0, read_it(self));
	ASSERT_EQ(0, write_text(&self->place, "new"));
	EXPECT_EQ(-ESTALE, place_remove(&self->place));
	EXPECT_STREQ("new", content(self->path));
}

TEST_HARNESS_MAIN
