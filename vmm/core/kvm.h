/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's KVM itself: opening it, its capabilities, and how fast it runs kernel
 * code (kvm_speed.c).
 */
#ifndef VMM_CORE_KVM_H
#define VMM_CORE_KVM_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

struct kvm_cap {
	int cap;
	const char *name;
	bool needed;
	const char *use; /* what symvmm does with it */
};

/* kvm_caps - every capability that symvmm uses, ended by a NULL name. */
extern const struct kvm_cap kvm_caps[];

/* kvm_open - /dev/kvm, API version checked; a file descriptor, or -errno with @err set. */
int kvm_open(struct err *err);

/* kvm_check_needed - 0, or -ENOTSUP if a needed capability is missing; @err names it. */
int kvm_check_needed(int kvm_fd, struct err *err);

/* kvm_check - the capability's value, 0 if the host does not have it. */
int kvm_check(int fd, int cap);

/*
 * kvm_limit - make the KVM VM @vm_fd exit when a guest affects the whole host: by bus locks
 * (KVM_CAP_X86_BUS_LOCK_EXIT), or by running for long without an interrupt window
 * (KVM_CAP_X86_NOTIFY_VMEXIT), as far as this host's KVM supports it.
 */
void kvm_limit(int vm_fd);

enum kvm_speed { KVM_SPEED_NATIVE, KVM_SPEED_INTERPRETED };

/*
 * kvm_measure - run a ring-0 loop of known length in a tiny guest.  @mips gets
 * millions of guest instructions a second.  Below 50 the verdict is "interpreted":
 * hardware, also nested, is above 300, interpreters are below 10.
 * Returns an enum kvm_speed, or -errno with @err set.
 */
int kvm_measure(int kvm_fd, double *mips, struct err *err);

#endif
