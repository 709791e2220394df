// SPDX-License-Identifier: BSD-2-Clause
/*
 * Raw mode, and restoring the terminal.  The state is global because the terminal
 * is: signal handlers and atexit() have no other way to find it.
 */
#include "host/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static struct {
	volatile sig_atomic_t raw;
	int fd;
	struct termios saved;
	struct termios wanted;
} terminal = { .fd = -1 };

void terminal_restore(void)
{
	if (!terminal.raw)
		return;
	terminal.raw = 0;
	tcsetattr(terminal.fd, TCSANOW, &terminal.saved);
	close(terminal.fd);
}

static void on_fault(int sig)
{
	terminal_restore();
	raise(sig); /* the handler is gone by now: SA_RESETHAND */
}

static void watch_faults(void)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS };
	struct sigaction sa = { .sa_handler = on_fault, .sa_flags = SA_RESETHAND };
	struct sigaction old;

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (!sigaction(faults[i], NULL, &old) && old.sa_handler == SIG_DFL)
			sigaction(faults[i], &sa, NULL);
}

void terminal_continue(void)
{
	pid_t foreground;

	if (!terminal.raw)
		return;
	/* In the background, setting it would stop us again (SIGTTOU). */
	foreground = tcgetpgrp(terminal.fd);
	if (foreground < 0 || foreground == getpgrp())
		tcsetattr(terminal.fd, TCSANOW, &terminal.wanted);
}

int terminal_raw(int fd)
{
	static bool at_exit;
	struct termios raw;

	if (terminal.raw)
		return -EBUSY;
	if (tcgetattr(fd, &terminal.saved))
		return -errno;
	raw = terminal.saved;
	cfmakeraw(&raw);
	raw.c_oflag |= OPOST; /* our own messages need carriage returns */
	if (!at_exit && atexit(terminal_restore))
		return -ENOMEM;
	at_exit = true;
	terminal.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3); /* the caller may close its own */
	if (terminal.fd < 0)
		return -errno;
	watch_faults();
	terminal.wanted = raw;
	terminal.raw = 1;
	if (tcsetattr(fd, TCSANOW, &raw)) {
		int ret = -errno;

		terminal_restore();
		return ret;
	}
	return 0;
}

int terminal_open(int fd, bool for_writing)
{
	char path[32];
	struct stat st;
	int own = -1;

	if (!fstat(fd, &st) && (S_ISFIFO(st.st_mode) || isatty(fd))) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		own = open(path, (for_writing ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY |
					 O_CLOEXEC);
	}
	if (own < 0)
		own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return own < 0 ? -errno : own;
}
