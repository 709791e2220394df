// SPDX-License-Identifier: GPL-2.0
/*
 * The list of symbiotic modules: this one, those that the VMM installed, and those with
 * handlers.  When a module is unloaded, its entries are removed.
 */
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/sched.h>

#include "symbiotic.h"

#define SYM_MAX_INSTALLED (SYM_MAX_MODULES / 2)

static struct module *sym_installed[SYM_MAX_INSTALLED];
static pid_t sym_loader;

/* Modules that process @loader loads are installed by the VMM; 0: none. */
void sym_modules_expect(pid_t loader)
{
	WRITE_ONCE(sym_loader, loader);
}

static bool sym_modules_replace(const struct module *from, struct module *to)
{
	int i;

	for (i = 0; i < SYM_MAX_INSTALLED; i++) {
		if (sym_installed[i] != from)
			continue;
		sym_installed[i] = to;
		return true;
	}
	return false;
}

static void sym_modules_note(const struct module *from, struct module *to)
{
	bool any;

	mutex_lock(&sym_lock);
	any = sym_modules_replace(from, to);
	if (any) {
		sym_spy_rebuild_locked();
		sym_changed_locked(SYM_CHANGED_MODULES);
	}
	mutex_unlock(&sym_lock);
}

static int sym_modules_event(struct notifier_block *block, unsigned long event, void *data)
{
	struct module *module = data;

	if (module == THIS_MODULE)
		return NOTIFY_DONE;
	if (event == MODULE_STATE_LIVE && READ_ONCE(sym_loader) == current->tgid)
		sym_modules_note(NULL, module);
	if (event == MODULE_STATE_GOING) {
		sym_handlers_forget(module);
		sym_values_forget(module);
		sym_modules_note(module, NULL);
	}
	return NOTIFY_DONE;
}

static void sym_modules_add(const struct module *module, u32 flags)
{
	struct sym_item_module *item = sym_spy_add(SYM_ITEM_MODULE, sizeof(*item));

	if (!item)
		return;
	strscpy(item->name, module->name, sizeof(item->name));
	item->flags = flags;
}

static bool sym_modules_listed(struct module *const *list, int count, const struct module *module)
{
	while (count--)
		if (list[count] == module)
			return true;
	return false;
}

void sym_modules_show(void)
{
	struct module *others[SYM_MAX_MODULES - SYM_MAX_INSTALLED];
	int i, count = 0;

	others[count++] = THIS_MODULE;
	for (i = 0; i < SYM_MAX_INSTALLED; i++)
		if (sym_installed[i])
			sym_modules_add(sym_installed[i], SYM_MODULE_INSTALLED);
	for (i = 0; i < SYM_MAX_HANDLERS && count < ARRAY_SIZE(others); i++) {
		struct module *owner = sym_handler_owner(i);

		if (owner && !sym_modules_listed(others, count, owner) &&
		    !sym_modules_listed(sym_installed, SYM_MAX_INSTALLED, owner))
			others[count++] = owner;
	}
	for (i = 0; i < count; i++)
		sym_modules_add(others[i], 0);
}

static struct notifier_block sym_modules_block = {
	.notifier_call = sym_modules_event,
};

int sym_modules_init(void)
{
	return register_module_notifier(&sym_modules_block);
}

void sym_modules_exit(void)
{
	unregister_module_notifier(&sym_modules_block);
}
