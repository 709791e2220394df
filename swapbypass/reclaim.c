// SPDX-License-Identifier: BSD-2-Clause
/*
 * Getting pages back.  The guest names runs of slots, and may name any.  Those that it calls
 * free are punched; those that it still needs are only moved out of memory.  Either way a
 * guest that lies harms only itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "swapbypass/window.h"
#include "symbiotic/sym.h"

/*
 * Pages per request.  The guest does not write to the slots that it calls free meanwhile, so
 * there are few in one.
 */
#define ROUND_PAGES	 4096u
#define ROUND_FREE_PAGES 16384u /* if the guest is to name free ones only */
#define CALL_DEADLINE_MS 10000
#define DEADLINE_MS	 60000

struct round {
	struct sym_window_run runs[SYM_WINDOW_RUNS];
	int nr;
	int done; /* runs dealt with */
	uint64_t seq; /* of the request */
	uint64_t asked_ms; /* when the guest was asked */
	unsigned int resets; /* of the window, when it was asked */
	uint32_t generation;
};

static int compare(const void *a, const void *b)
{
	const struct sym_window_run *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Sorted, runs that overlap are neighbours. */
static bool overlap(const struct sym_window_run *runs, unsigned int nr)
{
	struct sym_window_run sorted[SYM_WINDOW_RUNS] = { 0 };

	memcpy(sorted, runs, nr * sizeof(*runs));
	qsort(sorted, nr, sizeof(sorted[0]), compare);
	for (unsigned int i = 1; i < nr; i++)
		if ((uint64_t)sorted[i - 1].first + sorted[i - 1].count > sorted[i].first)
			return true;
	return false;
}

int runs_check(const struct sym_window_run *runs, size_t len, uint64_t slots, uint64_t said,
	       uint64_t asked)
{
	size_t nr = len / sizeof(*runs);
	uint64_t pages = 0;

	if (len % sizeof(*runs) || nr > SYM_WINDOW_RUNS)
		return -EPROTO;
	for (size_t i = 0; i < nr; i++) {
		const struct sym_window_run *run = &runs[i];

		/* Slot 0 holds the signature of the swap device. */
		if (!run->count || !run->first || run->flags & ~SYM_WINDOW_RUN_FREE ||
		    (uint64_t)run->first + run->count > slots)
			return -EPROTO;
		pages += run->count;
	}
	if (pages != said || pages > asked || overlap(runs, nr))
		return -EPROTO;
	return nr;
}

static int ask(struct sym_window *w, uint64_t pages, uint64_t flags, struct round *round)
{
	struct sym_call call = {
		.deadline_ms = CALL_DEADLINE_MS,
		.reply = (uint8_t *)round->runs,
		.reply_max = sizeof(round->runs),
	};
	unsigned int vcpu = 0;
	int ret;

	round->nr = 0;
	round->asked_ms = sym_now_ms();
	round->generation = sym_generation(w->sym);
	pthread_mutex_lock(&w->lock);
	round->resets = w->resets;
	round->seq = ++w->reclaim_seq;
	pthread_mutex_unlock(&w->lock);
	call.arg[0] = pages;
	call.arg[1] = round->seq;
	call.arg[2] = flags;
	ret = sym_call_by_name(w->sym, SYM_WINDOW_RECLAIM, &vcpu, &call);
	if (ret)
		return ret;
	ret = runs_check(round->runs, call.reply_len, w->backing.size / PAGE, call.value[0],
			 pages);
	if (ret < 0)
		return ret;
	round->nr = ret;
	return 0;
}

/*
 * The guest keeps these slots out of use until it gets "reclaimed", so they hold nothing,
 * unless another guest runs by now or the guest has timed out.
 */
static int punch(struct sym_window *w, struct round *round, uint64_t *punched)
{
	int ret = 0;

	for (; round->done < round->nr; round->done++) {
		const struct sym_window_run *run = &round->runs[round->done];
		uint64_t len = run->count * PAGE;

		if (!(run->flags & SYM_WINDOW_RUN_FREE))
			continue;
		pthread_mutex_lock(&w->lock);
		if (w->resets != round->resets || sym_generation(w->sym) != round->generation)
			ret = -ECANCELED;
		else if (sym_now_ms() - round->asked_ms > CALL_DEADLINE_MS)
			ret = -ETIMEDOUT;
		else
			ret = backing_punch(&w->backing, run->first * PAGE, len);
		pthread_mutex_unlock(&w->lock);
		if (ret)
			return ret;
		*punched += len;
	}
	return 0;
}

static int reclaimed(struct sym_window *w, const struct round *round)
{
	struct sym_call call = {
		.arg = { round->seq, round->done },
		.deadline_ms = CALL_DEADLINE_MS,
	};
	unsigned int vcpu = 0;

	return sym_call_by_name(w->sym, SYM_WINDOW_RECLAIMED, &vcpu, &call);
}

/* one_round - ask, punch, report, evict; adds the bytes to @out. */
static int one_round(struct sym_window *w, uint64_t pages, uint64_t flags,
		     struct sym_window_reclaimed *out)
{
	struct round round = { .nr = 0 };
	int ret = ask(w, pages, flags, &round), last;

	if (ret == -ENODEV || ret == -ENOSYS)
		return ret; /* the guest was not called */
	if (!ret)
		ret = punch(w, &round, &out->punched);
	/* Even after an error: the guest may be keeping the slots out of use. */
	last = reclaimed(w, &round);
	if (!ret && !(flags & SYM_WINDOW_RECLAIM_FREE))
		out->evicted += backing_evict(&w->backing, round.runs, round.nr);
	return ret ? ret : last;
}

static int reclaim(struct sym_window *w, uint64_t bytes, uint64_t flags,
		   struct sym_window_reclaimed *out)
{
	const uint64_t most = flags & SYM_WINDOW_RECLAIM_FREE ? ROUND_FREE_PAGES : ROUND_PAGES;
	uint64_t until = sym_now_ms() + DEADLINE_MS, got = 0, before;
	int ret;

	*out = (struct sym_window_reclaimed){ 0 };
	while (got < bytes) {
		uint64_t pages = (bytes - got + PAGE - 1) / PAGE;

		before = got;
		ret = one_round(w, pages < most ? pages : most, flags, out);
		got = out->punched + out->evicted;
		if (ret)
			return ret;
		if (got == before) /* no pages left, or none that can be moved */
			break;
		if (got < bytes && sym_now_ms() > until)
			return -ETIMEDOUT;
	}
	return 0;
}

int sym_window_reclaim(struct sym_window *w, uint64_t bytes, struct sym_window_reclaimed *out)
{
	return reclaim(w, bytes, 0, out);
}

uint64_t window_take_idle(struct sym_window *w, uint64_t bytes)
{
	struct sym_window_reclaimed got;

	reclaim(w, bytes, SYM_WINDOW_RECLAIM_FREE, &got);
	return got.punched;
}
