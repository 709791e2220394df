// SPDX-License-Identifier: BSD-2-Clause
/*
 * The limit.  The guest enforces it; the VMM measures.  The guest's own report matters in one
 * case only: if it admits to using more than a limit that was lowered, it may keep that, up to
 * what it had then.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "swapbypass/window.h"
#include "symbiotic/sym.h"

#define ACK_TIMEOUT_S	    120 /* then a lower limit applies even if it was never acknowledged */
#define MAX_PARTIAL_RETURNS 3
#define PIECES		    4096 /* in which an excess is punched out */
#define PIECE_MIN	    (64 * PAGE)

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* What the guest reports, read before the lock is taken. */
struct view {
	uint64_t used; /* bytes */
	bool present; /* it has a symswap module: */
	uint32_t generation;
	uint32_t handler;
};

uint64_t window_used(struct sym_window *w)
{
	struct sym_item_window_state state;

	if (sym_window_state(w, &state))
		return 0;
	return min(state.used, w->backing.size / PAGE) * PAGE;
}

static struct view look(struct sym_window *w)
{
	struct view view = { .used = window_used(w) };

	view.present = guest_handler(w, &view.generation, &view.handler);
	return view;
}

/*
 * A file system counts its own metadata blocks too: at worst one for every few hundred pages
 * that were ever allocated.
 */
static uint64_t slack(const struct sym_window *w)
{
	return SYM_WINDOW_SLACK + (w->backing.file ? w->backing.size / 128 : 0);
}

/* excess - bytes beyond what the guest may have; 0: it is within its limit.  Lock held. */
static uint64_t excess(struct sym_window *w, const struct view *view, uint64_t lent)
{
	uint64_t may;

	/* A new symswap module knows nothing of the pages that were lent to the last one. */
	if (view->present &&
	    (view->generation != w->seen_generation || view->handler != w->seen_handler)) {
		w->seen_generation = view->generation;
		w->seen_handler = view->handler;
		w->stale = min(lent, w->limit + slack(w));
	}
	w->stale = min(w->stale, lent);
	w->grandfathered = min(w->grandfathered, max(lent, view->used));
	may = min(view->used, w->grandfathered);
	if (view->present)
		may = max(may, w->old_limit);
	may = max(may, w->limit) + w->stale + slack(w);
	return lent > may ? lent - may : 0;
}

/* Slots in use but not written yet are not lent yet: hence the guest's report, too. */
void window_acked(struct sym_window *w, uint64_t used)
{
	if (w->old_limit)
		w->grandfathered = max(w->grandfathered,
				       min(max(sym_window_lent(w), used), w->old_limit));
	w->old_limit = 0;
}

bool sym_window_watch(struct sym_window *w)
{
	uint64_t lent = sym_window_lent(w), now = sym_now_ms();
	struct window_idle idle = window_idle(w);
	struct view view = look(w);
	bool late = false;

	pthread_mutex_lock(&w->lock);
	if (w->old_limit && ++w->old_limit_s > ACK_TIMEOUT_S)
		window_acked(w, view.used);
	if (!excess(w, &view, lent))
		w->over_since_ms = w->partial_returns = w->least_over = 0;
	else if (!w->over_since_ms)
		w->over_since_ms = now;
	else
		late = now - w->over_since_ms > SYM_WINDOW_GRACE_MS;
	late |= window_idle_due(w, &idle);
	pthread_mutex_unlock(&w->lock);
	return late;
}

/* False: it is a hole already. */
static bool has_data(const struct sym_window *w, uint64_t at, uint64_t len)
{
	off_t data = lseek(w->backing.fd, at, SEEK_DATA);

	return data < 0 || (uint64_t)data < at + len;
}

/*
 * Punch from the end, in pieces, until the guest is within its limit.  On a disk that may take
 * a while: others can take the lock in between, and may reset the window.  Returns the bytes
 * that the host got back.
 */
static uint64_t punch_excess(struct sym_window *w, const struct view *view, unsigned int resets)
{
	uint64_t piece = max(w->backing.size / PIECES / PAGE * PAGE, PIECE_MIN);
	uint64_t at = w->backing.size, before = sym_window_lent(w), lent = before, len;
	bool more = true;

	for (; more && at > PAGE; at -= len) {
		len = min(piece, at - PAGE);
		if (!has_data(w, at - len, len))
			continue;
		pthread_mutex_lock(&w->lock);
		more = w->resets == resets && excess(w, view, lent) &&
		       !backing_punch(&w->backing, at - len, len);
		lent = sym_window_lent(w);
		pthread_mutex_unlock(&w->lock);
	}
	return before > lent ? before - lent : 0;
}

/* now_over - measure the excess now; @lent gets the bytes lent. */
static uint64_t now_over(struct sym_window *w, const struct view *view, uint64_t *lent)
{
	uint64_t over;

	pthread_mutex_lock(&w->lock);
	*lent = sym_window_lent(w);
	over = excess(w, view, *lent);
	pthread_mutex_unlock(&w->lock);
	return over;
}

/* One request cannot empty a large window: is the excess shrinking?  Lock held. */
static bool making_progress(struct sym_window *w, uint64_t before, uint64_t over)
{
	if (!w->least_over || before < w->least_over)
		w->least_over = before;
	if (over > w->least_over - w->least_over / 16)
		return false;
	w->least_over = over;
	return true;
}

/* A guest that did not answer in time is not punished: it is checked again later. */
static bool answer_is_final(int ret)
{
	return !ret || ret == -ENODEV || ret == -ENOSYS || ret == -EPROTO;
}

void sym_window_enforce(struct sym_window *w)
{
	struct sym_window_reclaimed got;
	struct view view;
	uint64_t lent, punched = 0, limit, used, before, over;
	unsigned int resets;
	char text[200];
	int ret;

	sym_window_refresh(w); /* on failure use the last reported state */
	window_idle_return(w);
	view = look(w);
	used = view.used;
	before = now_over(w, &view, &lent);
	if (!before)
		return;
	/*
	 * An honest guest may have pages to give back.  Ask for some more than the excess:
	 * punching holes costs a file system blocks of its own.
	 */
	ret = sym_window_reclaim(w, before + slack(w), &got);
	/* It may also have freed pages since it was asked. */
	view = look(w);
	view.used = max(view.used, used);
	over = now_over(w, &view, &lent);
	pthread_mutex_lock(&w->lock);
	w->over_since_ms = 0;
	if (over && got.punched &&
	    (making_progress(w, before, over) || w->partial_returns++ < MAX_PARTIAL_RETURNS))
		over = 0; /* check again later */
	limit = w->limit;
	resets = w->resets;
	pthread_mutex_unlock(&w->lock);
	if (!over)
		return;
	if (answer_is_final(ret))
		punched = punch_excess(w, &view, resets);
	snprintf(text, sizeof(text),
		 "the guest has %llu KiB of the window, its limit is %llu KiB; %llu KiB were "
		 "taken from the end",
		 (unsigned long long)lent >> 10, (unsigned long long)limit >> 10,
		 (unsigned long long)punched >> 10);
	if (w->violation)
		w->violation(w->arg, text);
}
