// SPDX-License-Identifier: BSD-2-Clause
/*
 * console.c: the history, fast and slow clients, input that waits for the guest, and
 * (in a child, on a pseudo-terminal) raw mode, the escape key and restoring the terminal.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/loop.h"
#include "host/console.h"
#include "host/terminal.h"

#define HISTORY (64 * 1024)

static char folder[] = "/tmp/symkit-test-XXXXXX";
static char path[64];

static struct {
	struct loop *loop;
	struct console *console;
	pthread_t thread;
} host;

/* A guest that takes its input a little at a time, and only when it has room. */
static struct {
	pthread_mutex_t lock;
	char got[128 * 1024];
	size_t len;
	size_t room;
	size_t at_once;
} guest = { .lock = PTHREAD_MUTEX_INITIALIZER };

static size_t take(void *arg, const uint8_t *buf, size_t len)
{
	pthread_mutex_lock(&guest.lock);
	if (len > guest.at_once)
		len = guest.at_once;
	if (len > guest.room)
		len = guest.room;
	if (len > sizeof(guest.got) - guest.len)
		len = sizeof(guest.got) - guest.len;
	memcpy(guest.got + guest.len, buf, len);
	guest.len += len;
	guest.room -= len;
	pthread_mutex_unlock(&guest.lock);
	return len;
}

static void guest_reset(size_t room, size_t at_once)
{
	pthread_mutex_lock(&guest.lock);
	guest.len = 0;
	guest.room = room;
	guest.at_once = at_once;
	pthread_mutex_unlock(&guest.lock);
}

static size_t guest_wait(size_t len)
{
	size_t got = 0;

	for (int i = 0; i < 500 && got < len; i++) {
		usleep(10000);
		pthread_mutex_lock(&guest.lock);
		got = guest.len;
		pthread_mutex_unlock(&guest.lock);
	}
	return got;
}

static void *serve(void *arg)
{
	loop_run(host.loop);
	return NULL;
}

static void on_quit(void *arg)
{
	loop_quit(host.loop);
}

static void start_limited(const char *spec, uint64_t limit)
{
	struct err err = { 0 };

	assert_int_equal(loop_create(&host.loop), 0);
	assert_int_equal(
		console_create(host.loop, spec, limit, path, on_quit, NULL, &host.console, &err),
		0);
	assert_int_equal(pthread_create(&host.thread, NULL, serve, NULL), 0);
}

static void start(const char *spec)
{
	start_limited(spec, 0);
}

static void stop(void)
{
	loop_quit(host.loop);
	pthread_join(host.thread, NULL);
	console_destroy(host.console);
	loop_destroy(host.loop);
	assert_int_equal(access(path, F_OK), -1);
}

