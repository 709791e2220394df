// SPDX-License-Identifier: BSD-2-Clause
/*
 * userfaultfd: pages that a thread of ours provides and that then go to swap; a range
 * that is on swap already; and write protection, which must not be forgotten there.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "torture.h"

/* What answers the faults of @set, and which of its pages have had one. */
struct answerer {
	pthread_t thread;
	struct set *set;
	int fd, quit[2];
	uint64_t missing;
	uint8_t *wrote;
};

static void provide(struct answerer *a, size_t nr)
{
	static uint64_t page[WORDS];
	struct uffdio_copy copy = { .dst = (uintptr_t)set_page(a->set, nr),
				    .src = (uintptr_t)page,
				    .len = PAGE };

	page_make(page, a->set->seed, nr, 1);
	/* Before the thread that waits for the page continues. */
	__atomic_fetch_add(&a->missing, 1, __ATOMIC_RELAXED);
	if (ioctl(a->fd, UFFDIO_COPY, &copy) && errno != EEXIST)
		die("UFFDIO_COPY: %m");
}

static void protect(int fd, void *at, size_t bytes, bool on)
{
	struct uffdio_writeprotect wp = { .range = { (uintptr_t)at, bytes },
					  .mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0 };
	int tries = 0;

	/* It may be told to try again while mappings change. */
	while (ioctl(fd, UFFDIO_WRITEPROTECT, &wp))
		if (errno != EAGAIN || tries++ > 1000)
			die("UFFDIO_WRITEPROTECT: %m");
}

