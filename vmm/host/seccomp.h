/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sandbox: what a running symvmm may still ask of the host's kernel.
 */
#ifndef VMM_HOST_SECCOMP_H
#define VMM_HOST_SECCOMP_H

#include "core/err.h"

struct vm_config;

/*
 * seccomp_install - from here on every thread of the process, present and future, is
 * killed with the process for any system call that is not on the list.  Sets
 * no_new_privs.  Before the guest runs its first instruction.
 */
int seccomp_install(const struct vm_config *config, struct err *err);

#endif
