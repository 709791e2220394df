// SPDX-License-Identifier: BSD-2-Clause
/*
 * Talking to the guest's symswap module.  It may be busy, absent, slow or a liar.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "swapbypass/window.h"

#define SET_DEADLINE_MS	 120000 /* level off is a swapoff */
#define STAT_DEADLINE_MS 5000
#define BUSY_TRIES	 100
#define BUSY_PAUSE_MS	 10

/* Is there another vCPU to try? */
static bool next_vcpu(struct sym_window *w, unsigned int *vcpu)
{
	return ++*vcpu < w->ops->nr_vcpus(w->vm);
}

int guest_call(struct sym_window *w, const char *name, struct sym_call *call)
{
	static const struct timespec pause = { .tv_nsec = BUSY_PAUSE_MS * 1000000 };
	unsigned int vcpu = 0, busy = 0;

	for (;;) {
		struct sym_item_handler handler;
		int ret = sym_handler_find(w->sym, name, &handler);

		if (ret)
			return ret;
		call->handler = handler.number;
		call->context = SYM_CONTEXT_THREAD;
		call->reply_len = 0;
		ret = sym_call_wait(w->sym, vcpu, call);
		if ((ret == -EBUSY || ret == -EAGAIN) && busy++ < BUSY_TRIES)
			nanosleep(&pause, NULL);
		else if ((ret != -ENODEV && ret != -ESHUTDOWN) || !next_vcpu(w, &vcpu))
			return ret;
	}
}

bool guest_handler(struct sym_window *w, uint32_t *generation, uint32_t *number)
{
	struct sym_item_handler handler;

	*generation = sym_generation(w->sym);
	if (!*generation || sym_handler_find(w->sym, SYM_WINDOW_SET, &handler))
		return false;
	*number = handler.number;
	return true;
}

/* What the guest said, @len bytes at most, is made a line of printable characters. */
static void make_line(char *text, size_t len)
{
	size_t n = 0;

	for (; n < len && text[n]; n++)
		if (text[n] < ' ' || text[n] > '~')
			text[n] = ' ';
	while (n && text[n - 1] == ' ')
		n--;
	text[n] = '\0';
}

int sym_window_tell(struct sym_window *w, struct sym_window_told *told)
{
	struct sym_call call = {
		.deadline_ms = SET_DEADLINE_MS,
		.reply = (uint8_t *)told->reason,
		.reply_max = sizeof(told->reason) - 1,
	};
	uint32_t generation, handler;
	unsigned int change;
	uint64_t used;
	int ret;

	*told = (struct sym_window_told){ 0 };
	if (!guest_handler(w, &generation, &handler))
		return generation ? -ENOSYS : -ENODEV;
	pthread_mutex_lock(&w->lock);
	change = w->changes;
	call.arg[0] = w->level;
	call.arg[1] = w->limit;
	pthread_mutex_unlock(&w->lock);
	ret = guest_call(w, SYM_WINDOW_SET, &call);
	make_line(told->reason, call.reply_len < call.reply_max ? call.reply_len : call.reply_max);
	if (!ret && call.value[0] > SYM_WINDOW_BYPASS)
		ret = -EPROTO;
	if (!ret)
		told->level = call.value[0];
	/* Who could not be asked will be asked again; any other answer is one. */
	if (ret != -EAGAIN && ret != -EBUSY && ret != -ECANCELED) {
		used = window_used(w);
		pthread_mutex_lock(&w->lock);
		w->told = change;
		w->told_generation = generation;
		w->told_handler = handler;
		if (change == w->changes)
			window_heard(w, used);
		pthread_mutex_unlock(&w->lock);
	}
	return ret;
}

bool sym_window_ready(struct sym_window *w)
{
	uint32_t generation, handler;

	return guest_handler(w, &generation, &handler);
}

bool sym_window_untold(struct sym_window *w)
{
	uint32_t generation, handler;
	bool untold;

	if (!guest_handler(w, &generation, &handler))
		return false;
	pthread_mutex_lock(&w->lock);
	untold = w->told != w->changes || w->told_generation != generation ||
		 w->told_handler != handler;
	pthread_mutex_unlock(&w->lock);
	return untold;
}

int sym_window_state(struct sym_window *w, struct sym_item_window_state *state)
{
	int ret = sym_spy_get(w->sym, SYM_ITEM_WINDOW_STATE, state, sizeof(*state));

	if (ret)
		return ret;
	make_line(state->reason, sizeof(state->reason) - 1);
	return state->level > SYM_WINDOW_BYPASS ? -EPROTO : 0;
}

int sym_window_refresh(struct sym_window *w)
{
	struct sym_call call = { .deadline_ms = STAT_DEADLINE_MS };

	return guest_call(w, SYM_WINDOW_STAT, &call);
}
