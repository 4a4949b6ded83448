// SPDX-License-Identifier: MIT
/*
 * A file that passes something on which must not be there twice. Who writes it
 * leaves the old one or the new one, whole, whatever happens; of those who
 * read it at the same time, one can say that it has removed it. Everything is
 * done relative to the folder's descriptor, so a folder that is renamed or
 * replaced meanwhile makes no difference. Any thread.
 */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"

int place_open(struct place *place, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) + 1 : 0;
	char *dir = mem_zalloc(len + sizeof("."));
	int fd;

	if (!dir)
		return -ENOMEM;
	memcpy(dir, path, len);
	dir[len] = '.';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mem_free(dir);
	if (fd < 0)
		return -errno;
	*place = (struct place){ fd, -1, path + len };
	return 0;
}

void place_close(struct place *place)
{
	/* both were only read from */
	if (place->file >= 0)
		(void)close(place->file);
	(void)close(place->dir);
}

static int write_all(int fd, const uint8_t *bytes, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, bytes, len);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
	}
	return fsync(fd) ? -errno : 0;
}

/* A name beside the file's that nobody else has. */
static int name_new(const struct place *place, char name[NAME_MAX + 1])
{
	unsigned long long random;
	int n;

	/* so few bytes come all or not at all */
	if (getrandom(&random, sizeof(random), 0) < 0)
		return -errno;
	n = snprintf(name, NAME_MAX + 1, "%s.%016llx", place->name, random);
	return n > NAME_MAX ? -ENAMETOOLONG : 0;
}

int place_write(const struct place *place, const uint8_t *bytes, size_t len)
{
	char name[NAME_MAX + 1];
	int fd, err;

	err = name_new(place, name);
	if (err)
		return err;
	fd = openat(place->dir, name, O_WRONLY | O_CREAT | O_EXCL |
		    O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = write_all(fd, bytes, len);
	(void)close(fd);	/* fsync() has told how it went */
	if (!err && renameat(place->dir, name, place->dir, place->name))
		err = -errno;
	if (err) {
		/* ours alone; if it stays it is of use to nobody */
		(void)unlinkat(place->dir, name, 0);
		return err;
	}
	/*
	 * The new file is there and readers may have it: nothing can fail any
	 * more. If this does, a crash may bring the old one back, whole too.
	 */
	(void)fsync(place->dir);
	return 0;
}

/* Regular, of a size that is allowed, and nobody else's. */
static int check_file(int fd, size_t max, size_t *size)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((uint64_t)st.st_size > max)
		return -EFBIG;
	/* EWOULDBLOCK is EAGAIN */
	if (flock(fd, LOCK_EX | LOCK_NB))
		return -errno;
	*size = (size_t)st.st_size;
	return 0;
}

static int read_all(int fd, uint8_t *bytes, size_t size, size_t *len)
{
	size_t done = 0;
	ssize_t n;

	while (done < size) {
		n = read(fd, bytes + done, size - done);
		if (!n)
			break;	/* somebody has cut it */
		if (n > 0)
			done += (size_t)n;
		else if (errno != EINTR)
			return -errno;
	}
	*len = done;
	return 0;
}

int place_read(struct place *place, size_t max, uint8_t **out, size_t *len)
{
	size_t size = 0;
	uint8_t *bytes;
	int err;

	/* O_NONBLOCK: a FIFO must not hold us up before we see it is one */
	place->file = openat(place->dir, place->name, O_RDONLY | O_NOFOLLOW |
			     O_NONBLOCK | O_CLOEXEC);
	if (place->file < 0)
		return -errno;
	err = check_file(place->file, max, &size);
	if (err)
		return err;
	bytes = mem_zalloc(size);
	if (!bytes)
		return -ENOMEM;
	err = read_all(place->file, bytes, size, len);
	if (err)
		mem_free(bytes);
	else
		*out = bytes;
	return err;
}

/*
 * Its number is not given to another file while it is open. The lock keeps
 * other readers away between the look and the removal; a writer that comes in
 * between loses its file, but nothing is there twice.
 */
int place_remove(const struct place *place)
{
	struct stat ours, there;

	if (fstat(place->file, &ours) ||
	    fstatat(place->dir, place->name, &there, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (ours.st_ino != there.st_ino || ours.st_dev != there.st_dev)
		return -ESTALE;
	if (unlinkat(place->dir, place->name, 0) || fsync(place->dir))
		return -errno;
	return 0;
}
