/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The board: what is neither PCI nor a serial port.  ACPI sleep, reset and event
 * registers, and the keyboard controller's reset line that kernels try too.
 */
#ifndef VMM_DEVICES_PLATFORM_H
#define VMM_DEVICES_PLATFORM_H

#include "core/err.h"

struct platform;
struct board;

int platform_create(struct board *board, struct platform **out, struct err *err);
void platform_destroy(struct platform *pf);

/* platform_bind - connect the event interrupt to this boot's KVM VM. */
int platform_bind(struct platform *pf, struct err *err);
void platform_reset(struct platform *pf);

/* platform_power_button - press it.  Any thread. */
int platform_power_button(struct platform *pf);

/*
 * What the guest's pvpanic driver says: that it is there; that the kernel panicked (which
 * stops the VM, with its reason); that it panicked and a crash kernel takes over, which goes
 * on (an event tells of it).  vCPU threads.
 */
void platform_panic_driver(struct board *board);
void platform_panicked(struct board *board);
void platform_crash_kernel(struct board *board);

#endif
