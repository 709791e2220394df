// SPDX-License-Identifier: BSD-2-Clause
/* madvise: what the kernel is told about swapped pages, and what they hold after it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "torture.h"

#ifndef MADV_COLD
#define MADV_COLD 20
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define HUGE_PAGE (2u << 20)

static void must(struct span *s, int advice)
{
	if (madvise(s->at, s->bytes, advice))
		die("madvise %d: %m", advice);
}

static void dontneed(struct run *r, struct span *s)
{
	if (!broken(r, "dontneed"))
		must(s, MADV_DONTNEED);
	set_zeroed(&r->set, s->first, s->count);
	if (rnd_next(&r->rnd) & 1)
		span_check(r, s);
	for (size_t i = 0; i < s->count; i++)
		set_write(&r->set, s->first + i);
}

const char *do_dontneed(struct run *r)
{
	return over_spans(r, 64, dontneed, PEEK_NONE);
}

/*
 * After MADV_FREE a page is old or zero, and may become zero until it is written: so a
 * word is written first, outside of what is checked.
 */
static void freed_page(struct run *r, size_t nr)
{
	volatile uint64_t *w = (volatile uint64_t *)set_page(&r->set, nr);

	w[SPARE] = nr;
	if (!w[0])
		set_zeroed(&r->set, nr, 1);
	set_check(&r->set, nr, true);
	set_write(&r->set, nr);
}

static void lazily_freed(struct run *r, struct span *s)
{
	must(s, MADV_FREE);
	if (rnd_next(&r->rnd) & 1)
		swap_out(s->at, s->bytes);
	for (size_t i = 0; i < s->count; i++)
		freed_page(r, s->first + i);
}

const char *do_free(struct run *r)
{
	return over_spans(r, 64, lazily_freed, PEEK_NONE);
}

static void cold(struct run *r, struct span *s)
{
	must(s, MADV_COLD);
}

static void pageout(struct run *r, struct span *s)
{
	must(s, MADV_PAGEOUT);
	span_check(r, s);
	must(s, MADV_PAGEOUT);
}

static void willneed(struct run *r, struct span *s)
{
	swap_out(s->at, s->bytes);
	must(s, MADV_WILLNEED);
}

const char *do_cold(struct run *r)
{
	return over_spans(r, 256, cold, PEEK_VERSION);
}

const char *do_pageout(struct run *r)
{
	return over_spans(r, 256, pageout, PEEK_VERSION);
}

const char *do_willneed(struct run *r)
{
	return over_spans(r, 256, willneed, PEEK_VERSION);
}

/* Advice about huge pages is for whole ones; what is collapsed must have been complete. */
static void hugepage(struct run *r, struct span *s)
{
	uintptr_t at = ((uintptr_t)s->at + HUGE_PAGE - 1) & -(uintptr_t)HUGE_PAGE;
	static const int advice[] = { MADV_HUGEPAGE, MADV_COLLAPSE, MADV_NOHUGEPAGE };

	for (int i = 0; i < 3; i++) {
		if (madvise((void *)at, HUGE_PAGE, advice[i]) && advice[i] != MADV_COLLAPSE)
			die("madvise %d: %m", advice[i]);
		for (int j = 0; j < 20; j++)
			set_check(&r->set, s->first + rnd_below(&r->rnd, s->count), true);
		if (rnd_next(&r->rnd) & 1)
			swap_out((void *)at, HUGE_PAGE);
	}
}

const char *do_hugepage(struct run *r)
{
	struct crew crew;
	struct span s = { .count = 2 * HUGE_PAGE / PAGE };

	if (r->set.pages < 4 * s.count)
		return "the set is too small";
	crew_start(&crew, &r->set, r->threads, PEEK_VERSION, r->seed);
	while (more(r, r->rounds)) {
		s.first = rnd_below(&r->rnd, r->set.pages - s.count);
		s.at = set_page(&r->set, s.first);
		set_lock(&r->set, s.first, s.count);
		hugepage(r, &s);
		span_drop(r, &s);
		r->rounds++;
	}
	crew_stop(&crew, r);
	/* Back to what a new mapping has: neither. */
	madvise(r->set.base, r->set.pages * PAGE, MADV_HUGEPAGE);
	return NULL;
}

static void mergeable(struct run *r, struct span *s)
{
	must(s, MADV_MERGEABLE);
	span_write(r, s);
	span_check(r, s);
	if (rnd_next(&r->rnd) & 1)
		must(s, MADV_UNMERGEABLE);
}

const char *do_mergeable(struct run *r)
{
	const char *why;
	struct span s = { .at = r->set.base, .bytes = r->set.pages * PAGE };

	if (!put_file("/sys/kernel/mm/ksm/run", "1"))
		return "no KSM in this kernel";
	put_file("/sys/kernel/mm/ksm/sleep_millisecs", "5");
	why = over_spans(r, 256, mergeable, PEEK_VERSION);
	must(&s, MADV_UNMERGEABLE);
	put_file("/sys/kernel/mm/ksm/run", "0");
	return why;
}

void advise_span(struct run *r, struct span *s)
{
	static const span_fn all[] = { dontneed, lazily_freed, cold, pageout, willneed };

	all[rnd_below(&r->rnd, 5)](r, s);
}
