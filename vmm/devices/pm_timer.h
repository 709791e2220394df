/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ACPI power management timer (ACPI 6.5, 4.8.2.1): the reference clock of a guest that
 * does not use KVM's.
 */
#ifndef VMM_DEVICES_PM_TIMER_H
#define VMM_DEVICES_PM_TIMER_H

#include "core/err.h"

struct pm_timer;
struct board;

int pm_timer_create(struct board *board, struct pm_timer **out, struct err *err);
void pm_timer_destroy(struct pm_timer *timer);

#endif
