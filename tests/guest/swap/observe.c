// SPDX-License-Identifier: BSD-2-Clause
/* What the kernel says about the pages while they come and go, and pages that stay. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "torture.h"

#define SOFT_DIRTY (1ull << 55)
#define PRESENT	   (1ull << 63)
#define SWAPPED	   (1ull << 62)

static int pagemap = -1;

static void read_pagemap(const void *at, uint64_t *entries, size_t count)
{
	ssize_t bytes = (ssize_t)(count * 8);

	if (pread(pagemap, entries, bytes, (off_t)((uintptr_t)at / PAGE * 8)) != bytes)
		die("pagemap: %m");
}

/* Not every kernel has it: then what was just written is not said to be. */
static bool has_soft_dirty(void)
{
	uint8_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	uint64_t entry = 0;

	put_file("/proc/self/clear_refs", "4");
	*(volatile uint8_t *)page = 1;
	read_pagemap(page, &entry, 1);
	munmap(page, PAGE);
	return entry & SOFT_DIRTY;
}

/*
 * After clear_refs 4 some pages are written, all of them may go to swap and come back:
 * each that was written must be soft-dirty.  Others may be, which costs and does no harm.
 */
static void clear_and_write(struct run *r, struct span *s)
{
	uint64_t entry[256];
	bool written[256];

	if (!put_file("/proc/self/clear_refs", rnd_next(&r->rnd) & 7 ? "4" : "1"))
		die("clear_refs: %m");
	put_file("/proc/self/clear_refs", "4");
	for (size_t i = 0; i < s->count; i++) {
		written[i] = rnd_next(&r->rnd) & 1;
		if (written[i] && !(broken(r, "softdirty") && i == s->count / 2))
			set_write(&r->set, s->first + i);
		else
			set_check(&r->set, s->first + i, false);
	}
	if (rnd_next(&r->rnd) & 1)
		swap_out(s->at, s->bytes);
	for (size_t i = 0; i < s->count; i++)
		if (rnd_next(&r->rnd) & 1)
			set_check(&r->set, s->first + i, false);
	read_pagemap(s->at, entry, s->count);
	for (size_t i = 0; i < s->count; i++)
		if (written[i] && !(entry[i] & SOFT_DIRTY))
			die("page %zu was written and is said to be clean: %#llx", s->first + i,
			    (unsigned long long)entry[i]);
}

const char *do_softdirty(struct run *r)
{
	const char *why;

	pagemap = open("/proc/self/pagemap", O_RDONLY);
	if (pagemap < 0)
		return "no pagemap";
	if (has_soft_dirty())
		why = over_spans(r, 128, clear_and_write, PEEK_VERSION);
	else
		why = "no soft-dirty bits in this kernel";
	close(pagemap);
	return why;
}

static uint64_t read_through(const char *file)
{
	char text[8192];
	uint64_t sum = 0;
	ssize_t n;
	int fd = open(file, O_RDONLY);

	if (fd < 0)
		return 0;
	while ((n = read(fd, text, sizeof(text))) > 0)
		sum += n;
	close(fd);
	return sum;
}

/* A page of ours that nobody discards is in memory or on swap, and never neither. */
static void none_is_lost(struct run *r, size_t first, size_t count)
{
	uint64_t entry[256];

	read_pagemap(set_page(&r->set, first), entry, count);
	for (size_t i = 0; i < count; i++)
		if (!(r->set.version[first + i] & ZEROED) && !(entry[i] & (PRESENT | SWAPPED)))
			die("page %zu is neither in memory nor on swap: %#llx", first + i,
			    (unsigned long long)entry[i]);
}

/* Bytes 1 to 3 of a page's number, from pages that the threads are at most of the time. */
const char *do_glance(struct run *r)
{
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	struct crew crew;

	if (fd < 0)
		die("/proc/self/mem: %m");
	crew_start(&crew, &r->set, r->threads, PEEK_VERSION, r->seed);
	while (more(r, r->rounds)) {
		size_t nr = rnd_below(&r->rnd, r->set.pages / HOT);
		bool zeroed = __atomic_load_n(&r->set.version[nr], __ATOMIC_ACQUIRE) & ZEROED;
		uint32_t found = 0;

		if (!(rnd_next(&r->rnd) & 7))
			swap_out(set_page(&r->set, nr), PAGE);
		if (pread(fd, &found, 3, (off_t)(uintptr_t)set_page(&r->set, nr) + 1) != 3)
			die("/proc/self/mem: %m");
		/* It may be written to meanwhile; what was is never zeros again here. */
		if (found != (nr + 1) >> 8 && !(zeroed && !found))
			die("page %zu: read %#x from its second byte on", nr, found);
		r->rounds++;
	}
	crew_stop(&crew, r);
	close(fd);
	return NULL;
}

