/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control methods of the symbiotic interface: rows of the table in
 * machine/vm_methods.c.  docs/control-protocol.md describes them.
 */
#ifndef VMM_PARTS_INTERFACE_METHODS_H
#define VMM_PARTS_INTERFACE_METHODS_H

#include "core/err.h"

struct control_call;
struct vm;

int method_spy(struct control_call *call);
int method_call(struct control_call *call);
int method_module_install(struct control_call *call);
int method_module_list(struct control_call *call);
int method_module_remove(struct control_call *call);

/* sym_offered - -ENOTSUP with @err set when the VM has no symbiotic interface. */
int sym_offered(const struct vm *vm, struct err *err);

#endif