static int client(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval tv = { .tv_sec = 10 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return fd;
}

static size_t read_until(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n = 1;

	while (len < size && n > 0) {
		n = read(fd, buf + len, size - len);
		if (n > 0)
			len += n;
	}
	return len;
}

/* Output that is different everywhere. */
static void say(size_t from, size_t to)
{
	uint8_t buf[1000];

	while (from < to) {
		size_t n = 0;

		for (; n < sizeof(buf) && from < to; n++, from++)
			buf[n] = from * 31 + (from >> 8);
		console_write(host.console, buf, n);
	}
}

static void assert_said(const char *buf, size_t from, size_t len)
{
	for (size_t i = 0; i < len; i++, from++)
		if ((uint8_t)buf[i] != (uint8_t)(from * 31 + (from >> 8)))
			fail_msg("byte %zu differs", from);
}

static void test_history(void **state)
{
	char *buf = malloc(2 * HISTORY);
	int early, late, fd;

	start("socket");
	early = client();
	say(0, 1000);
	assert_int_equal(read_until(early, buf, 1000), 1000);
	assert_said(buf, 0, 1000);
	say(1000, 100000);
	assert_int_equal(read_until(early, buf, 99000), 99000);
	assert_said(buf, 1000, 99000);
	late = client();
	assert_int_equal(read_until(late, buf, HISTORY), HISTORY);
	assert_said(buf, 100000 - HISTORY, HISTORY);
	say(100000, 100100);
	assert_int_equal(read_until(late, buf, 100), 100);
	assert_said(buf, 100000, 100);
	fd = client(); /* only the history */
	shutdown(fd, SHUT_WR);
	assert_int_equal(read_until(fd, buf, 2 * HISTORY), HISTORY);
	close(fd);
	close(late);
	say(100100, 100200);
	stop();
	assert_int_equal(read_until(early, buf, 2 * HISTORY), 200);
	assert_said(buf, 100000, 200);
	close(early);
	free(buf);
}

static void test_tail(void **state)
{
	char buf[17];

	start("off");
	assert_int_equal(console_tail(host.console, buf, 16), 0);
	assert_string_equal(buf, "");
	console_write(host.console, (const uint8_t *)"one\0two", 7);
	assert_int_equal(console_tail(host.console, buf, 16), 7);
	assert_string_equal(buf, "one two");
	assert_int_equal(console_tail(host.console, buf, 3), 3);
	assert_string_equal(buf, "two");
	stop();
}

static void test_slow_client_is_dropped(void **state)
{
	const size_t total = 8 << 20;
	char *buf = malloc(total);
	struct pollfd pfd;
	int slow, gone;
	size_t got;

	start("socket");
	slow = client();
	gone = client();
	close(gone);
	say(0, 100);
	assert_int_equal(read_until(slow, buf, 100), 100);
	say(100, total);
	pfd = (struct pollfd){ .fd = slow };
	assert_int_equal(poll(&pfd, 1, 5000), 1);
	assert_true(pfd.revents & POLLHUP);
	got = read_until(slow, buf, total);
	assert_true(got < total - 100);
	assert_said(buf, 100, got);
	close(slow);
	stop();
	free(buf);
}

static void *read_all(void *arg)
{
	int fd = client();
	char *buf = malloc(4 << 20);
	size_t len;

	if (write(fd, "!", 1) == 1) /* shows the writer that we are connected */
		len = read_until(fd, buf, 4 << 20);
	else
		len = 0;
	assert_said(buf, 0, len);
	free(buf);
	close(fd);
	return (void *)len;
}

/* A client that reads gets every byte, even from a guest that prints without pause. */
static void test_fast_client(void **state)
{
	pthread_t reader;
	void *len;

	start("socket");
	guest_reset(1, 1);
	console_set_input(host.console, take, NULL);
	assert_int_equal(pthread_create(&reader, NULL, read_all, NULL), 0);
	assert_int_equal(guest_wait(1), 1);
	for (size_t at = 0; at < 4 << 20; at += 64 * 1024) {
		say(at, at + 64 * 1024);
		usleep(10000); /* the reader must run on a busy machine, too */
	}
	pthread_join(reader, &len);
	assert_int_equal((size_t)len, 4 << 20);
	stop();
}

static void test_input_waits(void **state)
{
	char line[9001];
	int one, two;

	start("socket");
	one = client();
	two = client();
	assert_int_equal(write(one, "early", 5), 5); /* before there is a device */
	usleep(20000);
	guest_reset(3, 2);
	console_set_input(host.console, take, NULL);
	assert_int_equal(guest_wait(3), 3);
	usleep(20000);
	assert_int_equal(guest.len, 3);
	guest_reset(2, 100);
	console_kick(host.console);
	assert_int_equal(guest_wait(2), 2);
	assert_memory_equal(guest.got, "ly", 2);

	/* More than is queued; the sender disconnects before it was read. */
	guest_reset(0, 16);
	memset(line, 'x', sizeof(line));
	line[9000] = 'y';
	assert_int_equal(write(two, line, sizeof(line)), sizeof(line));
	close(two);
	usleep(50000);
	for (int i = 0; i < 9001; i += 1000) {
		pthread_mutex_lock(&guest.lock);
		guest.room = 1000;
		pthread_mutex_unlock(&guest.lock);
		console_kick(host.console);
		assert_int_equal(guest_wait(i + 1000 < 9001 ? i + 1000 : 9001),
				 i + 1000 < 9001 ? i + 1000 : 9001);
	}
	assert_memory_equal(guest.got, line, 9001);
	close(one);
	console_set_input(host.console, NULL, NULL);
	stop();
}

static void test_file(void **state)
{
	char name[80], spec[96], buf[16] = "";
	struct err err = { 0 };
	int fd;

	snprintf(name, sizeof(name), "%s/log", folder);
	snprintf(spec, sizeof(spec), "file:%s", name);
	for (int i = 0; i < 2; i++) {
		start(spec);
		console_write(host.console, (const uint8_t *)(i ? "two" : "one"), 3);
		stop();
	}
	fd = open(name, O_RDONLY);
	assert_int_equal(read(fd, buf, sizeof(buf)), 6);
	assert_string_equal(buf, "onetwo");
	close(fd);
	unlink(name);
	assert_int_equal(loop_create(&host.loop), 0);
	assert_int_equal(console_create(host.loop, "file:/nowhere/log", 0, path, on_quit, NULL,
					&host.console, &err),
			 -ENOENT);
	assert_non_null(strstr(err.msg, "/nowhere/log"));
	err.code = 0;
	assert_int_equal(
		console_create(host.loop, "tty9", 0, path, on_quit, NULL, &host.console, &err),
		-EINVAL);
	assert_non_null(strstr(err.msg, "tty9"));
	assert_int_equal(access(path, F_OK), -1);
	loop_destroy(host.loop);
}

static off_t size_of(const char *name)
{
	struct stat st;

	return stat(name, &st) ? -1 : st.st_size;
}

/* The file system is full for a while: the log continues when there is room again. */
static void test_file_without_room(void **state)
{
	static uint8_t text[10000];
	struct rlimit before, small;
	char name[80], spec[96];

	snprintf(name, sizeof(name), "%s/log", folder);
	snprintf(spec, sizeof(spec), "file:%s", name);
	memset(text, 'x', sizeof(text));
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){ 4096, before.rlim_max };
	start(spec);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	console_write(host.console, text, sizeof(text));
	for (int i = 0; i < 100 && size_of(name) != 4096; i++)
		usleep(50000);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(size_of(name), 4096);
	for (int i = 0; i < 100 && size_of(name) != sizeof(text); i++)
		usleep(50000); /* without more output of the guest */
	assert_int_equal(size_of(name), sizeof(text));
	stop();
	unlink(name);
}

