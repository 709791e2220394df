// SPDX-License-Identifier: BSD-2-Clause
/*
 * Compiling and loading system call filters.
 */
#include "host/seccomp_filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/terminal.h"

static const char *who = "symvmm";

/* Print the system call that was not allowed, then end the process. */
static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	char thread[16] = "", line[96];
	int n;

	prctl(PR_GET_NAME, thread);
	n = snprintf(line, sizeof(line), "%s: seccomp: system call %d is not allowed in %s\n",
		     who, info->si_syscall, thread);
	terminal_restore();
	if (write(STDERR_FILENO, line, n) != n)
		abort(); /* then at least the signal shows it */
	_exit(1);
}

static int add_rules(scmp_filter_ctx ctx, const struct seccomp_filter *filter)
{
	/* on_sigsys() needs it. */
	int ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				   SCMP_A0(SCMP_CMP_EQ, PR_GET_NAME));

	for (unsigned int i = 0; i < filter->nr_calls; i++)
		ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, filter->calls[i].nr, 0);
	return ret | (filter->conditional ? filter->conditional(ctx, filter->arg) : 0);
}

static int handle_violations(const char *name, struct err *err)
{
	struct sigaction sa = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };

	who = name;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || sigaction(SIGSYS, &sa, NULL))
		return err_errno(err, "seccomp");
	return 0;
}

static int refused(const char *name, int ret, struct err *err)
{
	return err_set(err, ret < 0 ? ret : -EINVAL,
		       "seccomp: cannot install the filter of %s: %s "
		       "(--seccomp off runs without it)",
		       name, strerror(abs(ret)));
}

int seccomp_filter_confine(const struct seccomp_filter *filter, struct err *err)
{
	scmp_filter_ctx ctx;
	int ret = handle_violations(filter->who, err);

	if (ret)
		return ret;
	ctx = seccomp_init(SCMP_ACT_TRAP);
	if (!ctx)
		return refused(filter->who, -ENOMEM, err);
	ret = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1) | add_rules(ctx, filter);
	if (!ret)
		ret = seccomp_load(ctx);
	seccomp_release(ctx);
	malloc_trim(0); /* building it took more memory than the process has otherwise */
	return ret ? refused(filter->who, ret, err) : 0;
}

/* libseccomp writes programs to files only. */
static int export(scmp_filter_ctx ctx, struct sock_fprog *bpf)
{
	int fd = memfd_create("seccomp", MFD_CLOEXEC);
	off_t size = 0;
	int ret;

	if (fd < 0)
		return -errno;
	ret = seccomp_export_bpf(ctx, fd);
	if (!ret) {
		size = lseek(fd, 0, SEEK_END);
		bpf->len = size / sizeof(*bpf->filter);
		bpf->filter = malloc(size);
		if (!bpf->filter || pread(fd, bpf->filter, size, 0) != size)
			ret = -ENOMEM;
	}
	close(fd);
	return ret;
}

int seccomp_filter_build(const struct seccomp_filter *filter, struct seccomp_program *program,
			 struct err *err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
	int ret = -ENOMEM;

	*program = (struct seccomp_program){ .who = filter->who };
	if (ctx) {
		ret = add_rules(ctx, filter);
		if (!ret)
			ret = export(ctx, &program->bpf);
		seccomp_release(ctx);
		malloc_trim(0);
	}
	if (!ret)
		return 0;
	seccomp_program_free(program);
	return refused(filter->who, ret, err);
}

void seccomp_program_free(struct seccomp_program *program)
{
	free(program->bpf.filter);
	program->bpf = (struct sock_fprog){ 0 };
}

int seccomp_filter_load(const struct seccomp_program *program, bool all_threads, struct err *err)
{
	unsigned int flags = all_threads ? SECCOMP_FILTER_FLAG_TSYNC : 0;
	long ret = all_threads ? handle_violations(program->who, err) : 0;

	if (ret)
		return ret;
	ret = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program->bpf);
	if (!ret)
		return 0;
	/* A positive result is the id of a thread that already has its own filter. */
	return refused(program->who, ret > 0 ? -ESRCH : -errno, err);
}
