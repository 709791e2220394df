// SPDX-License-Identifier: BSD-2-Clause
/*
 * Moving pages that are in use out of memory: into the file, or into the host's swap.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#include "swapbypass/window.h"

/* Bytes of the range that are not in memory. */
static uint64_t out_of_memory(const struct backing *b, uint64_t at, uint64_t len)
{
	unsigned char in[1024];
	uint64_t out = 0;

	for (uint64_t end = at + len; at < end; at += sizeof(in) * PAGE) {
		size_t n = end - at < sizeof(in) * PAGE ? (end - at) / PAGE : sizeof(in);

		if (mincore(b->map + at, n * PAGE, in))
			return out;
		for (size_t i = 0; i < n; i++)
			out += !(in[i] & 1) * PAGE;
	}
	return out;
}

/* The byte range of a run; false: its pages are free. */
static bool in_use(const struct sym_window_run *run, uint64_t *at, uint64_t *len)
{
	*at = run->first * PAGE;
	*len = run->count * PAGE;
	return !(run->flags & SYM_WINDOW_RUN_FREE);
}

/* Start all writes first, then wait for them. */
static uint64_t evict_to_file(const struct backing *b, const struct sym_window_run *runs,
			      unsigned int nr)
{
	uint64_t before = 0, after = 0, at, len;

	for (unsigned int i = 0; i < nr; i++) {
		if (!in_use(&runs[i], &at, &len))
			continue;
		before += out_of_memory(b, at, len);
		/* Unmapping passes the dirty bits on to the page cache. */
		madvise(b->map + at, len, MADV_DONTNEED);
		sync_file_range(b->fd, at, len, SYNC_FILE_RANGE_WRITE);
	}
	for (unsigned int i = 0; i < nr; i++) {
		if (!in_use(&runs[i], &at, &len))
			continue;
		sync_file_range(b->fd, at, len,
				SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
					SYNC_FILE_RANGE_WAIT_AFTER);
		posix_fadvise(b->fd, at, len, POSIX_FADV_DONTNEED);
		after += out_of_memory(b, at, len);
	}
	/* The guest may name pages that were out of memory already: they do not count. */
	return after > before ? after - before : 0;
}

static uint64_t swap_free(void)
{
	struct sysinfo info;

	return sysinfo(&info) ? 0 : (uint64_t)info.freeswap * info.mem_unit;
}

/*
 * Two passes: in the first, the kernel finds the guest's accessed bits set in KVM's page
 * tables, clears them, and keeps the pages.  Pages being written are in the swap cache, which
 * mincore() counts as memory; so count by the host's free swap, at most the bytes named.
 */
static uint64_t evict_to_swap(const struct backing *b, const struct sym_window_run *runs,
			      unsigned int nr)
{
	uint64_t before = swap_free(), named = 0, left, at, len;

	if (!before)
		return 0;
	for (int pass = 0; pass < 2; pass++)
		for (unsigned int i = 0; i < nr; i++) {
			if (!in_use(&runs[i], &at, &len))
				continue;
			madvise(b->map + at, len, MADV_PAGEOUT);
			named += pass ? 0 : len;
		}
	left = swap_free();
	if (left >= before)
		return 0;
	return before - left < named ? before - left : named;
}

uint64_t backing_evict(const struct backing *b, const struct sym_window_run *runs,
		       unsigned int nr)
{
	return b->file ? evict_to_file(b, runs, nr) : evict_to_swap(b, runs, nr);
}
