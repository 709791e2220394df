// SPDX-License-Identifier: BSD-2-Clause
/*
 * System call filters: what all of them share.
 */
#include "host/seccomp_filter.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "host/terminal.h"

static const char *who = "symvmm";

/* A thread that breaks the rule says which call it was, then the process ends. */
static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	char line[96];
	int n = snprintf(line, sizeof(line), "%s: seccomp: system call %d is not allowed\n",
			 who, info->si_syscall);

	terminal_restore();
	if (write(STDERR_FILENO, line, n) != n)
		abort(); /* at least a signal tells */
	_exit(1);
}

static int add_rules(scmp_filter_ctx ctx, const struct seccomp_filter *filter)
{
	/* Threads that exist already. */
	int ret = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);

	for (unsigned int i = 0; i < filter->nr_calls; i++)
		ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, filter->calls[i].nr, 0);
	return ret | filter->conditional(ctx, filter->arg);
}

int seccomp_filter_load(const struct seccomp_filter *filter, struct err *err)
{
	struct sigaction sa = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
	int ret;

	if (!ctx)
		return err_set(err, -ENOMEM, "seccomp: out of memory");
	who = filter->who;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || sigaction(SIGSYS, &sa, NULL)) {
		seccomp_release(ctx);
		return err_errno(err, "seccomp");
	}
	ret = add_rules(ctx, filter);
	if (!ret)
		ret = seccomp_load(ctx);
	seccomp_release(ctx);
	malloc_trim(0); /* building it took more memory than the process has otherwise */
	if (ret)
		return err_set(err, ret < 0 ? ret : -EINVAL,
			       "seccomp: the filter of %s could not be installed: %s "
			       "(--seccomp off runs without)", filter->who, strerror(abs(ret)));
	return 0;
}
