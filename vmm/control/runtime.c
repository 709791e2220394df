// SPDX-License-Identifier: BSD-2-Clause
/*
 * A name is claimed by a lock on NAME.lock.  The kernel drops it when the process ends, so
 * the name of a VM that was killed can be used again at once; if two VMs start together,
 * one gets it.
 */
#include "control/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host/cleanup.h"
#include "libsym/folder.h"

bool runtime_name_ok(const char *name)
{
	return vm_name_ok(name, RUNTIME_NAME_MAX);
}

/* In a folder that others can write to, they could replace our sockets. */
static int folder_make(const char *path, struct err *err)
{
	struct stat st;
	int fd;

	if (mkdir(path, 0700) && errno != EEXIST)
		return err_errno(err, "runtime folder %s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "runtime folder %s", path);
	if (fstat(fd, &st))
		err_errno(err, "runtime folder %s", path);
	else if (st.st_uid != geteuid())
		err_set(err, -EPERM, "runtime folder %s: belongs to user %u, not to user %u",
			path, st.st_uid, geteuid());
	else if (st.st_mode & 077)
		err_set(err, -EPERM,
			"runtime folder %s: open to others (mode %04o); it must be 0700", path,
			st.st_mode & 07777);
	close(fd);
	return err->code;
}

static int name_taken(int fd, const char *name, struct err *err)
{
	char pid[16] = "";
	ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

	if (n <= 0 || !atoi(pid))
		return err_set(err, -EEXIST, "a VM named '%s' is starting already", name);
	return err_set(err, -EEXIST, "a VM named '%s' is running already (process %d)", name,
		       atoi(pid));
}

/* The last holder unlinks the file before it unlocks it: do we have the one that is there? */
static bool same_file(int fd, const char *path)
{
	struct stat ours, there;

	return !fstat(fd, &ours) && !stat(path, &there) && ours.st_ino == there.st_ino &&
	       ours.st_dev == there.st_dev;
}

/* symctl holds the lock for a moment to see whether the VM has ended. */
static int lock_retry(int fd)
{
	const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	int ret;

	for (int i = 0; (ret = flock(fd, LOCK_EX | LOCK_NB)) && errno == EWOULDBLOCK && i < 10;
	     i++)
		nanosleep(&pause, NULL);
	return ret;
}

static int name_lock(const char *path, const char *name, struct err *err)
{
	for (;;) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

		if (fd < 0)
			return err_errno(err, "%s", path);
		if (lock_retry(fd)) {
			if (errno == EWOULDBLOCK)
				name_taken(fd, name, err);
			else
				err_errno(err, "%s", path);
			close(fd);
			return err->code;
		}
		if (same_file(fd, path))
			return fd;
		close(fd);
	}
}

int runtime_claim(struct runtime_name *rn, const char *name, struct err *err)
{
	char path[PATH_MAX];
	int ret;

	rn->lock_fd = -1;
	if (!runtime_name_ok(name))
		return err_set(err, -EINVAL,
			       "'%s': a VM's name is 1 to %d of the characters A-Z, a-z, 0-9, "
			       "'.', '_' and '-', the first a letter or a digit",
			       name, RUNTIME_NAME_MAX);
	strcpy(rn->name, name);
	vm_folder(NULL, rn->folder, sizeof(rn->folder));
	ret = runtime_path(rn, "lock", path, sizeof(path));
	if (ret)
		return err_set(err, ret, "runtime folder %s: the path is too long", rn->folder);
	ret = folder_make(rn->folder, err);
	if (ret)
		return ret;
	rn->lock_fd = name_lock(path, name, err);
	if (rn->lock_fd < 0)
		return rn->lock_fd;
	if (ftruncate(rn->lock_fd, 0) || dprintf(rn->lock_fd, "%d\n", getpid()) < 0) {
		err_errno(err, "%s", path);
		runtime_release(rn);
		return err->code;
	}
	ret = cleanup_add(path, CLEANUP_ALWAYS);
	return ret ? err_set(err, ret, "%s: %s", path, strerror(-ret)) : 0;
}

void runtime_release(struct runtime_name *rn)
{
	char path[PATH_MAX];

	if (rn->lock_fd < 0)
		return;
	if (!runtime_path(rn, "lock", path, sizeof(path)))
		unlink(path);
	close(rn->lock_fd);
	rn->lock_fd = -1;
}

int runtime_path(const struct runtime_name *rn, const char *suffix, char *buf, size_t size)
{
	int n = snprintf(buf, size, "%s/%s.%s", rn->folder, rn->name, suffix);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}
