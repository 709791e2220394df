/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Landlock: a thread gives up access to the file system, for good.
 */
#ifndef VMM_HOST_LANDLOCK_H
#define VMM_HOST_LANDLOCK_H

#include "core/err.h"

/*
 * landlock_create - create a ruleset for landlock_enter().  It allows reading the files below
 * the folders @paths (a list that ends with NULL; those that do not exist are skipped) and no
 * other access; where the kernel supports it, it also forbids binding TCP ports and
 * connecting to abstract sockets of others.  *@ruleset gets a descriptor, -1 if the kernel has
 * no Landlock; 0, or -errno with @err set.
 */
int landlock_create(const char *const *paths, int *ruleset, struct err *err);

/*
 * landlock_enter - confine the calling thread, which has no_new_privs, and the threads that it
 * starts later, to @ruleset (-1: do nothing); existing threads are not confined.  0, or -errno
 * with @err set.
 */
int landlock_enter(int ruleset, struct err *err);

#endif
