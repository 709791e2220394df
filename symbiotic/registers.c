// SPDX-License-Identifier: BSD-2-Clause
/*
 * Registration: our MSRs.  Each write is checked as a whole before anything changes; a
 * refusal is a #GP in the guest.
 */
#include <errno.h>
#include <string.h>

#include <linux/kvm.h>

#include "symbiotic/sym.h"

static void forget_vcpu(struct sym_vcpu *vc)
{
	__atomic_store_n(&vc->spy, NULL, __ATOMIC_RELEASE);
	__atomic_store_n(&vc->area, NULL, __ATOMIC_RELEASE);
	vc->spy_gpa = vc->area_gpa = 0;
	vc->stuck = (struct stuck){ 0 };
}

/* Lookups of handlers take no lock: there must be a valid table at any time. */
static void forget_handlers(struct handler_table *table)
{
	table->nr = 0;
	for (unsigned int i = 0; i < SYM_HANDLER_HASH; i++) {
		WRITE_ONCE(table->hash[0].slot[i], 0);
		WRITE_ONCE(table->hash[1].slot[i], 0);
	}
	__atomic_store_n(&table->current, &table->hash[0], __ATOMIC_RELEASE);
}

void sym_forget(struct sym *sym)
{
	__atomic_store_n(&sym->generation, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&sym->spy, NULL, __ATOMIC_RELEASE);
	sym->show = NULL;
	sym->cookie = 0;
	sym->granted = 0;
	sym->spy_gpa = sym->show_gpa = 0;
	sym->stuck = (struct stuck){ 0 };
	for (unsigned int i = 0; i < sym->nr_vcpus; i++)
		forget_vcpu(&sym->vcpu[i]);
	forget_handlers(&sym->handlers);
}

static int set_cookie(struct sym *sym, uint64_t cookie)
{
	sym_forget(sym);
	if (cookie) {
		if (!++sym->last_generation)
			sym->last_generation = 1;
		sym->cookie = cookie;
		__atomic_store_n(&sym->generation, sym->last_generation, __ATOMIC_RELEASE);
		sym_count(&sym->stats.registrations);
	}
	return SYM_FORGET_ALL;
}

static int set_features(struct sym *sym, uint64_t features)
{
	if (!sym->generation || features & ~(uint64_t)sym->features)
		return -EINVAL;
	sym->granted = features;
	return 0;
}

/* Memory that the guest registers, or (@host NULL) unregisters. */
struct area {
	uint64_t gpa;
	void *host;
};

/* get_area - find @size bytes at the GPA in @value; the guest must have acked @feature. */
static int get_area(struct sym *sym, uint64_t value, size_t size, uint32_t feature,
		    struct area *area)
{
	*area = (struct area){ 0 };
	if (!value)
		return 0;
	if ((value & (SYM_PAGE_SIZE - 1)) != SYM_MSR_ENABLE || !sym->generation ||
	    !(sym->granted & feature))
		return -EINVAL;
	area->gpa = value - SYM_MSR_ENABLE;
	area->host = sym->ops->mem_map(sym->vm, area->gpa, size);
	return area->host ? 0 : -EFAULT;
}

static int set_spy_guest(struct sym *sym, uint64_t value)
{
	struct area area;
	int ret = get_area(sym, value, SYM_SPY_GUEST_SIZE, SYM_FEATURE_SPY, &area);

	if (!ret) {
		sym->spy_gpa = area.gpa;
		__atomic_store_n(&sym->spy, area.host, __ATOMIC_RELEASE);
	}
	return ret;
}

static int set_spy_host(struct sym *sym, uint64_t value)
{
	struct area area;
	int ret = get_area(sym, value, SYM_PAGE_SIZE, SYM_FEATURE_SPY, &area);

	if (!ret) {
		sym->show_gpa = area.gpa;
		sym->show = area.host;
		show_update(sym);
	}
	return ret;
}

static int set_spy_vcpu(struct sym *sym, struct sym_vcpu *vc, uint64_t value)
{
	struct area area;
	int ret = get_area(sym, value, SYM_PAGE_SIZE, SYM_FEATURE_SPY, &area);

	if (!ret) {
		vc->spy_gpa = area.gpa;
		vc->stuck = (struct stuck){ 0 };
		__atomic_store_n(&vc->spy, area.host, __ATOMIC_RELEASE);
	}
	return ret;
}

#define CR4_LA57    (1ull << 12)
#define PTE_PRESENT 1ull
#define PTE_ADDR    0x000ffffffffff000ull

/* The stack and GS must be the kernel's: the upper half, with four levels or five. */
static bool kernel_address(uint64_t gva)
{
	return gva >> 47 == 0x1ffff || gva >> 56 == 0xff;
}

/*
 * So must the entry.  With a non-canonical address it is not the guest that faults: KVM_RUN
 * fails.  Kernel code is in the top 2^47 bytes with five levels too.
 */
static bool kernel_code(uint64_t gva)
{
	return gva >> 47 == 0x1ffff;
}

