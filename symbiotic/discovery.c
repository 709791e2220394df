// SPDX-License-Identifier: BSD-2-Clause
/*
 * How a guest finds us: CPUID leaves beside KVM's own, and MSRs whose accesses KVM passes on.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "symbiotic/sym.h"

#define LEAF1_ECX_VMX	(1u << 5)
#define LEAF8_1_ECX_SVM (1u << 2)

/*
 * A kick that finds the vCPU in a nested guest would read and change the wrong registers, and
 * KVM does not report that: hide nested virtualization from the guest.
 */
static void hide_nested(struct kvm_cpuid2 *cpuid)
{
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		if (cpuid->entries[i].function == 1)
			cpuid->entries[i].ecx &= ~LEAF1_ECX_VMX;
		else if (cpuid->entries[i].function == 0x80000001)
			cpuid->entries[i].ecx &= ~LEAF8_1_ECX_SVM;
	}
}

static struct kvm_cpuid_entry2 *leaf(struct kvm_cpuid2 *cpuid, unsigned int max,
				     uint32_t function)
{
	for (uint32_t i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == function)
			return &cpuid->entries[i];
	return cpuid->nent < max ? &cpuid->entries[cpuid->nent++] : NULL;
}

int sym_cpuid(struct sym *sym, struct kvm_cpuid2 *cpuid, unsigned int max)
{
	struct kvm_cpuid_entry2 *base = leaf(cpuid, max, SYM_CPUID_BASE);
	struct kvm_cpuid_entry2 *features = leaf(cpuid, max, SYM_CPUID_BASE + SYM_CPUID_FEATURES);

	if (!base || !features)
		return -E2BIG;
	hide_nested(cpuid);
	*base = (struct kvm_cpuid_entry2){
		.function = SYM_CPUID_BASE,
		.eax = SYM_CPUID_BASE + SYM_CPUID_FEATURES,
	};
	memcpy(&base->ebx, SYM_CPUID_SIGNATURE, 4);
	memcpy(&base->ecx, &SYM_CPUID_SIGNATURE[4], 4);
	memcpy(&base->edx, &SYM_CPUID_SIGNATURE[8], 4);
	*features = (struct kvm_cpuid_entry2){
		.function = SYM_CPUID_BASE + SYM_CPUID_FEATURES,
		.eax = SYM_ABI_VERSION,
		.ebx = sym->features,
		.ecx = SYM_MSR_BASE,
		.edx = SYM_PORT | sym->doorbell_gsi << 16,
	};
	return 0;
}

/*
 * Only our range and those of hooks: KVM handles unknown MSRs itself, so that a guest that
 * probes for them causes no exits to userspace.
 */
int sym_attach(struct sym *sym, int vm_fd)
{
	static uint8_t deny[SYM_MAX_MSRS / 8]; /* 0: the access is ours */
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR,
		.args = { KVM_MSR_EXIT_REASON_FILTER },
	};
	struct kvm_msr_filter filter = {
		.flags = KVM_MSR_FILTER_DEFAULT_ALLOW,
		.ranges = { {
			.flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
			.nmsrs = SYM_NR_MSRS,
			.base = SYM_MSR_BASE,
			.bitmap = deny,
		} },
	};

	for (unsigned int i = 0; sym->hooks && i < sym->hooks->nr_msr; i++) {
		filter.ranges[i + 1] = filter.ranges[0];
		filter.ranges[i + 1].base = sym->hooks->msr[i].first;
		filter.ranges[i + 1].nmsrs = sym->hooks->msr[i].nr;
	}
	if (ioctl(vm_fd, KVM_ENABLE_CAP, &cap) || ioctl(vm_fd, KVM_X86_SET_MSR_FILTER, &filter))
		return -errno;
	return 0;
}
