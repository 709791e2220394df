/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The symbiotic interface in this VMM: interface.c creates it, interface_methods.c and
 * call_method.c are its control methods (docs/control-protocol.md).
 */
#ifndef VMM_PARTS_INTERFACE_H
#define VMM_PARTS_INTERFACE_H

#include "parts/part.h"

/* Their argument is the struct part_vm. */
extern const struct control_method interface_methods[];

/* interface_method_call - the method call. */
int interface_method_call(struct control_call *call);

/* interface_offered - 0, or -ENOTSUP with @err set: the VM has no symbiotic interface. */
int interface_offered(const struct part_vm *vm, struct err *err);

#endif
