// SPDX-License-Identifier: GPL-2.0
/* The state of SwapBypass's window, from symswap.ko, for the guest's page. */
#include <linux/string.h>

#include "symbiotic.h"

static struct sym_item_window_state sym_window;
static struct sym_item_window_state *sym_window_shown; /* in the page; NULL: not shown */
static bool sym_window_known;

void sym_window_state_show(void)
{
	sym_window_shown = NULL;
	if (!sym_window_known)
		return;
	sym_window_shown = sym_spy_add(SYM_ITEM_WINDOW_STATE, sizeof(sym_window));
	if (sym_window_shown)
		*sym_window_shown = sym_window;
}

void sym_window_show(const struct sym_item_window_state *state)
{
	mutex_lock(&sym_lock);
	sym_window_known = state;
	if (state)
		sym_window = *state;
	if (state && sym_window_shown)
		sym_spy_copy_locked(sym_window_shown, &sym_window, sizeof(sym_window));
	else
		sym_spy_rebuild_locked();
	mutex_unlock(&sym_lock);
}
EXPORT_SYMBOL_GPL(sym_window_show);