static void test_file_has_a_limit(void **state)
{
	char name[80], spec[96], line[32], last[32] = "";
	const off_t limit = 300000;
	off_t largest = 0;
	struct stat st;
	int fd;

	snprintf(name, sizeof(name), "%s/log", folder);
	snprintf(spec, sizeof(spec), "file:%s", name);
	start_limited(spec, limit);
	for (int i = 0; i < 100000; i++) {
		snprintf(line, sizeof(line), "line %010d\n", i);
		console_write(host.console, (const uint8_t *)line, 16);
		if (i % 1000 == 0 && size_of(name) > largest)
			largest = size_of(name);
	}
	stop();
	assert_true(largest > 100000 && largest <= limit + 256 * 1024);
	fd = open(name, O_RDONLY);
	assert_true(size_of(name) > 16);
	assert_int_equal(pread(fd, last, 16, size_of(name) - 16), 16);
	assert_string_equal(last, line);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600); /* only the owner may read guest output */
	close(fd);
	unlink(name);
}

/*
 * A symvmm in a child: stdin and stdout as given, its guest repeats its input on
 * the console, in capitals; the console is served until the escape key or a line
 * "end".
 */
static size_t shout(void *arg, const uint8_t *buf, size_t len)
{
	uint8_t c = buf[0] >= 'a' && buf[0] <= 'z' ? buf[0] - 32 : buf[0];
	static char seen[4];

	memmove(seen, seen + 1, 2);
	seen[2] = buf[0];
	console_write(host.console, &c, 1);
	if (!strcmp(seen, "end"))
		loop_quit(host.loop);
	if (!strcmp(seen, "die")) {
		struct rlimit none = { 0 };

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGUSR1, SIG_DFL);
		abort();
	}
	return 1;
}

/* As the VMM's loop takes SIGCONT. */
static void on_signal(void *arg, uint32_t events)
{
	struct signalfd_siginfo si;

	if (read(*(int *)arg, &si, sizeof(si)) == sizeof(si))
		terminal_continue();
}

static pid_t child(int in, int out)
{
	pid_t pid = fork();
	struct err err = { 0 };
	int null, signals;
	sigset_t set;

	if (pid)
		return pid;
	null = open("/dev/null", O_WRONLY);
	dup2(null, STDERR_FILENO);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	signal(SIGPIPE, SIG_IGN);
	alarm(20);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0 || loop_create(&host.loop) ||
	    loop_add(host.loop, signals, EPOLLIN, on_signal, &signals, NULL) ||
	    console_create(host.loop, "stdio", 0, path, on_quit, NULL, &host.console, &err))
		_exit(3);
	console_set_input(host.console, shout, NULL);
	loop_run(host.loop);
	console_destroy(host.console);
	loop_destroy(host.loop);
	_exit(0);
}

static int ended(pid_t pid)
{
	int status = -1;

	waitpid(pid, &status, 0);
	return status;
}

static bool is_raw(int fd)
{
	struct termios t;

	assert_int_equal(tcgetattr(fd, &t), 0);
	return !(t.c_lflag & (ECHO | ICANON | ISIG));
}

static void wait_raw(int fd)
{
	for (int i = 0; i < 500 && !is_raw(fd); i++)
		usleep(10000);
	assert_true(is_raw(fd));
}

