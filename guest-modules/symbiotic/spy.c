// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's page: built in a buffer, then copied into place between two increments of
 * the sequence, so that a reader sees the old page or the new one.
 */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/utsname.h>
#include <linux/vmalloc.h>

#include "symbiotic.h"

static struct sym_spy_header *sym_page; /* read by the VMM */
static u8 *sym_next; /* under construction */
static u32 sym_used;
static struct sym_item_memory *sym_memory; /* in sym_page */
static bool sym_spy_on;

void *sym_spy_add(u16 type, size_t len)
{
	struct sym_item *item = (void *)(sym_next + sym_used);
	size_t size = sizeof(*item) + SYM_ITEM_ALIGN(len);

	if (size > SYM_SPY_GUEST_SIZE - sym_used)
		return NULL;
	memset(item, 0, size);
	item->type = type;
	item->len = len;
	sym_used += size;
	return item + 1;
}

static void sym_kernel_show(void)
{
	struct sym_item_kernel *kernel = sym_spy_add(SYM_ITEM_KERNEL, sizeof(*kernel));

	strscpy(kernel->release, init_utsname()->release, sizeof(kernel->release));
	strscpy(kernel->version, init_utsname()->version, sizeof(kernel->version));
	kernel->nr_cpus = num_possible_cpus(); /* never changes */
}

static void sym_anchors_show(void)
{
	struct sym_item_anchors *anchors = sym_spy_add(SYM_ITEM_ANCHORS, sizeof(*anchors));

	if (IS_ENABLED(CONFIG_KEXEC_CORE))
		anchors->vmcoreinfo_gpa = paddr_vmcoreinfo_note();
	anchors->page_offset = PAGE_OFFSET;
	anchors->page_array = VMEMMAP_START;
	anchors->phys_base = phys_base;
	if (boot_cpu_has(X86_FEATURE_PTI))
		anchors->cr3_user_bits = BIT(12) | BIT(11);
}

static void sym_memory_show(void)
{
	sym_memory = sym_spy_add(SYM_ITEM_MEMORY, sizeof(*sym_memory));
	sym_memory_read(sym_memory);
}

static void sym_spy_write(u32 at, const void *from, size_t len, u32 used)
{
	u32 sequence = sym_page->sequence;

	WRITE_ONCE(sym_page->sequence, sequence + 1);
	smp_wmb();
	memcpy((u8 *)sym_page + at, from, len);
	WRITE_ONCE(sym_page->used, used);
	smp_wmb();
	WRITE_ONCE(sym_page->sequence, sequence + 2);
}

void sym_spy_rebuild_locked(void)
{
	const u32 head = sizeof(struct sym_spy_header);

	lockdep_assert_held(&sym_lock);
	if (!sym_spy_on)
		return;
	sym_used = head;
	sym_kernel_show();
	sym_anchors_show();
	sym_memory_show();
	sym_window_state_show();
	sym_modules_show();
	sym_handlers_show();
	sym_values_show();
	sym_spy_write(head, sym_next + head, sym_used - head, sym_used);
}

void sym_spy_copy_locked(void *to, const void *from, size_t len)
{
	if (!sym_spy_on)
		return;
	memcpy(to, from, len);
	sym_spy_write((u8 *)to - sym_next, to, len, sym_used);
}

void sym_spy_memory_locked(const struct sym_item_memory *memory)
{
	sym_spy_copy_locked(sym_memory, memory, sizeof(*memory));
}

/*
 * Notify the VMM, if we are registered.  It reads the page at once: under the lock no other
 * writer can interfere, and the last version that it reads is the newest.
 */
void sym_changed_locked(u32 what)
{
	if (sym_spy_on)
		sym_hypercall(SYM_HC_CHANGED, what, 0, 0);
}

int sym_spy_start(void)
{
	memset(sym_page, 0, SYM_SPY_GUEST_SIZE);
	*sym_page = (struct sym_spy_header){
		.magic = SYM_SPY_MAGIC,
		.version = SYM_ABI_VERSION,
		.kind = SYM_SPY_GUEST,
		.size = SYM_SPY_GUEST_SIZE,
		.used = sizeof(*sym_page),
		.generation = sym_vmm.generation,
	};
	mutex_lock(&sym_lock);
	sym_spy_on = true;
	sym_spy_rebuild_locked();
	mutex_unlock(&sym_lock);
	return sym_msr_write(SYM_MSR_SPY_GUEST, virt_to_phys(sym_page) | SYM_MSR_ENABLE);
}

void sym_spy_stop(void)
{
	mutex_lock(&sym_lock);
	sym_spy_on = false;
	mutex_unlock(&sym_lock);
}

int sym_spy_init(void)
{
	sym_page = (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO,
					    get_order(SYM_SPY_GUEST_SIZE));
	sym_next = vzalloc(SYM_SPY_GUEST_SIZE);
	if (sym_page && sym_next)
		return 0;
	sym_spy_exit();
	return -ENOMEM;
}

void sym_spy_exit(void)
{
	free_pages((unsigned long)sym_page, get_order(SYM_SPY_GUEST_SIZE));
	vfree(sym_next);
	sym_page = NULL;
	sym_next = NULL;
}
