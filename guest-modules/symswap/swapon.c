// SPDX-License-Identifier: GPL-2.0
/*
 * The device as swap space: its signature, and running the guest's own swapon and swapoff.
 */
#include <linux/bitmap.h>
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/swap.h>
#include <linux/swapops.h>

#include "kernel.h"
#include "symswap.h"

#define SYMSWAP_PRIORITY "32767" /* before any disk */

static struct swap_info_struct *symswap_found;
static bool symswap_strange; /* there is something that the kernel did not swap out */
static struct swap_info_struct *symswap_last; /* the last one, kept after swapoff */
int symswap_type;

/* Opened exclusively: by swapon. */
bool symswap_in_use(void)
{
	return READ_ONCE(symswap_bdev()->bd_holders) > 0;
}

struct swap_info_struct *symswap_area_cached(void)
{
	return READ_ONCE(symswap_found);
}

/* Not a swap file on a file system on the device. */
bool symswap_area_ours(const struct swap_info_struct *si)
{
	return si->flags & SWP_BLKDEV && READ_ONCE(si->bdev) == symswap_bdev();
}

/* The kernel never frees a swap_info_struct, but may reuse it for another device. */
static bool symswap_area_is(const struct swap_info_struct *si)
{
	return si && si->flags & SWP_WRITEOK && symswap_area_ours(si);
}

void symswap_area_strange_write(void)
{
	WRITE_ONCE(symswap_strange, true);
}

void symswap_area_look(void)
{
	struct swap_info_struct *si = NULL;
	int i;

	for (i = 0; symswap_p_areas && i < MAX_SWAPFILES; i++) {
		si = READ_ONCE(symswap_p_areas[i]);
		if (symswap_area_is(si)) {
			WRITE_ONCE(symswap_type, si->type);
			WRITE_ONCE(symswap_last, si);
			break;
		}
		si = NULL;
	}
	/* Else its contents could be taken for those of a page of zeros, which is not written. */
	if (si && !symswap_area_cached() && xchg(&symswap_strange, false))
		bitmap_zero(symswap.written, symswap.slots);
	WRITE_ONCE(symswap_found, si);
}

bool symswap_area_leaves(void)
{
	const struct swap_info_struct *si = READ_ONCE(symswap_last);

	return si && (READ_ONCE(si->flags) & (SWP_USED | SWP_WRITEOK)) == SWP_USED &&
	       symswap_area_ours(si);
}

struct swap_info_struct *symswap_area(void)
{
	if (!symswap_area_is(symswap_area_cached()))
		symswap_area_look();
	return symswap_area_cached();
}

static void symswap_sign(void)
{
	union swap_header *header = symswap_page(0);

	memset(header, 0, PAGE_SIZE);
	header->info.version = 1;
	/* If slots cannot be held, the limit can only be applied at swapon. */
	header->info.last_page = symswap_p_get_slot ? symswap.slots - 1 : symswap_allowed();
	strscpy(header->info.sws_volume, "symswap", sizeof(header->info.sws_volume));
	memcpy(header->magic.magic, SYMSWAP_MAGIC, strlen(SYMSWAP_MAGIC));
}

static int symswap_program(const char *const *argv, char *why)
{
	char *text = kzalloc(PAGE_SIZE, GFP_KERNEL);
	int err;

	if (!text)
		return -ENOMEM;
	err = sym_helper_run(argv, NULL, text, PAGE_SIZE);
	if (err)
		snprintf(why, SYMSWAP_WHY, "%s", *text ? strim(text) : "cannot run swapon");
	kfree(text);
	return err;
}

int symswap_on(char *why)
{
	static const char *const argv[] = { "swapon", "-p", SYMSWAP_PRIORITY,
					    "/dev/" SYMSWAP_DISK, NULL };
	/* swapon of a small system may not support priorities. */
	static const char *const plain[] = { "swapon", "/dev/" SYMSWAP_DISK, NULL };
	int err;

	if (symswap_in_use())
		return 0;
	symswap_sign();
	err = symswap_program(argv, why);
	if (err == -EIO)
		err = symswap_program(plain, why);
	if (!err)
		*why = 0;
	symswap_resume();
	return err;
}

/* Without enough room the kernel would kill swapoff, or another process. */
static bool symswap_room(char *why)
{
	struct swap_info_struct *si = symswap_area();
	long used, elsewhere;

	if (!si)
		return true;
	used = symswap_inuse(si);
	elsewhere = si_mem_available() + get_nr_swap_pages() - ((long)si->pages - used);
	used -= symswap_held();
	if (used <= elsewhere)
		return true;
	snprintf(why, SYMSWAP_WHY, "the guest has room for %ld of %ld MiB",
		 max(elsewhere, 0l) >> (20 - PAGE_SHIFT), used >> (20 - PAGE_SHIFT));
	return false;
}

int symswap_off(char *why)
{
	static const char *const argv[] = { "swapoff", "/dev/" SYMSWAP_DISK, NULL };
	int err;

	if (!symswap_in_use())
		return 0;
	if (!symswap_room(why))
		return -ENOMEM;
	symswap_swapoff_begin();
	err = symswap_program(argv, why);
	symswap_swapoff_end();
	return err;
}
