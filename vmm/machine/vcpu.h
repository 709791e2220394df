/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual CPU: its thread, its KVM_RUN loop and its exits.
 */
#ifndef VMM_MACHINE_VCPU_H
#define VMM_MACHINE_VCPU_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

struct vm;

#define VCPU_MAX_EXIT 40 /* KVM_EXIT_* that are counted by kind */

struct vcpu {
	struct vm *vm;
	unsigned int id; /* also the APIC id */
	int fd;
	struct kvm_run *run;
	size_t run_size;
	pthread_t thread;
	bool has_thread;
	int kicked; /* the next vcpu_run_once() returns -EINTR */
	uint64_t *exits; /* VCPU_MAX_EXIT counters; kept across resets */
};

/* vcpu_alloc - the part kept across resets: vm->vcpus[id]; NULL when out of memory. */
struct vcpu *vcpu_alloc(struct vm *vm, unsigned int id);

/* vcpu_create - create it in vm->vm_fd, and set its CPUID and MSRs. */
int vcpu_create(struct vm *vm, unsigned int id, struct kvm_cpuid2 *cpuid, struct err *err);

/* vcpu_destroy - join its thread (the VM must be stopping) and free it. */
void vcpu_destroy(struct vcpu *vcpu);

/* vcpu_start - run it in a thread of its own. */
int vcpu_start(struct vcpu *vcpu, struct err *err);

/*
 * vcpu_kick - make it leave the guest and check the VM's state.  Any thread; the vCPU's
 * thread must exist.
 */
void vcpu_kick(struct vcpu *vcpu);

/*
 * vcpu_run_once - KVM_RUN up to the next exit.  0, -EINTR after a kick, -ESHUTDOWN
 * when the VM is stopping (or cannot continue; vm_stop() was called then).
 * vcpu_handle_exit - handle that exit.  Its own thread only.
 */
int vcpu_run_once(struct vcpu *vcpu);
void vcpu_handle_exit(struct vcpu *vcpu);

/*
 * vcpu_flush - complete the current exit without running the guest.  -EINTR: done; 0:
 * there is another exit to handle; -ESHUTDOWN.  Its own thread only.
 */
int vcpu_flush(struct vcpu *vcpu);

/* vcpu_exit_name - "io" for KVM_EXIT_IO, and so on; NULL if it has no name. */
const char *vcpu_exit_name(unsigned int reason);

/* vcpu_signal_init - install the kick signal's handler, once per process. */
int vcpu_signal_init(struct err *err);

#endif
