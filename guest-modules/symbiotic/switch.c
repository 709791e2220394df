// SPDX-License-Identifier: GPL-2.0
/*
 * Each CPU's page says what it runs, as of its last context switch.  This is on the
 * path of every switch: a few stores, no call, no exit.
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/tracepoint.h>

#include <trace/events/sched.h>

#include "symbiotic.h"

static DEFINE_PER_CPU(struct sym_spy_vcpu *, sym_switch_page);
static struct tracepoint *sym_switch_point;
static bool sym_switch_on;

static __always_inline void sym_switch_write(struct sym_spy_vcpu *page,
					     const struct task_struct *next)
{
	const struct mm_struct *mm = next->mm;
	u32 sequence = page->head.sequence;

	/* The VMM sees stores in their order; only the compiler must keep it. */
	WRITE_ONCE(page->head.sequence, sequence + 1);
	barrier();
	page->task.pid = next->pid;
	page->task.tgid = next->tgid;
	memcpy(page->task.comm, next->comm, TASK_COMM_LEN); /* two moves each way */
	page->task.task = (unsigned long)next;
	page->task.root = mm ? __pa(mm->pgd) : 0;
	page->task.switches++;
	barrier();
	WRITE_ONCE(page->head.sequence, sequence + 2);
}
static_assert(TASK_COMM_LEN == sizeof_field(struct sym_item_task, comm));

static notrace void sym_switch_probe(void *data, bool preempt, struct task_struct *prev,
				     struct task_struct *next, unsigned int prev_state)
{
	struct sym_spy_vcpu *page = raw_cpu_read(sym_switch_page);

	if (likely(page))
		sym_switch_write(page, next);
}

/* On CPU @number itself; @page has been registered, or is not any more. */
void sym_switch_set_page(unsigned int number, struct sym_spy_vcpu *page)
{
	unsigned long flags;

	local_irq_save(flags);
	per_cpu(sym_switch_page, number) = page;
	if (page)
		sym_switch_write(page, current);
	local_irq_restore(flags);
}

void sym_switch_init_page(struct sym_spy_vcpu *page)
{
	memset(page, 0, SYM_PAGE_SIZE);
	page->head = (struct sym_spy_header) {
		.magic = SYM_SPY_MAGIC,
		.version = SYM_ABI_VERSION,
		.kind = SYM_SPY_VCPU,
		.size = SYM_PAGE_SIZE,
		.used = sizeof(*page),
		.generation = sym_vmm.generation,
	};
	page->item.type = SYM_ITEM_TASK;
	page->item.len = sizeof(page->task);
}

/* The tracepoint itself is not exported, but can be come by. */
static void sym_switch_found(struct tracepoint *point, void *name)
{
	if (!strcmp(point->name, name))
		sym_switch_point = point;
}

int sym_switch_start(void)
{
	int err;

	for_each_kernel_tracepoint(sym_switch_found, "sched_switch");
	if (!sym_switch_point)
		return -ENOENT;
	/* An argument list that has changed must not compile. */
	check_trace_callback_type_sched_switch(sym_switch_probe);
	err = tracepoint_probe_register(sym_switch_point, sym_switch_probe, NULL);
	sym_switch_on = !err;
	return err;
}

void sym_switch_stop(void)
{
	if (!sym_switch_on)
		return;
	tracepoint_probe_unregister(sym_switch_point, sym_switch_probe, NULL);
	tracepoint_synchronize_unregister();
	sym_switch_on = false;
}
