// SPDX-License-Identifier: GPL-2.0
/* Registrations and pages that are not valid. */
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/string.h>

#include "hostile.h"

static u64 hostile_gpa(const void *page)
{
	return virt_to_phys((void *)page) | SYM_MSR_ENABLE;
}

/* "outside END": memory that is not RAM, or not aligned; END is the end of RAM. */
static long hostile_outside(u64 end)
{
	static const u64 bad[] = {
		0x1000,
		1ull << 40 | 1,
		0xd0000001,
		0xfffffffffffff001ull,
		0x7ffffffffffff001ull,
		0xfee00001,
		~0ull,
		2,
		3,
		0x1003,
		0x1801,
		0xffffffffffffe001ull,
		1ull << 52 | 0x1001,
		1ull << 63 | 0x1001,
	};
	u32 msr, i;
	int err = hostile_register();

	for (msr = SYM_MSR_SPY_GUEST; msr <= SYM_MSR_CALL_AREA; msr++) {
		for (i = 0; i < ARRAY_SIZE(bad); i++)
			hostile_try(msr, bad[i]);
		hostile_try(msr, end | SYM_MSR_ENABLE);
		if (msr == SYM_MSR_SPY_GUEST || msr == SYM_MSR_CALL_AREA)
			hostile_try(msr, (end - SYM_PAGE_SIZE) | SYM_MSR_ENABLE);
	}
	return err;
}

/* Registering without a cookie or without the feature, and MSRs that do not exist. */
static long hostile_order(u64 arg)
{
	u64 value;
	u32 msr;

	hostile_leave();
	for (msr = SYM_MSR_FEATURES; msr < SYM_NR_MSRS; msr++)
		hostile_try(msr, hostile_gpa(hostile.spy));
	hostile_try(SYM_MSR_FEATURES, hostile.offered);
	hostile_wrmsr(SYM_MSR_COOKIE, HOSTILE_COOKIE);
	for (msr = SYM_MSR_SPY_GUEST; msr < SYM_NR_MSRS; msr++)
		hostile_try(msr, hostile_gpa(hostile.spy));
	hostile_try(SYM_MSR_FEATURES, ~0ull);
	hostile_try(SYM_MSR_FEATURES, 1ull << 32);
	for (msr = SYM_MSR_CALL_AREA + 1; msr < SYM_NR_MSRS; msr++)
		if (rdmsrq_safe(hostile.msr + msr, &value))
			hostile.refused++;
		else
			hostile.accepted++;
	return 0;
}

/* All areas at the same address; they are registered until the next command. */
static long hostile_overlap(u64 arg)
{
	int err = hostile_register();
	void *place = hostile.cpu[0].area;

	hostile_wrmsr(SYM_MSR_SPY_GUEST, hostile_gpa(place));
	hostile_wrmsr(SYM_MSR_SPY_HOST, hostile_gpa(place + SYM_PAGE_SIZE));
	hostile_wrmsr(SYM_MSR_SPY_VCPU, hostile_gpa(place));
	hostile_wrmsr(SYM_MSR_CALL_AREA, hostile_gpa(place));
	hostile_wrmsr(SYM_MSR_SPY_HOST, hostile_gpa(place));
	hostile_ready();
	return err;
}

/* "move MS": this CPU's pages move all the time, and the old ones are overwritten. */
static long hostile_move(u64 ms)
{
	unsigned long end = jiffies + msecs_to_jiffies(ms);
	void *place[2] = { hostile.cpu[HOSTILE_CPUS - 1].area,
			   hostile.cpu[HOSTILE_CPUS - 2].area };
	long rounds = 0;
	int err = hostile_register();

	for (; !err && time_before(jiffies, end); rounds++) {
		struct sym_call_area *area = place[rounds & 1];

		get_cpu();
		hostile_vcpu_page((void *)area->payload[0]);
		hostile_setup(area, smp_processor_id());
		if (hostile_wrmsr(SYM_MSR_SPY_VCPU, hostile_gpa(area->payload[0])) ||
		    hostile_wrmsr(SYM_MSR_CALL_AREA, hostile_gpa(area)) ||
		    hostile_wrmsr(SYM_MSR_SPY_GUEST, rounds & 2 ? 0 : hostile_gpa(hostile.spy)))
			err = -EIO;
		memset(place[~rounds & 1], rounds, sizeof(*area));
		put_cpu();
		cond_resched();
	}
	return err ?: rounds;
}

static long hostile_odd(u64 arg)
{
	struct sym_spy_header *head = (void *)hostile.spy;
	int err = hostile_register();

	WRITE_ONCE(head->sequence, 7);
	WRITE_ONCE(hostile.cpu[0].page->head.sequence, 9);
	hostile_ready();
	return err;
}

