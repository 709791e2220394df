// SPDX-License-Identifier: BSD-2-Clause
/* folders.c: the folders of an installation are found from the program's location. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "sym/symmod.h"

static char root[] = "/tmp/symkit-test-XXXXXX";

static void folder(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

/* This program's output when it is run as @name there, with @env before its command line. */
static void says(const char *env, const char *name, const char *modules, const char *services)
{
	char path[128], cmd[256], line[512], wanted[512];
	int from = open("/proc/self/exe", O_RDONLY), to;
	struct stat st;
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	to = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0700);
	assert_true(from >= 0 && to >= 0 && !fstat(from, &st));
	while (sendfile(to, from, NULL, st.st_size) > 0)
		;
	close(from);
	close(to);
	snprintf(cmd, sizeof(cmd), "env %s %s say", env, path);
	out = popen(cmd, "r");
	assert_non_null(out);
	assert_non_null(fgets(line, sizeof(line), out));
	assert_int_equal(pclose(out), 0);
	snprintf(wanted, sizeof(wanted), "%s%s %s%s\n", modules[0] == '/' ? "" : root, modules,
		 services[0] == '/' ? "" : root, services);
	for (char *p = wanted; (p = strchr(p, '@'));)
		*p = '/';
	assert_string_equal(line, wanted);
	unlink(path);
}

/* '@' stands for the '/' after the root. */
static void test_folders(void **state)
{
	folder("usr");
	folder("usr/bin");
	folder("build");
	folder("build/modules");
	folder("build/services");
	says("", "usr/bin/symvmm", "@usr@lib@symkit@modules", "@usr@lib@symkit@services");
	says("", "build/symvmm", "@build@modules", "@build@services");
	says("SYMKIT_MODULES=/a:/b", "usr/bin/symvmm", "/a:/b", "@usr@lib@symkit@services");
	says("SYMKIT_SERVICES=/c", "build/symvmm", "@build@modules", "/c");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_folders),
	};
	char cmd[64];
	int ret;

	if (argc == 2 && !strcmp(argv[1], "say"))
		return printf("%s %s\n", symmod_default_dirs(), symmod_services_dir()) < 0;
	if (!mkdtemp(root))
		return 1;
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", root);
	return system(cmd) || ret;
}
