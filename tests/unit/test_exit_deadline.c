// SPDX-License-Identifier: BSD-2-Clause
/* exit_deadline.c: a process that cannot be taken down exits anyway. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/exit_deadline.h"

/* The exit status of a child that ends after @end_ms; its stderr in @text. */
static int child(unsigned int deadline_ms, unsigned int end_ms, char *text, size_t size)
{
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (!pid) {
		dup2(fds[1], STDERR_FILENO);
		exit_deadline_start("vm", deadline_ms, 7);
		exit_deadline_stage("a disk");
		usleep(end_ms * 1000);
		exit_deadline_stop();
		_exit(3);
	}
	close(fds[1]);
	n = read(fds[0], text, size - 1);
	text[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_leaves(void **state)
{
	char text[256];

	assert_int_equal(child(100, 20000, text, sizeof(text)), 7);
	assert_non_null(strstr(text, "vm: not taken down within 100 ms (waiting for a disk)"));
}

static void test_in_time(void **state)
{
	char text[256];

	assert_int_equal(child(20000, 10, text, sizeof(text)), 3);
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaves),
		cmocka_unit_test(test_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
