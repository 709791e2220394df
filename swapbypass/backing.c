// SPDX-License-Identifier: BSD-2-Clause
/*
 * The memory of a window: a memfd, or a file.  A file has the window, sparse, a spare hole, and
 * one page with our mark at its end.  If the VMM is killed, the mark says that the contents can
 * be thrown away.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "swapbypass/window.h"

#define MAGIC "symkit swap window\n"

struct mark {
	char magic[sizeof(MAGIC)];
	char name[72]; /* of the VM */
	char created; /* 'c': the file was made by us */
	char rest[4096 - sizeof(MAGIC) - 72 - 1];
};
_Static_assert(sizeof(struct mark) == 4096, "a mark is a page");

static int fail_errno(struct sym_err *err, const char *what)
{
	int code = -errno;

	return sym_fail(err, code, "%s: %s", what, strerror(-code));
}

/* @name comes from the file and is not trusted. */
static void keep_name(char *out, size_t size, const char *name, size_t len)
{
	size_t n = 0;

	for (; n < len && n < size - 1 && name[n]; n++)
		out[n] = name[n] < '!' || name[n] > '~' ? '?' : name[n];
	out[n] = '\0';
	if (!n)
		strcpy(out, "?");
}

/* An empty file is accepted; one with our mark is emptied; any other is refused. */
static int discard_leftover(struct backing *b, const struct stat *st, struct sym_err *err)
{
	struct mark mark;

	if (!st->st_size)
		return 0;
	if (st->st_size <= (off_t)sizeof(mark) ||
	    pread(b->fd, &mark, sizeof(mark), st->st_size - sizeof(mark)) != sizeof(mark) ||
	    memcmp(mark.magic, MAGIC, sizeof(MAGIC)))
		return sym_fail(err, -EEXIST, "%s: not empty, and not a swap window of symkit",
				b->file);
	keep_name(b->leftover, sizeof(b->leftover), mark.name, sizeof(mark.name));
	b->created = mark.created == 'c';
	return ftruncate(b->fd, 0) ? fail_errno(err, b->file) : 0;
}

/* Its descriptor, or -1. */
static int open_file(struct backing *b)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

	int fd = open(b->file, flags | O_CREAT | O_EXCL, 0600);

	b->created = fd >= 0;
	return fd < 0 && errno == EEXIST ? open(b->file, flags) : fd;
}

/*
 * The file stays sparse, but a guest whose host runs out of disk space cannot continue: there
 * must be room for the whole window at the start.
 */
static int check_space(const struct backing *b, struct sym_err *err)
{
	struct statvfs fs;
	uint64_t room;

	if (fstatvfs(b->fd, &fs) || !fs.f_blocks)
		return 0; /* unknown */
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (room >= b->size + SPARE + sizeof(struct mark))
		return 0;
	return sym_fail(err, -ENOSPC,
			"%s: the window has %llu MiB, the file system %llu MiB "
			"free",
			b->file, (unsigned long long)b->size >> 20,
			(unsigned long long)room >> 20);
}

/* One write sets the file's length and the mark: a crash leaves both or neither. */
static int put_mark(const struct backing *b, const char *name, struct sym_err *err)
{
	struct mark mark = { .magic = MAGIC, .created = b->created ? 'c' : '-' };

	strncpy(mark.name, name, sizeof(mark.name) - 1);
	if (pwrite(b->fd, &mark, sizeof(mark), b->size + SPARE) != sizeof(mark) ||
	    fdatasync(b->fd))
		return fail_errno(err, b->file);
	return 0;
}

static int take_file(struct backing *b, const char *name, struct sym_err *err)
{
	struct stat st;
	int ret;

	if (flock(b->fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ?
			       sym_fail(err, -EBUSY, "%s: in use by another VM", b->file) :
			       fail_errno(err, b->file);
	if (fstat(b->fd, &st))
		return fail_errno(err, b->file);
	if (!S_ISREG(st.st_mode))
		return sym_fail(err, -EINVAL, "%s: not a regular file", b->file);
	ret = discard_leftover(b, &st, err);
	if (!ret)
		ret = check_space(b, err);
	return ret ? ret : put_mark(b, name, err);
}

static int make_file(struct backing *b, const char *file, const char *name, struct sym_err *err)
{
	int ret;

	b->file = strdup(file);
	if (!b->file)
		return sym_fail(err, -ENOMEM, "out of memory");
	b->fd = open_file(b);
	if (b->fd < 0)
		return fail_errno(err, b->file);
	ret = take_file(b, name, err);
	if (ret) { /* not ours: leave it unchanged */
		if (b->created)
			unlink(b->file);
		close(b->fd);
		b->fd = -1;
	}
	return ret;
}

static int make_memfd(struct backing *b, struct sym_err *err)
{
	b->fd = memfd_create("symkit-window", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	/* Nobody may truncate it: the guest's accesses would fault. */
	if (b->fd < 0 || ftruncate(b->fd, b->size) ||
	    fcntl(b->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return fail_errno(err, "memfd");
	return 0;
}

int backing_create(struct backing *b, uint64_t size, const char *file, const char *name,
		   struct sym_err *err)
{
	void *map;
	int ret;

	*b = (struct backing){ .fd = -1, .size = size };
	ret = file ? make_file(b, file, name, err) : make_memfd(b, err);
	if (ret)
		return ret;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, b->fd, 0);
	if (map == MAP_FAILED)
		return sym_fail(err, -errno, "%s: cannot map: %s", file ? file : "memfd",
				strerror(errno));
	b->map = map;
	/* Keep guest pages out of core dumps. */
	madvise(map, size, MADV_DONTDUMP);
	/* Pages are allocated and freed singly, and the limit counts single pages. */
	madvise(map, size, MADV_NOHUGEPAGE);
	return 0;
}

/* Its name may belong to another file by now. */
static bool has_its_name(const struct backing *b)
{
	struct stat ours, named;

	return !fstat(b->fd, &ours) && !lstat(b->file, &named) && ours.st_dev == named.st_dev &&
	       ours.st_ino == named.st_ino;
}

void backing_destroy(struct backing *b)
{
	if (b->map)
		munmap(b->map, b->size);
	/* If it cannot be emptied, the mark is still there. */
	if (b->file && b->fd >= 0 && !ftruncate(b->fd, 0) && b->created && has_its_name(b))
		unlink(b->file);
	if (b->fd >= 0)
		close(b->fd);
	free(b->file);
	*b = (struct backing){ .fd = -1 };
}

int backing_punch(const struct backing *b, uint64_t at, uint64_t len)
{
	return fallocate(b->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, len) ? -errno : 0;
}

uint64_t backing_allocated(const struct backing *b)
{
	struct stat st;
	uint64_t bytes;

	if (fstat(b->fd, &st))
		return 0;
	bytes = (uint64_t)st.st_blocks * 512;
	/* Without the mark. */
	return b->file && bytes >= sizeof(struct mark) ? bytes - sizeof(struct mark) : bytes;
}
