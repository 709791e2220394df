/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Removing what a VM leaves in the file system, its sockets first of all, is the work of a
 * process of its own: it does so however the VM ends, killed or not, and the VMM needs no
 * right to remove files, nor its user one in the runtime folder.
 *
 * Process-wide, as the end is.  All of it runs in the main thread.
 */
#ifndef VMM_HOST_CLEANUP_H
#define VMM_HOST_CLEANUP_H

#include <stdbool.h>

#include "core/err.h"

enum cleanup_when {
	CLEANUP_ALWAYS,
	CLEANUP_IF_EMPTY, /* a regular file of no length: whoever filled it had to empty it */
};

/*
 * cleanup_start - fork the process, before the VMM holds anything it should not have.
 * @confine: with a system call filter.  0, or -errno with @err set.
 */
int cleanup_start(bool confine, struct err *err);

/*
 * cleanup_add - @path, which is there, is to be removed at the end, unless another file has
 * taken its place by then; the last that was added goes first.  Nothing happens without
 * cleanup_start().  0, -ENOSPC with more than 8, -ENAMETOOLONG, another -errno.
 */
int cleanup_add(const char *path, enum cleanup_when when);

/*
 * cleanup_seal - that is all: nothing that is said to the process later has an effect.  It
 * keeps @lock_fd, the lock of the VM's name, which is free when the files are gone.
 */
int cleanup_seal(int lock_fd, struct err *err);

/* cleanup_finish - have the files removed; waits a second at most. */
void cleanup_finish(void);

#endif
