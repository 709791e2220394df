/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sandbox: what a running symvmm may still ask of the host's kernel.  The process has
 * a filter, and each kind of thread a narrower one on top of it.
 */
#ifndef VMM_HOST_SECCOMP_H
#define VMM_HOST_SECCOMP_H

#include "core/err.h"

struct vm_config;

enum seccomp_thread {
	SECCOMP_LOOP, /* and whatever has no thread of its own */
	SECCOMP_VCPU,
	SECCOMP_DISK,
	SECCOMP_NET,
	SECCOMP_VSOCK,
	SECCOMP_WORKER, /* jobs of the control socket and of services */
	SECCOMP_THREADS
};

/*
 * seccomp_install - confine the process for a VM of @config: from here on every thread,
 * present and future, makes the system calls that such a VM needs and no other; one that
 * does ends the process with a line on stderr.  The caller becomes the thread of
 * SECCOMP_LOOP, which starts all vCPUs.  Sets no_new_privs.  Before the guest runs its
 * first instruction.  0, or -errno with @err set.
 */
int seccomp_install(const struct vm_config *config, struct err *err);

/*
 * seccomp_enter - confine the calling thread to what threads of kind @who need.  Cheap to
 * repeat; nothing happens until seccomp_install() was called.  A thread calls it before it
 * handles anything that comes from the guest.  Ends the process when the kernel refuses.
 */
void seccomp_enter(enum seccomp_thread who);

#endif
