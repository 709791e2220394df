// SPDX-License-Identifier: BSD-2-Clause
/*
 * Passing exits to services.  The tables are complete before the first vCPU runs and never
 * change after that, so a lookup takes no lock.  Kinds of exits without a hook do not get here.
 */
#include <errno.h>

#include "services/services.h"

static bool on_exit_hook(void *arg, unsigned int id, struct sym_exit *exit)
{
	const struct services *services = arg;
	const struct service_hook *hook = services->hooks[exit->kind];
	const struct service_hook *end = hook + services->nr_hooks[exit->kind];

	/* Sorted by first: once a hook begins too late, no later one can match. */
	for (; hook < end && hook->first <= exit->addr; hook++)
		if (exit->addr <= hook->last && hook->fn(hook->service->state, id, exit))
			return true;
	return false;
}

static int64_t on_hypercall(void *arg, unsigned int id, uint32_t nr, const uint64_t *args)
{
	const struct services *services = arg;

	for (unsigned int i = 0; i < services->nr_hypercalls; i++) {
		const struct service_hypercall *h = &services->hypercalls[i];

		if (h->nr == nr)
			return h->fn(h->service->state, id, args);
	}
	return -ENOSYS;
}

void services_hook(struct services *services)
{
	services->sym_hooks = (struct sym_hooks){ .arg = services };
	for (int kind = 0; kind < SYM_NR_EXIT_KINDS; kind++)
		if (services->nr_hooks[kind])
			services->sym_hooks.kinds |= 1u << kind;
	for (unsigned int i = 0; i < services->nr_hooks[SYM_EXIT_MSR]; i++) {
		const struct service_hook *hook = &services->hooks[SYM_EXIT_MSR][i];

		services->sym_hooks.msr[services->sym_hooks.nr_msr++] = (struct sym_msr_range){
			.first = hook->first,
			.nr = hook->last - hook->first + 1,
		};
	}
	if (services->sym_hooks.kinds)
		services->sym_hooks.exit = on_exit_hook;
	if (services->nr_hypercalls)
		services->sym_hooks.hypercall = on_hypercall;
	sym_set_hooks(services->vm->sym, &services->sym_hooks);
}

int sym_service_hook(struct sym_service_vm *vm, enum sym_exit_kind kind, uint64_t first,
		     uint64_t last, bool (*fn)(void *, unsigned int, struct sym_exit *))
{
	struct services *all = vm->all;
	struct service_hook *table;
	unsigned int at;

	if (all->running)
		return -EBUSY;
	if ((unsigned int)kind >= SYM_NR_EXIT_KINDS || first > last || !fn)
		return -EINVAL;
	/* KVM's MSR filter takes few and short ranges. */
	if (kind == SYM_EXIT_MSR && (last > UINT32_MAX || last - first >= SYM_MAX_MSRS))
		return -EINVAL;
	if (all->nr_hooks[kind] == SERVICE_HOOKS ||
	    (kind == SYM_EXIT_MSR && all->nr_hooks[kind] == SYM_MAX_MSR_RANGES))
		return -ENOSPC;
	table = all->hooks[kind];
	for (at = all->nr_hooks[kind]++; at && table[at - 1].first > first; at--)
		table[at] = table[at - 1];
	table[at] = (struct service_hook){ vm, kind, first, last, fn };
	return 0;
}

int sym_service_hypercall(struct sym_service_vm *vm, uint32_t nr,
			  int64_t (*fn)(void *, unsigned int, const uint64_t *))
{
	struct services *all = vm->all;

	if (all->running)
		return -EBUSY;
	if (nr < SYM_HC_SERVICE || !fn)
		return -EINVAL;
	for (unsigned int i = 0; i < all->nr_hypercalls; i++)
		if (all->hypercalls[i].nr == nr)
			return -EEXIST;
	if (all->nr_hypercalls == SERVICE_HOOKS)
		return -ENOSPC;
	all->hypercalls[all->nr_hypercalls++] = (struct service_hypercall){ vm, nr, fn };
	return 0;
}
