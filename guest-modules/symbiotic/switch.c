// SPDX-License-Identifier: GPL-2.0
/*
 * Each CPU's page shows what it runs, as of its last context switch, exec or change of name.
 * This is on the path of every switch: a few stores, no call, no exit.
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/tracepoint.h>

#include <trace/events/sched.h>
#include <trace/events/task.h>

#include "symbiotic.h"

static DEFINE_PER_CPU(struct sym_spy_vcpu *, sym_switch_page);
static __always_inline void sym_switch_write(struct sym_spy_vcpu *page,
					     const struct task_struct *next, u64 switches)
{
	const struct mm_struct *mm = next->mm;
	u32 sequence = page->head.sequence;

	/* x86 keeps the order of stores; only the compiler must not change it. */
	WRITE_ONCE(page->head.sequence, sequence + 1);
	barrier();
	page->task.pid = next->pid;
	page->task.tgid = next->tgid;
	memcpy(page->task.comm, next->comm, TASK_COMM_LEN); /* two moves each way */
	page->task.task = (unsigned long)next;
	page->task.root = mm ? __pa(mm->pgd) : 0;
	page->task.switches += switches;
	barrier();
	WRITE_ONCE(page->head.sequence, sequence + 2);
}
static_assert(TASK_COMM_LEN == sizeof_field(struct sym_item_task, comm));

static notrace void sym_switch_probe(void *data, bool preempt, struct task_struct *prev,
				     struct task_struct *next, unsigned int prev_state)
{
	struct sym_spy_vcpu *page = raw_cpu_read(sym_switch_page);

	if (likely(page))
		sym_switch_write(page, next, 1);
}

/* The task continues with another name and other page tables, without a switch. */
static notrace void sym_exec_probe(void *data, struct task_struct *task, pid_t old_pid,
				   struct linux_binprm *program)
{
	struct sym_spy_vcpu *page = raw_cpu_read(sym_switch_page);

	if (page)
		sym_switch_write(page, task, 0);
}

/* A task may change its name and not be switched for long; @task->comm is the old one. */
static notrace void sym_rename_probe(void *data, struct task_struct *task, const char *comm)
{
	struct sym_spy_vcpu *page = raw_cpu_read(sym_switch_page);
	u32 sequence;

	if (!page || task != current)
		return;
	sequence = page->head.sequence;
	WRITE_ONCE(page->head.sequence, sequence + 1);
	barrier();
	strscpy_pad(page->task.comm, comm, sizeof(page->task.comm));
	barrier();
	WRITE_ONCE(page->head.sequence, sequence + 2);
}

/* On CPU @number itself; @page was registered, or (NULL) unregistered. */
void sym_switch_set_page(unsigned int number, struct sym_spy_vcpu *page)
{
	unsigned long flags;

	local_irq_save(flags);
	per_cpu(sym_switch_page, number) = page;
	if (page)
		sym_switch_write(page, current, 0);
	local_irq_restore(flags);
}

void sym_switch_init_page(struct sym_spy_vcpu *page)
{
	memset(page, 0, SYM_PAGE_SIZE);
	page->head = (struct sym_spy_header){
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

static struct {
	const char *name;
	void *probe;
	struct tracepoint *point; /* not exported, but can be looked up */
	bool on;
} sym_switch_probes[] = {
	{ "sched_switch", sym_switch_probe },
	{ "sched_process_exec", sym_exec_probe },
	{ "task_rename", sym_rename_probe },
};

static void sym_switch_found(struct tracepoint *point, void *data)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(sym_switch_probes); i++)
		if (!strcmp(point->name, sym_switch_probes[i].name))
			sym_switch_probes[i].point = point;
}

int sym_switch_start(void)
{
	int i, err;

	/* Fail to compile if the argument lists differ from the kernel's. */
	check_trace_callback_type_sched_switch(sym_switch_probe);
	check_trace_callback_type_sched_process_exec(sym_exec_probe);
	check_trace_callback_type_task_rename(sym_rename_probe);
	for_each_kernel_tracepoint(sym_switch_found, NULL);
	for (i = 0; i < ARRAY_SIZE(sym_switch_probes); i++) {
		if (!sym_switch_probes[i].point)
			return -ENOENT;
		err = tracepoint_probe_register(sym_switch_probes[i].point,
						sym_switch_probes[i].probe, NULL);
		if (err)
			return err;
		sym_switch_probes[i].on = true;
	}
	return 0;
}

void sym_switch_stop(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(sym_switch_probes); i++) {
		if (sym_switch_probes[i].on)
			tracepoint_probe_unregister(sym_switch_probes[i].point,
						    sym_switch_probes[i].probe, NULL);
		sym_switch_probes[i].on = false;
	}
	tracepoint_synchronize_unregister();
}
