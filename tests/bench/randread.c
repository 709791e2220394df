// SPDX-License-Identifier: BSD-2-Clause
/*
 * randread DEVICE SECONDS: in the guest, 4 KiB reads past the page cache at random
 * offsets, one at a time; prints "BENCH randread N", reads a second by the guest's clock.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	uint64_t blocks, reads = 0,
			 x = 88172645463325252ull; /* the same offsets at every run */
	double start, end, seconds;
	off_t size;
	void *buf;
	int fd;

	if (argc != 3)
		return 2;
	seconds = atof(argv[2]);
	fd = open(argv[1], O_RDONLY | O_DIRECT);
	size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	if (size < BLOCK || posix_memalign(&buf, BLOCK, BLOCK)) {
		fprintf(stderr, "randread: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	blocks = size / BLOCK;
	start = now();
	do {
		for (int i = 0; i < 16; i++, reads++) {
			/* xorshift: Marsaglia's three shifts */
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			if (pread(fd, buf, BLOCK, x % blocks * BLOCK) != BLOCK) {
				fprintf(stderr, "randread: %s: %s\n", argv[1], strerror(errno));
				return 1;
			}
		}
		end = now();
	} while (end - start < seconds);
	printf("BENCH randread %.1f\n", reads / (end - start));
	return 0;
}