static void test_terminal(void **state)
{
	char buf[256] = "";
	int tty, far;
	pid_t pid;

	assert_int_equal(openpty(&far, &tty, NULL, NULL, NULL), 0);
	assert_false(is_raw(tty));
	pid = child(tty, tty);
	wait_raw(tty);
	assert_int_equal(write(far, "ab\x03", 3), 3); /* Ctrl-C goes to the guest */
	assert_int_equal(read_until(far, buf, 3), 3);
	assert_string_equal(buf, "AB\x03");
	assert_int_equal(write(far, "\x01\x01.\x01q.", 6), 6);
	assert_int_equal(read_until(far, buf, 3), 3);
	assert_string_equal(buf, "\x01..");
	assert_int_equal(write(far, "\x01h", 2), 2);
	assert_int_equal(read_until(far, buf, 10), 10);
	assert_memory_equal(buf, "\r\r\nCtrl-A ", 10);
	assert_int_equal(write(far, "\x01x", 2), 2);
	assert_int_equal(ended(pid), 0);
	assert_false(is_raw(tty));
	assert_false(fcntl(tty, F_GETFL) & O_NONBLOCK);
	close(tty);
	close(far);
}

/* A shell that continues a stopped job has given the terminal its own settings meanwhile. */
static void test_terminal_after_a_stop(void **state)
{
	struct termios cooked;
	int tty, shell;
	pid_t pid;

	assert_int_equal(openpty(&shell, &tty, NULL, NULL, NULL), 0);
	assert_int_equal(tcgetattr(tty, &cooked), 0);
	pid = child(tty, tty);
	wait_raw(tty);
	assert_int_equal(tcsetattr(tty, TCSANOW, &cooked), 0);
	kill(pid, SIGUSR2); /* stands for the loop's SIGCONT */
	wait_raw(tty);
	assert_int_equal(write(shell, "\001x", 2), 2);
	assert_int_equal(ended(pid), 0);
	assert_false(is_raw(tty));
	close(shell);
	close(tty);
}

static void test_terminal_after_a_crash(void **state)
{
	int tty, far, status;
	pid_t pid;

	assert_int_equal(openpty(&far, &tty, NULL, NULL, NULL), 0);
	pid = child(tty, tty);
	wait_raw(tty);
	assert_int_equal(write(far, "die", 3), 3);
	status = ended(pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_false(is_raw(tty));
	close(tty);
	close(far);
	unlink(path);
}

/* Pipes; the end of the input is not the end of the console. */
static void test_pipes(void **state)
{
	int in[2], out[2], fd;
	char buf[64] = "";
	pid_t pid;

	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	pid = child(in[0], out[1]);
	close(out[1]);
	close(in[0]);
	assert_int_equal(write(in[1], "a\x01x", 3), 3); /* no escape key here */
	assert_int_equal(read_until(out[0], buf, 3), 3);
	assert_string_equal(buf, "A\x01X");
	close(in[1]);
	usleep(50000);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	close(out[0]); /* nor is the end of the output */
	fd = client();
	assert_int_equal(write(fd, "more", 4), 4);
	assert_int_equal(read_until(fd, buf, 7), 7);
	assert_memory_equal(buf, "A\x01XMORE", 7);
	assert_int_equal(write(fd, "end", 3), 3);
	assert_int_equal(ended(pid), 0);
	close(fd);
}

/* Files that epoll refuses. */
static void test_plain_files(void **state)
{
	char name[80], buf[9000];
	int in, out, null;
	struct stat st;

	snprintf(name, sizeof(name), "%s/in", folder);
	in = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	memset(buf, 'x', sizeof(buf));
	memcpy(buf + sizeof(buf) - 3, "end", 3);
	assert_int_equal(write(in, buf, sizeof(buf)), sizeof(buf));
	lseek(in, 0, SEEK_SET);
	unlink(name);
	snprintf(name, sizeof(name), "%s/out", folder);
	out = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	unlink(name);
	assert_int_equal(write(out, "+", 1), 1); /* it continues at the old position */
	assert_int_equal(ended(child(in, out)), 0);
	assert_int_equal(fstat(out, &st), 0);
	assert_int_equal(st.st_size, 9001);

	null = open("/dev/null", O_RDWR);
	pid_t pid = child(null, null);
	int fd = -1;

	for (int i = 0; i < 500 && access(path, F_OK); i++)
		usleep(10000);
	fd = client();
	assert_int_equal(write(fd, "end", 3), 3);
	assert_int_equal(ended(pid), 0);
	close(fd);
	close(null);
	close(in);
	close(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_history),
		cmocka_unit_test(test_tail),
		cmocka_unit_test(test_slow_client_is_dropped),
		cmocka_unit_test(test_fast_client),
		cmocka_unit_test(test_input_waits),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_file_without_room),
		cmocka_unit_test(test_file_has_a_limit),
		cmocka_unit_test(test_terminal),
		cmocka_unit_test(test_terminal_after_a_crash),
		cmocka_unit_test(test_terminal_after_a_stop),
		cmocka_unit_test(test_pipes),
		cmocka_unit_test(test_plain_files),
	};
	int ret;

	if (!mkdtemp(folder))
		return 1;
	snprintf(path, sizeof(path), "%s/test.console", folder);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return ret;
}
