// SPDX-License-Identifier: BSD-2-Clause
/*
 * Setting what a process inherits: descriptors, signals, limits, the umask.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

#define NOFILE_WANTED 4096 /* more than disks, clients, connections and eventfds need */
#define STACK_SIZE    (1024 * 1024)

/* Otherwise a disk image could be opened as descriptor 2, and messages written to it. */
static int fill_standard_fds(struct err *err)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO && !fcntl(fd, F_SETFD, 0));
	if (fd < 0)
		return err_errno(err, "/dev/null");
	close(fd);
	return 0;
}

static void raise_nofile(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= NOFILE_WANTED)
		return;
	limit.rlim_cur = limit.rlim_max < NOFILE_WANTED ? limit.rlim_max : NOFILE_WANTED;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		return; /* the current limit has to be enough */
}

/* A stack of the usual 8 MiB can get a huge page: 2 MiB of memory for a few KiB in use. */
static void set_stack_size(void)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	if (!pthread_attr_setstacksize(&attr, STACK_SIZE))
		pthread_setattr_default_np(&attr);
	pthread_attr_destroy(&attr);
}

int process_prepare(struct err *err)
{
	mode_t mask = umask(0);

	umask(mask & 077); /* we must be able to use the files that we create */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file at its size limit is an I/O error, not fatal */
	signal(SIGCHLD, SIG_DFL); /* if ignored, children could not be waited for */
	raise_nofile();
	set_stack_size();
	return fill_standard_fds(err);
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

int process_close_others(const struct vm_config *config, struct err *err)
{
	int keep[CONFIG_MAX_NETS] = { 0 }, nr = 0, first = STDERR_FILENO + 1;

	for (unsigned int i = 0; i < config->nr_nets; i++)
		if (config->nets[i].fd >= first)
			keep[nr++] = config->nets[i].fd;
	qsort(keep, nr, sizeof(keep[0]), by_number);
	for (int i = 0; i < nr; first = keep[i++] + 1)
		if (keep[i] > first && close_range(first, keep[i] - 1, 0))
			return err_errno(err, "close_range");
	return close_range(first, ~0u, 0) ? err_errno(err, "close_range") : 0;
}
