/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Declarations shared by the files of symswap.ko.  docs/swapbypass.md explains the design.
 *
 * Locks, the outer one first: the lock of a page table, of a slot, of a process.
 */
#ifndef SYMSWAP_H
#define SYMSWAP_H

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/percpu.h>
#include <linux/spinlock.h>
#include <linux/swap.h>
#include <linux/types.h>

#include <symkit/compat.h>
#include <symkit/kernel.h>

#define SYMSWAP_DISK  "symswap0"
#define SYMSWAP_MAGIC "SWAPSPACE2" /* of a swap device's signature */

/*
 * window.c: page i of the window is slot i; slot 0 has the signature.  A slot whose page is
 * mapped in a process has an owner: the process, the page table entry and its address.
 */
struct symswap_process;

struct symswap_slot {
	struct symswap_process *owner; /* NULL: not mapped */
	pte_t *pte;
	unsigned long where; /* address, and these flags: */
};
#define SYMSWAP_EXCLUSIVE 1ul /* in the swap entry, to be put back */
#define SYMSWAP_UNUSED	  2ul /* it was not used at the last sampling */
#define SYMSWAP_COLD	  4ul /* nor at the one before */

struct symswap_window {
	u64 gpa;
	unsigned long pfn;
	unsigned int slots; /* slot 0 included */
	u8 *base; /* in the kernel's address space */
	struct symswap_slot *slot;
	unsigned long *lent; /* one bit for each slot: may have contents on the host */
	unsigned long *written; /* one bit for each slot: the window has what was swapped out */
	unsigned long *needed; /* one bit for each slot: written, and not freed since */
	unsigned long *offered; /* one bit for each slot: the VMM may be punching it */
	unsigned long *out; /* one bit for each slot: the VMM was told to move it out of memory */
	atomic_long_t nr_lent, nr_needed;
};
extern struct symswap_window symswap;

int symswap_window_init(const struct sym_item_window *window);
void symswap_window_exit(void);

static inline void *symswap_page(unsigned int slot)
{
	return symswap.base + ((unsigned long)slot << PAGE_SHIFT);
}

static inline void symswap_lend(unsigned int slot)
{
	if (!test_and_set_bit(slot, symswap.lent))
		atomic_long_inc(&symswap.nr_lent);
}

static inline void symswap_return(unsigned int slot)
{
	if (test_and_clear_bit(slot, symswap.lent))
		atomic_long_dec(&symswap.nr_lent);
}

static inline void symswap_need(unsigned int slot)
{
	if (!test_and_set_bit(slot, symswap.needed))
		atomic_long_inc(&symswap.nr_needed);
}

static inline void symswap_unneed(unsigned int slot)
{
	if (test_and_clear_bit(slot, symswap.needed))
		atomic_long_dec(&symswap.nr_needed);
}

/* Pages that are lent, of slots that nobody needs. */
static inline unsigned long symswap_idle(void)
{
	long idle = atomic_long_read(&symswap.nr_lent) - atomic_long_read(&symswap.nr_needed);

	return max(idle, 0l);
}

spinlock_t *symswap_slot_lock(unsigned int slot);

/* Is it one of our entries?  Then *slot is set to its slot. */
bool symswap_pte(pte_t pte, unsigned int *slot);

/* device.c: the block device.  Reads and writes are copies. */
int symswap_device_init(void);
void symswap_device_exit(void);
struct block_device *symswap_bdev(void);
#define SYMSWAP_SECTORS (PAGE_SIZE >> SECTOR_SHIFT) /* of a slot */
bool symswap_within(sector_t sector, unsigned int len);
/* Copy @len bytes within one page of memory to or from @at, in bytes, of the window. */
int symswap_copy(struct page *page, unsigned int offset, unsigned int len, u64 at, bool write);

/*
 * swapon.c: make the guest start or stop swapping to the device; -EIO: @why has its program's
 * output.  symswap_area() is the kernel's swap_info_struct while it swaps to it, or NULL; the
 * cached one is as of the last lookup.  The type is valid as long as pages are mapped.
 */
#define SYMSWAP_WHY sizeof_field(struct sym_item_window_state, reason)
int symswap_on(char *why);
int symswap_off(char *why);
bool symswap_in_use(void);
struct swap_info_struct *symswap_area(void);
struct swap_info_struct *symswap_area_cached(void);
void symswap_area_look(void);
/* Does @si (still) belong to the device?  For callers that have a swap entry of it. */
bool symswap_area_ours(const struct swap_info_struct *si);
bool symswap_area_leaves(void); /* a swapoff of it is in progress */
extern int symswap_type;
/* Something is written while the kernel does not swap to it. */
void symswap_area_strange_write(void);

/* hold.c: free slots that we keep out of use because of the limit. */
void symswap_hold_limit(u64 bytes);
bool symswap_may_fill(void); /* may a slot that is not lent yet be written? */
void symswap_hold_adjust(void);
void symswap_hold_drop(void);
unsigned int symswap_allowed(void); /* the limit, in slots */
unsigned int symswap_held(void);
int symswap_hold_init(void);
void symswap_hold_exit(void);

