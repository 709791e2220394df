// SPDX-License-Identifier: BSD-2-Clause
/*
 * The limit.  The guest keeps it by itself; we measure.  What it says only matters where it
 * speaks against it: a guest that owns up to using more than a limit that was lowered may
 * do so, up to what it had then.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "swapbypass/window.h"
#include "symbiotic/sym.h"

#define HEAR_S	  120 /* who does not listen has a lower limit all the same */
#define PATIENCE  3
#define PIECES	  4096 /* in which an excess is punched out */
#define PIECE_MIN (64 * PAGE)

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* What the guest says, looked up before the lock is taken. */
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
 * Bookkeeping: a file system counts its own blocks, one for each few hundred pages at worst
 * of those that were there once.
 */
static uint64_t slack(const struct sym_window *w)
{
	return SYM_WINDOW_SLACK + (w->backing.file ? w->backing.size / 128 : 0);
}

/* excess - bytes beyond what the guest may have; 0: it keeps its limit.  Lock held. */
static uint64_t excess(struct sym_window *w, const struct view *view, uint64_t lent)
{
	uint64_t may;

	/* Another symswap module knows nothing of the pages that the last one was lent. */
	if (view->present &&
	    (view->generation != w->seen_generation || view->handler != w->seen_handler)) {
		w->seen_generation = view->generation;
		w->seen_handler = view->handler;
		w->stale = min(lent, w->limit + slack(w));
	}
	w->stale = min(w->stale, lent);
	w->excuse = min(w->excuse, max(lent, view->used));
	may = min(view->used, w->excuse);
	if (view->present)
		may = max(may, w->unheard);
	may = max(may, w->limit) + w->stale + slack(w);
	return lent > may ? lent - may : 0;
}

/* Slots may be in use that were not written yet, and so are not lent yet. */
void window_heard(struct sym_window *w, uint64_t used)
{
	if (w->unheard)
		w->excuse = max(w->excuse, min(max(sym_window_lent(w), used), w->unheard));
	w->unheard = 0;
}

bool sym_window_watch(struct sym_window *w)
{
	uint64_t lent = sym_window_lent(w), now = sym_now_ms();
	struct view view = look(w);
	bool late = false;

	pthread_mutex_lock(&w->lock);
	if (w->unheard && ++w->unheard_s > HEAR_S)
		window_heard(w, view.used);
	if (!excess(w, &view, lent))
		w->over_since_ms = w->patience = w->least_over = 0;
	else if (!w->over_since_ms)
		w->over_since_ms = now;
	else
		late = now - w->over_since_ms > SYM_WINDOW_GRACE_MS;
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
 * From the end, in pieces, until the guest has no more than it may.  On a disk that may take
 * a while: others get the lock in between, and may reset the window.  What the host got.
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

/* now_over - measured now; @lent gets what there is. */
static uint64_t now_over(struct sym_window *w, const struct view *view, uint64_t *lent)
{
	uint64_t over;

	pthread_mutex_lock(&w->lock);
	*lent = sym_window_lent(w);
	over = excess(w, view, *lent);
	pthread_mutex_unlock(&w->lock);
	return over;
}

/* Of a large window, one question's time does not bring all: is it ever less?  Lock held. */
static bool comes_along(struct sym_window *w, uint64_t before, uint64_t over)
{
	if (!w->least_over || before < w->least_over)
		w->least_over = before;
	if (over > w->least_over - w->least_over / 16)
		return false;
	w->least_over = over;
	return true;
}

/* Who was asked and not heard is not judged: it is looked at again in a while. */
static bool may_judge(int ret)
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

	sym_window_refresh(w); /* or what it said last must do */
	view = look(w);
	used = view.used;
	before = now_over(w, &view, &lent);
	if (!before)
		return;
	/*
	 * An honest guest may just have pages that it can give back, some more than must be:
	 * to punch holes costs a file system blocks of its own,
	 */
	ret = sym_window_reclaim(w, before + slack(w), &got);
	/* and have come to need less since it was asked for what it does not need. */
	view = look(w);
	view.used = max(view.used, used);
	over = now_over(w, &view, &lent);
	pthread_mutex_lock(&w->lock);
	w->over_since_ms = 0;
	if (over && got.punched && (comes_along(w, before, over) || w->patience++ < PATIENCE))
		over = 0; /* until it is looked at again */
	limit = w->limit;
	resets = w->resets;
	pthread_mutex_unlock(&w->lock);
	if (!over)
		return;
	if (may_judge(ret))
		punched = punch_excess(w, &view, resets);
	snprintf(text, sizeof(text),
		 "the guest has %llu KiB of the window, its limit is %llu KiB; %llu KiB were taken "
		 "from the end", (unsigned long long)lent >> 10, (unsigned long long)limit >> 10,
		 (unsigned long long)punched >> 10);
	if (w->violation)
		w->violation(w->arg, text);
}
