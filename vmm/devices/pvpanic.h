/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pvpanic: the guest kernel's way of saying that it panicked.
 */
#ifndef VMM_DEVICES_PVPANIC_H
#define VMM_DEVICES_PVPANIC_H

#include "core/err.h"

struct board;

int pvpanic_create(struct board *board, struct err *err);

#endif
