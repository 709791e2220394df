/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A separate process removes what a VM leaves in the file system, mainly its sockets: it does
 * so whether the VMM ends or is killed, and the VMM needs no right to remove files, nor its
 * user one in the runtime folder.
 *
 * Process-wide.  All of it runs in the main thread.
 */
#ifndef VMM_HOST_CLEANUP_H
#define VMM_HOST_CLEANUP_H

#include <stdbool.h>

#include "core/err.h"

enum cleanup_when {
	CLEANUP_ALWAYS,
	CLEANUP_IF_EMPTY, /* only a regular file of length 0: its user empties it at the end */
};

/*
 * cleanup_start - fork the process, before the VMM holds anything it should not inherit.
 * @confine: with a system call filter.  0, or -errno with @err set.
 */
int cleanup_start(bool confine, struct err *err);

/*
 * cleanup_add - have @path, which must exist, removed at the end, unless another file has
 * replaced it by then; the last one added is removed first.  Does nothing without
 * cleanup_start().  0, -ENOSPC with more than 8, -ENAMETOOLONG, another -errno.
 */
int cleanup_add(const char *path, enum cleanup_when when);

/*
 * cleanup_seal - send the list; the process accepts nothing after it.  It keeps @lock_fd, the
 * lock on the VM's name, so that the name is free only when the files are gone.
 */
int cleanup_seal(int lock_fd, struct err *err);

/* cleanup_finish - have the files removed; waits a second at most. */
void cleanup_finish(void);

#endif
