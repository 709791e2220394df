// SPDX-License-Identifier: BSD-2-Clause
/*
 * owner ATTACK term|kill SYMVMM-OPTION...: run the guest build/tests/tiny/hostile, and be
 * its owner while it attacks: list, info, events, pause, resume, and then its end by SIGTERM
 * or over the control socket.  Each must be answered within a second of the CPU time that
 * the VMM is given (so that a busy machine does not matter), and few events may come.
 *
 * Prints "ATTACK latency_ms N events_per_s N"; status 0 when all held.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <symkit/sym.h>

#define LATENCY_MAX_MS	  1000
#define EVENTS_MAX_PER_S  100
#define EVENTS_SECONDS	  2
#define ANSWER_TIMEOUT_MS 30000 /* of wall time, on a busy machine */

static const char *attack;
static char name[32];
static pid_t pid;
static double worst_ms;

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s: %s\n", attack, what, why);
	if (pid > 0)
		kill(pid, SIGKILL);
	exit(1);
}

/* CPU time of all threads of the VMM so far. */
static double cpu_ms(void)
{
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &ts))
		fail("CPU time of the VMM", strerror(errno));
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

static void took(const char *what, double ms)
{
	char why[64];

	if (ms > worst_ms)
		worst_ms = ms;
	snprintf(why, sizeof(why), "answered after %.0f ms of CPU time", ms);
	if (ms > LATENCY_MAX_MS)
		fail(what, why);
}

static void start(char **options)
{
	char cmdline[64], *argv[64] = { "build/symvmm",
					"run",
					"--name",
					name,
					"--kernel",
					"build/tests/tiny/hostile",
					"--memory",
					"512M",
					"--cmdline",
					cmdline,
					"--console",
					"socket",
					"--allow-interpreted" };
	int n = 13;

	snprintf(name, sizeof(name), "owner%d", (int)getpid());
	snprintf(cmdline, sizeof(cmdline), "attack=%s", attack);
	while (*options && n < 63)
		argv[n++] = *options++;
	pid = fork();
	if (!pid) {
		execv(argv[0], argv);
		_exit(127);
	}
}

static struct sym_conn *open_vm(void)
{
	struct sym_open_opts opts = { .size = sizeof(opts), .timeout_ms = ANSWER_TIMEOUT_MS };
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	struct sym_conn *conn;

	for (int i = 0; i < 1500; i++) {
		if (!sym_open(name, &opts, &conn))
			return conn;
		nanosleep(&pause, NULL);
	}
	fail("start", sym_conn_error(NULL));
	return NULL;
}

/* Until the guest says that it has begun. */
static void wait_for_go(void)
{
	int fd = sym_console_open(name, NULL);
	char text[4096] = "";
	size_t len = 0;

	while (!strstr(text, "GO")) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		ssize_t n = poll(&pfd, 1, ANSWER_TIMEOUT_MS) > 0 ?
				    read(fd, text + len, sizeof(text) - 1 - len) :
				    -1;

		if (n <= 0)
			fail("the guest", len ? text : "said nothing");
		len += n;
	}
	close(fd);
	usleep(700 * 1000);
}

static double events_per_s(struct sym_conn *conn)
{
	struct timespec begin, now;
	unsigned int count = 0;
	char *text;
	int ret;

	if (sym_events_subscribe(conn, NULL))
		fail("events", sym_conn_error(conn));
	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		ret = sym_events_next(conn, 100, &text);
		if (ret && ret != -ETIMEDOUT)
			fail("events", sym_conn_error(conn));
		if (!ret)
			free(text);
		count += !ret;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - begin.tv_sec < EVENTS_SECONDS);
	return count / (now.tv_sec - begin.tv_sec + (now.tv_nsec - begin.tv_nsec) / 1e9);
}

static void ask(struct sym_conn *conn, const char *method)
{
	double before = cpu_ms();
	int ret = sym_call_method(conn, method, NULL, NULL);

	if (ret)
		fail(method, sym_conn_error(conn));
	took(method, cpu_ms() - before);
}

static void list(void)
{
	double before = cpu_ms();
	char **names;

	if (sym_list(NULL, &names, NULL))
		fail("list", sym_conn_error(NULL));
	for (char **n = names;; n++) {
		if (!*n)
			fail("list", "the VM is not in it");
		if (!strcmp(*n, name))
			break;
	}
	sym_list_free(names);
	took("list", cpu_ms() - before);
}

static void end(struct sym_conn *conn, const char *how)
{
	double before = cpu_ms();
	struct rusage usage;
	int status;

	if (!strcmp(how, "term"))
		kill(pid, SIGTERM);
	else if (sym_vm_kill(conn, NULL))
		fail("forced stop", sym_conn_error(conn));
	alarm(30);
	if (wait4(pid, &status, 0, &usage) != pid)
		fail(how, strerror(errno));
	pid = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		fail(how, "the VM did not end with status 0");
	took(how, usage.ru_utime.tv_sec * 1e3 + usage.ru_utime.tv_usec / 1e3 +
			  usage.ru_stime.tv_sec * 1e3 + usage.ru_stime.tv_usec / 1e3 - before);
}

int main(int argc, char **argv)
{
	struct sym_conn *conn;
	double rate;

	if (argc < 3)
		return 2;
	attack = argv[1];
	start(argv + 3);
	conn = open_vm();
	wait_for_go();
	rate = events_per_s(conn);
	if (rate > EVENTS_MAX_PER_S)
		fail("events", "too many");
	ask(conn, "info");
	list();
	ask(conn, "pause");
	ask(conn, "info");
	ask(conn, "resume");
	ask(conn, "metrics");
	end(conn, argv[2]);
	sym_close(conn);
	printf("%s latency_ms %.1f events_per_s %.1f\n", attack, worst_ms, rate);
	return 0;
}
