// SPDX-License-Identifier: GPL-2.0
/* What each CPU registers for itself when it comes online, and unregisters. */
#include <linux/cpuhotplug.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <asm/msr.h>
#include <asm/segment.h>

#include "symbiotic.h"

DEFINE_PER_CPU(struct sym_cpu, sym_cpus);

static enum cpuhp_state sym_state = CPUHP_INVALID;

/* The bits of CR3 that select the user's half of the page tables, and its PCID. */
static u64 sym_cr3_user_bits(void)
{
	return boot_cpu_has(X86_FEATURE_PTI) ? BIT(12) | BIT(11) : 0;
}

static int sym_cpu_alloc(struct sym_cpu *cpu)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_ZERO;

	if (!cpu->page)
		cpu->page = (void *)__get_free_page(gfp);
	if (!cpu->area)
		cpu->area = (void *)__get_free_pages(gfp, get_order(sizeof(*cpu->area)));
	if (!cpu->stack)
		cpu->stack = vzalloc(SYM_STACK_SIZE); /* with a guard page */
	return cpu->page && cpu->area && cpu->stack ? 0 : -ENOMEM;
}

static void sym_cpu_fill(struct sym_cpu *cpu, unsigned int number)
{
	struct sym_call_setup *setup = &cpu->area->guest.setup;
	unsigned long flags;
	u64 gs_base;
	int i;

	sym_switch_init_page(cpu->page);
	for (i = 0; i < SYM_CALL_SLOTS; i++) {
		raw_spin_lock_irqsave(&cpu->slot[i].lock, flags);
		WRITE_ONCE(cpu->slot[i].taken, 0);
		raw_spin_unlock_irqrestore(&cpu->slot[i].lock, flags);
	}

	memset(&cpu->area->guest, 0, sizeof(cpu->area->guest));
	memset(&cpu->area->host, 0, sizeof(cpu->area->host));
	/* An abandoned nested handler does not run any more, since we run on its CPU. */
	WRITE_ONCE(cpu->slot[SYM_CALL_NESTED].running, NULL);
	rdmsrq(MSR_GS_BASE, gs_base);
	*setup = (struct sym_call_setup){
		.magic = SYM_CALL_MAGIC,
		.version = SYM_ABI_VERSION,
		.size = sizeof(struct sym_call_area),
		.generation = sym_vmm.generation,
		.entry = (unsigned long)sym_nested_entry,
		.stack = (unsigned long)cpu->stack + SYM_STACK_SIZE,
		.gs_base = gs_base,
		.cr3_user_bits = sym_cr3_user_bits(),
		.cs = __KERNEL_CS,
		.ss = __KERNEL_DS,
		.cpu = number,
	};
}

/* The VMM's half of the call area: copied once, then checked. */
static int sym_cpu_check(struct sym_cpu *cpu)
{
	u32 magic = READ_ONCE(cpu->area->host.magic);
	u32 generation = READ_ONCE(cpu->area->host.generation);

	cpu->vcpu = READ_ONCE(cpu->area->host.vcpu);
	return magic == SYM_CALL_MAGIC && generation == sym_vmm.generation ? 0 : -EPROTO;
}

static int sym_cpu_offline(unsigned int number)
{
	struct sym_cpu *cpu = per_cpu_ptr(&sym_cpus, number);

	smp_store_release(&cpu->calls, false);
	if (sym_vmm.granted & SYM_FEATURE_CALL)
		sym_msr_write(SYM_MSR_CALL_AREA, 0);
	sym_switch_set_page(number, NULL);
	sym_msr_write(SYM_MSR_SPY_VCPU, 0);
	return 0;
}

static int sym_cpu_online(unsigned int number)
{
	struct sym_cpu *cpu = per_cpu_ptr(&sym_cpus, number);
	int err;

	err = sym_cpu_alloc(cpu);
	if (err)
		return err;
	sym_cpu_fill(cpu, number);
	err = sym_msr_write(SYM_MSR_SPY_VCPU, virt_to_phys(cpu->page) | SYM_MSR_ENABLE);
	if (err)
		return err;
	sym_switch_set_page(number, cpu->page);
	if (!(sym_vmm.granted & SYM_FEATURE_CALL))
		return 0;
	err = sym_msr_write(SYM_MSR_CALL_AREA, virt_to_phys(cpu->area) | SYM_MSR_ENABLE);
	if (!err)
		err = sym_cpu_check(cpu);
	if (err)
		sym_cpu_offline(number);
	else
		smp_store_release(&cpu->calls, true);
	return err;
}

int sym_cpus_start(void)
{
	int err;

	err = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "symbiotic:online", sym_cpu_online,
				sym_cpu_offline);
	if (err < 0)
		return err;
	sym_state = err;
	return 0;
}

void sym_cpus_stop(void)
{
	if (sym_state != CPUHP_INVALID)
		cpuhp_remove_state(sym_state);
	sym_state = CPUHP_INVALID;
}

/* Only when no code can be using the areas. */
void sym_cpus_free(void)
{
	int number;

	for_each_possible_cpu(number) {
		struct sym_cpu *cpu = per_cpu_ptr(&sym_cpus, number);

		free_page((unsigned long)cpu->page);
		free_pages((unsigned long)cpu->area, get_order(sizeof(*cpu->area)));
		vfree(cpu->stack);
	}
}
