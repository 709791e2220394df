// SPDX-License-Identifier: GPL-2.0
/*
 * Address spaces with pages of the window.  A notifier is called before the kernel changes
 * their page tables; from then until the change is complete the range is closed: mappings
 * there are put back, and no new ones are made.
 */
#include <linux/delay.h>
#include <linux/hashtable.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "symswap.h"

/* By then, walks of its page tables that began before it joined have finished. */
#define SYMSWAP_SETTLE (HZ / 10) /* and the same again for each GiB */
#define SYMSWAP_WANTED 16

static DEFINE_HASHTABLE(symswap_hash, 8); /* by mm; RCU, and symswap_hash_lock */
static DEFINE_SPINLOCK(symswap_hash_lock);
static unsigned int symswap_nr;
static struct mm_struct *symswap_wanted[SYMSWAP_WANTED]; /* each with a reference */

/*
 * Joining takes all locks of the reverse map, which a process shares with its ancestors; that
 * is not worth it for a process that ends soon.
 */
static unsigned int min_age = 250;
module_param(min_age, uint, 0644);
MODULE_PARM_DESC(min_age, "Map pages in processes older than this, in ms (250)");

static void symswap_process_join(struct work_struct *work);
static DECLARE_WORK(symswap_join, symswap_process_join);

struct symswap_process *symswap_process_find(struct mm_struct *mm)
{
	struct symswap_process *p;

	hash_for_each_possible_rcu(symswap_hash, p, node, (unsigned long)mm)
		if (p->notifier.mm == mm)
			return p;
	return NULL;
}

/* Under p->lock. */
bool symswap_process_open(const struct symswap_process *p, unsigned long address)
{
	int i;

	if (p->gone || p->others || time_before(jiffies, p->ready))
		return false;
	for (i = 0; i < p->nr_ranges; i++)
		if (address >= p->range[i].start && address < p->range[i].end)
			return false;
	return true;
}

/* True if something is mapped, anywhere. */
static bool symswap_process_shut(struct symswap_process *p, unsigned long start,
				 unsigned long end)
{
	unsigned long mapped;

	spin_lock(&p->lock);
	if (p->nr_ranges < SYMSWAP_RANGES) {
		p->range[p->nr_ranges].start = start;
		p->range[p->nr_ranges].end = end;
		p->nr_ranges++;
	} else {
		p->others++;
	}
	mapped = p->mapped;
	spin_unlock(&p->lock);
	return mapped;
}

void symswap_process_close(struct symswap_process *p, unsigned long start, unsigned long end)
{
	if (symswap_process_shut(p, start, end))
		symswap_restore_range(p, start, end);
}

void symswap_process_close_live(struct symswap_process *p, unsigned long start, unsigned long end)
{
	if (symswap_process_shut(p, start, end))
		symswap_restore_live(p, start, end);
}

void symswap_process_reopen(struct symswap_process *p, unsigned long start, unsigned long end)
{
	int i;

	spin_lock(&p->lock);
	for (i = 0; i < p->nr_ranges; i++)
		if (p->range[i].start == start && p->range[i].end == end)
			break;
	if (i < p->nr_ranges)
		p->range[i] = p->range[--p->nr_ranges];
	else if (!WARN_ON_ONCE(!p->others))
		p->others--;
	spin_unlock(&p->lock);
}

static int symswap_range_start(struct mmu_notifier *notifier,
			       const struct mmu_notifier_range *range)
{
	symswap_process_close(container_of(notifier, struct symswap_process, notifier),
			      range->start, range->end);
	return 0;
}

static void symswap_range_end(struct mmu_notifier *notifier,
			      const struct mmu_notifier_range *range)
{
	symswap_process_reopen(container_of(notifier, struct symswap_process, notifier),
			       range->start, range->end);
}

/* True once only: the caller then drops the notifier. */
static bool symswap_process_leave(struct symswap_process *p)
{
	bool first;

	spin_lock(&symswap_hash_lock);
	first = !hlist_unhashed(&p->node);
	if (first) {
		hlist_del_init_rcu(&p->node);
		symswap_nr--;
	}
	spin_unlock(&symswap_hash_lock);
	return first;
}

static void symswap_process_empty(struct symswap_process *p)
{
	unsigned long mapped;

	spin_lock(&p->lock);
	p->gone = true;
	mapped = p->mapped;
	spin_unlock(&p->lock);
	if (mapped)
		symswap_restore_range(p, 0, TASK_SIZE_MAX);
}

/* The last user of the address space is gone; its page tables are next. */
static void symswap_release(struct mmu_notifier *notifier, struct mm_struct *mm)
{
	struct symswap_process *p = container_of(notifier, struct symswap_process, notifier);

	symswap_process_empty(p);
	if (symswap_process_leave(p))
		mmu_notifier_put(notifier);
}

static struct mmu_notifier *symswap_alloc_notifier(struct mm_struct *mm)
{
	struct symswap_process *p = kzalloc(sizeof(*p), GFP_KERNEL);

	if (!p)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&p->lock);
	p->ready = jiffies + MAX_JIFFY_OFFSET;
	return &p->notifier;
}

static void symswap_free_notifier(struct mmu_notifier *notifier)
{
	struct symswap_process *p = container_of(notifier, struct symswap_process, notifier);

	WARN_ON_ONCE(p->mapped);
	kfree_rcu(p, rcu);
}

static const struct mmu_notifier_ops symswap_notifier = {
	.invalidate_range_start = symswap_range_start,
	.invalidate_range_end = symswap_range_end,
	.release = symswap_release,
	.alloc_notifier = symswap_alloc_notifier,
	.free_notifier = symswap_free_notifier,
};

