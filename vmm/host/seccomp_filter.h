/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Compiling and loading system call filters.  The rules are in seccomp_rules.c (the VMM),
 * net/user_sandbox.c (user-mode networking) and cleanup.c (the process that removes files).
 */
#ifndef VMM_HOST_SECCOMP_FILTER_H
#define VMM_HOST_SECCOMP_FILTER_H

#include <linux/filter.h>
#include <seccomp.h>
#include <stdbool.h>

#include "core/err.h"

/* A system call that is allowed with any arguments, and what needs it. */
struct seccomp_call {
	int nr;
	const char *reason;
};

struct seccomp_filter {
	const char *who; /* the process, in messages; a string constant */
	const struct seccomp_call *calls;
	unsigned int nr_calls;
	/* Add further rules; 0, or non-zero when one of them failed.  May be NULL. */
	int (*conditional)(scmp_filter_ctx ctx, const void *arg);
	const void *arg;
};

/* A filter that is ready to be loaded. */
struct seccomp_program {
	struct sock_fprog bpf;
	const char *who;
};

/*
 * seccomp_filter_confine - sets no_new_privs; from then on every thread of the process,
 * present and future, may make the system calls of @filter only.  Any other one ends the
 * process with a line on stderr that names it.  0, or -errno with @err set.
 */
int seccomp_filter_confine(const struct seccomp_filter *filter, struct err *err);

/*
 * The same in steps, for a process whose threads have their own filters.
 *
 * seccomp_filter_build - compile @filter.  0 with @program to be freed by
 * seccomp_program_free(), or -errno with @err set and @program empty.
 */
int seccomp_filter_build(const struct seccomp_filter *filter, struct seccomp_program *program,
			 struct err *err);
void seccomp_program_free(struct seccomp_program *program);

/*
 * seccomp_filter_load - confine the calling thread and those it starts to @program; with
 * @all_threads, every thread of the process.  Filters add up.  Load the one for all threads
 * first: it sets no_new_privs and the handler of violations.
 */
int seccomp_filter_load(const struct seccomp_program *program, bool all_threads, struct err *err);

#endif
