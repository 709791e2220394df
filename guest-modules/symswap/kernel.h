/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Functions that the kernel does not export.  They are called through entry.S with the
 * address on the stack: an indirect call would need an ENDBR at their start, which the kernel
 * removes from functions that are only called directly.
 */
#ifndef SYMSWAP_KERNEL_H
#define SYMSWAP_KERNEL_H

#include <linux/mm.h>
#include <linux/rmap.h>
#include <linux/swap.h>
#include <linux/version.h>

struct pt_regs;

/* flush_tlb_mm_range() */
void symswap_k_flush(struct mm_struct *mm, unsigned long start, unsigned long end,
		     unsigned int stride_shift, bool freed_tables);
/* get_swap_page_of_type(), swap_free() and swap_free_nr() */
swp_entry_t symswap_k_get_slot(int type);
void symswap_k_free_slot(swp_entry_t entry, int nr);
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
bool symswap_k_look_around(struct page_vma_mapped_walk *walk);

/* Their replacements; the first calls symswap_fault(), then maybe do_swap_page(). */
void symswap_h_fault(void);
long symswap_h_gup(struct mm_struct *mm, unsigned long start, unsigned long nr_pages,
		   unsigned int flags, SYMSWAP_GUP_ARGS);
long symswap_h_swapoff(const struct pt_regs *regs);
long symswap_h_swapoff_ia32(const struct pt_regs *regs);
int symswap_h_hmm(struct hmm_range *range);
bool symswap_h_look_around(struct page_vma_mapped_walk *walk);

/* Their addresses, for entry.S. */
extern unsigned long symswap_p_flush, symswap_p_get_slot, symswap_p_free_slot;
extern unsigned long symswap_p_lru_add, symswap_p_lru_del, symswap_p_zswap_never;
extern unsigned long symswap_p_lookup;
extern unsigned long symswap_p_fault, symswap_p_gup, symswap_p_swapoff;
extern unsigned long symswap_p_swapoff_ia32, symswap_p_look_around, symswap_p_hmm;

extern struct swap_info_struct **symswap_p_areas; /* swap_info[] */

#endif
