// SPDX-License-Identifier: BSD-2-Clause
/*
 * The sandbox of user-mode networking (net/user_sandbox.c), tried by a child that confines
 * itself in the same way.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/user.h"
#include "tests/unit/sanitizer.h"

#define ENDED (-1000) /* the filter ended the process */

static char dir[] = "/tmp/symkit-test.XXXXXX";
static char file[64];
static int spare; /* an internet socket that is open already */

/* The result of @fn in the sandbox: 0 or -errno; or ENDED. */
static int inside(int (*fn)(void))
{
	int fds[2], ret = ENDED, status;
	pid_t pid;

	if (UNDER_SANITIZER)
		skip();

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (!pid) {
		struct err err = { 0 };
		int null = open("/dev/null", O_WRONLY);

		dup2(null, STDERR_FILENO);
		alarm(20);
		ret = -2000;
		if (!user_sandbox_limits(&err) && !user_sandbox_enter(&err))
			ret = fn() ? -errno : 0;
		if (write(fds[1], &ret, sizeof(ret)) != sizeof(ret))
			_exit(2);
		_exit(0);
	}
	close(fds[1]);
	if (read(fds[0], &ret, sizeof(ret)) != sizeof(ret))
		ret = ENDED;
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), ret == ENDED ? 1 : 0);
	return ret;
}

static int try_socket(int family, int type, int protocol)
{
	int fd = socket(family, type | SOCK_CLOEXEC, protocol);

	return fd < 0 ? -1 : close(fd);
}

static int tcp(void)
{
	return try_socket(AF_INET, SOCK_STREAM, 0);
}
static int udp(void)
{
	return try_socket(AF_INET, SOCK_DGRAM, 0);
}
static int raw(void)
{
	return try_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}
static int ip6(void)
{
	return try_socket(AF_INET6, SOCK_STREAM, 0);
}
static int local(void)
{
	return try_socket(AF_UNIX, SOCK_STREAM, 0);
}
static int packet(void)
{
	return try_socket(AF_PACKET, SOCK_RAW, 0);
}
static int netlink(void)
{
	return try_socket(AF_NETLINK, SOCK_DGRAM, 0);
}
static int sctp(void)
{
	return try_socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
}

static void test_sockets(void **state)
{
	assert_int_equal(inside(tcp), 0);
	assert_int_equal(inside(udp), 0);
	/* libslirp and the C library try these, and can handle a refusal. */
	assert_int_equal(inside(raw), -EACCES);
	assert_int_equal(inside(ip6), -EACCES);
	assert_int_equal(inside(local), -EACCES);
	assert_int_equal(inside(packet), -EACCES);
	assert_int_equal(inside(netlink), -EACCES);
	assert_int_equal(inside(sctp), ENDED);
}

static int listening(void)
{
	return listen(spare, 1);
}

static int binding(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };

	return bind(spare, (struct sockaddr *)&sa, sizeof(sa));
}

static int option(void)
{
	int one = 1;

	return setsockopt(spare, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
}

static int other_option(void)
{
	int one = 1;

	return setsockopt(spare, SOL_SOCKET, SO_MARK, &one, sizeof(one));
}

static int waiting_bytes(void)
{
	int n;

	return ioctl(spare, FIONREAD, &n);
}

static int other_ioctl(void)
{
	char c = 'x';

	return ioctl(spare, TIOCSTI, &c);
}

static void test_socket_calls(void **state)
{
	assert_int_equal(inside(binding), ENDED);
	assert_int_equal(inside(listening), ENDED);
	assert_int_equal(inside(option), 0);
	assert_int_equal(inside(other_option), ENDED);
	assert_int_equal(inside(waiting_bytes), 0);
	assert_int_equal(inside(other_ioctl), -ENOTTY);
}

static int try_open(const char *path, int flags)
{
	int fd = open(path, flags, 0600);

	return fd < 0 ? -1 : close(fd);
}

static int read_etc(void)
{
	return try_open("/etc/passwd", O_RDONLY);
}
static int read_shadow(void)
{
	return try_open("/etc/shadow", O_RDONLY);
}
static int read_other(void)
{
	return try_open(file, O_RDONLY);
}
static int read_proc(void)
{
	return try_open("/proc/self/environ", O_RDONLY);
}
static int write_etc(void)
{
	return try_open("/etc/passwd", O_WRONLY);
}
static int create(void)
{
	return try_open("/etc/symkit-test", O_RDONLY | O_CREAT);
}
static int delete (void)
{
	return unlink(file);
}

static bool has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0;
}

static void test_files(void **state)
{
	assert_int_equal(inside(read_etc), 0);
	/* Not even root's process reads what only root may. */
	assert_int_equal(inside(read_shadow), -EACCES);
	assert_int_equal(inside(read_other), has_landlock() ? -EACCES : 0);
	if (has_landlock())
		assert_int_equal(inside(read_proc), -EACCES);
	assert_int_equal(inside(write_etc), ENDED);
	assert_int_equal(inside(create), ENDED);
	assert_int_equal(inside(delete), ENDED);
}

static int forking(void)
{
	return syscall(SYS_fork) < 0;
}
static int executing(void)
{
	return execl("/bin/true", "true", NULL);
}
static int killing(void)
{
	return kill(getppid(), 0);
}
static int ending_another(void)
{
	return syscall(SYS_tgkill, getppid(), getppid(), 0);
}
static int code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	       MAP_FAILED;
}

static void test_processes(void **state)
{
	assert_int_equal(inside(forking), ENDED);
	assert_int_equal(inside(executing), ENDED);
	assert_int_equal(inside(killing), ENDED);
	assert_int_equal(inside(ending_another), ENDED);
	assert_int_equal(inside(code), ENDED);
}

static int many_files(void)
{
	int n = 0;

	while (dup(spare) >= 0)
		n++;
	return n >= USER_NET_FILES || errno != EMFILE;
}

static int much_memory(void)
{
	errno = 0;
	return !malloc(300 << 20) && errno == ENOMEM ? 0 : -1;
}

static void test_limits(void **state)
{
	assert_int_equal(inside(many_files), 0);
	assert_int_equal(inside(much_memory), 0);
}

static int set_up(void **state)
{
	int fd;

	if (!mkdtemp(dir))
		return -1;
	snprintf(file, sizeof(file), "%s/file", dir);
	chmod(dir, 0755);
	fd = open(file, O_WRONLY | O_CREAT, 0644);
	spare = socket(AF_INET, SOCK_STREAM, 0);
	return fd < 0 || spare < 0 ? -1 : close(fd);
}

static int clean_up(void **state)
{
	return unlink(file) || rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sockets), cmocka_unit_test(test_socket_calls),
		cmocka_unit_test(test_files),	cmocka_unit_test(test_processes),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, set_up, clean_up);
}
