// SPDX-License-Identifier: BSD-2-Clause
/*
 * Runs in a guest: two processes on one CPU hand a byte to and fro through pipes.
 *
 *	ctxswitch ROUNDS	prints "ctxswitch NS", nanoseconds for a round
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void rounds(int from, int to, int n)
{
	char c = 0;

	while (n-- > 0)
		if (read(from, &c, 1) != 1 || write(to, &c, 1) != 1)
			exit(1);
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 10000, there[2], back[2];
	uint64_t start;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	if (pipe(there) || pipe(back))
		return 1;
	if (!fork()) {
		rounds(there[0], back[1], n);
		return 0;
	}
	start = now();
	if (write(there[1], "", 1) != 1)
		return 1;
	rounds(back[0], there[1], n - 1);
	printf("ctxswitch %llu\n", (unsigned long long)((now() - start) / n));
	return 0;
}
