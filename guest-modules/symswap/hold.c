// SPDX-License-Identifier: GPL-2.0
/*
 * The limit.  Free slots beyond it are taken, so that to the kernel the device is as
 * small as that; when it is lowered they are taken as they become free.
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
static unsigned int symswap_limit; /* slots that may be used */
static unsigned int symswap_excuse; /* and may, as they were when it became less */

unsigned int symswap_allowed(void)
{
	return READ_ONCE(symswap_limit);
}

unsigned int symswap_held(void)
{
	return READ_ONCE(symswap_nr_held);
}

unsigned int symswap_held_next(unsigned int slot)
{
	return find_next_bit(symswap_held_map, symswap.slots, slot);
}

unsigned int symswap_grab(void)
{
	struct swap_info_struct *si = symswap_area();

	if (!si || !symswap_p_get_slot || symswap_swapping_off())
		return 0;
	return swp_offset(symswap_k_get_slot(si->type));
}

void symswap_ungrab(unsigned int slot)
{
	symswap_k_free_slot(swp_entry(symswap_type, slot), 1);
}

static unsigned int symswap_used(const struct swap_info_struct *si)
{
	unsigned int used = READ_ONCE(si->inuse_pages);

	return used - min(used, symswap_held());
}

/*
 * Slots beyond the limit that are not held yet, or not any more, may get into use; so it is
 * from a swapon that is not ours until we notice.  The kernel keeps a page that it cannot
 * write; the VMM would take one that it did.
 */
bool symswap_may_fill(void)
{
	const struct swap_info_struct *si = symswap_area();

	return !si || symswap_used(si) <= max(READ_ONCE(symswap_limit), READ_ONCE(symswap_excuse));
}

static bool symswap_hold_one(void)
{
	unsigned int slot = symswap_grab();

	if (!slot)
		return false;
	set_bit(slot, symswap_held_map);
	WRITE_ONCE(symswap_nr_held, symswap_nr_held + 1);
	return true;
}

static void symswap_let_one(void)
{
	unsigned int slot = symswap_held_next(0);

	clear_bit(slot, symswap_held_map);
	WRITE_ONCE(symswap_nr_held, symswap_nr_held - 1);
	symswap_ungrab(slot);
}

/*
 * What was in use when the limit became less may stay, until it is not.  A few slots more
 * are the VMM's slack: so many may become free and be used again until they are held.
 */
static void symswap_excuse_adjust(void)
{
	const struct swap_info_struct *si = symswap_area();
	unsigned int used = si ? symswap_used(si) + SYMSWAP_SLACK : 0;

	WRITE_ONCE(symswap_excuse, min(symswap_excuse, used));
}

void symswap_hold_adjust(void)
{
	unsigned int target;

	mutex_lock(&symswap_hold_lock);
	target = symswap.slots - 1 - symswap_limit;
	if (symswap_p_get_slot && symswap_area() && !symswap_swapping_off()) {
		if (symswap_nr_held > target && symswap_reclaim_pause()) {
			while (symswap_nr_held > target) {
				symswap_let_one();
				cond_resched();
			}
			symswap_reclaim_resume();
		}
		while (symswap_nr_held < target && symswap_hold_one())
			cond_resched();
	}
	symswap_excuse_adjust();
	mutex_unlock(&symswap_hold_lock);
}

/* Swapoff would wait for them for ever. */
void symswap_hold_drop(void)
{
	mutex_lock(&symswap_hold_lock);
	while (symswap_nr_held) {
		symswap_let_one();
		cond_resched();
	}
	mutex_unlock(&symswap_hold_lock);
}

void symswap_hold_limit(u64 bytes)
{
	u64 slots = min_t(u64, bytes >> PAGE_SHIFT, symswap.slots);

	/* Until all that are free are held, more may come into use. */
	WRITE_ONCE(symswap_excuse, symswap.slots);
	/* The first page of the window is within the limit, but not for swapping. */
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
