// SPDX-License-Identifier: BSD-2-Clause
/*
 * options.c and config_file.c: the command line and the config file, and which of them
 * takes precedence.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "core/layout.h"

struct fixture {
	struct vm_config config;
	struct err err;
	char path[40]; /* of the config file */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fd;

	assert_non_null(f);
	vm_config_init(&f->config);
	strcpy(f->path, "/tmp/symkit-test.XXXXXX");
	fd = mkstemp(f->path);
	assert_true(fd >= 0);
	close(fd);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	vm_config_free(&f->config);
	unlink(f->path);
	free(f);
	return 0;
}

static void write_file(struct fixture *f, const char *text)
{
	FILE *file = fopen(f->path, "we");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int read_file(struct fixture *f, const char *text)
{
	write_file(f, text);
	return config_file_read(&f->config, f->path, &f->err);
}

/* The file is refused, at @line, with a message that contains @what. */
static void file_refused(struct fixture *f, const char *text, unsigned int line, const char *what)
{
	char where[64];

	assert_int_equal(read_file(f, text), -EBADMSG);
	assert_int_equal(f->err.code, -EBADMSG);
	snprintf(where, sizeof(where), "%s:%u: ", f->path, line);
	if (!strstr(f->err.msg, where) || !strstr(f->err.msg, what))
		fail_msg("\"%s\" does not say \"%s\" and \"%s\"", f->err.msg, where, what);
}

#define ARGS(...)                                                                                \
	(char *[])                                                                               \
	{                                                                                        \
		"run", __VA_ARGS__, NULL                                                         \
	}

static int parse(struct fixture *f, char **argv)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	return options_parse(&f->config, argc, argv, &f->err);
}

static void options_refused(struct fixture *f, char **argv, const char *what)
{
	assert_int_equal(parse(f, argv), -EINVAL);
	if (!strstr(f->err.msg, what))
		fail_msg("\"%s\" does not say \"%s\"", f->err.msg, what);
}

/* The config file */

static void test_file(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(read_file(f, "# a comment\n"
				      "name = \"web\"\n"
				      "kernel = \"/boot/vmlinuz\"\n"
				      "initrd = \"/boot/initrd.img\"\n"
				      "cmdline = \"root=/dev/vda ro\"\n"
				      "memory = \"2G\"\n"
				      "cpus = 4\n"
				      "disk = \"a.img,ro\"\n"
				      "net = \"user\"\n"
				      "rng = false\n"
				      "seccomp = \"off\"\n"
				      "console-device = \"virtio\"\n"
				      "vsock = 7\n"),
			 0);
	assert_string_equal(f->config.name, "web");
	assert_string_equal(f->config.kernel, "/boot/vmlinuz");
	assert_string_equal(f->config.initrd, "/boot/initrd.img");
	assert_string_equal(f->config.cmdline, "root=/dev/vda ro");
	assert_int_equal(f->config.memory, 2 * GiB);
	assert_int_equal(f->config.cpus, 4);
	assert_int_equal(f->config.nr_disks, 1);
	assert_string_equal(f->config.disks[0].path, "a.img");
	assert_true(f->config.disks[0].readonly);
	assert_int_equal(f->config.nr_nets, 1);
	assert_false(f->config.rng);
	assert_false(f->config.seccomp);
	assert_true(f->config.console_virtio);
	assert_int_equal(f->config.vsock_cid, 7);
}

static void test_file_memory_as_a_number(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(read_file(f, "memory = 4294967296L\n"), 0);
	assert_int_equal(f->config.memory, 4 * GiB);
}

static void test_file_lists(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(read_file(f, "disk = (\"a.img\", \"b.img,ro\")\n"
				      "net = [\"user\", \"tap=t0\"]\n"),
			 0);
	assert_int_equal(f->config.nr_disks, 2);
	assert_string_equal(f->config.disks[0].path, "a.img");
	assert_false(f->config.disks[0].readonly);
	assert_string_equal(f->config.disks[1].path, "b.img");
	assert_true(f->config.disks[1].readonly);
	assert_int_equal(f->config.nr_nets, 2);
	assert_string_equal(f->config.nets[1].ifname, "t0");
}

static void test_file_empty(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(read_file(f, "# nothing\n"), 0);
	assert_int_equal(f->config.memory, 512 * MiB);
	assert_int_equal(f->config.cpus, 1);
	assert_true(f->config.rng);
	assert_true(f->config.seccomp);
}

static void test_file_unknown_key(void **state)
{
	file_refused(*state, "cpus = 1\n\nmemroy = \"1G\"\n", 3, "memroy: unknown key");
}

static void test_file_bad_value(void **state)
{
	file_refused(*state, "name = \"a\"\nmemory = \"1X\"\n", 2, "memory 1X: not a size");
}

