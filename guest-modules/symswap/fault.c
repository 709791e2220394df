// SPDX-License-Identifier: GPL-2.0
/*
 * A process touches a page that was swapped out to the window: map the window's page in its
 * place.  For the rest of the kernel it stays swapped out.  Any unusual case is left to the
 * kernel.
 */
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/swap.h>
#include <linux/userfaultfd_k.h>

#include "kernel.h"
#include "symswap.h"

#define SYMSWAP_NOT_VMA                                                                          \
	(VM_SHARED | VM_MAYSHARE | VM_LOCKED | VM_HUGETLB | VM_PFNMAP | VM_MIXEDMAP | VM_IO |    \
	 VM_MERGEABLE | SYMSWAP_SHADOW_STACK)
#ifdef VM_SHADOW_STACK
#define SYMSWAP_SHADOW_STACK VM_SHADOW_STACK
#else
#define SYMSWAP_SHADOW_STACK 0
#endif

/*
 * We handle faults by the owner itself in its own anonymous memory, in user mode or when the
 * kernel copies to or from there.  Code that needs a struct page has closed the range.
 */
static bool symswap_fault_plain(const struct vm_fault *vmf)
{
	const struct vm_area_struct *vma = vmf->vma;

	return !(vmf->flags & FAULT_FLAG_REMOTE) && vma->vm_mm == current->mm &&
	       vma_is_anonymous(vmf->vma) && !(vma->vm_flags & SYMSWAP_NOT_VMA) &&
	       !userfaultfd_armed(vmf->vma);
}

static pte_t symswap_make_pte(const struct vm_area_struct *vma, unsigned int slot, bool young)
{
	pte_t pte = pfn_pte(symswap.pfn + slot, vma->vm_page_prot);

	/* Treat it as written to: we would not notice when it is. */
	pte = pte_mksoft_dirty(pte_mkdirty(pte));
	pte = young ? pte_mkyoung(pte) : pte_mkold(pte);
	if (vma->vm_flags & VM_WRITE)
		pte = symswap_mkwrite(pte);
	return symswap_mark(pte);
}

/*
 * Under the locks of page table and slot.  Code that puts a page into the swap cache reads
 * or writes the slot afterwards, and finds then that it has an owner.  A page of zeros may
 * be recorded by the kernel and not be written; such slots are left alone.
 */
static bool symswap_slot_take(struct swap_info_struct *si, swp_entry_t entry)
{
	unsigned int slot = swp_offset(entry);

	return test_bit(slot, symswap.written) && symswap_slot_alone(si, entry) &&
	       !symswap_zswap_used(si, slot) && !WARN_ON_ONCE(symswap.slot[slot].owner);
}

/* @entry is that of @pte, which is for @address of @vma; @young: it is about to be used. */
struct symswap_try {
	struct symswap_process *p;
	struct swap_info_struct *si;
	const struct vm_area_struct *vma;
	unsigned long address;
	pte_t *pte;
	swp_entry_t entry;
	bool young;
};

static bool symswap_map(const struct symswap_try *try)
{
	unsigned int slot = swp_offset(try->entry);
	struct symswap_process *p = try->p;
	bool open;

	if (!symswap_slot_take(try->si, try->entry))
		return false;
	/* Closing a range after this sees the mapping; one closed before is seen here. */
	spin_lock(&p->lock);
	open = symswap_process_open(p, try->address) && symswap_bypassing();
	if (open) {
		symswap.slot[slot] = (struct symswap_slot){
			.owner = p,
			.pte = try->pte,
			.where = try->address,
		};
		if (pte_swp_exclusive(*try->pte))
			symswap.slot[slot].where |= SYMSWAP_EXCLUSIVE;
		if (unlikely(test_bit(slot, symswap.out)))
			clear_bit(slot, symswap.out);
		p->mapped++;
		set_pte(try->pte, symswap_make_pte(try->vma, slot, try->young));
	}
	spin_unlock(&p->lock);
	return open;
}

