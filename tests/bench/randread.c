// SPDX-License-Identifier: BSD-2-Clause
/*
 * randread DEVICE SECONDS [DEPTH]: in the guest, 4 KiB reads past the page cache at random
 * offsets, DEPTH of them at a time, each by a thread of its own; prints "BENCH randread N",
 * reads a second by the guest's clock.  With DEPTH it is "randreadDEPTH", and the offsets are
 * others at every run: the host may have kept what it has read before.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096
#define DEPTH 64

static const char *device;
static int fd;
static uint64_t blocks;
static double seconds;

struct reader {
	pthread_t thread;
	uint64_t x, reads;
	double took;
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void fail(void)
{
	fprintf(stderr, "randread: %s: %s\n", device, strerror(errno));
	exit(1);
}

static void *run(void *arg)
{
	struct reader *r = arg;
	double start = now();
	uint64_t x = r->x;
	void *buf;

	if (posix_memalign(&buf, BLOCK, BLOCK))
		fail();
	do {
		for (int i = 0; i < 16; i++, r->reads++) {
			/* xorshift: Marsaglia's three shifts */
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			if (pread(fd, buf, BLOCK, x % blocks * BLOCK) != BLOCK)
				fail();
		}
		r->took = now() - start;
	} while (r->took < seconds);
	return NULL;
}

int main(int argc, char **argv)
{
	static struct reader readers[DEPTH];
	uint64_t seed = 88172645463325252ull;
	unsigned int depth = 1;
	double rate = 0;
	off_t size;

	if (argc == 4) {
		depth = atoi(argv[3]);
		seed ^= (uint64_t)(now() * 1e9) << 20;
	}
	if (argc < 3 || argc > 4 || !depth || depth > DEPTH)
		return 2;
	device = argv[1];
	seconds = atof(argv[2]);
	fd = open(device, O_RDONLY | O_DIRECT);
	size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	if (size < BLOCK)
		fail();
	blocks = size / BLOCK;
	for (unsigned int i = 0; i < depth; i++) {
		readers[i].x = seed + i * 0x9e3779b97f4a7c15ull;
		if (i && pthread_create(&readers[i].thread, NULL, run, &readers[i]))
			fail();
	}
	run(&readers[0]);
	for (unsigned int i = 0; i < depth; i++) {
		if (i)
			pthread_join(readers[i].thread, NULL);
		rate += readers[i].reads / readers[i].took;
	}
	printf("BENCH randread%s %.1f\n", argc == 4 ? argv[3] : "", rate);
	return 0;
}
