// SPDX-License-Identifier: BSD-2-Clause
/* The VMM's system call filter: what a process that was taken over can still do. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/config.h"
#include "host/seccomp.h"
#include "sym/symmod.h"
#include "tests/unit/module_file.h"
#include "tests/unit/packed.h"
#include "tests/unit/sanitizer.h"

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

static struct sockaddr_un other = { .sun_family = AF_UNIX };

/* To a program's abstract socket, which has no file that could be protected. */
static long connect_to_another(void)
{
	int fd = socket(AF_UNIX, UNIX_SOCKET, 0);

	return connect(fd, (struct sockaddr *)&other, sizeof(other));
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

static long new_ring(void)
{
	return syscall(SYS_io_uring_setup, 1, NULL);
}

static long change_ring(void)
{
	return syscall(SYS_io_uring_register, -1, 0, NULL, 0);
}

static long use_ring(void)
{
	return syscall(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0) < 0 && errno == EBADF ? 0 : -1;
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

static int modules[NR_FORMS];

/* Decompressing takes memory, and no more than that. */
static long read_modules(void)
{
	struct symmod_image image;
	struct sym_err err;

	for (unsigned int i = 0; i < NR_FORMS; i++) {
		if (symmod_read(modules[i], "module", &image, &err))
			return -1;
		symmod_free(&image);
	}
	return 0;
}

enum { ALLOWED, REFUSED, KILLED };

static void *no_thread(void *arg)
{
	return NULL;
}

static long new_thread(void)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, no_thread, NULL) ? -1 : 0;
}

static long new_vm(void)
{
	return ioctl(0, KVM_CREATE_VM, 0) && errno == ENOTTY ? 0 : -1;
}

static long run_vcpu(void)
{
	return ioctl(0, KVM_RUN, 0) && errno == ENOTTY ? 0 : -1;
}

static long accept_client(void)
{
	return accept4(0, NULL, NULL, 0) < 0 && errno == ENOTSOCK ? 0 : -1;
}

static long remove_file(void)
{
	return unlink("/nowhere");
}

struct thread {
	enum seccomp_thread who;
	sem_t go; /* the process has its filter */
	long (*what)(void);
};

/* Like a device's thread: it exists before the filter. */
static void *be_thread(void *arg)
{
	struct thread *t = arg;

	sem_wait(&t->go);
	seccomp_enter(t->who);
	_exit(t->what() < 0 ? 7 : 0);
}

static void in_thread(const struct vm_config *config, enum seccomp_thread who, long (*what)(void))
{
	struct thread t = { .who = who, .what = what };
	struct err err = { 0 };
	pthread_t thread;

	if (sem_init(&t.go, 0, 0) ||
	    (who != SECCOMP_VCPU && pthread_create(&thread, NULL, be_thread, &t)) ||
	    seccomp_install(config, &err) ||
	    /* The loop starts these, at a reset, too. */
	    (who == SECCOMP_VCPU && pthread_create(&thread, NULL, be_thread, &t)))
		_exit(9);
	sem_post(&t.go);
	pthread_join(thread, NULL);
}

