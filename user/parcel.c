// SPDX-License-Identifier: MIT
/*
 * A file that passes something on which must not be there twice. Who writes it
 * leaves the old one or the new one, whole, whatever happens; of those who
 * read it at the same time, one can say that it has removed it. Everything is
 * done relative to the folder's descriptor, so a folder that is renamed or
 * replaced meanwhile makes no difference. Any thread.
 */
#include "parcel.h"

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

int parcel_open(struct parcel *parcel, const char *path)
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
	*parcel = (struct parcel){ fd, -1, path + len };
	return 0;
}

void parcel_close(struct parcel *parcel)
{
	/* both were only read from */
	if (parcel->file >= 0)
		(void)close(parcel->file);
	(void)close(parcel->dir);
}

static int write_all(int fd, const uint8_t *bytes, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, bytes, len);
		if (!n)
			return -EIO;	/* it would be so for ever */
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
static int name_new(const struct parcel *parcel, char name[NAME_MAX + 1])
{
	unsigned long long random;
	int n;

	/* so few bytes come all or not at all */
	while (getrandom(&random, sizeof(random), 0) < 0)
		if (errno != EINTR)
			return -errno;
	n = snprintf(name, NAME_MAX + 1, "%s.%016llx", parcel->name, random);
	return n > NAME_MAX ? -ENAMETOOLONG : 0;
}

int parcel_write(const struct parcel *parcel, const uint8_t *bytes, size_t len)
{
	char name[NAME_MAX + 1];
	int fd, err;

	err = name_new(parcel, name);
	if (err)
		return err;
	fd = openat(parcel->dir, name, O_WRONLY | O_CREAT | O_EXCL |
		    O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = write_all(fd, bytes, len);
	(void)close(fd);	/* fsync() has told how it went */
	if (!err && renameat(parcel->dir, name, parcel->dir, parcel->name))
		err = -errno;
	if (err) {
		/* ours alone; if it stays it is of use to nobody */
		(void)unlinkat(parcel->dir, name, 0);
		return err;
	}
	/*
	 * The new file is there and readers may have it: nothing can fail any
	 * more. If this does, a crash may bring the old one back, whole too.
	 */
	(void)fsync(parcel->dir);
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

int parcel_read(struct parcel *parcel, size_t max, uint8_t **out, size_t *len)
{
	size_t size = 0;
	uint8_t *bytes;
	int err;

	/* O_NONBLOCK: a FIFO must not hold us up before we see it is one */
	parcel->file = openat(parcel->dir, parcel->name, O_RDONLY | O_NOFOLLOW |
			      O_NONBLOCK | O_CLOEXEC);
	if (parcel->file < 0)
		return -errno;
	err = check_file(parcel->file, max, &size);
	if (err)
		return err;
	bytes = mem_zalloc(size);
	if (!bytes)
		return -ENOMEM;
	err = read_all(parcel->file, bytes, size, len);
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
 *
 * A folder that cannot be synchronised is found out while the file is still
 * there. Once the file has gone nobody else can read it, so what it has may be
 * used; should the disk fail in just this moment, a crash may bring it back.
 */
int parcel_remove(const struct parcel *parcel)
{
	struct stat ours, there;

	if (fstat(parcel->file, &ours) ||
	    fstatat(parcel->dir, parcel->name, &there, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (ours.st_ino != there.st_ino || ours.st_dev != there.st_dev)
		return -ESTALE;
	if (fsync(parcel->dir) || unlinkat(parcel->dir, parcel->name, 0))
		return -errno;
	(void)fsync(parcel->dir);	/* see above */
	return 0;
}
