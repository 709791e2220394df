// SPDX-License-Identifier: BSD-2-Clause
/*
 * The lock on a disk image.  Programs other than VMs hold it briefly: udev and mkfs lock block
 * devices while they probe them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "core/clock.h"
#include "virtio/disk.h"

#define PATIENCE_NS (2 * NS_PER_S)

/* The process that holds a flock() on @fd's file, from /proc/locks; 0: unknown. */
static int holder_pid(int fd)
{
	struct stat st;
	char line[256];
	int pid, found = 0;
	FILE *f;

	if (fstat(fd, &st))
		return 0;
	f = fopen("/proc/locks", "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		unsigned int major, minor;
		unsigned long inode;

		if (sscanf(line, "%*s FLOCK %*s %*s %d %x:%x:%lu", &pid, &major, &minor,
			   &inode) == 4 &&
		    inode == st.st_ino && makedev(major, minor) == st.st_dev)
			found = pid;
	}
	if (f)
		fclose(f);
	return found;
}

static int in_use(int fd, const char *path, struct err *err)
{
	int pid = holder_pid(fd);
	char file[32], name[32] = "";
	FILE *f;

	if (pid <= 0)
		return err_set(err, -EBUSY, "disk %s: locked by another process", path);
	snprintf(file, sizeof(file), "/proc/%d/comm", pid);
	f = fopen(file, "re");
	if (f && fgets(name, sizeof(name), f))
		name[strcspn(name, "\n")] = '\0';
	if (f)
		fclose(f);
	return err_set(err, -EBUSY, "disk %s: in use by %sprocess %d%s%s%s", path,
		       !strcmp(name, "symvmm") ? "another VM, " : "", pid, *name ? " (" : "",
		       name, *name ? ")" : "");
}

int disk_lock(int fd, const char *path, bool shared, struct err *err)
{
	const struct timespec pause = { .tv_nsec = 20 * NS_PER_MS };
	uint64_t end = clock_ns() + PATIENCE_NS;

	while (flock(fd, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB)) {
		if (errno != EWOULDBLOCK)
			return err_errno(err, "disk %s: flock", path);
		if (clock_ns() >= end)
			return in_use(fd, path, err);
		nanosleep(&pause, NULL);
	}
	return 0;
}
