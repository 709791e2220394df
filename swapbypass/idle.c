// SPDX-License-Identifier: BSD-2-Clause
/*
 * Memory that the guest has no use for any more comes back by itself: pages lent to it whose
 * slots it does not use.  It reports how many there are, and names them when asked.
 */
#include "swapbypass/window.h"

#define SHARE_MOST 16 /* of the window may stay lent and idle; */
#define SHARE_LEFT 32 /* this is left when some is taken, for the guest's next pages */
#define WAIT_S	   3 /* doubled for each time that the guest says it has some, and gives none */
#define MISSES_MAX 5

uint64_t window_idle(struct sym_window *w)
{
	uint64_t lent = sym_window_lent(w), pages;
	struct sym_item_window_state state;

	if (sym_window_state(w, &state))
		return 0;
	pages = state.idle < lent / PAGE ? state.idle : lent / PAGE;
	return pages * PAGE;
}

bool window_idle_due(struct sym_window *w, uint64_t idle)
{
	unsigned int wait = WAIT_S << w->idle_misses;

	if (idle <= w->backing.size / SHARE_MOST) {
		w->idle_s = w->idle_misses = 0;
		return false;
	}
	return ++w->idle_s >= wait;
}

void window_idle_return(struct sym_window *w)
{
	const uint64_t left = w->backing.size / SHARE_LEFT;
	uint64_t idle = window_idle(w), got;

	if (idle <= left)
		return;
	got = window_take_idle(w, idle - left);
	pthread_mutex_lock(&w->lock);
	w->idle_s = 0;
	w->idle_returned += got;
	if (got)
		w->idle_misses = 0;
	else if (w->idle_misses < MISSES_MAX)
		w->idle_misses++;
	pthread_mutex_unlock(&w->lock);
}

uint64_t sym_window_idle_returned(struct sym_window *w)
{
	uint64_t bytes;

	pthread_mutex_lock(&w->lock);
	bytes = w->idle_returned;
	pthread_mutex_unlock(&w->lock);
	return bytes;
}
