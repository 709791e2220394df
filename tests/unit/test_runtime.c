// SPDX-License-Identifier: BSD-2-Clause
/* The runtime folder, and names claimed in it: by live VMs, dead ones, and several at once. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/runtime.h"
#include "libsym/folder.h"

static char folder[64];

/* Like a VM that ends at once. */
static int claim(const char *name, struct err *err)
{
	struct runtime_name rn;

	*err = (struct err){ 0 };
	if (!runtime_claim(&rn, name, err))
		runtime_release(&rn);
	return err->code;
}

static void test_names(void **state)
{
	static const char *const bad[] = {
		"",	    ".x",
		"-x",	    "a/b",
		"a b",	    "..",
		"\xc3\xa9", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	};
	struct err err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(claim(bad[i], &err), -EINVAL);
	assert_int_equal(claim("a.b_c-9", &err), 0);
	assert_int_equal(
		claim("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", &err),
		0);
}

static void test_name_taken(void **state)
{
	struct runtime_name rn;
	struct err err = { 0 };
	char pid[16];

	assert_int_equal(runtime_claim(&rn, "test", &err), 0);
	assert_int_equal(claim("test", &err), -EEXIST);
	snprintf(pid, sizeof(pid), "%d", getpid());
	assert_non_null(strstr(err.msg, "'test'"));
	assert_non_null(strstr(err.msg, pid));
	runtime_release(&rn);
	assert_int_equal(claim("test", &err), 0);
	assert_int_equal(rmdir(folder), 0); /* the folder is empty */
}

static void test_name_of_a_dead_vm(void **state)
{
	struct err err = { 0 };
	struct runtime_name rn;
	int status, fd[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(fd), 0);
	pid = fork();
	if (!pid) {
		if (runtime_claim(&rn, "test", &err) || write(fd[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(fd[0], &c, 1), 1);
	assert_int_equal(claim("test", &err), -EEXIST);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(fd[0]);
	close(fd[1]);
	assert_int_equal(claim("test", &err), 0);
}

static void test_one_of_two_wins(void **state)
{
	enum { RACERS = 8, ROUNDS = 20 };
	struct err err;

	for (int round = 0; round < ROUNDS; round++) {
		pid_t pids[RACERS];
		int go[2], tried[2], done[2], won = 0, status;
		char c;

		assert_int_equal(pipe(go), 0);
		assert_int_equal(pipe(tried), 0);
		assert_int_equal(pipe(done), 0);
		for (int i = 0; i < RACERS; i++) {
			pids[i] = fork();
			if (!pids[i]) {
				struct runtime_name rn;
				int ret;

				err.code = 0;
				close(go[1]);
				close(done[1]);
				if (read(go[0], &c, 1) < 0)
					_exit(2);
				ret = runtime_claim(&rn, "race", &err);
				if (write(tried[1], "", 1) != 1)
					_exit(2);
				if (!ret && read(done[0], &c, 1) == 0)
					_exit(0); /* as if killed: nothing is cleaned up */
				_exit(ret == -EEXIST ? 1 : 2);
			}
		}
		close(go[0]);
		close(done[0]);
		close(go[1]);
		/* The winner holds the name until all of them have tried. */
		for (int i = 0; i < RACERS; i++)
			assert_int_equal(read(tried[0], &c, 1), 1);
		close(tried[0]);
		close(tried[1]);
		close(done[1]);
		for (int i = 0; i < RACERS; i++) {
			waitpid(pids[i], &status, 0);
			assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
			won += WEXITSTATUS(status) == 0;
		}
		assert_int_equal(won, 1);
	}
	assert_int_equal(claim("race", &err), 0);
}

static void test_folder(void **state)
{
	char path[128];
	struct err err;

	assert_int_equal(chmod(folder, 0750), 0);
	assert_int_equal(claim("test", &err), -EPERM);
	assert_non_null(strstr(err.msg, folder));
	assert_int_equal(chmod(folder, 0700), 0);
	snprintf(path, sizeof(path), "%s/no/where", folder);
	setenv("SYMKIT_RUNTIME", path, 1);
	assert_int_equal(claim("test", &err), -ENOENT);
	assert_non_null(strstr(err.msg, path));
	snprintf(path, sizeof(path), "%s/link", folder);
	assert_int_equal(symlink("/tmp", path), 0);
	setenv("SYMKIT_RUNTIME", path, 1);
	assert_true(claim("test", &err) < 0);
	unlink(path);
	setenv("SYMKIT_RUNTIME", folder, 1);
}

static bool folder_is(const char *expected)
{
	char path[128];

	vm_folder(NULL, path, sizeof(path));
	return !strcmp(path, expected);
}

/* Root's folder does not depend on how it became root; others' depends on the session. */
static void test_default_folder(void **state)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		char path[64];
		bool ok;

		unsetenv("SYMKIT_RUNTIME");
		setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
		ok = geteuid() || (folder_is("/run/symkit") && !setuid(65534));
		ok = ok && folder_is("/run/user/7/symkit");
		setenv("XDG_RUNTIME_DIR", "", 1);
		snprintf(path, sizeof(path), "/tmp/symkit-%u", geteuid());
		_exit(ok && folder_is(path) ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_name_taken),
		cmocka_unit_test(test_name_of_a_dead_vm),
		cmocka_unit_test(test_one_of_two_wins),
		cmocka_unit_test(test_folder),
		cmocka_unit_test(test_default_folder),
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
