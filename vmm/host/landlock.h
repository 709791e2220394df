/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Landlock: a process takes the file system away from itself, for good.
 */
#ifndef VMM_HOST_LANDLOCK_H
#define VMM_HOST_LANDLOCK_H

#include "core/err.h"

/*
 * landlock_read_only - sets no_new_privs; from then on the calling thread, and what it
 * starts, may open for reading the files beneath the folders @paths (a list that ends
 * with NULL; those that do not exist are left out), and otherwise touch nothing of the
 * file system; nor bind TCP ports or reach abstract sockets of others, where the kernel
 * can forbid it.  0, also when the kernel has no Landlock, or -errno with @err set.
 */
int landlock_read_only(const char *const *paths, struct err *err);

#endif
