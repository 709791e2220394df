// SPDX-License-Identifier: GPL-2.0
/*
 * Putting swap entries back.  With the page table locked, its entries are cleared, then TLBs
 * are flushed, so that no CPU can write to the pages any more; then the swap entries are
 * written.  So the contents are final when the pages become visible as swapped out.
 *
 * It is not RCU that keeps a page table from being freed while we walk it: tables are freed by
 * RCU only if the hypervisor offers to flush TLBs.  It is the caller of the notifier, which
 * works on the range; or mmap_lock and an area that is in the tree of areas, since munmap()
 * takes areas out of it before it downgrades its write lock to a read lock and frees the tables.
 */
#include <linux/delay.h>
#include <linux/local_lock.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/pgtable.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/version.h>

#include "kernel.h"
#include "symswap.h"

/* The entry that was there, made soft-dirty: the page may have been written to. */
static pte_t symswap_swap_pte(const struct symswap_slot *slot)
{
	pte_t pte = swp_entry_to_pte(swp_entry(symswap_type, slot - symswap.slot));

	pte = pte_swp_mksoft_dirty(pte);
	if (slot->where & SYMSWAP_EXCLUSIVE)
		pte = pte_swp_mkexclusive(pte);
	return pte;
}

/* Under the locks of page table and slot, after the flush. */
static void symswap_put_back(struct symswap_process *p, unsigned int number)
{
	struct symswap_slot *slot = &symswap.slot[number];

	set_pte(slot->pte, symswap_swap_pte(slot));
	slot->owner = NULL;
	spin_lock(&p->lock);
	p->mapped--;
	spin_unlock(&p->lock);
	symswap_count(restores);
}

/* One page table, from @pte for @start to @end; @slots has room for all its slots. */
static void symswap_restore_table(struct symswap_process *p, pte_t *pte, unsigned long start,
				  unsigned long end, unsigned int *slots)
{
	unsigned long address, first = end, last = start;
	unsigned int i, slot, count = 0;
	spinlock_t *lock;

	for (address = start; address < end; address += PAGE_SIZE, pte++) {
		if (!symswap_pte(READ_ONCE(*pte), &slot))
			continue;
		set_pte(pte, __pte(0));
		slots[count++] = slot;
		first = min(first, address);
		last = address + PAGE_SIZE;
	}
	if (!count)
		return;
	symswap_flush(p->notifier.mm, first, last);
	for (i = 0; i < count; i++) {
		lock = symswap_slot_lock(slots[i]);
		spin_lock(lock);
		symswap_put_back(p, slots[i]);
		spin_unlock(lock);
	}
}

static bool symswap_table_has(const pte_t *pte, unsigned long start, unsigned long end)
{
	unsigned int slot;

	for (; start < end; start += PAGE_SIZE, pte++)
		if (symswap_pte(READ_ONCE(*pte), &slot))
			return true;
	return false;
}

/*
 * Numbers of the slots of one page table, too many for the stack.  With PREEMPT_RT a task that
 * holds the lock of a table is preemptible, and the locks of slots, taken meanwhile, may sleep:
 * so get_cpu_var() cannot be used.  On other kernels a local_lock is the same as that.
 */
struct symswap_found {
	local_lock_t lock;
	unsigned int slot[PTRS_PER_PTE];
};
static DEFINE_PER_CPU(struct symswap_found, symswap_found) = {
	.lock = INIT_LOCAL_LOCK(lock),
};

/*
 * For tests: wait in the middle of each page table walk, as if the vCPU were preempted, and
 * report an error if the table was freed meanwhile.
 */
static unsigned int walk_delay_us;
module_param(walk_delay_us, uint, 0600);
MODULE_PARM_DESC(walk_delay_us, "For tests: delay in each page table walk, in us (0)");

static void symswap_test_delay(const pte_t *pte, unsigned long address)
{
	if (likely(!READ_ONCE(walk_delay_us)))
		return;
	udelay(READ_ONCE(walk_delay_us));
	if (!PageTable(virt_to_page(pte)))
		pr_err_ratelimited("error: the page table at %#lx was freed meanwhile\n",
				   address);
}

static void symswap_restore_pmd(struct symswap_process *p, pmd_t *at, unsigned long start,
				unsigned long end)
{
	pmd_t pmd = READ_ONCE(*at);
	spinlock_t *lock;
	pte_t *pte;

	if (pmd_none(pmd) || !pmd_present(pmd) || symswap_pmd_leaf(pmd) || pmd_bad(pmd))
		return;
	pte = pte_offset_kernel(&pmd, start);
	symswap_test_delay(pte, start);
	if (!symswap_table_has(pte, start, end))
		return;
	lock = pte_lockptr(p->notifier.mm, &pmd);
	spin_lock(lock);
	if (pmd_val(pmd) == pmd_val(READ_ONCE(*at))) {
		local_lock(&symswap_found.lock);
		symswap_restore_table(p, pte, start, end, this_cpu_ptr(symswap_found.slot));
		local_unlock(&symswap_found.lock);
	}
	spin_unlock(lock);
}

