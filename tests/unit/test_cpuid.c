// SPDX-License-Identifier: BSD-2-Clause
/* cpuid.c: the guest's CPUID shows only what the guest has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "machine/cpuid.h"

static struct kvm_cpuid2 *host(void)
{
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + CPUID_MAX * sizeof(c->entries[0]));
	static const uint32_t leaves[] = { 0,	 1,	     4,		 0xa,	    0xb,
					   0x1f, 0x80000001, 0x80000008, 0x8000001e };

	assert_non_null(c);
	for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
		c->entries[c->nent++] = (struct kvm_cpuid_entry2){
			.function = leaves[i],
			.eax = leaves[i] ? ~0u : 0x1f,
			.ebx = ~0u,
			.ecx = ~0u,
			.edx = ~0u,
		};
	return c;
}

static const struct kvm_cpuid_entry2 *leaf(const struct kvm_cpuid2 *c, uint32_t function)
{
	for (uint32_t i = 0; i < c->nent; i++)
		if (c->entries[i].function == function)
			return &c->entries[i];
	return NULL;
}

static void test_no_nested_guests(void **state)
{
	struct kvm_cpuid2 *c = host();

	cpuid_for(c, 0, 1, true);
	assert_int_equal(leaf(c, 1)->ecx & 1u << 5, 0); /* VMX */
	assert_int_equal(leaf(c, 0x80000001)->ecx & 1u << 2, 0); /* SVM */
	free(c);
}

static void test_topology(void **state)
{
	struct kvm_cpuid2 *c = host();

	for (unsigned int id = 0; id < 6; id++) { /* for one vCPU after the other, as at a boot */
		cpuid_for(c, id, 6, false);
		assert_int_equal(leaf(c, 1)->ebx >> 24, id);
		assert_int_equal(leaf(c, 1)->ebx >> 16 & 0xff, 6);
		assert_int_equal(leaf(c, 0xb)->edx, id);
		assert_int_equal(leaf(c, 0x80000008)->ecx & 0xff, 5);
		assert_int_equal(leaf(c, 0x8000001e)->eax, id);
		assert_null(leaf(c, 0x1f));
		assert_int_equal(leaf(c, 1)->ecx & 1u << 24, 0); /* TSC deadline */
		assert_int_equal(leaf(c, 0xa)->eax, 0);
	}
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_nested_guests),
		cmocka_unit_test(test_topology),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