/* reclaim.c: slots for the VMM to take back. */
int symswap_reclaim(void *arg, struct sym_upcall *call);
int symswap_reclaimed(void *arg, struct sym_upcall *call);
void symswap_reclaim_poll(void);
/*
 * Before a slot is written (_claim: it is needed from now on) or read: wait while the VMM may be
 * punching it, for 15 seconds at most.  May sleep.
 */
void symswap_claim(unsigned int slot);
void symswap_settle_wait(unsigned int slot);

/* age.c: which mapped pages are cold, sampled. */
void symswap_age_sample(void);
unsigned long symswap_cold(void); /* pages, at the last sampling of all */

/* state.c: figures, shown about once a second. */
struct symswap_counts {
	u64 maps;
	u64 restores;
	u64 passed;
	u64 reads;
	u64 writes;
};
DECLARE_PER_CPU(struct symswap_counts, symswap_counts);
#define symswap_count(what) this_cpu_inc(symswap_counts.what)

void symswap_state_show(void);
void symswap_state_start(void);
void symswap_state_stop(void);

/* main.c: the current level, and why it is not the one wanted, or "". */
u32 symswap_level(char *why);

/* kernel.c: functions that are not exported; false, with @why: the kernel is not suitable. */
bool symswap_kernel_init(bool force, char *why);
bool symswap_zswap_used(struct swap_info_struct *si, unsigned long offset);
bool symswap_zswap_on(void); /* it keeps pages, or did: no slot may be mapped */
void symswap_flush(struct mm_struct *mm, unsigned long start, unsigned long end);
void symswap_lru_leave(struct mm_struct *mm);
void symswap_lru_join(struct mm_struct *mm);

/*
 * hooks.c: the bypass as a whole.  symswap_bypass() allows new mappings, or forbids them and
 * puts back the existing ones.
 */
int symswap_hooks_init(char *why);
void symswap_hooks_exit(void);
void symswap_bypass(bool on);
bool symswap_bypassing(void);
bool symswap_swapping_off(void);
/*
 * A swapoff would wait for slots that we hold and for swap entries that our mappings replace:
 * between _begin and _end both are released, if it is of our device.  After a swapon, call
 * _resume.  _poll is called now and then, mainly for kernels on which swapoff is not hooked.
 */
void symswap_swapoff_begin(void);
void symswap_swapoff_end(void);
void symswap_resume(void);
void symswap_swapoff_poll(void);

/*
 * process.c: an address space that has or may have pages mapped.  Ranges of it are
 * closed while the kernel works on them.
 */
#define SYMSWAP_RANGES 8

struct symswap_process {
	struct mmu_notifier notifier; /* its mm is the address space */
	struct hlist_node node;
	struct rcu_head rcu;
	spinlock_t lock;
	unsigned int nr_ranges;
	unsigned int others; /* ranges beyond the array: everything is closed */
	struct {
		unsigned long start;
		unsigned long end;
	} range[SYMSWAP_RANGES];
	unsigned long mapped; /* pages, now */
	unsigned long ready; /* jiffies: not before this */
	bool gone; /* no page may be mapped any more */
};

/* In an RCU read section; NULL: none, symswap_process_want() has one made. */
struct symswap_process *symswap_process_find(struct mm_struct *mm);
void symswap_process_want(struct mm_struct *mm);
bool symswap_process_open(const struct symswap_process *p, unsigned long address);
/*
 * Close a range and put back what is mapped there; open it again.  _close: the caller keeps
 * the page tables of the range from being freed, as all callers of notifiers do.  _close_live:
 * the caller holds mmap_lock only; areas that a munmap() has removed already are left to that.
 */
void symswap_process_close(struct symswap_process *p, unsigned long start, unsigned long end);
void symswap_process_close_live(struct symswap_process *p, unsigned long start,
				unsigned long end);
void symswap_process_reopen(struct symswap_process *p, unsigned long start, unsigned long end);
unsigned int symswap_processes(void);
void symswap_process_restore_all(void);
void symswap_process_exit(void);

/* fault.c: 0, or SYMSWAP_PASS: call the kernel's own function. */
#define SYMSWAP_PASS 0x40000000u
unsigned int symswap_fault(struct vm_fault *vmf);

/*
 * restore.c: put the swap entries back, so that none of our mappings is left.  By range
 * (nothing may be mapped there meanwhile), or by slot.  _range and _live: as for the two
 * ways to close a range.
 */
void symswap_restore_range(struct symswap_process *p, unsigned long start, unsigned long end);
void symswap_restore_live(struct symswap_process *p, unsigned long start, unsigned long end);
void symswap_restore_slot(unsigned int slot);
/*
 * If the slot's page is mapped: has it been used since the last call?  _sample: the same, and
 * note it.  _cold: it is mapped, and was not used in two samplings.
 */
bool symswap_slot_young(unsigned int slot);
void symswap_slot_sample(unsigned int slot);
bool symswap_slot_cold(unsigned int slot);

#endif
