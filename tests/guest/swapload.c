// SPDX-License-Identifier: BSD-2-Clause
/*
 * Runs in a guest: what memory costs of which some is swapped.  A set of pages is filled,
 * then accessed at random, three of ten accesses writing, then the same pages once more; at
 * the end everything is looked at.  The same seed does the same.  A line for each phase:
 *
 *	swapload NAME OPERATIONS NANOSECONDS FAULTS PAGES-IN PAGES-OUT
 *
 * with the counts of the guest's kernel.  Where time is instructions, as in the rig with
 * --icount, nanoseconds are too.  Before and after each phase it is quiet for a while, for
 * whoever counts from outside.
 *
 *	swapload SIZE OPERATIONS [SEED]		SIZE in MiB
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "vmstat.h"

#define PAGE  4096u
#define WORDS (PAGE / 8)
#define QUIET 700000 /* us */

struct mark {
	uint64_t ns;
	long faults, in, out;
};

static uint64_t seed, dice;
static uint64_t *set;
static uint32_t *version;
static size_t pages;

static uint64_t mixed(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static uint64_t next(void)
{
	return mixed(dice += 0x9e3779b97f4a7c15ull);
}

static struct mark mark(void)
{
	struct mark m = { 0, vmstat("pgfault"), vmstat("pswpin"), vmstat("pswpout") };
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	m.ns = ts.tv_sec * 1000000000ull + ts.tv_nsec;
	return m;
}

static struct mark begin(const char *phase)
{
	printf("swapload begins %s\n", phase);
	usleep(QUIET);
	return mark();
}

static void end(const char *phase, uint64_t ops, struct mark from)
{
	struct mark to = mark();

	usleep(QUIET);
	printf("swapload %s %llu %llu %ld %ld %ld\n", phase, (unsigned long long)ops,
	       (unsigned long long)(to.ns - from.ns), to.faults - from.faults, to.in - from.in,
	       to.out - from.out);
}

/* One word of four is random: what compresses has something to do, and gets somewhere. */
static uint64_t word(uint64_t key, size_t i)
{
	return i & 3 ? key : mixed(key + i);
}

/* A page says its number and its version. */
static void make(size_t nr)
{
	uint64_t *w = set + nr * WORDS, key = mixed(seed + nr);

	for (size_t i = 2; i < WORDS; i++)
		w[i] = word(key, i);
	w[0] = nr;
	w[1] = version[nr];
}

static void check(size_t nr, int whole)
{
	const uint64_t *w = set + nr * WORDS;
	uint64_t key = mixed(seed + nr);
	int wrong = w[0] != nr || w[1] != version[nr];

	for (size_t i = 2; whole && i < WORDS; i++)
		wrong |= w[i] != word(key, i);
	if (!wrong)
		return;
	printf("swapload: FAILED: page %zu, version %u: found page %llu, version %llu\n", nr,
	       version[nr], (unsigned long long)w[0], (unsigned long long)w[1]);
	exit(1);
}

static void fill(void)
{
	struct mark from = begin("fill");

	for (size_t nr = 0; nr < pages; nr++)
		make(nr);
	end("fill", pages, from);
}

static void at_random(const char *phase, uint64_t ops)
{
	struct mark from = begin(phase);
	uint64_t n;
	size_t nr;

	dice = seed;
	for (uint64_t i = 0; i < ops; i++) {
		n = next();
		nr = (size_t)(((unsigned __int128)n * pages) >> 64);
		check(nr, 0);
		if (n % 10 < 3)
			set[nr * WORDS + 1] = ++version[nr];
	}
	end(phase, ops, from);
}

static void verify(void)
{
	struct mark from = begin("verify");

	for (size_t nr = 0; nr < pages; nr++)
		check(nr, 1);
	end("verify", pages, from);
}

static void *map(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED) {
		perror("swapload: mmap");
		exit(1);
	}
	/* Pages of 4 KiB, whatever the guest's default: else it depends on luck. */
	madvise(at, bytes, MADV_NOHUGEPAGE);
	return at;
}

int main(int argc, char **argv)
{
	uint64_t ops;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 3)
		return 2;
	pages = (size_t)(atof(argv[1]) * (1 << 20)) / PAGE;
	ops = strtoull(argv[2], NULL, 0);
	seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
	set = map(pages * PAGE);
	version = map(pages * sizeof(*version));
	mlock(version, pages * sizeof(*version));
	fill();
	at_random("first", ops);
	at_random("second", ops);
	verify();
	printf("swapload: done\n");
	return 0;
}
