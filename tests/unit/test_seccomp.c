// SPDX-License-Identifier: BSD-2-Clause
/* The VMM's system call filter: what a process that was taken over may still do. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/config.h"
#include "host/seccomp.h"

#define UNIX_SOCKET SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK

static long any_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static long raw_socket(void)
{
	return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static long datagram_socket(void)
{
	return socket(AF_UNIX, SOCK_DGRAM, 0);
}

static long unix_socket(void)
{
	return socket(AF_UNIX, UNIX_SOCKET, 0);
}

static long connect_somewhere(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "/nowhere" };

	return connect(0, (struct sockaddr *)&addr, sizeof(addr)) && errno == ENOTSOCK ? 0 : -1;
}

static long listen_somewhere(void)
{
	return listen(0, 1);
}

static long new_process(void)
{
	return syscall(SYS_fork);
}

static long new_program(void)
{
	return execl("/bin/true", "true", NULL);
}

static long look_into_another(void)
{
	return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static long new_code(void)
{
	return syscall(SYS_mmap, NULL, 4096, 7 /* and PROT_EXEC */, 0x22, -1, 0);
}

static long write_to_disk(void)
{
	return pwrite(STDERR_FILENO, "", 0, 0) < 0 && errno != ESPIPE ? -1 : 0;
}

static long kill_another(void)
{
	return kill(getppid(), 0);
}

static long open_file(void)
{
	return open("/etc/passwd", O_RDONLY);
}

static long plain_read(void)
{
	return read(-1, NULL, 0) < 0 && errno == EBADF ? 0 : -1;
}

enum { ALLOWED, REFUSED, KILLED };

/* What becomes of a process with the filter for @config that does that. */
static int attempt(const struct vm_config *config, long (*what)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		struct err err = { 0 };
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDIN_FILENO);
		dup2(null, STDERR_FILENO);
		if (seccomp_install(config, &err))
			_exit(9);
		_exit(what() < 0 ? 7 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 7)
		return REFUSED;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return ALLOWED;
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 9);
	return KILLED;
}

static void test_never(void **state)
{
	static long (*const attempts[])(void) = {
		any_socket, raw_socket, datagram_socket, listen_somewhere, new_process,
		new_program, look_into_another, new_code, kill_another,
	};
	struct vm_config all = { .nr_disks = 1, .vsock_cid = 3, .swapbypass = 1, .nr_nets = 2,
				 .nets = { { .kind = NET_USER }, { .kind = NET_TAP } } };

	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
		if (attempt(&all, attempts[i]) != KILLED)
			fail_msg("attempt %zu did not end the process", i);
	assert_int_equal(attempt(&all, open_file), REFUSED);
	assert_int_equal(attempt(&all, plain_read), ALLOWED);
}

static void test_by_configuration(void **state)
{
	struct vm_config none = { 0 };
	struct vm_config vsock = { .vsock_cid = 3 };
	struct vm_config disk = { .nr_disks = 1 };

	assert_int_equal(attempt(&none, unix_socket), KILLED);
	assert_int_equal(attempt(&none, connect_somewhere), KILLED);
	assert_int_equal(attempt(&none, write_to_disk), KILLED);
	assert_int_equal(attempt(&vsock, unix_socket), ALLOWED);
	assert_int_equal(attempt(&vsock, connect_somewhere), ALLOWED);
	assert_int_equal(attempt(&vsock, write_to_disk), KILLED);
	assert_int_equal(attempt(&disk, write_to_disk), ALLOWED);
	assert_int_equal(attempt(&disk, unix_socket), KILLED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_by_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
