// SPDX-License-Identifier: GPL-2.0
/*
 * symswap.ko: SwapBypass, the guest's half.  The VMM lends memory; the guest swaps to it,
 * and on verified kernels swapped-out pages are mapped directly from there.
 */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/suspend.h>
#include <linux/workqueue.h>

#include "symswap.h"

static bool force;
module_param(force, bool, 0444);
MODULE_PARM_DESC(force, "Map pages even if this kernel has not been verified");

static DEFINE_MUTEX(symswap_level_lock);
static u32 symswap_wanted;
static bool symswap_can; /* pages may be mapped */
static char symswap_cannot[SYMSWAP_WHY]; /* why not */
static char symswap_failed[SYMSWAP_WHY]; /* the last swapon or swapoff */

static struct sym_handler *symswap_handlers[4];

u32 symswap_level(char *why)
{
	u32 level = SYM_WINDOW_OFF;

	bool zswap = symswap_zswap_on();

	*why = 0;
	if (symswap_in_use())
		level = symswap_bypassing() && !zswap ? SYM_WINDOW_BYPASS : SYM_WINDOW_DEVICE;
	if (level == READ_ONCE(symswap_wanted))
		return level;
	if (level == SYM_WINDOW_DEVICE && symswap_wanted == SYM_WINDOW_BYPASS)
		strscpy(why,
			!symswap_can ? symswap_cannot :
			zswap	     ? "zswap is or was enabled in the guest" :
				       "swapoff is in progress",
			SYMSWAP_WHY);
	else
		strscpy(why, *symswap_failed ? symswap_failed : "changed by the guest itself",
			SYMSWAP_WHY);
	return level;
}

static void symswap_set_level(u32 level)
{
	mutex_lock(&symswap_level_lock);
	WRITE_ONCE(symswap_wanted, level);
	*symswap_failed = 0;
	if (level != SYM_WINDOW_BYPASS)
		symswap_bypass(false);
	if (level == SYM_WINDOW_OFF)
		symswap_off(symswap_failed);
	else
		symswap_on(symswap_failed);
	if (level == SYM_WINDOW_BYPASS)
		symswap_bypass(true);
	mutex_unlock(&symswap_level_lock);
	symswap_hold_adjust();
	symswap_state_show();
}

static int symswap_set(void *arg, struct sym_upcall *call)
{
	char *why = call->payload;

	if (call->arg[0] > SYM_WINDOW_BYPASS)
		return -EINVAL;
	symswap_hold_limit(call->arg[1]);
	symswap_set_level(call->arg[0]);
	call->result[0] = symswap_level(why);
	call->reply_len = strnlen(why, SYMSWAP_WHY);
	return 0;
}

static int symswap_stat(void *arg, struct sym_upcall *call)
{
	symswap_state_show();
	return 0;
}

static const struct {
	const char *name;
	sym_handler_fn fn;
} symswap_calls[] = {
	{ SYM_WINDOW_SET, symswap_set },
	{ SYM_WINDOW_STAT, symswap_stat },
	{ SYM_WINDOW_RECLAIM, symswap_reclaim },
	{ SYM_WINDOW_RECLAIMED, symswap_reclaimed },
};

static void symswap_unregister(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(symswap_handlers); i++)
		if (!IS_ERR_OR_NULL(symswap_handlers[i]))
			sym_handler_unregister(symswap_handlers[i]);
}

static int symswap_register(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(symswap_handlers); i++) {
		symswap_handlers[i] = sym_handler_register(
			symswap_calls[i].name, SYM_CONTEXT_THREAD, symswap_calls[i].fn, NULL);
		if (IS_ERR(symswap_handlers[i])) {
			symswap_unregister();
			return PTR_ERR(symswap_handlers[i]);
		}
	}
	return 0;
}

/* Not while the module is being loaded: the program that runs may be loading it. */
static void symswap_begin(struct work_struct *work)
{
	char why[SYMSWAP_WHY];
	u32 level;

	symswap_set_level(symswap_wanted);
	level = symswap_level(why);
	pr_info("%u MiB at %#llx, %s%s%s\n", symswap.slots >> (20 - PAGE_SHIFT), symswap.gpa,
		level == SYM_WINDOW_BYPASS ? "bypass" :
		level == SYM_WINDOW_DEVICE ? "synchronous device" :
					     "off",
		*why ? ": " : "", why);
}

static DECLARE_WORK(symswap_begin_work, symswap_begin);

/* The image would not contain the window. */
static int symswap_sleeping(struct notifier_block *block, unsigned long event, void *data)
{
	if (event != PM_HIBERNATION_PREPARE || !symswap_in_use())
		return NOTIFY_DONE;
	pr_err("cannot hibernate while swapping to memory of the VMM\n");
	return notifier_from_errno(-EBUSY);
}

static struct notifier_block symswap_sleep_block = { .notifier_call = symswap_sleeping };

static int symswap_start(void)
{
	int err;

	err = symswap_device_init();
	if (err)
		return err;
	symswap_can = symswap_kernel_init(force, symswap_cannot) &&
		      !symswap_hooks_init(symswap_cannot);
	err = symswap_register();
	if (err) {
		symswap_hooks_exit();
		symswap_device_exit();
	}
	return err;
}

static int __init symswap_init(void)
{
	struct sym_item_window window;
	int err;

	err = sym_host_window(&window);
	if (err) {
		pr_info("the VMM lends no memory\n");
		return err == -ENOENT ? -ENODEV : err;
	}
	err = symswap_window_init(&window);
	if (err) {
		pr_err("cannot use a window of %#llx bytes at %#llx: error %d\n", window.size,
		       window.gpa, err);
		return err;
	}
	symswap_wanted = min_t(u32, window.level, SYM_WINDOW_BYPASS);
	err = symswap_hold_init();
	if (!err) {
		symswap_hold_limit(window.limit);
		err = symswap_start();
		if (err)
			symswap_hold_exit();
	}
	if (err) {
		symswap_window_exit();
		return err;
	}
	register_pm_notifier(&symswap_sleep_block);
	symswap_state_start();
	schedule_work(&symswap_begin_work);
	return 0;
}

/* The device is not open, so it is not swapped to, and nothing is mapped. */
static void __exit symswap_exit(void)
{
	unregister_pm_notifier(&symswap_sleep_block);
	cancel_work_sync(&symswap_begin_work);
	symswap_unregister();
	symswap_state_stop();
	symswap_bypass(false);
	symswap_hooks_exit();
	symswap_process_exit();
	symswap_device_exit();
	symswap_hold_exit();
	symswap_window_exit();
}

module_init(symswap_init);
module_exit(symswap_exit);
MODULE_DESCRIPTION("SwapBypass: swap to memory of the VMM");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
