// SPDX-License-Identifier: BSD-2-Clause
/*
 * libsym's calls into the guest, against a control socket whose methods return their
 * parameters; and symctl's settings for them.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "cli/cli.h"
#include "control/control.h"
#include "core/loop.h"
#include "host/events.h"
#include <symkit/guest.h>
#include <symkit/sym.h>

static char folder[64];

static struct {
	struct loop *loop;
	struct events *events;
	struct control *control;
	pthread_t thread;
	struct sym_conn *conn;
} vm;

static int method_echo(struct control_call *call)
{
	call->result = json_deep_copy(call->params);
	return 0;
}

static int method_busy(struct control_call *call)
{
	return err_set(&call->err, -EBUSY, "vCPU 0 is busy with another call");
}

static int method_install(struct control_call *call)
{
	char text[16] = "";

	if (json_object_get(call->params, "name"))
		return err_set(&call->err, -ENOSYS, "%s by name, with %s",
			       json_string_value(json_object_get(call->params, "name")),
			       json_string_value(json_object_get(call->params, "params")));
	if (call->fd < 0 || pread(call->fd, text, sizeof(text) - 1, 0) < 0)
		return -EBADF;
	return err_set(&call->err, -ENOEXEC, "%s with %s", text,
		       json_string_value(json_object_get(call->params, "params")));
}

static int method_modules(struct control_call *call)
{
	call->result = json_pack("{s:[{s:s}]}", "modules", "name", "symtest");
	return 0;
}

static int method_services(struct control_call *call)
{
	call->result = json_object(); /* a server with a wrong answer */
	return 0;
}

static int method_service(struct control_call *call)
{
	char *text = json_dumps(call->params, JSON_COMPACT | JSON_SORT_KEYS);

	call->result = json_pack("{s:s}", "text", text);
	free(text);
	return 0;
}

static const struct control_method methods[] = {
	{ "spy", NULL, method_echo },
	{ "call",
	  (const char *const[]){ "handler", "args", "payload", "vcpu", "context", "deadline_ms",
				 NULL },
	  method_echo },
	{ "module_install", (const char *const[]){ "params", "name", NULL }, method_install },
	{ "module_list", NULL, method_modules },
	{ "module_remove", (const char *const[]){ "name", NULL }, method_busy },
	{ "services", NULL, method_services },
	{ "service", (const char *const[]){ "name", "verb", "args", NULL }, method_service },
	{ .name = NULL },
};

static const struct control_table table = { methods, NULL };

static void *serve(void *arg)
{
	loop_run(vm.loop);
	return NULL;
}

static int setup(void **state)
{
	struct control_server config = { .tables = &table, .nr_tables = 1 };
	struct err err = { 0 };

	assert_int_equal(loop_create(&vm.loop), 0);
	assert_int_equal(events_create(vm.loop, &vm.events), 0);
	assert_int_equal(control_reserve("test", &vm.control, &err), 0);
	config.loop = vm.loop;
	config.events = vm.events;
	assert_int_equal(control_serve(vm.control, &config, &err), 0);
	assert_int_equal(pthread_create(&vm.thread, NULL, serve, NULL), 0);
	assert_int_equal(sym_open("test", NULL, &vm.conn), 0);
	return 0;
}

static int teardown(void **state)
{
	sym_close(vm.conn);
	loop_quit(vm.loop);
	pthread_join(vm.thread, NULL);
	control_destroy(vm.control);
	events_destroy(vm.events);
	loop_destroy(vm.loop);
	return 0;
}

static void test_upcall(void **state)
{
	struct sym_upcall call = { .size = sizeof(call),
				   .handler = "h",
				   .vcpu = 3,
				   .args = { 1, UINT64_MAX },
				   .payload = "text",
				   .context = "thread",
				   .deadline_ms = 70 };
	json_t *json;
	char *text;

	assert_int_equal(sym_upcall(vm.conn, &call, &text), 0);
	json = json_loads(text, 0, NULL);
	free(text);
	assert_string_equal(json_string_value(json_object_get(json, "handler")), "h");
	assert_string_equal(json_string_value(json_array_get(json_object_get(json, "args"), 1)),
			    "0xffffffffffffffff");
	assert_int_equal(json_integer_value(json_object_get(json, "vcpu")), 3);
	assert_int_equal(json_integer_value(json_object_get(json, "deadline_ms")), 70);
	assert_string_equal(json_string_value(json_object_get(json, "context")), "thread");
	assert_string_equal(json_string_value(json_object_get(json, "payload")), "text");
	json_decref(json);
	assert_int_equal(sym_upcall(vm.conn, &call, NULL), 0);
	call.payload = "\xff";
	assert_int_equal(sym_upcall(vm.conn, &call, NULL), -EINVAL);
	call.payload = NULL;
	call.handler = NULL;
	assert_int_equal(sym_upcall(vm.conn, &call, NULL), -EINVAL);
	assert_true(*sym_conn_error(vm.conn));
}

