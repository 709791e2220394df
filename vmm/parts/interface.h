/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The symbiotic interface in this VMM: interface.c is its life, interface_methods.c and
 * call_method.c are what may be asked of it (docs/control-protocol.md).
 */
#ifndef VMM_PARTS_INTERFACE_H
#define VMM_PARTS_INTERFACE_H

#include "parts/part.h"

/* Their argument is the struct part_vm. */
extern const struct control_method interface_methods[];

/* interface_method_call - the method call. */
int interface_method_call(struct control_call *call);

/* interface_offered - -ENOTSUP with @err set when the VM has no symbiotic interface. */
int interface_offered(const struct part_vm *vm, struct err *err);

#endif
