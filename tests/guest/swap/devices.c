// SPDX-License-Identifier: BSD-2-Clause
/* The swap device goes away and comes back under running threads; and a second one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "torture.h"

/* What is on swap must fit into memory, or swapoff cannot succeed. */
static void shrink(struct run *r, int64_t bytes)
{
	size_t keep = bytes > 0 ? (size_t)bytes / PAGE : 0;

	if (keep >= r->set.pages)
		return;
	set_lock(&r->set, keep, r->set.pages - keep);
	if (madvise(set_page(&r->set, keep), (r->set.pages - keep) * PAGE, MADV_DONTNEED))
		die("madvise: %m");
	set_zeroed(&r->set, keep, r->set.pages - keep);
	set_unlock(&r->set, keep, r->set.pages - keep);
}

/* Off by a process of its own: it is the first that the OOM killer would take. */
static void off_and_on(struct run *r, const char *device)
{
	int error = peer_swapoff(device);

	if (error)
		die("swapoff %s: %s", device, strerror(error));
	if (swapon(device, 0))
		die("swapon %s: %m", device);
	r->rounds++;
}

const char *do_swapoff(struct run *r)
{
	struct set all = r->set;
	struct crew crew;
	int64_t room = meminfo("MemTotal") * 4 / 10;

	if (!r->swap)
		return "no --swap";
	if (meminfo("SwapFree") <= 0)
		return "no swap is on";
	/* The threads stay in what is left of the set. */
	shrink(r, room);
	if (room / PAGE < (int64_t)r->set.pages)
		r->set.pages = room / PAGE;
	crew_start(&crew, &r->set, r->threads, PEEK_VERSION, r->seed);
	while (more(r, r->rounds)) {
		swap_out(r->set.base, r->set.pages * PAGE / 2);
		usleep(rnd_below(&r->rnd, 200000));
		off_and_on(r, r->swap);
	}
	crew_stop(&crew, r);
	r->set.pages = all.pages;
	set_fill(&r->set);
	return NULL;
}

const char *do_second(struct run *r)
{
	struct crew crew;
	int error = 0;

	if (!r->swap2)
		return "no --swap2";
	crew_start(&crew, &r->set, r->threads, PEEK_VERSION, r->seed);
	while (more(r, r->rounds) && !error) {
		if (swapon(r->swap2, SWAP_FLAG_PREFER | 10))
			die("swapon %s: %m", r->swap2);
		for (int i = 0; i < 20 && more(r, 1); i++)
			usleep(50000);
		error = peer_swapoff(r->swap2);
		r->rounds++;
	}
	crew_stop(&crew, r);
	if (error && error != ENOMEM)
		die("swapoff %s: %s", r->swap2, strerror(error));
	return NULL;
}
