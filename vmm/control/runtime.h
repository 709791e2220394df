/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The runtime folder, in which the sockets of a user's VMs live, and the names
 * claimed in it.
 */
#ifndef VMM_CONTROL_RUNTIME_H
#define VMM_CONTROL_RUNTIME_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"

#define RUNTIME_NAME_MAX 64

struct runtime_name {
	char folder[PATH_MAX];
	char name[RUNTIME_NAME_MAX + 1];
	int lock_fd; /* -1: no name is claimed */
};

/* runtime_name_ok - is @name valid for a VM?  [A-Za-z0-9][A-Za-z0-9._-]{0,63} */
bool runtime_name_ok(const char *name);

/*
 * runtime_claim - make the runtime folder and claim @name in it, until
 * runtime_release() or the end of this process, killed or not.  -EEXIST when a
 * live VM has it.
 */
int runtime_claim(struct runtime_name *rn, const char *name, struct err *err);
void runtime_release(struct runtime_name *rn);

/* runtime_path - FOLDER/NAME.@suffix; -ENAMETOOLONG when @buf is too small. */
int runtime_path(const struct runtime_name *rn, const char *suffix, char *buf, size_t size);

#endif
