// SPDX-License-Identifier: BSD-2-Clause
/*
 * Pages that devices and pipes hold while they may be on swap: O_DIRECT both ways, and
 * vmsplice.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "torture.h"

#define RUN 16 /* pages in one transfer */

struct mover {
	pthread_t thread;
	struct run *r;
	struct rnd rnd;
	int fd;
	uint64_t rounds;
};

static void all(ssize_t n, size_t bytes, const char *what)
{
	if (n != (ssize_t)bytes)
		die("%s: %zd of %zu bytes: %m", what, n, bytes);
}

/* Some of the pages go to swap, so that the transfer finds them there. */
static void stir(struct mover *m, uint8_t *at, size_t bytes)
{
	if (rnd_next(&m->rnd) & 1)
		swap_out(at, bytes);
}

/*
 * Out, then changed in memory, then in again: what was there at first is back.  The file
 * has a place for every page, so that threads do not meet.
 */
static void there_and_back(struct mover *m, size_t first, size_t count)
{
	struct set *set = &m->r->set;
	uint8_t *at = set_page(set, first);
	uint32_t version[RUN];
	off_t where = (off_t)first * PAGE;
	size_t bytes = count * PAGE;

	stir(m, at, bytes);
	memcpy(version, &set->version[first], count * sizeof(*version));
	all(pwrite(m->fd, at, bytes, where), bytes, "a direct write");
	for (size_t i = 0; i < count; i++)
		set_check(set, first + i, true);
	for (size_t i = 0; i < count; i++)
		set_write(set, first + i);
	stir(m, at, bytes);
	all(pread(m->fd, at, bytes, where), bytes, "a direct read");
	memcpy(&set->version[first], version, count * sizeof(*version));
	for (size_t i = 0; i < count; i++)
		set_check(set, first + i, true);
	/* Versions that were seen once are not to be seen again. */
	for (size_t i = 0; i < count; i++) {
		set->version[first + i] += 8;
		page_make((uint64_t *)set_page(set, first + i), set->seed, first + i,
			  set->version[first + i]);
	}
}

static void *move(void *arg)
{
	struct mover *m = arg;
	size_t first, count, pages = m->r->set.pages;

	while (more(m->r, m->rounds)) {
		count = 1 + rnd_below(&m->rnd, RUN);
		first = rnd_below(&m->rnd, (rnd_next(&m->rnd) & 1 ? pages : pages / 16) - count);
		set_lock(&m->r->set, first, count);
		there_and_back(m, first, count);
		set_unlock(&m->r->set, first, count);
		m->rounds++;
	}
	return NULL;
}

const char *do_direct(struct run *r)
{
	struct mover mover[4];
	struct crew crew;
	int fd;

	if (!r->disk)
		return "no --disk";
	fd = open(r->disk, O_RDWR | O_DIRECT | (strncmp(r->disk, "/dev/", 5) ? O_CREAT : 0),
		  0600);
	if (fd < 0)
		return errno == EINVAL ? "no O_DIRECT there" : "cannot open --disk";
	if (lseek(fd, 0, SEEK_END) < (off_t)(r->set.pages * PAGE) &&
	    ftruncate(fd, r->set.pages * PAGE)) {
		close(fd);
		return "--disk is smaller than the set";
	}
	crew_start(&crew, &r->set, r->threads, PEEK_NUMBER, r->seed);
	for (int i = 0; i < 4; i++) {
		mover[i] = (struct mover){ .r = r, .fd = fd, .rnd.state = r->seed * 77 + i };
		if (pthread_create(&mover[i].thread, NULL, move, &mover[i]))
			die("no thread");
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(mover[i].thread, NULL);
		r->rounds += mover[i].rounds;
	}
	crew_stop(&crew, r);
	close(fd);
	return NULL;
}

/* Through a pipe and back: what the pipe holds are the pages themselves. */
static void splice_page(struct run *r, size_t nr, const int *pipe, unsigned flags)
{
	static uint64_t page[WORDS];
	struct iovec from = { set_page(&r->set, nr), PAGE };

	all(vmsplice(pipe[1], &from, 1, (int)flags), PAGE, "vmsplice");
	if (rnd_next(&r->rnd) & 1)
		swap_out(from.iov_base, PAGE);
	all(read(pipe[0], page, PAGE), PAGE, "a pipe");
	page_check(&r->set, nr, page, r->set.version[nr], true);
}

static int pipes[2];

static void splice_span(struct run *r, struct span *s)
{
	for (size_t i = 0; i < s->count; i++)
		splice_page(r, s->first + i, pipes, rnd_next(&r->rnd) & 1 ? SPLICE_F_GIFT : 0);
	span_write(r, s);
}

const char *do_vmsplice(struct run *r)
{
	const char *why;

	if (pipe(pipes))
		die("pipe: %m");
	why = over_spans(r, 64, splice_span, PEEK_VERSION);
	close(pipes[0]);
	close(pipes[1]);
	return why;
}
