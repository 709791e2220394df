// SPDX-License-Identifier: GPL-2.0
/*
 * The limit.  Free slots beyond it are allocated (held), so that the kernel sees a device
 * of that size; when the limit is lowered, slots are held as they become free.
 */
#include <linux/bitmap.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/vmalloc.h>

#include "kernel.h"
#include "symswap.h"

#define SYMSWAP_SLACK 32

static DEFINE_MUTEX(symswap_hold_lock);
static unsigned long *symswap_held_map;
static unsigned int symswap_nr_held;
static unsigned int symswap_first_held; /* no slot before it is held */
static unsigned int symswap_limit; /* slots that may be used */
static unsigned int symswap_grandfathered; /* may be used too: they were before it was lowered */

unsigned int symswap_allowed(void)
{
	return READ_ONCE(symswap_limit);
}

unsigned int symswap_held(void)
{
	return READ_ONCE(symswap_nr_held);
}

static unsigned int symswap_used(const struct swap_info_struct *si)
{
	unsigned int used = symswap_inuse(si);

	return used - min(used, symswap_held());
}

/*
 * Slots beyond the limit that are not held yet, or not any more, may get into use; for example
 * after a swapon that is not ours, until we notice it.  If the write fails the kernel keeps the
 * page; if it succeeded the VMM would take the page away.
 */
bool symswap_may_fill(void)
{
	const struct swap_info_struct *si = symswap_area();

	return !si || symswap_used(si) <=
			      max(READ_ONCE(symswap_limit), READ_ONCE(symswap_grandfathered));
}

static bool symswap_hold_one(void)
{
	struct swap_info_struct *si = symswap_area();
	unsigned int slot;

	if (!si || symswap_swapping_off())
		return false;
	slot = swp_offset(symswap_k_get_slot(si->type));
	if (!slot)
		return false;
	set_bit(slot, symswap_held_map);
	symswap_first_held = min(symswap_first_held, slot);
	WRITE_ONCE(symswap_nr_held, symswap_nr_held + 1);
	return true;
}

static void symswap_release_one(void)
{
	unsigned int slot = find_next_bit(symswap_held_map, symswap.slots, symswap_first_held);

	symswap_first_held = slot;
	clear_bit(slot, symswap_held_map);
	WRITE_ONCE(symswap_nr_held, symswap_nr_held - 1);
	symswap_k_free_slot(swp_entry(symswap_type, slot), 1);
}

/*
 * Slots in use when the limit was lowered may stay in use.  The VMM tolerates a few more:
 * slots that become free and are used again before they can be held.
 */
static void symswap_grandfathered_adjust(void)
{
	const struct swap_info_struct *si = symswap_area();
	unsigned int used = si ? symswap_used(si) + SYMSWAP_SLACK : 0;

	WRITE_ONCE(symswap_grandfathered, min(symswap_grandfathered, used));
}

void symswap_hold_adjust(void)
{
	unsigned int target;

	mutex_lock(&symswap_hold_lock);
	target = symswap.slots - 1 - symswap_limit;
	if (symswap_p_get_slot && symswap_area() && !symswap_swapping_off()) {
		while (symswap_nr_held > target) {
			symswap_release_one();
			cond_resched();
		}
		while (symswap_nr_held < target && symswap_hold_one())
			cond_resched();
	}
	symswap_grandfathered_adjust();
	mutex_unlock(&symswap_hold_lock);
}

/* Swapoff would wait for held slots for ever. */
void symswap_hold_drop(void)
{
	mutex_lock(&symswap_hold_lock);
	while (symswap_nr_held) {
		symswap_release_one();
		cond_resched();
	}
	mutex_unlock(&symswap_hold_lock);
}

void symswap_hold_limit(u64 bytes)
{
	u64 slots = min_t(u64, bytes >> PAGE_SHIFT, symswap.slots);

	/* Until all free slots are held, more may get into use. */
	WRITE_ONCE(symswap_grandfathered, symswap.slots);
	/* The window's first page counts towards the limit, but is not for swapping. */
	WRITE_ONCE(symswap_limit, slots ? slots - 1 : 0);
	symswap_hold_adjust();
}

int symswap_hold_init(void)
{
	symswap_held_map = vcalloc(BITS_TO_LONGS(symswap.slots), sizeof(long));
	return symswap_held_map ? 0 : -ENOMEM;
}

void symswap_hold_exit(void)
{
	vfree(symswap_held_map);
}
