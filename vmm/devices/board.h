/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The board: the buses and services that devices use, and all that they know of the machine.
 * Its owner fills it in (machine/vm_build.c) and outlives every device.
 */
#ifndef VMM_DEVICES_BOARD_H
#define VMM_DEVICES_BOARD_H

#include "core/bus.h"
#include "core/irq.h"
#include "core/memory.h"

struct console;
struct events;
struct loop;
struct metrics;
struct net_processes;
struct pci_bus;
struct platform;

/* Why a guest stopped; the values are symvmm's exit statuses. */
enum vm_stop {
	VM_STOP_POWEROFF = 0, /* the guest's own power-off, or a forced stop */
	VM_STOP_PANIC = 10,
	VM_STOP_TRIPLE_FAULT = 11,
	VM_STOP_ERROR = 12, /* KVM cannot continue */
	VM_STOP_FORCED = 13, /* by signal or the control socket; status 0 */
	VM_STOP_RESET = 14, /* never an exit status: the machine boots again */
};

struct board {
	const char *name; /* of the VM */
	int vm_fd; /* this boot's KVM VM; -1: none */
	struct guest_memory mem;
	struct bus pio;
	struct bus mmio;
	struct irq_router irq;
	struct pci_bus *pci;
	struct platform *platform;
	struct loop *loop;
	struct metrics *metrics;
	struct events *events;
	struct console *console;
	struct net_processes *net_processes; /* NULL: no card needs one */
	/* For board_stop(). */
	void (*stop)(struct board *board, enum vm_stop reason, const char *text);
};

/* board_stop - end this boot for @reason; the first call wins.  Any thread. */
void board_stop(struct board *board, enum vm_stop reason, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
