// SPDX-License-Identifier: BSD-2-Clause
/*
 * Memory that the guest has no use for any more comes back by itself: pages lent to it whose
 * slots it does not use, and will not use soon.  It reports how many there are, and names them
 * when asked.
 */
#include "swapbypass/window.h"

#define SHARE_MOST 16 /* of the window may stay lent and idle; */
#define SHARE_LEFT 32 /* this is left when some is taken, for the guest's next pages */
#define WAIT_S	   3 /* doubled for each time that the guest says it has some, and gives none */
#define MISSES_MAX 5
#define SOON_S	   10 /* what is written in this time, at the present rate, is left too */

struct window_idle window_idle(struct sym_window *w)
{
	uint64_t lent = sym_window_lent(w) / PAGE;
	struct sym_item_window_state state;

	if (sym_window_state(w, &state))
		return (struct window_idle){ 0 };
	return (struct window_idle){
		.bytes = (state.idle < lent ? state.idle : lent) * PAGE,
		.writes = state.writes,
	};
}

/* Bytes that the guest will write soon, if it goes on as since the last look.  Lock held. */
static uint64_t soon(const struct sym_window *w, const struct window_idle *idle)
{
	uint64_t pages = idle->writes - w->idle_writes;

	return idle->writes < w->idle_writes || pages > w->backing.size / PAGE ?
		       0 : /* of another module, or a lie */
		       pages * PAGE * SOON_S;
}

bool window_idle_due(struct sym_window *w, const struct window_idle *idle)
{
	unsigned int wait = WAIT_S << w->idle_misses;
	uint64_t most = w->backing.size / SHARE_MOST + soon(w, idle);

	w->idle_writes = idle->writes;
	if (idle->bytes <= most) {
		w->idle_s = w->idle_misses = 0;
		return false;
	}
	return ++w->idle_s >= wait;
}

void window_idle_return(struct sym_window *w)
{
	struct window_idle idle = window_idle(w);
	uint64_t left = w->backing.size / SHARE_LEFT, got;

	pthread_mutex_lock(&w->lock);
	left += soon(w, &idle);
	w->idle_s = 0;
	pthread_mutex_unlock(&w->lock);
	if (idle.bytes <= left)
		return;
	got = window_take_idle(w, idle.bytes - left);
	pthread_mutex_lock(&w->lock);
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
