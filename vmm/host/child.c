// SPDX-License-Identifier: BSD-2-Clause
#include "host/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

void child_ignore_signals(void)
{
	static const int ignored[] = { SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGPIPE };
	sigset_t none;

	for (unsigned int i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

int child_above_standard(int fd)
{
	return fd > STDERR_FILENO ? fd : fcntl(fd, F_DUPFD, STDERR_FILENO + 1);
}

static int close_between(unsigned int first, unsigned int last)
{
	return first > last ? 0 : (int)syscall(SYS_close_range, first, last, 0);
}

int child_keep(unsigned int a, unsigned int b, struct err *err)
{
	unsigned int low = a < b ? a : b, high = a < b ? b : a;
	int null = open("/dev/null", O_RDWR);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		return err_errno(err, "/dev/null");
	if (close_between(STDERR_FILENO + 1, low - 1) || close_between(low + 1, high - 1) ||
	    close_between(high + 1, ~0u))
		return err_errno(err, "close_range");
	return 0;
}
