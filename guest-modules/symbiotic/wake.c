// SPDX-License-Identifier: GPL-2.0
/*
 * Waking up.  A guest that suspends to idle sleeps until a wake-up interrupt comes, and this
 * platform has none: the power button's is not one.  The doorbell's is: while the module is
 * stopped for the sleep, this is its handler.
 */
#include <linux/acpi.h>
#include <linux/interrupt.h>
#include <linux/suspend.h>

#include "symbiotic.h"

static int sym_wake_irq = -1;
static u32 sym_wake_gsi;

static irqreturn_t sym_wake_rung(int irq, void *dev)
{
	pm_system_wakeup();
	return IRQ_HANDLED;
}

void sym_wake_arm(u32 gsi)
{
	int irq = acpi_register_gsi(NULL, gsi, ACPI_EDGE_SENSITIVE, ACPI_ACTIVE_HIGH);

	if (irq < 0)
		return;
	if (request_irq(irq, sym_wake_rung, IRQF_NO_SUSPEND, KBUILD_MODNAME "-wake",
			&sym_wake_irq)) {
		acpi_unregister_gsi(gsi);
		return;
	}
	sym_wake_irq = irq;
	sym_wake_gsi = gsi;
}

void sym_wake_disarm(void)
{
	if (sym_wake_irq < 0)
		return;
	free_irq(sym_wake_irq, &sym_wake_irq);
	acpi_unregister_gsi(sym_wake_gsi);
	sym_wake_irq = -1;
}
