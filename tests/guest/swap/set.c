// SPDX-License-Identifier: BSD-2-Clause
/*
 * The contents of the pages.  A page's words follow from the set's seed, its number and
 * its version, not from its address, so that it can be moved.  Three writes of four only
 * change the first and the last line: a page that comes back a little too old is found by
 * that, a page mixed from two by the rest.
 */
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "torture.h"

const char *now_running = "start";

uint64_t rnd_next(struct rnd *r)
{
	uint64_t x = r->state += 0x9e3779b97f4a7c15ull;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

size_t rnd_below(struct rnd *r, size_t n)
{
	return (size_t)(((unsigned __int128)rnd_next(r) * n) >> 64);
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* One write, so that the lines of several processes do not mix. */
void die(const char *fmt, ...)
{
	char line[600];
	va_list args;
	int n = snprintf(line, sizeof(line), "swaptorture: FAILED: %s: ", now_running);

	va_start(args, fmt);
	n += vsnprintf(line + n, sizeof(line) - n - 1, fmt, args);
	va_end(args);
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDOUT_FILENO, line, n) < 0)
		_exit(3);
	_exit(1);
}

int set_create(struct set *set, size_t bytes, uint64_t seed)
{
	size_t pages = bytes / PAGE, side = (pages * 5 + PAGE - 1) / PAGE * PAGE;

	*set = (struct set){ .pages = pages, .seed = seed };
	set->base = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	set->version = mmap(NULL, side, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0);
	if (set->base == MAP_FAILED || set->version == MAP_FAILED)
		return -1;
	/* What is expected must not itself come from swap. */
	mlock(set->version, side);
	set->lock = (uint8_t *)(set->version + pages);
	set_zeroed(set, 0, pages);
	return 0;
}

void set_destroy(struct set *set)
{
	munmap(set->base, set->pages * PAGE);
	munmap(set->version, (set->pages * 5 + PAGE - 1) / PAGE * PAGE);
	set->pages = 0;
}

uint8_t *set_page(const struct set *set, size_t nr)
{
	return set->base + nr * PAGE;
}

/*
 * Every 16 words repeat but for one in 64, so that swap which compresses has something to
 * compress and two sectors of a page that changed places are still found.
 */
uint64_t page_word(uint64_t seed, size_t nr, uint32_t version, int i)
{
	struct rnd key = { seed ^ (nr * 0xd6e8feb86659fd93ull) ^
			   ((uint64_t)(version >> 2) << 40) };
	uint64_t k = rnd_next(&key);

	if (version & ZEROED)
		return 0;
	if (i == 0)
		return nr + 1;
	if (i == 1)
		return version;
	if (i == (int)TAIL)
		return k ^ version;
	return k + (i & 15) * 0x9e3779b1ull + ((i & 63) == 63 ? i : 0);
}

void page_make(uint64_t *w, uint64_t seed, size_t nr, uint32_t version)
{
	uint64_t k = page_word(seed, nr, version, 16);

	for (int i = 2; i < (int)TAIL; i++)
		w[i] = k + (i & 15) * 0x9e3779b1ull + ((i & 63) == 63 ? i : 0);
	w[TAIL] = k ^ version;
	w[1] = version;
	w[0] = nr + 1;
}

/* The first word that is not what it should be, or -1. */
int page_wrong(const volatile uint64_t *w, uint64_t seed, size_t nr, uint32_t version, bool whole)
{
	uint64_t zero = version & ZEROED ? 0 : ~0ull;
	uint64_t k = page_word(seed, nr, version, 16), want;

	if (w[0] != ((nr + 1) & zero))
		return 0;
	if (w[1] != (version & zero))
		return 1;
	for (int i = whole ? 3 : 63; i < (int)TAIL; i += whole ? 1 : 64) {
		want = k + (i & 15) * 0x9e3779b1ull + ((i & 63) == 63 ? i : 0);
		if (w[i] != (want & zero))
			return i;
	}
	return w[TAIL] == ((k ^ version) & zero) ? -1 : (int)TAIL;
}

void page_check(const struct set *set, size_t nr, const void *at, uint32_t version, bool whole)
{
	const volatile uint64_t *w = at;
	int i = page_wrong(w, set->seed, nr, version, whole);

	if (i < 0)
		return;
	die("page %zu at %p, word %d: expected %#llx, found %#llx (expected version %u%s; "
	    "found page %lld, version %llu)",
	    nr, at, i, (unsigned long long)page_word(set->seed, nr, version, i),
	    (unsigned long long)w[i], version & ~ZEROED, version & ZEROED ? ", zeroed" : "",
	    (long long)w[0] - 1, (unsigned long long)w[1]);
}

void set_check(const struct set *set, size_t nr, bool whole)
{
	page_check(set, nr, set_page(set, nr), set->version[nr], whole);
}

void set_check_all(const struct set *set)
{
	for (size_t nr = 0; nr < set->pages; nr++)
		set_check(set, nr, true);
}

void set_write(struct set *set, size_t nr)
{
	volatile uint64_t *w = (volatile uint64_t *)set_page(set, nr);
	bool fresh = set->version[nr] & ZEROED;
	uint32_t version = (set->version[nr] & ~ZEROED) + 1;

	if (fresh || !(version & 3)) {
		page_make((uint64_t *)w, set->seed, nr, version);
	} else {
		w[1] = version;
		w[TAIL] = page_word(set->seed, nr, version, TAIL);
	}
	set->version[nr] = version;
}

void set_fill(struct set *set)
{
	for (size_t nr = 0; nr < set->pages; nr++)
		set_write(set, nr);
}

/* They read as zeros now; versions go on, so that what comes back from before is found. */
void set_zeroed(struct set *set, size_t first, size_t count)
{
	for (size_t nr = first; nr < first + count; nr++)
		set->version[nr] |= ZEROED;
}

bool set_trylock(struct set *set, size_t nr)
{
	return !__atomic_exchange_n(&set->lock[nr], 1, __ATOMIC_ACQUIRE);
}

/* In the order of the pages: no two can wait for each other. */
void set_lock(struct set *set, size_t first, size_t count)
{
	for (size_t nr = first; nr < first + count; nr++)
		while (!set_trylock(set, nr))
			sched_yield();
}

void set_unlock(struct set *set, size_t first, size_t count)
{
	for (size_t nr = first; nr < first + count; nr++)
		__atomic_store_n(&set->lock[nr], 0, __ATOMIC_RELEASE);
}
