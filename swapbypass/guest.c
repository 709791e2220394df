// SPDX-License-Identifier: BSD-2-Clause
/*
 * Calls to the guest's symswap module, which may be busy, absent, slow or hostile.
 */
#include <errno.h>
#include <string.h>

#include "swapbypass/window.h"
#include "symbiotic/text.h"

#define SET_DEADLINE_MS	 120000 /* level off is a swapoff */
#define STAT_DEADLINE_MS 5000

bool guest_handler(struct sym_window *w, uint32_t *generation, uint32_t *number)
{
	struct sym_item_handler handler;

	*generation = sym_generation(w->sym);
	if (!*generation || sym_handler_find(w->sym, SYM_WINDOW_SET, &handler))
		return false;
	*number = handler.number;
	return true;
}

int sym_window_sync(struct sym_window *w, struct sym_window_reached *reached)
{
	struct sym_call call = {
		.deadline_ms = SET_DEADLINE_MS,
		.reply = (uint8_t *)reached->reason,
		.reply_max = sizeof(reached->reason) - 1,
	};
	uint32_t generation, handler;
	unsigned int change, vcpu = 0;
	uint64_t used;
	int ret;

	*reached = (struct sym_window_reached){ 0 };
	if (!guest_handler(w, &generation, &handler))
		return generation ? -ENOSYS : -ENODEV;
	pthread_mutex_lock(&w->lock);
	change = w->changes;
	call.arg[0] = w->level;
	call.arg[1] = w->limit;
	pthread_mutex_unlock(&w->lock);
	ret = sym_call_by_name(w->sym, SYM_WINDOW_SET, &vcpu, &call);
	sym_text_line(reached->reason,
		      call.reply_len < call.reply_max ? call.reply_len : call.reply_max);
	if (!ret && call.value[0] > SYM_WINDOW_BYPASS)
		ret = -EPROTO;
	if (!ret)
		reached->level = call.value[0];
	/* These errors are temporary and tried again; any other answer is final. */
	if (ret != -EAGAIN && ret != -EBUSY && ret != -ECANCELED) {
		used = window_used(w);
		pthread_mutex_lock(&w->lock);
		w->acked = change;
		w->acked_generation = generation;
		w->acked_handler = handler;
		if (change == w->changes)
			window_acked(w, used);
		pthread_mutex_unlock(&w->lock);
	}
	return ret;
}

bool sym_window_ready(struct sym_window *w)
{
	uint32_t generation, handler;

	return guest_handler(w, &generation, &handler);
}

bool sym_window_needs_sync(struct sym_window *w)
{
	uint32_t generation, handler;
	bool needs_sync;

	if (!guest_handler(w, &generation, &handler))
		return false;
	pthread_mutex_lock(&w->lock);
	needs_sync = w->acked != w->changes || w->acked_generation != generation ||
		     w->acked_handler != handler;
	pthread_mutex_unlock(&w->lock);
	return needs_sync;
}

int sym_window_state(struct sym_window *w, struct sym_item_window_state *state)
{
	int ret = sym_spy_get(w->sym, SYM_ITEM_WINDOW_STATE, state, sizeof(*state));

	if (ret)
		return ret;
	sym_text_line(state->reason, sizeof(state->reason) - 1);
	return state->level > SYM_WINDOW_BYPASS ? -EPROTO : 0;
}

int sym_window_refresh(struct sym_window *w)
{
	struct sym_call call = { .deadline_ms = STAT_DEADLINE_MS };
	unsigned int vcpu = 0;

	return sym_call_by_name(w->sym, SYM_WINDOW_STAT, &vcpu, &call);
}
