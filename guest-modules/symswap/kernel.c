// SPDX-License-Identifier: GPL-2.0
/*
 * Functions and data that the kernel does not export.  Each is looked up by name; a kernel
 * that lacks one, or has not been verified, gets no bypass.
 */
#include <linux/glob.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/kprobes.h>
#include <linux/memremap.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/utsname.h>
#include <asm/ibt.h>

#include "kernel.h"
#include "symswap.h"

unsigned long symswap_p_flush, symswap_p_get_slot, symswap_p_free_slot;
unsigned long symswap_p_lru_add, symswap_p_lru_del, symswap_p_zswap_never;
static const bool *symswap_p_zswap_enabled; /* NULL: cannot be told */
unsigned long symswap_p_lookup, symswap_p_swap_count, symswap_p_cached;
#ifndef SYMSWAP_TABLES
static unsigned long symswap_p_swapcache_clear;
#endif
unsigned long symswap_p_fault, symswap_p_gup, symswap_p_swapoff;
unsigned long symswap_p_swapoff_ia32, symswap_p_look_around, symswap_p_hmm;
struct swap_info_struct **symswap_p_areas;

/* Releases on which the torture test has passed; see the table in docs/swapbypass.md. */
static const char *const symswap_verified[] = {
	"6.1.0-*amd64",
	"6.12.*+deb1[23]-*amd64",
	"7.[23].*+deb1[34]-*amd64",
};

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#define SYMSWAP_FREE_SLOT "swap_free_nr"
#else
#define SYMSWAP_FREE_SLOT "swap_free"
#endif

static const struct {
	const char *name;
	unsigned long *to;
	bool wanted;
} symswap_symbols[] = {
	{ "flush_tlb_mm_range", &symswap_p_flush, true },
	{ "swap_info", (unsigned long *)&symswap_p_areas, true },
#ifdef SYMSWAP_TABLES
	{ "swap_alloc_hibernation_slot", &symswap_p_get_slot, true },
	{ "swap_free_hibernation_slot", &symswap_p_free_slot, true },
	{ "__swap_count", &symswap_p_swap_count, true },
	{ "swap_cache_has_folio", &symswap_p_cached, true },
#else
	{ "get_swap_page_of_type", &symswap_p_get_slot, true },
	{ SYMSWAP_FREE_SLOT, &symswap_p_free_slot, true },
	/* Not called.  Kernels that have it mark a slot before they bypass the swap cache. */
	{ "swapcache_clear", &symswap_p_swapcache_clear, true },
#endif
#ifndef SYMSWAP_PAGES
	{ "lru_gen_add_mm", &symswap_p_lru_add, IS_ENABLED(CONFIG_LRU_GEN) },
	{ "lru_gen_del_mm", &symswap_p_lru_del, IS_ENABLED(CONFIG_LRU_GEN) },
#endif
	{ "zswap_never_enabled", &symswap_p_zswap_never,
	  IS_ENABLED(CONFIG_ZSWAP) && LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0) },
};

/* A probe's address may be after the ENDBR at the start of the function. */
static unsigned long symswap_find_lookup(void)
{
	struct kprobe probe = { .symbol_name = "kallsyms_lookup_name" };
	unsigned long address;

	if (register_kprobe(&probe))
		return 0;
	address = (unsigned long)probe.addr;
	unregister_kprobe(&probe);
#ifdef CONFIG_X86_KERNEL_IBT
	if (address & 15)
		address -= 4;
#endif
	return address;
}

static bool symswap_known_release(void)
{
	const char *release = init_utsname()->release;
	int i;

	for (i = 0; i < ARRAY_SIZE(symswap_verified); i++)
		if (glob_match(symswap_verified[i], release))
			return !IS_ENABLED(CONFIG_PREEMPT_RT);
	return false;
}

bool symswap_kernel_init(bool force, char *why)
{
	int i;

	symswap_p_lookup = symswap_find_lookup();
	if (!symswap_p_lookup) {
		strscpy(why, "cannot look up kernel symbols (no kprobes)", SYMSWAP_WHY);
		return false;
	}
	for (i = 0; i < ARRAY_SIZE(symswap_symbols); i++) {
		if (!symswap_symbols[i].wanted)
			continue;
		*symswap_symbols[i].to = symswap_k_lookup(symswap_symbols[i].name);
		if (!*symswap_symbols[i].to) {
			snprintf(why, SYMSWAP_WHY, "the kernel has no %s",
				 symswap_symbols[i].name);
			return false;
		}
	}
	symswap_p_zswap_enabled = (const bool *)symswap_k_lookup("zswap_enabled");
	if (!force && !symswap_known_release()) {
		snprintf(why, SYMSWAP_WHY, "not verified on Linux %s", init_utsname()->release);
		return false;
	}
	if (!boot_cpu_has(X86_FEATURE_NX) || pgprot_val(PAGE_SHARED) & _PAGE_SPECIAL) {
		strscpy(why, "page table entries are not as expected", SYMSWAP_WHY);
		return false;
	}
	return true;
}

