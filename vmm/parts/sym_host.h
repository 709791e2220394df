/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What symvmm builds on the symbiotic interface: the worker, the services and
 * the window of SwapBypass.
 */
#ifndef VMM_PARTS_SYM_HOST_H
#define VMM_PARTS_SYM_HOST_H

#include "core/err.h"

struct vm;

/* sym_host_create - after the machine is built, before a vCPU runs and before seccomp. */
int sym_host_create(struct vm *vm, struct err *err);

/* sym_host_destroy - after the last vCPU's thread, before vm->sym goes.  Idempotent. */
void sym_host_destroy(struct vm *vm);

#endif