/* "change MS": a sequence that keeps changing. */
static long hostile_change(u64 ms)
{
	unsigned long end = jiffies + msecs_to_jiffies(ms);
	struct sym_spy_header *head = (void *)hostile.spy;
	int err = hostile_register();

	while (time_before(jiffies, end)) {
		WRITE_ONCE(head->sequence, head->sequence + 2);
		WRITE_ONCE(head->used, get_random_u32());
		cond_resched();
	}
	return err;
}

/* "lie N": a wrong header, or wrong items after it.  Returns 0 after the last. */
static long hostile_lie(u64 n)
{
	struct sym_spy_header *head = (void *)hostile.spy;
	struct sym_item *item = (void *)(head + 1);
	struct sym_spy_vcpu *page = hostile.cpu[0].page;
	u32 i;

	if (hostile_register())
		return -EIO;
	switch (n) {
	case 0:
		head->magic++;
		page->head.magic++;
		break;
	case 1:
		head->version++;
		page->head.version = 0;
		break;
	case 2:
		head->kind = SYM_SPY_HOST;
		page->head.kind = SYM_SPY_GUEST;
		break;
	case 3:
		head->size = ~0u;
		page->head.size = 0;
		break;
	case 4:
		head->used = SYM_SPY_GUEST_SIZE + 1;
		page->head.used = ~0u;
		break;
	case 5:
		head->used = sizeof(*head) - 1;
		page->head.used = 0;
		break;
	case 6:
		head->generation--;
		page->head.generation++;
		break;
	case 7:
		item->len = ~0u;
		page->item.len = 0;
		break;
	case 8:
		item->len = SYM_SPY_GUEST_SIZE;
		page->item.len = ~0u;
		break;
	case 9:
		item->len = 0x7ffffff9;
		page->item.type = SYM_ITEM_KERNEL;
		break;
	case 10: /* as many items as there is room for, all empty */
		memset(item, 0, SYM_SPY_GUEST_SIZE - sizeof(*head));
		head->used = SYM_SPY_GUEST_SIZE;
		break;
	case 11: /* short ones, of every type */
		for (i = 0; i < 64; i++)
			item[i] = (struct sym_item){ .type = i };
		head->used = sizeof(*head) + 64 * sizeof(*item);
		break;
	case 12: /* the last one reaches beyond the end */
		head->used = SYM_SPY_GUEST_SIZE;
		memset(item, 0, SYM_SPY_GUEST_SIZE - sizeof(*head));
		item = (void *)(hostile.spy + SYM_SPY_GUEST_SIZE - sizeof(*item));
		*item = (struct sym_item){ .type = SYM_ITEM_HANDLER, .len = 64 };
		break;
	case 13: /* unprintable text without a NUL */
		memset(&page->task, 0xff, sizeof(page->task));
		memset(item + 1, 0xff, 1024);
		*item = (struct sym_item){ .type = SYM_ITEM_KERNEL, .len = 200 };
		break;
	case 14:
		get_random_bytes(head + 1, SYM_SPY_GUEST_SIZE - sizeof(*head));
		head->used = SYM_SPY_GUEST_SIZE;
		get_random_bytes(&page->item, SYM_PAGE_SIZE - sizeof(page->head));
		break;
	default:
		return 0;
	}
	hostile_ready();
	return 1;
}

/* A handler table with wrong entries only, and more than fit. */
static long hostile_table(u64 arg)
{
	struct sym_spy_header *head = (void *)hostile.spy;
	u32 at = sizeof(*head), i = 0;

	if (hostile_register())
		return -EIO;
	for (; at + 72 <= SYM_SPY_GUEST_SIZE; at += 72, i++) {
		struct sym_item *item = (void *)(hostile.spy + at);
		struct sym_item_handler *h = (void *)(item + 1);

		*item = (struct sym_item){ .type = SYM_ITEM_HANDLER, .len = sizeof(*h) };
		memset(h, 0, sizeof(*h));
		snprintf(h->name, sizeof(h->name), "hostile.%u", i);
		h->number = i + 10;
		h->contexts = SYM_CONTEXT_ALL;
		switch (i % 8) {
		case 0: /* twice the same number */
			h->number = 10;
			break;
		case 1: /* and name */
			strscpy(h->name, "hostile.twice", sizeof(h->name));
			break;
		case 2:
			memset(h->name, 'x', sizeof(h->name));
			break;
		case 3:
			h->name[3] = 0x1b;
			break;
		case 4:
			h->contexts = 0;
			break;
		case 5:
			h->contexts = ~0u;
			break;
		case 6:
			h->name[0] = 0;
			break;
		case 7:
			h->number = 0;
			break;
		}
	}
	head->used = at;
	hostile_ready();
	return i;
}

