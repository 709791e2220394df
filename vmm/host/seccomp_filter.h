/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Building and loading a system call filter from a table.  The tables are in seccomp.c
 * (the VMM) and net/user_sandbox.c (user-mode networking).
 */
#ifndef VMM_HOST_SECCOMP_FILTER_H
#define VMM_HOST_SECCOMP_FILTER_H

#include <seccomp.h>

#include "core/err.h"

/* A system call that is allowed whatever its arguments are, and what needs it. */
struct seccomp_call {
	int nr;
	const char *reason;
};

struct seccomp_filter {
	const char *who; /* the process, in messages; a string constant */
	const struct seccomp_call *calls;
	unsigned int nr_calls;
	/* Add the rules that look at arguments; 0, or non-zero when one of them failed. */
	int (*conditional)(scmp_filter_ctx ctx, const void *arg);
	const void *arg;
};

/*
 * seccomp_filter_load - sets no_new_privs; from then on every thread of the process,
 * present and future, may make the system calls of @filter only.  Any other one ends the
 * process with a line on stderr that names it.  0, or -errno with @err set.
 */
int seccomp_filter_load(const struct seccomp_filter *filter, struct err *err);

#endif
