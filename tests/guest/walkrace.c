// SPDX-License-Identifier: BSD-2-Clause
/*
 * walkrace SECONDS: one thread maps, touches and unmaps an area, so that its page tables come
 * and go; another one reads it by process_vm_readv(), for which SwapBypass looks at the page
 * tables of what is to be read.  No privilege is needed.  Other memory is swapped out and
 * touched again meanwhile, so that there is something to look for.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MIB	  (1ul << 20)
#define AREA	  ((char *)0x500000000000ul)
#define AREA_SIZE (16 * MIB)
#define KEPT_SIZE (8 * MIB)
#define PAGE	  4096ul

static atomic_bool over;
static unsigned long reads, maps;

static void *read_area(__attribute__((unused)) void *arg)
{
	static char buf[MIB];

	while (!over)
		for (unsigned long at = 0; at < AREA_SIZE; at += MIB) {
			struct iovec to = { buf, MIB }, from = { AREA + at, MIB };

			if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) > 0)
				reads++;
		}
	return NULL;
}

static void *map_area(__attribute__((unused)) void *arg)
{
	while (!over) {
		char *p = mmap(AREA, AREA_SIZE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);

		if (p == MAP_FAILED)
			continue;
		madvise(p, AREA_SIZE, MADV_NOHUGEPAGE);
		for (unsigned long at = 0; at < AREA_SIZE; at += 2 * MIB)
			p[at] = 1;
		munmap(p, AREA_SIZE);
		maps++;
	}
	return NULL;
}

/* The page at @at holds the number of rounds that it was written in. */
static void swap_round(char *kept, unsigned int round)
{
	madvise(kept, KEPT_SIZE, MADV_PAGEOUT);
	for (unsigned long at = 0; at < KEPT_SIZE; at += PAGE)
		if (kept[at]++ != (char)round) {
			printf("FAILED: a page holds what was not written\n");
			exit(1);
		}
}

int main(int argc, char **argv)
{
	int seconds = argc > 1 ? atoi(argv[1]) : 20;
	time_t end = time(NULL) + seconds;
	pthread_t reader, mapper;
	unsigned int round = 0;
	char *kept;

	kept = mmap(NULL, KEPT_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (kept == MAP_FAILED)
		return 1;
	madvise(kept, KEPT_SIZE, MADV_NOHUGEPAGE);
	memset(kept, 0, KEPT_SIZE);
	while (round < 20) { /* until SwapBypass maps pages in this process, too */
		swap_round(kept, round++);
		usleep(100000);
	}
	if (pthread_create(&reader, NULL, read_area, NULL) ||
	    pthread_create(&mapper, NULL, map_area, NULL))
		return 1;
	while (time(NULL) < end) {
		usleep(200000);
		swap_round(kept, round++);
	}
	over = true;
	pthread_join(reader, NULL);
	pthread_join(mapper, NULL);
	printf("walkrace: %lu reads, %lu times unmapped, %u rounds\n", reads, maps, round);
	return !reads || !maps;
}
