// SPDX-License-Identifier: BSD-2-Clause
/* cleanup.c: files that are removed when the process ends, killed or not, and others. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/cleanup.h"
#include "tests/unit/sanitizer.h"

#define WAIT_MS 20000

static char folder[] = "/tmp/symkit-test-XXXXXX";

static void path_of(const char *name, char *path)
{
	snprintf(path, 128, "%s/%s", folder, name);
}

static void make(const char *name, const char *contents)
{
	char path[128];
	int fd;

	path_of(name, path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, contents, strlen(contents)), strlen(contents));
	close(fd);
}

static bool there(const char *name)
{
	char path[128];

	path_of(name, path);
	return !access(path, F_OK);
}

static void drop(const char *name)
{
	char path[128];

	path_of(name, path);
	assert_int_equal(unlink(path), 0);
}

static bool add(const char *name, enum cleanup_when when)
{
	char path[128];

	path_of(name, path);
	return !cleanup_add(path, when);
}

static int lock_file(void)
{
	char path[128];
	int fd;

	path_of("lock", path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB) ? fd : -1;
}

/* A VMM that ends by @end, after it has sent its list. */
static void vmm(bool seal, void (*end)(void))
{
	pid_t pid;
	int status;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		struct err err = { 0 };
		int lock = lock_file();

		if (lock < 0 || cleanup_start(!UNDER_SANITIZER, &err) ||
		    !add("lock", CLEANUP_ALWAYS) || !add("socket", CLEANUP_ALWAYS) ||
		    !add("replaced", CLEANUP_ALWAYS) || !add("empty", CLEANUP_IF_EMPTY) ||
		    !add("full", CLEANUP_IF_EMPTY))
			_exit(9);
		if (seal && cleanup_seal(lock, &err))
			_exit(8);
		end();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status))
		assert_int_equal(WEXITSTATUS(status), 0);
}

static void be_killed(void)
{
	raise(SIGKILL);
}

static int setup(void **state)
{
	make("socket", "");
	make("replaced", "");
	make("empty", "");
	make("full", "data");
	make("other", "");
	return 0;
}

static void rename_over(void)
{
	char from[128], to[128];

	path_of("other", from);
	path_of("replaced", to);
	if (rename(from, to))
		_exit(7);
}

static void check_removed(void)
{
	assert_false(there("lock"));
	assert_false(there("socket"));
	assert_false(there("empty"));
	assert_true(there("full"));
	assert_true(there("replaced"));
	drop("full");
	drop("replaced");
}

static void replace_and_finish(void)
{
	rename_over();
	cleanup_finish();
}

static void test_finish(void **state)
{
	setup(state);
	vmm(true, replace_and_finish);
	check_removed(); /* cleanup_finish() has waited */
}

static void replace_and_die(void)
{
	rename_over();
	be_killed();
}

/* The name's lock is free when the files are gone, and not before. */
static void test_killed(void **state)
{
	char path[128];
	int fd, i;

	setup(state);
	path_of("lock", path);
	vmm(true, replace_and_die);
	fd = open(path, O_RDWR | O_CLOEXEC);
	for (i = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && i < WAIT_MS; i++)
		usleep(1000);
	assert_true(i < WAIT_MS);
	close(fd);
	check_removed();
}

/* If a VMM ends before it has sent the list, nothing is removed. */
static void test_not_sealed(void **state)
{
	static const char *const names[] = { "lock",  "socket", "replaced",
					     "empty", "full",	"other" };

	setup(state);
	vmm(false, cleanup_finish);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		drop(names[i]);
}

static void seal_again(void)
{
	struct err err = { 0 };

	if (!add("other", CLEANUP_ALWAYS) || cleanup_seal(STDERR_FILENO, &err))
		_exit(6);
	cleanup_finish();
}

/* A VMM that was taken over cannot have other files removed. */
static void test_sealed(void **state)
{
	setup(state);
	vmm(true, seal_again);
	assert_true(there("other"));
	drop("other");
	drop("full");
	assert_false(there("replaced"));
}

static void test_limits(void **state)
{
	struct err err = { 0 };
	char path[128];

	make("one", "");
	path_of("one", path);
	assert_int_equal(cleanup_add("/nowhere", CLEANUP_ALWAYS), 0); /* no process was started */
	assert_int_equal(cleanup_start(false, &err), 0);
	assert_int_equal(cleanup_add("/nowhere", CLEANUP_ALWAYS), -ENOENT);
	for (int i = 0; i < 8; i++)
		assert_int_equal(cleanup_add(path, CLEANUP_ALWAYS), 0);
	assert_int_equal(cleanup_add(path, CLEANUP_ALWAYS), -ENOSPC);
	cleanup_finish();
	drop("one");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finish),	   cmocka_unit_test(test_killed),
		cmocka_unit_test(test_not_sealed), cmocka_unit_test(test_sealed),
		cmocka_unit_test(test_limits),
	};
	int ret;

	if (!mkdtemp(folder))
		return 1;
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return ret;
}