static void test_file_bad_value_in_list(void **state)
{
	file_refused(*state, "disk = (\"a.img\",\n  \"b.img,rw\")\n", 1, "disk: rw");
}

static void test_file_group(void **state)
{
	file_refused(*state, "disk = { path = \"a.img\"; };\n", 1, "disk: expected a string");
}

static void test_file_list_in_list(void **state)
{
	file_refused(*state, "disk = (\"a.img\", (\"b.img\"))\n", 1, "disk: expected a string");
}

static void test_file_float(void **state)
{
	file_refused(*state, "cpus = 1.5\n", 1, "cpus: expected");
}

static void test_file_syntax(void **state)
{
	file_refused(*state, "cpus = 1\nkernel = = 1\n", 2, "syntax error");
}

static void test_file_not_text(void **state)
{
	file_refused(*state,
		     "\x7f"
		     "ELF\1\2\3\n",
		     1, "syntax error");
}

static void test_file_key_twice(void **state)
{
	file_refused(*state, "cpus = 1\ncpus = 2\n", 2, "duplicate");
}

static void test_file_missing(void **state)
{
	static const char path[] = "/nonexistent/vm.conf";
	struct fixture *f = *state;

	assert_int_equal(config_file_read(&f->config, path, &f->err), -ENOENT);
	assert_non_null(strstr(f->err.msg, path));
}

/* The command line */

static void test_options(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(parse(f, ARGS("--kernel", "vmlinuz", "--memory=1G", "--cpus", "2",
				       "--disk", "a.img", "--disk=b.img,ro", "--name", "n",
				       "--console", "file:/tmp/log")),
			 0);
	assert_string_equal(f->config.kernel, "vmlinuz");
	assert_int_equal(f->config.memory, GiB);
	assert_int_equal(f->config.cpus, 2);
	assert_int_equal(f->config.nr_disks, 2);
	assert_true(f->config.disks[1].readonly);
	assert_string_equal(f->config.name, "n");
	assert_string_equal(f->config.console, "file:/tmp/log");
}

static void test_default_name(void **state)
{
	struct fixture *f = *state;
	char name[16];

	snprintf(name, sizeof(name), "vm%d", (int)getpid());
	assert_int_equal(parse(f, ARGS("--kernel", "k")), 0);
	assert_string_equal(f->config.name, name);
}

static void test_last_one_wins(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(parse(f, ARGS("--kernel", "a", "--cpus=2", "--kernel", "b", "--cpus=3")),
			 0);
	assert_string_equal(f->config.kernel, "b");
	assert_int_equal(f->config.cpus, 3);
}

static void test_switches(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(parse(f, ARGS("--rng=off", "--seccomp", "off", "--allow-interpreted",
				       "--kernel", "k")),
			 0);
	assert_false(f->config.rng);
	assert_false(f->config.seccomp);
	assert_true(f->config.interpreted_ok);
}

static void test_command_line_wins(void **state)
{
	struct fixture *f = *state;

	write_file(f, "kernel = \"file\"\ncpus = 2\nmemory = \"1G\"\ndisk = \"file.img\"\n");
	assert_int_equal(parse(f, ARGS("--cpus=3", "--config", f->path, "--kernel", "line",
				       "--disk", "line.img")),
			 0);
	assert_string_equal(f->config.kernel, "line");
	assert_int_equal(f->config.cpus, 3);
	assert_int_equal(f->config.memory, GiB);
	/* Lists are combined, the file's first. */
	assert_int_equal(f->config.nr_disks, 2);
	assert_string_equal(f->config.disks[0].path, "file.img");
	assert_string_equal(f->config.disks[1].path, "line.img");
}

static void test_no_kernel(void **state)
{
	options_refused(*state, ARGS("--cpus=1"), "--kernel FILE is missing");
}

static void test_unknown_option(void **state)
{
	options_refused(*state, ARGS("--kernel", "k", "--cpu-cnt=3"), "--cpu-cnt=3: unknown");
}

static void test_missing_value(void **state)
{
	options_refused(*state, ARGS("--kernel"), "--kernel: a value is missing");
}

static void test_stray_argument(void **state)
{
	options_refused(*state, ARGS("--kernel", "k", "stray"), "stray: unexpected argument");
}

static void test_bad_switch(void **state)
{
	options_refused(*state, ARGS("--kernel", "k", "--rng", "maybe"),
			"--rng maybe: on or off");
}

static void test_swapbypass(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(read_file(f, "swapbypass = \"1G\";\nswapbypass-file = \"/x\";\n"
				      "swapbypass-limit = 4096;\n"),
			 0);
	assert_int_equal(f->config.swapbypass, GiB);
	assert_string_equal(f->config.swapbypass_file, "/x");
	assert_int_equal(f->config.swapbypass_limit, 4096);
	assert_int_equal(parse(f, ARGS("--kernel", "k", "--swapbypass", "256M",
				       "--swapbypass-limit", "64M", "--swapbypass-file", "w")),
			 0);
	assert_int_equal(f->config.swapbypass, 256 * MiB);
	assert_int_equal(f->config.swapbypass_limit, 64 * MiB);
	assert_string_equal(f->config.swapbypass_file, "w");
}

