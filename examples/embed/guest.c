/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kernel that consists of one loop and uses the symbiotic interface: all that an
 * operating system needs on its side, without interrupts.  It is linked in the upper
 * half, like other kernels, and started in 64-bit mode on a stack.
 */
#include <stdint.h>

#include "sym/abi.h"

#define KERNEL_BASE 0xffffffff80000000ull
#define CONSOLE	    0x3f8
#define COOKIE	    0x5eed5eed5eed5eedull

#define page_aligned __attribute__((aligned(4096)))

static uint8_t spy[SYM_SPY_GUEST_SIZE] page_aligned;
static struct sym_spy_vcpu task page_aligned;
static struct sym_call_area area page_aligned;
static uint8_t call_stack[4096] page_aligned;
static volatile uint64_t turns;

static void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void print(const char *text)
{
	while (*text)
		outb(CONSOLE, *text++);
}

static void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"(value >> 32) : "memory");
}

static uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static int64_t hypercall(uint32_t nr, uint64_t arg)
{
	int64_t ret = nr;

	__asm__ volatile("outl %%eax, %1"
			 : "+a"(ret)
			 : "N"(SYM_PORT), "D"(COOKIE), "S"(arg)
			 : "memory");
	return ret;
}

/* The VMM starts a call here, on call_stack: see the ABI for the registers. */
__asm__(".globl call_entry\n"
	"call_entry:\n\t"
	"push %rdi\n\t"
	"push %r12\n\tpush %r11\n\tpush %r10\n\tpush %r9\n\tpush %r8\n\tpush %rcx\n\t"
	"mov %esi, %edi\n\t"
	"mov %rsp, %rsi\n\t"
	"call dispatch\n\t"
	"mov %eax, %edx\n\t" /* the status */
	"mov (%rsp), %r8\n\t" /* the results are where the arguments were */
	"mov 8(%rsp), %r9\n\t"
	"mov 48(%rsp), %rsi\n\t"
	"movabs $0x5eed5eed5eed5eed, %rdi\n\t"
	"mov $1, %eax\n\t"
	"outl %eax, $0x7e\n\t"
	"ud2");
extern const char call_entry[];

/* The handlers: 1 adds, 2 returns the number of iterations of the loop. */
__attribute__((used)) static int dispatch(uint32_t handler, uint64_t *arg)
{
	switch (handler) {
	case 1:
		arg[0] += arg[1];
		return 0;
	case 2:
		arg[0] = turns;
		return 0;
	default:
		return -38; /* ENOSYS */
	}
}

static uint64_t gpa(const volatile void *p)
{
	return (uint64_t)p - KERNEL_BASE;
}

static void *add_item(struct sym_spy_header *head, uint16_t type, uint32_t len)
{
	struct sym_item *item = (struct sym_item *)((uint8_t *)head + head->used);

	item->type = type;
	item->len = len;
	head->used += sizeof(*item) + SYM_ITEM_ALIGN(len);
	return item + 1;
}

static void copy_text(char *to, const char *from)
{
	while ((*to++ = *from++))
		;
}

static void add_handler(struct sym_spy_header *head, const char *name, uint32_t number)
{
	struct sym_item_handler *h = add_item(head, SYM_ITEM_HANDLER, sizeof(*h));

	copy_text(h->name, name);
	h->number = number;
	h->contexts = SYM_CONTEXT_EXIT | SYM_CONTEXT_KICK;
}

static void make_pages(uint32_t generation)
{
	struct sym_spy_header *head = (struct sym_spy_header *)spy;

	*head = (struct sym_spy_header){
		.magic = SYM_SPY_MAGIC,
		.version = SYM_ABI_VERSION,
		.kind = SYM_SPY_GUEST,
		.size = sizeof(spy),
		.used = sizeof(*head),
		.generation = generation,
	};
	add_handler(head, "example.add", 1);
	add_handler(head, "example.turns", 2);

	task.head = *head;
	task.head.kind = SYM_SPY_VCPU;
	task.head.size = SYM_PAGE_SIZE;
	task.head.used = sizeof(task);
	task.item.type = SYM_ITEM_TASK;
	task.item.len = sizeof(task.task);
	task.task.pid = 1;
	copy_text(task.task.comm, "loop");

	area.guest.setup = (struct sym_call_setup){
		.magic = SYM_CALL_MAGIC,
		.version = SYM_ABI_VERSION,
		.size = sizeof(area),
		.generation = generation,
		.entry = (uint64_t)call_entry,
		.stack = (uint64_t)(call_stack + sizeof(call_stack)),
		.gs_base = KERNEL_BASE,
		.cs = 0x10,
		.ss = 0x18,
	};
}

/* find - the CPUID leaf with the signature, or 0. */
static uint32_t find(void)
{
	for (uint32_t leaf = 0x40000000; leaf < 0x40010000; leaf += 0x100) {
		uint32_t eax = leaf, text[4] = { 0 };

		__asm__ volatile("cpuid"
				 : "+a"(eax), "=b"(text[0]), "=c"(text[1]), "=d"(text[2])
				 : "2"(0));
		if (!__builtin_memcmp(text, SYM_CPUID_SIGNATURE, 12))
			return leaf;
	}
	return 0;
}

__attribute__((section(".text.start"), used)) void start(void)
{
	uint32_t version, features, msr, port;

	if (!find()) {
		print("no symbiotic interface here\n");
	} else {
		__asm__ volatile("cpuid"
				 : "=a"(version), "=b"(features), "=c"(msr), "=d"(port)
				 : "0"(find() + SYM_CPUID_FEATURES), "2"(0));
		wrmsr(msr + SYM_MSR_COOKIE, COOKIE);
		wrmsr(msr + SYM_MSR_FEATURES, SYM_FEATURE_SPY | SYM_FEATURE_CALL);
		make_pages(rdmsr(msr + SYM_MSR_COOKIE));
		wrmsr(msr + SYM_MSR_SPY_GUEST, gpa(spy) | SYM_MSR_ENABLE);
		wrmsr(msr + SYM_MSR_SPY_VCPU, gpa(&task) | SYM_MSR_ENABLE);
		wrmsr(msr + SYM_MSR_CALL_AREA, gpa(&area) | SYM_MSR_ENABLE);
		hypercall(SYM_HC_CHANGED, SYM_CHANGED_READY);
		print("guest: registered\n");
	}
	for (;;)
		turns++;
}