/* @mm has users, and is not known yet. */
static void symswap_process_new(struct mm_struct *mm)
{
	unsigned long pages = get_mm_rss(mm) + get_mm_counter(mm, MM_SWAPENTS);
	struct mmu_notifier *notifier;
	struct symswap_process *p;

	rcu_read_lock();
	p = symswap_process_find(mm);
	rcu_read_unlock();
	if (p)
		return;
	notifier = mmu_notifier_get(&symswap_notifier, mm);
	if (IS_ERR(notifier))
		return;
	p = container_of(notifier, struct symswap_process, notifier);
	symswap_lru_leave(mm);
	spin_lock(&symswap_hash_lock);
	hash_add_rcu(symswap_hash, &p->node, (unsigned long)mm);
	symswap_nr++;
	spin_unlock(&symswap_hash_lock);
	/* Lock holders that did not find the new entry have finished. */
	mmap_write_lock(mm);
	spin_lock(&p->lock);
	p->ready = jiffies + SYMSWAP_SETTLE * (1 + (pages >> (30 - PAGE_SHIFT)));
	spin_unlock(&p->lock);
	mmap_write_unlock(mm);
}

static struct mm_struct *symswap_next_wanted(int i)
{
	struct mm_struct *mm;

	spin_lock(&symswap_hash_lock);
	mm = symswap_wanted[i];
	spin_unlock(&symswap_hash_lock);
	return mm;
}

static void symswap_process_join(struct work_struct *work)
{
	struct mm_struct *mm;
	int i;

	for (i = 0; i < SYMSWAP_WANTED; i++) {
		mm = symswap_next_wanted(i);
		if (!mm)
			continue;
		if (symswap_bypassing() && mmget_not_zero(mm)) {
			symswap_process_new(mm);
			mmput(mm);
		}
		spin_lock(&symswap_hash_lock);
		symswap_wanted[i] = NULL;
		spin_unlock(&symswap_hash_lock);
		mmdrop(mm);
	}
}

/* Called by a fault.  The kernel handles this fault, and the next ones until it has joined. */
void symswap_process_want(struct mm_struct *mm)
{
	u64 age = ktime_get_ns() - current->group_leader->start_time;
	int i, free = -1;

	if (age < (u64)READ_ONCE(min_age) * NSEC_PER_MSEC)
		return;
	spin_lock(&symswap_hash_lock);
	for (i = 0; i < SYMSWAP_WANTED && symswap_wanted[i] != mm; i++)
		if (!symswap_wanted[i])
			free = i;
	if (i == SYMSWAP_WANTED && free >= 0) {
		mmgrab(mm);
		symswap_wanted[free] = mm;
		queue_work(system_dfl_wq, &symswap_join);
	}
	spin_unlock(&symswap_hash_lock);
}

unsigned int symswap_processes(void)
{
	return READ_ONCE(symswap_nr);
}

/* All that have users, with a reference each; the others are being put back already. */
static struct mm_struct **symswap_process_list(unsigned int *count)
{
	struct symswap_process *p;
	struct mm_struct **list;
	unsigned int max, n = 0;
	int bucket;

	max = symswap_processes() + 64;
	list = kvmalloc_array(max, sizeof(*list), GFP_KERNEL | __GFP_NOFAIL);
	spin_lock(&symswap_hash_lock);
	hash_for_each(symswap_hash, bucket, p, node)
		if (n < max && mmget_not_zero(p->notifier.mm))
			list[n++] = p->notifier.mm;
	spin_unlock(&symswap_hash_lock);
	*count = n;
	return list;
}

static void symswap_process_restore(struct mm_struct *mm)
{
	struct symswap_process *p;

	rcu_read_lock();
	p = symswap_process_find(mm);
	rcu_read_unlock();
	if (!p)
		return;
	for (;;) {
		mmap_read_lock(mm);
		symswap_process_close_live(p, 0, TASK_SIZE_MAX);
		symswap_process_reopen(p, 0, TASK_SIZE_MAX);
		mmap_read_unlock(mm);
		if (!READ_ONCE(p->mapped))
			break;
		/* A munmap() will put back the rest: it needs no lock that we hold. */
		usleep_range(100, 1000);
	}
}

/* The caller prevents new mappings meanwhile. */
void symswap_process_restore_all(void)
{
	unsigned int i, count;
	struct mm_struct **list = symswap_process_list(&count);

	for (i = 0; i < count; i++) {
		symswap_process_restore(list[i]);
		mmput(list[i]);
		cond_resched();
	}
	kvfree(list);
}

static void symswap_process_part(struct mm_struct *mm)
{
	struct symswap_process *p;

	rcu_read_lock();
	p = symswap_process_find(mm);
	rcu_read_unlock();
	if (!p || !symswap_process_leave(p))
		return;
	symswap_lru_join(mm);
	mmu_notifier_put(&p->notifier);
}

/* After the hooks are removed: no process joins, and nothing is mapped. */
void symswap_process_exit(void)
{
	unsigned int i, count;
	struct mm_struct **list;

	cancel_work_sync(&symswap_join);
	while (symswap_processes()) {
		list = symswap_process_list(&count);
		for (i = 0; i < count; i++) {
			symswap_process_part(list[i]);
			mmput(list[i]);
		}
		kvfree(list);
		if (symswap_processes())
			msleep(20); /* some are about to leave by themselves */
	}
	for (i = 0; i < SYMSWAP_WANTED; i++)
		if (symswap_wanted[i])
			mmdrop(symswap_wanted[i]);
	mmu_notifier_synchronize();
	rcu_barrier();
}