/* The next part of [address, end), one page table, that may have mappings. */
static pmd_t *symswap_next_pmd(struct mm_struct *mm, unsigned long address, unsigned long end,
			       unsigned long *next)
{
	pgd_t *pgd = pgd_offset(mm, address);
	p4d_t *p4d;
	pud_t *pud;

	*next = pgd_addr_end(address, end);
	if (pgd_none(*pgd) || pgd_bad(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, address);
	*next = p4d_addr_end(address, end);
	if (p4d_none(*p4d) || p4d_bad(*p4d))
		return NULL;
	pud = pud_offset(p4d, address);
	*next = pud_addr_end(address, end);
	if (pud_none(*pud) || pud_bad(*pud))
		return NULL;
	*next = pmd_addr_end(address, end);
	return pmd_offset(pud, address);
}

void symswap_restore_range(struct symswap_process *p, unsigned long start, unsigned long end)
{
	struct mm_struct *mm = p->notifier.mm;
	unsigned long next;
	pmd_t *pmd;

	start &= PAGE_MASK;
	end = end > TASK_SIZE_MAX ? TASK_SIZE_MAX : PAGE_ALIGN(end);
	rcu_read_lock();
	for (; start < end && READ_ONCE(p->mapped); start = next) {
		pmd = symswap_next_pmd(mm, start, end, &next);
		if (pmd)
			symswap_restore_pmd(p, pmd, start, next);
	}
	rcu_read_unlock();
}

/* Only private anonymous areas can have our entries. */
void symswap_restore_live(struct symswap_process *p, unsigned long start, unsigned long end)
{
	struct mm_struct *mm = p->notifier.mm;
	struct vm_area_struct *vma;

	mmap_assert_locked(mm);
	for (vma = find_vma(mm, start); vma && vma->vm_start < end;
	     vma = find_vma(mm, vma->vm_end))
		if (vma_is_anonymous(vma))
			symswap_restore_range(p, max(start, vma->vm_start),
					      min(end, vma->vm_end));
}

static void symswap_slot_put_back(unsigned int number)
{
	struct symswap_slot *slot = &symswap.slot[number];
	unsigned long address = slot->where & PAGE_MASK;
	struct symswap_process *p = slot->owner;

	set_pte(slot->pte, __pte(0));
	symswap_flush(p->notifier.mm, address, address + PAGE_SIZE);
	symswap_put_back(p, number);
}

/* Under the slot's lock.  -EAGAIN: its page table, whose lock is the outer one, is locked. */
static int symswap_slot_try(unsigned int number, bool put_back)
{
	struct symswap_slot *slot = &symswap.slot[number];
	spinlock_t *table;
	int young;

	/* A page table is detached from its slots before it is freed, so it exists. */
	if (!slot->owner)
		return 0;
	table = symswap_pte_lock(slot->pte);
	if (!spin_trylock(table))
		return -EAGAIN;
	/* A CPU that has the entry in its TLB may not set the bit again: acceptable. */
	young = test_and_clear_bit(_PAGE_BIT_ACCESSED, (unsigned long *)&slot->pte->pte);
	if (put_back)
		symswap_slot_put_back(number);
	spin_unlock(table);
	return young;
}

static int symswap_slot_do(unsigned int number, bool put_back)
{
	spinlock_t *lock = symswap_slot_lock(number);
	int ret;

	for (;;) {
		spin_lock(lock);
		ret = symswap_slot_try(number, put_back);
		spin_unlock(lock);
		if (ret != -EAGAIN)
			return ret;
		cpu_relax();
	}
}

void symswap_restore_slot(unsigned int number)
{
	symswap_slot_do(number, true);
}

bool symswap_slot_young(unsigned int number)
{
	return symswap_slot_do(number, false);
}

void symswap_slot_sample(unsigned int number)
{
	struct symswap_slot *slot = &symswap.slot[number];
	spinlock_t *lock = symswap_slot_lock(number);

	spin_lock(lock);
	/* A page table that is locked is in use. */
	if (symswap_slot_try(number, false))
		slot->where &= ~(SYMSWAP_UNUSED | SYMSWAP_COLD);
	else if (slot->where & SYMSWAP_UNUSED)
		slot->where |= SYMSWAP_COLD;
	else
		slot->where |= SYMSWAP_UNUSED;
	spin_unlock(lock);
}

bool symswap_slot_cold(unsigned int number)
{
	const struct symswap_slot *slot = &symswap.slot[number];

	return READ_ONCE(slot->owner) && READ_ONCE(slot->where) & SYMSWAP_COLD;
}
