// SPDX-License-Identifier: GPL-2.0
/* The window: memory of the VMM outside the guest's RAM. */
#include <linux/bitmap.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/pfn.h>
#include <linux/string.h>
#include <linux/swap.h>
#include <linux/vmalloc.h>

#include "kernel.h"
#include "symswap.h"

#define SYMSWAP_LOCKS 256

struct symswap_window symswap;
static spinlock_t symswap_locks[SYMSWAP_LOCKS];

spinlock_t *symswap_slot_lock(unsigned int slot)
{
	return &symswap_locks[slot % SYMSWAP_LOCKS];
}

bool symswap_pte(pte_t pte, unsigned int *slot)
{
	unsigned long pfn = pte_pfn(pte);

	if (!pte_present(pte) || !symswap_marked(pte) || pfn < symswap.pfn ||
	    pfn - symswap.pfn >= symswap.slots)
		return false;
	*slot = pfn - symswap.pfn;
	return true;
}

/* The VMM's values may be wrong. */
static int symswap_window_check(const struct sym_item_window *window)
{
	u64 end = window->gpa + window->size;

	if (!window->size || (window->gpa | window->size) & ~PAGE_MASK || end < window->gpa ||
	    end - 1 > BIT_ULL(boot_cpu_data.x86_phys_bits) - 1 || window->size < SZ_1M ||
	    window->size > 1ull << 40)
		return -EINVAL;
	/* If it had struct pages the kernel would treat it as RAM. */
	if (region_intersects(window->gpa, window->size, IORESOURCE_SYSTEM_RAM,
			      IORES_DESC_NONE) != REGION_DISJOINT ||
	    pfn_valid(PHYS_PFN(window->gpa)) || pfn_valid(PHYS_PFN(end - 1)))
		return -EINVAL;
	return 0;
}

/* Memory that the window takes of the guest's must not be what its programs need. */
static int symswap_window_affordable(const struct sym_item_window *window)
{
	u64 needed = (window->size >> PAGE_SHIFT) * /* a byte for bits */
		     (sizeof(struct symswap_slot) + 1 + SYMSWAP_PAGE_COST);
	u64 available = (u64)si_mem_available() << PAGE_SHIFT;

	if (needed <= available / 2)
		return 0;
	pr_err("a window of %llu MiB takes %llu MiB of the guest's memory, %llu MiB are "
	       "available\n",
	       window->size >> 20, needed >> 20, available >> 20);
	return -EFBIG;
}

/* An earlier module may have left contents; the VMM empties the window only at a reset. */
static void symswap_window_leftover(void)
{
	const union swap_header *header = symswap_page(0);

	if (memcmp(header->magic.magic, SYMSWAP_MAGIC, strlen(SYMSWAP_MAGIC)))
		return;
	bitmap_fill(symswap.lent, symswap.slots);
	atomic_long_set(&symswap.nr_lent, symswap.slots);
}

int symswap_window_init(const struct sym_item_window *window)
{
	int err, i;

	err = symswap_window_check(window);
	if (!err)
		err = symswap_window_affordable(window);
	if (err)
		return err;
	for (i = 0; i < SYMSWAP_LOCKS; i++)
		spin_lock_init(&symswap_locks[i]);
	symswap.gpa = window->gpa;
	symswap.pfn = PHYS_PFN(window->gpa);
	symswap.slots = window->size >> PAGE_SHIFT;
	if (!request_mem_region(window->gpa, window->size, KBUILD_MODNAME))
		return -EBUSY;
	symswap.base = symswap_map_window(window->gpa, window->size);
	symswap.slot = vcalloc(symswap.slots, sizeof(*symswap.slot));
	symswap.lent = vcalloc(BITS_TO_LONGS(symswap.slots), sizeof(long));
	symswap.written = vcalloc(BITS_TO_LONGS(symswap.slots), sizeof(long));
	symswap.needed = vcalloc(BITS_TO_LONGS(symswap.slots), sizeof(long));
	symswap.offered = vcalloc(BITS_TO_LONGS(symswap.slots), sizeof(long));
	symswap.out = vcalloc(BITS_TO_LONGS(symswap.slots), sizeof(long));
	if (symswap.base && symswap.slot && symswap.lent && symswap.written && symswap.needed &&
	    symswap.offered && symswap.out) {
		symswap_window_leftover();
		return 0;
	}
	symswap_window_exit();
	return -ENOMEM;
}

void symswap_window_exit(void)
{
	vfree(symswap.out);
	vfree(symswap.offered);
	vfree(symswap.needed);
	vfree(symswap.written);
	vfree(symswap.lent);
	vfree(symswap.slot);
	if (symswap.base)
		symswap_unmap_window(symswap.base);
	release_mem_region(symswap.gpa, (u64)symswap.slots << PAGE_SHIFT);
}