static int check_setup(const struct sym *sym, const struct sym_call_setup *setup)
{
	if (setup->magic != SYM_CALL_MAGIC || setup->version != SYM_ABI_VERSION ||
	    setup->size != sizeof(struct sym_call_area) || setup->generation != sym->generation)
		return -EPROTO;
	if (!kernel_code(setup->entry) || !kernel_address(setup->stack) ||
	    !kernel_address(setup->gs_base) || setup->stack % 16 ||
	    (setup->cr3_user_bits & ~0x1fffull) || !setup->cs || !setup->ss || setup->cs & 7 ||
	    setup->ss & 7)
		return -EINVAL;
	return 0;
}

uint64_t sym_kernel_map(const struct sym *sym, const struct kvm_sregs *sregs, uint64_t gva,
			uint64_t cr3_user_bits)
{
	unsigned int shift = sregs->cr4 & CR4_LA57 ? 48 : 39;
	uint64_t table = sregs->cr3 & ~cr3_user_bits & PTE_ADDR, entry;
	const uint64_t *at = sym->ops->mem_map(
		sym->vm, table + (gva >> shift & 511) * sizeof(*at), sizeof(*at));

	if (!at)
		return 0;
	entry = READ_ONCE(*at);
	return entry & PTE_PRESENT ? entry & PTE_ADDR : 0;
}

static int read_kernel_map(struct sym *sym, unsigned int id, const struct sym_call_setup *setup,
			   uint64_t *map)
{
	void *vcpu = sym->ops->vcpu(sym->vm, id);
	struct kvm_sregs sregs;
	struct sym_vcpu_state state = { .what = SYM_STATE_SREGS, .sregs = &sregs };

	if (!vcpu || sym->ops->get_state(sym->vm, vcpu, &state))
		return -EIO;
	*map = sym_kernel_map(sym, &sregs, setup->entry, setup->cr3_user_bits);
	return *map ? 0 : -EINVAL;
}

static int set_call_area(struct sym *sym, unsigned int id, uint64_t value)
{
	struct sym_vcpu *vc = &sym->vcpu[id];
	struct sym_call_area *a;
	struct sym_call_setup setup;
	struct area area;
	int ret = get_area(sym, value, sizeof(*a), SYM_FEATURE_CALL, &area);

	if (ret)
		return ret;
	a = area.host;
	if (a) {
		memcpy(&setup, &a->guest.setup, sizeof(setup));
		ret = check_setup(sym, &setup);
		if (!ret)
			ret = read_kernel_map(sym, id, &setup, &vc->kernel_map);
		if (ret)
			return ret;
		memset(a->host.page1, 0, sizeof(a->host.page1));
		a->host.magic = SYM_CALL_MAGIC;
		a->host.generation = sym->generation;
		a->host.vcpu = id;
		vc->setup = setup;
	}
	vc->area_gpa = area.gpa;
	__atomic_store_n(&vc->area, a, __ATOMIC_RELEASE);
	return SYM_FORGET_VCPU;
}

int sym_msr_write(struct sym *sym, unsigned int id, uint32_t index, uint64_t value)
{
	int ret = -EINVAL;

	pthread_mutex_lock(&sym->lock);
	switch (index) {
	case SYM_MSR_COOKIE:
		ret = set_cookie(sym, value);
		break;
	case SYM_MSR_FEATURES:
		ret = set_features(sym, value);
		break;
	case SYM_MSR_SPY_GUEST:
		ret = set_spy_guest(sym, value);
		break;
	case SYM_MSR_SPY_HOST:
		ret = set_spy_host(sym, value);
		break;
	case SYM_MSR_SPY_VCPU:
		ret = set_spy_vcpu(sym, &sym->vcpu[id], value);
		break;
	case SYM_MSR_CALL_AREA:
		ret = set_call_area(sym, id, value);
		break;
	}
	pthread_mutex_unlock(&sym->lock);
	if (ret < 0)
		sym_fault(sym, id, "wrmsr 0x%x of 0x%llx refused: %s", SYM_MSR_BASE + index,
			  (unsigned long long)value,
			  ret == -EFAULT ? "not in one piece of RAM" :
			  ret == -EPROTO ? "not a call area of this version and generation" :
					   "not valid");
	return ret;
}

int sym_msr_read(struct sym *sym, unsigned int id, uint32_t index, uint64_t *value)
{
	struct sym_vcpu *vc = &sym->vcpu[id];
	int ret = 0;

	pthread_mutex_lock(&sym->lock);
	switch (index) {
	case SYM_MSR_COOKIE: /* never the cookie itself */
		*value = sym->generation;
		break;
	case SYM_MSR_FEATURES:
		*value = sym->granted;
		break;
	case SYM_MSR_SPY_GUEST:
		*value = sym->spy ? sym->spy_gpa | SYM_MSR_ENABLE : 0;
		break;
	case SYM_MSR_SPY_HOST:
		*value = sym->show ? sym->show_gpa | SYM_MSR_ENABLE : 0;
		break;
	case SYM_MSR_SPY_VCPU:
		*value = vc->spy ? vc->spy_gpa | SYM_MSR_ENABLE : 0;
		break;
	case SYM_MSR_CALL_AREA:
		*value = vc->area ? vc->area_gpa | SYM_MSR_ENABLE : 0;
		break;
	default:
		ret = -EINVAL;
	}
	pthread_mutex_unlock(&sym->lock);
	return ret;
}
