// SPDX-License-Identifier: BSD-2-Clause
/* The control method swapbypass, of a VM whose guest has no symswap module. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "boot/boot.h"
#include "control/control.h"
#include "parts/swapbypass.h"
#include "sym/host.h"
#include "sym/host_ops.h"

#define SIZE (1u << 20)

static unsigned int op_nr_vcpus(void *vm)
{
	return 1;
}

static int op_region_add(void *vm, uint64_t gpa, uint64_t size, void *host, uint32_t flags)
{
	return 0;
}

static int op_region_del(void *vm, uint64_t gpa)
{
	return 0;
}

static int op_doorbell(void *vm)
{
	return 0;
}

static const struct sym_host_ops ops = {
	.version = SYM_HOST_OPS_VERSION,
	.size = sizeof(ops),
	.nr_vcpus = op_nr_vcpus,
	.region_add = op_region_add,
	.region_del = op_region_del,
	.doorbell = op_doorbell,
};

static struct boot_image image;
static struct part_vm vm;
static struct swapbypass sb;

static bool not_paused(void *handle)
{
	return false;
}

static int setup(void **state)
{
	const struct sym_config config = {
		.size = sizeof(config),
		.name = "vm",
		.uuid = "00000000-0000-4000-8000-000000000000",
		.features = SYM_FEATURE_SPY | SYM_FEATURE_CALL | SYM_FEATURE_WINDOW,
	};
	const struct sym_window_config window = {
		.size = sizeof(window),
		.gpa = SYM_WINDOW_ALIGN,
		.bytes = SIZE,
		.limit = SIZE,
		.level = SYM_WINDOW_OFF,
		.name = "vm",
	};
	struct sym_err err = { 0 };

	image = (struct boot_image){ 0 };
	vm = (struct part_vm){ .ops = &ops, .image = &image, .paused = not_paused };
	sb = (struct swapbypass){ .vm = &vm };
	pthread_mutex_init(&sb.lock, NULL);
	assert_int_equal(sym_create(&ops, NULL, &config, &vm.sym), 0);
	assert_int_equal(sym_window_create(vm.sym, &ops, NULL, &window, &sb.window, &err), 0);
	sym_window_get(sb.window, &sb.item);
	return 0;
}

static int teardown(void **state)
{
	sym_window_destroy(sb.window);
	sym_destroy(vm.sym);
	pthread_mutex_destroy(&sb.lock);
	return 0;
}

/* The result, whose reference is the caller's; or NULL, with the error in @err. */
static json_t *ask(void *arg, json_t *params, struct err *err)
{
	struct control_call call = { .arg = arg, .params = params, .fd = -1 };
	int ret = swapbypass_methods[0].fn(&call);

	*err = call.err;
	json_decref(params);
	assert_int_equal(ret, call.err.code);
	return call.result;
}

static void refused(void *arg, json_t *params, int code, const char *why)
{
	struct err err;

	assert_null(ask(arg, params, &err));
	assert_int_equal(err.code, code);
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
}

/* It is remembered as @level and @limit, and a note says that the guest does not know. */
static void remembered(json_t *params, const char *level, json_int_t limit)
{
	struct err err;
	json_t *result = ask(&sb, params, &err);

	assert_non_null(result);
	assert_string_equal(json_string_value(json_object_get(result, "wanted")), level);
	assert_int_equal(json_integer_value(json_object_get(result, "limit")), limit);
	assert_non_null(strstr(json_string_value(json_object_get(result, "note")),
			       "no symswap module yet"));
	json_decref(result);
}

static void test_no_window(void **state)
{
	refused(NULL, json_pack("{s:s}", "action", "on"), -ENOTSUP, "with --swapbypass SIZE");
}

static void test_parameters(void **state)
{
	refused(&sb, json_object(), -EINVAL, "'action' must be");
	refused(&sb, json_pack("{s:s}", "action", "sync"), -EINVAL, "'action' must be");
	refused(&sb, json_pack("{s:i}", "action", 1), -EINVAL, "'action' must be");
	refused(&sb, json_pack("{s:s, s:i}", "action", "on", "size", 1), -EINVAL,
		"action 'on' takes no 'size'");
	refused(&sb, json_pack("{s:s}", "action", "limit"), -EINVAL, "'size' must be");
	refused(&sb, json_pack("{s:s, s:i}", "action", "limit", "size", -4096), -EINVAL,
		"'size' must be");
	refused(&sb, json_pack("{s:s, s:s}", "action", "reclaim", "size", "0"), -EINVAL,
		"must be more");
	refused(&sb, json_pack("{s:s, s:s}", "action", "limit", "size", "12x"), -EINVAL, "12x");
	refused(&sb, json_pack("{s:s, s:i}", "action", "limit", "size", 4097), -EINVAL,
		"a multiple of 4096");
	refused(&sb, json_pack("{s:s, s:i}", "action", "limit", "size", SIZE + 4096), -EINVAL,
		"1048576");
}

static void test_remembered(void **state)
{
	remembered(json_pack("{s:s}", "action", "on"), "bypass", SIZE);
	remembered(json_pack("{s:s}", "action", "device"), "device", SIZE);
	remembered(json_pack("{s:s, s:s}", "action", "limit", "size", "512K"), "device",
		   SIZE / 2);
	remembered(json_pack("{s:s}", "action", "off"), "off", SIZE / 2);
}

/* Where no module can come, nothing is remembered that cannot be. */
static void test_hopeless(void **state)
{
	strcpy(image.missing, "no module symbiotic for Linux 9");
	refused(&sb, json_pack("{s:s}", "action", "on"), -ENODEV,
		"no module symbiotic for Linux 9");
	refused(&sb, json_pack("{s:s}", "action", "device"), -ENODEV, "no module symbiotic");
	remembered(json_pack("{s:s}", "action", "off"), "off", SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_window, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parameters, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remembered, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hopeless, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
