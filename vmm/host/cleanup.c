// SPDX-License-Identifier: BSD-2-Clause
/*
 * The list of files is sent in one message, before the guest runs.  After that the process
 * waits for the end of the stream, which comes when the VMM has ended.
 */
#include "host/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/child.h"
#include "host/seccomp_filter.h"
#include "host/trim.h"

#define MAX_FILES 8
#define FINISH_MS 1000

struct file {
	char path[PATH_MAX];
	dev_t dev;
	ino_t ino;
	enum cleanup_when when;
};

struct list {
	unsigned int nr;
	struct file of[MAX_FILES];
};

static struct {
	struct list list;
	int fd; /* the VMM's end */
	int pidfd;
} cleanup = { .fd = -1, .pidfd = -1 };

/* The child */

static const struct seccomp_call allowed[] = {
	{ SCMP_SYS(recvmsg), "the list" },
	{ SCMP_SYS(recvfrom), "the end of the VMM" },
	{ SCMP_SYS(lstat), "is it still the same file?" },
	{ SCMP_SYS(newfstatat), "the same, by newer C libraries" },
	{ SCMP_SYS(unlink), "removing the files" },
	{ SCMP_SYS(brk), "free" },
	{ SCMP_SYS(munmap), "free" },
	{ SCMP_SYS(madvise), "free" },
	{ SCMP_SYS(write), "a line on stderr" },
	{ SCMP_SYS(rt_sigreturn), "signal handlers" },
	{ SCMP_SYS(restart_syscall), "after a stop and continue" },
	{ SCMP_SYS(exit_group), "the end" },
};

static const struct seccomp_filter filter = {
	.who = "symvmm-cleanup",
	.calls = allowed,
	.nr_calls = sizeof(allowed) / sizeof(allowed[0]),
};

static bool unchanged(const struct file *file)
{
	struct stat st;

	return !lstat(file->path, &st) && st.st_dev == file->dev && st.st_ino == file->ino &&
	       (file->when == CLEANUP_ALWAYS || (S_ISREG(st.st_mode) && !st.st_size));
}

/* Receive the list and the lock's descriptor, which only has to stay open until we end. */
static bool take_list(int fd)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &cleanup.list, sizeof(cleanup.list) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};

	return recvmsg(fd, &msg, 0) > 0;
}

__attribute__((noreturn)) static void child(int fd, bool confine)
{
	struct list *list = &cleanup.list;
	struct err err = { 0 };
	char c;

	prctl(PR_SET_NAME, "symvmm-cleanup");
	child_ignore_signals();
	fd = child_above_standard(fd);
	if (child_keep(fd, fd, &err) || (confine && seccomp_filter_confine(&filter, &err))) {
		err_print(&err);
		_exit(1);
	}
	/* From here on the list is in this process's memory, out of the VMM's reach. */
	if (!take_list(fd))
		_exit(0);
	trim_memory();
	while (recv(fd, &c, sizeof(c), 0) > 0)
		;
	while (list->nr--)
		if (unchanged(&list->of[list->nr]))
			unlink(list->of[list->nr].path);
	_exit(0);
}

/* The VMM */

int cleanup_start(bool confine, struct err *err)
{
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return err_errno(err, "the process that removes files: socketpair");
	pid = fork();
	if (!pid)
		child(fds[1], confine);
	close(fds[1]);
	cleanup.fd = fds[0];
	if (pid > 0)
		cleanup.pidfd = syscall(SYS_pidfd_open, pid, 0);
	return cleanup.pidfd < 0 ? err_errno(err, "the process that removes files") : 0;
}

int cleanup_add(const char *path, enum cleanup_when when)
{
	struct file *file = &cleanup.list.of[cleanup.list.nr];
	struct stat st;

	if (cleanup.fd < 0)
		return 0;
	if (cleanup.list.nr == MAX_FILES)
		return -ENOSPC;
	if (strlen(path) >= sizeof(file->path))
		return -ENAMETOOLONG;
	if (lstat(path, &st))
		return -errno;
	*file = (struct file){ .dev = st.st_dev, .ino = st.st_ino, .when = when };
	strcpy(file->path, path);
	cleanup.list.nr++;
	return 0;
}

int cleanup_seal(int lock_fd, struct err *err)
{
	size_t size = offsetof(struct list, of) + cleanup.list.nr * sizeof(cleanup.list.of[0]);
	union { /* aligned */
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr hdr;
	} control = { 0 };
	struct iovec iov = { &cleanup.list, size };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	if (cleanup.fd < 0)
		return 0;
	control.hdr.cmsg_level = SOL_SOCKET;
	control.hdr.cmsg_type = SCM_RIGHTS;
	control.hdr.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.hdr), &lock_fd, sizeof(lock_fd));
	if (sendmsg(cleanup.fd, &msg, MSG_NOSIGNAL) != (ssize_t)size)
		return err_errno(err, "the process that removes files");
	return 0;
}

void cleanup_finish(void)
{
	struct pollfd pfd = { .fd = cleanup.pidfd, .events = POLLIN };
	siginfo_t info;

	cleanup.list.nr = 0;
	if (cleanup.fd >= 0)
		close(cleanup.fd);
	cleanup.fd = -1;
	if (cleanup.pidfd < 0)
		return;
	poll(&pfd, 1, FINISH_MS);
	waitid(P_PIDFD, cleanup.pidfd, &info, WEXITED | WNOHANG);
	close(cleanup.pidfd);
	cleanup.pidfd = -1;
}
