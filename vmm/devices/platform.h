/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The board's registers beside PCI and serial port: ACPI sleep, reset and event
 * registers, and the keyboard controller's reset line, which kernels also try.
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

/* platform_power_button - press the power button.  Any thread. */
int platform_power_button(struct platform *pf);

/*
 * Reports of the guest's pvpanic driver: it is loaded; the kernel panicked (this stops the VM,
 * with the panic's reason); it panicked and a crash kernel takes over (this emits an event).
 * vCPU threads.
 */
void platform_panic_driver(struct board *board);
void platform_panicked(struct board *board);
void platform_crash_kernel(struct board *board);

#endif