static void test_bad_swapbypass(void **state)
{
	static const char *const bad[][3] = {
		{ "--swapbypass", "1000000", "--swapbypass 1000000: a multiple of 4096" },
		{ "--swapbypass", "512K", "--swapbypass 512K: " },
		{ "--swapbypass", "1025G", "--swapbypass 1025G: " },
		{ "--swapbypass", "0", "--swapbypass 0: " },
		{ "--swapbypass", "x", "--swapbypass x: not a size" },
		{ "--swapbypass-limit", "0", "--swapbypass-limit 0: " },
		{ "--swapbypass-limit", "5000", "--swapbypass-limit 5000: " },
		{ "--swapbypass-limit", "1M", "--swapbypass-limit: there is no --swapbypass" },
		{ "--swapbypass-file", "f", "--swapbypass-file: there is no --swapbypass" },
		{ "--swapbypass-file", "", "--swapbypass-file: no file name" },
	};
	struct fixture *f = *state;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		teardown(state);
		setup(state);
		f = *state;
		options_refused(f, ARGS("--kernel", "k", (char *)bad[i][0], (char *)bad[i][1]),
				bad[i][2]);
	}
	teardown(state);
	setup(state);
	f = *state;
	options_refused(f, ARGS("--kernel", "k", "--swapbypass", "1M", "--symbiotic", "off"),
			"--symbiotic is off");
	teardown(state);
	setup(state);
	f = *state;
	options_refused(f,
			ARGS("--kernel", "k", "--swapbypass", "1M", "--swapbypass-limit", "2M"),
			"--swapbypass-limit 2097152: more than --swapbypass");
}

static void test_bad_numbers_of_cpus(void **state)
{
	static char *const bad[] = { "0", "65", "-1", "x", "", "1x", "4294967297" };

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		((struct fixture *)*state)->err = (struct err){ 0 };
		options_refused(*state, ARGS("--kernel", "k", "--cpus", bad[i]), "--cpus");
	}
}

static void test_bad_amounts_of_memory(void **state)
{
	static char *const bad[] = { "0", "31M", "2T", "33M", "1", "lots" };

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		((struct fixture *)*state)->err = (struct err){ 0 };
		options_refused(*state, ARGS("--kernel", "k", "--memory", bad[i]), "--memory");
	}
}

static void test_bad_console(void **state)
{
	options_refused(*state, ARGS("--kernel", "k", "--console", "tty"), "--console tty");
}

static void test_too_many_disks(void **state)
{
	char *argv[2 + 2 * (CONFIG_MAX_DISKS + 1) + 1] = { "run", "--kernel=k" };

	for (int i = 0; i <= CONFIG_MAX_DISKS; i++) {
		argv[2 + 2 * i] = "--disk";
		argv[3 + 2 * i] = "a.img";
	}
	options_refused(*state, argv, "more than 16 disks");
}

static void test_too_many_nets(void **state)
{
	char *argv[2 + CONFIG_MAX_NETS + 1 + 1] = { "run", "--kernel=k" };

	for (int i = 0; i <= CONFIG_MAX_NETS; i++)
		argv[2 + i] = "--net=user";
	options_refused(*state, argv, "more than 8 network cards");
}

static void test_config_file_missing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(parse(f, ARGS("--config=/nonexistent", "--kernel=k")), -ENOENT);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_file),
		TEST(test_file_memory_as_a_number),
		TEST(test_file_lists),
		TEST(test_file_empty),
		TEST(test_file_unknown_key),
		TEST(test_file_bad_value),
		TEST(test_file_bad_value_in_list),
		TEST(test_file_group),
		TEST(test_file_list_in_list),
		TEST(test_file_float),
		TEST(test_file_syntax),
		TEST(test_file_not_text),
		TEST(test_file_key_twice),
		TEST(test_file_missing),
		TEST(test_options),
		TEST(test_default_name),
		TEST(test_last_one_wins),
		TEST(test_switches),
		TEST(test_command_line_wins),
		TEST(test_no_kernel),
		TEST(test_unknown_option),
		TEST(test_missing_value),
		TEST(test_stray_argument),
		TEST(test_bad_switch),
		TEST(test_swapbypass),
		TEST(test_bad_swapbypass),
		TEST(test_bad_numbers_of_cpus),
		TEST(test_bad_amounts_of_memory),
		TEST(test_bad_console),
		TEST(test_too_many_disks),
		TEST(test_too_many_nets),
		TEST(test_config_file_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