/* The result of a process with the filter for @config whose thread does that. */
static int attempt(const struct vm_config *config, enum seccomp_thread who, long (*what)(void))
{
	int status;
	pid_t pid;

	if (UNDER_SANITIZER)
		skip();

	fflush(NULL);
	pid = fork();
	if (!pid) {
		struct err err = { 0 };
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDIN_FILENO);
		dup2(null, STDERR_FILENO);
		if (who != SECCOMP_LOOP)
			in_thread(config, who, what);
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

static const struct vm_config all = {
	.nr_disks = 1,
	.vsock_cid = 3,
	.swapbypass = 1,
	.nr_nets = 2,
	.nets = { { .kind = NET_USER }, { .kind = NET_TAP } },
};

static void test_never(void **state)
{
	static long (*const attempts[])(void) = {
		any_socket,   raw_socket,  datagram_socket,   listen_somewhere,
		new_process,  new_program, look_into_another, new_code,
		kill_another, new_ring,	   change_ring,
	};

	for (enum seccomp_thread who = 0; who < SECCOMP_THREADS; who++) {
		for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
			if (attempt(&all, who, attempts[i]) != KILLED)
				fail_msg("attempt %zu did not end the process in thread %d", i,
					 who);
		assert_int_equal(attempt(&all, who, open_file), REFUSED);
		assert_int_equal(attempt(&all, who, remove_file), REFUSED);
		assert_int_equal(attempt(&all, who, plain_read), ALLOWED);
	}
}

/* Calls that some threads must be able to make, and others must not. */
static void test_threads(void **state)
{
	static const struct {
		long (*what)(void);
		unsigned int who;
	} calls[] = {
		{ unix_socket, 1 << SECCOMP_VSOCK },
		{ connect_somewhere, 1 << SECCOMP_VSOCK },
		{ write_to_disk, 1 << SECCOMP_DISK },
		{ use_ring, 1 << SECCOMP_DISK },
		{ accept_client, 1 << SECCOMP_LOOP | 1 << SECCOMP_VSOCK },
		{ new_thread, 1 << SECCOMP_LOOP },
		{ new_vm, 1 << SECCOMP_LOOP },
		{ run_vcpu, 1 << SECCOMP_LOOP | 1 << SECCOMP_VCPU },
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		for (enum seccomp_thread who = 0; who < SECCOMP_THREADS; who++)
			if (attempt(&all, who, calls[i].what) !=
			    (calls[i].who >> who & 1 ? ALLOWED : KILLED))
				fail_msg("call %zu in thread %d", i, who);
}

/* Without the device no thread of the VM may do it. */
static void test_by_configuration(void **state)
{
	struct vm_config none = { 0 };
	struct vm_config vsock = { .vsock_cid = 3 };
	struct vm_config disk = { .nr_disks = 1 };

	assert_int_equal(attempt(&none, SECCOMP_WORKER, unix_socket), KILLED);
	assert_int_equal(attempt(&none, SECCOMP_LOOP, write_to_disk), KILLED);
	assert_int_equal(attempt(&vsock, SECCOMP_VSOCK, unix_socket), ALLOWED);
	assert_int_equal(attempt(&vsock, SECCOMP_VSOCK, write_to_disk), KILLED);
	assert_int_equal(attempt(&disk, SECCOMP_DISK, write_to_disk), ALLOWED);
	assert_int_equal(attempt(&disk, SECCOMP_DISK, unix_socket), KILLED);
}

static void test_compressed_modules(void **state)
{
	static const char text[] = "name=a\0vermagic=6.1 SMP ";
	struct module_file *f = module_make(text, sizeof(text));

	for (unsigned int i = 0; i < NR_FORMS; i++) {
		size_t size = forms[i].pack(f, sizeof(*f));
		char path[] = "/tmp/symkit-test.XXXXXX";

		modules[i] = mkstemp(path);
		unlink(path);
		assert_int_equal(write(modules[i], packed, size), size);
	}
	free(f);
	assert_int_equal(attempt(&all, SECCOMP_WORKER, read_modules), ALLOWED);
	for (unsigned int i = 0; i < NR_FORMS; i++)
		close(modules[i]);
}

/* Threads that are older than the filter are confined by Landlock, too. */
static void test_landlock(void **state)
{
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);

	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 6)
		skip(); /* cannot forbid what the filter allows */
	snprintf(other.sun_path + 1, sizeof(other.sun_path) - 1, "symkit-test-%d", getpid());
	assert_int_equal(bind(listener, (struct sockaddr *)&other, sizeof(other)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(connect_to_another(), 0);
	assert_int_equal(attempt(&all, SECCOMP_VSOCK, connect_to_another), REFUSED);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_by_configuration),
		cmocka_unit_test(test_compressed_modules),
		cmocka_unit_test(test_landlock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
