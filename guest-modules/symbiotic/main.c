// SPDX-License-Identifier: GPL-2.0
/*
 * symbiotic.ko: the guest's half of the interface to a symbiotic VMM.  Without such a VMM
 * it prints one line and does not load.
 */
#include <linux/acpi.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/random.h>
#include <linux/reboot.h>
#include <linux/suspend.h>
#include <asm/msr.h>
#include <asm/processor.h>

#include "hypercall.h"
#include "symbiotic.h"

#define SYM_KNOWN                                                                                \
	(SYM_FEATURE_SPY | SYM_FEATURE_CALL | SYM_FEATURE_DOORBELL | SYM_FEATURE_MODULES |       \
	 SYM_FEATURE_WINDOW)

DEFINE_MUTEX(sym_lock);
struct sym_vmm sym_vmm;

/* A write that the VMM refuses causes a fault; turn it into an error. */
int sym_msr_write(u32 msr, u64 value)
{
	return wrmsrq_safe(sym_vmm.msr + msr, value) ? -EIO : 0;
}

long sym_hypercall(u32 nr, u64 a, u64 b, u64 c)
{
	u64 cookie = READ_ONCE(sym_vmm.cookie);

	return cookie ? sym_out(cookie, nr, a, b, c) : -ENODEV;
}
EXPORT_SYMBOL_GPL(sym_hypercall);

u32 sym_features(void)
{
	return READ_ONCE(sym_vmm.cookie) ? READ_ONCE(sym_vmm.granted) : 0;
}
EXPORT_SYMBOL_GPL(sym_features);

/* Is there a VMM that we can use?  If not, print the reason in one line. */
static int sym_discover(void)
{
	u32 base = 0, version, port;

	if (boot_cpu_has(X86_FEATURE_HYPERVISOR))
		base = cpuid_base_hypervisor(SYM_CPUID_SIGNATURE, SYM_CPUID_FEATURES);
	if (!base) {
		pr_info("no symbiotic VMM found\n");
		return -ENODEV;
	}
	cpuid(base + SYM_CPUID_FEATURES, &version, &sym_vmm.offered, &sym_vmm.msr, &port);
	sym_vmm.gsi = port >> 16;
	port &= 0xffff;
	if (version != SYM_ABI_VERSION) {
		pr_info("the VMM has version %u of the interface, %u is needed\n", version,
			SYM_ABI_VERSION);
		return -ENODEV;
	}
	/* The port is part of our instructions. */
	if (port != SYM_PORT || !(sym_vmm.offered & SYM_FEATURE_SPY)) {
		pr_info("the VMM offers port %#x and features %#x, which we cannot use\n", port,
			sym_vmm.offered);
		return -ENODEV;
	}
	return 0;
}

/* Start a new generation; @want are the features to request. */
static int sym_register(u32 want)
{
	u64 cookie, generation, granted;
	int err;

	do
		cookie = get_random_u64();
	while (!cookie);
	err = sym_msr_write(SYM_MSR_COOKIE, cookie);
	if (err)
		return err;
	sym_vmm.cookie = cookie;
	err = sym_msr_write(SYM_MSR_FEATURES, want);
	if (err)
		return err;
	if (rdmsrq_safe(sym_vmm.msr + SYM_MSR_FEATURES, &granted) ||
	    rdmsrq_safe(sym_vmm.msr + SYM_MSR_COOKIE, &generation))
		return -EIO;
	sym_vmm.granted = granted & want;
	sym_vmm.generation = generation;
	return sym_vmm.granted & SYM_FEATURE_SPY && generation && generation <= U32_MAX ? 0 :
											  -EPROTO;
}

/* Undo sym_start(), also if it was only partly done. */
static void sym_stop(void)
{
	sym_memory_stop();
	sym_doorbell_stop();
	sym_cpus_stop();
	sym_switch_stop();
	sym_host_stop();
	sym_spy_stop();
	if (sym_vmm.cookie) {
		WRITE_ONCE(sym_vmm.cookie, 0);
		sym_msr_write(SYM_MSR_COOKIE, 0);
	}
}