/* Does, or did, zswap keep pages of this swap space? */
bool symswap_zswap_used(struct swap_info_struct *si, unsigned long offset)
{
#ifdef CONFIG_FRONTSWAP
	unsigned long *map = READ_ONCE(si->frontswap_map);

	if (map && test_bit(offset, map))
		return true;
#endif
	if (symswap_p_zswap_never)
		return !symswap_k_zswap_never();
	return IS_ENABLED(CONFIG_ZSWAP) && !IS_ENABLED(CONFIG_FRONTSWAP);
}

bool symswap_zswap_on(void)
{
	if (symswap_p_zswap_never && !symswap_k_zswap_never())
		return true;
	return symswap_p_zswap_enabled && READ_ONCE(*symswap_p_zswap_enabled);
}

void symswap_flush(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	symswap_k_flush(mm, start, end, PAGE_SHIFT, false);
}

/*
 * The multi-generational LRU walks page tables, and warns of entries like ours.  Take @mm off
 * its list, so that it does not walk those of @mm; the pages of @mm are then aged by the
 * reverse map only.  When @mm moves to another memory cgroup, its task is locked, and @mm is
 * taken off and put on the list again, unless it is off already.
 */
#if defined(CONFIG_LRU_GEN) && !defined(SYMSWAP_PAGES)
static void symswap_lru_change_locked(struct mm_struct *mm, bool on)
{
	if (!on)
		symswap_k_lru_del(mm);
	else if (list_empty(&mm->lru_gen.list))
		symswap_k_lru_add(mm);
}

static struct task_struct *symswap_owner(struct mm_struct *mm)
{
	struct task_struct *owner = NULL;

#ifdef CONFIG_MEMCG
	rcu_read_lock();
	owner = rcu_dereference(mm->owner);
	if (owner)
		get_task_struct(owner);
	rcu_read_unlock();
#endif
	return owner;
}

static void symswap_lru_change(struct mm_struct *mm, bool on)
{
	struct task_struct *owner = symswap_owner(mm);

	if (!owner) {
		symswap_lru_change_locked(mm, on);
		return;
	}
	task_lock(owner);
	symswap_lru_change_locked(mm, on);
	task_unlock(owner);
	put_task_struct(owner);
}
#else
static void symswap_lru_change(struct mm_struct *mm, bool on)
{
}
#endif

void symswap_lru_leave(struct mm_struct *mm)
{
	symswap_lru_change(mm, false);
}

void symswap_lru_join(struct mm_struct *mm)
{
	symswap_lru_change(mm, true);
}

#ifdef SYMSWAP_PAGES
/* Nobody has a reference to a page of the window. */
static void symswap_page_free(struct page *page)
{
	WARN_ON_ONCE(1);
}

#ifdef SYMSWAP_TABLES
static void symswap_folio_free(struct folio *folio)
{
	symswap_page_free(&folio->page);
}
#endif

static const struct dev_pagemap_ops symswap_pagemap_ops = {
#ifdef SYMSWAP_TABLES
	.folio_free = symswap_folio_free,
#else
	.page_free = symswap_page_free,
#endif
};

static struct dev_pagemap symswap_pagemap = {
	.type = MEMORY_DEVICE_COHERENT,
	.ops = &symswap_pagemap_ops,
	.owner = &symswap_pagemap,
};

void *symswap_map_window(u64 gpa, u64 size)
{
	void *base;

	symswap_pagemap.range = (struct range){ .start = gpa, .end = gpa + size - 1 };
	symswap_pagemap.nr_range = 1;
	base = memremap_pages(&symswap_pagemap, 0);
	return IS_ERR(base) ? NULL : base;
}

void symswap_unmap_window(void *base)
{
	memunmap_pages(&symswap_pagemap);
}
#else
void *symswap_map_window(u64 gpa, u64 size)
{
	return memremap(gpa, size, MEMREMAP_WB);
}

void symswap_unmap_window(void *base)
{
	memunmap(base);
}
#endif

struct gendisk *symswap_alloc_disk(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
	struct queue_limits limits = {
		.logical_block_size = PAGE_SIZE,
		.physical_block_size = PAGE_SIZE,
		.features = BLK_FEAT_SYNCHRONOUS,
	};

	return blk_alloc_disk(&limits, NUMA_NO_NODE);
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
	struct gendisk *disk = blk_alloc_disk(NUMA_NO_NODE);

	if (!disk)
		return ERR_PTR(-ENOMEM);
	blk_queue_logical_block_size(disk->queue, PAGE_SIZE);
	blk_queue_physical_block_size(disk->queue, PAGE_SIZE);
	blk_queue_flag_set(QUEUE_FLAG_NONROT, disk->queue);
	blk_queue_flag_clear(QUEUE_FLAG_ADD_RANDOM, disk->queue);
	return disk;
#else
#error "the block layer of this kernel is not known to symswap"
#endif
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
int symswap_rw_page(struct block_device *bdev, sector_t sector, struct page *page, enum req_op op)
{
	int err;

	if (PageTransHuge(page))
		return -ENOTSUPP;
	if (!symswap_within(sector, PAGE_SIZE))
		return -EIO;
	err = symswap_copy(page, 0, PAGE_SIZE, (u64)sector << SECTOR_SHIFT, op_is_write(op));
	if (err)
		return err; /* the kernel tries again, with a bio */
	page_endio(page, op_is_write(op), 0);
	return 0;
}
#endif
