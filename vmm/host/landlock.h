/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Landlock: a thread takes the file system away from itself, for good.
 */
#ifndef VMM_HOST_LANDLOCK_H
#define VMM_HOST_LANDLOCK_H

#include "core/err.h"

/*
 * landlock_create - what may be done of the file system from landlock_enter() on: read the
 * files beneath the folders @paths (a list that ends with NULL; those that do not exist are
 * left out), and no more; nor bind TCP ports or reach abstract sockets of others, where the
 * kernel can forbid it.  A descriptor in *@ruleset, -1 when the kernel has no Landlock; 0,
 * or -errno with @err set.
 */
int landlock_create(const char *const *paths, int *ruleset, struct err *err);

/*
 * landlock_enter - confine the calling thread, which has no_new_privs, to @ruleset, and what
 * it starts from then on; other threads that exist are not.  0, also for -1, or -errno with
 * @err set.
 */
int landlock_enter(int ruleset, struct err *err);

#endif
