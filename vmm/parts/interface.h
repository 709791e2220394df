/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * This VMM's symbiotic interface: made with the machine, its events in the VM's stream,
 * its counters among the VM's metrics.
 */
#ifndef VMM_PARTS_INTERFACE_H
#define VMM_PARTS_INTERFACE_H

#include "core/err.h"

struct vm;

/* sym_glue_create - vm->sym; after vm_build(), before the first KVM VM. */
int sym_glue_create(struct vm *vm, struct err *err);

/* sym_glue_destroy - after the last vCPU's thread. */
void sym_glue_destroy(struct vm *vm);

#endif
