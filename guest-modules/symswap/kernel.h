/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What depends on the kernel: its versions, and functions that it does not export.  They are
 * called through entry.S with the address on the stack: an indirect call would need an ENDBR at
 * their start, which the kernel removes from functions that are only called directly.
 */
#ifndef SYMSWAP_KERNEL_H
#define SYMSWAP_KERNEL_H

#include <linux/blkdev.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/rmap.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/version.h>

/*
 * The window has struct pages (coherent memory of a device, with no references): an entry of
 * ours is an ordinary one, and code that walks page tables passes over zone-device pages.
 * Before, entries were marked special and devmap, and had no struct page.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#define SYMSWAP_PAGES
#define SYMSWAP_PAGE_COST sizeof(struct page)
#else
#define SYMSWAP_PAGE_COST 0
#endif

/* A slot's count and state are in tables of the kernel's own, not in swap_map and zeromap. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0)
#define SYMSWAP_TABLES
#include <linux/leafops.h>
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define ftrace_regs_set_instruction_pointer ftrace_instruction_pointer_set
#endif

struct pt_regs;

/* flush_tlb_mm_range() */
void symswap_k_flush(struct mm_struct *mm, unsigned long start, unsigned long end,
		     unsigned int stride_shift, bool freed_tables);
/* get_swap_page_of_type() or swap_alloc_hibernation_slot() */
swp_entry_t symswap_k_get_slot(int type);
/* swap_free(), swap_free_nr() or swap_free_hibernation_slot(): one needs @nr */
void symswap_k_free_slot(swp_entry_t entry, int nr);
int symswap_k_swap_count(swp_entry_t entry); /* __swap_count() */
bool symswap_k_cached(swp_entry_t entry); /* swap_cache_has_folio() */
void symswap_k_lru_add(struct mm_struct *mm); /* lru_gen_add_mm() */
void symswap_k_lru_del(struct mm_struct *mm); /* lru_gen_del_mm() */
bool symswap_k_zswap_never(void); /* zswap_never_enabled() */
unsigned long symswap_k_lookup(const char *name); /* kallsyms_lookup_name() */

/* The hooked functions, entered after the call of ftrace. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#define SYMSWAP_GUP_ARGS struct page **pages, struct vm_area_struct **vmas, int *locked
#define SYMSWAP_GUP_PASS pages, vmas, locked
#else
#define SYMSWAP_GUP_ARGS struct page **pages, int *locked
#define SYMSWAP_GUP_PASS pages, locked
#endif
long symswap_k_gup(struct mm_struct *mm, unsigned long start, unsigned long nr_pages,
		   unsigned int flags, SYMSWAP_GUP_ARGS);
long symswap_k_swapoff(const struct pt_regs *regs);
long symswap_k_swapoff_ia32(const struct pt_regs *regs);
struct hmm_range;
int symswap_k_hmm(struct hmm_range *range);
#ifndef SYMSWAP_PAGES
bool symswap_k_look_around(struct page_vma_mapped_walk *walk);
#endif

/* Their replacements; the first calls symswap_fault(), then maybe do_swap_page(). */
void symswap_h_fault(void);
long symswap_h_gup(struct mm_struct *mm, unsigned long start, unsigned long nr_pages,
		   unsigned int flags, SYMSWAP_GUP_ARGS);
long symswap_h_swapoff(const struct pt_regs *regs);
long symswap_h_swapoff_ia32(const struct pt_regs *regs);
int symswap_h_hmm(struct hmm_range *range);
#ifndef SYMSWAP_PAGES
bool symswap_h_look_around(struct page_vma_mapped_walk *walk);
#endif

/* Their addresses, for entry.S. */
extern unsigned long symswap_p_flush, symswap_p_get_slot, symswap_p_free_slot;
extern unsigned long symswap_p_lru_add, symswap_p_lru_del, symswap_p_zswap_never;
extern unsigned long symswap_p_lookup, symswap_p_swap_count, symswap_p_cached;
extern unsigned long symswap_p_fault, symswap_p_gup, symswap_p_swapoff;
extern unsigned long symswap_p_swapoff_ia32, symswap_p_look_around, symswap_p_hmm;