static int sym_start(void)
{
	u32 want = sym_vmm.offered & SYM_KNOWN;
	int err;

	/* Handlers in interrupt and thread context need both. */
	if (!(want & SYM_FEATURE_CALL))
		want &= ~SYM_FEATURE_DOORBELL;
	if (want & SYM_FEATURE_DOORBELL && sym_doorbell_start(sym_vmm.gsi)) {
		pr_warn("no doorbell: cannot request interrupt %u\n", sym_vmm.gsi);
		want &= ~SYM_FEATURE_DOORBELL;
	}
	if (!(want & SYM_FEATURE_DOORBELL))
		want &= ~(SYM_FEATURE_MODULES | SYM_FEATURE_WINDOW);
	err = sym_register(want);
	if (!err)
		err = sym_spy_start();
	if (!err)
		err = sym_host_start();
	if (!err)
		err = sym_switch_start();
	if (!err)
		err = sym_cpus_start();
	if (!err)
		err = sym_hypercall(SYM_HC_CHANGED, SYM_CHANGED_READY, 0, 0) ? -EPROTO : 0;
	if (err) {
		sym_stop();
		pr_err("registration failed: error %d\n", err);
		return err;
	}
	sym_memory_start();
	return 0;
}

/* Our memory is about to be reused, for example by another kernel. */
static int sym_rebooting(struct notifier_block *block, unsigned long event, void *data)
{
	sym_stop();
	return NOTIFY_DONE;
}

/* After resume the VMM may be another one than before suspend. */
static int sym_sleeping(struct notifier_block *block, unsigned long event, void *data)
{
	bool doorbell;

	switch (event) {
	case PM_HIBERNATION_PREPARE:
	case PM_SUSPEND_PREPARE:
	case PM_RESTORE_PREPARE: /* the image's own module was stopped before it was saved */
		doorbell = sym_vmm.granted & SYM_FEATURE_DOORBELL;
		sym_stop();
		if (event == PM_SUSPEND_PREPARE && doorbell)
			sym_wake_arm(sym_vmm.gsi);
		break;
	case PM_POST_HIBERNATION:
	case PM_POST_SUSPEND:
	case PM_POST_RESTORE: /* restoring failed */
		sym_wake_disarm();
		if (!sym_discover())
			sym_start();
		break;
	}
	return NOTIFY_DONE;
}

static struct notifier_block sym_reboot_block = { .notifier_call = sym_rebooting };
static struct notifier_block sym_sleep_block = { .notifier_call = sym_sleeping };

static int __init sym_init_parts(void)
{
	int err;

	err = sym_spy_init();
	if (err)
		return err;
	err = sym_host_init();
	if (err)
		goto spy;
	err = sym_doorbell_init();
	if (err)
		goto host;
	err = sym_modules_init();
	if (err)
		goto doorbell;
	err = sym_mod_init();
	if (err)
		goto modules;
	return 0;
modules:
	sym_modules_exit();
doorbell:
	sym_doorbell_exit();
host:
	sym_host_exit();
spy:
	sym_spy_exit();
	return err;
}

static void sym_exit_parts(void)
{
	sym_mod_exit();
	sym_modules_exit();
	sym_doorbell_exit();
	sym_cpus_free();
	sym_host_exit();
	sym_spy_exit();
}

static int __init sym_init(void)
{
	int err;

	err = sym_discover();
	if (err)
		return err;
	err = sym_init_parts();
	if (err)
		return err;
	err = sym_start();
	if (err) {
		sym_exit_parts();
		return err;
	}
	/* Last: an open file pins the module, so nothing may fail after this. */
	err = sym_dev_init();
	if (err) {
		sym_stop();
		sym_exit_parts();
		return err;
	}
	register_reboot_notifier(&sym_reboot_block);
	register_pm_notifier(&sym_sleep_block);
	pr_info("features %#x, generation %u\n", sym_vmm.granted, sym_vmm.generation);
	return 0;
}

static void __exit sym_exit(void)
{
	unregister_pm_notifier(&sym_sleep_block);
	sym_wake_disarm();
	unregister_reboot_notifier(&sym_reboot_block);
	sym_dev_exit();
	sym_stop();
	sym_exit_parts();
}

module_init(sym_init);
module_exit(sym_exit);
MODULE_DESCRIPTION("Symbiotic guest-VMM interface");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
