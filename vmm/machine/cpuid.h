/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CPUID that guests see.
 */
#ifndef VMM_MACHINE_CPUID_H
#define VMM_MACHINE_CPUID_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

#define CPUID_MAX 256 /* entries that cpuid_get() has room for */

/*
 * cpuid_get - the CPUID that KVM supports on this host; malloc'ed.  cpuid_for - adapt it
 * to vCPU @id of @nr: APIC ids, one socket, @nr cores.
 */
struct kvm_cpuid2 *cpuid_get(int kvm_fd, struct err *err);
void cpuid_for(struct kvm_cpuid2 *cpuid, unsigned int id, unsigned int nr, bool tsc_deadline);

/* cpuid_phys_bits - the width of guest-physical addresses. */
unsigned int cpuid_phys_bits(const struct kvm_cpuid2 *cpuid);

#endif