static void test_modules(void **state)
{
	char path[] = "/tmp/symkit-test.XXXXXX", *text;
	int fd = mkstemp(path);

	unlink(path);
	assert_int_equal(write(fd, "a file", 6), 6);
	assert_int_equal(sym_module_install(vm.conn, fd, "x=1"), -ENOEXEC);
	assert_string_equal(sym_conn_error(vm.conn), "a file with x=1");
	assert_int_equal(sym_module_install(vm.conn, fd, NULL), -ENOEXEC); /* it is still open */
	close(fd);
	assert_int_equal(sym_module_load(vm.conn, "m", "x=1"), -ENOSYS);
	assert_string_equal(sym_conn_error(vm.conn), "m by name, with x=1");
	assert_int_equal(sym_module_load(vm.conn, "m", NULL), -ENOSYS);
	assert_string_equal(sym_conn_error(vm.conn), "m by name, with ");
	assert_int_equal(sym_module_list(vm.conn, &text), 0);
	assert_string_equal(text, "[{\"name\":\"symtest\"}]");
	free(text);
	assert_int_equal(sym_module_remove(vm.conn, "x"), -EBUSY);
	assert_non_null(strstr(sym_conn_error(vm.conn), "busy"));
}

static void test_services(void **state)
{
	static const char *const args[] = { "a", "b c", NULL };
	char *text;

	assert_int_equal(sym_service_call(vm.conn, "s", "v", args, &text), 0);
	assert_string_equal(text, "{\"args\":[\"a\",\"b c\"],\"name\":\"s\",\"verb\":\"v\"}");
	free(text);
	assert_int_equal(sym_service_call(vm.conn, "s", "v", NULL, NULL), 0);
	assert_int_equal(sym_services(vm.conn, &text), -EPROTO);
}

static void test_guest_without(void **state)
{
	struct sym_guest *guest = NULL;

	assert_int_equal(sym_guest_open("/nosuch", &guest), -ENOENT);
	assert_int_equal(sym_guest_open("/dev/null", &guest), -ENOTTY);
	assert_null(guest);
	sym_guest_close(NULL);
}

/* The options of symvmm for these. */

static int apply(struct vm_config *config, const char *name, const char *value)
{
	struct err err = { 0 };

	return setting_apply(config, name, value, name, &err);
}

static void test_settings(void **state)
{
	struct vm_config config;
	struct disk_config disk = { 0 };
	struct err err = { 0 };

	vm_config_init(&config);
	assert_true(config.symbiotic);
	assert_int_equal(apply(&config, "symbiotic", "off"), 0);
	assert_false(config.symbiotic);
	assert_int_equal(apply(&config, "symbiotic", "maybe"), -EINVAL);
	assert_null(config.initrd_modules);
	assert_int_equal(apply(&config, "initrd-modules", "a,b"), 0);
	assert_string_equal(config.initrd_modules, "a,b");
	assert_int_equal(apply(&config, "initrd-modules", "none"), 0);
	assert_string_equal(config.initrd_modules, "");
	assert_int_equal(apply(&config, "modules", "/a:/b"), 0);
	assert_string_equal(config.modules, "/a:/b");
	assert_int_equal(apply(&config, "service", ",x"), -EINVAL);
	for (int i = 0; i < CONFIG_MAX_SERVICES; i++)
		assert_int_equal(apply(&config, "service", "a.so,x,y"), 0);
	assert_string_equal(config.services[CONFIG_MAX_SERVICES - 1], "a.so,x,y");
	assert_int_equal(apply(&config, "service", "a.so"), -EINVAL);
	vm_config_free(&config);
	assert_int_equal(parse_disk("f,notify=exit", "--disk", &disk, &err), 0);
	assert_true(disk.notify_exit);
	free(disk.path);
	assert_int_equal(parse_disk("f,notify=", "--disk", &disk, &err), -EINVAL);
	free(disk.path);
}

int main(void)
{
#define SERVED(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		SERVED(test_upcall),
		SERVED(test_modules),
		SERVED(test_services),
		cmocka_unit_test(test_guest_without),
		cmocka_unit_test(test_settings),
	};
	char template[] = "/tmp/symkit-test-XXXXXX";
	int ret;

	if (!mkdtemp(template))
		return 1;
	snprintf(folder, sizeof(folder), "%s/run", template);
	setenv("SYMKIT_RUNTIME", folder, 1);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	rmdir(template);
	return ret;
}
