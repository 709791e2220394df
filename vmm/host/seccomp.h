/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sandbox: the system calls that a running symvmm may still make.  The process has
 * a filter, and each kind of thread a narrower one on top of it.
 */
#ifndef VMM_HOST_SECCOMP_H
#define VMM_HOST_SECCOMP_H

#include "core/err.h"

struct vm_config;

enum seccomp_thread {
	SECCOMP_LOOP, /* and everything without a thread of its own */
	SECCOMP_VCPU,
	SECCOMP_DISK,
	SECCOMP_NET,
	SECCOMP_VSOCK,
	SECCOMP_WORKER, /* jobs of the control socket and of services */
	SECCOMP_THREADS
};

/*
 * seccomp_install - confine the process for a VM of @config: from here on every thread,
 * present and future, may make only the system calls that such a VM needs; any other ends
 * the process with a line on stderr.  The caller becomes the thread of SECCOMP_LOOP, which
 * starts all vCPUs.  Sets no_new_privs.  Call it before the guest's first instruction.  0,
 * or -errno with @err set.
 */
int seccomp_install(const struct vm_config *config, struct err *err);

/*
 * seccomp_enter - confine the calling thread to what threads of kind @who need.  Cheap to
 * repeat; does nothing before seccomp_install() was called.  A thread calls it before it
 * handles any input from the guest.  Ends the process if the kernel refuses.
 */
void seccomp_enter(enum seccomp_thread who);

#endif