/* Under the lock of the page table, which still has the swap entry: so the area stays. */
static bool symswap_try(struct symswap_try *try)
{
	unsigned int slot;
	spinlock_t *lock;
	bool mapped;

	if (!symswap_swapped(*try->pte, &try->entry) || swp_type(try->entry) != try->si->type)
		return false;
	slot = swp_offset(try->entry);
	if (!slot || slot >= symswap.slots || symswap_area_cached() != try->si ||
	    !symswap_area_ours(try->si) || symswap_swapped_uffd(*try->pte))
		return false;
	lock = symswap_slot_lock(slot);
	spin_lock(lock);
	mapped = symswap_map(try);
	spin_unlock(lock);
	if (mapped)
		symswap_count(maps);
	return mapped;
}

/*
 * Neighbours that are swapped out are mapped in the same fault, as pages that have not been
 * used yet.  A group is aligned, and so within one page table.
 */
static unsigned int around = 16;
module_param(around, uint, 0644);
MODULE_PARM_DESC(around, "Pages mapped in one fault, a power of two up to 16 (16)");

static void symswap_map_around(const struct symswap_try *done)
{
	unsigned long size = rounddown_pow_of_two(clamp(READ_ONCE(around), 1u, 16u))
			     << PAGE_SHIFT;
	unsigned long first = done->address & ~(size - 1);
	unsigned long start = max(first, done->vma->vm_start);
	unsigned long end = min(first + size, done->vma->vm_end);
	struct symswap_try next = *done;

	next.young = false;
	next.pte -= (done->address - start) >> PAGE_SHIFT;
	for (next.address = start; next.address < end; next.address += PAGE_SIZE, next.pte++)
		if (next.address != done->address && !pte_none(*next.pte) &&
		    !pte_present(*next.pte))
			symswap_try(&next);
}

static unsigned int symswap_fault_ours(struct vm_fault *vmf, struct swap_info_struct *si)
{
	struct mm_struct *mm = vmf->vma->vm_mm;
	pmd_t pmd = READ_ONCE(*vmf->pmd);
	unsigned int ret = SYMSWAP_PASS;
	struct symswap_try try = {
		.si = si,
		.vma = vmf->vma,
		.address = vmf->address & PAGE_MASK,
		.young = true,
	};
	spinlock_t *lock;

	rcu_read_lock();
	try.p = symswap_process_find(mm);
	if (!try.p)
		symswap_process_want(mm);
	if (!try.p || pmd_none(pmd) || pmd_trans_huge(pmd) || pmd_bad(pmd))
		goto out;
	try.pte = pte_offset_kernel(&pmd, vmf->address);
	lock = pte_lockptr(mm, &pmd);
	spin_lock(lock);
	if (pmd_val(pmd) != pmd_val(READ_ONCE(*vmf->pmd))) {
		/* Left to the kernel. */
	} else if (!pte_same(*try.pte, vmf->orig_pte)) {
		ret = 0; /* another thread was faster */
	} else if (symswap_try(&try)) {
		symswap_map_around(&try);
		ret = 0;
	}
	spin_unlock(lock);
out:
	rcu_read_unlock();
	return ret;
}

/* Leave the state as the kernel's own function would. */
static void symswap_fault_done(struct vm_fault *vmf)
{
	symswap_unmap_pte(vmf->pte);
	vmf->pte = NULL;
}

/* In place of do_swap_page(), from entry.S. */
unsigned int symswap_fault(struct vm_fault *vmf)
{
	struct swap_info_struct *si = symswap_area_cached();
	unsigned int ret;
	swp_entry_t entry;

	if (!si || !symswap_swapped(vmf->orig_pte, &entry) || swp_type(entry) != si->type)
		return SYMSWAP_PASS;
	if (!symswap_bypassing() || !symswap_fault_plain(vmf) ||
	    symswap_swapped_uffd(vmf->orig_pte))
		ret = SYMSWAP_PASS;
	else
		ret = symswap_fault_ours(vmf, si);
	if (ret == SYMSWAP_PASS)
		symswap_count(passed);
	else
		symswap_fault_done(vmf);
	return ret;
}
