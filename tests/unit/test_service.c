// SPDX-License-Identifier: BSD-2-Clause
/*
 * Services: errors at loading, calls of life, hooks on exits.  The shared objects are
 * compiled here; they record their calls in a file.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/loop.h"
#include "host/events.h"
#include "host/metrics.h"
#include "parts/part.h"
#include "services/services.h"
#include "symbiotic/sym.h"

#define HEAD "#include <errno.h>\n#include <stdio.h>\n#include <symkit/service.h>\n"
#define INIT                                                                                     \
	"static int init(struct sym_service_vm *vm, const char *args, void **state)\n"           \
	"{ *state = (void *)fopen(args, \"a\"); return *state ? 0 : -EACCES; }\n"
#define SAY                                                                                      \
	"static void say(void *state, enum sym_service_life what)\n"                             \
	"{ fprintf(state, \"%d,\", what); fflush(state); }\n"                                    \
	"static void end(void *state) { fprintf(state, \"end\"); fclose(state); }\n"
#define GOOD(name)                                                                               \
	HEAD INIT SAY "SYM_SERVICE = { SYM_SERVICE_HEAD, .name = \"" name "\", "                 \
		      ".init = init, .life = say, .exit = end };\n"

static char dir[] = "/tmp/symkit-test.XXXXXX";
static struct board board;
static struct part_vm vm;
static void *services;
static struct vm_config config;
static struct sym sym;
static struct err err;

static void destroy(void)
{
	if (services) {
		part_services.stop(services);
		part_services.destroy(services);
	}
	services = NULL;
}

static int setup(void **state)
{
	memset(&board, 0, sizeof(board));
	vm = (struct part_vm){ .board = &board };
	services = NULL;
	memset(&config, 0, sizeof(config));
	memset(&err, 0, sizeof(err));
	memset(&sym, 0, sizeof(sym));
	vm.config = &config;
	vm.sym = &sym;
	config.name = "vm";
	assert_int_equal(loop_create(&board.loop), 0);
	assert_int_equal(events_create(board.loop, &board.events), 0);
	assert_int_equal(metrics_create("test", &board.metrics), 0);
	return 0;
}

static int teardown(void **state)
{
	destroy();
	events_destroy(board.events);
	metrics_destroy(board.metrics);
	loop_destroy(board.loop);
	for (unsigned int i = 0; i < config.nr_services; i++)
		free(config.services[i]);
	return 0;
}

/* Compile @source to @name.so and configure it, with @args. */
static void add(const char *name, const char *source, const char *args)
{
	char path[64], command[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.c", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(source, f);
	fclose(f);
	snprintf(command, sizeof(command),
		 "cc -shared -fPIC -Wall -Werror -Wno-unused "
		 "-Ilibsym/include -Isymbiotic/include -o %s/%s.so %s",
		 dir, name, path);
	assert_int_equal(system(command), 0);
	assert_true(asprintf(&config.services[config.nr_services++], "%s/%s.so%s%s", dir, name,
			     *args ? "," : "", args) > 0);
}

static void refused(int code, const char *why)
{
	assert_int_equal(part_services.create(&vm, &services, &err), code);
	if (err.code != code || !strstr(err.msg, why) || strchr(err.msg, '\n'))
		fail_msg("\"%s\" does not say \"%s\" in one line", err.msg, why);
}

static void test_none(void **state)
{
	assert_int_equal(part_services.create(&vm, &services, &err), 0);
	assert_null(services);
}

static void test_not_offered(void **state)
{
	config.services[config.nr_services++] = strdup("x.so");
	vm.sym = NULL;
	refused(-EINVAL, "--symbiotic on");
}

static void test_missing(void **state)
{
	config.services[config.nr_services++] = strdup("/nosuch/x.so");
	refused(-ENOEXEC, "/nosuch/x.so");
}

static void test_text(void **state)
{
	assert_true(asprintf(&config.services[config.nr_services++], "%s", "README.md") > 0);
	refused(-ENOEXEC, "README.md");
}

/* A shared object that is not a service. */
static void test_no_symbol(void **state)
{
	add("nosymbol", "int x;\n", "");
	refused(-ENOEXEC, "no symbol sym_service");
}

static void test_other_version(void **state)
{
	add("version",
	    HEAD INIT "SYM_SERVICE = { .version = 2, .size = sizeof(sym_service), "
		      ".name = \"v\", .init = init };\n",
	    "");
	refused(-EPROTO, "version 2");
}

static void test_short(void **state)
{
	add("short",
	    HEAD INIT "SYM_SERVICE = { .version = 1, .size = 8, .name = \"v\", "
		      ".init = init };\n",
	    "");
	refused(-EPROTO, "too short");
}

static void test_newer(void **state)
{
	add("newer",
	    HEAD INIT
	    "SYM_API const struct { struct sym_service s; void *more; } "
	    "sym_service = { { .version = 1, .size = sizeof(sym_service), .name = \"v\", "
	    ".init = init }, (void *)1 };\n",
	    "");
	refused(-EPROTO, "needs features that this symvmm lacks");
}

static void test_bad_name(void **state)
{
	add("name",
	    HEAD INIT "SYM_SERVICE = { SYM_SERVICE_HEAD, .name = \"a b\", "
		      ".init = init };\n",
	    "");
	refused(-EINVAL, "its name must be");
}

static void test_no_init(void **state)
{
	add("noinit", HEAD "SYM_SERVICE = { SYM_SERVICE_HEAD, .name = \"v\" };\n", "");
	refused(-EINVAL, "has no init");
}

static void test_init_fails(void **state)
{
	add("fails", GOOD("fails"), "/nosuch/file");
	refused(-EACCES, "service fails: Permission denied");
}

static void test_unknown_symbol(void **state)
{
	add("unknown",
	    HEAD "int nosuch(void);\nstatic int init(struct sym_service_vm *vm, "
		 "const char *args, void **state)\n{ return nosuch(); }\n"
		 "SYM_SERVICE = { SYM_SERVICE_HEAD, .name = \"v\", .init = init };\n",
	    "");
	refused(-ENOEXEC, "nosuch");
}

static void read_log(const char *path, char *text, size_t size)
{
	FILE *f = fopen(path, "re");

	memset(text, 0, size);
	assert_non_null(f);
	assert_true(fread(text, 1, size - 1, f) > 0);
	fclose(f);
}

static void test_life(void **state)
{
	char log[64], text[128];

	snprintf(log, sizeof(log), "%s/log", dir);
	add("life", GOOD("life"), log);
	assert_int_equal(part_services.create(&vm, &services, &err), 0);
	assert_non_null(services);
	events_emit(board.events, "started", NULL);
	events_emit(board.events, "something", NULL);
	events_emit(board.events, "symbiotic_ready", NULL);
	events_emit(board.events, "stopped", NULL);
	events_flush(board.events);
	destroy();
	read_log(log, text, sizeof(text));
	assert_string_equal(text, "0,5,4,end"); /* in order, nothing lost at the end */
}

static void test_twice(void **state)
{
	char log[64];

	snprintf(log, sizeof(log), "%s/log2", dir);
	add("one", GOOD("same"), log);
	add("two", GOOD("same"), log);
	refused(-EEXIST, "'same' is loaded already");
}

/* Hooks. */

static char seen[64];
static bool handle;

static bool hook_a(void *state, unsigned int vcpu, struct sym_exit *exit)
{
	strcat(seen, "a");
	return handle;
}

static bool hook_b(void *state, unsigned int vcpu, struct sym_exit *exit)
{
	strcat(seen, "b");
	return false;
}

static int64_t answer(void *state, unsigned int vcpu, const uint64_t *args)
{
	return args[0] + vcpu;
}

static const char *exit_at(enum sym_exit_kind kind, uint64_t addr, bool *handled)
{
	struct sym_exit exit = { .kind = kind, .addr = addr, .len = 1, .count = 1 };

	*seen = '\0';
	*handled = sym.hooks->exit(sym.hooks->arg, 0, &exit);
	return seen;
}

static void test_hooks(void **state)
{
	static const struct sym_service ops = { .name = "s" };
	struct services *all = calloc(1, sizeof(*all));
	struct sym_service_vm *s = all->list;
	uint64_t args[5] = { 40 };
	bool handled;

	*s = (struct sym_service_vm){ .all = all, .ops = &ops };
	all->vm = &vm;
	assert_int_equal(sym_service_hook(s, SYM_EXIT_PIO, 0x20, 0x2f, hook_b), 0);
	assert_int_equal(sym_service_hook(s, SYM_EXIT_PIO, 0x10, 0x2f, hook_a), 0);
	assert_int_equal(sym_service_hook(s, SYM_EXIT_MSR, 7, 7, hook_a), 0);
	assert_int_equal(sym_service_hook(s, SYM_EXIT_MSR, 8, 7, hook_a), -EINVAL);
	assert_int_equal(sym_service_hook(s, SYM_NR_EXIT_KINDS, 8, 9, hook_a), -EINVAL);
	assert_int_equal(sym_service_hypercall(s, SYM_HC_SERVICE - 1, answer), -EINVAL);
	assert_int_equal(sym_service_hypercall(s, SYM_HC_SERVICE, answer), 0);
	assert_int_equal(sym_service_hypercall(s, SYM_HC_SERVICE, answer), -EEXIST);
	services_hook(all);
	all->running = true;
	assert_int_equal(sym_service_hook(s, SYM_EXIT_PIO, 0, 1, hook_a), -EBUSY);
	/* Only the kinds that have hooks. */
	assert_int_equal(sym.hooks->kinds, 1 << SYM_EXIT_PIO | 1 << SYM_EXIT_MSR);
	assert_string_equal(exit_at(SYM_EXIT_PIO, 0xf, &handled), "");
	assert_string_equal(exit_at(SYM_EXIT_PIO, 0x10, &handled), "a");
	assert_string_equal(exit_at(SYM_EXIT_PIO, 0x20, &handled), "ab");
	assert_false(handled);
	assert_string_equal(exit_at(SYM_EXIT_PIO, 0x30, &handled), "");
	assert_string_equal(exit_at(SYM_EXIT_MSR, 7, &handled), "a");
	handle = true;
	assert_string_equal(exit_at(SYM_EXIT_PIO, 0x2f, &handled), "a");
	assert_true(handled);
	assert_int_equal(sym.hooks->hypercall(sym.hooks->arg, 2, SYM_HC_SERVICE, args), 42);
	assert_int_equal(sym.hooks->hypercall(sym.hooks->arg, 2, SYM_HC_SERVICE + 1, args),
			 -ENOSYS);
	free(all);
}

int main(void)
{
#define WITH_VM(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_VM(test_none),    WITH_VM(test_not_offered), WITH_VM(test_missing),
		WITH_VM(test_text),    WITH_VM(test_no_symbol),	  WITH_VM(test_other_version),
		WITH_VM(test_short),   WITH_VM(test_newer),	  WITH_VM(test_bad_name),
		WITH_VM(test_no_init), WITH_VM(test_init_fails),  WITH_VM(test_unknown_symbol),
		WITH_VM(test_life),    WITH_VM(test_twice),	  WITH_VM(test_hooks),
	};
	char command[64];
	int ret;

	if (!mkdtemp(dir))
		return 1;
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command) ? 1 : ret;
}