static void *answer(void *arg)
{
	struct answerer *a = arg;
	struct pollfd polls[] = { { a->fd, POLLIN, 0 }, { a->quit[0], POLLIN, 0 } };
	struct uffd_msg msg;
	size_t nr;

	while (poll(polls, 2, -1) > 0 && !polls[1].revents) {
		if (read(a->fd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		if (msg.event != UFFD_EVENT_PAGEFAULT)
			die("userfaultfd: event %u", msg.event);
		nr = (msg.arg.pagefault.address - (uintptr_t)a->set->base) / PAGE;
		if (msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) {
			__atomic_store_n(&a->wrote[nr], 1, __ATOMIC_RELEASE);
			protect(a->fd, set_page(a->set, nr), PAGE, false);
		} else {
			provide(a, nr);
		}
	}
	return NULL;
}

static const char *open_uffd(struct answerer *a, uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };

	a->fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (a->fd < 0)
		return "no userfaultfd";
	if (ioctl(a->fd, UFFDIO_API, &api)) {
		close(a->fd);
		return features ? "no write protection by userfaultfd" : "no userfaultfd";
	}
	if (pipe(a->quit))
		die("pipe: %m");
	return NULL;
}

static void watch(struct answerer *a, void *at, size_t bytes, uint64_t mode)
{
	struct uffdio_register reg = { .range = { (uintptr_t)at, bytes }, .mode = mode };

	if (ioctl(a->fd, UFFDIO_REGISTER, &reg))
		die("UFFDIO_REGISTER: %m");
}

static void unwatch(struct answerer *a, void *at, size_t bytes)
{
	struct uffdio_range range = { (uintptr_t)at, bytes };

	if (ioctl(a->fd, UFFDIO_UNREGISTER, &range))
		die("UFFDIO_UNREGISTER: %m");
}

static void begin(struct answerer *a)
{
	if (pthread_create(&a->thread, NULL, answer, a))
		die("no thread");
}

static void end(struct answerer *a)
{
	if (write(a->quit[1], "", 1) != 1)
		die("pipe: %m");
	pthread_join(a->thread, NULL);
	close(a->quit[0]);
	close(a->quit[1]);
	close(a->fd);
}

#define REGION 1024 /* pages */

/* All of a region is provided once, goes to swap, and is never asked for again. */
static void region(struct run *r, struct answerer *a)
{
	struct set *set = a->set;

	a->missing = 0;
	for (size_t nr = 0; nr < set->pages; nr++) {
		set->version[nr] = 1;
		set_check(set, nr, true);
	}
	if (a->missing != set->pages)
		die("%llu pages were asked for, not %zu", (unsigned long long)a->missing,
		    set->pages);
	for (int i = 0; i < 4; i++) {
		swap_out(set->base, set->pages * PAGE);
		for (size_t nr = 0; nr < set->pages; nr++) {
			set_check(set, nr, true);
			if (rnd_next(&r->rnd) & 1)
				set_write(set, nr);
		}
	}
	if (a->missing != set->pages)
		die("a page that went to swap was asked for again");
	madvise(set->base, set->pages * PAGE, MADV_DONTNEED);
	set_zeroed(set, 0, set->pages);
}

/* Pages of the set, swapped or not: none of them is missing. */
static void none_missing(struct run *r, struct span *s, struct answerer *a)
{
	uint64_t before = a->missing;

	watch(a, s->at, s->bytes, UFFDIO_REGISTER_MODE_MISSING);
	span_check(r, s);
	span_write(r, s);
	swap_out(s->at, s->bytes);
	span_check(r, s);
	unwatch(a, s->at, s->bytes);
	if (a->missing != before)
		die("%llu pages of a range that was only swapped are missing",
		    (unsigned long long)(a->missing - before));
}

const char *do_uffd(struct run *r)
{
	struct set set;
	struct answerer a = { .set = &set };
	struct crew crew;
	struct span s;
	const char *why = open_uffd(&a, 0);

	if (why)
		return why;
	if (set_create(&set, (size_t)REGION * PAGE, r->seed + 3))
		die("mmap: %m");
	/* A huge page of zeros would be given without asking. */
	madvise(set.base, set.pages * PAGE, MADV_NOHUGEPAGE);
	watch(&a, set.base, set.pages * PAGE, UFFDIO_REGISTER_MODE_MISSING);
	begin(&a);
	crew_start(&crew, &r->set, r->threads, PEEK_VERSION, r->seed);
	while (more(r, r->rounds)) {
		region(r, &a);
		for (int i = 0; i < 16; i++) {
			span_take(r, &s, 128);
			span_stir(r, &s);
			none_missing(r, &s, &a);
			span_drop(r, &s);
		}
		r->rounds++;
	}
	crew_stop(&crew, r);
	end(&a);
	set_destroy(&set);
	return NULL;
}

/* Every first write to a protected page must be told, wherever the page has been. */
static void none_unseen(struct run *r, struct span *s, struct answerer *a)
{
	watch(a, s->at, s->bytes, UFFDIO_REGISTER_MODE_WP);
	memset(&a->wrote[s->first], 0, s->count);
	if (!broken(r, "uffd-wp"))
		protect(a->fd, s->at, s->bytes, true);
	if (rnd_next(&r->rnd) & 1)
		swap_out(s->at, s->bytes);
	if (rnd_next(&r->rnd) & 1)
		span_check(r, s);
	for (size_t i = 0; i < s->count; i++) {
		if (rnd_next(&r->rnd) & 1)
			continue;
		set_write(&r->set, s->first + i);
		if (!__atomic_load_n(&a->wrote[s->first + i], __ATOMIC_ACQUIRE))
			die("a write to page %zu, write-protected by userfaultfd, passed",
			    s->first + i);
	}
	span_check(r, s);
	unwatch(a, s->at, s->bytes);
}

const char *do_uffd_wp(struct run *r)
{
	struct answerer a = { .set = &r->set };
	struct crew crew;
	struct span s;
	const char *why = open_uffd(&a, UFFD_FEATURE_PAGEFAULT_FLAG_WP);

	if (why)
		return why;
	a.wrote = mmap(NULL, r->set.pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	begin(&a);
	crew_start(&crew, &r->set, r->threads, PEEK_VERSION, r->seed);
	while (more(r, r->rounds)) {
		span_take(r, &s, 128);
		span_stir(r, &s);
		none_unseen(r, &s, &a);
		span_drop(r, &s);
		r->rounds++;
	}
	crew_stop(&crew, r);
	end(&a);
	munmap(a.wrote, r->set.pages);
	return NULL;
}
