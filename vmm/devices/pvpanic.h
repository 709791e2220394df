/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pvpanic: a device by which a guest's kernel reports a panic.
 */
#ifndef VMM_DEVICES_PVPANIC_H
#define VMM_DEVICES_PVPANIC_H

#include "core/err.h"

struct board;

int pvpanic_create(struct board *board, struct err *err);

#endif