extern struct swap_info_struct **symswap_p_areas; /* swap_info[] */

/* A disk that is synchronous, not rotational, and has blocks of a page; or ERR_PTR(). */
struct gendisk *symswap_alloc_disk(void);

/* A page of swap without a bio; having this also marks the device as synchronous. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
int symswap_rw_page(struct block_device *bdev, sector_t sector, struct page *page,
		    enum req_op op);
#define SYMSWAP_OPERATIONS .owner = THIS_MODULE, .rw_page = symswap_rw_page
#else
#define SYMSWAP_OPERATIONS .owner = THIS_MODULE
#endif

/*
 * symswap_map_window - map the window, @size bytes at @gpa; NULL: it cannot be.  _unmap: what
 * that returned; none of its pages is mapped elsewhere.
 */
void *symswap_map_window(u64 gpa, u64 size);
void symswap_unmap_window(void *base);

/* If @pte is a swap entry, true and *entry. */
static inline bool symswap_swapped(pte_t pte, swp_entry_t *entry)
{
#ifdef SYMSWAP_TABLES
	*entry = softleaf_from_pte(pte);
	return softleaf_is_swap(*entry);
#else
	if (!is_swap_pte(pte))
		return false;
	*entry = pte_to_swp_entry(pte);
	return !non_swap_entry(*entry);
#endif
}

/* The swap entry has a mark of userfaultfd. */
static inline bool symswap_swapped_uffd(pte_t pte)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 3, 0)
	return pte_swp_uffd(pte);
#else
	return pte_swp_uffd_wp(pte);
#endif
}

/* Slots of @si in use, held ones included. */
static inline unsigned int symswap_inuse(const struct swap_info_struct *si)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
	/* The two highest bits are flags. */
	return atomic_long_read(&si->inuse_pages) & ~(3ul << (BITS_PER_LONG - 2));
#else
	return READ_ONCE(si->inuse_pages);
#endif
}

/*
 * One reference, and no page in the swap cache or being added to it.  For a swap entry of a
 * page table whose lock is held, so that the slot stays in use.
 */
static inline bool symswap_slot_alone(struct swap_info_struct *si, swp_entry_t entry)
{
#ifdef SYMSWAP_TABLES
	return symswap_k_swap_count(entry) == 1 && !symswap_k_cached(entry);
#else
	return READ_ONCE(si->swap_map[swp_offset(entry)]) == 1;
#endif
}

static inline pte_t symswap_mkwrite(pte_t pte)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
	return pte_mkwrite_novma(pte);
#else
	return pte_mkwrite(pte);
#endif
}

static inline pte_t symswap_mark(pte_t pte)
{
#ifdef SYMSWAP_PAGES
	return pte;
#else
	return pte_mkdevmap(pte_mkspecial(pte));
#endif
}

static inline bool symswap_marked(pte_t pte)
{
#ifdef SYMSWAP_PAGES
	return true;
#else
	return pte_special(pte) && pte_devmap(pte);
#endif
}

static inline bool symswap_pmd_leaf(pmd_t pmd)
{
#ifdef SYMSWAP_PAGES
	return pmd_leaf(pmd);
#else
	return pmd_trans_huge(pmd) || pmd_devmap(pmd);
#endif
}

/* The lock of @pte's page table. */
static inline spinlock_t *symswap_pte_lock(pte_t *pte)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	return ptlock_ptr(virt_to_ptdesc(pte));
#else
	return ptlock_ptr(virt_to_page(pte));
#endif
}

/* End what do_swap_page() was given: the page table mapped at vmf->pte. */
static inline void symswap_unmap_pte(pte_t *pte)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
	__acquire(RCU); /* by the function that mapped it */
#endif
	pte_unmap(pte);
}

static inline unsigned long symswap_untagged(struct mm_struct *mm, unsigned long address)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
	return untagged_addr_remote(mm, address);
#else
	return untagged_addr(address);
#endif
}

#endif
