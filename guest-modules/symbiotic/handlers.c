// SPDX-License-Identifier: GPL-2.0
/*
 * The table of handlers.  Entries are never freed: nested calls read them in contexts where
 * neither locks nor RCU work.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/string.h>

#include "symbiotic.h"

static struct sym_handler sym_table[SYM_MAX_HANDLERS];
/* The upper part of a number makes it unique; the lower part is the entry. */
static u32 sym_serial;

notrace struct sym_handler *sym_handler_at(u32 number)
{
	return &sym_table[number % SYM_MAX_HANDLERS];
}

static struct sym_handler *sym_handler_free_entry(const char *name)
{
	struct sym_handler *entry, *found = NULL;

	for (entry = sym_table; entry < sym_table + SYM_MAX_HANDLERS; entry++) {
		if (entry->number && !strcmp(entry->name, name))
			return ERR_PTR(-EEXIST);
		/* An entry that is being unregistered still has its owner. */
		if (!entry->number && !entry->owner && !found)
			found = entry;
	}
	return found ?: ERR_PTR(-ENOSPC);
}

struct sym_handler *sym_handler_register_owner(const char *name, u32 contexts, sym_handler_fn fn,
					       void *arg, struct module *owner)
{
	struct sym_handler *entry;
	u32 number;

	if (!name || !*name || strlen(name) >= SYM_NAME_LEN || !fn || !owner || !contexts ||
	    contexts & ~SYM_CONTEXT_ALL)
		return ERR_PTR(-EINVAL);
	mutex_lock(&sym_lock);
	entry = sym_handler_free_entry(name);
	if (!IS_ERR(entry) && sym_serial >= U32_MAX / SYM_MAX_HANDLERS)
		entry = ERR_PTR(-ENOSPC);
	if (!IS_ERR(entry)) {
		strscpy_pad(entry->name, name, sizeof(entry->name));
		entry->contexts = contexts;
		entry->fn = fn;
		entry->arg = arg;
		entry->owner = owner;
		number = ++sym_serial * SYM_MAX_HANDLERS + (entry - sym_table);
		smp_store_release(&entry->number, number);
		sym_spy_rebuild_locked();
		sym_changed_locked(SYM_CHANGED_HANDLERS | SYM_CHANGED_MODULES);
	}
	mutex_unlock(&sym_lock);
	return entry;
}
EXPORT_SYMBOL_GPL(sym_handler_register_owner);

static bool sym_slot_runs(const struct sym_cpu *cpu, int i, const struct sym_handler *entry)
{
	u64 aborted;

	if (smp_load_acquire(&cpu->slot[i].running) != entry)
		return false;
	if (i != SYM_CALL_NESTED)
		return true;
	/* A nested call that the VMM has abandoned or forgotten never ends. */
	if (!READ_ONCE(cpu->calls))
		return false;
	aborted = smp_load_acquire(&cpu->area->host.aborted);
	return !aborted || aborted != READ_ONCE(cpu->nested);
}

static bool sym_handler_runs(const struct sym_handler *entry)
{
	int cpu, i;

	for_each_possible_cpu(cpu)
		for (i = 0; i < SYM_CALL_SLOTS; i++)
			if (sym_slot_runs(per_cpu_ptr(&sym_cpus, cpu), i, entry))
				return true;
	return false;
}

void sym_handler_unregister(struct sym_handler *entry)
{
	if (IS_ERR_OR_NULL(entry))
		return;
	mutex_lock(&sym_lock);
	WRITE_ONCE(entry->number, 0);
	sym_spy_rebuild_locked();
	sym_changed_locked(SYM_CHANGED_HANDLERS | SYM_CHANGED_MODULES);
	mutex_unlock(&sym_lock);

	smp_mb(); /* see sym_dispatch() */
	while (sym_handler_runs(entry))
		msleep(1);

	mutex_lock(&sym_lock);
	entry->owner = NULL; /* free from now on */
	mutex_unlock(&sym_lock);
}
EXPORT_SYMBOL_GPL(sym_handler_unregister);

/* The handlers of a module that was unloaded without unregistering them must not be called. */
void sym_handlers_forget(struct module *owner)
{
	struct sym_handler *entry;

	for (entry = sym_table; entry < sym_table + SYM_MAX_HANDLERS; entry++) {
		if (READ_ONCE(entry->owner) != owner || !READ_ONCE(entry->number))
			continue;
		pr_warn("%s left handler %s behind\n", owner->name, entry->name);
		sym_handler_unregister(entry);
	}
}

/* The module that owns an entry in use. */
struct module *sym_handler_owner(unsigned int entry)
{
	return sym_table[entry].number ? sym_table[entry].owner : NULL;
}

void sym_handlers_show(void)
{
	struct sym_handler *entry;
	struct sym_item_handler *item;

	for (entry = sym_table; entry < sym_table + SYM_MAX_HANDLERS; entry++) {
		if (!entry->number)
			continue;
		item = sym_spy_add(SYM_ITEM_HANDLER, sizeof(*item));
		if (!item)
			return;
		memcpy(item->name, entry->name, sizeof(item->name));
		item->number = entry->number;
		item->contexts = entry->contexts;
	}
}