static void hostile_storm_cpu(void *info)
{
	unsigned int number = smp_processor_id();
	unsigned int i;

	if (number >= HOSTILE_CPUS)
		return;
	for (i = 0; i < 200; i++) {
		hostile_wrmsr(SYM_MSR_COOKIE, HOSTILE_COOKIE + number);
		hostile_wrmsr(SYM_MSR_FEATURES, hostile.offered);
		hostile_wrmsr(SYM_MSR_SPY_GUEST, hostile_gpa(hostile.spy));
		hostile_wrmsr(SYM_MSR_SPY_HOST, hostile_gpa(hostile.show));
		hostile_wrmsr(SYM_MSR_SPY_VCPU, hostile_gpa(hostile.cpu[number].page));
		hostile_wrmsr(SYM_MSR_CALL_AREA, hostile_gpa(hostile.cpu[number].area));
		hostile_call(SYM_HC_CHANGED, HOSTILE_COOKIE + number, SYM_CHANGED_READY, 0, 0, 0);
	}
}

/* Registration from every CPU at once. */
static long hostile_storm(u64 times)
{
	int err = hostile_register();

	while (times--) {
		on_each_cpu(hostile_storm_cpu, NULL, 1);
		cond_resched();
	}
	return err;
}

/* "again N": N generations, one after the other, each complete. */
static long hostile_again(u64 times)
{
	u32 before = hostile.generation;

	while (times--) {
		if (hostile_register())
			return -EIO;
		cond_resched();
	}
	return hostile.generation - before;
}

static void hostile_bad_setups(void *info)
{
	struct sym_call_area *area = hostile.cpu[smp_processor_id() % HOSTILE_CPUS].area;
	struct sym_call_setup good, *s = &area->guest.setup;
	u64 gpa = hostile_gpa(area);

	hostile_setup(area, smp_processor_id());
	good = *s;
#define TRY(what)                                                                                \
	do {                                                                                     \
		*s = good;                                                                       \
		what;                                                                            \
		hostile_try(SYM_MSR_CALL_AREA, gpa);                                             \
	} while (0)
	TRY(s->magic = 0);
	TRY(s->version++);
	TRY(s->size--);
	TRY(s->generation--);
	TRY(s->generation = 0);
	TRY(s->entry = 0x400000);
	TRY(s->entry = 0x800000000000ull);
	TRY(s->entry = 0xff00000000000000ull);
	TRY(s->stack = 0x7ffffffff000ull);
	TRY(s->stack = 0x8000000000000000ull);
	TRY(s->stack++);
	TRY(s->gs_base = 0);
	TRY(s->gs_base = 0xfeffffff80000000ull);
	TRY(s->cr3_user_bits = ~0ull);
	TRY(s->cr3_user_bits = 0x2000);
	TRY(s->cs = 0);
	TRY(s->cs |= 3);
	TRY(s->cs |= 4);
	TRY(s->ss = 0);
	TRY(s->ss |= 1);
#undef TRY
	/* Changes after the registration have no effect. */
	*s = good;
	hostile_wrmsr(SYM_MSR_CALL_AREA, gpa);
	memset(s, 0xff, sizeof(*s));
}

static long hostile_setups(u64 arg)
{
	int err = hostile_register();

	smp_call_function_single(0, hostile_bad_setups, NULL, 1);
	return err;
}

/* A GS base that needs five levels of page tables; the VMM has to refuse the call. */
static void hostile_far_gs(void *info)
{
	struct sym_call_area *area = hostile.cpu[0].area;

	hostile_setup(area, 0);
	area->guest.setup.gs_base = 0xff11000000000000ull;
	hostile_wrmsr(SYM_MSR_CALL_AREA, hostile_gpa(area));
}

static long hostile_far(u64 arg)
{
	int err = hostile_register();

	smp_call_function_single(0, hostile_far_gs, NULL, 1);
	return err;
}

const struct hostile_command hostile_pages[] = { { "outside", hostile_outside },
						 { "order", hostile_order },
						 { "overlap", hostile_overlap },
						 { "move", hostile_move },
						 { "odd", hostile_odd },
						 { "change", hostile_change },
						 { "lie", hostile_lie },
						 { "table", hostile_table },
						 { "storm", hostile_storm },
						 { "again", hostile_again },
						 { "setups", hostile_setups },
						 { "far", hostile_far },
						 {} };