const char *do_proc(struct run *r)
{
	static const char *const files[] = { "smaps", "smaps_rollup", "numa_maps", "maps",
					     "status" };
	struct crew crew;
	char file[64];

	pagemap = open("/proc/self/pagemap", O_RDONLY);
	if (pagemap < 0)
		return "no pagemap";
	crew_start(&crew, &r->set, r->threads, PEEK_VERSION, r->seed);
	while (more(r, r->rounds)) {
		for (int i = 0; i < 5; i++) {
			snprintf(file, sizeof(file), "/proc/self/%s", files[i]);
			if (!read_through(file) && strcmp(files[i], "numa_maps"))
				die("%s: nothing to read", file);
		}
		for (int i = 0; i < 20; i++)
			none_is_lost(r, rnd_below(&r->rnd, r->set.pages - 256), 256);
		r->rounds++;
	}
	crew_stop(&crew, r);
	close(pagemap);
	return NULL;
}

static size_t resident(uint8_t *at, size_t count)
{
	unsigned char in[256];
	size_t n = 0, some;

	for (; count; count -= some, at += some * PAGE) {
		some = count < sizeof(in) ? count : sizeof(in);
		if (mincore(at, some * PAGE, in))
			die("mincore: %m");
		for (size_t i = 0; i < some; i++)
			n += in[i] & 1;
	}
	return n;
}

const char *do_mincore(struct run *r)
{
	struct crew crew;
	uint64_t in = 0, all = 0;

	if (r->set.pages < 1024)
		return "the set is too small";
	crew_start(&crew, &r->set, r->threads, PEEK_VERSION, r->seed);
	while (more(r, r->rounds)) {
		in += resident(set_page(&r->set, rnd_below(&r->rnd, r->set.pages - 1024)), 1024);
		all += 1024;
		r->rounds++;
	}
	crew_stop(&crew, r);
	snprintf(r->note, sizeof(r->note), ", %d%% in memory", (int)(in * 100 / (all ? all : 1)));
	return NULL;
}

static void must_stay(struct run *r, struct span *s)
{
	size_t n;

	span_check(r, s);
	swap_out(s->at, s->bytes);
	n = resident(s->at, s->count);
	if (n != s->count)
		die("%zu of %zu locked pages are in memory", n, s->count);
	span_write(r, s);
}

void lock_span(struct run *r, struct span *s)
{
	bool on_fault = rnd_next(&r->rnd) & 1;

	if (!broken(r, "mlock") &&
	    (on_fault ? mlock2(s->at, s->bytes, MLOCK_ONFAULT) : mlock(s->at, s->bytes)))
		die("mlock: %m");
	if (!on_fault && resident(s->at, s->count) != s->count)
		die("mlock left pages on swap");
	must_stay(r, s);
	if (munlock(s->at, s->bytes))
		die("munlock: %m");
}

const char *do_mlock(struct run *r)
{
	return over_spans(r, 128, lock_span, PEEK_VERSION);
}

/* In a child with a little of the set, or all of it would have to fit into memory. */
static void lock_all(struct run *r, size_t keep)
{
	struct span s = { 0, keep, r->set.base, keep * PAGE };

	munmap(set_page(&r->set, keep), (r->set.pages - keep) * PAGE);
	r->set.pages = keep;
	swap_out(s.at, s.bytes);
	if (mlockall(rnd_next(&r->rnd) & 1 ? MCL_CURRENT | MCL_FUTURE :
					     MCL_CURRENT | MCL_ONFAULT))
		die("mlockall: %m");
	must_stay(r, &s);
	if (munlockall())
		die("munlockall: %m");
	swap_out(s.at, s.bytes);
	span_check(r, &s);
	_exit(0);
}

const char *do_mlockall(struct run *r)
{
	struct crew crew;
	size_t keep = r->set.pages / 32;
	pid_t pid;

	crew_start(&crew, &r->set, r->threads, PEEK_VERSION, r->seed);
	while (more(r, r->rounds)) {
		set_lock(&r->set, 0, keep);
		pid = fork_quiet();
		r->rnd.state++;
		if (!pid)
			lock_all(r, keep);
		set_unlock(&r->set, 0, keep);
		reap(pid, "a child that locks its memory");
		r->rounds++;
	}
	crew_stop(&crew, r);
	return NULL;
}
