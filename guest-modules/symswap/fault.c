// SPDX-License-Identifier: GPL-2.0
/*
 * A process touches a page that was swapped out to the window: map the window's page in its
 * place.  For the rest of the kernel it stays swapped out.  Any unusual case is left to the
 * kernel.
 */
#include <linux/sched.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/userfaultfd_k.h>
#include <linux/version.h>

#include "symswap.h"

#define SYMSWAP_NOT_VMA                                                                          \
	(VM_SHARED | VM_MAYSHARE | VM_LOCKED | VM_HUGETLB | VM_PFNMAP | VM_MIXEDMAP | VM_IO |    \
	 VM_MERGEABLE | SYMSWAP_SHADOW_STACK)
#ifdef VM_SHADOW_STACK
#define SYMSWAP_SHADOW_STACK VM_SHADOW_STACK
#else
#define SYMSWAP_SHADOW_STACK 0
#endif

/* We handle faults by the owner itself, in user mode, in its own anonymous memory. */
static bool symswap_fault_plain(const struct vm_fault *vmf)
{
	const struct vm_area_struct *vma = vmf->vma;

	return vmf->flags & FAULT_FLAG_USER && !(vmf->flags & FAULT_FLAG_REMOTE) &&
	       vma->vm_mm == current->mm && vma_is_anonymous(vmf->vma) &&
	       !(vma->vm_flags & SYMSWAP_NOT_VMA) && !userfaultfd_armed(vmf->vma);
}

static pte_t symswap_make_pte(const struct vm_fault *vmf, unsigned int slot)
{
	pte_t pte = pfn_pte(symswap.pfn + slot, vmf->vma->vm_page_prot);

	/* Treat it as written to: we would not notice when it is. */
	pte = pte_mksoft_dirty(pte_mkyoung(pte_mkdirty(pte)));
	if (vmf->vma->vm_flags & VM_WRITE) {
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
		pte = pte_mkwrite_novma(pte);
#else
		pte = pte_mkwrite(pte);
#endif
	}
	return pte_mkdevmap(pte_mkspecial(pte));
}

/*
 * Since 6.12 a page of zeros is not written, only recorded.  Such slots are left alone: the
 * kernel may be about to read one together with its neighbours, as one large folio, and
 * treats it as an error if only some of them are recorded.
 */
static bool symswap_slot_zero(struct swap_info_struct *si, unsigned int slot)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
	return test_bit(slot, si->zeromap);
#else
	return false;
#endif
}

/* One reference, and no page in the swap cache or being added to it. */
static bool symswap_slot_alone(struct swap_info_struct *si, unsigned int slot)
{
	return READ_ONCE(si->swap_map[slot]) == 1;
}

/*
 * Under the locks of page table and slot.  Code that puts a page into the swap cache reads
 * or writes the slot afterwards, and finds then that it has an owner.
 */
static bool symswap_slot_take(struct swap_info_struct *si, unsigned int slot)
{
	return symswap_slot_alone(si, slot) && !symswap_slot_zero(si, slot) &&
	       !symswap_zswap_used(si, slot) && !WARN_ON_ONCE(symswap.slot[slot].owner);
}

static bool symswap_map(struct symswap_process *p, struct swap_info_struct *si,
			const struct vm_fault *vmf, pte_t *pte, unsigned int slot)
{
	unsigned long address = vmf->address & PAGE_MASK;
	bool open;

	if (!symswap_slot_take(si, slot))
		return false;
	/* Closing a range after this sees the mapping; one closed before is seen here. */
	spin_lock(&p->lock);
	open = symswap_process_open(p, address) && symswap_bypassing();
	if (open) {
		symswap.slot[slot] = (struct symswap_slot){
			.owner = p,
			.pte = pte,
			.where = address,
		};
		if (pte_swp_exclusive(vmf->orig_pte))
			symswap.slot[slot].where |= SYMSWAP_EXCLUSIVE;
		p->mapped++;
		set_pte(pte, symswap_make_pte(vmf, slot));
	}
	spin_unlock(&p->lock);
	return open;
}

/* Under the lock of the page table, which still has the swap entry: so the area stays. */
static bool symswap_try(struct symswap_process *p, struct swap_info_struct *si,
			const struct vm_fault *vmf, pte_t *pte)
{
	unsigned int slot = swp_offset(pte_to_swp_entry(vmf->orig_pte));
	spinlock_t *lock;
	bool mapped;

	if (!slot || slot >= symswap.slots || symswap_area_cached() != si ||
	    !symswap_area_ours(si))
		return false;
	lock = symswap_slot_lock(slot);
	spin_lock(lock);
	mapped = symswap_map(p, si, vmf, pte, slot);
	spin_unlock(lock);
	return mapped;
}

static unsigned int symswap_fault_ours(struct vm_fault *vmf, struct swap_info_struct *si)
{
	struct mm_struct *mm = vmf->vma->vm_mm;
	pmd_t pmd = READ_ONCE(*vmf->pmd);
	unsigned int ret = SYMSWAP_PASS;
	struct symswap_process *p;
	spinlock_t *lock;
	pte_t *pte;

	rcu_read_lock();
	p = symswap_process_find(mm);
	if (!p)
		symswap_process_want(mm);
	if (!p || pmd_none(pmd) || pmd_trans_huge(pmd) || pmd_bad(pmd))
		goto out;
	pte = pte_offset_kernel(&pmd, vmf->address);
	lock = pte_lockptr(mm, &pmd);
	spin_lock(lock);
	if (pmd_val(pmd) != pmd_val(READ_ONCE(*vmf->pmd))) {
		/* Left to the kernel. */
	} else if (!pte_same(*pte, vmf->orig_pte)) {
		ret = 0; /* another thread was faster */
	} else if (symswap_try(p, si, vmf, pte)) {
		symswap_count(maps);
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
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
	__acquire(RCU); /* by the function that mapped it */
#endif
	pte_unmap(vmf->pte);
	vmf->pte = NULL;
}

/* In place of do_swap_page(), from entry.S. */
unsigned int symswap_fault(struct vm_fault *vmf)
{
	struct swap_info_struct *si = symswap_area_cached();
	unsigned int ret;
	swp_entry_t entry;

	if (!si || !is_swap_pte(vmf->orig_pte))
		return SYMSWAP_PASS;
	entry = pte_to_swp_entry(vmf->orig_pte);
	if (non_swap_entry(entry) || swp_type(entry) != si->type)
		return SYMSWAP_PASS;
	if (!symswap_bypassing() || !symswap_fault_plain(vmf) || pte_swp_uffd_wp(vmf->orig_pte))
		ret = SYMSWAP_PASS;
	else
		ret = symswap_fault_ours(vmf, si);
	if (ret == SYMSWAP_PASS)
		symswap_count(passed);
	else
		symswap_fault_done(vmf);
	return ret;
}
