// SPDX-License-Identifier: BSD-2-Clause
/*
 * launch [OPTION...] CMD...: start a VMM, watch its standard output, and print the
 * nanoseconds and the trace points hit until a line appears there.
 *
 *   -u TEXT   end at the first line that holds TEXT
 *   -f TEXT   count from the first line that holds TEXT, not from exec
 *   -c SYSTEM:EVENT[:FILTER]  count a trace point in all threads of CMD (repeated)
 *   -o FILE   where CMD's output goes
 *   -t SECONDS  give up (default 60)
 *
 * Output: a line "ns N", then one number a line for each -c.  CMD is killed at the end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_COUNTERS 16
#define TRACEFS	     "/sys/kernel/tracing/events"

struct sample {
	uint64_t ns;
	uint64_t count[MAX_COUNTERS];
};

static pid_t child;
static int counters[MAX_COUNTERS];
static unsigned int nr_counters;

static void die(const char *what)
{
	fprintf(stderr, "launch: %s: %s\n", what, strerror(errno));
	if (child > 0)
		kill(child, SIGKILL);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static uint64_t tracepoint_id(const char *system, const char *event)
{
	unsigned long long id;
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), TRACEFS "/%s/%s/id", system, event);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%llu", &id) != 1)
		die(path);
	fclose(f);
	return id;
}

/* Counting starts at the exec and takes in every thread made after it. */
static void open_counter(char *spec)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.sample_period = 0,
		.disabled = 1,
		.inherit = 1,
		.enable_on_exec = 1,
	};
	char *system = strtok(spec, ":"), *event = strtok(NULL, ":"), *filter = strtok(NULL, "");
	int fd;

	if (!system || !event || nr_counters == MAX_COUNTERS) {
		errno = EINVAL;
		die("-c");
	}
	attr.config = tracepoint_id(system, event);
	fd = syscall(SYS_perf_event_open, &attr, child, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		die("perf_event_open");
	if (filter && ioctl(fd, PERF_EVENT_IOC_SET_FILTER, filter))
		die(filter);
	counters[nr_counters++] = fd;
}

static struct sample take_sample(void)
{
	struct sample s = { .ns = now_ns() };

	for (unsigned int i = 0; i < nr_counters; i++)
		if (read(counters[i], &s.count[i], sizeof(s.count[i])) != sizeof(s.count[i]))
			die("reading a counter");
	return s;
}

/* watch - sample when a line of @fd holds @text; false at the end of output or time. */
static int watch(int fd, int out, const char *text, uint64_t deadline, struct sample *s)
{
	static char line[4096];
	static size_t len;
	static char buf[4096];
	static ssize_t have, pos;

	for (;;) {
		while (pos < have) {
			char c = buf[pos++];

			if (c != '\n' && len < sizeof(line) - 1) {
				line[len++] = c;
				continue;
			}
			line[len] = 0;
			len = 0;
			if (strstr(line, text)) {
				*s = take_sample();
				return 1;
			}
		}
		uint64_t now = now_ns();
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (now >= deadline || poll(&p, 1, (deadline - now) / 1000000 + 1) < 0)
			return 0;
		if (!p.revents)
			continue;
		have = read(fd, buf, sizeof(buf));
		pos = 0;
		if (have <= 0)
			return 0;
		if (out >= 0 && write(out, buf, have) != have)
			die("-o");
	}
}

int main(int argc, char **argv)
{
	const char *until = NULL, *from = NULL;
	char *specs[MAX_COUNTERS];
	int go[2], pipefd[2], out = -1, opt, found;
	unsigned int nr_specs = 0, seconds = 60;
	struct sample start, end;
	uint64_t deadline;

	while ((opt = getopt(argc, argv, "+u:f:c:o:t:")) > 0) {
		switch (opt) {
		case 'u':
			until = optarg;
			break;
		case 'f':
			from = optarg;
			break;
		case 'c':
			if (nr_specs < MAX_COUNTERS)
				specs[nr_specs++] = optarg;
			break;
		case 'o':
			out = open(optarg, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
			if (out < 0)
				die(optarg);
			break;
		case 't':
			seconds = atoi(optarg);
			break;
		default:
			return 2;
		}
	}
	if (!until || optind == argc)
		return 2;
	if (pipe2(go, O_CLOEXEC) || pipe2(pipefd, O_CLOEXEC))
		die("pipe");
	child = fork();
	if (child < 0)
		die("fork");
	if (!child) {
		char c;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(pipefd[1], STDOUT_FILENO);
		if (read(go[0], &c, 1) != 1)
			_exit(127);
		execvp(argv[optind], argv + optind);
		die(argv[optind]);
	}
	close(pipefd[1]);
	for (unsigned int i = 0; i < nr_specs; i++)
		open_counter(specs[i]);
	start = take_sample();
	deadline = start.ns + seconds * 1000000000ull;
	if (write(go[1], "", 1) != 1)
		die("pipe");
	found = (!from || watch(pipefd[0], out, from, deadline, &start)) &&
		watch(pipefd[0], out, until, deadline, &end);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	if (!found) {
		fprintf(stderr, "launch: %s: no line '%s' within %u s\n", argv[optind], until,
			seconds);
		return 1;
	}
	printf("ns %llu\n", (unsigned long long)(end.ns - start.ns));
	for (unsigned int i = 0; i < nr_counters; i++)
		printf("%llu\n", (unsigned long long)(end.count[i] - start.count[i]));
	return 0;
}
