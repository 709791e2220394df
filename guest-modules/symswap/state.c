// SPDX-License-Identifier: GPL-2.0
/* The state of the window, for the VMM: updated about once a second, and on request. */
#include <linux/workqueue.h>

#include "kernel.h"
#include "symswap.h"

DEFINE_PER_CPU(struct symswap_counts, symswap_counts);

static void symswap_state_renew(struct work_struct *work);
static DECLARE_DEFERRABLE_WORK(symswap_state_work, symswap_state_renew);

static void symswap_state_count(struct sym_item_window_state *state)
{
	const struct symswap_counts *counts;
	int cpu;

	for_each_possible_cpu(cpu) {
		counts = per_cpu_ptr(&symswap_counts, cpu);
		state->maps += READ_ONCE(counts->maps);
		state->restores += READ_ONCE(counts->restores);
		state->passed += READ_ONCE(counts->passed);
		state->reads += READ_ONCE(counts->reads);
		state->writes += READ_ONCE(counts->writes);
	}
}

void symswap_state_show(void)
{
	struct sym_item_window_state state = {};
	struct swap_info_struct *si = symswap_area();

	state.level = symswap_level(state.reason);
	state.slots = symswap_allowed();
	state.held = symswap_held();
	if (si) {
		state.used = symswap_inuse(si);
		state.used -= min(state.used, state.held);
	} else if (symswap_in_use()) {
		/* A kernel without the data that we need. */
		state.used = atomic_long_read(&symswap.nr_lent);
	}
	state.lent = atomic_long_read(&symswap.nr_lent);
	state.idle = symswap_idle();
	state.cold = symswap_cold();
	state.processes = symswap_processes();
	symswap_state_count(&state);
	state.mapped = state.maps - min(state.maps, state.restores);
	sym_window_show(&state);
}

static void symswap_state_renew(struct work_struct *work)
{
	symswap_swapoff_poll();
	symswap_reclaim_poll();
	symswap_age_sample();
	symswap_state_show();
	schedule_delayed_work(&symswap_state_work, HZ);
}

void symswap_state_start(void)
{
	schedule_delayed_work(&symswap_state_work, 0);
}

void symswap_state_stop(void)
{
	cancel_delayed_work_sync(&symswap_state_work);
	sym_window_show(NULL);
}
