// SPDX-License-Identifier: BSD-2-Clause
/*
 * hotset MIB HOT_MIB: a program that uses a part of its memory again and again, and the rest
 * only once.  Prints the page faults that it took in each second.  At SIGUSR1 it checks all of
 * its memory, and ends.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#define PAGE 4096

static volatile sig_atomic_t ending;

static void on_signal(int number)
{
	ending = number;
}

static unsigned char value(unsigned long at)
{
	return at / PAGE % 251 + 1;
}

static unsigned long faults(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return use.ru_minflt + use.ru_majflt;
}

static unsigned long sum_of(const volatile unsigned char *at, unsigned long bytes)
{
	unsigned long sum = 0;

	for (unsigned long i = 0; i < bytes; i += PAGE)
		sum += at[i];
	return sum;
}

int main(int argc, char **argv)
{
	unsigned long bytes, hot, sum, want = 0, before;
	unsigned char *at;
	time_t second;

	if (argc != 3) {
		fprintf(stderr, "usage: hotset MIB HOT_MIB\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	bytes = strtoul(argv[1], NULL, 0) << 20;
	hot = strtoul(argv[2], NULL, 0) << 20;
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED) {
		perror("hotset: mmap");
		return 1;
	}
	for (unsigned long i = 0; i < bytes; i += PAGE) {
		at[i] = value(i);
		if (i < hot)
			want += at[i];
	}
	sum_of(at, bytes);
	signal(SIGUSR1, on_signal);
	puts("hotset: touched");
	while (!ending) {
		before = faults();
		for (second = time(NULL); time(NULL) == second;) {
			sum = sum_of(at, hot);
			if (sum != want) {
				printf("hotset: FAILED: the sum is %lu, not %lu\n", sum, want);
				return 1;
			}
		}
		printf("hotset: %lu faults\n", faults() - before);
	}
	for (unsigned long i = 0; i < bytes; i += PAGE)
		if (at[i] != value(i)) {
			printf("hotset: FAILED: %lu is not as it was written\n", i);
			return 1;
		}
	puts("hotset: all is as it was written");
	return 0;
}
