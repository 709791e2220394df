// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guest's CPUID: what KVM supports on this host, with the topology of this VM (one
 * socket, a core for each vCPU, no hyper-threads).  KVM's own leaves at 0x40000000 are
 * unchanged.  Nested virtualization is hidden: it is a large part of KVM that an ordinary
 * guest does not need, and upcalls do not work with it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "machine/cpuid.h"

#define LEAF1_ECX_VMX	       (1u << 5)
#define LEAF1_ECX_X2APIC       (1u << 21)
#define LEAF1_ECX_TSC_DEADLINE (1u << 24)
#define LEAF1_ECX_HYPERVISOR   (1u << 31)
#define LEAF1_EDX_HTT	       (1u << 28)

#define LEAF8_1_ECX_SVM (1u << 2)

#define LEVEL_SMT  (1u << 8) /* leaf 0xb, ECX bits 15:8 */
#define LEVEL_CORE (2u << 8)

struct kvm_cpuid2 *cpuid_get(int kvm_fd, struct err *err)
{
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + CPUID_MAX * sizeof(c->entries[0]));

	if (!c) {
		err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	c->nent = CPUID_MAX;
	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, c)) {
		err_errno(err, "/dev/kvm: KVM_GET_SUPPORTED_CPUID");
		free(c);
		return NULL;
	}
	return c;
}

/* The number of APIC id bits that number the cores. */
static unsigned int core_bits(unsigned int nr)
{
	unsigned int bits = 0;

	while ((1u << bits) < nr)
		bits++;
	return bits;
}

static void set_topology_leaf(struct kvm_cpuid_entry2 *e, unsigned int id, unsigned int nr)
{
	e->edx = id;
	switch (e->index) {
	case 0:
		e->eax = 0;
		e->ebx = 1;
		e->ecx = LEVEL_SMT | 0;
		break;
	case 1:
		e->eax = core_bits(nr);
		e->ebx = nr;
		e->ecx = LEVEL_CORE | 1;
		break;
	default:
		e->eax = 0;
		e->ebx = 0;
		e->ecx = e->index & 0xff;
		break;
	}
}

static void add_topology_leaf(struct kvm_cpuid2 *c, unsigned int index)
{
	if (c->nent < CPUID_MAX)
		c->entries[c->nent++] = (struct kvm_cpuid_entry2){
			.function = 0xb,
			.index = index,
			.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		};
}

void cpuid_for(struct kvm_cpuid2 *c, unsigned int id, unsigned int nr, bool tsc_deadline)
{
	uint32_t out = 0, max_leaf = 0;

	/* Other topology leaves than 0xb describe the host: without them, 0xb counts. */
	for (uint32_t i = 0; i < c->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &c->entries[i];

		if (e->function == 0)
			max_leaf = e->eax;
		if (e->function != 0xb && e->function != 0x1f && e->function != 0x80000026)
			c->entries[out++] = *e;
	}
	c->nent = out;
	if (max_leaf >= 0xb)
		for (unsigned int level = 0; level < 3; level++)
			add_topology_leaf(c, level);

	for (uint32_t i = 0; i < c->nent; i++) {
		struct kvm_cpuid_entry2 *e = &c->entries[i];

		switch (e->function) {
		case 1:
			e->ebx = (e->ebx & 0xffff) | nr << 16 | id << 24;
			e->ecx |= LEAF1_ECX_HYPERVISOR | LEAF1_ECX_X2APIC;
			e->ecx &= ~(LEAF1_ECX_TSC_DEADLINE | LEAF1_ECX_VMX);
			if (tsc_deadline)
				e->ecx |= LEAF1_ECX_TSC_DEADLINE;
			e->edx &= ~LEAF1_EDX_HTT;
			if (nr > 1)
				e->edx |= LEAF1_EDX_HTT;
			break;
		case 4: /* Intel caches: private, and cores of the package */
			e->eax &= ~0xffffc000;
			if (e->eax & 0x1f)
				e->eax |= (nr - 1) << 26;
			break;
		case 0xa: /* no performance counters */
			e->eax = e->ebx = e->ecx = e->edx = 0;
			break;
		case 0xb:
			set_topology_leaf(e, id, nr);
			break;
		case 0x8000001d: /* AMD caches: private */
			e->eax &= ~0x03ffc000;
			break;
		case 0x80000001:
			e->ecx &= ~LEAF8_1_ECX_SVM;
			break;
		case 0x80000008:
			e->ecx = core_bits(nr) << 12 | (nr - 1);
			break;
		case 0x8000001e:
			e->eax = id;
			e->ebx = id; /* one thread per core */
			e->ecx = 0; /* one node */
			break;
		}
	}
}

unsigned int cpuid_phys_bits(const struct kvm_cpuid2 *c)
{
	unsigned int bits = 36; /* if the CPU does not report it */

	for (uint32_t i = 0; i < c->nent; i++) {
		uint32_t eax = c->entries[i].eax, guest = eax >> 16 & 0xff;

		if (c->entries[i].function != 0x80000008)
			continue;
		bits = eax & 0xff;
		/* AMD: nested paging may have fewer. */
		if (guest && guest < bits)
			bits = guest;
	}
	return bits;
}
