// SPDX-License-Identifier: BSD-2-Clause
/*
 * Can the pages of a window's file that are not in memory be read?  If one that the guest uses
 * cannot, KVM tries again for ever, without saying so.  So one is read now and then, each time
 * another; a page that was not readable is tried until it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "swapbypass/window.h"

#define BATCH	256u /* pages */
#define BATCHES 16
#define STEPS	64 /* of one pass over the window; each begins a little later than the last */
#define SHIFT	(61 * PAGE)

/* Find a page with data that is not in memory, from b->read_at on; false: none so far. */
static bool find_page(struct backing *b)
{
	unsigned char in[BATCH];
	uint64_t n, i;
	off_t data, hole;

	for (int batch = 0; batch < BATCHES; batch++) {
		data = lseek(b->fd, b->read_at, SEEK_DATA);
		if (data < 0 || (uint64_t)data >= b->size) {
			b->read_first = (b->read_first + SHIFT) % (b->size / STEPS / PAGE * PAGE);
			b->read_at = b->read_first;
			return false;
		}
		hole = lseek(b->fd, data, SEEK_HOLE);
		b->read_at = data / PAGE * PAGE;
		n = ((hole < 0 || (uint64_t)hole > b->size ? b->size : (uint64_t)hole) -
		     b->read_at + PAGE - 1) /
		    PAGE;
		n = n < BATCH ? n : BATCH;
		if (mincore(b->map + b->read_at, n * PAGE, in))
			return false;
		for (i = 0; i < n && in[i] & 1; i++)
			;
		b->read_at += i * PAGE;
		if (i < n)
			return true;
	}
	return false;
}

int backing_read(struct backing *b)
{
	uint8_t page[PAGE];

	if (!b->unreadable && !find_page(b))
		return 0;
	b->unreadable = pread(b->fd, page, sizeof(page), b->read_at) < 0;
	if (b->unreadable)
		return -errno;
	posix_fadvise(b->fd, b->read_at, PAGE, POSIX_FADV_DONTNEED);
	b->read_at += b->size / STEPS / PAGE * PAGE;
	return 0;
}
