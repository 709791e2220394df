// SPDX-License-Identifier: BSD-2-Clause
/* unix_socket.c: replacing old sockets, and clients when file descriptors run out. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/unix_socket.h"

static char folder[] = "/tmp/symkit-test-XXXXXX";
static char path[64];

static int connect_to(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void test_stale(void **state)
{
	struct unix_listener dead, l;
	struct err err = { 0 };

	assert_int_equal(unix_listen(&dead, path, 1, &err), 0);
	unix_unlisten(&dead); /* as a killed process leaves it: the path stays */
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(unix_listen(&l, path, 1, &err), 0);
	close(connect_to());
	unix_unlisten(&l);
	unlink(path);
}

static void test_live(void **state)
{
	struct unix_listener l, other;
	struct err err = { 0 };
	int fd;

	assert_int_equal(unix_listen(&l, path, 1, &err), 0);
	assert_int_equal(unix_listen(&other, path, 1, &err), -EADDRINUSE);
	assert_non_null(strstr(err.msg, path));
	assert_non_null(strstr(err.msg, "in use"));
	fd = unix_accept(&l); /* the check made a connection, too */
	if (fd >= 0)
		close(fd);
	close(connect_to()); /* it was not removed */
	unix_unlisten(&l);
	unlink(path);
}

static void test_no_socket(void **state)
{
	struct unix_listener l;
	struct err err = { 0 };
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	assert_int_equal(write(fd, "data", 4), 4);
	assert_int_equal(unix_listen(&l, path, 1, &err), -EEXIST);
	assert_non_null(strstr(err.msg, "not a socket"));
	assert_int_equal(lseek(fd, 0, SEEK_END), 4);
	assert_int_equal(access(path, F_OK), 0);
	close(fd);
	unlink(path);
}

/* How many of ten clients are served when there is no descriptor left; twice. */
static int served(unsigned int spares)
{
	struct unix_listener l;
	struct err err = { 0 };
	struct rlimit limit;
	int fds[20], count = 0, next;

	if (unix_listen(&l, path, spares, &err))
		return -1;
	for (int i = 0; i < 10; i++)
		connect_to(); /* and stay connected */
	next = dup(0);
	close(next);
	limit = (struct rlimit){ next, next };
	if (setrlimit(RLIMIT_NOFILE, &limit))
		return -1;
	for (int round = 0; round < 2; round++) {
		int now = 0;

		for (int i = 0; i < 5; i++) {
			fds[now] = unix_accept(&l);
			now += fds[now] >= 0;
		}
		count += now;
		while (now--)
			close(fds[now]); /* they disconnect: the reserve can be refilled */
		unix_refill(&l);
	}
	return count;
}

static void check_reserve(unsigned int spares, int wanted)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(served(spares) & 0xff);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	unlink(path);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), wanted);
}

static void test_reserve(void **state)
{
	check_reserve(1, 0); /* all are disconnected, none waits for ever */
	check_reserve(4, 2 * 3);
	check_reserve(8, 2 * 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stale),
		cmocka_unit_test(test_live),
		cmocka_unit_test(test_no_socket),
		cmocka_unit_test(test_reserve),
	};
	int ret;

	if (!mkdtemp(folder))
		return 1;
	snprintf(path, sizeof(path), "%s/socket", folder);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return ret;
}
