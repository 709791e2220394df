// SPDX-License-Identifier: BSD-2-Clause
/* sym_create() and the ids of vCPUs: mistakes of a VMM that embeds the interface. */
#include <errno.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sym/host.h"

static unsigned int nr;
static unsigned int handled;

static unsigned int op_nr_vcpus(void *vm)
{
	return nr;
}

static void *op_vcpu(void *vm, unsigned int id)
{
	return &nr;
}

static int op_handle_exit(void *vm, void *vcpu)
{
	handled++;
	return 0;
}

static const struct sym_host_ops ops = {
	.version = SYM_HOST_OPS_VERSION,
	.size = sizeof(ops),
	.nr_vcpus = op_nr_vcpus,
	.vcpu = op_vcpu,
	.handle_exit = op_handle_exit,
};

static const struct sym_config config = {
	.size = sizeof(config),
	.name = "test",
	.uuid = "00000000-0000-4000-8000-000000000000",
};

static void test_number_of_vcpus(void **state)
{
	static const struct {
		unsigned int nr;
		int ret;
	} cases[] = {
		{ 0, -E2BIG },
		{ 1, 0 },
		{ SYM_MAX_VCPUS, 0 },
		{ SYM_MAX_VCPUS + 1, -E2BIG },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sym *sym = NULL;

		nr = cases[i].nr;
		assert_int_equal(sym_create(&ops, NULL, &config, &sym), cases[i].ret);
		if (!cases[i].ret)
			sym_destroy(sym);
	}
}

static void test_ids(void **state)
{
	static const unsigned int ids[] = { 2, SYM_MAX_VCPUS, 1u << 31 };
	struct kvm_run run = { .exit_reason = KVM_EXIT_IO };
	struct sym_call call = { .handler = 1, .context = SYM_CONTEXT_EXIT };
	struct sym *sym;

	nr = 2;
	assert_int_equal(sym_create(&ops, NULL, &config, &sym), 0);
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		assert_false(sym_handle_exit(sym, ids[i], &run, 0));
		assert_int_equal(sym_call(sym, ids[i], &call), -EINVAL);
	}
	assert_int_equal(handled, 0);
	sym_destroy(sym);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_number_of_vcpus),
		cmocka_unit_test(test_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
