/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which system calls each kind of thread of a VM makes, and why.
 */
#ifndef VMM_HOST_SECCOMP_RULES_H
#define VMM_HOST_SECCOMP_RULES_H

#include <seccomp.h>

struct vm_config;

/* The threads that the rules are for: bit N of @threads is kind N of enum seccomp_thread. */
struct seccomp_rules_for {
	const struct vm_config *config;
	unsigned int threads;
};

/* seccomp_rules_threads - the kinds of thread that a VM of @config has. */
unsigned int seccomp_rules_threads(const struct vm_config *config);

/* seccomp_rules_add - for struct seccomp_filter; @arg is a struct seccomp_rules_for. */
int seccomp_rules_add(scmp_filter_ctx ctx, const void *arg);

#endif
