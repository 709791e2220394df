/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A 16550A at COM1, connected to the console on the host.
 */
#ifndef VMM_DEVICES_SERIAL_H
#define VMM_DEVICES_SERIAL_H

#include "core/err.h"

struct serial;
struct board;

int serial_create(struct board *board, struct serial **out, struct err *err);
void serial_destroy(struct serial *serial);

/* serial_bind - connect its interrupt to this boot's KVM VM. */
int serial_bind(struct serial *serial, struct err *err);
void serial_reset(struct serial *serial);

#endif
