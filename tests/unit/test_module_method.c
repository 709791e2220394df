// SPDX-License-Identifier: BSD-2-Clause
/* The control method module_install: mistakes of a client, found before the guest is called. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "control/control.h"
#include "parts/interface.h"

static struct part_vm vm;

static int install(struct control_call *call)
{
	const struct control_method *m = interface_methods;

	while (strcmp(m->name, "module_install"))
		m++;
	return m->fn(call);
}

static void refused(int fd, json_t *params, int code, const char *why)
{
	struct control_call call = { .arg = &vm, .params = params, .fd = fd };

	assert_int_equal(install(&call), code);
	assert_int_equal(call.fd, fd); /* the caller closes it */
	if (!strstr(call.err.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", call.err.msg, why);
	json_decref(params);
}

static void test_parameters(void **state)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	vm.sym = (void *)&vm; /* not accessed */
	refused(-1, json_object(), -EBADF, "a file descriptor, or the parameter 'name'");
	refused(-1, json_pack("{s:i}", "name", 3), -EINVAL, "'name' must be a string");
	refused(-1, json_pack("{s:s, s:n}", "name", "m", "params"), -EINVAL,
		"'params' must be a string");
	refused(null, json_pack("{s:s}", "name", "m"), -EINVAL, "cannot be combined");
	vm.sym = NULL;
	refused(-1, json_pack("{s:s}", "name", "m"), -ENOTSUP, "--symbiotic off");
	close(null);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parameters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
