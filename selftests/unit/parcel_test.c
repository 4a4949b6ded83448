// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: a file is there whole or not at all, and one reader can say
 * that it has removed it. What cannot be read is refused, and nothing waited
 * for. Calls that seldom fail do so here when they are told to: the names of
 * this program come before libc's.
 */
#include "parcel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host.h"
#include "mem.h"

#include "kselftest_harness.h"

#define MAX 100

/* Which call from now on fails, from 1; 0: none. */
static unsigned int bad_fsync, bad_write, bad_getrandom;

static bool fails(unsigned int *nth)
{
	return *nth && !--*nth;
}

int fsync(int fd)
{
	if (!fails(&bad_fsync))
		return (int)syscall(SYS_fsync, fd);
	errno = EINVAL;
	return -1;
}

/* Takes nothing, and says no error. */
ssize_t write(int fd, const void *bytes, size_t len)
{
	return fails(&bad_write) ? 0 : syscall(SYS_write, fd, bytes, len);
}

ssize_t getrandom(void *to, size_t len, unsigned int flags)
{
	if (!fails(&bad_getrandom))
		return syscall(SYS_getrandom, to, len, flags);
	errno = EINTR;
	return -1;
}

FIXTURE(parcel)
{
	char dir[64];
	char path[PATH_MAX];
	struct parcel parcel;
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

FIXTURE_SETUP(parcel)
{
	snprintf(self->dir, sizeof(self->dir), "/tmp/parcel.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	snprintf(self->path, sizeof(self->path), "%s/file", self->dir);
	self->fds = host_open_fds();
	ASSERT_EQ(0, parcel_open(&self->parcel, self->path));
}

FIXTURE_TEARDOWN(parcel)
{
	mem_free(self->bytes);
	parcel_close(&self->parcel);
	EXPECT_EQ(self->fds, host_open_fds());
	EXPECT_TRUE(remove_all(self->dir));
}

static int write_text(const struct parcel *parcel, const char *text)
{
	return parcel_write(parcel, (const uint8_t *)text, strlen(text));
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

TEST_F(parcel, what_is_written_is_read)
{
	ASSERT_EQ(0, write_text(&self->parcel, "text"));
	ASSERT_EQ(0, parcel_read(&self->parcel, MAX, &self->bytes, &self->len));
	ASSERT_EQ(4, self->len);
	EXPECT_EQ(0, memcmp("text", self->bytes, 4));
}

TEST_F(parcel, nothing_can_be_written_and_read)
{
	ASSERT_EQ(0, parcel_write(&self->parcel, NULL, 0));
	ASSERT_EQ(0, parcel_read(&self->parcel, MAX, &self->bytes, &self->len));
	EXPECT_EQ(0, self->len);
}

TEST_F(parcel, a_file_is_its_owners_alone)
{
	struct stat st;

	umask(0);
	ASSERT_EQ(0, write_text(&self->parcel, "text"));
	ASSERT_EQ(0, stat(self->path, &st));
	EXPECT_EQ(S_IFREG | 0600, st.st_mode);
}

TEST_F(parcel, the_new_file_takes_the_old_ones_place)
{
	struct stat old, new;

	ASSERT_EQ(0, write_text(&self->parcel, "the old one"));
	ASSERT_EQ(0, chmod(self->path, 0644));
	ASSERT_EQ(0, stat(self->path, &old));
	ASSERT_EQ(0, write_text(&self->parcel, "new"));
	EXPECT_STREQ("new", content(self->path));
	ASSERT_EQ(0, stat(self->path, &new));
	EXPECT_EQ(S_IFREG | 0600, new.st_mode);
	EXPECT_NE(old.st_ino, new.st_ino);
	EXPECT_EQ(1, entries(self->dir));
}

TEST_F(parcel, a_link_is_replaced_and_not_followed)
{
	char other[100];

	snprintf(other, sizeof(other), "%s/other", self->dir);
	ASSERT_EQ(0, symlink(other, self->path));
	ASSERT_EQ(0, write_text(&self->parcel, "new"));
	EXPECT_STREQ("no file", content(other));
	EXPECT_STREQ("new", content(self->path));
}

TEST_F(parcel, a_disk_without_room_leaves_the_old_file)
{
	struct rlimit limit = { .rlim_cur = 10, .rlim_max = RLIM_INFINITY };

	ASSERT_EQ(0, write_text(&self->parcel, "old"));
	signal(SIGXFSZ, SIG_IGN);
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
	EXPECT_EQ(-EFBIG, write_text(&self->parcel, "more than ten bytes"));
	EXPECT_STREQ("old", content(self->path));
	EXPECT_EQ(1, entries(self->dir));
}

TEST_F(parcel, a_disk_that_takes_nothing_leaves_the_old_file)
{
	int err;

	ASSERT_EQ(0, write_text(&self->parcel, "old"));
	bad_write = 1;
	err = write_text(&self->parcel, "new");
	EXPECT_EQ(-EIO, err);
	EXPECT_STREQ("old", content(self->path));
	EXPECT_EQ(1, entries(self->dir));
}

TEST_F(parcel, a_file_that_cannot_be_synchronised_leaves_the_old_one)
{
	int err;

	ASSERT_EQ(0, write_text(&self->parcel, "old"));
	bad_fsync = 1;
	err = write_text(&self->parcel, "new");
	EXPECT_EQ(-EINVAL, err);
	EXPECT_STREQ("old", content(self->path));
	EXPECT_EQ(1, entries(self->dir));
}

TEST_F(parcel, an_interruption_before_the_name_is_no_failure)
{
	bad_getrandom = 1;
	EXPECT_EQ(0, write_text(&self->parcel, "text"));
	EXPECT_EQ(0, bad_getrandom);
	EXPECT_STREQ("text", content(self->path));
}

TEST_F(parcel, a_folder_is_not_replaced)
{
	ASSERT_EQ(0, mkdir(self->path, 0700));
	EXPECT_EQ(-EISDIR, write_text(&self->parcel, "new"));
	EXPECT_EQ(1, entries(self->dir));
}

TEST_F(parcel, a_folder_that_has_gone_takes_no_file)
{
	ASSERT_EQ(0, rmdir(self->dir));
	EXPECT_EQ(-ENOENT, write_text(&self->parcel, "new"));
	ASSERT_EQ(0, mkdir(self->dir, 0700));	/* for the end */
}

TEST_F(parcel, a_name_without_room_for_more_is_refused)
{
	struct parcel parcel;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%0250d", self->dir, 0);
	ASSERT_EQ(0, parcel_open(&parcel, path));
	EXPECT_EQ(-ENAMETOOLONG, write_text(&parcel, "new"));
	EXPECT_EQ(0, entries(self->dir));
	parcel_close(&parcel);
}

TEST_F(parcel, a_folder_that_is_not_there_is_told)
{
	struct parcel parcel;
	char path[100];

	snprintf(path, sizeof(path), "%s/none/file", self->dir);
	EXPECT_EQ(-ENOENT, parcel_open(&parcel, path));
	ASSERT_EQ(0, write_text(&self->parcel, "old"));
	snprintf(path, sizeof(path), "%s/file/file", self->dir);
	EXPECT_EQ(-ENOTDIR, parcel_open(&parcel, path));
}

TEST_F(parcel, a_path_may_have_no_folder_or_the_root)
{
	struct parcel parcel;

	ASSERT_EQ(0, chdir(self->dir));
	ASSERT_EQ(0, parcel_open(&parcel, "here"));
	EXPECT_EQ(0, write_text(&parcel, "text"));
	EXPECT_STREQ("text", content("here"));
	parcel_close(&parcel);
	ASSERT_EQ(0, parcel_open(&parcel, "/dev"));
	EXPECT_EQ(-EISDIR, parcel_read(&parcel, MAX, &self->bytes, &self->len));
	parcel_close(&parcel);
}

TEST_F(parcel, a_path_of_a_folder_alone_names_no_file)
{
	struct parcel parcel;
	char path[100];

	snprintf(path, sizeof(path), "%s/", self->dir);
	ASSERT_EQ(0, parcel_open(&parcel, path));
	EXPECT_EQ(-ENOENT, parcel_read(&parcel, MAX, &self->bytes, &self->len));
	EXPECT_EQ(-ENOENT, write_text(&parcel, "text"));
	EXPECT_EQ(0, entries(self->dir));
	parcel_close(&parcel);
}

static int read_it(FIXTURE_DATA(parcel) * self)
{
	int err = parcel_read(&self->parcel, MAX, &self->bytes, &self->len);

	return self->bytes && err ? 1 : err;	/* written on success only */
}

TEST_F(parcel, what_is_not_there_is_not_read)
{
	EXPECT_EQ(-ENOENT, read_it(self));
}

TEST_F(parcel, a_link_is_not_read)
{
	char other[100];

	snprintf(other, sizeof(other), "%s/other", self->dir);
	ASSERT_EQ(0, write_text(&self->parcel, "text"));
	ASSERT_EQ(0, rename(self->path, other));
	ASSERT_EQ(0, symlink(other, self->path));
	EXPECT_EQ(-ELOOP, read_it(self));
}

TEST_F(parcel, a_folder_is_not_read)
{
	ASSERT_EQ(0, mkdir(self->path, 0700));
	EXPECT_EQ(-EISDIR, read_it(self));
}

TEST_F(parcel, a_fifo_is_not_waited_for)
{
	ASSERT_EQ(0, mkfifo(self->path, 0600));
	EXPECT_EQ(-EINVAL, read_it(self));
}

TEST_F(parcel, a_file_above_the_limit_is_not_read)
{
	ASSERT_EQ(0, write_text(&self->parcel, "text"));
	ASSERT_EQ(0, truncate(self->path, MAX + 1));
	EXPECT_EQ(-EFBIG, read_it(self));
	ASSERT_EQ(0, truncate(self->path, MAX));
	parcel_close(&self->parcel);
	ASSERT_EQ(0, parcel_open(&self->parcel, self->path));
	EXPECT_EQ(0, read_it(self));
	EXPECT_EQ(MAX, self->len);
}

TEST_F(parcel, of_two_readers_one_is_refused_until_the_other_is_done)
{
	struct parcel other;

	ASSERT_EQ(0, write_text(&self->parcel, "text"));
	ASSERT_EQ(0, parcel_open(&other, self->path));
	ASSERT_EQ(0, parcel_read(&other, MAX, &self->bytes, &self->len));
	mem_free(self->bytes);
	self->bytes = NULL;
	EXPECT_EQ(-EAGAIN, read_it(self));
	parcel_close(&other);
	parcel_close(&self->parcel);
	ASSERT_EQ(0, parcel_open(&self->parcel, self->path));
	EXPECT_EQ(0, read_it(self));
}

TEST_F(parcel, what_was_read_is_removed)
{
	ASSERT_EQ(0, write_text(&self->parcel, "text"));
	ASSERT_EQ(0, read_it(self));
	EXPECT_EQ(0, parcel_remove(&self->parcel));
	EXPECT_EQ(0, entries(self->dir));
}

TEST_F(parcel, in_a_folder_that_cannot_be_synchronised_the_file_stays)
{
	ASSERT_EQ(0, write_text(&self->parcel, "text"));
	ASSERT_EQ(0, read_it(self));
	bad_fsync = 1;
	EXPECT_EQ(-EINVAL, parcel_remove(&self->parcel));
	EXPECT_STREQ("text", content(self->path));
}

TEST_F(parcel, a_disk_that_fails_once_the_file_has_gone_is_no_failure)
{
	ASSERT_EQ(0, write_text(&self->parcel, "text"));
	ASSERT_EQ(0, read_it(self));
	bad_fsync = 2;
	EXPECT_EQ(0, parcel_remove(&self->parcel));
	EXPECT_EQ(0, bad_fsync);
	EXPECT_EQ(0, entries(self->dir));
}

TEST_F(parcel, what_somebody_else_has_removed_is_told)
{
	ASSERT_EQ(0, write_text(&self->parcel, "text"));
	ASSERT_EQ(0, read_it(self));
	ASSERT_EQ(0, unlink(self->path));
	EXPECT_EQ(-ENOENT, parcel_remove(&self->parcel));
}

TEST_F(parcel, a_file_that_came_since_stays)
{
	ASSERT_EQ(0, write_text(&self->parcel, "old"));
	ASSERT_EQ(0, read_it(self));
	ASSERT_EQ(0, write_text(&self->parcel, "new"));
	EXPECT_EQ(-ESTALE, parcel_remove(&self->parcel));
	EXPECT_STREQ("new", content(self->path));
}

TEST_HARNESS_MAIN
