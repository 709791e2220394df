// SPDX-License-Identifier: GPL-2.0
/*
 * Our hooks in the kernel, by ftrace: the fault on a swapped-out page, and functions that
 * cannot handle a page of the window in a page table and do not call the notifier.
 */
#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/ftrace.h>
#include <linux/hmm.h>
#include <linux/jiffies.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>

#include "kernel.h"
#include "symswap.h"

#define SYMSWAP_SWAPOFF_LOOK (HZ / 50 + 1)

struct symswap_hook {
	const char *name;
	void *ours;
	unsigned long *original; /* address after the call of ftrace */
	bool wanted;
	bool on;
	struct ftrace_ops ops;
};

static struct symswap_hook symswap_hooks[] = {
	{ "__get_user_pages", symswap_h_gup, &symswap_p_gup, true },
	{ "__x64_sys_swapoff", symswap_h_swapoff, &symswap_p_swapoff, true },
	{ "__ia32_sys_swapoff", symswap_h_swapoff_ia32, &symswap_p_swapoff_ia32,
	  IS_ENABLED(CONFIG_IA32_EMULATION) },
#ifndef SYMSWAP_PAGES
	{ "lru_gen_look_around", symswap_h_look_around, &symswap_p_look_around,
	  IS_ENABLED(CONFIG_LRU_GEN) },
#endif
	{ "hmm_range_fault", symswap_h_hmm, &symswap_p_hmm, IS_ENABLED(CONFIG_HMM_MIRROR) },
	{ "do_swap_page", symswap_h_fault, &symswap_p_fault, true },
};

static bool symswap_hooked;
static bool symswap_bypass_on;
static atomic_t symswap_swapoffs; /* in progress, of any device */
static bool symswap_stopped; /* one is of our device */
static atomic_t symswap_inside; /* tasks in our functions that sleep */

static void notrace symswap_redirect(unsigned long ip, unsigned long parent,
				     struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	struct symswap_hook *hook = container_of(ops, struct symswap_hook, ops);

	if (unlikely(!READ_ONCE(*hook->original)))
		WRITE_ONCE(*hook->original, ip + MCOUNT_INSN_SIZE);
	ftrace_regs_set_instruction_pointer(fregs, (unsigned long)hook->ours);
}

bool symswap_bypassing(void)
{
	return READ_ONCE(symswap_bypass_on) && !READ_ONCE(symswap_stopped);
}

bool symswap_swapping_off(void)
{
	return READ_ONCE(symswap_stopped);
}

void symswap_bypass(bool on)
{
	WRITE_ONCE(symswap_bypass_on, on && symswap_hooked);
	if (!on)
		symswap_process_restore_all();
}

/* The caller holds mmap_lock, so @mm has users, and the struct that is found stays valid. */
static struct symswap_process *symswap_close(struct mm_struct *mm, unsigned long start,
					     unsigned long end)
{
	struct symswap_process *p;

	rcu_read_lock();
	p = symswap_process_find(mm);
	rcu_read_unlock();
	atomic_inc(&symswap_inside);
	if (p)
		symswap_process_close_live(p, start, end);
	return p;
}

static void symswap_reopen(struct symswap_process *p, unsigned long start, unsigned long end)
{
	if (p)
		symswap_process_reopen(p, start, end);
	atomic_dec(&symswap_inside);
}

/*
 * Code that looks for the struct page of an address finds none in our entries, and would
 * retry for ever, or continue with an invalid one.  Nothing is mapped there meanwhile.
 */
long symswap_h_gup(struct mm_struct *mm, unsigned long start, unsigned long nr_pages,
		   unsigned int flags, SYMSWAP_GUP_ARGS)
{
	unsigned long first = symswap_untagged(mm, start) & PAGE_MASK;
	unsigned long end = first + (nr_pages << PAGE_SHIFT);
	struct symswap_process *p = symswap_close(mm, first, end);
	long ret;

	ret = symswap_k_gup(mm, start, nr_pages, flags, SYMSWAP_GUP_PASS);
	symswap_reopen(p, first, end);
	return ret;
}

#if IS_ENABLED(CONFIG_HMM_MIRROR)
int symswap_h_hmm(struct hmm_range *range)
{
	unsigned long start = range->start & PAGE_MASK, end = PAGE_ALIGN(range->end);
	struct symswap_process *p = symswap_close(range->notifier->mm, start, end);
	int ret = symswap_k_hmm(range);

	symswap_reopen(p, start, end);
	return ret;
}
#endif

/*
 * Swapoff looks for swap entries in page tables until it has found all of them, and waits
 * for the slots that we hold.  Which device it works on can only be seen a little later.
 */
static void symswap_swapoff_look(struct work_struct *work);
static DECLARE_DELAYED_WORK(symswap_swapoff_work, symswap_swapoff_look);
static DEFINE_MUTEX(symswap_swapoff_lock); /* held while one begins or ends */

