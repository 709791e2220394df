// SPDX-License-Identifier: BSD-2-Clause
/* swapbypass/: a window with a file: whose it is, what is left in it, when it is removed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake/window_guest.h"

static off_t size_of(void)
{
	struct stat st;

	return stat(path, &st) ? -1 : st.st_size;
}

static void write_file(const char *text, size_t len, off_t at)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, text, len, at), len);
	close(fd);
}

static void file_refused(int code, const char *why)
{
	off_t before = size_of();

	assert_int_equal(create(path, SIZE), code);
	if (!strstr(err.text, why) || !strstr(err.text, path) || strchr(err.text, '\n'))
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
	assert_null(window);
	assert_int_equal(size_of(), before);
}

static void test_file_created(void **state)
{
	struct stat st;

	assert_int_equal(create(path, SIZE), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, SIZE + SPARE + PAGE);
	assert_true(st.st_blocks * 512 < st.st_size / 2); /* sparse */
	assert_int_equal(sym_window_lent(window), 0);
	assert_null(sym_window_leftover(window));
	sym_window_destroy(window);
	window = NULL;
	assert_int_equal(size_of(), -1);
}

static void test_file_there(void **state)
{
	write_file("", 0, 0);
	assert_int_equal(create(path, SIZE), 0);
	touch(1, 1);
	sym_window_destroy(window);
	window = NULL;
	assert_int_equal(size_of(), 0);
}

static void test_file_foreign(void **state)
{
	static const char text[] = "symkit swap window\n";

	write_file("x", 1, 0);
	file_refused(-EEXIST, "not empty, and not a swap window of symkit");
	write_file("x", 1, SIZE + SPARE + PAGE - 1);
	file_refused(-EEXIST, "not a swap window");
	write_file(text, sizeof(text), SIZE); /* not where it belongs */
	file_refused(-EEXIST, "not a swap window");
	unlink(path);
	write_file(text, sizeof(text), 0); /* a mark alone, and a short one */
	file_refused(-EEXIST, "not a swap window");
}

static void test_file_in_use(void **state)
{
	struct sym_window *first;

	assert_int_equal(create(path, SIZE), 0);
	first = window;
	file_refused(-EBUSY, "in use by another VM");
	window = first;
}

static void test_file_not_regular(void **state)
{
	assert_int_equal(mkfifo(path, 0600), 0);
	file_refused(-EINVAL, "not a regular file");
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	file_refused(-EISDIR, "directory");
	rmdir(path);
	assert_int_equal(symlink("/nonexistent/x", path), 0);
	assert_int_equal(create(path, SIZE), -ENOENT);
}

/* A VM is killed while it has the window. */
static void killed(const char *file)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		_exit(create(file, SIZE) ? 1 : (touch(1, 5), 0));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(size_of(), SIZE + SPARE + PAGE);
}

static void test_file_left(void **state)
{
	killed(path);
	assert_int_equal(create(path, SIZE), 0);
	assert_string_equal(sym_window_leftover(window), "web");
	assert_int_equal(sym_window_lent(window), 0);
	assert_false(holds(1));
	sym_window_destroy(window);
	window = NULL;
	assert_int_equal(size_of(), -1); /* created by us, in an earlier run */
	write_file("", 0, 0);
	killed(path);
	assert_int_equal(create(path, SIZE), 0);
	sym_window_destroy(window);
	window = NULL;
	assert_int_equal(size_of(), 0);
}

/* A file that took the name is not ours. */
static void test_file_replaced(void **state)
{
	char moved[sizeof(path) + 8];

	snprintf(moved, sizeof(moved), "%s.moved", path);
	assert_int_equal(create(path, SIZE), 0);
	assert_int_equal(rename(path, moved), 0);
	write_file("data", 4, 0);
	sym_window_destroy(window);
	window = NULL;
	assert_int_equal(size_of(), 4);
	assert_int_equal(unlink(moved), 0);
}

static void test_file_cut(void **state)
{
	assert_int_equal(create(path, SIZE), 0);
	assert_int_equal(sym_window_check(window, &err), 0);
	touch(1, 1);
	assert_int_equal(sym_window_check(window, &err), 0);
	assert_int_equal(sym_window_lent(window), PAGE); /* the check took nothing */
	assert_int_equal(truncate(path, SIZE / 2), 0);
	assert_int_equal(sym_window_check(window, &err), -ESTALE);
	assert_non_null(strstr(err.text, path));
	assert_non_null(strstr(err.text, "was cut"));
}

static void test_file_reset(void **state)
{
	touch(1, 100);
	sym_window_reset(window);
	assert_false(holds(1));
	assert_int_equal(sym_window_lent(window), 0);
	assert_int_equal(size_of(), SIZE + SPARE + PAGE); /* the mark stays */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAIN(test_file_created),  PLAIN(test_file_there),	 PLAIN(test_file_foreign),
		PLAIN(test_file_in_use),   PLAIN(test_file_not_regular), PLAIN(test_file_left),
		PLAIN(test_file_replaced), PLAIN(test_file_cut),	 FILED(test_file_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
