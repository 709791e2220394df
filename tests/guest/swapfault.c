// SPDX-License-Identifier: BSD-2-Clause
/*
 * Runs in a guest: what one fault costs on a page that is swapped out, in user mode and in the
 * kernel, which copies to it for read() or from it for write().  A set of pages is filled and
 * swapped out; all are accessed, then once more, now mapped: the difference is what the faults
 * cost.  A line for each way:
 *
 *	swapfault NAME PAGES NANOSECONDS FAULTS PAGES-IN
 *
 * where nanoseconds are the difference and faults those of the first access, as the guest's
 * kernel counts them.
 *
 *	swapfault PAGES
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "vmstat.h"

#define PAGE  4096u
#define GROUP 16 /* pages of one page's neighbours */

static int zero, ends[2];
static size_t pages;

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void wrong(const char *what)
{
	printf("swapfault: FAILED: %s\n", what);
	exit(1);
}

/* Neither the first nor the last word: both are looked at. */
static void user(unsigned char *page)
{
	((volatile unsigned char *)page)[100]++;
}

static void by_read(unsigned char *page)
{
	if (read(zero, page + 100, 1) != 1)
		wrong("read");
}

/* /dev/null would not look at it. */
static void by_write(unsigned char *page)
{
	char byte;

	if (write(ends[1], page + 100, 1) != 1 || read(ends[0], &byte, 1) != 1)
		wrong("write");
}

static uint64_t sweep(unsigned char *set, void (*access)(unsigned char *))
{
	uint64_t from = now();

	/* The same distance each time, so that no page is a neighbour of the one before. */
	for (size_t start = 0; start < GROUP; start++)
		for (size_t nr = start; nr < pages; nr += GROUP)
			access(set + nr * PAGE);
	return now() - from;
}

static unsigned char *swapped_set(void)
{
	unsigned char *set = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char in[GROUP];
	size_t left;

	if (set == MAP_FAILED)
		wrong("mmap");
	madvise(set, pages * PAGE, MADV_NOHUGEPAGE);
	for (size_t nr = 0; nr < pages; nr++)
		memset(set + nr * PAGE, 1 + (int)(nr % 250), PAGE);
	for (int i = 0; i < 20; i++) {
		madvise(set, pages * PAGE, MADV_PAGEOUT);
		usleep(100000);
		left = 0;
		for (size_t nr = 0; nr < pages; nr += GROUP) {
			if (mincore(set + nr * PAGE, GROUP * PAGE, in))
				wrong("mincore");
			for (int k = 0; k < GROUP; k++)
				left += in[k] & 1;
		}
		if (left == 0)
			return set;
	}
	printf("swapfault: %zu pages of %zu stay in memory\n", left, pages);
	return set;
}

static void measure(const char *name, void (*access)(unsigned char *))
{
	unsigned char *set = swapped_set();
	long faults = vmstat("pgfault"), in = vmstat("pswpin");
	uint64_t first, second;

	first = sweep(set, access);
	faults = vmstat("pgfault") - faults;
	in = vmstat("pswpin") - in;
	second = sweep(set, access);
	for (size_t nr = 0; nr < pages; nr++)
		if (set[nr * PAGE] != 1 + nr % 250 || set[nr * PAGE + 4095] != 1 + nr % 250)
			wrong("another page");
	printf("swapfault %s %zu %lld %ld %ld\n", name, pages, (long long)(first - second),
	       faults, in);
	munmap(set, pages * PAGE);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	pages = argc > 1 ? strtoul(argv[1], NULL, 0) / GROUP * GROUP : 0;
	zero = open("/dev/zero", O_RDONLY);
	if (!pages || zero < 0 || pipe(ends))
		return 2;
	/* A process is watched from a fault on: this one and those soon after do not count. */
	for (int i = 0; i < 3; i++) {
		unsigned char *set = swapped_set();

		sweep(set, user);
		munmap(set, pages * PAGE);
		usleep(300000);
	}
	measure("user", user);
	measure("read", by_read);
	measure("write", by_write);
	measure("again", user);
	printf("swapfault: done\n");
	return 0;
}
