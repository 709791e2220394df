// SPDX-License-Identifier: BSD-2-Clause
/* Plain access, and mappings that change under the pages: mremap, mprotect, MAP_FIXED. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "torture.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

const char *do_random(struct run *r)
{
	struct crew crew;

	crew_start(&crew, &r->set, r->threads, PEEK_VERSION, r->seed);
	while (more(r, 1))
		usleep(10000);
	crew_stop(&crew, r);
	r->rounds = crew.ops;
	return NULL;
}

static void check_zero(const void *at, size_t bytes, const char *what)
{
	const uint64_t *w = at;

	for (size_t i = 0; i < bytes / 8; i++)
		if (w[i])
			die("%s: not zero but %#llx at %p", what, (unsigned long long)w[i],
			    &w[i]);
}

/* Check the span's pages where they are for a while, and write some of them there. */
static void use_elsewhere(struct run *r, struct span *s, uint8_t *at)
{
	struct set moved = r->set;

	moved.base = at - s->first * PAGE;
	for (size_t i = 0; i < s->count; i++) {
		if (rnd_next(&r->rnd) & 1)
			set_check(&moved, s->first + i, true);
		if (!(rnd_next(&r->rnd) & 3))
			set_write(&moved, s->first + i);
	}
}

/* Held from when the place of a span is free until it is taken again. */
static pthread_mutex_t placing = PTHREAD_MUTEX_INITIALIZER;

static void reserve(struct span *s)
{
	if (mmap(s->at, s->bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
		 -1, 0) != s->at)
		die("somebody else maps where the span was: %m");
}

/* The new part is zeros, wherever there is room for it; and shrink it again. */
static uint8_t *grow_and_shrink(struct span *s, uint8_t *at)
{
	uint8_t *grown;

	pthread_mutex_lock(&placing);
	grown = mremap(at, s->bytes, s->bytes * 2, MREMAP_MAYMOVE);
	pthread_mutex_unlock(&placing);
	if (grown == MAP_FAILED)
		die("mremap: cannot grow: %m");
	check_zero(grown + s->bytes, s->bytes, "the part that mremap added");
	memset(grown + s->bytes, 0x55, s->bytes);
	swap_out(grown, s->bytes * 2);
	if (mremap(grown, s->bytes * 2, s->bytes, 0) != grown)
		die("mremap: cannot shrink: %m");
	return grown;
}

#define MOVE (MREMAP_MAYMOVE | MREMAP_FIXED)

/*
 * Somewhere else; what is left behind is empty, or not there but for a place holder.  NULL:
 * others' locks and advice have cut the span in pieces, of which only one can be moved.
 */
static uint8_t *move_away(struct span *s, bool stays)
{
	int flags = MOVE | (stays ? MREMAP_DONTUNMAP : 0);
	uint8_t *to;

	pthread_mutex_lock(&placing);
	to = mmap(NULL, s->bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (to == MAP_FAILED)
		die("mmap: %m");
	if (mremap(s->at, s->bytes, s->bytes, flags, to) != to) {
		if (errno != EFAULT)
			die("mremap there: %m");
		munmap(to, s->bytes);
		pthread_mutex_unlock(&placing);
		return NULL;
	}
	if (!stays)
		reserve(s);
	pthread_mutex_unlock(&placing);
	if (stays)
		check_zero(s->at, s->bytes, "what MREMAP_DONTUNMAP left");
	return to;
}

static void move_and_back(struct run *r, struct span *s)
{
	uint8_t *to = move_away(s, rnd_next(&r->rnd) & 1);

	if (!to)
		return;
	use_elsewhere(r, s, to);
	if (rnd_next(&r->rnd) & 1)
		to = grow_and_shrink(s, to);
	if (rnd_next(&r->rnd) & 1)
		swap_out(to, s->bytes);
	use_elsewhere(r, s, to);
	if (mremap(to, s->bytes, s->bytes, MOVE, s->at) != s->at)
		die("mremap back: %m");
}

const char *do_mremap(struct run *r)
{
	return over_spans(r, 96, move_and_back, PEEK_NONE);
}

static void protect(void *at, size_t bytes, int prot)
{
	if (mprotect(at, bytes, prot))
		die("mprotect: %m");
}

static void protect_and_back(struct run *r, struct span *s)
{
	uint8_t *some = s->at + rnd_below(&r->rnd, s->count) * PAGE;

	if (!broken(r, "mprotect"))
		protect(s->at, s->bytes, PROT_READ);
	if (!faults(some, true))
		die("a write to read-only memory at %p passed", some);
	span_check(r, s);
	if (!faults(some, true))
		die("a write to read-only memory at %p, just read, passed", some);
	if (rnd_next(&r->rnd) & 1) {
		protect(s->at, s->bytes, PROT_NONE);
		if (!faults(some, false) || !faults(some, true))
			die("an access to memory without access at %p passed", some);
		if (rnd_next(&r->rnd) & 1)
			swap_out(s->at, s->bytes);
	}
	protect(s->at, s->bytes, PROT_READ | PROT_WRITE);
	span_write(r, s);
}

const char *do_mprotect(struct run *r)
{
	return over_spans(r, 64, protect_and_back, PEEK_NONE);
}

static void map_over(struct run *r, struct span *s)
{
	if (mmap(s->at, s->bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != s->at)
		die("MAP_FIXED: %m");
	set_zeroed(&r->set, s->first, s->count);
	if (rnd_next(&r->rnd) & 1)
		span_check(r, s);
	for (size_t i = 0; i < s->count; i++)
		set_write(&r->set, s->first + i);
}

const char *do_mapfixed(struct run *r)
{
	return over_spans(r, 64, map_over, PEEK_NONE);
}

void change_span(struct run *r, struct span *s)
{
	static const span_fn all[] = { move_and_back, protect_and_back, map_over };

	all[rnd_below(&r->rnd, 3)](r, s);
}
