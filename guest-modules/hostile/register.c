// SPDX-License-Identifier: GPL-2.0
/* A correct registration, from which the rules are then violated. */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include <asm/segment.h>

#include "hostile.h"

struct hostile hostile;

int hostile_wrmsr(u32 msr, u64 value)
{
	return wrmsrq_safe(hostile.msr + msr, value) ? -EIO : 0;
}

/* A write that should be refused; counted. */
void hostile_try(u32 msr, u64 value)
{
	if (hostile_wrmsr(msr, value))
		hostile.refused++;
	else
		hostile.accepted++;
}

long hostile_call(u32 nr, u64 cookie, u64 a, u64 b, u64 c, u64 d)
{
	register u64 r8 asm("r8") = c;
	register u64 r9 asm("r9") = d;
	register u64 r10 asm("r10") = 0;
	u64 rax = nr;

	asm volatile("outl %%eax, %[port]"
		     : "+a"(rax)
		     : "D"(cookie), "S"(a), "d"(b), "r"(r8), "r"(r9),
		       "r"(r10), [port] "N"(SYM_PORT)
		     : "memory");
	return rax;
}

void hostile_ready(void)
{
	hostile_call(SYM_HC_CHANGED, HOSTILE_COOKIE, SYM_CHANGED_READY, 0, 0, 0);
}

void hostile_setup(struct sym_call_area *area, unsigned int cpu)
{
	u64 gs_base;

	rdmsrq(MSR_GS_BASE, gs_base);
	area->guest.setup = (struct sym_call_setup){
		.magic = SYM_CALL_MAGIC,
		.version = SYM_ABI_VERSION,
		.size = sizeof(struct sym_call_area),
		.generation = hostile.generation,
		.entry = (unsigned long)hostile_entry,
		.stack = (unsigned long)hostile.cpu[cpu].stack + HOSTILE_STACK,
		.gs_base = gs_base,
		.cr3_user_bits = boot_cpu_has(X86_FEATURE_PTI) ? BIT(12) | BIT(11) : 0,
		.cs = __KERNEL_CS,
		.ss = __KERNEL_DS,
		.cpu = cpu,
	};
}

/* The names that the tests and their service use. */
void hostile_spy_page(void)
{
	static const char *const names[] = {
		"symtest.echo",
		"symtest.error",
		"hostile.nested",
	};
	struct sym_spy_header *head = (void *)hostile.spy;
	u32 at = sizeof(*head), i;

	memset(hostile.spy, 0, SYM_SPY_GUEST_SIZE);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		struct sym_item *item = (void *)(hostile.spy + at);
		struct sym_item_handler *handler = (void *)(item + 1);

		item->type = SYM_ITEM_HANDLER;
		item->len = sizeof(*handler);
		strscpy(handler->name, names[i], sizeof(handler->name));
		handler->number = i + 1;
		handler->contexts = SYM_CONTEXT_ALL;
		at += sizeof(*item) + sizeof(*handler);
	}
	*head = (struct sym_spy_header){
		.magic = SYM_SPY_MAGIC,
		.version = SYM_ABI_VERSION,
		.kind = SYM_SPY_GUEST,
		.size = SYM_SPY_GUEST_SIZE,
		.used = at,
		.generation = hostile.generation,
		.sequence = 2,
	};
}

void hostile_vcpu_page(struct sym_spy_vcpu *page)
{
	memset(page, 0, SYM_PAGE_SIZE);
	*page = (struct sym_spy_vcpu) {
		.head = {
			.magic = SYM_SPY_MAGIC,
			.version = SYM_ABI_VERSION,
			.kind = SYM_SPY_VCPU,
			.size = SYM_PAGE_SIZE,
			.used = sizeof(*page),
			.generation = hostile.generation,
			.sequence = 2,
		},
		.item = { .type = SYM_ITEM_TASK, .len = sizeof(page->task) },
		.task = { .pid = 1, .tgid = 1, .comm = "hostile" },
	};
}

static void hostile_register_cpu(void *info)
{
	unsigned int number = smp_processor_id();
	struct hostile_cpu *cpu;
	int *err = info;

	if (number >= HOSTILE_CPUS)
		return;
	cpu = &hostile.cpu[number];
	hostile_vcpu_page(cpu->page);
	hostile_setup(cpu->area, number);
	if (hostile_wrmsr(SYM_MSR_SPY_VCPU, virt_to_phys(cpu->page) | SYM_MSR_ENABLE) ||
	    hostile_wrmsr(SYM_MSR_CALL_AREA, virt_to_phys(cpu->area) | SYM_MSR_ENABLE))
		WRITE_ONCE(*err, -EIO);
}

/* Register everything, in the right order. */
int hostile_register(void)
{
	u64 generation = 0;
	int err = 0;

	if (hostile_wrmsr(SYM_MSR_COOKIE, HOSTILE_COOKIE) ||
	    hostile_wrmsr(SYM_MSR_FEATURES, hostile.offered) ||
	    rdmsrq_safe(hostile.msr + SYM_MSR_COOKIE, &generation))
		return -EIO;
	hostile.generation = generation;
	hostile_spy_page();
	if (hostile_wrmsr(SYM_MSR_SPY_GUEST, virt_to_phys(hostile.spy) | SYM_MSR_ENABLE) ||
	    hostile_wrmsr(SYM_MSR_SPY_HOST, virt_to_phys(hostile.show) | SYM_MSR_ENABLE))
		return -EIO;
	on_each_cpu(hostile_register_cpu, &err, 1);
	hostile_ready();
	return err;
}

void hostile_leave(void)
{
	hostile_wrmsr(SYM_MSR_COOKIE, 0);
}

static void *hostile_pages_of(size_t size)
{
	return (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, get_order(size));
}

int hostile_alloc(void)
{
	int i;

	hostile.spy = hostile_pages_of(SYM_SPY_GUEST_SIZE);
	hostile.show = hostile_pages_of(SYM_PAGE_SIZE);
	if (!hostile.spy || !hostile.show)
		return -ENOMEM;
	for (i = 0; i < HOSTILE_CPUS; i++) {
		struct hostile_cpu *cpu = &hostile.cpu[i];

		cpu->page = hostile_pages_of(SYM_PAGE_SIZE);
		cpu->area = hostile_pages_of(sizeof(*cpu->area));
		cpu->stack = vzalloc(HOSTILE_STACK);
		if (!cpu->page || !cpu->area || !cpu->stack)
			return -ENOMEM;
	}
	return 0;
}

void hostile_free(void)
{
	int i;

	for (i = 0; i < HOSTILE_CPUS; i++) {
		struct hostile_cpu *cpu = &hostile.cpu[i];

		free_page((unsigned long)cpu->page);
		free_pages((unsigned long)cpu->area, get_order(sizeof(*cpu->area)));
		vfree(cpu->stack);
	}
	free_pages((unsigned long)hostile.spy, get_order(SYM_SPY_GUEST_SIZE));
	free_page((unsigned long)hostile.show);
}