/* Put everything back and hold no slots: nothing is mapped or held from now on. */
static void symswap_drain(void)
{
	WRITE_ONCE(symswap_stopped, true);
	symswap_process_restore_all();
	symswap_hold_drop();
}

/* After a swapoff or a swapon: our device is used again, even if others are being swapped off. */
void symswap_resume(void)
{
	symswap_area_look();
	if (!symswap_area_leaves())
		WRITE_ONCE(symswap_stopped, false);
	symswap_hold_adjust();
}

void symswap_swapoff_poll(void)
{
	if (symswap_area_leaves()) {
		if (!symswap_hooked)
			symswap_drain();
	} else if (atomic_read(&symswap_swapoffs)) {
		symswap_hold_adjust();
	} else {
		symswap_resume();
	}
}

static void symswap_swapoff_look(struct work_struct *work)
{
	if (!atomic_read(&symswap_swapoffs))
		return;
	if (!symswap_area_leaves()) {
		queue_delayed_work(system_dfl_wq, &symswap_swapoff_work, SYMSWAP_SWAPOFF_LOOK);
		return;
	}
	symswap_drain();
}

void symswap_swapoff_begin(void)
{
	atomic_inc(&symswap_inside);
	mutex_lock(&symswap_swapoff_lock);
	atomic_inc(&symswap_swapoffs);
	queue_delayed_work(system_dfl_wq, &symswap_swapoff_work, SYMSWAP_SWAPOFF_LOOK);
	mutex_unlock(&symswap_swapoff_lock);
}

void symswap_swapoff_end(void)
{
	bool more;

	mutex_lock(&symswap_swapoff_lock);
	more = !atomic_dec_and_test(&symswap_swapoffs);
	cancel_delayed_work_sync(&symswap_swapoff_work);
	symswap_resume();
	/* Another swapoff may be of our device. */
	if (more)
		queue_delayed_work(system_dfl_wq, &symswap_swapoff_work, SYMSWAP_SWAPOFF_LOOK);
	mutex_unlock(&symswap_swapoff_lock);
	atomic_dec(&symswap_inside);
}

long symswap_h_swapoff(const struct pt_regs *regs)
{
	long ret;

	symswap_swapoff_begin();
	ret = symswap_k_swapoff(regs);
	symswap_swapoff_end();
	return ret;
}

long symswap_h_swapoff_ia32(const struct pt_regs *regs)
{
	long ret;

	symswap_swapoff_begin();
	ret = symswap_k_swapoff_ia32(regs);
	symswap_swapoff_end();
	return ret;
}

#ifndef SYMSWAP_PAGES
/* The multi-generational LRU looks from a page in the reverse map at its neighbours. */
bool symswap_h_look_around(struct page_vma_mapped_walk *walk)
{
	struct symswap_process *p;
	unsigned long mapped;

	rcu_read_lock();
	p = symswap_process_find(walk->vma->vm_mm);
	mapped = p ? READ_ONCE(p->mapped) : 0;
	rcu_read_unlock();
	if (!mapped)
		return symswap_k_look_around(walk);
	return false; /* skip the neighbours; the caller handles the page itself */
}
#endif

static int symswap_hook_on(struct symswap_hook *hook)
{
	unsigned long address = symswap_k_lookup(hook->name);
	int err;

	if (!address)
		return -ENOENT;
	hook->ops.func = symswap_redirect;
	/* Permanent: while they are set, ftrace cannot be disabled. */
	hook->ops.flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY |
			  FTRACE_OPS_FL_RECURSION | FTRACE_OPS_FL_PERMANENT;
	err = ftrace_set_filter_ip(&hook->ops, address, 0, 0);
	if (err)
		return err;
	err = register_ftrace_function(&hook->ops);
	if (err)
		ftrace_set_filter_ip(&hook->ops, address, 1, 0);
	else
		hook->on = true;
	return err;
}

int symswap_hooks_init(char *why)
{
	int i, err;

	for (i = 0; i < ARRAY_SIZE(symswap_hooks); i++) {
		if (!symswap_hooks[i].wanted)
			continue;
		err = symswap_hook_on(&symswap_hooks[i]);
		if (err) {
			snprintf(why, SYMSWAP_WHY, "%s cannot be hooked (%d)",
				 symswap_hooks[i].name, err);
			symswap_hooks_exit();
			return err;
		}
	}
	symswap_hooked = true;
	return 0;
}

/* Nothing is mapped any more, but a task may still sleep in a function that we called. */
void symswap_hooks_exit(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(symswap_hooks); i++) {
		if (!symswap_hooks[i].on)
			continue;
		unregister_ftrace_function(&symswap_hooks[i].ops);
		symswap_hooks[i].on = false;
	}
	symswap_hooked = false;
	synchronize_rcu_tasks();
	while (atomic_read(&symswap_inside))
		msleep(20);
	synchronize_rcu_tasks();
}
